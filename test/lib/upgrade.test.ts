/** What an upgrade does: one deployment's templates beside those of the next, with another policy or another runbook. */
import type { SettingsInput } from '../../lib/settings.ts';
import { appWith, type Json, type Resource, resources, templateOf } from './synth.ts';

const MEMBER = '444455556666';
const base = { account: '111122223333', region: 'eu-west-1' };
const settings = (more: object = {}) => ({ ...base, policy: { scope: { accounts: [base.account, MEMBER] }, ...more } });
const apps = { before: appWith(settings()), after: appWith(settings({ mode: 'apply', quotaShare: 0.25 })) };
const templates = (stack?: string) => [templateOf(apps.before, stack), templateOf(apps.after, stack)] as const;
const [before, after] = templates();
const all = (template: typeof before) =>
  Object.entries(template.toJSON().Resources) as [string, Resource & { Type: string }][];

/** Properties whose change replaces the resource, by type; where the stack sets them at all. */
const NAMES: Readonly<Record<string, string>> = {
  'AWS::CloudWatch::Alarm': 'AlarmName',
  'AWS::CloudWatch::Dashboard': 'DashboardName',
  'AWS::DynamoDB::Table': 'TableName',
  'AWS::IAM::Role': 'RoleName',
  'AWS::Lambda::Function': 'FunctionName',
  'AWS::Logs::LogGroup': 'LogGroupName',
  'AWS::Logs::MetricFilter': 'FilterName',
  'AWS::SNS::Topic': 'TopicName',
  'AWS::SQS::Queue': 'QueueName',
  'AWS::Scheduler::Schedule': 'Name',
};
/** Types that have no name of their own to meet, by why. */
const NAMELESS: Readonly<Record<string, string>> = {
  'AWS::EventSchemas::Schema': 'named after the run function, whose name CloudFormation makes',
  'AWS::IAM::Policy': 'inline: within its role',
  'AWS::Lambda::Alias': 'within its function',
  'AWS::Lambda::EventInvokeConfig': 'of its alias',
  'AWS::Lambda::Version': 'numbered by Lambda',
  'AWS::Logs::QueryDefinition': 'has an id; names may stand twice',
  'AWS::SNS::TopicPolicy': 'of its topic',
  'AWS::SQS::QueuePolicy': 'of its queue',
  'AWS::SSM::Document': 'found by its name in every cell; gets new versions and is never replaced',
  'Custom::TestEventRegistry': "makes what is not the stack's",
};

it('nothing has a fixed name that a replacement would meet', () => {
  for (const [id, { Type: type, Properties }] of all(before)) {
    const property = NAMES[type];
    expect([id, type, property !== undefined || NAMELESS[type] !== undefined]).toEqual([id, type, true]);
    if (property) expect([id, Properties[property]]).toEqual([id, undefined]);
  }
});

it('a changed function gets a new version, and the alias goes over to it; the function itself stays', () => {
  const of = (template: typeof before, type: string) => new Map(resources(template, type));
  const functions = [of(before, 'AWS::Lambda::Function'), of(after, 'AWS::Lambda::Function')] as const;
  expect([...functions[1].keys()]).toEqual([...functions[0].keys()]);
  const versions = [of(before, 'AWS::Lambda::Version'), of(after, 'AWS::Lambda::Version')] as const;
  expect([...versions[1].keys()].filter((id) => versions[0].has(id))).toEqual([]);
  // Executions that run are on the old ones, which CloudFormation takes out of the stack and does not delete.
  for (const map of versions) {
    expect(map.size).toBe(5);
    for (const [id, version] of map) expect([id, version.DeletionPolicy]).toEqual([id, 'RetainExceptOnCreate']);
  }
  const pointed = (template: typeof before) =>
    resources(template, 'AWS::Lambda::Alias').map(([id, { Properties }]): [string, string] => [
      id,
      Properties.FunctionVersion['Fn::GetAtt'][0],
    ]);
  expect(pointed(after).map(([id]) => id)).toEqual(pointed(before).map(([id]) => id));
  expect(new Set(pointed(after).map(([, version]) => version))).toEqual(new Set(versions[1].keys()));
});

it('functions whose roles are made anew get a new version, since a version keeps the ARN of its role', () => {
  const versions = (settings: SettingsInput) => resources(templateOf(appWith(settings)), 'AWS::Lambda::Version');
  const [root, path] = [versions({}), versions({ roles: { path: '/ops/' } })].map((all) => all.map(([id]) => id));
  expect(root).toHaveLength(5);
  expect(path?.filter((id) => root?.includes(id))).toEqual([]);
});

it('what is durable can be so from its creation only, and stays so', () => {
  const durable = (template: typeof before) =>
    resources(template, 'AWS::Lambda::Function').map(([id, { Properties }]) => [id, Properties.DurableConfig]);
  expect(durable(after)).toEqual(durable(before));
});

it('nothing is deleted or made anew but versions: table, records, topic and queue are the same resources', () => {
  const lasting = (template: typeof before) =>
    all(template)
      .filter(([, { Type: type }]) => type !== 'AWS::Lambda::Version')
      .map(([id, { Type: type }]) => `${type} ${id}`);
  expect(lasting(after)).toEqual(lasting(before));
});

it('every document is updated by a new version, in every cell', () => {
  for (const stack of [undefined, `AuditBacklogRemediation-Cell-${MEMBER}-eu-west-1`]) {
    for (const template of templates(stack)) {
      const [document, ...others] = resources(template, 'AWS::SSM::Document').map(([, { Properties }]) => Properties);
      expect(others).toEqual([]);
      expect(document).toMatchObject({ UpdateMethod: 'NewVersion', Name: 'AuditBacklogRemediation-Resize' });
    }
  }
});

it('what is kept when the stack goes is what the teardown names: the table and the records', () => {
  const kept = all(before).filter(([, { DeletionPolicy }]) => DeletionPolicy === 'Retain');
  const types = kept.map(([, { Type: type }]) => type).filter((type) => type !== 'AWS::Lambda::Version');
  expect(types.sort()).toEqual(['AWS::DynamoDB::Table', 'AWS::Logs::LogGroup']);
  const [[, table]] = resources(before, 'AWS::DynamoDB::Table') as [[string, Json]];
  expect(table.Properties).toMatchObject({
    DeletionProtectionEnabled: true,
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
  });
});
