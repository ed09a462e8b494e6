import { ec2Error, inVirtualTime, json, jsonError, type RecordedRequest, xml } from '../../support/scripted-aws.ts';
import { errorOf, instanceId, instanceXml, mustHave, openCell } from './support.ts';

const A = instanceId(1);
const B = instanceId(2);
const C = instanceId(3);

const reservations = (...items: string[]) => `<reservationSet>${items.join('')}</reservationSet>`;
const idsOf = (request: RecordedRequest) =>
  Object.entries(request.params)
    .filter(([name]) => /^InstanceId\.\d+$/.test(name))
    .map(([, value]) => String(value));

/** EC2 that knows these ids and refuses a call that names another, the way `refuse` words it. */
function ec2Knowing(known: readonly string[], refuse: (unknown: readonly string[]) => string, code: string) {
  return (request: RecordedRequest) => {
    const ids = idsOf(request);
    const unknown = ids.filter((id) => !known.includes(id));
    if (unknown.length > 0) return ec2Error(code, refuse(unknown));
    return xml('DescribeInstances', reservations(...ids.map((id) => instanceXml(id))));
  };
}

describe('listInstances', () => {
  test('hands the token of each page on and ends with a null cursor', async () => {
    const { ports, aws } = openCell({
      'ec2:DescribeInstances': [
        xml('DescribeInstances', `${reservations(instanceXml(A), instanceXml(B))}<nextToken>page-2</nextToken>`),
        xml('DescribeInstances', reservations(instanceXml(C))),
      ],
    });
    const first = mustHave(await ports.fleet.listInstances(null, 250));
    expect(first.items.map((i) => i.instanceId)).toEqual([A, B]);
    expect(first.cursor).toBe('page-2');
    const second = mustHave(await ports.fleet.listInstances(first.cursor, 250));
    expect(second.items.map((i) => i.instanceId)).toEqual([C]);
    expect(second.cursor).toBeNull();
    expect(aws.requests.map((r) => [r.params.MaxResults, r.params.NextToken])).toEqual([
      ['250', undefined],
      ['250', 'page-2'],
    ]);
  });

  test('a denial is an error that names call, permission and next step, never an empty page', async () => {
    const message = 'You are not authorized to perform this operation.';
    const { ports } = openCell({ 'ec2:DescribeInstances': ec2Error('UnauthorizedOperation', message, 403) });
    expect(errorOf(await ports.fleet.listInstances(null, 250))).toEqual({
      call: 'ec2:DescribeInstances',
      code: 'UnauthorizedOperation',
      message,
      next: 'grant ec2:DescribeInstances to the role or user that makes the call',
      kind: 'failed',
    });
  });

  test('an instance that cannot be judged fails the page instead of vanishing from it', async () => {
    const broken = instanceXml(A).replace(/<launchTime>.*<\/launchTime>/, '');
    const { ports } = openCell({ 'ec2:DescribeInstances': xml('DescribeInstances', reservations(broken)) });
    expect(errorOf(await ports.fleet.listInstances(null, 250))).toMatchObject({
      code: 'UnexpectedAnswer',
      message: expect.stringContaining(A),
    });
  });
});

