/**
 * Identity-based IAM policies, as far as they are modelled: Allow and Deny, actions with wildcards, resource ARNs with
 * wildcards, conditions. Whatever else stands in a policy is an error: an element that is ignored could be an allow.
 */

/** Something that this model of IAM does not know. Never an allow, never a plain denial: the model must be extended. */
export class IamModelError extends Error {
  override readonly name = 'IamModelError';
}

/** Operator -> condition key -> values; all of them must hold. */
export type Conditions = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** One statement, every list written out. */
export interface Statement {
  readonly sid: string;
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: Conditions;
}

/** Statement of a role's trust policy: who may assume the role it belongs to. */
export interface TrustStatement extends Omit<Statement, 'resources'> {
  /** Kind (`AWS`, `Service`) -> who. */
  readonly principals: Readonly<Record<string, readonly string[]>>;
}

/** Reads a policy document whose values are all text. @throws IamModelError for anything else. */
export function parsePolicy(document: unknown): readonly Statement[] {
  return statementsOf(document).map((statement) => {
    const { Resource, ...rest } = statement;
    return { ...parseStatement(rest), resources: texts(Resource, 'Resource') };
  });
}

/** Reads a role's trust policy. @throws IamModelError for anything that is not modelled. */
export function parseTrustPolicy(document: unknown): readonly TrustStatement[] {
  return statementsOf(document).map((statement) => {
    const { Principal, ...rest } = statement;
    const principals = Object.entries(objectOf(Principal, 'Principal')).map(([kind, who]) => [kind, texts(who, kind)]);
    return { ...parseStatement(rest), principals: Object.fromEntries(principals) };
  });
}

function statementsOf(document: unknown): readonly Readonly<Record<string, unknown>>[] {
  const { Version, Statement: statements, ...others } = objectOf(document, 'a policy');
  if (Version !== '2012-10-17') throw new IamModelError(`policy version ${String(Version)} is not modelled`);
  refuseOthers(others, 'a policy');
  return [statements].flat().map((statement) => objectOf(statement, 'a statement'));
}

/** What identity and trust policies have in common. */
function parseStatement(statement: Readonly<Record<string, unknown>>): Omit<Statement, 'resources'> {
  const { Sid, Effect, Action, Condition, ...others } = statement;
  refuseOthers(others, 'a statement');
  if (Effect !== 'Allow' && Effect !== 'Deny') throw new IamModelError(`effect ${String(Effect)} is not modelled`);
  const conditions = Object.entries(Condition === undefined ? {} : objectOf(Condition, 'Condition')).map(
    ([operator, keys]) => [
      operator,
      Object.fromEntries(
        Object.entries(objectOf(keys, operator)).map(([key, values]) => [key, texts(values, `${operator} ${key}`)]),
      ),
    ],
  );
  return {
    sid: typeof Sid === 'string' ? Sid : '',
    effect: Effect,
    actions: texts(Action, 'Action').map((action) => {
      if (!/^(\*|[a-z0-9-]+:[A-Za-z*?]+)$/.test(action)) throw new IamModelError(`${action} is no action`);
      return action;
    }),
    conditions: Object.fromEntries(conditions),
  };
}

function texts(value: unknown, what: string): readonly string[] {
  const list: unknown[] = [value].flat();
  if (list.length === 0) throw new IamModelError(`${what} is empty`);
  return list.map((one) => {
    const text = typeof one === 'boolean' ? String(one) : one;
    if (typeof text !== 'string') throw new IamModelError(`${what}: ${JSON.stringify(one)} is not text`);
    if (text.includes('${')) throw new IamModelError(`${what}: policy variables are not modelled: ${text}`);
    return text;
  });
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new IamModelError(`${what} is ${JSON.stringify(value)}, not an object`);
}

function refuseOthers(others: object, where: string): void {
  const [name] = Object.keys(others);
  if (name !== undefined) throw new IamModelError(`${name} in ${where} is not modelled`);
}

/** Compiled patterns: a policy has few, and they are asked about every call. */
const compiled = new Map<string, RegExp>();

/** Whether text matches a pattern in which `*` stands for anything and `?` for one character. */
export function globMatches(pattern: string, text: string, ignoreCase = false): boolean {
  const key = `${ignoreCase ? 'i' : ''} ${pattern}`;
  let expression = compiled.get(key);
  if (expression === undefined) {
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    expression = new RegExp(`^${source}$`, ignoreCase ? 'is' : 's');
    compiled.set(key, expression);
  }
  return expression.test(text);
}
