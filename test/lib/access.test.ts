/** The synthesized policies against what each role must be allowed and what IAM alone must forbid. */
import { globMatches, IamModelError, type Statement } from '../../simulator/iam/policy.ts';
import { type Expectation, expectations, isAllowed, synthesizedRoles } from './access.ts';

const roles = new Map(synthesizedRoles().map((role) => [role.name, role.statements]));
const all = expectations();
const of = (role: string) => all.filter((line) => line.role === role);

describe.each([...roles.keys()])('%s', (role) => {
  const statements = roles.get(role) ?? [];
  it.each(of(role).map((line) => [line.allowed ? 'may' : 'may not', line.what, line] as const))(
    '%s %s',
    (_, __, line) => {
      expect(isAllowed(statements, line)).toBe(line.allowed);
    },
  );
});

it('is about every role', () => {
  const functions = ['cell', 'reconcile', 'restart', 'run', 'sweep'];
  expect([...roles.keys()].sort()).toEqual([...functions, 'member', 'schedule-reconcile', 'schedule-sweep'].sort());
  expect(all.length).toBeGreaterThan(600);
});

/** Without one statement, one action, one resource list or one condition. */
interface Mutation {
  readonly role: string;
  readonly what: string;
  readonly statements: readonly Statement[];
}

function mutationsOf(role: string, statements: readonly Statement[]): Mutation[] {
  const replaced = (statement: Statement, by: readonly Statement[]) =>
    statements.flatMap((one) => (one === statement ? by : one));
  return statements.flatMap((statement) => {
    const { sid, actions, resources, conditions } = statement;
    const mutant = (what: string, by: readonly Statement[]): Mutation => ({
      role,
      what: `${sid}: ${what}`,
      statements: replaced(statement, by),
    });
    const services = [...new Set(actions.map((action) => action.split(':')[0]))];
    return [
      mutant('statement removed', []),
      ...(actions.length > 1
        ? actions.map((gone) =>
            mutant(`${gone} removed`, [{ ...statement, actions: actions.filter((a) => a !== gone) }]),
          )
        : []),
      ...services.map((service) =>
        mutant(`${service}:* allowed`, [{ ...statement, actions: [...actions, `${service}:*`] }]),
      ),
      ...(resources.includes('*') ? [] : [mutant('resource widened to *', [{ ...statement, resources: ['*'] }])]),
      ...(resources.length > 1
        ? resources.map((gone) =>
            mutant(`resource ${gone} removed`, [{ ...statement, resources: resources.filter((one) => one !== gone) }]),
          )
        : []),
      ...Object.entries(conditions).flatMap(([operator, keys]) =>
        Object.keys(keys).map((key) => {
          const { [key]: _gone, ...kept } = keys;
          return mutant(`condition ${operator} ${key} removed`, [
            { ...statement, conditions: { ...conditions, [operator]: kept } },
          ]);
        }),
      ),
    ];
  });
}

/** Mutations that change nothing that could be asked, each with the reason. */
const EQUIVALENT: readonly (readonly [what: RegExp, why: string])[] = [];

describe('a mutation of the policies is seen', () => {
  const mutations = [...roles].flatMap(([role, statements]) => mutationsOf(role, statements));
  // A policy that the model does not understand any more is seen as well: it is an error, never an allow.
  const differs = (mutation: Mutation, line: Expectation) => {
    try {
      return isAllowed(mutation.statements, line) !== line.allowed;
    } catch (error) {
      if (error instanceof IamModelError) return true;
      throw error;
    }
  };
  const seen = (mutation: Mutation, lines: readonly Expectation[]) => lines.some((line) => differs(mutation, line));

  it.each(mutations.map((mutation) => [mutation.role, mutation.what, mutation] as const))(
    '%s %s',
    (role, what, mutation) => {
      const equivalent = EQUIVALENT.some(([pattern]) => pattern.test(`${role} ${what}`));
      expect(seen(mutation, of(role))).toBe(!equivalent);
    },
  );

  it('in every statement of every role', () => {
    for (const [role, statements] of roles) {
      for (const { sid } of statements) {
        expect(mutations.some((one) => one.role === role && globMatches(`${sid}: *`, one.what))).toBe(true);
      }
    }
  });
});
