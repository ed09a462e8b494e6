/**
 * Every permission of the service, each beside its reason. The roles are made of these rows and of nothing else, and
 * docs/permissions.md is generated from them.
 *
 * How the conditions work, for all rows below:
 * - `StringEquals` on a tag that is not there is false: without the opt-in tag there is no permission.
 * - `StringNotEqualsIgnoreCase` on a tag that is not there is true: only the opt-out tag's own value, however it is
 *   spelled, takes the permission away.
 * - `StringEqualsIfExists` on a tag that is not there is true: under `restart.policy: any` an owner who wrote something
 *   else than `allowed` has still not allowed it.
 * - `ForAllValues` on a key that is not in the request is true; a `Null` guard beside it demands that the key is there.
 * - `Null: false` on a tag demands that the tag is there, whatever its value.
 */
import { type Policy, policyForCell } from '../domain/policy.ts';

/** The functions of the service; each has a role of its own. */
export const FUNCTION_NAMES = ['run', 'sweep', 'cell', 'restart', 'reconcile'] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];

/** One statement of a role, with what it is for. */
export interface Permission {
  /** Statement id, unique within a role. */
  readonly sid: string;
  /** What breaks without it, and why it is as broad as it is. One or two sentences, for docs/permissions.md. */
  readonly reason: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** The instances of one account that a role may look at or touch. */
export interface Fleet {
  readonly partition: string;
  /** 12 digits or a token. */
  readonly accountId: string;
  readonly regions: readonly string[];
  readonly documentName: string;
  readonly policy: Policy;
  /** False where `accountId` or `regions` are tokens: overrides that name accounts or regions may then match or not. */
  readonly resolved: boolean;
}

/** What the hub's own roles reach. ARNs, or tokens of them. */
export interface Hub {
  readonly tableArn: string;
  /** Ends with `:*`, as CloudFormation gives it. */
  readonly serviceLogArn: string;
  readonly topicArn: string;
  readonly eventBusArn: string;
  readonly deadLetterArn: string;
  /** Roles in other accounts; empty: none. */
  readonly memberRoleArns: readonly string[];
  readonly calendarArns: readonly string[];
  readonly readsAlarms: boolean;
}

/** The service's name as the source of its events; the same as in lambdas/aws/news.ts. */
export const EVENT_SOURCE = 'audit-backlog-remediation';

type RestartSettings = Policy['restart'];

// ---------------------------------------------------------------- the fleet

/** Looking: what survey, triage and the second look before a stop need. Changes nothing. */
export function readFleet(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'ReadFleet',
      reason:
        'Which instances there are, their state, status checks, types, volumes and spot requests. EC2 takes no resource for these calls: narrowed to the regions in scope.',
      actions: [
        'ec2:DescribeInstances',
        'ec2:DescribeInstanceStatus',
        'ec2:DescribeInstanceTypes',
        'ec2:DescribeSpotInstanceRequests',
        'ec2:DescribeVolumes',
      ],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
    {
      sid: 'ReadAgents',
      reason: 'Which instances answer through SSM. The call takes no resource: narrowed to the regions in scope.',
      actions: ['ssm:DescribeInstanceInformation'],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
    {
      sid: 'ReadConsoles',
      reason: 'The evidence: the console output of instances that have not opted out.',
      actions: ['ec2:GetConsoleOutput'],
      resources: instances(fleet),
      conditions: { StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag']) },
    },
    {
      sid: 'ReadStopProtection',
      reason: 'Before a stop: whether the instance is protected from it.',
      actions: ['ec2:DescribeInstanceAttribute'],
      resources: instances(fleet),
    },
    {
      sid: 'ReadKeys',
      reason:
        'Before a stop: whether the keys of encrypted volumes are enabled; without them the machine would not start again. Keys may belong to any account.',
      actions: ['kms:DescribeKey'],
      resources: keys(fleet),
    },
  ];
}

/** Pinning the document that a sweep sends. */
export function readDocument(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'ReadDocument',
      reason: "Pins one version of the runbook's document and checks its content before it is sent.",
      actions: ['ssm:DescribeDocument', 'ssm:GetDocument'],
      resources: documents(fleet),
    },
  ];
}

