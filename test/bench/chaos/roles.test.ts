/** The roles of the chaos worlds are those of the synthesized template. */
import { rolesOf } from '../../../bench/chaos/roles.ts';
import { worldOf } from '../../../bench/chaos/world.ts';
import { SIMULATED_NAMES } from '../../../cli/simulated-service.ts';
import type { Statement } from '../../../simulator/iam/policy.ts';
import { synthesizedRoles } from '../../simulator/iam-deployed.ts';

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

it.each([1, 2, 3, 8])('of the world of seed %i', (seed) => {
  const world = worldOf(seed);
  const deployed = synthesizedRoles(world.policyInput);
  for (const [name, statements] of rolesOf(world, SIMULATED_NAMES)) {
    const same = deployed.find((role) => role.name === name);
    expect(grants(statements).length).toBeGreaterThan(2);
    expect([name, ...grants(statements)]).toEqual([name, ...grants(same?.statements ?? [])]);
  }
});
