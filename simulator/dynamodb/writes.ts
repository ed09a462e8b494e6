/** One write as PutItem, UpdateItem, DeleteItem and transactions share it: prepared, checked, then carried out. */
import { ApiError, type JsonObject } from '../core.ts';
import { type Condition, holds, parseCondition } from './expressions.ts';
import type { Table } from './table.ts';
import { Placeholders } from './tokens.ts';
import { applyUpdate, parseUpdate, type Update } from './update.ts';
import { checkItem, type Item, invalid, itemSize } from './values.ts';

/** Unit: bytes, of names and values. */
const largestItem = 400 * 1024;

/** An error of DynamoDB that carries more than a message. */
export class DynamoDbError extends ApiError {
  constructor(code: string, message: string, fields: JsonObject) {
    super(code, message, 400, fields);
  }
}

/** The parts of a request that a write reads. */
export interface WriteRequest {
  readonly kind: 'put' | 'update' | 'delete' | 'check';
  readonly key: Item;
  readonly item: Item | null;
  readonly update: string | null;
  readonly condition: string | null;
  readonly names: JsonObject;
  readonly values: JsonObject;
  readonly returnOnFailure: boolean;
}

/** A write whose expressions are understood and whose result is known. */
export interface PreparedWrite {
  readonly table: Table;
  readonly key: Item;
  readonly before: Item | null;
  readonly after: Item | null;
  /** What the update expression says; empty where there is none. */
  readonly update: Update;
  /** Null: it may be carried out. */
  readonly refusal: DynamoDbError | null;
}

/** Works out what a write would do; changes nothing. @throws ApiError `ValidationException`. */
export function prepare(table: Table, request: WriteRequest): PreparedWrite {
  const placeholders = new Placeholders(request.names, request.values);
  const condition: Condition | null =
    request.condition === null ? null : parseCondition('ConditionExpression', request.condition, placeholders);
  const update = request.update === null ? [] : parseUpdate(request.update, placeholders);
  placeholders.done();
  const { key } = request;
  for (const { path } of update) {
    if (key[String(path[0])]) {
      invalid(
        `One or more parameter values were invalid: Cannot update attribute ${path[0]}. This attribute is part of the key`,
      );
    }
  }
  const before = table.get(key, true);
  if (condition && !holds(condition, before ?? {})) {
    const fields = request.returnOnFailure && before ? { Item: before } : {};
    const refusal = new DynamoDbError('ConditionalCheckFailedException', 'The conditional request failed', fields);
    return { table, key, before, after: before, update, refusal };
  }
  const after =
    request.kind === 'check'
      ? before
      : request.kind === 'delete'
        ? null
        : request.kind === 'put'
          ? checkItem(request.item ?? undefined, 'Item')
          : applyUpdate(update, before ?? key);
  if (after && itemSize(after) > largestItem) {
    invalid(
      request.kind === 'put'
        ? 'Item size has exceeded the maximum allowed size'
        : 'Item size to update has exceeded the maximum allowed size',
    );
  }
  return { table, key, before, after, update, refusal: null };
}

/** Makes it so. @throws DynamoDbError `ConditionalCheckFailedException`. */
export function carryOut(write: PreparedWrite): void {
  if (write.refusal) throw write.refusal;
  if (write.after !== write.before) write.table.set(write.key, write.after);
}
