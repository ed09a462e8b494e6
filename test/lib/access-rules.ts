/** Calls that a role may make or must be refused, by what the role is for. Said without looking at lib/. */
import type { JsonObject } from '../../simulator/core.ts';

export const HUB = '111122223333';
export const MEMBER = '444455556666';
export const STRANGER = '999999999999';
export const REGION = 'eu-west-1';
export const SECOND = 'us-east-1';
export const ELSEWHERE = 'ap-southeast-2';
export const KEY = '1234abcd-12ab-34cd-56ef-1234567890ab';

type Where = { readonly region?: string; readonly account?: string };
interface Asked {
  readonly service: string;
  readonly action: string;
  readonly params?: JsonObject;
  readonly where?: Where;
}

export const ec2 = (action: string, id: string, where?: Where): Asked => ({
  service: 'ec2',
  action,
  params: { [action.endsWith('Tags') ? 'ResourceId' : 'InstanceId']: [id] },
  ...(where ? { where } : {}),
});
const tags = (action: string, id: string, keys: readonly string[], where?: Where): Asked => ({
  ...ec2(action, id, where),
  params: { ResourceId: [id], ...(keys.length > 0 ? { Tag: keys.map((Key) => ({ Key, Value: 'x' })) } : {}) },
});
export const call = (name: string, params: JsonObject = {}, where?: Where): Asked => {
  const [service = '', action = ''] = name.split(':');
  return { service, action, params, ...(where ? { where } : {}) };
};

export const THERE = { region: SECOND };
const OTHER_REGION = { region: ELSEWHERE };
const OTHER_ACCOUNT = { account: STRANGER };
const READS = ['DescribeInstances', 'DescribeInstanceStatus', 'DescribeInstanceTypes'].map((a) => `ec2:${a}`);
const MORE_READS = [
  'ec2:DescribeSpotInstanceRequests',
  'ec2:DescribeVolumes',
  'elasticloadbalancing:DescribeTargetGroups',
  'elasticloadbalancing:DescribeTargetHealth',
  'ssm:DescribeInstanceInformation',
];

export interface Ruling {
  readonly asked: Asked;
  readonly allowed: boolean;
}
export type Rule = (may: (asked: Asked) => Ruling) => readonly Ruling[];
export const not = (asked: Asked): Ruling => ({ asked, allowed: false });
export const yes = (asked: Asked): Ruling => ({ asked, allowed: true });

/** Allowed and forbidden calls on the fleet, by what the role is for. */
export const look: Rule = (may) => [
  ...[...READS, ...MORE_READS].flatMap((name) => [
    may(call(name)),
    may(call(name, {}, THERE)),
    not(call(name, {}, OTHER_REGION)),
  ]),
  ...['i-plain', 'i-allowed', 'i-no'].map((id) => may(ec2('GetConsoleOutput', id))),
  ...['i-out', 'i-OUT'].map((id) => not(ec2('GetConsoleOutput', id))),
  may(ec2('GetConsoleOutput', 'i-plain', THERE)),
  not(ec2('GetConsoleOutput', 'i-plain', OTHER_REGION)),
  not(ec2('GetConsoleOutput', 'i-plain', OTHER_ACCOUNT)),
  may(ec2('DescribeInstanceAttribute', 'i-plain')),
  may(ec2('DescribeInstanceAttribute', 'i-plain', THERE)),
  not(ec2('DescribeInstanceAttribute', 'i-plain', OTHER_ACCOUNT)),
  not(ec2('DescribeInstanceAttribute', 'i-plain', OTHER_REGION)),
  may(call('kms:DescribeKey', { KeyId: `arn:aws:kms:${REGION}:${STRANGER}:key/${KEY}` })),
  may(call('kms:DescribeKey', { KeyId: `arn:aws:kms:${SECOND}:${STRANGER}:key/${KEY}` })),
  not(call('kms:DescribeKey', { KeyId: `arn:aws:kms:${ELSEWHERE}:${STRANGER}:key/${KEY}` })),
  not(call('kms:DescribeKey', { KeyId: `arn:aws:kms:${REGION}:${STRANGER}:alias/x` })),
];
export const pin: Rule = (may) =>
  ['ssm:DescribeDocument', 'ssm:GetDocument'].flatMap((name) => [
    may(call(name, { Name: 'Resize' })),
    may(call(name, { Name: 'Resize' }, THERE)),
    not(call(name, { Name: 'Other' })),
    not(call(name, { Name: 'Other' }, THERE)),
    not(call(name, { Name: 'AWS-RunShellScript' })),
  ]);
