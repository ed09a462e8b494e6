/**
 * What each role of the synthesized templates must be allowed and what IAM alone must forbid it, said without looking at
 * lib/: by the calls that the functions make and by what the owner of a fleet was promised.
 */
import type { PolicyInput } from '../../domain/policy.ts';
import type { SettingsInput } from '../../lib/settings.ts';
import type { ApiCall } from '../../simulator/core.ts';
import { type AccessRequest, decide } from '../../simulator/iam/decision.ts';
import type { Statement } from '../../simulator/iam/policy.ts';
import { accessRequests, type InstanceView } from '../../simulator/iam/requests.ts';
import { rolesOf, type TemplateRole } from '../../simulator/iam/template.ts';
import {
  ask,
  bring,
  call,
  checkpoint,
  dead,
  ELSEWHERE,
  enter,
  HUB,
  KEY,
  logTo,
  look,
  MEMBER,
  not,
  pin,
  publish,
  REGION,
  type Rule,
  type Ruling,
  SECOND,
  STRANGER,
  send,
  start,
  status,
  stop,
  THERE,
  table,
  tell,
  watch,
  yes,
} from './access-rules.ts';
import { appWith, templateOf } from './synth.ts';

/** Acting, in two regions and two accounts, with everything that gives a role a permission. */
const SETTINGS = {
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
function physicalName(logicalId: string): string | undefined {
  const [, name, what] = FUNCTION.exec(logicalId) ?? [];
  if (what === 'Live') return 'live';
  if (what === 'Log') return `/aws/lambda/${name?.toLowerCase()}`;
  if (name) return name.toLowerCase();
  const [, schedule] = /^ServiceSchedules(Sweep|Reconcile)Role/.exec(logicalId) ?? [];
  if (schedule) return `schedule-${schedule.toLowerCase()}`;
  if (/^ServiceTestEventsRegistry(Role|Log)/.test(logicalId)) return 'test-events';
  const fixed = { ServiceRecords: 'records', ServiceLedger: 'ledger', ServiceNotif: 'news', ServiceDead: 'dead' };
  return Object.entries(fixed).find(([prefix]) => logicalId.startsWith(prefix))?.[1];
}

/** Roles of the five functions, the two schedules and the test events, and `member`: the role in the other account. */
export function synthesizedRoles(
  restart: PolicyInput['restart'] = {},
  memberRole: SettingsInput['memberRole'] = {},
): readonly TemplateRole[] {
  const app = appWith({
    ...SETTINGS,
    memberRole,
    policy: { ...SETTINGS.policy, restart: { signsOfLife: ['healthy-target'], ...restart } },
  });
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
        keys: new Set(['kms:viaservice', 'kms:grantisforawsresource', 'kms:granteeprincipal', 'kms:grantoperations']),
        context: new Map<string, string | readonly string[]>([
          ['aws:principalaccount', account],
          ['kms:granteeprincipal', `arn:aws:sts::${account}:assumed-role/aws:ec2-infrastructure/i-plain`],
          ['kms:grantoperations', ['Decrypt']],
          ...more,
        ]),
      },
    ],
  });
  const via = ['kms:viaservice', `ec2.${REGION}.amazonaws.com`] as const;
  const forAws = ['kms:grantisforawsresource', 'true'] as const;
  return [
    ask(true, 'by EC2 for itself', REGION, [via, forAws]),
    ask(true, 'by EC2 for itself there', SECOND, [['kms:viaservice', `ec2.${SECOND}.amazonaws.com`], forAws]),
    ask(false, 'by the function', REGION, []),
    ask(false, 'by the function, in the name of AWS', REGION, [forAws]),
    ask(false, 'through EC2, for anyone', REGION, [via, ['kms:grantisforawsresource', 'false']]),
    ask(false, 'through another service', REGION, [['kms:viaservice', `rds.${REGION}.amazonaws.com`], forAws]),
    ask(false, 'in another region', ELSEWHERE, [via, forAws]),
  ];
};

/** The dry run that shows whether a key can be granted: what it asks for directly must be harmless were it none. */
const tested = (role: string, account: string, allowed: boolean): Ruling[] => {
  const ask = (may: boolean, grantee: string | null, operations: readonly string[], region = REGION): Ruling => ({
    allowed: may,
    asked: call(
      'kms:CreateGrant',
      {
        KeyId: `arn:aws:kms:${region}:${STRANGER}:key/${KEY}`,
        ...(grantee === null ? {} : { GranteePrincipal: `arn:aws:iam::${grantee}` }),
        Operations: operations,
        DryRun: true,
      },
      { region },
    ),
  });
  const other = account === HUB ? MEMBER : HUB;
  return [
    ask(allowed, `${account}:root`, ['DescribeKey']),
    ask(allowed, `${account}:root`, ['DescribeKey'], SECOND),
    ask(false, `${account}:root`, ['DescribeKey'], ELSEWHERE),
    ask(false, `${account}:root`, ['DescribeKey', 'Decrypt']),
    ask(false, `${account}:root`, []),
    ask(false, `${other}:root`, ['DescribeKey']),
    ask(false, `${STRANGER}:root`, ['DescribeKey']),
    ask(false, `${account}:role/${role}`, ['DescribeKey']),
    ask(false, null, ['DescribeKey']),
  ];
};

