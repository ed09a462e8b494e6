/** DynamoDB of the embedded cloud: items, queries, batches and transactions, with the limits that callers meet. */
import { type ApiCall, ApiError, type Json, type JsonObject, notModelled, type Service } from './core.ts';
import { holds, keyCondition, parseCondition } from './dynamodb/expressions.ts';
import { Fields } from './dynamodb/fields.ts';
import { type Lag, Table, type TableSettings } from './dynamodb/table.ts';
import { Placeholders, Tokens } from './dynamodb/tokens.ts';
import { checkItem, type Item, invalid, itemSize } from './dynamodb/values.ts';
import { carryOut, DynamoDbError, type PreparedWrite, prepare, type WriteRequest } from './dynamodb/writes.ts';
import { isObject } from './parameters.ts';

export type { Lag, TableSettings } from './dynamodb/table.ts';

/** What a query reads before filters, at most. Unit: bytes. */
const largestPage = 1024 * 1024;
/** How long the token of a transaction makes a second request the same one. Unit: milliseconds. */
const tokenLife = 600_000;

/** How the service behaves beyond what was asked of it. */
export interface DynamoDbOptions {
  /** Default: every read sees every write. */
  readonly lag?: Lag;
  /** How many keys or writes of a batch are dealt with; the rest comes back unprocessed. Default: all. */
  readonly processedOf?: (call: ApiCall, asked: number) => number;
}

const reads = ['GetItem', 'BatchGetItem', 'Query', 'DescribeTable'];

/** See the head of this file. Tables are the same from every region and account: give each cell's callers their own. */
export class DynamoDbService implements Service {
  readonly name = 'dynamodb';
  readonly protocol = 'json-1.0';
  readonly #tables = new Map<string, Table>();
  readonly #options: DynamoDbOptions;
  readonly #transactions = new Map<string, { readonly at: number; readonly content: string }>();

  constructor(options: DynamoDbOptions = {}) {
    this.#options = options;
  }

  createTable(settings: TableSettings): Table {
    if (this.#tables.has(settings.name)) throw new RangeError(`table ${settings.name} exists already`);
    const table = new Table(settings, this.#options.lag ?? null);
    this.#tables.set(settings.name, table);
    return table;
  }

  isMutating(action: string): boolean {
    return !reads.includes(action);
  }

  handle(call: ApiCall): JsonObject {
    const fields = new Fields(call);
    switch (call.action) {
      case 'GetItem':
        return this.#getItem(fields);
      case 'PutItem':
        return this.#write(fields, 'put');
      case 'UpdateItem':
        return this.#write(fields, 'update');
      case 'DeleteItem':
        return this.#write(fields, 'delete');
      case 'Query':
        return this.#query(fields);
      case 'BatchGetItem':
        return this.#batchGet(call, fields);
      case 'BatchWriteItem':
        return this.#batchWrite(call, fields);
      case 'TransactWriteItems':
        return this.#transact(call, fields);
      case 'DescribeTable':
        return this.#describe(fields);
      default:
        return notModelled(call, 'the action');
    }
  }

  #table(name: string | null): Table {
    // A table may be named by its ARN as well.
    const table = this.#tables.get(name?.split('/').at(-1) ?? '');
    if (!table)
      throw new ApiError('ResourceNotFoundException', `Requested resource not found: Table: ${name} not found`);
    return table;
  }

  #getItem(fields: Fields): JsonObject {
    const table = this.#table(fields.text('TableName'));
    const key = table.checkKey(checkItem(fields.get('Key'), 'Key'));
    const consistent = fields.get('ConsistentRead') === true;
    const project = projection(fields);
    fields.done();
    const item = table.get(key, consistent);
    return item ? { Item: project(item) } : {};
  }

