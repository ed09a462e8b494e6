import { isCapacityError } from '../../../lambdas/aws/errors.ts';
import { ec2Error, inVirtualTime, xml } from '../../support/scripted-aws.ts';
import { errorOf, instanceId, instanceXml, mustHave, openCell } from './support.ts';

const A = instanceId(1);
const B = instanceId(2);
const done = (action: string) => xml(action, '<return>true</return>');

test('the mark says whose stop it is and when', async () => {
  const { ports, aws } = openCell({ 'ec2:CreateTags': done('CreateTags') });
  await inVirtualTime(() => ports.power.markStopped(A, 'run-0001'));
  expect(aws.requests[0]!.params).toMatchObject({
    'ResourceId.1': A,
    'Tag.1.Key': 'AuditBacklogStopped',
    'Tag.1.Value': 'run-0001 2026-11-22T00:00:00.000Z',
  });
  expect(aws.requests[0]!.params).not.toHaveProperty('ResourceId.2');
});

test('the mark goes whatever it says', async () => {
  const { ports, aws } = openCell({ 'ec2:DeleteTags': done('DeleteTags') });
  expect(await ports.power.unmarkStopped(A)).toEqual({ ok: true, value: null });
  expect(aws.requests[0]!.params).toMatchObject({ 'ResourceId.1': A, 'Tag.1.Key': 'AuditBacklogStopped' });
  expect(aws.requests[0]!.params).not.toHaveProperty('Tag.1.Value');
});

test.each([
  ['stop', 'StopInstances'],
  ['start', 'StartInstances'],
  ['reboot', 'RebootInstances'],
] as const)('%s is one call for one instance', async (act, action) => {
  const { ports, aws } = openCell({ [`ec2:${action}`]: done(action) });
  expect(await ports.power[act](A)).toEqual({ ok: true, value: null });
  expect(aws.requests).toHaveLength(1);
  expect(aws.requests[0]!.params).toMatchObject({ 'InstanceId.1': A });
  expect(aws.requests[0]!.params).not.toHaveProperty('InstanceId.2');
  expect(aws.requests[0]!.params).not.toHaveProperty('Force');
});

test('a lack of capacity is told apart and asked once', async () => {
  for (const status of [400, 500, 503]) {
    const { ports, aws } = openCell({
      'ec2:StartInstances': ec2Error('InsufficientInstanceCapacity', 'We currently do not have sufficient', status),
    });
    const error = errorOf((await inVirtualTime(() => ports.power.start(A))).value);
    expect(isCapacityError(error.code)).toBe(true);
    expect(error).toMatchObject({ instanceId: A, next: expect.stringContaining('capacity') });
    expect(aws.requests).toHaveLength(1);
  }
  expect(isCapacityError('UnauthorizedOperation')).toBe(false);
});

test('a stop that protection forbids is refused for good', async () => {
  const { ports } = openCell({
    'ec2:StopInstances': ec2Error('OperationNotPermitted', 'The instance may not be stopped'),
  });
  expect(errorOf(await ports.power.stop(A))).toMatchObject({ kind: 'definitive', instanceId: A });
});

test('lists all that bear the mark, whatever page they are on and whatever their state', async () => {
  const marked = (id: string, value: string) =>
    instanceXml(id, `<tagSet><item><key>AuditBacklogStopped</key><value>${value}</value></item></tagSet>`);
  const { ports, aws } = openCell({
    'ec2:DescribeInstances': [
      xml('DescribeInstances', `<reservationSet>${marked(A, 'r1 t1')}</reservationSet><nextToken>n</nextToken>`),
      xml('DescribeInstances', `<reservationSet>${marked(B, 'r2 t2')}</reservationSet>`),
    ],
  });
  const found = mustHave(await ports.power.listMarked());
  expect(found.map(({ instance, mark }) => [instance.instanceId, mark])).toEqual([
    [A, 'r1 t1'],
    [B, 'r2 t2'],
  ]);
  for (const { params } of aws.requests) {
    expect(params).toMatchObject({ 'Filter.1.Name': 'tag-key', 'Filter.1.Value.1': 'AuditBacklogStopped' });
    expect(params).not.toHaveProperty('Filter.2.Name');
  }
  expect(aws.requests[1]!.params.NextToken).toBe('n');
});

test('the status tag holds only what a tag may hold', async () => {
  const { ports, aws } = openCell({ 'ec2:CreateTags': done('CreateTags') });
  await ports.power.tagStatus(A, `resized <8192>; ${'x'.repeat(400)}`);
  expect(aws.requests[0]!.params['Tag.1.Key']).toBe('AuditBacklogStatus');
  expect(aws.requests[0]!.params['Tag.1.Value']).toMatch(/^resized _8192__ x+$/);
  expect(String(aws.requests[0]!.params['Tag.1.Value'])).toHaveLength(256);
});