/** The registry of the console's test events, and nothing else of the schema registry. */
const registries = (role: string): Expectation[] => {
  const ask = (allowed: boolean, action: string, resource: string): Expectation => ({
    role,
    allowed,
    what: `${action} ${resource}`,
    requests: [{ action, resource: `arn:aws:schemas:${resource}`, keys: new Set(), context: new Map() }],
  });
  const own = `${REGION}:${HUB}:registry/lambda-testevent-schemas`;
  return [
    ask(true, 'schemas:CreateRegistry', own),
    ask(false, 'schemas:DeleteRegistry', own),
    ask(false, 'schemas:CreateRegistry', `${REGION}:${HUB}:registry/other`),
    ask(false, 'schemas:CreateRegistry', `${ELSEWHERE}:${HUB}:registry/lambda-testevent-schemas`),
    ask(false, 'schemas:CreateRegistry', `${REGION}:${STRANGER}:registry/lambda-testevent-schemas`),
  ];
};

/** An opt-out holds whichever of the two tag keys SSM fills in. */
const sendByOneKey = (role: string, prefix: string, id: string): Expectation => {
  const asked = call('ssm:SendCommand', { DocumentName: 'Resize', InstanceIds: [id] });
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
  ['elasticloadbalancing:DeregisterTargets', 'elasticloadbalancing:targetgroup/web/73e2d6bc24d8a067'],
  ['kms:ScheduleKeyDeletion', `kms:key/${KEY}`],
  ['dynamodb:DeleteTable', 'dynamodb:table/ledger'],
  ['logs:DeleteLogStream', 'logs:log-group:records:log-stream:s'],
  ['logs:DeleteLogStream', 'logs:log-group:test-events:log-stream:s'],
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

/** What may be done to a resource may not be done to its like in another region or account; keys may be anybody's. */
function elsewhere({ role, what, allowed, requests }: Expectation): Expectation[] {
  if (!allowed) return [];
  return requests.flatMap((request) => {
    const [arn, partition, service, region, account, ...name] = request.resource.split(':');
    if (arn !== 'arn' || !region || !account) return [];
    const at = (otherRegion: string, otherAccount: string): Expectation => {
      const resource = [arn, partition, service, otherRegion, otherAccount, ...name].join(':');
      return { role, allowed: false, what: `${what}, on ${resource}`, requests: [{ ...request, resource }] };
    };
    return [at(ELSEWHERE, account), ...(service === 'kms' ? [] : [at(region, STRANGER)])];
  });
}

const FLEET_RULES = { look, pin, send, status, stop, bring };
type FleetRule = keyof typeof FLEET_RULES;

/** What each role is for. A rule of the fleet that a role does not have is forbidden to it in every line. */
const ROLES: Readonly<Record<string, { readonly fleet: readonly FleetRule[]; readonly own: readonly Rule[] }>> = {
  run: { fleet: [], own: [table('GetItem', 'Query'), ask, start('sweep'), watch('sweep')] },
  sweep: {
    fleet: [],
    own: [
      table('GetItem', 'PutItem', 'Query'),
      logTo('records'),
      publish,
      tell,
      start('cell'),
      checkpoint('sweep'),
      watch(),
    ],
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
      ask,
      watch('cell', 'restart'),
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
      ask,
      watch('restart'),
    ],
  },
  reconcile: { fleet: ['bring'], own: [table(), tell, enter, watch()] },
  'schedule-sweep': { fleet: [], own: [start('run')] },
  'schedule-reconcile': { fleet: [], own: [start('reconcile')] },
  'test-events': { fleet: [], own: [logTo('test-events')] },
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
    const isFunction = FUNCTIONS.some((name) => name === role);
    const general: Rule[] = [
      ...(isFunction || role.startsWith('schedule') ? [dead] : []),
      ...(isFunction ? [logTo(`/aws/lambda/${role}`)] : []),
    ];
    const also =
      role === 'reconcile' ? [yes(call('ec2:DescribeInstances')), yes(call('ec2:DescribeInstances', {}, THERE))] : [];
    const account = role === 'member' ? MEMBER : HUB;
    const keys = tested(role, account, fleet.includes('look'));
    const rulings = [...rules, ...keys, ...[...own, ...general].flatMap((rule) => rule(yes)), ...also];
    const asked = rulings.map((ruling) => expectation(role, ruling));
    const grants = fleet.includes('bring') ? grant(role, account) : [];
    const oneKey = ['aws:resourcetag/', 'ssm:resourcetag/'].flatMap((prefix) =>
      ['i-out', 'i-OUT'].map((id) => sendByOneKey(role, prefix, id)),
    );
    const registry = role === 'test-events' ? registries(role) : [];
    const mine = [...asked, ...grants, ...registry, ...oneKey, ...never(role)];
    return [...mine, ...mine.flatMap(elsewhere)];
  });
  const allowed = new Set(lines.filter((line) => line.allowed).map((line) => `${line.role} ${line.what}`));
  const kept = new Map(lines.map((line) => [`${line.role} ${line.what}`, line]));
  return [...kept].map(([key, line]) => ({ ...line, allowed: allowed.has(key) }));
}

/** A stop or reboot of an instance by the restart function. */
export function powerCall(action: 'StopInstances' | 'RebootInstances', instanceId: string): Expectation {
  const params = { InstanceId: [instanceId] };
  return expectation('restart', { asked: { service: 'ec2', action, params }, allowed: true });
}
