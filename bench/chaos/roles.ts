/**
 * The roles of a world's deployment, from the rows that the stack makes them of (lib/permissions.ts); that the
 * synthesized template says the same is a test. So IAM stands in front of every call of every world.
 */
import { type Hub, invoke, watch, watchOwn } from '../../lib/hub-permissions.ts';
import { FUNCTION_NAMES, type FunctionName, LEASE_HOLDERS, permissionsOf } from '../../lib/permissions.ts';
import type { ApiCall, EventLog } from '../../simulator/core.ts';
import { type Authorise, Iam } from '../../simulator/iam/authoriser.ts';
import { globMatches, parsePolicy, type Statement } from '../../simulator/iam/policy.ts';
import type { World } from './world.ts';

/** Names of what is deployed beside the functions. */
export interface Names {
  readonly table: string;
  readonly logGroup: string;
  readonly topic: string;
  readonly document: string;
}

/** The deployed functions need a permission that no statement of their role gives, whatever the tags are. */
export class PermissionMissing extends Error {
  override readonly name = 'PermissionMissing';
}

/** By function: the statements of its role, but for what Lambda itself does in its name. */
export function rolesOf(
  { home, cells, policy }: Pick<World, 'home' | 'cells' | 'policy'>,
  names: Names,
): ReadonlyMap<FunctionName, readonly Statement[]> {
  const { accountId, region } = home;
  const arn = (service: string, resource: string) => `arn:aws:${service}:${region}:${accountId}:${resource}`;
  const functionArn = (name: FunctionName) => arn('lambda', `function:${name}`);
  const hub: Hub = {
    tableArn: arn('dynamodb', `table/${names.table}`),
    serviceLogArn: arn('logs', `log-group:${names.logGroup}:*`),
    topicArn: arn('sns', names.topic),
    eventBusArn: arn('events', 'event-bus/default'),
    deadLetterArn: arn('sqs', 'dead-letters'),
    memberRoleArns: [],
    calendarArns: [],
    readsAlarms: false,
  };
  const regions = cells.map((cell) => cell.region);
  const fleet = { partition: 'aws', accountId, regions, documentName: names.document, policy, resolved: true };
  const next: Partial<Record<FunctionName, readonly FunctionName[]>> = {
    run: ['sweep'],
    sweep: ['cell'],
    cell: ['restart'],
  };
  const watched: Partial<Record<FunctionName, FunctionName>> = { run: 'sweep', cell: 'restart' };
  return new Map(
    FUNCTION_NAMES.map((name) => {
      const looksAt = watched[name];
      const rows = [
        ...permissionsOf(name, hub, fleet),
        ...(next[name] ?? []).map((each) => invoke(`Start${each}`, `${functionArn(each)}:live`, '')),
        ...(looksAt ? [watch('Watch', functionArn(looksAt), '')] : []),
        ...(LEASE_HOLDERS.includes(name) ? [watchOwn(functionArn(name))] : []),
      ];
      const statements = rows.map(({ sid, actions, resources, conditions }) => ({
        Sid: sid,
        Effect: 'Allow',
        Action: actions,
        Resource: resources,
        ...(conditions ? { Condition: conditions } : {}),
      }));
      return [name, parsePolicy({ Version: '2012-10-17', Statement: statements })];
    }),
  );
}

/** IAM in front of a world. */
export interface Guard {
  readonly authorise: Authorise;
  /** What says that the roles or the model of IAM are wrong, not the world; a world with any proves nothing. */
  readonly errors: readonly Error[];
}

/** Denies what the roles deny; where it is no condition that does, a permission is missing, and that is an error. */
export function guardOf(world: World, names: Names, log: () => EventLog): Guard {
  const iam = new Iam();
  const roles = rolesOf(world, names);
  for (const [name, statements] of roles) iam.addRole(world.home.accountId, name, statements);
  const authorise: Authorise = (call, directory) => {
    const before = iam.denials.length;
    if (iam.authorise(call, directory)) return true;
    for (const { action, principal, resource } of iam.denials.slice(before)) {
      const conditional = (roles.get(principal as FunctionName) ?? []).some(
        (one) => one.actions.includes(action) && one.resources.some((pattern) => globMatches(pattern, resource)),
      );
      // Under `mode: plan` no role may act; that it tries is what invariant 8 sees.
      if (conditional || (world.policy.mode === 'plan' && ACTS.test(action))) continue;
      iam.errors.push(new PermissionMissing(`${principal} may not ${action} on ${resource}: see lib/permissions.ts`));
    }
    record(call, log());
    return false;
  };
  return { authorise, errors: iam.errors };
}

const ACTS = /^(ec2:(Create|Delete|Stop|Start|Reboot)|ssm:SendCommand)/;

function record({ accountId, region, service, action }: ApiCall, log: EventLog): void {
  const detail = { call: `${service}:${action}` };
  log.record({ kind: 'fault', what: 'denied by a condition on tags', accountId, region, detail });
}
