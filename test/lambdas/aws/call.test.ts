import { brokenConnection, ec2Error, inVirtualTime, json, jsonError, xml } from '../../support/scripted-aws.ts';
import { errorOf, instanceId, instanceXml, mustHave, openCell } from './support.ts';

const A = instanceId(1);
const page = xml('DescribeInstances', `<reservationSet>${instanceXml(A)}</reservationSet>`);
const throttle = ec2Error('RequestLimitExceeded', 'Request limit exceeded.', 503);
const broken = ec2Error('InternalError', 'An internal error has occurred', 500);
const started = xml('StartInstances', '<instancesSet/>');

describe('retrying', () => {
  test('a read goes on through throttles, counted', async () => {
    const { ports } = openCell({ 'ec2:DescribeInstances': [throttle, throttle, page] });
    const { value, milliseconds } = await inVirtualTime(() => ports.fleet.listInstances(null, 50));
    expect(mustHave(value).items).toHaveLength(1);
    expect(milliseconds).toBeGreaterThanOrEqual(1500);
    expect(ports.tally.take()).toEqual({ calls: { 'ec2:DescribeInstances': 3 }, throttled: 2 });
    expect(ports.tally.take()).toEqual({ calls: {}, throttled: 0 });
  });

  test('a 429 is a throttle, whatever its code is called', async () => {
    const { ports } = openCell({ 'ec2:StartInstances': [ec2Error('SomethingNew', 'slow down', 429), started] });
    expect((await inVirtualTime(() => ports.power.start(A))).value.ok).toBe(true);
    expect(ports.tally.take().throttled).toBe(1);
  });

  test('throttled for good it gives up within a minute and says what to do', async () => {
    const { ports, aws } = openCell({ 'ec2:DescribeInstances': throttle });
    const { value, milliseconds } = await inVirtualTime(() => ports.fleet.listInstances(null, 50));
    expect(errorOf(value)).toMatchObject({
      call: 'ec2:DescribeInstances',
      code: 'RequestLimitExceeded',
      next: expect.stringContaining('quotaShare'),
      kind: 'failed',
    });
    expect(aws.requests).toHaveLength(7);
    expect(milliseconds).toBeLessThan(60_000);
  });

  test('an API that stayed throttled is not given the whole patience again, until it answers', async () => {
    let open = false;
    const { ports, aws } = openCell({ 'ec2:DescribeInstances': () => (open ? page : throttle) });
    await inVirtualTime(async () => {
      await ports.fleet.listInstances(null, 50);
      await ports.fleet.listInstances(null, 50);
    });
    expect(aws.requests).toHaveLength(7 + 2);
    open = true;
    await inVirtualTime(() => ports.fleet.listInstances(null, 50));
    open = false;
    await inVirtualTime(() => ports.fleet.listInstances(null, 50));
    expect(aws.requests).toHaveLength(7 + 2 + 1 + 7);
  });

  test.each([
    ['a 500', broken, 'InternalError'],
    ['a broken connection', brokenConnection(), 'ECONNRESET'],
    ['a refused connection', brokenConnection('ECONNREFUSED'), 'ECONNREFUSED'],
  ])('a read survives %s once, and ends with it after three times', async (_, step, code) => {
    const once = openCell({ 'ec2:DescribeInstances': [step, page] });
    expect((await inVirtualTime(() => once.ports.fleet.listInstances(null, 50))).value.ok).toBe(true);
    const always = openCell({ 'ec2:DescribeInstances': step });
    const { value } = await inVirtualTime(() => always.ports.fleet.listInstances(null, 50));
    expect(errorOf(value)).toMatchObject({ code, kind: 'failed' });
    expect(errorOf(value).next).toMatch(/endpoint|Health Dashboard/);
    expect(always.aws.requests).toHaveLength(3);
  });

  test('a read is not asked again after an answer that will stay', async () => {
    const { ports, aws } = openCell({ 'ec2:DescribeInstances': ec2Error('InvalidParameterValue', 'no', 400) });
    await ports.fleet.listInstances(null, 50);
    expect(aws.requests).toHaveLength(1);
  });

  test('a change is asked again after a throttle, which means: not done', async () => {
    const { ports, aws } = openCell({ 'ec2:StartInstances': [throttle, started] });
    expect((await inVirtualTime(() => ports.power.start(A))).value).toEqual({ ok: true, value: null });
    expect(aws.requests).toHaveLength(2);
  });

  test.each(['stop', 'reboot'] as const)('a %s is not: what allowed it may not hold any more by then', async (act) => {
    const { ports, aws } = openCell({ 'ec2:StopInstances': throttle, 'ec2:RebootInstances': throttle });
    const { value, milliseconds } = await inVirtualTime(() => ports.power[act](A));
    expect(value).toMatchObject({ ok: false, lost: false, throttled: true, error: { code: 'RequestLimitExceeded' } });
    expect(aws.requests).toHaveLength(1);
    expect(milliseconds).toBeLessThan(1000);
  });

  test.each([
    ['a 500', broken],
    ['a broken connection', brokenConnection()],
    ['no answer', () => new Promise<never>(() => {})],
  ])('a change is never asked again after %s', async (_, step) => {
    for (const act of ['stop', 'start', 'reboot', 'unmarkStopped'] as const) {
      const { ports, aws } = openCell({
        'ec2:StopInstances': step,
        'ec2:StartInstances': step,
        'ec2:RebootInstances': step,
        'ec2:DeleteTags': step,
      });
      const { value } = await inVirtualTime(() => ports.power[act](A));
      expect(errorOf(value)).toMatchObject({ instanceId: A, kind: 'failed' });
      expect(aws.requests).toHaveLength(1);
    }
  });

  test('no answer at all is an error in bounded time', async () => {
    const { ports } = openCell({ 'ec2:DescribeInstances': () => new Promise<never>(() => {}) });
    const { value, milliseconds } = await inVirtualTime(() => ports.fleet.listInstances(null, 50));
    expect(errorOf(value)).toMatchObject({ code: 'TimeoutError', next: expect.stringContaining('endpoint') });
    expect(milliseconds).toBeLessThanOrEqual(60_000);
  });

  test('an answer that cannot be read is an error, not an empty list', async () => {
    const html = { status: 200, contentType: 'text/html', body: '{"Instan' };
    const { ports } = openCell({ 'ssm:DescribeInstanceInformation': html });
    const { value } = await inVirtualTime(() => ports.fleet.agents([A]));
    expect(errorOf(value)).toMatchObject({ call: 'ssm:DescribeInstanceInformation', code: 'UnreadableAnswer' });
  });

  test('a mistake in our own code is thrown, not reported as a failure of AWS', async () => {
    const { ports, aws } = openCell({});
    const nothing = undefined as unknown as string[];
    await expect(ports.runCommand.send({ instanceIds: [A], document: nothing } as never)).rejects.toThrow(TypeError);
    expect(aws.requests).toHaveLength(0);
  });

  test('an error page of a proxy is named by its status', async () => {
    const gateway = { status: 502, contentType: 'text/html', body: '<html>Bad Gateway</html>' };
    const { ports } = openCell({ 'ec2:DescribeInstances': gateway });
    const { value } = await inVirtualTime(() => ports.fleet.listInstances(null, 50));
    expect(errorOf(value)).toMatchObject({ call: 'ec2:DescribeInstances', code: 'HTTP 502', kind: 'failed' });
    const ssm = openCell({ 'ssm:DescribeInstanceInformation': gateway });
    const agents = (await inVirtualTime(() => ssm.ports.fleet.agents([A]))).value;
    expect(errorOf(agents)).toMatchObject({
      call: 'ssm:DescribeInstanceInformation',
      code: 'HTTP 502',
      message: expect.stringContaining('HTTP 502'),
    });
  });
});

