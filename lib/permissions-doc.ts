/** docs/permissions.md, made from the rows of permissions.ts. `node lib/permissions-doc.ts` writes it; a test compares. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { policySchema } from '../domain/policy.ts';
import type { Fleet } from './fleet-permissions.ts';
import {
  checkpoints,
  createRegistry,
  type Hub,
  invoke,
  ownLog,
  WATCH_RESTARTS,
  WATCH_SWEEPS,
  watch,
  watchOwn,
} from './hub-permissions.ts';
import type { Permission } from './permission.ts';
import {
  FUNCTION_NAMES,
  type FunctionName,
  LEASE_HOLDERS,
  memberPermissions,
  permissionsOf,
  schedulePermissions,
} from './permissions.ts';

/** Where the document stands, from the package's root. */
export const PERMISSIONS_DOC = join(import.meta.dirname, '..', 'docs', 'permissions.md');

const NEXT: Readonly<Partial<Record<FunctionName, FunctionName>>> = { run: 'sweep', sweep: 'cell', cell: 'restart' };
const DURABLE: readonly FunctionName[] = ['sweep', 'cell', 'restart'];

/** The whole text, for a policy with everything in it: calendars, alarms, signs of life, another account. */
export function permissionsDocument(): string {
  const policy = policySchema.parse({
    mode: 'apply',
    calendars: ['<calendar>'],
    blockingAlarms: ['<alarm>'],
    restart: { signsOfLife: ['healthy-target'] },
  });
  const fleet: Fleet = {
    partition: 'aws',
    accountId: '<account>',
    regions: ['<region>'],
    documentName: '<document>',
    policy,
    resolved: true,
  };
  const hub: Hub = {
    tableArn: '<table>',
    serviceLogArn: '<service log group>:*',
    topicArn: '<topic>',
    eventBusArn: '<event bus>',
    deadLetterArn: '<dead letter queue>',
    memberRoleArns: ['arn:aws:iam::<member account>:role/<member role>'],
    calendarArns: ['arn:aws:ssm:<region>:<account>:document/<calendar>'],
    readsAlarms: true,
  };
  const sections = FUNCTION_NAMES.map((name) => {
    const next = NEXT[name];
    const rows = [
      ...permissionsOf(name, hub, fleet),
      ...(next ? [invoke(`Start${capital(next)}`, `<${next} function>:live`, `Starts the ${next} function.`)] : []),
      ...(name === 'run' ? [watch('WatchSweeps', '<sweep function>', WATCH_SWEEPS)] : []),
      ...(name === 'cell' ? [watch('WatchRestarts', '<restart function>', WATCH_RESTARTS)] : []),
      ownLog(`<${name} log group>:*`),
      ...(DURABLE.includes(name) ? [checkpoints(`<${name} function>`)] : []),
      ...(LEASE_HOLDERS.includes(name) ? [watchOwn(`<${name} function>`)] : []),
    ];
    return `## The role of \`${name}\`\n\n${table(rows)}`;
  });
  const schedules = `${SCHEDULES}\n\n${table(schedulePermissions('<run or reconcile function>:live', '<dead letter queue>'))}`;
  const registry = [
    createRegistry(`arn:aws:schemas:<region>:<account>:registry/lambda-testevent-schemas`),
    ownLog('<its log group>:*'),
  ];
  const testEvents = `${TEST_EVENTS}\n\n${table(registry)}`;
  return `${INTRODUCTION}\n${sections.join('\n\n')}\n\n${schedules}\n\n${testEvents}\n\n${MEMBER}\n\n${table(memberPermissions({ ...fleet, accountId: '<member account>' }))}\n`;
}

const INTRODUCTION = `# Permissions

<!-- Made from lib/permissions.ts by \`node lib/permissions-doc.ts\`; a test compares. Do not edit. -->

Every function has a role of its own, made of these rows and of nothing else: no managed policy of AWS, no wildcard action.
What does not fit into a role's own policies (many regions or accounts) the CDK moves into managed policies of the stack,
which therefore may have to be created.
The tables show a policy that acts (\`mode: apply\`) with the default restart settings (\`policy: tagged\`, \`method:
stop-start\`), the sign of life \`healthy-target\`, a calendar, a blocking alarm and another account named.

What the settings change:

| setting | effect |
|---|---|
| \`mode: plan\`, as shipped | no SendDocument, SendToInstances, ReadResults, TagStatus, and of \`restart\` what \`never\` takes away: IAM itself forbids acting |
| \`restart.policy: never\` | \`restart\` has no Stop, MarkStopped, Reboot, StartOurs, StartOnKeys, UnmarkStopped; \`reconcile\` keeps the last three, to bring back what was stopped before |
| \`restart.policy: any\` | the opt-in condition becomes \`StringEqualsIfExists\`: no tag, or \`allowed\`; the opt-out condition stays |
| \`restart.method: reboot-only\` | \`restart\` has Reboot alone |
| \`restart.method: stop-start\`, \`rebootWhereStopLoses: false\` | no Reboot |
| \`overrides\` | rows of their own for the regions that differ |
| no \`healthy-target\` in \`restart.signsOfLife\`, as shipped | no ReadTargets |
| no \`calendars\`, no \`blockingAlarms\` | no ReadCalendars, no ReadAlarms |
| \`scope.accounts\` names no other account | no AssumeMemberRole |
| \`memberRole.externalId\`, \`memberRole.organizationId\` | what the member role asks of whoever assumes it |

How to read the conditions: \`StringEquals\` on a tag that is not there is false, so without the opt-in tag there is no
permission. \`StringNotEqualsIgnoreCase\` on a tag that is not there is true, so only the opt-out tag takes it away. \`Null: false\`
demands that the tag, or the list of tag keys, is there.

What no role has, whatever the settings: \`test/lib/access.ts\` says it line by line, and removing or widening any statement
makes a line fail. The embedded region runs whole sweeps under these very policies (\`simulator/iam\`).
`;

const SCHEDULES = `## The roles of the two schedules

Assumed by EventBridge Scheduler, for schedules of the same account.`;

const TEST_EVENTS = `## The role that makes the registry of test events

Of the CDK's function for one API call, called by CloudFormation at the first deployment. With \`testEvents\`
\`use-registry\` or \`none\` there is neither.`;

const MEMBER = `## The role in a member account

Assumed by roles of the service's stack (\`cell\`, \`restart\` and \`reconcile\` have the permission), and by nobody else
there; where the settings say so, only with the external id, and only from an account of the organization.`;

function table(rows: readonly Permission[]): string {
  const lines = rows.map(
    (row) =>
      `| ${row.sid} | ${row.actions.map(code).join('<br>')} | ${row.resources.map(code).join('<br>')} | ${conditions(row)} | ${row.reason} |`,
  );
  return ['| id | actions | on | only if | why |', '|---|---|---|---|---|', ...lines].join('\n');
}

function conditions(row: Permission): string {
  return Object.entries(row.conditions ?? {})
    .flatMap(([operator, keys]) =>
      Object.entries(keys).map(([key, value]) => code(`${operator} ${key} = ${[value].flat().join(', ')}`)),
    )
    .join('<br>');
}

function code(text: string): string {
  return `\`${text}\``;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (import.meta.main) writeFileSync(PERMISSIONS_DOC, permissionsDocument());
