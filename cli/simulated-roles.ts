/**
 * The roles of a simulated deployment, from the rows that the stack makes them of (lib/permissions.ts); that the
 * synthesized template says the same is a test. Nothing has to be synthesized for it, so every world can have them.
 */
import type { Policy } from '../domain/policy.ts';
import { type Hub, invoke, watch, watchOwn } from '../lib/hub-permissions.ts';
import { FUNCTION_NAMES, type FunctionName, LEASE_HOLDERS, permissionsOf } from '../lib/permissions.ts';
import type { ApiCall } from '../simulator/core.ts';
import { type Authorise, Iam } from '../simulator/iam/authoriser.ts';
import { globMatches, parsePolicy, type Statement } from '../simulator/iam/policy.ts';

/** One deployment in one account: where it runs and what its owner allows. */
export interface Deployed {
  readonly home: { readonly accountId: string; readonly region: string };
  readonly policy: Policy;
}

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
export function rolesOf({ home, policy }: Deployed, names: Names): ReadonlyMap<FunctionName, readonly Statement[]> {
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
  const regions = policy.scope.regions.length > 0 ? policy.scope.regions : [region];
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

/** IAM in front of the cloud. */
export interface Guard {
  readonly authorise: Authorise;
  /** What says that the roles or the model of IAM are wrong, not the service; a run with any proves nothing. */
  readonly errors: readonly Error[];
}

/** Denies what the roles deny, and tells of it; where it is no condition that does, a permission is missing, and that is an error. */
export function guardOf(deployed: Deployed, names: Names, onDenied: (call: ApiCall) => void): Guard {
  const iam = new Iam();
  const roles = rolesOf(deployed, names);
  for (const [name, statements] of roles) iam.addRole(deployed.home.accountId, name, statements);
  const authorise: Authorise = (call, directory) => {
    const before = iam.denials.length;
    if (iam.authorise(call, directory)) return true;
    for (const { action, principal, resource } of iam.denials.slice(before)) {
      const conditional = (roles.get(principal as FunctionName) ?? []).some(
        (one) => one.actions.includes(action) && one.resources.some((pattern) => globMatches(pattern, resource)),
      );
      // Under `mode: plan` no role may act; that it tries is what invariant 8 sees.
      if (conditional || (deployed.policy.mode === 'plan' && ACTS.test(action))) continue;
      iam.errors.push(new PermissionMissing(`${principal} may not ${action} on ${resource}: see lib/permissions.ts`));
    }
    onDenied(call);
    return false;
  };
  return { authorise, errors: iam.errors };
}

const ACTS = /^(ec2:(Create|Delete|Stop|Start|Reboot)|ssm:SendCommand)/;