describe('pacing', () => {
  const consoles = xml('GetConsoleOutput', `<instanceId>${A}</instanceId>`);
  const readMany = (ports: ReturnType<typeof openCell>['ports'], count: number) =>
    inVirtualTime(() => Promise.all(Array.from({ length: count }, (_, n) => ports.console.read(instanceId(n), null))));

  test('stays below the share of the documented rate: 100 saved up, 20 a second', async () => {
    const whole = openCell({ 'ec2:GetConsoleOutput': consoles });
    expect((await readMany(whole.ports, 300)).milliseconds).toBe(10_000);
    const half = openCell({ 'ec2:GetConsoleOutput': consoles }, { quotaShare: 0.5 });
    expect((await readMany(half.ports, 300)).milliseconds).toBe(25_000);
    const times = half.aws.requests.map((request) => request.at - half.aws.requests[0]!.at);
    expect(times.filter((at) => at === 0)).toHaveLength(50);
    expect(times.filter((at) => at > 10_000 && at <= 20_000)).toHaveLength(100);
  });

  test('two openings of a cell share its pacing, but count for themselves', async () => {
    const { createOpenCell } = await import('../../../lambdas/aws/open-cell.ts');
    const { scriptedAws } = await import('../../support/scripted-aws.ts');
    const { CELL, deployment } = await import('./support.ts');
    const aws = scriptedAws({ 'ec2:GetConsoleOutput': consoles });
    const open = createOpenCell(deployment(), aws.wire);
    const [one, two] = [open(CELL, 1), open(CELL, 1)];
    const { milliseconds } = await inVirtualTime(() =>
      Promise.all(
        [one, two].flatMap((ports) => Array.from({ length: 100 }, (_, n) => ports.console.read(instanceId(n), null))),
      ),
    );
    expect(milliseconds).toBe(5000);
    expect(one.tally.take().calls).toEqual({ 'ec2:GetConsoleOutput': 100 });
    expect(two.tally.take().calls).toEqual({ 'ec2:GetConsoleOutput': 100 });
  });

  test('starts are the tightest: 5 saved up, 2 a second', async () => {
    const { ports } = openCell({ 'ec2:StartInstances': xml('StartInstances', '<instancesSet/>') });
    const { milliseconds } = await inVirtualTime(() =>
      Promise.all(Array.from({ length: 15 }, (_, n) => ports.power.start(instanceId(n)))),
    );
    expect(milliseconds).toBe(5000);
  });

  test('the waits are the same every time', async () => {
    const run = async () => {
      const { ports, aws } = openCell({ 'ec2:DescribeInstances': [throttle, broken, throttle, page] });
      await inVirtualTime(() => ports.fleet.listInstances(null, 50));
      return aws.requests.map((request) => request.at);
    };
    expect(await run()).toEqual(await run());
  });
});

