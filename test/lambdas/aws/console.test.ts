import { ec2Error, inVirtualTime, xml } from '../../support/scripted-aws.ts';
import { instanceId, instanceXml, mustHave, openCell } from './support.ts';

const A = instanceId(1);
const B = instanceId(2);
const OVERFLOW = [
  '[    0.000000] Linux version 6.1.0-18-cloud-amd64 (build@host)',
  'Welcome to a secret place',
  '[ 4242.100000] audit: audit_backlog=321 > audit_backlog_limit=320',
  '[ 4242.100001] audit: backlog limit exceeded',
  '',
].join('\n');

const consoleOf = (text: string) =>
  xml(
    'GetConsoleOutput',
    `<instanceId>${A}</instanceId><timestamp>2026-11-22T01:02:03.000Z</timestamp>` +
      `<output>${Buffer.from(text).toString('base64')}</output>`,
  );
const unsupported = ec2Error(
  'UnsupportedOperation',
  'This instance type does not support retrieving the latest console logs',
);

test('reads with Latest and hands on evidence, never the text', async () => {
  const { ports, aws } = openCell({ 'ec2:GetConsoleOutput': consoleOf(OVERFLOW) });
  const reading = await ports.console.read(A, null);
  expect(reading).toMatchObject({
    status: 'read',
    evidence: { verdict: 'overflow', limit: 320 },
    latest: true,
    updatedAt: '2026-11-22T01:02:03.000Z',
    newUserSpaceLines: null,
  });
  expect(aws.requests[0]!.params).toMatchObject({ InstanceId: A, Latest: 'true' });
  expect(JSON.stringify(reading)).not.toContain('secret place');
});

test('a second reading counts what user space wrote since the mark', async () => {
  const { ports } = openCell({
    'ec2:GetConsoleOutput': [consoleOf(OVERFLOW), consoleOf(`${OVERFLOW}myapp: serving\n`), consoleOf(OVERFLOW)],
  });
  const first = await ports.console.read(A, null);
  if (first.status !== 'read') throw new Error(first.status);
  expect(await ports.console.read(A, first.mark)).toMatchObject({ newUserSpaceLines: 1 });
  expect(await ports.console.read(A, first.mark)).toMatchObject({ newUserSpaceLines: 0 });
});

test.each([
  ['no output at all', xml('GetConsoleOutput', `<instanceId>${A}</instanceId>`)],
  ['an empty output', consoleOf('')],
  ['blank lines', consoleOf(' \r\n\0\n')],
])('%s is empty, not healthy', async (_, reply) => {
  const { ports } = openCell({ 'ec2:GetConsoleOutput': reply });
  expect(await ports.console.read(A, null)).toEqual({ status: 'empty' });
});

test('bytes that are no text are read without harm', async () => {
  const bytes = Buffer.from(Array.from({ length: 512 }, (_, n) => n % 256)).toString('base64');
  const { ports } = openCell({
    'ec2:GetConsoleOutput': xml('GetConsoleOutput', `<output>${bytes}</output>`),
  });
  expect(await ports.console.read(A, null)).toMatchObject({ status: 'read', evidence: { verdict: 'none' } });
});

test('falls back where Latest is not supported, at the price of one call a type', async () => {
  const { ports, aws } = openCell({
    'ec2:DescribeInstances': xml(
      'DescribeInstances',
      `<reservationSet>${instanceXml(A, '', 't2.micro')}${instanceXml(B, '', 't2.micro')}</reservationSet>`,
    ),
    'ec2:GetConsoleOutput': (request) => (request.params.Latest === 'true' ? unsupported : consoleOf(OVERFLOW)),
  });
  mustHave(await ports.fleet.listInstances(null, 50));
  expect(await ports.console.read(A, null)).toMatchObject({ status: 'read', latest: false });
  expect(await ports.console.read(B, null)).toMatchObject({ status: 'read', latest: false });
  expect(aws.of('ec2:GetConsoleOutput').map((r) => [r.params.InstanceId, r.params.Latest])).toEqual([
    [A, 'true'],
    [A, 'false'],
    [B, 'false'],
  ]);
});

test('of an instance of unknown type the fallback is remembered for itself alone', async () => {
  const { ports, aws } = openCell({
    'ec2:GetConsoleOutput': (request) => (request.params.Latest === 'true' ? unsupported : consoleOf(OVERFLOW)),
  });
  await ports.console.read(A, null);
  await ports.console.read(A, null);
  await ports.console.read(B, null);
  expect(aws.requests.map((r) => r.params.Latest)).toEqual(['true', 'false', 'false', 'true', 'false']);
});

test('what stays unsupported or is gone is unreadable for good', async () => {
  const none = openCell({ 'ec2:GetConsoleOutput': unsupported });
  expect(await none.ports.console.read(A, null)).toMatchObject({
    status: 'unreadable',
    error: { code: 'UnsupportedOperation', kind: 'definitive', instanceId: A },
  });
  const gone = openCell({ 'ec2:GetConsoleOutput': ec2Error('InvalidInstanceID.NotFound', 'does not exist') });
  expect(await gone.ports.console.read(A, null)).toMatchObject({
    status: 'unreadable',
    error: { code: 'InvalidInstanceID.NotFound', kind: 'definitive' },
  });
});

test.each([
  ['denied', ec2Error('UnauthorizedOperation', 'no', 403), 'UnauthorizedOperation'],
  ['throttled to the end', ec2Error('RequestLimitExceeded', 'slow', 503), 'RequestLimitExceeded'],
  ['not answered', () => new Promise<never>(() => {}), 'TimeoutError'],
])('%s is unreadable and makes the run incomplete', async (_, step, code) => {
  const { ports } = openCell({ 'ec2:GetConsoleOutput': step });
  const { value } = await inVirtualTime(() => ports.console.read(A, null));
  expect(value).toMatchObject({
    status: 'unreadable',
    error: { call: 'ec2:GetConsoleOutput', code, kind: 'failed', instanceId: A },
  });
});
