/** The synthesized policies against what each role must be allowed and what IAM alone must forbid. */
import { conditionsHold } from '../../simulator/iam/conditions.ts';
import { type Conditions, globMatches, IamModelError, type Statement } from '../../simulator/iam/policy.ts';
import { type Expectation, expectations, isAllowed, powerCall, synthesizedRoles } from './access.ts';

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
  expect([...roles.keys()].sort()).toEqual(
    [...functions, 'member', 'schedule-reconcile', 'schedule-sweep', 'test-events'].sort(),
  );
  expect(all.length).toBeGreaterThan(600);
});

describe('other restart settings', () => {
  const may = (restart: Parameters<typeof synthesizedRoles>[0]) => {
    const statements = synthesizedRoles(restart).find((role) => role.name === 'restart')?.statements ?? [];
    return (action: 'StopInstances' | 'RebootInstances') =>
      ['i-plain', 'i-allowed', 'i-no', 'i-out', 'i-OUT'].filter((id) => isAllowed(statements, powerCall(action, id)));
  };

  it('any: whoever wrote another word than allowed, or opted out, stays out', () => {
    const stopped = may({ policy: 'any' });
    expect(stopped('StopInstances')).toEqual(['i-plain', 'i-allowed']);
    expect(stopped('RebootInstances')).toEqual(['i-plain', 'i-allowed']);
  });

  it('never: nothing is stopped or rebooted', () => {
    const stopped = may({ policy: 'never' });
    expect([...stopped('StopInstances'), ...stopped('RebootInstances')]).toEqual([]);
  });

  it('reboot-only: nothing is stopped', () => {
    const stopped = may({ method: 'reboot-only' });
    expect(stopped('StopInstances')).toEqual([]);
    expect(stopped('RebootInstances')).toEqual(['i-allowed']);
  });
});

it("the member role trusts the hub's function roles as CloudFormation names them, and nobody else", () => {
  const member = synthesizedRoles().find((role) => role.name === 'member');
  if (!member) throw new Error('there is no member role');
  const [{ Principal: principal, Condition: conditions }] = (member.trust as { Statement: [Trust] }).Statement;
  expect(principal).toEqual({ AWS: 'arn:aws:iam::111122223333:root' });
  const trusted = (arn: string) =>
    conditionsHold(listed(conditions), new Map([['aws:principalarn', arn]]), (key) => key === 'aws:principalarn');
  const role = 'role/AuditBacklogRemediation-ServiceCellRole7F2A-AbCdEfGhIjKl';
  expect(trusted(`arn:aws:iam::111122223333:${role}`)).toBe(true);
  expect(trusted(`arn:aws:iam::999999999999:${role}`)).toBe(false);
  expect(trusted('arn:aws:iam::111122223333:role/Admin')).toBe(false);
  expect(trusted('arn:aws:iam::111122223333:user/AuditBacklogRemediation-x')).toBe(false);
});

interface Trust {
  readonly Principal: unknown;
  readonly Condition: Readonly<Record<string, Readonly<Record<string, string>>>>;
}
function listed(conditions: Trust['Condition']): Conditions {
  const keys = (of: Readonly<Record<string, string>>) => Object.entries(of).map(([key, value]) => [key, [value]]);
  return Object.fromEntries(
    Object.entries(conditions).map(([operator, of]) => [operator, Object.fromEntries(keys(of))]),
  );
}

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