/** Run Command: our document, and only it, on instances that have not opted out. */
export function runCommand(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'SendDocument',
      reason:
        'The cure: this document and no other. In a statement of its own, because the document bears no instance tags.',
      actions: ['ssm:SendCommand'],
      resources: documents(fleet),
    },
    {
      sid: 'SendToInstances',
      reason:
        'The cure: to any instance that has not opted out. Both tag keys, so that an opt-out holds whichever of them SSM fills in.',
      actions: ['ssm:SendCommand'],
      resources: instances(fleet),
      conditions: { StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag', 'ssm:resourceTag']) },
    },
    {
      sid: 'ReadResults',
      reason:
        'What came of a command, and whether one whose answer was lost had been sent. SSM takes no resource for these calls: narrowed to the regions in scope.',
      actions: ['ssm:GetCommandInvocation', 'ssm:ListCommandInvocations', 'ssm:ListCommands'],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
  ];
}

/** The status tag, for whoever looks at the instance. */
export function statusTag(fleet: Fleet): Permission[] {
  const { status } = fleet.policy.tags;
  return [
    {
      sid: 'TagStatus',
      reason: `Writes the last outcome on the instance: the tag ${status} and no other, where the instance has not opted out.`,
      actions: ['ec2:CreateTags'],
      resources: instances(fleet),
      conditions: { ...onlyTag(status), StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag']) },
    },
  ];
}

/**
 * Stop, start and reboot, as far as `restart` of the policy goes in each region: nothing for `never`, only instances
 * with the opt-in tag for `tagged`, all that have not opted out for `any`.
 */
export function power(fleet: Fleet): Permission[] {
  const groups = Map.groupBy(fleet.regions, (region) => JSON.stringify(broadestRestart(fleet, region)));
  const rows = [...groups].flatMap(([settings, regions], index) =>
    powerIn({ ...fleet, regions }, JSON.parse(settings) as Reach, index === 0 ? '' : String(index + 1)),
  );
  return rows.some((row) => row.actions.includes('ec2:StopInstances')) ? [...rows, ...bringBack(fleet)] : rows;
}

/** Starting again what we stopped, and taking our tag off. Nothing here can touch an instance without our tag. */
export function bringBack(fleet: Fleet): Permission[] {
  const { stopped } = fleet.policy.tags;
  return [
    {
      sid: 'StartOurs',
      reason: `Brings back what this service stopped: only instances that bear ${stopped}, even if they have opted out since.`,
      actions: ['ec2:StartInstances'],
      resources: instances(fleet),
      conditions: { Null: { [`aws:ResourceTag/${stopped}`]: 'false' } },
    },
    {
      sid: 'StartOnKeys',
      reason:
        'An instance with encrypted volumes does not start unless EC2 may be granted their keys. Only grants that EC2 asks for; keys may belong to any account.',
      actions: ['kms:CreateGrant'],
      resources: keys(fleet),
      conditions: {
        Bool: { 'kms:GrantIsForAWSResource': 'true' },
        StringEquals: { 'kms:ViaService': fleet.regions.map((region) => `ec2.${region}.amazonaws.com`) },
      },
    },
    {
      sid: 'UnmarkStopped',
      reason: `Takes ${stopped} off what runs again: this tag and no other.`,
      actions: ['ec2:DeleteTags'],
      resources: instances(fleet),
      conditions: onlyTag(stopped),
    },
  ];
}

interface Reach {
  readonly policy: RestartSettings['policy'];
  readonly stop: boolean;
  readonly reboot: boolean;
}

function powerIn(fleet: Fleet, reach: Reach, suffix: string): Permission[] {
  if (reach.policy === 'never') return [];
  const { optOut, restart, stopped } = fleet.policy.tags;
  const allowed = {
    [reach.policy === 'tagged' ? 'StringEquals' : 'StringEqualsIfExists']: {
      [`aws:ResourceTag/${restart}`]: 'allowed',
    },
    StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag']),
  };
  const where =
    reach.policy === 'tagged'
      ? `only instances that bear ${restart}=allowed, never those that bear ${optOut}=disabled`
      : `restart.policy is any: instances that bear ${restart}=allowed or no such tag, never those that bear ${optOut}=disabled`;
  const rows: Permission[] = [];
  if (reach.stop) {
    rows.push(
      {
        sid: `Stop${suffix}`,
        reason: `Stops a machine that hangs: ${where}.`,
        actions: ['ec2:StopInstances'],
        resources: instances(fleet),
        conditions: allowed,
      },
      {
        sid: `MarkStopped${suffix}`,
        reason: `Says on the instance, before the stop, that it was us: the tag ${stopped} and no other, ${where}.`,
        actions: ['ec2:CreateTags'],
        resources: instances(fleet),
        conditions: { ...onlyTag(stopped), ...allowed },
      },
    );
  }
  if (reach.reboot) {
    rows.push({
      sid: `Reboot${suffix}`,
      reason: `Reboots a machine that hangs where a stop would lose something: ${where}.`,
      actions: ['ec2:RebootInstances'],
      resources: instances(fleet),
      conditions: allowed,
    });
  }
  return rows;
}

const BREADTH = { never: 0, tagged: 1, any: 2 } as const;

/** What the policy's restart settings permit in a region; the broadest of those that may apply there. */
function broadestRestart(fleet: Fleet, region: string): Reach {
  const { policy, accountId } = fleet;
  const candidates = fleet.resolved
    ? [policyForCell(policy, { accountId, region }).restart]
    : [
        policy.restart,
        ...policy.overrides.map((_, index) => {
          const only = { ...policy, overrides: policy.overrides.slice(index, index + 1) };
          const named = only.overrides[0];
          return policyForCell(only, {
            accountId: named?.accounts[0] ?? accountId,
            region: named?.regions[0] ?? region,
          }).restart;
        }),
      ];
  const acting = candidates.filter((restart) => restart.policy !== 'never');
  return {
    policy: candidates.map((restart) => restart.policy).reduce((a, b) => (BREADTH[b] > BREADTH[a] ? b : a)),
    stop: acting.some((restart) => restart.method !== 'reboot-only'),
    reboot: acting.some((restart) => restart.method !== 'stop-start' || restart.rebootWhereStopLoses),
  };
}

// ---------------------------------------------------------------- the hub

/** The ledger: one table, no scan, no change of the table itself. */
export function ledger(hub: Hub, extent: 'read' | 'runs' | 'instances'): Permission[] {
  const actions = {
    read: ['dynamodb:GetItem', 'dynamodb:Query'],
    runs: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:Query'],
    instances: [
      'dynamodb:BatchGetItem',
      'dynamodb:BatchWriteItem',
      'dynamodb:DeleteItem',
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:Query',
    ],
  }[extent];
  const what = {
    read: 'The pause switch, how far a run is, its report.',
    runs: 'The record of the run, and the findings for its report.',
    instances: 'Findings, plans, histories, the memory of the cell, and leases (which are given back: DeleteItem).',
  }[extent];
  return [
    { sid: 'Ledger', reason: `${what} This table only; it is never scanned.`, actions, resources: [hub.tableArn] },
  ];
}

/** One JSON record per finding and outcome. */
export function serviceLog(hub: Hub): Permission {
  return {
    sid: 'ServiceLog',
    reason: "One record per finding and outcome in the service's own log group.",
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    resources: [hub.serviceLogArn],
  };
}

/** Messages for people. */
export function notify(hub: Hub): Permission {
  return {
    sid: 'Notify',
    reason: 'The summary and what needs a person, to the one topic.',
    actions: ['sns:Publish'],
    resources: [hub.topicArn],
  };
}

/** Events for other systems. */
export function publishEvents(hub: Hub): Permission {
  return {
    sid: 'PublishEvents',
    reason: 'Events that other systems may act on; only under the name of this service.',
    actions: ['events:PutEvents'],
    resources: [hub.eventBusArn],
    conditions: { StringEquals: { 'events:source': EVENT_SOURCE } },
  };
}

/** The checks that can forbid acting; only those that the policy names. */
export function gate(hub: Hub): Permission[] {
  const rows: Permission[] = [];
  if (hub.calendarArns.length > 0) {
    rows.push({
      sid: 'ReadCalendars',
      reason: 'Acting is forbidden while one of the named Change Calendars is closed.',
      actions: ['ssm:GetCalendarState'],
      resources: hub.calendarArns,
    });
  }
  if (hub.readsAlarms) {
    rows.push({
      sid: 'ReadAlarms',
      reason:
        'Acting is forbidden while one of the named alarms is on. CloudWatch shows composite alarms only to a permission on all alarms.',
      actions: ['cloudwatch:DescribeAlarms'],
      resources: ['*'],
    });
  }
  return rows;
}

/** Other accounts, through the role that each of them gives. */
export function memberAccounts(hub: Hub): Permission[] {
  if (hub.memberRoleArns.length === 0) return [];
  return [
    {
      sid: 'AssumeMemberRole',
      reason: 'Works in the accounts that the policy lists, with what their own role allows.',
      actions: ['sts:AssumeRole'],
      resources: hub.memberRoleArns,
    },
  ];
}

/** Starting the next function of the chain: by its alias, so that an execution ends on the version it began on. */
export function invoke(sid: string, aliasArn: string, what: string): Permission {
  return { sid, reason: what, actions: ['lambda:InvokeFunction'], resources: [aliasArn] };
}

/** What every function needs for itself. */
export function ownLog(logGroupArn: string): Permission {
  return {
    sid: 'OwnLog',
    reason: "The function's own log group; it is made by the stack, so no function may make one.",
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    resources: [logGroupArn],
  };
}

/** An event that could not be handled is kept. */
export function deadLetters(hub: Hub): Permission {
  return {
    sid: 'DeadLetters',
    reason: 'An asynchronous event that failed for good is kept for a person to look at.',
    actions: ['sqs:SendMessage'],
    resources: [hub.deadLetterArn],
  };
}

/** Checkpoints of a durable function's own executions, whatever version they began on. */
export function checkpoints(functionArn: string): Permission {
  return {
    sid: 'Checkpoints',
    reason: 'Saves and reads the progress of its own executions, of every version: aliases do not count here.',
    actions: ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
    resources: [`${functionArn}:*`],
  };
}

// ---------------------------------------------------------------- who gets what

/**
 * The rows of one function's role, without those that name the function itself ({@link ownLog}, {@link checkpoints})
 * or its neighbour ({@link invoke}).
 *
 * @param fleet null where the service's own account is not in scope.
 */
export function permissionsOf(name: FunctionName, hub: Hub, fleet: Fleet | null): Permission[] {
  const own = (rows: (fleet: Fleet) => Permission[]) => (fleet ? rows(fleet) : []);
  // A request to act under a policy of mode plan is refused, so nothing that acts is permitted either.
  const acting = (rows: (fleet: Fleet) => Permission[]) => (fleet?.policy.mode === 'apply' ? rows(fleet) : []);
  switch (name) {
    case 'run':
      return [...ledger(hub, 'read'), ...gate(hub), deadLetters(hub)];
    case 'sweep':
      return [...ledger(hub, 'runs'), serviceLog(hub), publishEvents(hub), notify(hub), deadLetters(hub)];
    case 'cell':
      return [
        ...own(readFleet),
        ...own(readDocument),
        ...acting(runCommand),
        ...acting(statusTag),
        ...ledger(hub, 'instances'),
        serviceLog(hub),
        publishEvents(hub),
        ...memberAccounts(hub),
        deadLetters(hub),
      ];
    case 'restart':
      return [
        ...own(readFleet),
        ...acting(power),
        ...acting(runCommand),
        ...acting(statusTag),
        ...ledger(hub, 'instances'),
        serviceLog(hub),
        publishEvents(hub),
        notify(hub),
        ...memberAccounts(hub),
        deadLetters(hub),
      ];
    case 'reconcile':
      return [...own(readMarked), ...own(bringBack), notify(hub), ...memberAccounts(hub), deadLetters(hub)];
    default:
      return name satisfies never;
  }
}

/** What a member account's role allows: the union of what `cell`, `restart` and `reconcile` do there. */
export function memberPermissions(fleet: Fleet): Permission[] {
  const rows = [
    ...readFleet(fleet),
    ...readDocument(fleet),
    ...(fleet.policy.mode === 'apply' ? [...runCommand(fleet), ...statusTag(fleet), ...power(fleet)] : []),
    // Also where nothing else may act: what was stopped before the policy changed must come back.
    ...bringBack(fleet),
  ];
  return rows.filter((row, index) => rows.findIndex((other) => other.sid === row.sid) === index);
}

function readMarked(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'ReadMarked',
      reason:
        'Which instances bear our tag and whether they run. EC2 takes no resource for this call: narrowed to the regions in scope.',
      actions: ['ec2:DescribeInstances'],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
  ];
}

// ---------------------------------------------------------------- parts

function instances(fleet: Fleet): string[] {
  return fleet.regions.map((region) => `arn:${fleet.partition}:ec2:${region}:${fleet.accountId}:instance/*`);
}

function documents(fleet: Fleet): string[] {
  return fleet.regions.map(
    (region) => `arn:${fleet.partition}:ssm:${region}:${fleet.accountId}:document/${fleet.documentName}`,
  );
}

function keys(fleet: Fleet): string[] {
  return fleet.regions.map((region) => `arn:${fleet.partition}:kms:${region}:*:key/*`);
}

function inRegions(fleet: Fleet) {
  return { StringEquals: { 'aws:RequestedRegion': fleet.regions } };
}

function optedOut(fleet: Fleet, prefixes: readonly string[]): Record<string, string> {
  return Object.fromEntries(prefixes.map((prefix) => [`${prefix}/${fleet.policy.tags.optOut}`, 'disabled']));
}

function onlyTag(key: string) {
  return { 'ForAllValues:StringEquals': { 'aws:TagKeys': [key] }, Null: { 'aws:TagKeys': 'false' } };
}
