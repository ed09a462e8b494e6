/** Rows that reach the service's own resources, and other accounts. */
import type { Permission } from './permission.ts';

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
  const { memberRoleArns } = hub;
  const rows = Math.ceil(memberRoleArns.length / ROLES_A_ROW);
  return Array.from({ length: rows }, (_, row) => ({
    sid: `AssumeMemberRole${row === 0 ? '' : row + 1}`,
    reason: 'Works in the accounts that the policy lists, with what their own role allows.',
    actions: ['sts:AssumeRole'],
    resources: memberRoleArns.slice(row * ROLES_A_ROW, (row + 1) * ROLES_A_ROW),
  }));
}

/** A statement must fit into a managed policy (6,144 characters), into which the CDK moves what is too much for a role. */
const ROLES_A_ROW = 20;

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
export function deadLetters(hub: Pick<Hub, 'deadLetterArn'>): Permission {
  return {
    sid: 'DeadLetters',
    reason: 'An asynchronous event that failed for good is kept for a person to look at.',
    actions: ['sqs:SendMessage'],
    resources: [hub.deadLetterArn],
  };
}

/** The registry of the Lambda console's shareable test events, which is not the stack's. */
export function createRegistry(registryArn: string): Permission {
  return {
    sid: 'CreateRegistry',
    reason: 'Once, at deployment: makes the registry of shareable test events where the console has not made it yet.',
    actions: ['schemas:CreateRegistry'],
    resources: [registryArn],
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

/** Whether an execution still runs: of one that ended, the leases are free. */
export function watch(sid: string, functionArn: string, what: string): Permission {
  return { sid, reason: what, actions: ['lambda:GetDurableExecution'], resources: [`${functionArn}:*`] };
}

/** The functions that hold leases, and so look whether another execution of theirs that holds one still runs. */
export function watchOwn(functionArn: string): Permission {
  return watch(
    'WatchOwn',
    functionArn,
    'Whether another of its executions, which holds a lease, still runs or is dead.',
  );
}

/** Why `cell` looks at executions of `restart`, and `run` at those of `sweep`. */
export const WATCH_RESTARTS = 'Whether a restart of another run, which holds a lease, still runs or is dead.';
export const WATCH_SWEEPS = 'How far a run is whose sweep ended without a word.';