describe('instance facts', () => {
  const factsOf = async (extra: string, type?: string) => {
    const { ports } = openCell({
      'ec2:DescribeInstances': xml('DescribeInstances', reservations(instanceXml(A, extra, type))),
    });
    return mustHave(await ports.fleet.listInstances(null, 250)).items[0]!;
  };
  const card = (owner: string | null) =>
    `<networkInterfaceSet><item><association><publicIp>203.0.113.9</publicIp>${
      owner === null ? '' : `<ipOwnerId>${owner}</ipOwnerId>`
    }</association></item></networkInterfaceSet>`;
  const tag = (key: string, value: string) => `<item><key>${key}</key><value>${value}</value></item>`;

  test('reads what decisions need', async () => {
    const facts = await factsOf(
      `<tagSet>${tag('Team', 'db')}${tag('aws:ec2launchtemplate:id', 'lt-0abc')}${tag('aws:ec2launchtemplate:version', '3')}</tagSet>
       <instanceLifecycle>spot</instanceLifecycle><spotInstanceRequestId>sir-1</spotInstanceRequestId>
       <operator><managed>true</managed></operator>
       <stateReason><code>x</code><message>Client.UserInitiatedShutdown</message></stateReason>
       <reason>User initiated (2026-11-22 04:10:11 GMT)</reason>
       <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-1</volumeId></ebs></item></blockDeviceMapping>`,
    );
    expect(facts).toEqual({
      instanceId: A,
      state: 'running',
      stateReason: 'Client.UserInitiatedShutdown',
      transitionAt: '2026-11-22T04:10:11.000Z',
      platform: 'linux',
      instanceType: 'm5.large',
      architecture: 'x86_64',
      imageId: 'ami-0a',
      launchTemplate: 'lt-0abc:3',
      availabilityZone: 'eu-west-1a',
      launchTime: '2026-11-01T00:00:00.000Z',
      tags: { Team: 'db', 'aws:ec2launchtemplate:id': 'lt-0abc', 'aws:ec2launchtemplate:version': '3' },
      lifecycle: 'spot',
      operatorManaged: true,
      rootDeviceType: 'ebs',
      publicAddress: 'none',
      place: 'any',
      spotRequestId: 'sir-1',
      volumeIds: ['vol-1'],
    });
  });

  test.each([
    ['User initiated (2026-11-22 04:10:11 GMT)', '2026-11-22T04:10:11.000Z'],
    ['User initiated', null],
    ['Server.InternalError', null],
    ['Server.ScheduledStop (2026-11-22 04:10:11 UTC)', null],
  ])('nobody asked for a transition but a user: %p', async (reason, expected) => {
    expect((await factsOf(`<reason>${reason}</reason>`)).transitionAt).toBe(expected);
  });

  test.each([
    ['', 'none'],
    [card('amazon'), 'auto'],
    [card('111122223333'), 'elastic'],
    [card(null), 'auto'],
    ['<ipAddress>203.0.113.9</ipAddress>', 'auto'],
  ])('public address of %p is %s', async (extra, expected) => {
    expect((await factsOf(extra)).publicAddress).toBe(expected);
  });

  test.each([
    ['<platform>windows</platform>', 'windows'],
    ['<platformDetails>Windows with SQL Server Standard</platformDetails>', 'windows'],
    ['<platformDetails>Linux/UNIX</platformDetails>', 'linux'],
  ])('platform of %p is %s', async (extra, expected) => {
    expect((await factsOf(extra)).platform).toBe(expected);
  });

  test('a capacity block is neither spot nor on demand', async () => {
    expect((await factsOf('<instanceLifecycle>capacity-block</instanceLifecycle>')).lifecycle).toBe('other');
    expect((await factsOf('')).lifecycle).toBe('on-demand');
  });
});