describe('what a person does next', () => {
  test.each([
    [
      jsonError(
        'AccessDeniedException',
        'User: arn:aws:sts::1:x is not authorized to perform: ssm:DescribeInstanceInformation on resource: *',
      ),
      'grant ssm:DescribeInstanceInformation',
    ],
    [jsonError('AccessDenied', 'User: x is not authorized to perform: sts:AssumeRole on resource: y'), 'member role'],
    [jsonError('ExpiredTokenException', 'The security token included in the request is expired'), 'log in again'],
    [jsonError('UnrecognizedClientException', 'The security token included in the request is invalid'), 'log in again'],
    [jsonError('OptInRequired', 'You are not subscribed to this service', 403), 'enable this region'],
  ])('%#', async (reply, next) => {
    const { ports } = openCell({ 'ssm:DescribeInstanceInformation': reply });
    expect(errorOf(await ports.fleet.agents([A]))).toMatchObject({
      next: expect.stringContaining(next),
      kind: 'failed',
    });
  });

  test('messages are one printable line of bounded length', async () => {
    const { ports } = openCell({
      'ssm:DescribeInstanceInformation': jsonError('ValidationException', `a\n\u001b[31mb${'x'.repeat(9000)}`),
    });
    const { message } = errorOf(await ports.fleet.agents([A]));
    expect(message).toMatch(/^a \[31mb/);
    expect(message).toHaveLength(400);
  });

  test('an endpoint that is no URL is named as such, at once', async () => {
    const { ports, aws } = openCell({}, { wire: { endpoint: 'not a url' } });
    expect(errorOf(await ports.fleet.agents([A]))).toMatchObject({
      code: 'ERR_INVALID_URL',
      next: expect.stringContaining('correct the endpoint'),
    });
    expect(aws.requests).toHaveLength(0);
  });

  test('without credentials it says so', async () => {
    const credentials = async () => {
      throw Object.assign(new Error('Could not load credentials from any providers'), {
        name: 'CredentialsProviderError',
      });
    };
    const { ports, aws } = openCell({ 'ssm:DescribeInstanceInformation': json({}) }, { wire: { credentials } });
    expect(errorOf(await ports.fleet.agents([A]))).toMatchObject({
      code: 'CredentialsProviderError',
      next: expect.stringContaining('log in'),
    });
    expect(aws.requests).toHaveLength(0);
  });
});