  #write(fields: Fields, kind: 'put' | 'update' | 'delete'): JsonObject {
    const wanted = fields.text('ReturnValues') ?? 'NONE';
    const allowed =
      kind === 'update' ? ['NONE', 'ALL_OLD', 'ALL_NEW', 'UPDATED_OLD', 'UPDATED_NEW'] : ['NONE', 'ALL_OLD'];
    if (!allowed.includes(wanted)) invalid(`Return values set to invalid value: ${wanted}`);
    const write = this.#prepared(fields, kind);
    carryOut(write);
    const { before, after } = write;
    const attributes =
      wanted === 'ALL_OLD' ? before : wanted === 'ALL_NEW' ? after : wanted === 'NONE' ? null : named(wanted, write);
    return attributes ? { Attributes: attributes } : {};
  }

  #prepared(fields: Fields, kind: WriteRequest['kind']): PreparedWrite {
    const table = this.#table(fields.text('TableName'));
    const item = kind === 'put' ? checkItem(fields.get('Item'), 'Item') : null;
    const request: WriteRequest = {
      kind,
      item,
      key: item ? table.keyOf(item) : table.checkKey(checkItem(fields.get('Key'), 'Key')),
      update: kind === 'update' ? fields.text('UpdateExpression') : null,
      condition: fields.text('ConditionExpression'),
      names: fields.object('ExpressionAttributeNames'),
      values: fields.object('ExpressionAttributeValues'),
      returnOnFailure: fields.text('ReturnValuesOnConditionCheckFailure') === 'ALL_OLD',
    };
    fields.done();
    return prepare(table, request);
  }

  #query(fields: Fields): JsonObject {
    const table = this.#table(fields.text('TableName'));
    const { partitionKey, sortKey } = table.settings;
    const placeholders = new Placeholders(
      fields.object('ExpressionAttributeNames'),
      fields.object('ExpressionAttributeValues'),
    );
    const keys = keyCondition(
      parseCondition('KeyConditionExpression', fields.text('KeyConditionExpression') ?? '', placeholders),
      partitionKey,
      sortKey ?? null,
    );
    const filterText = fields.text('FilterExpression');
    const filter = filterText === null ? null : parseCondition('FilterExpression', filterText, placeholders);
    const project = projection(fields, placeholders);
    placeholders.done();
    const consistent = fields.get('ConsistentRead') === true;
    const forward = fields.get('ScanIndexForward') !== false;
    const limit = fields.get('Limit') ?? Number.POSITIVE_INFINITY;
    if (typeof limit !== 'number' || limit < 1) return invalid('Limit must be greater than or equal to 1');
    const start = fields.get('ExclusiveStartKey');
    const startKey = start === undefined ? null : table.checkKey(checkItem(start, 'ExclusiveStartKey'));
    const select = fields.text('Select') ?? 'ALL_ATTRIBUTES';
    if (!['ALL_ATTRIBUTES', 'COUNT', 'SPECIFIC_ATTRIBUTES'].includes(select)) invalid(`Select ${select} is not known`);
    fields.done();
    const all = [...table.partition(keys.partition, consistent)].filter((item) => !keys.sort || holds(keys.sort, item));
    if (!forward) all.reverse();
    const page = pageOf(all, startKey ? after(all, startKey, sortKey ?? null, forward) : 0, limit);
    const found = filter ? page.items.filter((item) => holds(filter, item)) : page.items;
    return {
      ...(select === 'COUNT' ? {} : { Items: found.map(project) }),
      Count: found.length,
      ScannedCount: page.items.length,
      ...(page.last ? { LastEvaluatedKey: table.keyOf(page.last) } : {}),
    };
  }

  #batchGet(call: ApiCall, fields: Fields): JsonObject {
    const requests = Object.entries(fields.object('RequestItems')).flatMap(([tableName, request]) => {
      if (!isObject(request)) return invalid('RequestItems: no structure');
      const inner = new Fields(call, request);
      const table = this.#table(tableName);
      const consistent = inner.get('ConsistentRead') === true;
      const keys = inner.list('Keys').map((key) => table.checkKey(checkItem(key, 'Key')));
      const project = projection(inner);
      inner.done();
      return keys.map((key) => ({ tableName, request, table, key, consistent, project }));
    });
    fields.done();
    checkBatch(requests, 100, 'Too many items requested for the BatchGetItem call');
    const processed = this.#options.processedOf?.(call, requests.length) ?? requests.length;
    const responses: Record<string, Item[]> = {};
    const unprocessed: Record<string, { Keys: Item[] }> = {};
    requests.forEach(({ tableName, request, table, key, consistent, project }, index) => {
      responses[tableName] ??= [];
      if (index < processed) {
        const item = table.get(key, consistent);
        if (item) responses[tableName].push(project(item));
        return;
      }
      unprocessed[tableName] ??= { ...request, Keys: [] };
      unprocessed[tableName].Keys.push(key);
    });
    return { Responses: responses, UnprocessedKeys: unprocessed };
  }

  #batchWrite(call: ApiCall, fields: Fields): JsonObject {
    const writes = Object.entries(fields.object('RequestItems')).flatMap(([tableName, list]) => {
      if (!Array.isArray(list)) return invalid('RequestItems: no list');
      return list.map((entry: Json) => {
        const put = isObject(entry) && isObject(entry.PutRequest) ? entry.PutRequest : null;
        const remove = isObject(entry) && isObject(entry.DeleteRequest) ? entry.DeleteRequest : null;
        const inner = { TableName: tableName, ...(put ?? remove ?? invalid('neither PutRequest nor DeleteRequest')) };
        const write = this.#prepared(new Fields(call, inner), put ? 'put' : 'delete');
        return { tableName, entry, write, table: write.table, key: write.key };
      });
    });
    fields.done();
    checkBatch(writes, 25, 'Too many items requested for the BatchWriteItem call');
    const processed = this.#options.processedOf?.(call, writes.length) ?? writes.length;
    const unprocessed: Record<string, Json[]> = {};
    writes.forEach(({ tableName, entry, write }, index) => {
      if (index < processed) carryOut(write);
      else {
        unprocessed[tableName] ??= [];
        unprocessed[tableName].push(entry);
      }
    });
    return { UnprocessedItems: unprocessed };
  }

  #transact(call: ApiCall, fields: Fields): JsonObject {
    const kinds = { Put: 'put', Update: 'update', Delete: 'delete', ConditionCheck: 'check' } as const;
    const writes = fields.list('TransactItems').map((entry) => {
      for (const [name, kind] of Object.entries(kinds)) {
        const request = entry[name];
        if (isObject(request)) return this.#prepared(new Fields(call, request), kind);
      }
      return invalid('TransactItems: none of Put, Update, Delete and ConditionCheck');
    });
    const token = fields.text('ClientRequestToken');
    fields.done();
    checkBatch(writes, 100, 'Member must have length less than or equal to 100');
    const content = JSON.stringify(call.params.TransactItems);
    const earlier = this.#transactions.get(token ?? '');
    if (earlier && Date.now() - earlier.at < tokenLife) {
      if (earlier.content === content) return {};
      throw new ApiError('IdempotentParameterMismatchException', 'Request with the same token has other parameters');
    }
    if (writes.some(({ refusal }) => refusal)) {
      const reasons = writes.map(({ refusal }) =>
        refusal ? { Code: 'ConditionalCheckFailed', Message: refusal.message, ...refusal.fields } : { Code: 'None' },
      );
      throw new DynamoDbError(
        'TransactionCanceledException',
        `Transaction cancelled, please refer cancellation reasons for specific reasons [${reasons.map(({ Code }) => Code).join(', ')}]`,
        { CancellationReasons: reasons },
      );
    }
    for (const write of writes) carryOut(write);
    if (token) this.#transactions.set(token, { at: Date.now(), content });
    return {};
  }

  #describe(fields: Fields): JsonObject {
    const { settings } = this.#table(fields.text('TableName'));
    fields.done();
    const keys = settings.sortKey === undefined ? [settings.partitionKey] : [settings.partitionKey, settings.sortKey];
    return {
      Table: {
        TableName: settings.name,
        TableStatus: 'ACTIVE',
        KeySchema: keys.map((name, index) => ({ AttributeName: name, KeyType: index === 0 ? 'HASH' : 'RANGE' })),
        AttributeDefinitions: keys.map((name) => ({ AttributeName: name, AttributeType: 'S' })),
      },
    };
  }
}

