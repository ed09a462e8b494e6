/**
 * What each role of the synthesized templates must be allowed and what IAM alone must forbid it, said without looking at
 * lib/: by the calls that the functions make and by what the owner of a fleet was promised.
 */
import type { ApiCall, JsonObject } from '../../simulator/core.ts';
import { type AccessRequest, decide } from '../../simulator/iam/decision.ts';
import type { Statement } from '../../simulator/iam/policy.ts';
import { accessRequests, type InstanceView } from '../../simulator/iam/requests.ts';
import { rolesOf, type TemplateRole } from '../../simulator/iam/template.ts';
import { appWith, templateOf } from './synth.ts';

export const HUB = '111122223333';
export const MEMBER = '444455556666';
const STRANGER = '999999999999';
const REGION = 'eu-west-1';
const SECOND = 'us-east-1';
const ELSEWHERE = 'ap-southeast-2';
const KEY = '1234abcd-12ab-34cd-56ef-1234567890ab';

/** Acting, in two regions and two accounts, with everything that gives a role a permission. */
export const SETTINGS = {
  account: HUB,
  region: REGION,
  documentName: 'Resize',
  policy: {
    mode: 'apply',
    scope: { accounts: [HUB, MEMBER], regions: [REGION, SECOND] },
    calendars: ['Freeze'],
    blockingAlarms: ['Incident'],
  },
} as const;

const FUNCTION = /^Service(Run|Sweep|Cell|Restart|Reconcile)(Role|Function|Live|Log)/;

/** What the resources of the stack are called where the expectations are checked. */
export function physicalName(logicalId: string): string | undefined {
  const [, name, what] = FUNCTION.exec(logicalId) ?? [];
  if (what === 'Live') return 'live';
  if (what === 'Log') return `/aws/lambda/${name?.toLowerCase()}`;
  if (name) return name.toLowerCase();
  const [, schedule] = /^ServiceSchedules(Sweep|Reconcile)Role/.exec(logicalId) ?? [];
  if (schedule) return `schedule-${schedule.toLowerCase()}`;
  const fixed = { ServiceRecords: 'records', ServiceLedger: 'ledger', ServiceNotif: 'news', ServiceDead: 'dead' };
  return Object.entries(fixed).find(([prefix]) => logicalId.startsWith(prefix))?.[1];
}

/** Roles of the five functions and the two schedules, and `member`: the role in the other account. */
export function synthesizedRoles(): readonly TemplateRole[] {
  const app = appWith(SETTINGS);
  const hub = rolesOf(templateOf(app).toJSON(), { accountId: HUB, region: REGION, physicalName });
  const member = rolesOf(templateOf(app, `AuditBacklogRemediation-Member-${MEMBER}`).toJSON(), {
    accountId: MEMBER,
    region: REGION,
    physicalName: () => 'member',
  });
  return [...hub, ...member];
}

const FUNCTIONS = ['run', 'sweep', 'cell', 'restart', 'reconcile'] as const;

const TAGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'i-plain': {},
  'i-allowed': { AuditBacklogRestart: 'allowed' },
  'i-no': { AuditBacklogRestart: 'no' },
  'i-out': { AuditBacklogRestart: 'allowed', AuditBacklogRemediation: 'disabled' },
  'i-OUT': { AuditBacklogRestart: 'allowed', AuditBacklogRemediation: 'Disabled' },
  'i-ours': { AuditBacklogStopped: 'm-1' },
  'i-ours-out': { AuditBacklogStopped: 'm-1', AuditBacklogRemediation: 'disabled' },
};
const directory = {
  find: (_account: string, _region: string, id: string): InstanceView | undefined => {
    const tags = TAGS[id];
    return tags ? { tags: new Map(Object.entries(tags)), volumes: [] } : undefined;
  },
};

/** One question and its answer. */
export interface Expectation {
  readonly role: string;
  readonly what: string;
  readonly allowed: boolean;
  readonly requests: readonly AccessRequest[];
}

/** Whether all that a call needs is allowed. @throws IamModelError for a policy that says what is not modelled. */
export function isAllowed(statements: readonly Statement[], { requests }: Expectation): boolean {
  return requests.every((request) => decide(statements, request).allowed);
}

type Where = { readonly region?: string; readonly account?: string };
interface Asked {
  readonly service: string;
  readonly action: string;
  readonly params?: JsonObject;
  readonly where?: Where;
}

