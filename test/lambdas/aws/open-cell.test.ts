import { createHubPorts, createOpenCell, createReadOnlyCell, readAccountId } from '../../../lambdas/aws/open-cell.ts';
import { brokenConnection, inVirtualTime, json, jsonError, scriptedAws, xml } from '../../support/scripted-aws.ts';
import { CELL, deployment, errorOf, instanceXml, mustHave, openCell } from './support.ts';

const page = xml('DescribeInstances', `<reservationSet>${instanceXml('i-00000001')}</reservationSet>`);
const assumed = xml(
  'AssumeRole',
  `<AssumeRoleResult><Credentials><AccessKeyId>AKMEMBER</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
   <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>`,
);
const MEMBER = { accountId: '444455556666', region: 'eu-central-1' };

test('a cell of the home account is entered with the own credentials, in its region', async () => {
  const { ports, aws } = openCell({ 'ec2:DescribeInstances': page }, { cell: { ...CELL, region: 'eu-north-1' } });
  expect(mustHave(await ports.fleet.listInstances(null, 50)).items).toHaveLength(1);
  expect(aws.requests[0]).toMatchObject({ region: 'eu-north-1', hostname: 'ec2.eu-north-1.amazonaws.com' });
});

test('a cell of another account is entered by the member role; the ledger stays at home', async () => {
  const { ports, aws } = openCell(
    { 'sts:AssumeRole': assumed, 'ec2:DescribeInstances': page, 'dynamodb:GetItem': json({}) },
    { cell: MEMBER, deployment: { memberRoleName: 'member', externalId: 'fleet-1' } },
  );
  mustHave(await ports.fleet.listInstances(null, 50));
  mustHave(await ports.fleet.listInstances(null, 50));
  mustHave(await ports.ledger.getRun('run-0001'));
  expect(aws.of('sts:AssumeRole')).toHaveLength(1);
  expect(aws.of('sts:AssumeRole')[0]!.params).toMatchObject({
    RoleArn: 'arn:aws:iam::444455556666:role/member',
    ExternalId: 'fleet-1',
  });
  // Where the service runs STS takes its credentials for sure; a region that is opt-in may not be enabled at home.
  expect(aws.of('sts:AssumeRole')[0]).toMatchObject({ region: 'eu-west-1', hostname: 'sts.eu-west-1.amazonaws.com' });
  expect(aws.of('ec2:DescribeInstances')[0]!.region).toBe('eu-central-1');
  const access = (call: string) => aws.of(call)[0]!.headers.authorization;
  expect(access('ec2:DescribeInstances')).toContain('AKMEMBER');
  expect(access('dynamodb:GetItem')).toContain('AKIDEXAMPLE');
  expect(aws.of('dynamodb:GetItem')[0]!.region).toBe('eu-west-1');
});

test('a role that may not be assumed is named as such', async () => {
  const denied = {
    status: 403,
    contentType: 'text/xml',
    body: `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:sts::1:x is not authorized to perform: sts:AssumeRole on resource: y</Message></Error></ErrorResponse>`,
  };
  const { ports } = openCell({ 'sts:AssumeRole': denied }, { cell: MEMBER, deployment: { memberRoleName: 'member' } });
  const { value } = await inVirtualTime(() => ports.fleet.listInstances(null, 50));
  expect(errorOf(value)).toMatchObject({ code: 'AccessDenied', next: expect.stringContaining('member role') });
});

test('opening a cell nobody can enter does not fail; its first call does', async () => {
  const { ports, aws } = openCell({}, { cell: MEMBER });
  expect(errorOf(await ports.fleet.listInstances(null, 50))).toMatchObject({
    code: 'NoMemberRole',
    message: expect.stringContaining('444455556666'),
    next: expect.stringContaining('member role'),
  });
  expect(aws.requests).toHaveLength(0);
});

describe('startSweep', () => {
  const ARN = 'arn:aws:lambda:eu-west-1:111122223333:function:sweep:live/durable-execution/run-1/1';
  const started = {
    status: 202,
    contentType: 'application/json',
    body: '',
    headers: { 'x-amz-durable-execution-arn': ARN },
  };
  const start = async (step: Parameters<typeof scriptedAws>[0][string]) => {
    const aws = scriptedAws({ 'lambda:POST': step });
    const hub = createHubPorts(deployment(), aws.wire);
    return { aws, answer: (await inVirtualTime(() => hub.startSweep('run-1', { runId: 'run-1' }))).value };
  };

  test('starts it asynchronously, under its name, on the alias', async () => {
    const { aws, answer } = await start(started);
    expect(mustHave(answer)).toEqual({ executionArn: ARN });
    const request = aws.requests[0]!;
    expect(decodeURIComponent(request.path)).toContain('function:sweep:live/invocations');
    expect(request.headers).toMatchObject({
      'x-amz-invocation-type': 'Event',
      'x-amz-durable-execution-name': 'run-1',
    });
    expect(request.params).toEqual({ runId: 'run-1' });
  });

  test('a lost answer is asked again: the same name and payload is one execution', async () => {
    const { aws, answer } = await start([brokenConnection(), started]);
    expect(answer.ok).toBe(true);
    expect(aws.requests[0]!.headers['x-amz-durable-execution-name']).toBe('run-1');
    expect(aws.requests[1]!.headers['x-amz-durable-execution-name']).toBe('run-1');
  });

  test('a function that is not durable is an error', async () => {
    const { answer } = await start({ status: 202, contentType: 'application/json', body: '' });
    expect(errorOf(answer)).toMatchObject({ call: 'lambda:InvokeFunction', code: 'UnexpectedAnswer' });
  });
});

test('a read-only cell needs no deployment, and an account can be asked for', async () => {
  const aws = scriptedAws({
    'ec2:DescribeInstances': page,
    'sts:GetCallerIdentity': xml(
      'GetCallerIdentity',
      '<GetCallerIdentityResult><Account>444455556666</Account></GetCallerIdentityResult>',
    ),
  });
  expect(mustHave(await readAccountId('eu-west-1', aws.wire))).toBe('444455556666');
  const cell = createReadOnlyCell(MEMBER, 0.5, { ...aws.wire, endpoint: 'http://127.0.0.1:4599' });
  expect(mustHave(await cell.fleet.listInstances(null, 50)).items).toHaveLength(1);
  expect(aws.requests[1]).toMatchObject({ hostname: '127.0.0.1', region: 'eu-central-1' });
  expect(cell.tally.take().calls).toEqual({ 'ec2:DescribeInstances': 1 });
  expect(cell).not.toHaveProperty('power');
});

test('the clock is the one of the world it lives in', async () => {
  const open = createOpenCell(deployment(), scriptedAws({}).wire);
  const { value } = await inVirtualTime(async () => open(CELL, 1).clock.now());
  expect(value).toBe('2026-11-22T00:00:00.000Z');
});

test('an identity that is denied is an error', async () => {
  const aws = scriptedAws({ 'sts:GetCallerIdentity': jsonError('x', 'y', 500) });
  const { value } = await inVirtualTime(() => readAccountId('eu-west-1', aws.wire));
  expect(errorOf(value)).toMatchObject({ call: 'sts:GetCallerIdentity', kind: 'failed' });
});