/** Of a batch: not empty, not too long, no item twice. */
function checkBatch(
  entries: readonly { readonly table: Table; readonly key: Item }[],
  most: number,
  tooMany: string,
): void {
  if (entries.length === 0) invalid('The batch request list cannot be empty');
  if (entries.length > most) invalid(tooMany);
  const names = entries.map(({ table, key }) => JSON.stringify([table.settings.name, table.keyOf(key)]));
  if (new Set(names).size !== names.length) invalid('Provided list of item keys contains duplicates');
}

/** What to return of an item: top-level attributes, or all. */
function projection(fields: Fields, shared?: Placeholders): (item: Item) => Item {
  const text = fields.text('ProjectionExpression');
  const own = shared ?? new Placeholders(fields.object('ExpressionAttributeNames'), {});
  if (text === null) {
    if (!shared) own.done();
    return (item) => item;
  }
  const names = text.split(',').map((part) => {
    const [name, ...deeper] = new Tokens('ProjectionExpression', part).path(own);
    if (deeper.length > 0) return nestedPath(`ProjectionExpression ${part}`);
    return String(name);
  });
  if (!shared) own.done();
  return (item) => Object.fromEntries(Object.entries(item).filter(([name]) => names.includes(name)));
}

/** The attributes that an update names, as they were or are. */
function named(wanted: string, { before, after, update }: PreparedWrite): Item {
  const names = update.map(({ path }) => {
    if (path.length > 1) return nestedPath(`ReturnValues ${wanted} of ${path.join('.')}`);
    return String(path[0]);
  });
  const shown = Object.entries((wanted === 'UPDATED_OLD' ? before : after) ?? {});
  return Object.fromEntries(shown.filter(([name]) => names.includes(name)));
}

function nestedPath(where: string): never {
  throw new ApiError('NotModelledByTheEmbeddedRegion', `${where}: nested paths are not modelled`, 501);
}

/** Where a query goes on after a start key, whether the item of that key is still there or not. */
function after(items: readonly Item[], startKey: Item, sortKey: string | null, forward: boolean): number {
  const start = Buffer.from(String(startKey[sortKey ?? '']?.S ?? ''));
  const index = items.findIndex((item) => {
    const order = Buffer.compare(Buffer.from(String(item[sortKey ?? '']?.S ?? '')), start);
    return forward ? order > 0 : order < 0;
  });
  return index === -1 ? items.length : index;
}

/** Reads until the limit or 1 MB; what was reached last is named even if nothing follows, as DynamoDB does. */
function pageOf(
  all: readonly Item[],
  from: number,
  limit: number,
): { readonly items: Item[]; readonly last: Item | null } {
  const items: Item[] = [];
  let bytes = 0;
  for (const item of all.slice(from)) {
    items.push(item);
    bytes += itemSize(item);
    if (items.length >= limit || bytes >= largestPage) return { items, last: item };
  }
  return { items, last: null };
}
