/** Conditions, filters and key conditions: parsed by recursive descent, evaluated against one item. */
import type { Json } from '../core.ts';
import { isObject } from '../parameters.ts';
import { type Path, type Placeholders, Tokens } from './tokens.ts';
import { compare, countOf, equal, type Item, invalid, toNumber, typeOf, type Value } from './values.ts';

/** What can be compared. */
export type Operand =
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'size'; readonly path: Path };

type Comparator = '=' | '<>' | '<' | '<=' | '>' | '>=';

/** A parsed condition. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'compare'; readonly by: Comparator; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'between'; readonly operand: Operand; readonly low: Operand; readonly high: Operand }
  | { readonly kind: 'in'; readonly operand: Operand; readonly list: readonly Operand[] }
  | { readonly kind: 'exists'; readonly path: Path; readonly wanted: boolean }
  | { readonly kind: 'begins_with' | 'contains' | 'attribute_type'; readonly path: Path; readonly operand: Operand };

const comparators = ['=', '<>', '<', '<=', '>', '>='];
const functions = ['attribute_exists', 'attribute_not_exists', 'attribute_type', 'begins_with', 'contains'];

/** The value at a path; undefined where there is none. */
export function valueAt(item: Item, path: Path): Value | undefined {
  let value: Json | undefined = { M: item };
  for (const part of path) {
    if (!isObject(value)) return undefined;
    if (typeof part === 'number') {
      const list: Json | undefined = value.L;
      value = Array.isArray(list) ? list[part] : undefined;
    } else {
      const map: Json | undefined = value.M;
      value = isObject(map) ? map[part] : undefined;
    }
  }
  return value as Value | undefined;
}

/**
 * Parses a condition or filter.
 *
 * @param kind For messages: `ConditionExpression`, `FilterExpression`, `KeyConditionExpression`.
 * @throws ApiError `ValidationException`.
 */
export function parseCondition(kind: string, text: string, placeholders: Placeholders): Condition {
  const tokens = new Tokens(kind, text);
  const condition = new ConditionParser(tokens, placeholders).parse();
  tokens.end();
  return condition;
}

class ConditionParser {
  readonly #tokens: Tokens;
  readonly #placeholders: Placeholders;
  constructor(tokens: Tokens, placeholders: Placeholders) {
    this.#tokens = tokens;
    this.#placeholders = placeholders;
  }