const ec2 = (action: string, id: string, where?: Where): Asked => ({
  service: 'ec2',
  action,
  params: { [action.endsWith('Tags') ? 'ResourceId' : 'InstanceId']: [id] },
  ...(where ? { where } : {}),
});
const tags = (action: string, id: string, keys: readonly string[], where?: Where): Asked => ({
  ...ec2(action, id, where),
  params: { ResourceId: [id], ...(keys.length > 0 ? { Tag: keys.map((Key) => ({ Key, Value: 'x' })) } : {}) },
});
const call = (name: string, params: JsonObject = {}, where?: Where): Asked => {
  const [service = '', action = ''] = name.split(':');
  return { service, action, params, ...(where ? { where } : {}) };
};

const THERE = { region: SECOND };
const OTHER_REGION = { region: ELSEWHERE };
const OTHER_ACCOUNT = { account: STRANGER };
const READS = ['DescribeInstances', 'DescribeInstanceStatus', 'DescribeInstanceTypes'].map((a) => `ec2:${a}`);
const MORE_READS = ['ec2:DescribeSpotInstanceRequests', 'ec2:DescribeVolumes', 'ssm:DescribeInstanceInformation'];

/** Allowed and forbidden calls on the fleet, by what the role is for. */
const look: Rule = (may) => [
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
const pin: Rule = (may) =>
  ['ssm:DescribeDocument', 'ssm:GetDocument'].flatMap((name) => [
    may(call(name, { Name: 'Resize' })),
    may(call(name, { Name: 'Resize' }, THERE)),
    not(call(name, { Name: 'Other' })),
    not(call(name, { Name: 'AWS-RunShellScript' })),
  ]);
const send: Rule = (may) => {
  const command = (name: string, id: string, where?: Where) =>
    call('ssm:SendCommand', { DocumentName: name, InstanceIds: [id] }, where);
  return [
    may(command('Resize', 'i-plain')),
    may(command('Resize', 'i-no', THERE)),
    not(command('AWS-RunShellScript', 'i-plain')),
    not(command('Other', 'i-plain')),
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
const status: Rule = (may) => [
  may(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'])),
  may(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'], THERE)),
  not(tags('CreateTags', 'i-out', ['AuditBacklogStatus'])),
  not(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'], OTHER_REGION)),
  not(tags('CreateTags', 'i-plain', ['AuditBacklogStatus'], OTHER_ACCOUNT)),
  ...['AuditBacklogRestart', 'AuditBacklogRemediation', 'Name'].flatMap((key) => [
    not(tags('CreateTags', 'i-allowed', [key])),
    not(tags('CreateTags', 'i-allowed', ['AuditBacklogStatus', key])),
  ]),
  // Without any tag in the request, ForAllValues alone would be true.
  not(tags('CreateTags', 'i-allowed', [])),
];
const stop: Rule = (may) => [
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
const bring: Rule = (may) => [
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
/** Grants on keys: asked by EC2 in the caller's name, never by the function itself. */
const grant = (role: string, account: string): Expectation[] => {
  const ask = (allowed: boolean, what: string, region: string, more: readonly (readonly [string, string])[]) => ({
    role,
    allowed,
    what: `kms:CreateGrant ${what}`,
    requests: [
      {
        action: 'kms:CreateGrant',
        resource: `arn:aws:kms:${region}:${STRANGER}:key/${KEY}`,
        keys: new Set(['kms:viaservice', 'kms:grantisforawsresource']),
        context: new Map([['aws:principalaccount', account], ...more]),
      },
    ],
  });
  const via = ['kms:viaservice', `ec2.${REGION}.amazonaws.com`] as const;
  const forAws = ['kms:grantisforawsresource', 'true'] as const;
  return [
    ask(true, 'by EC2 for itself', REGION, [via, forAws]),
    ask(true, 'by EC2 for itself there', SECOND, [['kms:viaservice', `ec2.${SECOND}.amazonaws.com`], forAws]),
    ask(false, 'by the function', REGION, []),
    ask(false, 'through EC2, for anyone', REGION, [via, ['kms:grantisforawsresource', 'false']]),
    ask(false, 'through another service', REGION, [['kms:viaservice', `rds.${REGION}.amazonaws.com`], forAws]),
    ask(false, 'in another region', ELSEWHERE, [via, forAws]),
  ];
};

/** An opt-out holds whichever of the two tag keys SSM fills in. */
const sendByOneKey = (role: string, prefix: string): Expectation => {
  const asked = call('ssm:SendCommand', { DocumentName: 'Resize', InstanceIds: ['i-out'] });
  const line = expectation(role, not(asked));
  const requests = line.requests.map((request) => ({
    ...request,
    context: new Map([...request.context].filter(([key]) => !key.includes('tag/') || key.startsWith(prefix))),
  }));
  return { ...line, what: `${line.what} by ${prefix} alone`, requests };
};

/** What no role may ever do, on resources that it may do other things with: an action with a wildcard is seen by it. */
const NEVER: readonly (readonly [action: string, resource: string])[] = [
  ['ec2:TerminateInstances', 'ec2:instance/i-allowed'],
  ['ec2:ModifyInstanceAttribute', 'ec2:instance/i-allowed'],
  ['ec2:DescribeVpcs', '*'],
  ['ssm:StartSession', 'ec2:instance/i-allowed'],
  ['ssm:UpdateDocument', 'ssm:document/Resize'],
  ['ssm:DeleteDocument', 'ssm:document/Freeze'],
  ['ssm:DescribeParameters', '*'],
  ['kms:ScheduleKeyDeletion', `kms:key/${KEY}`],
  ['dynamodb:DeleteTable', 'dynamodb:table/ledger'],
  ['logs:DeleteLogStream', 'logs:log-group:records:log-stream:s'],
  ...FUNCTIONS.map((name) => ['logs:DeleteLogStream', `logs:log-group:/aws/lambda/${name}:log-stream:s`] as const),
  ['events:DescribeEventBus', 'events:event-bus/default'],
  ['sns:DeleteTopic', 'sns:news'],
  ['sqs:ReceiveMessage', 'sqs:dead'],
  ...FUNCTIONS.flatMap((name) => [
    ['lambda:UpdateAlias', `lambda:function:${name}:live`] as const,
    ['lambda:StopDurableExecution', `lambda:function:${name}:3`] as const,
  ]),
  ['cloudwatch:DeleteAlarms', '*'],
];
const never = (role: string): Expectation[] => {
  const account = role === 'member' ? MEMBER : HUB;
  const line = (action: string, resource: string): Expectation => ({
    role,
    allowed: false,
    what: `${action} ${resource}`,
    requests: [
      {
        action,
        resource,
        keys: new Set(['aws:requestedregion', 'aws:resourcetag/', 'ssm:resourcetag/', 'events:source']),
        context: new Map([
          ['aws:requestedregion', REGION],
          ['events:source', 'audit-backlog-remediation'],
          ['aws:resourcetag/auditbacklogrestart', 'allowed'],
          ['aws:resourcetag/auditbacklogstopped', 'm-1'],
        ]),
      },
    ],
  });
  const member = `arn:aws:iam::${MEMBER}:role/AuditBacklogRemediationMember`;
  return [
    ...NEVER.map(([action, rest]) => {
      const [service, ...name] = rest.split(':');
      return line(action, rest === '*' ? '*' : `arn:aws:${service}:${REGION}:${account}:${name.join(':')}`);
    }),
    line('sts:TagSession', member),
  ];
};

const table =
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
const logTo =
  (group: string): Rule =>
  (may) =>
    ['logs:CreateLogStream', 'logs:PutLogEvents'].flatMap((name) => [
      may(call(name, { logGroupName: group, logStreamName: 's' })),
      not(call(name, { logGroupName: `${group}2`, logStreamName: 's' })),
    ]);
const publish: Rule = (may) => {
  const put = (source: string, bus = 'default') =>
    call('events:PutEvents', { Entries: [{ Source: source, DetailType: 't', Detail: '{}', EventBusName: bus }] });
  return [may(put('audit-backlog-remediation')), not(put('aws.ec2')), not(put('audit-backlog-remediation', 'other'))];
};
const tell: Rule = (may) => {
  const to = (topic: string) => call('sns:Publish', { TopicArn: `arn:aws:sns:${REGION}:${HUB}:${topic}` });
  return [may(to('news')), not(to('other'))];
};
const dead: Rule = (may) => {
  const to = (queue: string) =>
    call('sqs:SendMessage', { QueueUrl: `https://sqs.${REGION}.amazonaws.com/${HUB}/${queue}` });
  return [may(to('dead')), not(to('other'))];
};
const enter: Rule = (may) => {
  const into = (account: string, name: string) =>
    call('sts:AssumeRole', { RoleArn: `arn:aws:iam::${account}:role/${name}` });
  const role = 'AuditBacklogRemediationMember';
  return [may(into(MEMBER, role)), not(into(STRANGER, role)), not(into(MEMBER, 'Admin'))];
};
const start =
  (next: string): Rule =>
  (may) => {
    const invoke = (name: string) =>
      call('lambda:Invoke', {
        FunctionName: `arn:aws:lambda:${REGION}:${HUB}:function:${name}`,
        InvocationType: 'Event',
      });
    return [may(invoke(`${next}:live`)), not(invoke(next)), not(invoke(`${next}:$LATEST`)), not(invoke('other:live'))];
  };
const checkpoint =
  (own: string): Rule =>
  (may) =>
    ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'].flatMap((name) => {
      const of = (fn: string) =>
        call(name, { DurableExecutionArn: `arn:aws:lambda:${REGION}:${HUB}:function:${fn}:3/durable-execution/n/x` });
      return [may(of(own)), not(of(own === 'cell' ? 'sweep' : 'cell'))];
    });
const ask: Rule = (may) => [
  may(call('ssm:GetCalendarState', { CalendarNames: ['Freeze'] })),
  not(call('ssm:GetCalendarState', { CalendarNames: ['Other'] })),
  may(call('monitoring:DescribeAlarms')),
];

interface Ruling {
  readonly asked: Asked;
  readonly allowed: boolean;
}
type Rule = (may: (asked: Asked) => Ruling) => readonly Ruling[];
const not = (asked: Asked): Ruling => ({ asked, allowed: false });
const yes = (asked: Asked): Ruling => ({ asked, allowed: true });

const FLEET_RULES = { look, pin, send, status, stop, bring };
type FleetRule = keyof typeof FLEET_RULES;

/** What each role is for. A rule of the fleet that a role does not have is forbidden to it in every line. */
const ROLES: Readonly<Record<string, { readonly fleet: readonly FleetRule[]; readonly own: readonly Rule[] }>> = {
  run: { fleet: [], own: [table('GetItem', 'Query'), ask, start('sweep')] },
  sweep: {
    fleet: [],
    own: [table('GetItem', 'PutItem', 'Query'), logTo('records'), publish, tell, start('cell'), checkpoint('sweep')],
  },
  cell: {
    fleet: ['look', 'pin', 'send', 'status'],
    own: [
      table('BatchGetItem', 'BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query'),
      logTo('records'),
      publish,
      enter,
      start('restart'),
      checkpoint('cell'),
    ],
  },
  restart: {
    fleet: ['look', 'send', 'status', 'stop', 'bring'],
    own: [
      table('BatchGetItem', 'BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query'),
      logTo('records'),
      publish,
      tell,
      enter,
      checkpoint('restart'),
    ],
  },
  reconcile: { fleet: ['bring'], own: [table(), tell, enter] },
  'schedule-sweep': { fleet: [], own: [start('run')] },
  'schedule-reconcile': { fleet: [], own: [start('reconcile')] },
  member: { fleet: ['look', 'pin', 'send', 'status', 'stop', 'bring'], own: [] },
};

function expectation(role: string, { asked, allowed }: Ruling): Expectation {
  const { service, action, params = {}, where = {} } = asked;
  const account = role === 'member' ? MEMBER : HUB;
  const request: ApiCall = {
    service,
    action,
    params,
    accountId: where.account ?? account,
    region: where.region ?? REGION,
    principal: role,
  };
  const place = [where.region, where.account].filter(Boolean).join(' ');
  return {
    role,
    allowed,
    what: `${service}:${action} ${JSON.stringify(params)} ${place}`.trim(),
    requests: accessRequests(request, directory),
  };
}

/** Every line. Unique by role and question; where two rules speak of the same question, the one that allows counts. */
export function expectations(): readonly Expectation[] {
  const lines = Object.entries(ROLES).flatMap(([role, { fleet, own }]) => {
    const rules = (Object.keys(FLEET_RULES) as FleetRule[]).flatMap((name) =>
      FLEET_RULES[name](fleet.includes(name) ? yes : not),
    );
    const general: Rule[] =
      role === 'member' ? [] : role.startsWith('schedule') ? [dead] : [dead, logTo(`/aws/lambda/${role}`)];
    const also =
      role === 'reconcile' ? [yes(call('ec2:DescribeInstances')), yes(call('ec2:DescribeInstances', {}, THERE))] : [];
    const rulings = [...rules, ...[...own, ...general].flatMap((rule) => rule(yes)), ...also];
    const asked = rulings.map((ruling) => expectation(role, ruling));
    const grants = fleet.includes('bring') ? grant(role, role === 'member' ? MEMBER : HUB) : [];
    const oneKey = ['aws:resourcetag/', 'ssm:resourcetag/'].map((prefix) => sendByOneKey(role, prefix));
    return [...asked, ...grants, ...oneKey, ...never(role)];
  });
  const allowed = new Set(lines.filter((line) => line.allowed).map((line) => `${line.role} ${line.what}`));
  const kept = new Map(lines.map((line) => [`${line.role} ${line.what}`, line]));
  return [...kept].map(([key, line]) => ({ ...line, allowed: allowed.has(key) }));
}