describe('describeInstances', () => {
  test('leaves out the ids that the refusal names, and answers the others', async () => {
    const refuse = (ids: readonly string[]) => `The instance IDs '${ids.join(', ')}' do not exist`;
    const { ports, aws } = openCell({
      'ec2:DescribeInstances': ec2Knowing([A, C], refuse, 'InvalidInstanceID.NotFound'),
    });
    const found = mustHave(await ports.fleet.describeInstances([A, B, C]));
    expect(found.map((i) => i.instanceId)).toEqual([A, C]);
    expect(aws.requests).toHaveLength(2);
  });

  test('finds the bad one of a full batch in few calls where the refusal does not name it', async () => {
    const ids = Array.from({ length: 100 }, (_, n) => instanceId(n));
    const bad = ids[61]!;
    const known = ids.filter((id) => id !== bad);
    const { ports, aws } = openCell({
      'ec2:DescribeInstances': ec2Knowing(known, () => 'Invalid id', 'InvalidInstanceID.Malformed'),
    });
    const { value } = await inVirtualTime(() => ports.fleet.describeInstances(ids));
    expect(mustHave(value).map((i) => i.instanceId)).toEqual(known);
    expect(aws.requests.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(100)) + 1);
  });

  test('asks for at most 100 at once, each id once, and follows a token', async () => {
    const ids = Array.from({ length: 130 }, (_, n) => instanceId(n));
    let paged = false;
    const { ports, aws } = openCell({
      'ec2:DescribeInstances': (request) => {
        const asked = idsOf(request);
        if (paged || asked.length < 100)
          return xml('DescribeInstances', reservations(...asked.map((id) => instanceXml(id))));
        paged = true;
        return xml('DescribeInstances', `${reservations(instanceXml('i-00000000'))}<nextToken>t</nextToken>`);
      },
    });
    const found = mustHave(await ports.fleet.describeInstances([...ids, ...ids]));
    expect(found).toHaveLength(131);
    expect(aws.requests.map((r) => [idsOf(r).length, r.params.NextToken])).toEqual([
      [100, undefined],
      [100, 't'],
      [30, undefined],
    ]);
  });

  test('another refusal is an error of the whole', async () => {
    const { ports } = openCell({ 'ec2:DescribeInstances': ec2Error('AuthFailure', 'not validated', 401) });
    expect(errorOf(await ports.fleet.describeInstances([A, B]))).toMatchObject({
      code: 'AuthFailure',
      next: expect.stringContaining('log in again'),
    });
  });
});

describe('listImpaired', () => {
  test('filters by the instance status check and follows the token', async () => {
    const page = (id: string, token = '', value = 'impaired') =>
      xml(
        'DescribeInstanceStatus',
        `<instanceStatusSet><item><instanceId>${id}</instanceId><instanceStatus><status>${value}</status></instanceStatus></item></instanceStatusSet>${token}`,
      );
    const { ports, aws } = openCell({
      'ec2:DescribeInstanceStatus': [page(A, '<nextToken>n</nextToken>'), page(B)],
    });
    expect(mustHave(await ports.fleet.listImpaired(null))).toEqual({ items: [A], cursor: 'n' });
    expect(mustHave(await ports.fleet.listImpaired('n'))).toEqual({ items: [B], cursor: null });
    for (const { params } of aws.requests) {
      expect(params).toMatchObject({ 'Filter.1.Name': 'instance-status.status', 'Filter.1.Value.1': 'impaired' });
    }
    expect(aws.requests[1]!.params.NextToken).toBe('n');
  });
});

test('an endpoint that ignores the filters does not make a healthy fleet look ill', async () => {
  const { ports } = openCell({
    'ec2:DescribeInstanceStatus': xml(
      'DescribeInstanceStatus',
      `<instanceStatusSet><item><instanceId>${A}</instanceId><instanceStatus><status>ok</status></instanceStatus></item></instanceStatusSet>`,
    ),
    'ssm:DescribeInstanceInformation': json({ InstanceInformationList: [{ InstanceId: A, PingStatus: 'Online' }] }),
  });
  expect(mustHave(await ports.fleet.listImpaired(null)).items).toEqual([]);
  expect(mustHave(await ports.fleet.listLostAgents(null)).items).toEqual([]);
});

