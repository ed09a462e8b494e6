/** The synthesized policies against what each role must be allowed and what IAM alone must forbid. */
import { globMatches, IamModelError, type Statement } from '../../simulator/iam/policy.ts';
import { type TrustRequest, trusts } from '../../simulator/iam/trust.ts';
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

  it('signs of life that nobody named: load balancers are not asked', () => {
    const asking = all.filter(({ allowed, what }) => allowed && what.includes('DescribeTargetHealth'));
    expect(asking.map(({ role }) => role)).toEqual(expect.arrayContaining(['cell', 'restart', 'member']));
    const others = new Map(synthesizedRoles({ signsOfLife: [] }).map((role) => [role.name, role.statements]));
    for (const line of asking) expect(isAllowed(others.get(line.role) ?? [], line)).toBe(false);
  });

  it('reboot-only: nothing is stopped', () => {
    const stopped = may({ method: 'reboot-only' });
    expect(stopped('StopInstances')).toEqual([]);
    expect(stopped('RebootInstances')).toEqual(['i-allowed']);
  });
});

describe('the trust of the member role', () => {
  const EXTERNAL_ID = 'fleet-42';
  const organizationId = 'o-a1b2c3d4e5';
  const member = synthesizedRoles({}, { externalId: EXTERNAL_ID, organizationId }).find(
    ({ name }) => name === 'member',
  );
  if (!member) throw new Error('there is no member role');
  const asker = (more: Partial<TrustRequest> = {}): TrustRequest => ({
    arn: 'arn:aws:iam::111122223333:role/AuditBacklogRemediation-ServiceCellRole7F2A-AbCdEfGhIjKl',
    accountId: '111122223333',
    externalId: EXTERNAL_ID,
    organizationId,
    ...more,
  });
  const lines: readonly (readonly [what: string, allowed: boolean, request: TrustRequest])[] = [
    ['a function role of the hub, as CloudFormation names it', true, asker()],
    ['another role of the hub', false, asker({ arn: 'arn:aws:iam::111122223333:role/Admin' })],
    ['a user of the hub', false, asker({ arn: 'arn:aws:iam::111122223333:user/AuditBacklogRemediation-x' })],
    [
      'a role of the same name in another account',
      false,
      asker({ arn: 'arn:aws:iam::999999999999:role/AuditBacklogRemediation-x', accountId: '999999999999' }),
    ],
    ['another external id', false, asker({ externalId: 'fleet-24' })],
    ['no external id', false, asker({ externalId: undefined })],
    ['another organization', false, asker({ organizationId: 'o-0000000000' })],
    ['no organization', false, asker({ organizationId: undefined })],
  ];

  it.each(lines)('%s: %s', (_, allowed, request) => {
    expect(trusts(member.trust, request)).toBe(allowed);
  });

  const document = member.trust as { readonly Statement: readonly [Trust] };
  const [statement] = document.Statement;
  const conditions = Object.entries(statement.Condition).flatMap(([operator, keys]) =>
    Object.keys(keys).map((key) => [operator, key] as const),
  );
  it('has conditions to take away', () => {
    expect(conditions.map(([, key]) => key).sort()).toEqual([
      'aws:PrincipalArn',
      'aws:PrincipalOrgID',
      'sts:ExternalId',
    ]);
  });
  it.each(conditions)('without %s %s somebody else comes in', (operator, key) => {
    const { [key]: _gone, ...kept } = statement.Condition[operator] ?? {};
    const Condition = { ...statement.Condition, [operator]: kept };
    const wider = { ...document, Statement: [{ ...statement, Condition }] };
    expect(lines.filter(([, allowed, request]) => trusts(wider, request) !== allowed).length).toBeGreaterThan(0);
  });
});

interface Trust {
  readonly Condition: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Without one statement, action, resource or condition, or with one of them wider. */
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
      ...resources.flatMap((resource) =>
        widerArns(resource).map((wider) =>
          mutant(`resource ${resource} widened to ${wider}`, [
            { ...statement, resources: resources.map((one) => (one === resource ? wider : one)) },
          ]),
        ),
      ),
      ...Object.entries(conditions).flatMap(([operator, keys]) =>
        Object.entries(keys).flatMap(([key, values]) => {
          const { [key]: _gone, ...kept } = keys;
          const others = { ...conditions, [operator]: kept };
          return [
            mutant(`condition ${operator} ${key} removed`, [{ ...statement, conditions: others }]),
            ...widerConditions(operator, values).map(([wider, wanted]) =>
              mutant(`condition ${operator} ${key} widened to ${wider} ${wanted}`, [
                { ...statement, conditions: { ...others, [wider]: { ...others[wider], [key]: wanted } } },
              ]),
            ),
          ];
        }),
      ),
    ];
  });
}

/** Any region, any account, any name: one at a time, where the ARN says one. */
function widerArns(arn: string): string[] {
  const parts = arn.split(':');
  if (parts.length < 6) return [];
  const [name = '', ...qualifier] = parts
    .slice(5)
    .join(':')
    .split(/(?<=[/:])/)
    .reverse();
  const anyName = [...qualifier.reverse(), '*'].join('');
  const widened = [
    ...[3, 4].filter((at) => parts[at] && parts[at] !== '*').map((at) => parts.with(at, '*').join(':')),
    ...(name === '*' ? [] : [[...parts.slice(0, 5), anyName].join(':')]),
  ];
  return widened.filter((one) => one !== arn);
}

/** Any value, no value, another spelling: as the operator lets it. */
function widerConditions(operator: string, values: readonly string[]): [operator: string, values: readonly string[]][] {
  if (operator === 'Null') return [];
  if (operator === 'Bool') return [[operator, ['true', 'false']]];
  if (operator.startsWith('StringNot')) {
    return [
      ['StringNotEquals', values],
      [operator, ['something-else']],
    ];
  }
  const quantifier = operator.includes(':') ? operator.slice(0, operator.indexOf(':') + 1) : '';
  return [[`${quantifier}StringLike`, ['*']], ...(quantifier ? [] : [[`${operator}IfExists`, values] as const])].map(
    ([wider, wanted]) => [String(wider), wanted as readonly string[]],
  );
}

/** Mutations that change nothing that could be asked, each with the reason. */
const EQUIVALENT: readonly (readonly [what: RegExp, why: string])[] = [
  [/aws:RequestedRegion widened to StringEqualsIfExists/, 'every request has a region'],
  [/events:source widened to StringEqualsIfExists/, 'every entry has a source: PutEvents refuses one without'],
];

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
