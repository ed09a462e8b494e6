/** The ledger, kept in one DynamoDB table. */
import {
  BatchGetCommand,
  BatchWriteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  type QueryCommandOutput,
} from '@aws-sdk/lib-dynamodb';
import type * as z from 'zod';
import { cellReportSchema } from '../../domain/contracts.ts';
import type { InstanceHistory } from '../../domain/finding.ts';
import type { Answer, LedgerPort } from '../../domain/ports.ts';
import { answered, type Called, type Caller, mapAnswer, sleep } from './call.ts';
import type { StateOf } from './executions.ts';
import { chunksOf } from './isolate.ts';
import { createLeases } from './leases.ts';
import {
  bodiesOf,
  bodyOf,
  corrupt,
  entryRecordSchema,
  historySchema,
  type Item,
  issuesOf,
  KEPT_DAYS,
  type Key,
  keys,
  LARGEST_BODY,
  memorySchema,
  pauseSchema,
  problem,
  runRecordSchema,
} from './ledger-items.ts';

/** DynamoDB's limits for one batch, and how often what it left undone is asked for again. */
const WRITES_PER_BATCH = 25;
const READS_PER_BATCH = 100;
const BATCH_WAITS = [100, 200, 400, 800, 1600, 3200] as const;
const ENTRIES_PER_PAGE = 50;