describe('statusChecks', () => {
  test('says unknown of what EC2 does not name or does not know', async () => {
    const status = (id: string, value: string) =>
      `<item><instanceId>${id}</instanceId><instanceStatus><status>${value}</status></instanceStatus></item>`;
    const { ports } = openCell({
      'ec2:DescribeInstanceStatus': xml(
        'DescribeInstanceStatus',
        `<instanceStatusSet>${status(A, 'impaired')}${status(B, 'brand-new-word')}</instanceStatusSet>`,
      ),
    });
    expect(mustHave(await ports.fleet.statusChecks([A, B, C]))).toEqual(
      new Map([
        [A, 'impaired'],
        [B, 'unknown'],
        [C, 'unknown'],
      ]),
    );
  });

  test('one that is gone does not fail the others', async () => {
    const { ports, aws } = openCell({
      'ec2:DescribeInstanceStatus': [
        ec2Error('InvalidInstanceID.NotFound', `The instance ID '${B}' does not exist`),
        xml(
          'DescribeInstanceStatus',
          `<instanceStatusSet><item><instanceId>${A}</instanceId><instanceStatus><status>ok</status></instanceStatus></item></instanceStatusSet>`,
        ),
      ],
    });
    expect(mustHave(await ports.fleet.statusChecks([A, B])).get(A)).toBe('ok');
    expect(idsOf(aws.requests[1]!)).toEqual([A]);
  });
});

describe('agents', () => {
  const agent = (id: string, ping = 'Online') => ({
    InstanceId: id,
    PingStatus: ping,
    LastPingDateTime: 1_795_305_600,
    AgentVersion: '3.3.2746.0',
  });

  test('asks for at most 50 at once and follows the token to the end', async () => {
    const ids = Array.from({ length: 60 }, (_, n) => instanceId(n));
    const { ports, aws } = openCell({
      'ssm:DescribeInstanceInformation': [
        json({ InstanceInformationList: [agent(ids[0]!)], NextToken: 'more' }),
        json({ InstanceInformationList: [agent(ids[1]!, 'ConnectionLost')] }),
        json({ InstanceInformationList: [agent(ids[59]!)] }),
      ],
    });
    const agents = mustHave(await ports.fleet.agents(ids));
    expect([...agents.keys()]).toEqual([ids[0], ids[1], ids[59]]);
    expect(agents.get(ids[1]!)).toEqual({
      pingStatus: 'ConnectionLost',
      lastPingAt: '2026-11-22T00:00:00.000Z',
      agentVersion: '3.3.2746.0',
    });
    expect(aws.requests.map((r) => r.params)).toEqual([
      { Filters: [{ Key: 'InstanceIds', Values: ids.slice(0, 50) }], MaxResults: 50 },
      { Filters: [{ Key: 'InstanceIds', Values: ids.slice(0, 50) }], MaxResults: 50, NextToken: 'more' },
      { Filters: [{ Key: 'InstanceIds', Values: ids.slice(50) }], MaxResults: 50 },
    ]);
  });

  test('a page that fails fails the whole', async () => {
    const { ports } = openCell({
      'ssm:DescribeInstanceInformation': [
        json({ InstanceInformationList: [agent(A)], NextToken: 'more' }),
        jsonError(
          'AccessDeniedException',
          'User: x is not authorized to perform: ssm:DescribeInstanceInformation',
          400,
        ),
      ],
    });
    expect(errorOf(await ports.fleet.agents([A, B]))).toMatchObject({ call: 'ssm:DescribeInstanceInformation' });
  });

  test('a token that comes twice ends with an error instead of never', async () => {
    const { ports } = openCell({
      'ssm:DescribeInstanceInformation': json({ InstanceInformationList: [agent(A)], NextToken: 'again' }),
    });
    expect(errorOf(await ports.fleet.agents([A]))).toMatchObject({ code: 'EndlessPaging' });
  });

  test('lists lost agents by filter, EC2 instances only', async () => {
    const { ports, aws } = openCell({
      'ssm:DescribeInstanceInformation': json({
        InstanceInformationList: [agent(A, 'ConnectionLost'), agent('mi-0123456789abcdef0', 'ConnectionLost')],
        NextToken: 'n',
      }),
    });
    expect(mustHave(await ports.fleet.listLostAgents('before'))).toEqual({ items: [A], cursor: 'n' });
    expect(aws.requests[0]!.params).toEqual({
      Filters: [{ Key: 'PingStatus', Values: ['ConnectionLost'] }],
      MaxResults: 50,
      NextToken: 'before',
    });
  });
});
