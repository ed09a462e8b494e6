/** Reads the parameters of a call, and refuses whatever nobody read: an ignored parameter would be a lie. */
import { type ApiCall, ApiError, type Json, type JsonObject, notModelled } from './core.ts';

/** Whether a JSON value is an object (not an array, not null). */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The parameters of one call. Values of Query protocols come as strings, of JSON protocols as JSON; both read the same
 * way. Call {@link Parameters.done} when everything was read.
 *
 * @example
 * const parameters = new Parameters(call);
 * const ids = parameters.strings('InstanceId');
 * parameters.done();
 */
export class Parameters {
  readonly #call: ApiCall;
  readonly #params: JsonObject;
  readonly #unread: Set<string>;
  constructor(call: ApiCall, params: JsonObject = call.params) {
    this.#call = call;
    this.#params = params;
    this.#unread = new Set(Object.keys(params).filter((key) => params[key] !== undefined && params[key] !== null));
  }

  #take(name: string): Json | undefined {
    this.#unread.delete(name);
    return this.#params[name] ?? undefined;
  }

  #invalid(name: string, value: Json, why: string): never {
    throw new ApiError(
      'InvalidParameterValue',
      `Value (${JSON.stringify(value)}) for parameter ${name} is invalid. ${why}`,
    );
  }

  /** A text, or undefined when absent. */
  string(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return this.#invalid(name, value, 'Expecting a single value.');
  }

  /** A text; its absence is AWS's MissingParameter. */
  required(name: string): string {
    const value = this.string(name);
    if (value === undefined || value === '') {
      throw new ApiError('MissingParameter', `The request must contain the parameter ${name}`);
    }
    return value;
  }

  /** A list of texts; empty when absent. */
  strings(name: string): readonly string[] {
    const value = this.#take(name);
    if (value === undefined) return [];
    if (typeof value === 'string') return value === '' ? [] : [value];
    if (!Array.isArray(value)) return this.#invalid(name, value, 'Expecting a list.');
    return value.map((item: Json) => (typeof item === 'string' ? item : this.#invalid(name, item, 'Expecting text.')));
  }

  /** A list of structures; empty when absent. */
  objects(name: string): readonly JsonObject[] {
    const value = this.#take(name);
    if (value === undefined || value === '') return [];
    if (!Array.isArray(value)) return this.#invalid(name, value, 'Expecting a list.');
    return value.map((item: Json) => (isObject(item) ? item : this.#invalid(name, item, 'Expecting a structure.')));
  }

  /** A whole number within [low, high], or undefined when absent. */
  integer(name: string, low: number, high: number): number | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    const number = typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : Number.NaN;
    if (!Number.isInteger(number)) return this.#invalid(name, value, 'Expecting an integer.');
    if (number < low) return this.#invalid(name, number, `Expecting a value greater than or equal to ${low}.`);
    if (number > high) return this.#invalid(name, number, `Expecting a value less than or equal to ${high}.`);
    return number;
  }

  /** A truth value; false when absent. */
  boolean(name: string): boolean {
    const value = this.#take(name);
    if (value === undefined) return false;
    if (typeof value === 'boolean') return value;
    if (value === 'true' || value === 'false') return value === 'true';
    return this.#invalid(name, value, 'Expecting true or false.');
  }

  /** Refuses what was sent and not read. */
  done(): void {
    const [first] = this.#unread;
    if (first !== undefined) notModelled(this.#call, `parameter ${first}`);
  }
}
