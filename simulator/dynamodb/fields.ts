import { type ApiCall, type Json, type JsonObject, notModelled } from '../core.ts';
import { isObject } from '../parameters.ts';
import { invalid } from './values.ts';

/** A request, of which every field must be read: one that is ignored would be a lie. */
export class Fields {
  readonly #call: ApiCall;
  readonly #params: JsonObject;
  readonly #unread: Set<string>;
  constructor(call: ApiCall, params: JsonObject = call.params) {
    this.#call = call;
    this.#params = params;
    // They ask for consumed capacity and statistics beside the answer; not sending those changes nothing.
    const beside = ['ReturnConsumedCapacity', 'ReturnItemCollectionMetrics'];
    this.#unread = new Set(Object.keys(params).filter((name) => params[name] != null && !beside.includes(name)));
  }
  get(name: string): Json | undefined {
    this.#unread.delete(name);
    return this.#params[name] ?? undefined;
  }
  text(name: string): string | null {
    const value = this.get(name);
    if (value !== undefined && typeof value !== 'string') invalid(`${name} is no text`);
    return typeof value === 'string' ? value : null;
  }
  object(name: string): JsonObject {
    const value = this.get(name);
    if (value !== undefined && !isObject(value)) invalid(`${name} is no structure`);
    return isObject(value) ? value : {};
  }
  list(name: string): readonly JsonObject[] {
    const value = this.get(name) ?? [];
    return Array.isArray(value) && value.every(isObject) ? value : invalid(`${name} is no list of structures`);
  }
  done(): void {
    for (const name of this.#unread) notModelled(this.#call, `parameter ${name}`);
  }
}
