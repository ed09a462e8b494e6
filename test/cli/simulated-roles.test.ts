/** The roles of simulated deployments are those of the synthesized template. */
import { worldOf } from '../../bench/chaos/world.ts';
import { guardOf, rolesOf } from '../../cli/simulated-roles.ts';
import { SIMULATED_NAMES } from '../../cli/simulated-service.ts';
import type { Statement } from '../../simulator/iam/policy.ts';
import { synthesizedRoles } from '../simulator/iam-deployed.ts';

jest.setTimeout(120_000);

/** What Lambda itself does in a function's name; the embedded engine does it without asking. */
const OF_LAMBDA = /^(logs:Create|logs:PutLogEvents .*\/aws\/lambda|lambda:(Checkpoint|GetDurableExecutionState)|sqs:)/;

/** Action, resource and condition, one a line, whatever the statements are called and how they are grouped. */
function grants(statements: readonly Statement[]): readonly string[] {
  return statements
    .flatMap(({ effect, actions, resources, conditions }) =>
      actions.flatMap((action) =>
        resources.map((resource) => `${action} ${resource} ${effect} ${JSON.stringify(conditions)}`),
      ),
    )
    .filter((line) => !OF_LAMBDA.test(line))
    .sort();
}

it.each([2, 3, 8, 12, 14])('of the world of seed %i', (seed) => {
  const world = worldOf(seed);
  const deployed = synthesizedRoles(world.policyInput);
  for (const [name, statements] of rolesOf(world, SIMULATED_NAMES)) {
    const same = deployed.find((role) => role.name === name);
    expect(grants(statements).length).toBeGreaterThan(2);
    expect([name, ...grants(statements)]).toEqual([name, ...grants(same?.statements ?? [])]);
  }
});

describe('a guard', () => {
  const { home, policy } = worldOf(8);
  const instance = (tags: Readonly<Record<string, string>>) => ({
    find: () => ({ tags: new Map(Object.entries(tags)), volumes: [] }),
  });
  const stop = (principal: string, tags: Readonly<Record<string, string>>) => {
    const denied: string[] = [];
    const guard = guardOf({ home, policy }, SIMULATED_NAMES, ({ action }) => denied.push(action));
    const params = { InstanceId: ['i-1'] };
    const call = { service: 'ec2', action: 'StopInstances', ...home, params, principal };
    const allowed = guard.authorise(call, instance(tags));
    return { allowed, denied, errors: guard.errors.map((error) => error.name) };
  };

  it('lets through what the tags allow', () => {
    expect(stop('restart', { AuditBacklogRestart: 'allowed' })).toEqual({ allowed: true, denied: [], errors: [] });
  });

  it('denies what the tags forbid', () => {
    const optedOut = { AuditBacklogRestart: 'allowed', AuditBacklogRemediation: 'disabled' };
    for (const tags of [{}, optedOut]) {
      expect(stop('restart', tags)).toEqual({ allowed: false, denied: ['StopInstances'], errors: [] });
    }
  });

  it('calls it an error where no tag could help', () => {
    const missing = { allowed: false, denied: ['StopInstances'], errors: ['PermissionMissing'] };
    expect(stop('cell', { AuditBacklogRestart: 'allowed' })).toEqual(missing);
  });
});
