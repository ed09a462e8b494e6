/** The construct in somebody else's CDK app: none of cdk.json's flags, other resources beside it, their own stack names. */
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Subscription, SubscriptionProtocol } from 'aws-cdk-lib/aws-sns';
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from 'aws-cdk-lib/custom-resources';
import { AuditBacklogRemediation } from '../../lib/audit-backlog-remediation.ts';
import { MemberRoleStack } from '../../lib/cell-stack.ts';
import { resources } from './synth.ts';

const HUB = '111122223333';
const MEMBER = '444455556666';
const app = new App({ context: { 'aws:cdk:bundling-stacks': [] }, analyticsReporting: false });
const stack = new Stack(app, 'Platform', { env: { account: HUB, region: 'eu-west-1' } });
new AwsCustomResource(stack, 'Theirs', {
  onCreate: { service: 'sts', action: 'GetCallerIdentity', physicalResourceId: PhysicalResourceId.of('x') },
  policy: AwsCustomResourcePolicy.fromSdkCalls({ resources: AwsCustomResourcePolicy.ANY_RESOURCE }),
  installLatestAwsSdk: false,
});
const service = new AuditBacklogRemediation(stack, 'Backlog', {
  account: HUB,
  region: 'eu-west-1',
  policy: { scope: { accounts: [HUB, MEMBER] } },
});
new Subscription(stack, 'Pager', {
  topic: service.topic,
  protocol: SubscriptionProtocol.HTTPS,
  endpoint: 'https://pager.example.com/',
});
const member = new MemberRoleStack(app, 'Member', {
  settings: { ...service.settings, account: HUB },
  serviceStackName: stack.stackName,
  env: { account: MEMBER, region: 'eu-west-1' },
});
const template = Template.fromStack(stack);

it('is deployed with its safe defaults', () => {
  const own = resources(template, 'AWS::Lambda::Function').filter(([id]) => id.startsWith('Backlog'));
  expect(own).toHaveLength(5);
  for (const [, { Properties }] of own) {
    expect(Properties.Environment.Variables.POLICY).toBe(`{"scope":{"accounts":["${HUB}","${MEMBER}"]}}`);
  }
  expect(JSON.stringify(template.toJSON())).not.toMatch(/ec2:(Stop|Reboot)Instances|ssm:SendCommand/);
  expect(service.settings.policy.mode).toBe('plan');
});

it('gives its roles nothing but the rows, whatever flags the app sets', () => {
  const policies = resources(template, 'AWS::IAM::Policy').filter(([id]) => /^Backlog.*Role/.test(id));
  for (const [id, { Properties }] of policies) {
    for (const { Sid, Effect } of Properties.PolicyDocument.Statement)
      expect([id, Sid, Effect]).toEqual([id, expect.any(String), 'Allow']);
  }
  for (const [id, role] of resources(template, 'AWS::IAM::Role').filter(([key]) => key.startsWith('Backlog'))) {
    expect([id, role.Properties.ManagedPolicyArns]).toEqual([id, undefined]);
  }
});

it("shares the CDK's function for API calls with the app, and gives its role the one permission that it needs", () => {
  const shared = resources(template, 'AWS::Lambda::Function').filter(([id]) => id.startsWith('AWS679'));
  expect(shared).toHaveLength(1);
  const [role] = shared[0]?.[1].Properties.Role['Fn::GetAtt'] ?? [];
  const permitted = resources(template, 'AWS::IAM::Policy').filter(([, { Properties }]) =>
    JSON.stringify(Properties).includes('schemas:CreateRegistry'),
  );
  expect(permitted.flatMap(([, { Properties }]) => Properties.Roles)).toEqual([{ Ref: role }]);
});

it('is trusted in a member account by the name of the stack that holds it', () => {
  const [found] = resources(Template.fromStack(member), 'AWS::IAM::Role');
  expect(JSON.stringify(found?.[1].Properties.AssumeRolePolicyDocument)).toContain(`:iam::${HUB}:role/Platform-*`);
});

it('refuses a wrong property with one line that names it', () => {
  const refused = () => new AuditBacklogRemediation(new Stack(app, 'Wrong'), 'Backlog', { schedule: 'daily' });
  expect(refused).toThrow(/^auditBacklogRemediation: schedule: write it like [^\n]+$/);
});
