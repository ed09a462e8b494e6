/** One table: items by partition and sort key, with reads that may lag and items that expire late. */
import { Random } from '../core.ts';
import { compare, type Item, invalid, type Value } from './values.ts';

/** How a table is made. Keys are texts. */
export interface TableSettings {
  readonly name: string;
  readonly partitionKey: string;
  /** Absent: one item a partition. */
  readonly sortKey?: string;
  /** Attribute with the time of expiry in epoch seconds. */
  readonly timeToLive?: string;
}

/** How far reads without ConsistentRead may lag behind, and the numbers it is drawn from. */
export interface Lag {
  readonly random: Random;
  /** Unit: milliseconds. */
  readonly atMostMilliseconds: number;
}

interface Entry {
  readonly current: Item | null;
  /** What a read that lags still sees. */
  readonly before: Item | null;
  readonly visibleAt: number;
  /** How long after its expiry it is deleted. DynamoDB: "within a few days". Unit: milliseconds. */
  readonly deletedAfter: number;
}

const twoDays = 2 * 86_400_000;

/** See the head of this file. */
export class Table {
  readonly settings: TableSettings;
  readonly #lag: Lag;
  readonly #partitions = new Map<string, Map<string, Entry>>();
  readonly #sorted = new Map<string, readonly string[]>();

  constructor(settings: TableSettings, lag: Lag | null) {
    this.settings = settings;
    this.#lag = lag ?? { random: new Random(1), atMostMilliseconds: 0 };
  }

  /** The key attributes of an item. @throws ApiError `ValidationException` for a missing key or one of another type. */
  keyOf(item: Item): Item {
    const { partitionKey, sortKey } = this.settings;
    const key: Record<string, Value> = {};
    for (const name of sortKey === undefined ? [partitionKey] : [partitionKey, sortKey]) {
      const value = item[name];
      if (!value) return invalid(`One or more parameter values were invalid: Missing the key ${name} in the item`);
      if (typeof value.S !== 'string') {
        return invalid(`One or more parameter values were invalid: Type mismatch for key ${name} expected: S`);
      }
      if (value.S === '') {
        return invalid(
          `One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: ${name}`,
        );
      }
      const limit = name === partitionKey ? 2048 : 1024;
      if (Buffer.byteLength(value.S) > limit) {
        return invalid(
          `One or more parameter values were invalid: Size of key ${name} has exceeded the limit of ${limit} bytes`,
        );
      }
      key[name] = value;
    }
    return key;
  }

  /** A key of a request: exactly the key attributes. */
  checkKey(key: Item): Item {
    const known = this.keyOf(key);
    if (Object.keys(known).length !== Object.keys(key).length) {
      invalid('The provided key element does not match the schema');
    }
    return known;
  }

  get(key: Item, consistent: boolean): Item | null {
    const [partition, sort] = this.#place(key);
    return this.#see(this.#partitions.get(partition)?.get(sort), consistent);
  }

  /** Writes an item, or deletes with null. */
  set(key: Item, item: Item | null): void {
    const [partition, sort] = this.#place(key);
    const entries = this.#partitions.get(partition) ?? new Map<string, Entry>();
    const { random, atMostMilliseconds } = this.#lag;
    if (!entries.has(sort)) this.#sorted.delete(partition);
    entries.set(sort, {
      current: item,
      before: this.#see(entries.get(sort), true),
      visibleAt: atMostMilliseconds === 0 ? 0 : Date.now() + random.between(0, atMostMilliseconds),
      deletedAfter: random.between(0, twoDays),
    });
    this.#partitions.set(partition, entries);
  }

  /** The items of a partition in the order of their sort key. */
  *partition(partition: Value, consistent: boolean): Generator<Item> {
    const name = String(partition.S);
    const entries = this.#partitions.get(name);
    if (!entries) return;
    const order = this.#sorted.get(name) ?? [...entries.keys()].toSorted((a, b) => compare({ S: a }, { S: b }) ?? 0);
    this.#sorted.set(name, order);
    for (const sort of order) {
      const item = this.#see(entries.get(sort), consistent);
      if (item) yield item;
    }
  }

  /** Everything, for tests and the world's own judgement. */
  items(): readonly Item[] {
    return [...this.#partitions.keys()].flatMap((partition) => [...this.partition({ S: partition }, true)]);
  }

  #place(key: Item): readonly [partition: string, sort: string] {
    const { partitionKey, sortKey } = this.settings;
    return [String(key[partitionKey]?.S), sortKey === undefined ? '' : String(key[sortKey]?.S)];
  }

  #see(entry: Entry | undefined, consistent: boolean): Item | null {
    if (!entry) return null;
    const item = consistent || Date.now() >= entry.visibleAt ? entry.current : entry.before;
    const expires = Number(item?.[this.settings.timeToLive ?? '']?.N ?? Number.NaN) * 1000;
    return Date.now() >= expires + entry.deletedAfter ? null : item;
  }
}
