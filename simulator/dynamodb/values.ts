/** Attribute values as they travel, `{ S: "text" }`: their order, their size, and which are valid. */
import { ApiError, type Json, type JsonObject } from '../core.ts';
import { isObject } from '../parameters.ts';

/** One attribute value. */
export type Value = JsonObject;
/** An item: attribute values by name. */
export type Item = Readonly<Record<string, Value>>;

const scalarTypes = ['S', 'N', 'B', 'BOOL', 'NULL'];
const setTypes = ['SS', 'NS', 'BS'];

/** DynamoDB's answer to most mistakes of the caller. */
export function invalid(message: string): never {
  throw new ApiError('ValidationException', message);
}

/** The one type letter of a value. */
export function typeOf(value: Value): string {
  const [type = '', ...more] = Object.keys(value).filter((key) => value[key] !== undefined);
  if (more.length > 0) invalid('Supplied AttributeValue has more than one datatypes set');
  if (type === '') invalid('Supplied AttributeValue is empty, must contain exactly one of the supported datatypes');
  return type;
}

/** Checks a value of a request, all the way down. */
export function checkValue(value: Json | undefined): Value {
  if (!isObject(value))
    return invalid('Supplied AttributeValue is empty, must contain exactly one of the supported datatypes');
  const type = typeOf(value);
  const content = value[type];
  if (type === 'M' && isObject(content)) {
    for (const inner of Object.values(content)) checkValue(inner);
    return value;
  }
  if (type === 'L' && Array.isArray(content)) {
    for (const inner of content as readonly Json[]) checkValue(inner);
    return value;
  }
  if (setTypes.includes(type) && Array.isArray(content)) {
    if (content.length === 0) invalid('One or more parameter values were invalid: An set may not be empty');
    if (new Set(content as readonly Json[]).size !== content.length) {
      invalid('One or more parameter values were invalid: Input collection contains duplicates.');
    }
    return value;
  }
  if (
    type === 'BOOL' ? typeof content === 'boolean' : type === 'NULL' ? content === true : typeof content === 'string'
  ) {
    if (!scalarTypes.includes(type)) invalid(`unknown type ${type}`);
    if (type === 'N') numberOf(value);
    return value;
  }
  return invalid(`Supplied AttributeValue of type ${type} is malformed`);
}

/** Checks an item or a key of a request. */
export function checkItem(item: Json | undefined, what: string): Item {
  if (!isObject(item)) return invalid(`${what} is missing or no map of attribute values`);
  for (const value of Object.values(item)) checkValue(value);
  return item as Item;
}

/** The number in an N. DynamoDB holds 38 digits, JavaScript 15: more are refused rather than rounded in silence. */
export function numberOf(value: Value): number {
  const text = String(value.N ?? '');
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) {
    return invalid('The parameter cannot be converted to a numeric value');
  }
  const digits = text
    .replace(/e.*$/i, '')
    .replace(/[^0-9]/g, '')
    .replace(/^0+/, '')
    .replace(/0+$/, '');
  if (digits.length > 15) {
    throw new ApiError(
      'NotModelledByTheEmbeddedRegion',
      `numbers of more than 15 digits (${text}) are not modelled`,
      501,
    );
  }
  return number;
}

/** A number as DynamoDB returns it. */
export function toNumber(number: number): Value {
  return { N: String(number) };
}

/** Whether two values are the same: numbers by value, sets in any order. */
export function equal(a: Value, b: Value): boolean {
  const type = typeOf(a);
  if (type !== typeOf(b)) return false;
  if (type === 'N') return numberOf(a) === numberOf(b);
  const [x, y] = [a[type], b[type]];
  if (type === 'L' && Array.isArray(x) && Array.isArray(y)) {
    return x.length === y.length && x.every((inner, i) => equal(inner as Value, y[i] as Value));
  }
  if (type === 'M' && isObject(x) && isObject(y)) {
    const keys = Object.keys(x);
    return (
      keys.length === Object.keys(y).length &&
      keys.every((key) => y[key] !== undefined && equal(x[key] as Value, y[key] as Value))
    );
  }
  if (Array.isArray(x) && Array.isArray(y)) {
    const other = new Set(type === 'NS' ? y.map(Number) : y);
    return x.length === y.length && x.every((one: Json) => other.has(type === 'NS' ? Number(one) : one));
  }
  return x === y;
}

/** Negative, zero or positive; null where the two have no order (another type, or none at all). */
export function compare(a: Value, b: Value): number | null {
  const type = typeOf(a);
  if (type !== typeOf(b)) return null;
  if (type === 'N') return numberOf(a) - numberOf(b);
  if (type === 'S') return Buffer.compare(Buffer.from(String(a.S)), Buffer.from(String(b.S)));
  if (type === 'B') return Buffer.compare(Buffer.from(String(a.B), 'base64'), Buffer.from(String(b.B), 'base64'));
  return null;
}

/** Unit: bytes, by the rules of DynamoDB's documentation (names count, containers cost 3 and 1 an element). */
export function sizeOf(value: Value): number {
  const type = typeOf(value);
  const content = value[type];
  if (type === 'M' && isObject(content)) {
    return (
      3 +
      Object.entries(content).reduce(
        (sum, [key, inner]) => sum + 1 + Buffer.byteLength(key) + sizeOf(inner as Value),
        0,
      )
    );
  }
  if (type === 'L' && Array.isArray(content)) {
    return 3 + content.reduce((sum: number, inner) => sum + 1 + sizeOf(inner as Value), 0);
  }
  if (Array.isArray(content))
    return content.reduce((sum: number, one) => sum + sizeOf({ [type.slice(0, 1)]: one as string }), 0);
  if (type === 'N') return 1 + Math.ceil(String(content).replace(/[^0-9]/g, '').length / 2);
  if (type === 'B') return Buffer.from(String(content), 'base64').length;
  return type === 'S' ? Buffer.byteLength(String(content)) : 1;
}

/** Unit: bytes. */
export function itemSize(item: Item): number {
  return Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + sizeOf(value), 0);
}

/** What `size(path)` gives: characters of a text, bytes of a binary, elements of the rest; null for a type that has none. */
export function countOf(value: Value): number | null {
  const type = typeOf(value);
  const content = value[type];
  if (type === 'S') return String(content).length;
  if (type === 'B') return Buffer.from(String(content), 'base64').length;
  if (Array.isArray(content)) return content.length;
  return type === 'M' && isObject(content) ? Object.keys(content).length : null;
}
