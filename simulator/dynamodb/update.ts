/** Update expressions: SET, REMOVE, ADD and DELETE, all read against the item as it was. */
import { isObject } from '../parameters.ts';
import { valueAt } from './expressions.ts';
import { type Path, type Placeholders, Tokens } from './tokens.ts';
import { checkValue, equal, type Item, invalid, numberOf, toNumber, typeOf, type Value } from './values.ts';

type Term =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'if_not_exists'; readonly path: Path; readonly otherwise: Term }
  | { readonly kind: 'list_append'; readonly left: Term; readonly right: Term }
  | { readonly kind: '+' | '-'; readonly left: Term; readonly right: Term };

type Change =
  | { readonly clause: 'SET'; readonly path: Path; readonly term: Term }
  | { readonly clause: 'REMOVE'; readonly path: Path }
  | { readonly clause: 'ADD' | 'DELETE'; readonly path: Path; readonly value: Value };

/** A parsed update. */
export type Update = readonly Change[];

const clauses = ['SET', 'REMOVE', 'ADD', 'DELETE'] as const;

/** @throws ApiError `ValidationException`. */
export function parseUpdate(text: string, placeholders: Placeholders): Update {
  const tokens = new Tokens('UpdateExpression', text);
  const changes: Change[] = [];
  const seen = new Set<string>();
  while (tokens.peek() !== '') {
    const clause = clauses.find((one) => tokens.isWord(one)) ?? tokens.fail();
    tokens.next();
    if (seen.has(clause)) {
      invalid(`Invalid UpdateExpression: The "${clause}" section can only be used once in an update expression;`);
    }
    seen.add(clause);
    do changes.push(parseChange(clause, tokens, placeholders));
    while (tokens.take(','));
  }
  refuseOverlaps(changes.map(({ path }) => path));
  return changes;
}

function parseChange(clause: Change['clause'], tokens: Tokens, placeholders: Placeholders): Change {
  const path = tokens.path(placeholders);
  if (clause === 'REMOVE') return { clause, path };
  if (clause === 'SET') {
    tokens.expect('=');
    const left = parseTerm(tokens, placeholders);
    const sign = tokens.take('+') ? '+' : tokens.take('-') ? '-' : null;
    return { clause, path, term: sign ? { kind: sign, left, right: parseTerm(tokens, placeholders) } : left };
  }
  if (!tokens.peek().startsWith(':')) tokens.fail();
  return { clause, path, value: placeholders.value(tokens.next()) };
}

function parseTerm(tokens: Tokens, placeholders: Placeholders): Term {
  if (tokens.peek().startsWith(':')) return { kind: 'value', value: placeholders.value(tokens.next()) };
  if (tokens.peek(1) !== '(') return { kind: 'path', path: tokens.path(placeholders) };
  const name = tokens.next();
  tokens.expect('(');
  if (name === 'if_not_exists') {
    const path = tokens.path(placeholders);
    tokens.expect(',');
    const otherwise = parseTerm(tokens, placeholders);
    tokens.expect(')');
    return { kind: name, path, otherwise };
  }
  if (name !== 'list_append') return invalid(`Invalid UpdateExpression: Invalid function name; function: ${name}`);
  const left = parseTerm(tokens, placeholders);
  tokens.expect(',');
  const right = parseTerm(tokens, placeholders);
  tokens.expect(')');
  return { kind: name, left, right };
}

function refuseOverlaps(paths: readonly Path[]): void {
  paths.forEach((a, i) => {
    for (const b of paths.slice(i + 1)) {
      if (a.slice(0, b.length).every((part, k) => part === b[k])) {
        invalid(
          `Invalid UpdateExpression: Two document paths overlap with each other; path one: [${a.join(', ')}], path two: [${b.join(', ')}]`,
        );
      }
    }
  });
}

