import {
  CreateTagsCommand,
  DescribeInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { CreateGrantCommand, type CreateGrantCommandInput, DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { type CloudOptions, credentialsFor, type EmbeddedCloud, type WireRequest } from '../../simulator/cloud.ts';
import { type ApiCall, currentInvocation, type Invocation, type Json, type Service } from '../../simulator/core.ts';
import { allFaults, ScriptedFaults, SeededFaults } from '../../simulator/faults.ts';
import { unflatten } from '../../simulator/protocols.ts';
import { NO_QUOTAS } from '../../simulator/quotas.ts';
import { add, clientOptions, ec2Of, failure, fakeTime, HOME, live, makeCloud, pass, REGION } from './support/cloud.ts';

beforeEach(fakeTime);
afterEach(() => jest.useRealTimers());

function signed(service: string, body: string, more: Partial<WireRequest> = {}): WireRequest {
  const { headers, ...rest } = more;
  const authorization = `AWS4-HMAC-SHA256 Credential=X/20261122/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
  return { method: 'POST', path: '/', headers: { authorization, ...headers }, body, ...rest };
}
const ask = (cloud: EmbeddedCloud, request: WireRequest) => live(cloud.handle(request));

describe('on the wire', () => {
  test('EC2 errors, request ids and escapes', async () => {
    const answer = await ask(makeCloud(), signed('ec2', 'Action=DescribeInstances&InstanceId.1=i-%3C%26%3E'));
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('<Response><Errors><Error><Code>InvalidInstanceID.Malformed</Code><Message>');
    expect(answer.body).toContain('i-&lt;&amp;&gt;');
    expect(answer.body).toContain(`<RequestID>${answer.headers['x-amzn-requestid']}</RequestID>`);
  });

  test('control characters in a tag do not break the document', async () => {
    const cloud = makeCloud();
    add(cloud, { tags: { odd: 'a\u0000b\u001b' } });
    const answer = await ask(cloud, signed('ec2', 'Action=DescribeInstances'));
    expect(answer.body).toContain('<value>a\ufffdb\ufffd</value>');
  });

  test.each([
    [
      'an unsigned request',
      { method: 'POST', path: '/', headers: {}, body: 'Action=DescribeInstances' },
      403,
      'MissingAuthenticationToken',
    ],
    ['a request without an action', signed('ec2', 'Version=1'), 400, 'MissingAction'],
    ['an unknown action', signed('ec2', 'Action=DescribeVpcs'), 501, 'DescribeVpcs: the action is not modelled'],
    [
      'an action named like a property of objects',
      signed('ec2', 'Action=constructor'),
      501,
      'the action is not modelled',
    ],
    ['an unknown parameter', signed('ec2', 'Action=DescribeInstances&Shoe=1'), 501, 'parameter Shoe is not modelled'],
    [
      'an unknown part of a filter',
      signed('ec2', 'Action=DescribeInstances&Filter.1.Name=tag-key&Filter.1.Value.1=a&Filter.1.Not=1'),
      501,
      'parameter Not',
    ],
    ['an unknown service', signed('s3', ''), 501, 'the service s3 is not modelled'],
    [
      'JSON that is none',
      signed('kms', '{', { headers: { 'x-amz-target': 'TrentService.DescribeKey' } }),
      400,
      '"__type":"SerializationException"',
    ],
  ])('%s is an error', async (_what, request, status, text) => {
    const answer = await ask(makeCloud(), request);
    expect(answer.status).toBe(status);
    expect(answer.body).toContain(text);
  });

  test('Query parameters are unflattened', () => {
    const text = 'A.1=x&A.10=z&A.2=y&Filter.1.Name=n&Filter.1.Value.1=v&Tags.member.1.Key=k&One=1&__proto__.x=1';
    const read: { readonly [key: string]: Json | undefined } = unflatten(new URLSearchParams(text));
    expect(read.A).toEqual(['x', 'y', 'z']);
    expect(read.Filter).toEqual([{ Name: 'n', Value: ['v'] }]);
    expect(read.Tags).toEqual([{ Key: 'k' }]);
    expect(read.One).toBe('1');
    expect(({} as { x?: string }).x).toBeUndefined();
  });
});

describe('who calls', () => {
  test('keys tell account and role; unknown keys are the home account', async () => {
    const cloud = makeCloud();
    const sts = (credentials: object) => new STSClient({ ...clientOptions(cloud), ...credentials });
    const who = async (client: STSClient) => (await live(client.send(new GetCallerIdentityCommand({})))).Arn;
    expect(await who(sts({}))).toBe(`arn:aws:iam::${HOME}:root`);
    expect(await who(sts({ credentials: credentialsFor('444455556666', 'Reader') }))).toMatch(
      /^arn:aws:sts::444455556666:assumed-role\/Reader\//,
    );
    expect(await who(sts({ credentials: { accessKeyId: 'whatever', secretAccessKey: 'y' } }))).toBe(
      `arn:aws:iam::${HOME}:root`,
    );
  });

  test('AssumeRole asks for the external id and trust, and its keys work in the other account until they expire', async () => {
    const cloud = makeCloud();
    cloud.addRole({ accountId: '444455556666', name: 'Spoke', externalId: 'e', trustedAccounts: [HOME] });
    const sts = new STSClient(clientOptions(cloud));
    const assume = (more: object) =>
      sts.send(
        new AssumeRoleCommand({
          RoleArn: 'arn:aws:iam::444455556666:role/Spoke',
          RoleSessionName: 'run',
          DurationSeconds: 900,
          ...more,
        }),
      );
    expect((await failure(assume({}))).name).toBe('AccessDenied');
    expect((await failure(assume({ ExternalId: 'wrong' }))).name).toBe('AccessDenied');
    expect((await failure(assume({ RoleArn: 'arn:aws:iam::444455556666:role/Other', ExternalId: 'e' }))).name).toBe(
      'AccessDenied',
    );
    const { Credentials: keys } = await live(assume({ ExternalId: 'e' }));
    const credentials = {
      accessKeyId: keys?.AccessKeyId ?? '',
      secretAccessKey: keys?.SecretAccessKey ?? '',
      sessionToken: keys?.SessionToken ?? '',
    };
    const other = new STSClient({ ...clientOptions(cloud), credentials });
    expect((await live(other.send(new GetCallerIdentityCommand({})))).Account).toBe('444455556666');
    await pass(901_000);
    // A name that the SDK's own clock correction does not retry.
    expect((await failure(other.send(new GetCallerIdentityCommand({})))).message).toContain('is expired');
  });
});

test('KMS DescribeKey tells the state, an unknown key from a forbidden one', async () => {
  const cloud = makeCloud();
  const cell = cloud.cell(HOME, REGION);
  cell.addKey('k-on', 'Enabled');
  cell.addKey('k-off', 'Disabled');
  cell.addKey('k-no', 'denied');
  const kms = new KMSClient(clientOptions(cloud));
  const describe = (KeyId: string) => kms.send(new DescribeKeyCommand({ KeyId }));
  expect((await live(describe(`arn:aws:kms:${REGION}:${HOME}:key/k-on`))).KeyMetadata?.KeyState).toBe('Enabled');
  expect((await live(describe('k-off'))).KeyMetadata?.Enabled).toBe(false);
  expect((await failure(describe('k-no'))).name).toBe('AccessDeniedException');
  expect((await failure(describe('k-none'))).name).toBe('NotFoundException');
  expect((await live(describe('k-on'))).KeyMetadata?.KeyManager).toBe('CUSTOMER');

  cell.addKey('k-ec2', 'Enabled', { grants: 'through-ec2' });
  cell.addKey('k-aws', 'Enabled', { manager: 'AWS' });
  const grant = (KeyId: string, more: Partial<CreateGrantCommandInput> = {}) =>
    failure(
      kms.send(
        new CreateGrantCommand({
          KeyId,
          GranteePrincipal: `arn:aws:iam::${HOME}:root`,
          Operations: ['DescribeKey'],
          DryRun: true,
          ...more,
        }),
      ),
    ).then(({ name }) => name);
  expect(await grant('k-on')).toBe('DryRunOperationException');
  expect(await grant('k-off')).toBe('DisabledException');
  expect(await grant('k-none')).toBe('NotFoundException');
  for (const keyId of ['k-ec2', 'k-aws', 'k-no']) expect(await grant(keyId)).toBe('AccessDeniedException');
  expect(await grant('k-on', { GranteePrincipal: 'somebody' })).toBe('InvalidArnException');
  expect(await grant('k-on', { Operations: [] })).toBe('ValidationException');
  expect(await grant('k-on', { DryRun: false })).toMatch(/NotModelled/);
  expect(cloud.mutatingCalls).toBe(0);
});

describe('quotas', () => {
  test('the documented bucket empties, refills, and is one per region and API', async () => {
    const cloud = makeCloud();
    const { id } = add(cloud);
    const request = signed('ec2', `Action=StartInstances&InstanceId.1=${id}`);
    const burst = await Promise.all(Array.from({ length: 6 }, () => live(cloud.handle(request))));
    expect(burst.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200, 503]);
    expect(burst[5]?.body).toContain('<Code>RequestLimitExceeded</Code>');
    expect((await ask(cloud, signed('ec2', 'Action=DescribeInstances'))).status).toBe(200);
    await pass(500);
    expect((await ask(cloud, request)).status).toBe(200);
    expect(cloud.traffic()).toMatchObject({
      throttled: 1,
      calls: { 'ec2:StartInstances': 7, 'ec2:DescribeInstances': 1 },
    });
  });

  test('an unfiltered describe has half the bucket of a paged one', async () => {
    const statuses = async (body: string) => {
      const cloud = makeCloud();
      const answers = await Promise.all(Array.from({ length: 101 }, () => live(cloud.handle(signed('ec2', body)))));
      return answers.findIndex((answer) => answer.status === 503);
    };
    expect(await statuses('Action=DescribeInstances')).toBe(50);
    expect(await statuses('Action=DescribeInstances&MaxResults=5')).toBe(100);
  });

  test('stops draw one token an instance besides', async () => {
    const resources = { 'ec2:StopInstances': { capacity: 2, perSecond: 1 } };
    const cloud = makeCloud({ quotas: { requests: {}, resources } });
    const ids = [add(cloud).id, add(cloud).id, add(cloud).id];
    const ec2 = ec2Of(cloud);
    expect((await failure(ec2.send(new StopInstancesCommand({ InstanceIds: ids })))).name).toBe('RequestLimitExceeded');
    await live(ec2.send(new StopInstancesCommand({ InstanceIds: ids.slice(0, 2) })));
  });
});

describe('faults', () => {
  const stopWith = async (options: Partial<CloudOptions>) => {
    const cloud = makeCloud(options);
    const { id, instance } = add(cloud);
    const error = await failure(ec2Of(cloud).send(new StopInstancesCommand({ InstanceIds: [id] })));
    return { cloud, instance, error };
  };

  test.each([
    ['throttle', 'RequestLimitExceeded', 503, 'running'],
    ['error-500', 'InternalError', 500, 'running'],
    ['denied', 'UnauthorizedOperation', 403, 'running'],
    ['lost-before', 'TimeoutError', undefined, 'running'],
    ['lost-after', 'TimeoutError', undefined, 'stopping'],
  ] as const)('%s looks like AWS: %s, status %s, and leaves the instance %s', async (kind, name, status, state) => {
    const faults = new ScriptedFaults([{ kind, calls: 'ec2:Stop*', name: `planned ${kind}` }]);
    const { cloud, instance, error } = await stopWith({ faults });
    expect([error.name, error.$metadata?.httpStatusCode]).toEqual([name, status]);
    expect(instance.state).toBe(state);
    expect(cloud.strikes).toEqual({ [`planned ${kind}`]: 1 });
    expect(cloud.log.events.filter((event) => event.kind === 'fault')).toMatchObject([
      { what: `planned ${kind}`, detail: { kind, call: 'ec2:StopInstances' } },
    ]);
    if (status === undefined) expect(error).toMatchObject({ code: 'ECONNRESET' });
  });

  test('slow answers late', async () => {
    const cloud = makeCloud({ faults: new ScriptedFaults([{ kind: 'slow', calls: '*', milliseconds: 7000 }]) });
    const before = Date.now();
    await ask(cloud, signed('ec2', 'Action=DescribeInstances'));
    expect(Date.now() - before).toBeGreaterThanOrEqual(7000);
  });

  test('a script hits the nth call of one instance, so many times', async () => {
    const cloud = makeCloud({ quotas: NO_QUOTAS });
    const [a, b] = [add(cloud).id, add(cloud).id];
    const faults = new ScriptedFaults([{ kind: 'throttle', calls: 'ec2:CreateTags', nth: 2, times: 2, instanceId: a }]);
    const call = (id: string): ApiCall => ({
      service: 'ec2',
      action: 'CreateTags',
      accountId: HOME,
      region: REGION,
      params: { ResourceId: [id] },
      principal: 'root',
    });
    expect([a, b, a, b, a, a].map((id) => faults.strike(call(id))?.kind ?? null)).toEqual([
      null,
      null,
      'throttle',
      null,
      'throttle',
      null,
    ]);
  });

  test('seeded faults are the same for the same seed, near their rate, and only for the calls they name', () => {
    const call = (action: string): ApiCall => ({
      service: 'ec2',
      action,
      accountId: HOME,
      region: REGION,
      params: {},
      principal: 'root',
    });
    const run = (seed: number) => {
      const faults = allFaults([
        new SeededFaults({ seed, rates: [{ kind: 'error-500', rate: 0.2, calls: 'ec2:Describe*' }] }),
      ]);
      return Array.from({ length: 1000 }, () => faults.strike(call('DescribeInstances')) !== null);
    };
    const hits = run(1).filter((hit) => hit).length;
    expect(hits).toBeGreaterThan(150);
    expect(hits).toBeLessThan(250);
    expect(run(1)).toEqual(run(1));
    expect(run(2)).not.toEqual(run(1));
    const always = new SeededFaults({ seed: 1, rates: [{ kind: 'denied', rate: 1, calls: 'ec2:Stop*' }] });
    expect(always.strike(call('StartInstances'))).toBeNull();
    expect(() => new SeededFaults({ seed: 1, rates: [{ kind: 'slow', rate: 2 }] })).toThrow(RangeError);
  });
});

describe('a killed invocation', () => {
  const within = (invocation: Invocation, work: () => Promise<unknown>): { answered: boolean } => {
    const outcome = { answered: false };
    void currentInvocation.run(invocation, () => work().then(() => (outcome.answered = true)));
    return outcome;
  };

  test('gets no answer, and what it asks for after its death has no effect', async () => {
    const cloud = makeCloud({ latencyMs: [1000, 1000] });
    const [before, after] = [add(cloud), add(cloud)];
    const invocation: Invocation = { id: '1', functionName: 'f', dead: false };
    const stop = (id: string) => cloud.handle(signed('ec2', `Action=StopInstances&InstanceId.1=${id}`));
    const first = within(invocation, () => stop(before.id));
    expect(before.instance.state).toBe('stopping');
    invocation.dead = true;
    const second = within(invocation, () => stop(after.id));
    await pass(10_000);
    expect(after.instance.state).toBe('running');
    expect([first.answered, second.answered]).toEqual([false, false]);
  });

  test('a living one is answered after the latency', async () => {
    const cloud = makeCloud({ latencyMs: [1000, 1000] });
    const outcome = within({ id: '1', functionName: 'f', dead: false }, () =>
      cloud.handle(signed('ec2', 'Action=DescribeInstances')),
    );
    await pass(999);
    expect(outcome.answered).toBe(false);
    await pass(2);
    expect(outcome.answered).toBe(true);
  });
});

test('the log and the counts know every call, and count as mutating what would change the fleet', async () => {
  const cloud = makeCloud();
  const { id } = add(cloud);
  const ec2 = ec2Of(cloud, 'Restarter');
  await live(ec2.send(new DescribeInstancesCommand({ MaxResults: 5 })));
  await live(ec2.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'a', Value: 'b' }] })));
  await failure(ec2.send(new StartInstancesCommand({ InstanceIds: ['i-01234567890abcdef'] })));
  await failure(ec2.send(new StopInstancesCommand({ InstanceIds: [id], DryRun: true })));
  expect(cloud.mutatingCalls).toBe(2);
  const api = cloud.log.events.filter((event) => event.kind === 'api');
  expect(api.map((e) => [e.what, e.instanceId, e.detail?.error, e.detail?.principal, e.detail?.dryRun])).toEqual([
    ['DescribeInstances', undefined, null, 'Restarter', false],
    ['CreateTags', id, null, 'Restarter', false],
    ['StartInstances', 'i-01234567890abcdef', 'InvalidInstanceID.NotFound', 'Restarter', false],
    ['StopInstances', id, 'DryRunOperation', 'Restarter', true],
  ]);
});

test('a mistake of a service is no answer of AWS, and a name is registered once', async () => {
  const cloud = makeCloud();
  const broken: Service = {
    name: 'events',
    protocol: 'json-1.1',
    isMutating: () => false,
    handle: () => {
      throw new TypeError('a mistake');
    },
  };
  cloud.register(broken);
  const request = signed('events', '{}', { headers: { 'x-amz-target': 'AWSEvents.PutEvents' } });
  expect((await failure(cloud.handle(request))).message).toBe('a mistake');
  expect(() => cloud.register(broken)).toThrow(RangeError);
});

test('the same seed gives the same ids, request ids and latencies', async () => {
  const run = async () => {
    const cloud = makeCloud({ latencyMs: [1, 500] });
    const { id } = add(cloud);
    const answer = await ask(cloud, signed('ec2', 'Action=DescribeInstances'));
    return [id, answer.headers['x-amzn-requestid']];
  };
  expect(await run()).toEqual(await run());
});