/** @param stateOf - how far a durable execution is: by it a lease shows whether its holder is dead. */
export function createLedger(
  table: DynamoDBDocumentClient,
  tableName: string,
  caller: Caller,
  stateOf: StateOf,
): LedgerPort {
  const inDays = (days: number) => Math.floor(Date.now() / 1000) + days * 86_400;

  async function get(key: Key): Promise<Called<Item | null>> {
    const answer = await caller.call({
      call: 'dynamodb:GetItem',
      effect: 'read',
      send: (options) =>
        table.send(new GetCommand({ TableName: tableName, Key: { ...key }, ConsistentRead: true }), options),
    });
    return answer.ok ? answered(answer.value.Item ?? null) : answer;
  }

  function itemOf(key: Key, value: unknown, days: number | null): Called<Item> {
    const body = JSON.stringify(value);
    const bytes = Buffer.byteLength(body);
    if (bytes <= LARGEST_BODY) return answered({ ...key, body, ...(days === null ? {} : { expiresAt: inDays(days) }) });
    const message = `${key.pk} ${key.sk} has ${bytes} bytes; DynamoDB takes items of 400 KB`;
    return problem(
      'dynamodb:PutItem',
      'ItemTooLarge',
      message,
      'report it with the number of cells and errors of the run',
    );
  }

  async function put(key: Key, value: unknown, days: number | null): Promise<Answer<null>> {
    const item = itemOf(key, value, days);
    if (!item.ok) return item;
    const answer = await caller.call({
      call: 'dynamodb:PutItem',
      effect: 'repeatable',
      send: (options) => table.send(new PutCommand({ TableName: tableName, Item: item.value }), options),
    });
    return mapAnswer(answer, () => null);
  }

  async function getBody<S extends z.ZodType>(key: Key, schema: S): Promise<Called<z.output<S> | null>> {
    const item = await get(key);
    if (!item.ok) return item;
    return item.value === null ? answered(null) : bodyOf('dynamodb:GetItem', item.value, schema);
  }

  async function getMany(wanted: readonly Key[]): Promise<Called<readonly Item[]>> {
    const items: Item[] = [];
    for (const chunk of chunksOf(wanted, READS_PER_BATCH)) {
      let left: Record<string, unknown>[] = chunk.map((key) => ({ ...key }));
      for (let attempt = 0; left.length > 0; attempt++) {
        const batch = left;
        const answer = await caller.call({
          call: 'dynamodb:BatchGetItem',
          effect: 'read',
          send: (options) =>
            table.send(
              new BatchGetCommand({ RequestItems: { [tableName]: { Keys: batch, ConsistentRead: true } } }),
              options,
            ),
        });
        if (!answer.ok) return answer;
        items.push(...(answer.value.Responses?.[tableName] ?? []));
        left = answer.value.UnprocessedKeys?.[tableName]?.Keys ?? [];
        if (left.length > 0 && !(await pauseBefore(attempt))) return unprocessed('dynamodb:BatchGetItem', left.length);
      }
    }
    return answered(items);
  }

  async function putMany(items: readonly Item[]): Promise<Answer<null>> {
    for (const chunk of chunksOf(items, WRITES_PER_BATCH)) {
      let left = chunk.map((item) => ({ PutRequest: { Item: item } }));
      for (let attempt = 0; left.length > 0; attempt++) {
        const batch = left;
        const answer = await caller.call({
          call: 'dynamodb:BatchWriteItem',
          effect: 'repeatable',
          send: (options) => table.send(new BatchWriteCommand({ RequestItems: { [tableName]: batch } }), options),
        });
        if (!answer.ok) return answer;
        left = (answer.value.UnprocessedItems?.[tableName] ?? []) as typeof left;
        if (left.length > 0 && !(await pauseBefore(attempt)))
          return unprocessed('dynamodb:BatchWriteItem', left.length);
      }
    }
    return answered(null);
  }

  /** One page of the items of a partition whose sort key has a prefix, in order. @param after - sort key of the last one. */
  function query(pk: string, prefix: string, after: string | null) {
    return caller.call({
      call: 'dynamodb:Query',
      effect: 'read',
      send: (options) =>
        table.send(
          new QueryCommand({
            TableName: tableName,
            KeyConditionExpression: '#pk = :pk AND begins_with(#sk, :prefix)',
            ExpressionAttributeNames: { '#pk': 'pk', '#sk': 'sk' },
            ExpressionAttributeValues: { ':pk': pk, ':prefix': prefix },
            ConsistentRead: true,
            Limit: ENTRIES_PER_PAGE,
            ...(after === null ? {} : { ExclusiveStartKey: { pk, sk: after } }),
          }),
          options,
        ),
    });
  }

  return {
    ...createLeases({ table, tableName, caller, get, query, stateOf }),

    putRun: (record) => put(keys.run(record.runId), record, KEPT_DAYS.run),
    getRun: (runId) => getBody(keys.run(runId), runRecordSchema),
    putCellReport: (runId, report) => put(keys.cellReport(runId, report), report, KEPT_DAYS.run),

    async getCellReports(runId) {
      const { pk } = keys.run(runId);
      const items: Item[] = [];
      let after: string | null = null;
      do {
        const page: Called<QueryCommandOutput> = await query(pk, keys.cellPrefix, after);
        if (!page.ok) return page;
        items.push(...(page.value.Items ?? []));
        const last: unknown = page.value.LastEvaluatedKey?.sk;
        after = typeof last === 'string' ? last : null;
      } while (after !== null);
      return bodiesOf('dynamodb:Query', items, cellReportSchema);
    },

    async putEntries(runId, cell, records) {
      const items = new Map<string, Item>();
      for (const record of records) {
        const key = keys.entry(runId, cell, record.entry.instanceId);
        const item = itemOf(key, record, KEPT_DAYS.run);
        if (!item.ok) return item;
        items.set(key.sk, item.value);
      }
      return putMany([...items.values()]);
    },

    async getEntries(runId, cell, instanceIds) {
      const items = await getMany([...new Set(instanceIds)].sort().map((id) => keys.entry(runId, cell, id)));
      if (!items.ok) return items;
      const records = bodiesOf('dynamodb:BatchGetItem', items.value, entryRecordSchema);
      if (!records.ok) return records;
      // A batch comes in any order.
      return answered(records.value.toSorted((a, b) => (a.entry.instanceId < b.entry.instanceId ? -1 : 1)));
    },

    async listEntries(runId, cell, cursor) {
      const { pk } = keys.run(runId);
      const prefix = keys.entryPrefix(cell);
      const after = cursor === null ? null : Buffer.from(cursor, 'base64url').toString();
      if (after !== null && !after.startsWith(prefix)) {
        return problem(
          'dynamodb:Query',
          'InvalidCursor',
          'the cursor is of another listing',
          'start from the beginning',
        );
      }
      const answer = await query(pk, prefix, after);
      if (!answer.ok) return answer;
      const records = bodiesOf('dynamodb:Query', answer.value.Items ?? [], entryRecordSchema);
      if (!records.ok) return records;
      const last: unknown = answer.value.LastEvaluatedKey?.sk;
      const next = typeof last === 'string' ? Buffer.from(last).toString('base64url') : null;
      return answered({ items: records.value, cursor: next });
    },

    async getHistories(cell, instanceIds) {
      const ids = [...new Set(instanceIds)];
      const items = await getMany(ids.map((id) => keys.history(cell, id)));
      if (!items.ok) return items;
      const byKey = new Map(items.value.map((item) => [item.pk, item]));
      const histories = new Map<string, InstanceHistory>();
      for (const id of ids) {
        const item = byKey.get(keys.history(cell, id).pk);
        if (!item) continue;
        const history = bodyOf('dynamodb:BatchGetItem', item, historySchema);
        if (!history.ok) return history;
        histories.set(id, history.value);
      }
      return answered(histories);
    },

    putHistory: (cell, instanceId, history) => put(keys.history(cell, instanceId), history, KEPT_DAYS.history),

    getCellMemory: (cell) => getBody(keys.memory(cell), memorySchema),
    putCellMemory: (cell, memory) => put(keys.memory(cell), memory, null),

    async getPause() {
      const item = await get(keys.pause);
      if (!item.ok) return item;
      if (item.value === null) return answered(null);
      const pause = pauseSchema.safeParse(item.value);
      if (!pause.success) return corrupt('dynamodb:GetItem', item.value, issuesOf(pause.error));
      const until = pause.data.until ?? null;
      return answered(until !== null && Date.parse(until) <= Date.now() ? null : { reason: pause.data.reason, until });
    },
  };
}

async function pauseBefore(attempt: number): Promise<boolean> {
  const wait = BATCH_WAITS[attempt];
  if (wait === undefined) return false;
  await sleep(wait);
  return true;
}

function unprocessed(call: string, count: number) {
  const next = 'run again; if it stays, look at the throttled requests of the table';
  return problem(call, 'UnprocessedItems', `${count} items were left undone to the end`, next);
}