/** The item after the update; the given one is left as it is. @throws ApiError `ValidationException`. */
export function applyUpdate(update: Update, item: Item): Item {
  const after = structuredClone(item) as Record<string, Value>;
  for (const change of update) {
    switch (change.clause) {
      case 'SET':
        put(after, change.path, evaluate(change.term, item));
        break;
      case 'REMOVE':
        remove(after, change.path);
        break;
      case 'ADD':
        put(after, change.path, add(valueAt(item, change.path), change.value));
        break;
      case 'DELETE': {
        const left = takeAway(valueAt(item, change.path), change.value);
        if (left) put(after, change.path, left);
        else if (valueAt(item, change.path)) remove(after, change.path);
      }
    }
  }
  return after;
}

function evaluate(term: Term, item: Item): Value {
  switch (term.kind) {
    case 'value':
      return term.value;
    case 'path':
      return (
        valueAt(item, term.path) ??
        invalid('The provided expression refers to an attribute that does not exist in the item')
      );
    case 'if_not_exists':
      return valueAt(item, term.path) ?? evaluate(term.otherwise, item);
    case 'list_append': {
      const [left, right] = [evaluate(term.left, item).L, evaluate(term.right, item).L];
      if (!Array.isArray(left) || !Array.isArray(right)) {
        return invalid('An operand in the update expression has an incorrect data type');
      }
      return { L: [...left, ...right] };
    }
    default: {
      const [left, right] = [evaluate(term.left, item), evaluate(term.right, item)];
      if (typeOf(left) !== 'N' || typeOf(right) !== 'N') {
        return invalid('An operand in the update expression has an incorrect data type');
      }
      return toNumber(numberOf(left) + (term.kind === '+' ? numberOf(right) : -numberOf(right)));
    }
  }
}

function add(present: Value | undefined, value: Value): Value {
  const type = typeOf(value);
  if (!['N', 'SS', 'NS', 'BS'].includes(type)) {
    return invalid('Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD');
  }
  if (!present) return value;
  if (typeOf(present) !== type) return invalid('An operand in the update expression has an incorrect data type');
  if (type === 'N') return toNumber(numberOf(present) + numberOf(value));
  const members = [...(present[type] as readonly string[]), ...(value[type] as readonly string[])];
  return { [type]: [...new Set(members)] };
}

function takeAway(present: Value | undefined, value: Value): Value | null {
  const type = typeOf(value);
  if (!['SS', 'NS', 'BS'].includes(type)) {
    return invalid('Invalid UpdateExpression: Incorrect operand type for operator or function; operator: DELETE');
  }
  if (!present) return null;
  if (typeOf(present) !== type) return invalid('An operand in the update expression has an incorrect data type');
  const single = type.slice(0, 1);
  const gone = value[type] as readonly string[];
  const left = (present[type] as readonly string[]).filter(
    (member) => !gone.some((one) => equal({ [single]: member }, { [single]: one })),
  );
  return left.length === 0 ? null : { [type]: left };
}

/** The container that holds the last part of a path: a map's record or a list's array. */
function containerOf(item: Record<string, Value>, path: Path): Record<string, Value> | Value[] {
  if (path.length === 1) return item;
  const parent = valueAt(item, path.slice(0, -1));
  const last = path[path.length - 1];
  const container = typeof last === 'number' ? parent?.L : parent?.M;
  if (typeof last === 'number' ? !Array.isArray(container) : !isObject(container)) {
    return invalid('The document path provided in the update expression is invalid for update');
  }
  return container as unknown as Record<string, Value> | Value[];
}

function put(item: Record<string, Value>, path: Path, value: Value): void {
  checkValue(value);
  const container = containerOf(item, path);
  const last = path[path.length - 1];
  if (Array.isArray(container)) container.splice(Math.min(Number(last), container.length), 1, value);
  else container[String(last)] = value;
}

function remove(item: Record<string, Value>, path: Path): void {
  const container = containerOf(item, path);
  const last = path[path.length - 1];
  if (Array.isArray(container)) container.splice(Number(last), 1);
  else delete container[String(last)];
}
