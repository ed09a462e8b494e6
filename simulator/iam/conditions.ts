/** Condition operators of IAM, over the context of one request. */
import { type Conditions, globMatches, IamModelError } from './policy.ts';

/**
 * What is known of a request, by condition key in lower case (keys are not case-sensitive, those of tags included).
 * A list where the key may have several values. A key that is absent is not in the request.
 */
export type RequestContext = ReadonlyMap<string, string | readonly string[]>;

type Compare = (wanted: string, found: string) => boolean;
interface Operator {
  readonly compare: Compare;
  /** True of a value that equals none of those named, and of a key that is absent. */
  readonly negated: boolean;
}

const same: Compare = (wanted, found) => wanted === found;
const sameIgnoringCase: Compare = (wanted, found) => wanted.toLowerCase() === found.toLowerCase();
const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: { compare: same, negated: false },
  StringNotEquals: { compare: same, negated: true },
  StringEqualsIgnoreCase: { compare: sameIgnoringCase, negated: false },
  StringNotEqualsIgnoreCase: { compare: sameIgnoringCase, negated: true },
  StringLike: { compare: globMatches, negated: false },
  StringNotLike: { compare: globMatches, negated: true },
  ArnEquals: { compare: arnMatches, negated: false },
  ArnLike: { compare: arnMatches, negated: false },
  ArnNotLike: { compare: arnMatches, negated: true },
  Bool: { compare: sameIgnoringCase, negated: false },
};

/**
 * Whether every condition holds.
 *
 * @param knows - whether a key exists for the request at all. A key that no such request ever has would make a negated
 *   condition always true: that is a mistake of the policy, and an error.
 * @throws IamModelError for operators that are not modelled and keys that the action does not have.
 */
export function conditionsHold(
  conditions: Conditions,
  context: RequestContext,
  knows: (key: string) => boolean,
): boolean {
  let holds = true;
  for (const [operator, keys] of Object.entries(conditions)) {
    for (const [key, wanted] of Object.entries(keys)) {
      if (!knows(key.toLowerCase())) throw new IamModelError(`${key} is no condition key of this request`);
      // All are looked at, so that an operator that is not modelled is found whatever stands before it.
      if (!conditionHolds(operator, wanted, context.get(key.toLowerCase()), key)) holds = false;
    }
  }
  return holds;
}

function conditionHolds(
  written: string,
  wanted: readonly string[],
  value: string | readonly string[] | undefined,
  key: string,
): boolean {
  if (written === 'Null') return wanted.some((one) => one.toLowerCase() === String(value === undefined));
  const [, quantifier = '', name = '', ifExists] =
    /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(written) ?? [];
  const operator = OPERATORS[name];
  if (operator === undefined) throw new IamModelError(`the condition operator ${written} is not modelled`);
  const { compare, negated } = operator;
  const matches = (found: string): boolean => wanted.some((one) => compare(one, found)) !== negated;
  if (quantifier !== '') {
    const found = value === undefined ? [] : [value].flat();
    if (quantifier === 'ForAllValues') return found.every(matches);
    return value === undefined ? ifExists !== undefined : found.some(matches);
  }
  if (value === undefined) return negated || ifExists !== undefined;
  if (typeof value !== 'string') {
    throw new IamModelError(`${key} has several values: ${written} needs ForAllValues or ForAnyValue`);
  }
  return matches(value);
}

/** ARNs are compared part by part: a wildcard does not reach over a colon, but in the last part. */
function arnMatches(wanted: string, found: string): boolean {
  const parts = (arn: string): string[] => {
    const pieces = arn.split(':');
    return [...pieces.slice(0, 5), pieces.slice(5).join(':')];
  };
  const patterns = parts(wanted);
  return parts(found).every((part, index) => globMatches(patterns[index] ?? '', part));
}
