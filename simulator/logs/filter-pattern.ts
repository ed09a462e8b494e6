/** Filter patterns of CloudWatch Logs, as far as they are modelled: terms, and one comparison of a JSON field. */
import { ApiError } from '../core.ts';

/** Whether a message matches. */
export type MessageFilter = (message: string) => boolean;

const comparison = /^\{\s*\$\.([A-Za-z0-9_.]+)\s*(=|!=|>=|<=|>|<)\s*("(?:[^"\\]|\\.)*"|[^\s"*]+)\s*\}$/;

/**
 * Understands a pattern. All plain terms (`error`, `"backlog limit"`) must occur, `-term` must not, and of `?term`
 * one must. `{ $.outcome.limit >= 8192 }` compares one field.
 *
 * @throws ApiError `InvalidParameterException` for a malformed pattern, and one that says what is not modelled.
 */
export function messageFilter(pattern: string): MessageFilter {
  const text = pattern.trim();
  if (text === '') return () => true;
  if (text.startsWith('{')) return jsonFilter(text);
  if (/^[[%]/.test(text)) return refuse(pattern);
  const terms = text.match(/[?-]?(?:"[^"]*"|[^\s"]+)/g) ?? [];
  if (terms.join('').length !== text.replace(/\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/g, '').length) {
    throw new ApiError('InvalidParameterException', `Invalid filter pattern: ${pattern}`);
  }
  const plain: string[] = [];
  const none: string[] = [];
  const any: string[] = [];
  for (const term of terms) {
    const body = term.replace(/^[?-]/, '').replace(/^"|"$/g, '');
    (term.startsWith('?') ? any : term.startsWith('-') ? none : plain).push(body);
  }
  return (message) =>
    plain.every((term) => message.includes(term)) &&
    !none.some((term) => message.includes(term)) &&
    (any.length === 0 || any.some((term) => message.includes(term)));
}

function refuse(pattern: string): never {
  throw new ApiError('NotModelledByTheEmbeddedRegion', `the filter pattern ${pattern} is not modelled`, 501);
}

function jsonFilter(pattern: string): MessageFilter {
  const [, path = '', operator = '', literal = ''] = comparison.exec(pattern) ?? refuse(pattern);
  const text = literal.startsWith('"') ? (JSON.parse(literal) as string) : literal;
  const number = literal.startsWith('"') ? Number.NaN : Number(literal);
  if (text.includes('*') || (/[<>]/.test(operator) && Number.isNaN(number))) return refuse(pattern);
  return (message) => {
    const value = fieldOf(message, path.split('.'));
    if (value === undefined) return false;
    if (operator === '=') return String(value) === text;
    if (operator === '!=') return String(value) !== text;
    if (typeof value !== 'number') return false;
    return operator === '>'
      ? value > number
      : operator === '<'
        ? value < number
        : operator === '>='
          ? value >= number
          : value <= number;
  };
}

function fieldOf(message: string, path: readonly string[]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return undefined;
  }
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