export const send: Rule = (may) => {
  const command = (name: string, id: string, where?: Where) =>
    call('ssm:SendCommand', { DocumentName: name, InstanceIds: [id] }, where);
  return [
    may(command('Resize', 'i-plain')),
    may(command('Resize', 'i-no', THERE)),
    not(command('AWS-RunShellScript', 'i-plain')),
    not(command('Other', 'i-plain')),
    not(command('Other', 'i-plain', THERE)),
    not(command('Resize', 'i-out')),
    not(command('Resize', 'i-OUT')),
    not(command('Resize', 'i-plain', OTHER_REGION)),
    not(command('Resize', 'i-plain', OTHER_ACCOUNT)),
    ...['ssm:GetCommandInvocation', 'ssm:ListCommandInvocations', 'ssm:ListCommands'].flatMap((name) => [
      may(call(name)),
      not(call(name, {}, OTHER_REGION)),
    ]),
  ];
};
export const status: Rule = (may) => [
  may(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'])),
  may(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'], THERE)),
  ...['i-out', 'i-OUT'].map((id) => not(tags('CreateTags', id, ['AuditBacklogStatus']))),
  not(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'], OTHER_REGION)),
  not(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'], OTHER_ACCOUNT)),
  ...['AuditBacklogRestart', 'AuditBacklogRemediation', 'Name'].flatMap((key) => [
    not(tags('CreateTags', 'i-allowed', [key])),
    not(tags('CreateTags', 'i-allowed', ['AuditBacklogStatus', key])),
  ]),
  // Without any tag in the request, ForAllValues alone would be true.
  not(tags('CreateTags', 'i-allowed', [])),
];
export const stop: Rule = (may) => [
  ...['StopInstances', 'RebootInstances'].flatMap((action) => [
    may(ec2(action, 'i-allowed')),
    may(ec2(action, 'i-allowed', THERE)),
    ...['i-plain', 'i-no', 'i-out', 'i-OUT', 'i-ours'].map((id) => not(ec2(action, id))),
    not(ec2(action, 'i-allowed', OTHER_REGION)),
    not(ec2(action, 'i-allowed', OTHER_ACCOUNT)),
  ]),
  may(tags('CreateTags', 'i-allowed', ['AuditBacklogStopped'])),
  may(tags('CreateTags', 'i-allowed', ['AuditBacklogStopped'], THERE)),
  ...['i-plain', 'i-no', 'i-out', 'i-OUT'].map((id) => not(tags('CreateTags', id, ['AuditBacklogStopped']))),
  not(tags('CreateTags', 'i-allowed', ['AuditBacklogStopped', 'AuditBacklogRemediation'])),
  not(tags('CreateTags', 'i-allowed', ['AuditBacklogStopped'], OTHER_REGION)),
  not(tags('CreateTags', 'i-allowed', ['AuditBacklogStopped'], OTHER_ACCOUNT)),
];
export const bring: Rule = (may) => [
  may(ec2('StartInstances', 'i-ours')),
  may(ec2('StartInstances', 'i-ours', THERE)),
  may(ec2('StartInstances', 'i-ours-out')),
  not(ec2('StartInstances', 'i-allowed')),
  not(ec2('StartInstances', 'i-plain')),
  not(ec2('StartInstances', 'i-ours', OTHER_REGION)),
  not(ec2('StartInstances', 'i-ours', OTHER_ACCOUNT)),
  may(tags('DeleteTags', 'i-ours', ['AuditBacklogStopped'])),
  may(tags('DeleteTags', 'i-ours', ['AuditBacklogStopped'], THERE)),
  may(tags('DeleteTags', 'i-ours-out', ['AuditBacklogStopped'])),
  not(tags('DeleteTags', 'i-ours', ['AuditBacklogStopped', 'AuditBacklogRemediation'])),
  not(tags('DeleteTags', 'i-out', ['AuditBacklogRemediation'])),
  not(tags('DeleteTags', 'i-ours', [])),
  not(tags('DeleteTags', 'i-ours', ['AuditBacklogStopped'], OTHER_REGION)),
  not(tags('DeleteTags', 'i-ours', ['AuditBacklogStopped'], OTHER_ACCOUNT)),
];

export const table =
  (...actions: string[]): Rule =>
  (may) =>
    ['BatchGetItem', 'BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'Scan', 'UpdateItem'].flatMap(
      (action) => {
        const params = (name: string) =>
          action.startsWith('Batch') ? { RequestItems: { [name]: [] } } : { TableName: name };
        const asked = call(`dynamodb:${action}`, params('ledger'));
        return actions.includes(action) ? [may(asked), not(call(`dynamodb:${action}`, params('other')))] : [not(asked)];
      },
    );
export const logTo =
  (group: string): Rule =>
  (may) =>
    ['logs:CreateLogStream', 'logs:PutLogEvents'].flatMap((name) => [
      may(call(name, { logGroupName: group, logStreamName: 's' })),
      not(call(name, { logGroupName: `${group}2`, logStreamName: 's' })),
    ]);
export const publish: Rule = (may) => {
  const put = (source: string, bus = 'default') =>
    call('events:PutEvents', { Entries: [{ Source: source, DetailType: 't', Detail: '{}', EventBusName: bus }] });
  return [may(put('audit-backlog-remediation')), not(put('aws.ec2')), not(put('audit-backlog-remediation', 'other'))];
};
export const tell: Rule = (may) => {
  const to = (topic: string) => call('sns:Publish', { TopicArn: `arn:aws:sns:${REGION}:${HUB}:${topic}` });
  return [may(to('news')), not(to('other'))];
};
export const dead: Rule = (may) => {
  const to = (queue: string) =>
    call('sqs:SendMessage', { QueueUrl: `https://sqs.${REGION}.amazonaws.com/${HUB}/${queue}` });
  return [may(to('dead')), not(to('other'))];
};
export const enter: Rule = (may) => {
  const into = (account: string, name: string) =>
    call('sts:AssumeRole', { RoleArn: `arn:aws:iam::${account}:role/${name}` });
  const role = 'AuditBacklogRemediationMember';
  return [may(into(MEMBER, role)), not(into(STRANGER, role)), not(into(MEMBER, 'Admin'))];
};
export const start =
  (next: string): Rule =>
  (may) => {
    const invoke = (name: string) =>
      call('lambda:Invoke', {
        FunctionName: `arn:aws:lambda:${REGION}:${HUB}:function:${name}`,
        InvocationType: 'Event',
      });
    return [may(invoke(`${next}:live`)), not(invoke(next)), not(invoke(`${next}:$LATEST`)), not(invoke('other:live'))];
  };
export const checkpoint =
  (own: string): Rule =>
  (may) =>
    ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'].flatMap((name) => {
      const of = (fn: string) =>
        call(name, { DurableExecutionArn: `arn:aws:lambda:${REGION}:${HUB}:function:${fn}:3/durable-execution/n/x` });
      return [may(of(own)), not(of(own === 'cell' ? 'sweep' : 'cell'))];
    });
export const ask: Rule = (may) => [
  may(call('ssm:GetCalendarState', { CalendarNames: ['Freeze'] })),
  not(call('ssm:GetCalendarState', { CalendarNames: ['Other'] })),
  may(call('monitoring:DescribeAlarms')),
];
/** Looking whether an execution still runs. */
export const watch =
  (...functions: readonly string[]): Rule =>
  (may) =>
    ['run', 'sweep', 'cell', 'restart', 'reconcile'].map((fn) => {
      const DurableExecutionArn = `arn:aws:lambda:${REGION}:${HUB}:function:${fn}:3/durable-execution/n/x`;
      const asked = call('lambda:GetDurableExecution', { DurableExecutionArn });
      return functions.includes(fn) ? may(asked) : not(asked);
    });
