import { deploymentFromEnvironment, nextFunction } from '../../../lambdas/aws/deployment.ts';

const arn = (name: string) => `arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:${name}:live`;
const ENVIRONMENT = {
  AWS_REGION: 'us-gov-west-1',
  ACCOUNT_ID: '111122223333',
  TABLE_NAME: 'ledger',
  LOG_GROUP_NAME: '/audit-backlog',
  EVENT_BUS_NAME: 'default',
  DOCUMENT_NAME: 'ResizeAuditBacklog',
  DOCUMENT_HASH: 'a'.repeat(64),
  POLICY: '{"mode":"apply","quotaShare":0.25}',
  SWEEP_FUNCTION_ARN: arn('sweep'),
  CELL_FUNCTION_ARN: arn('cell'),
  RESTART_FUNCTION_ARN: arn('restart'),
};

test('reads a deployment, with the policy complete', () => {
  const deployment = deploymentFromEnvironment({ ...ENVIRONMENT, TOPIC_ARN: '', PATH: '/bin' });
  expect(deployment).toMatchObject({
    home: { accountId: '111122223333', region: 'us-gov-west-1' },
    topicArn: null,
    memberRoleName: null,
    externalId: null,
    documentHash: 'a'.repeat(64),
    policy: { mode: 'apply', quotaShare: 0.25, restart: { policy: 'tagged' } },
  });
});

test('reads what is optional', () => {
  const deployment = deploymentFromEnvironment({
    ...ENVIRONMENT,
    TOPIC_ARN: 'arn:aws:sns:us-gov-west-1:111122223333:news',
    MEMBER_ROLE_NAME: 'audit-backlog-member',
    EXTERNAL_ID: 'fleet-1',
  });
  expect(deployment).toMatchObject({ memberRoleName: 'audit-backlog-member', externalId: 'fleet-1' });
  expect(deployment.topicArn).toContain(':news');
});

test.each([
  ['us-gov-west-1', {}, 'aws-us-gov'],
  ['cn-north-1', {}, 'aws-cn'],
  ['eu-west-1', {}, 'aws'],
  ['eu-west-1', { CELL_FUNCTION_ARN: arn('cell') }, 'aws-us-gov'],
])('the partition of %s with %j is %s', (region, arns, expected) => {
  const { SWEEP_FUNCTION_ARN: _s, CELL_FUNCTION_ARN: _c, RESTART_FUNCTION_ARN: _r, ...rest } = ENVIRONMENT;
  expect(deploymentFromEnvironment({ ...rest, ...arns, AWS_REGION: region }).partition).toBe(expected);
});

test('a function that was not told of the next one says which variable is missing', () => {
  const deployment = deploymentFromEnvironment({ ...ENVIRONMENT, RESTART_FUNCTION_ARN: undefined });
  expect(nextFunction(deployment, 'cell')).toBe(arn('cell'));
  expect(() => nextFunction(deployment, 'restart')).toThrow(/RESTART_FUNCTION_ARN is not set/);
});

test.each([
  [{ TABLE_NAME: undefined }, 'TABLE_NAME'],
  [{ ACCOUNT_ID: '1' }, 'ACCOUNT_ID: an AWS account id has 12 digits'],
  [{ DOCUMENT_HASH: 'x' }, 'DOCUMENT_HASH: a SHA-256 of 64 hexadecimal digits'],
  [{ TOPIC_ARN: 'news' }, 'TOPIC_ARN: an SNS topic ARN'],
  [{ SWEEP_FUNCTION_ARN: arn('sweep').replace(':live', '') }, 'SWEEP_FUNCTION_ARN: a qualified function ARN'],
  [{ POLICY: '{' }, 'POLICY: it is not JSON'],
  [{ POLICY: '{"mode":"cure"}' }, 'POLICY: mode'],
  [{ POLICY: '{"modus":"plan"}' }, 'POLICY: unknown field modus'],
])('%j is one line that names it', (changes, expected) => {
  const read = () => deploymentFromEnvironment({ ...ENVIRONMENT, ...changes });
  expect(read).toThrow(expect.objectContaining({ name: 'InvalidInputError' }));
  expect(read).toThrow(expected);
  expect(read).not.toThrow(/\n/);
});

test('names everything that is wrong at once and repeats no value', () => {
  const read = () => deploymentFromEnvironment({ ...ENVIRONMENT, ACCOUNT_ID: 'secret', AWS_REGION: 'nowhere' });
  expect(read).toThrow(/AWS_REGION.*ACCOUNT_ID/);
  expect(read).not.toThrow(/secret|nowhere/);
});