  parse(): Condition {
    let left = this.#and();
    while (this.#tokens.take('OR')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Condition {
    let left = this.#not();
    while (this.#tokens.take('AND')) left = { kind: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Condition {
    return this.#tokens.take('NOT') ? { kind: 'not', of: this.#not() } : this.#primary();
  }

  #primary(): Condition {
    const tokens = this.#tokens;
    if (tokens.take('(')) {
      const inner = this.parse();
      tokens.expect(')');
      return inner;
    }
    if (tokens.peek(1) === '(' && tokens.peek() !== 'size') return this.#function(tokens.next());
    const operand = this.#operand();
    if (tokens.take('BETWEEN')) {
      const low = this.#ordered('BETWEEN', this.#operand());
      tokens.expect('AND');
      return { kind: 'between', operand, low, high: this.#ordered('BETWEEN', this.#operand()) };
    }
    if (tokens.take('IN')) return { kind: 'in', operand, list: this.#list() };
    if (!comparators.includes(tokens.peek())) tokens.fail();
    const by = tokens.next() as Comparator;
    if (by === '=' || by === '<>') return { kind: 'compare', by, left: operand, right: this.#operand() };
    return { kind: 'compare', by, left: this.#ordered(by, operand), right: this.#ordered(by, this.#operand()) };
  }

  /** Only texts, numbers and binaries have an order; a literal of another type is a mistake of the caller. */
  #ordered(operator: string, operand: Operand): Operand {
    const type = operand.kind === 'value' ? typeOf(operand.value) : 'S';
    if (['S', 'N', 'B'].includes(type)) return operand;
    return invalid(
      `Invalid expression: Incorrect operand type for operator or function; operator: ${operator}, operand type: ${type}`,
    );
  }

  #list(): Operand[] {
    this.#tokens.expect('(');
    const list = [this.#operand()];
    while (this.#tokens.take(',')) list.push(this.#operand());
    this.#tokens.expect(')');
    return list;
  }

  #function(name: string): Condition {
    if (!functions.includes(name)) invalid(`Invalid function name; function: ${name}`);
    const tokens = this.#tokens;
    tokens.expect('(');
    const path = tokens.path(this.#placeholders);
    if (name === 'attribute_exists' || name === 'attribute_not_exists') {
      tokens.expect(')');
      return { kind: 'exists', path, wanted: name === 'attribute_exists' };
    }
    tokens.expect(',');
    const operand = this.#operand();
    tokens.expect(')');
    return { kind: name as 'begins_with', path, operand };
  }

  #operand(): Operand {
    const tokens = this.#tokens;
    if (tokens.peek().startsWith(':')) return { kind: 'value', value: this.#placeholders.value(tokens.next()) };
    if (tokens.peek() === 'size' && tokens.peek(1) === '(') {
      tokens.next();
      tokens.expect('(');
      const path = tokens.path(this.#placeholders);
      tokens.expect(')');
      return { kind: 'size', path };
    }
    return { kind: 'path', path: tokens.path(this.#placeholders) };
  }
}

function resolve(operand: Operand, item: Item): Value | undefined {
  if (operand.kind === 'value') return operand.value;
  const value = valueAt(item, operand.path);
  if (operand.kind === 'path' || !value) return value;
  const count = countOf(value);
  return count === null ? undefined : toNumber(count);
}

function compares(by: Comparator, left: Value | undefined, right: Value | undefined): boolean {
  // What is not there equals nothing, and so differs from everything.
  if (!left || !right) return by === '<>' && left !== right;
  if (by === '=') return equal(left, right);
  if (by === '<>') return !equal(left, right);
  const order = compare(left, right);
  if (order === null) return false;
  return by === '<' ? order < 0 : by === '<=' ? order <= 0 : by === '>' ? order > 0 : order >= 0;
}

function contains(value: Value, wanted: Value): boolean {
  const type = typeOf(value);
  const content = value[type];
  if (type === 'S') return typeOf(wanted) === 'S' && String(content).includes(String(wanted.S));
  if (type === 'L' && Array.isArray(content)) return content.some((one) => equal(one as Value, wanted));
  if (!Array.isArray(content)) return false;
  return type === `${typeOf(wanted)}S` && content.some((one) => equal({ [type.slice(0, 1)]: one as string }, wanted));
}

/** Whether a condition holds for an item; an absent item is an empty one. */
export function holds(condition: Condition, item: Item): boolean {
  switch (condition.kind) {
    case 'and':
      return holds(condition.left, item) && holds(condition.right, item);
    case 'or':
      return holds(condition.left, item) || holds(condition.right, item);
    case 'not':
      return !holds(condition.of, item);
    case 'compare':
      return compares(condition.by, resolve(condition.left, item), resolve(condition.right, item));
    case 'between': {
      const value = resolve(condition.operand, item);
      return (
        compares('>=', value, resolve(condition.low, item)) && compares('<=', value, resolve(condition.high, item))
      );
    }
    case 'in':
      return condition.list.some((one) => compares('=', resolve(condition.operand, item), resolve(one, item)));
    case 'exists':
      return (valueAt(item, condition.path) !== undefined) === condition.wanted;
    case 'attribute_type': {
      const value = valueAt(item, condition.path);
      return value !== undefined && typeOf(value) === resolve(condition.operand, item)?.S;
    }
    case 'begins_with': {
      const [value, prefix] = [valueAt(item, condition.path), resolve(condition.operand, item)];
      if (typeof value?.S !== 'string' || typeof prefix?.S !== 'string') return false;
      return value.S.startsWith(prefix.S);
    }
    case 'contains': {
      const [value, wanted] = [valueAt(item, condition.path), resolve(condition.operand, item)];
      return value !== undefined && wanted !== undefined && contains(value, wanted);
    }
  }
}

/** A key condition taken apart. */
export interface KeyCondition {
  readonly partition: Value;
  /** Of the sort key; null: the whole partition. */
  readonly sort: Condition | null;
}

/**
 * Takes a key condition apart: the partition key equals a value, and at most one condition on the sort key.
 *
 * @throws ApiError `ValidationException` for any other shape.
 */
export function keyCondition(condition: Condition, partitionKey: string, sortKey: string | null): KeyCondition {
  const parts = condition.kind === 'and' ? [condition.left, condition.right] : [condition];
  let partition: Value | null = null;
  let sort: Condition | null = null;
  for (const part of parts) {
    const name = keyOf(part);
    if (
      name === partitionKey &&
      part.kind === 'compare' &&
      part.by === '=' &&
      part.right.kind === 'value' &&
      !partition
    ) {
      partition = part.right.value;
    } else if (name !== null && name === sortKey && !sort) sort = part;
    else if (name === partitionKey) invalid('Query key condition not supported');
    else invalid(`Query condition missed key schema element: ${partition ? (sortKey ?? name) : partitionKey}`);
  }
  if (!partition) return invalid(`Query condition missed key schema element: ${partitionKey}`);
  return { partition, sort };
}

/** The attribute that a part of a key condition speaks of; refuses what such a condition cannot be. */
function keyOf(part: Condition): string | null {
  const subject =
    part.kind === 'compare' && part.by !== '<>' && part.left.kind === 'path' && part.right.kind === 'value'
      ? part.left.path
      : part.kind === 'between' && part.operand.kind === 'path'
        ? part.operand.path
        : part.kind === 'begins_with'
          ? part.path
          : null;
  const [name, ...deeper] = subject ?? [];
  if (typeof name !== 'string' || deeper.length > 0) return invalid('Invalid operator used in KeyConditionExpression');
  return name;
}
