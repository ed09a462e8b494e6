import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import { credentialsFor, EmbeddedCloud } from '../../simulator/cloud.ts';
import { EventLog, Random } from '../../simulator/core.ts';
import { holds, parseCondition } from '../../simulator/dynamodb/expressions.ts';
import { Placeholders } from '../../simulator/dynamodb/tokens.ts';
import type { Item } from '../../simulator/dynamodb/values.ts';
import { type DynamoDbOptions, DynamoDbService } from '../../simulator/dynamodb.ts';
import { inProcessHandler } from '../../simulator/in-process.ts';

const account = '111122223333';
const TableName = 'ledger';

function world(options: DynamoDbOptions = {}) {
  const cloud = new EmbeddedCloud({ seed: 1, homeAccountId: account, log: new EventLog(), latencyMs: [0, 0] });
  const service = new DynamoDbService(options);
  service.createTable({ name: TableName, partitionKey: 'pk', sortKey: 'sk', timeToLive: 'expiresAt' });
  cloud.register(service);
  const client = DynamoDBDocumentClient.from(
    new DynamoDBClient({
      region: 'eu-west-1',
      credentials: credentialsFor(account),
      requestHandler: inProcessHandler(cloud),
      maxAttempts: 1,
    }),
    { marshallOptions: { removeUndefinedValues: true } },
  );
  const put = (Item: Record<string, unknown>) => client.send(new PutCommand({ TableName, Item }));
  const get = async (pk: string, sk: string) =>
    (await client.send(new GetCommand({ TableName, Key: { pk, sk }, ConsistentRead: true }))).Item;
  return { client, service, put, get };
}

describe('items', () => {
  test('what is put is got, deleted and gone', async () => {
    const { client, put, get } = world();
    const item = { pk: 'run#1', sk: 'i-1', n: 3, list: [1, 'two', null, true], map: { deep: { x: -1.5 } } };
    await put(item);
    expect(await get('run#1', 'i-1')).toEqual(item);
    expect(await get('run#1', 'i-2')).toBeUndefined();
    const gone = await client.send(
      new DeleteCommand({ TableName, Key: { pk: 'run#1', sk: 'i-1' }, ReturnValues: 'ALL_OLD' }),
    );
    expect(gone.Attributes).toEqual(item);
    expect(await get('run#1', 'i-1')).toBeUndefined();
  });

  test('a lease has one holder: the condition decides', async () => {
    const { client } = world();
    const acquire = (holder: string, now: number) =>
      client.send(
        new PutCommand({
          TableName,
          Item: { pk: 'lease', sk: 'i-1', holder, heldUntil: now + 60 },
          ConditionExpression: 'attribute_not_exists(#pk) OR #heldUntil <= :now OR #holder = :holder',
          ExpressionAttributeNames: { '#pk': 'pk', '#heldUntil': 'heldUntil', '#holder': 'holder' },
          ExpressionAttributeValues: { ':now': now, ':holder': holder },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        }),
      );
    await acquire('a', 100);
    await acquire('a', 101);
    await expect(acquire('b', 102)).rejects.toMatchObject({
      name: 'ConditionalCheckFailedException',
      Item: { holder: { S: 'a' } },
    });
    await acquire('b', 161);
  });

  test('updates count, default, append, remove, and answer with what changed', async () => {
    const { client, put, get } = world();
    await put({ pk: 'p', sk: 's', count: 1, tags: ['a'], former: 'x', map: { inner: 1 } });
    const answer = await client.send(
      new UpdateCommand({
        TableName,
        Key: { pk: 'p', sk: 's' },
        UpdateExpression:
          'SET #count = #count + :one, firstSeen = if_not_exists(firstSeen, :now), tags = list_append(tags, :more), #m.#i = :two REMOVE former ADD seen :one, kinds :kinds',
        ExpressionAttributeNames: { '#count': 'count', '#m': 'map', '#i': 'inner' },
        ExpressionAttributeValues: { ':one': 1, ':now': 50, ':more': ['b'], ':two': 2, ':kinds': new Set(['k']) },
        ReturnValues: 'ALL_NEW',
      }),
    );
    const expected = {
      pk: 'p',
      sk: 's',
      count: 2,
      tags: ['a', 'b'],
      map: { inner: 2 },
      firstSeen: 50,
      seen: 1,
      kinds: new Set(['k']),
    };
    expect(answer.Attributes).toEqual(expected);
    expect(await get('p', 's')).toEqual(expected);
    const created = await client.send(
      new UpdateCommand({
        TableName,
        Key: { pk: 'p', sk: 'new' },
        UpdateExpression: 'SET a = :a',
        ExpressionAttributeValues: { ':a': 1 },
        ReturnValues: 'UPDATED_NEW',
      }),
    );
    expect(created.Attributes).toEqual({ a: 1 });
    expect(await get('p', 'new')).toEqual({ pk: 'p', sk: 'new', a: 1 });
  });

  test.each([
    ['an unused value', 'SET a = :a', { ':a': 1, ':b': 2 }, /unused in expressions: keys: \{:b\}/],
    ['an undefined value', 'SET a = :b', {}, /not defined; attribute value: :b/],
    ['a reserved word', 'SET status = :a', { ':a': 1 }, /reserved keyword: status/],
    ['a key attribute', 'SET sk = :a', { ':a': 'x' }, /Cannot update attribute sk/],
    ['a missing operand', 'SET a = nothing + :a', { ':a': 1 }, /does not exist in the item/],
    ['overlapping paths', 'SET a = :a, a.b = :a', { ':a': 1 }, /overlap/],
    ['a missing parent', 'SET m.x = :a', { ':a': 1 }, /invalid for update/],
    ['an unknown function', 'SET a = now(:a)', { ':a': 1 }, /Invalid function name/],
    ['a clause twice', 'SET a = :a SET b = :a', { ':a': 1 }, /can only be used once/],
    ['nonsense', 'SET a == :a', { ':a': 1 }, /Syntax error/],
    ['a text added to a number', 'SET a = pk + :a', { ':a': 1 }, /incorrect data type/],
  ])('%s is refused', async (_what, UpdateExpression, values, message) => {
    const { client, put, get } = world();
    await put({ pk: 'p', sk: 's', keep: 1 });
    const update = client.send(
      new UpdateCommand({
        TableName,
        Key: { pk: 'p', sk: 's' },
        UpdateExpression,
        ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {}),
      }),
    );
    await expect(update).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(message),
    });
    expect(await get('p', 's')).toEqual({ pk: 'p', sk: 's', keep: 1 });
  });

  test('400 KB is the end of an item, and unknown parameters are refused', async () => {
    const { client, put } = world();
    await put({ pk: 'p', sk: 's', text: 'x'.repeat(400 * 1024 - 20) });
    await expect(put({ pk: 'p', sk: 's', text: 'x'.repeat(400 * 1024) })).rejects.toThrow(/maximum allowed size/);
    const legacy = new PutCommand({ TableName, Item: { pk: 'p', sk: 's' }, Expected: { a: { Exists: false } } });
    await expect(client.send(legacy)).rejects.toMatchObject({ name: 'NotModelledByTheEmbeddedRegion' });
    const missing = new GetCommand({ TableName: 'nowhere', Key: { pk: 'p', sk: 's' } });
    await expect(client.send(missing)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});

describe('conditions', () => {
  const item: Item = {
    n: { N: '10' },
    s: { S: 'hello' },
    many: { L: [{ S: 'x' }, { N: '1' }] },
    kinds: { SS: ['a', 'b'] },
    nest: { M: { x1: { N: '5' } } },
    yes: { BOOL: true },
  };
  test.each([
    ['n = :ten', true],
    ['n <> :ten', false],
    ['nothing <> :ten', true],
    ['nothing = :ten', false],
    ['n > :nine AND n >= :ten AND n <= :ten', true],
    ['n > :ten OR s = :hello', true],
    ['NOT n = :ten', false],
    ['NOT (n = :nine AND s = :hello)', true],
    ['n = :nine OR n = :ten AND s = :he', false],
    ['(n = :nine OR n = :ten) AND s = :hello', true],
    ['n BETWEEN :nine AND :ten', true],
    ['n IN (:nine, :ten)', true],
    ['n IN (:nine)', false],
    ['begins_with(s, :he)', true],
    ['begins_with(n, :he)', false],
    ['contains(s, :he)', true],
    ['contains(kinds, :a)', true],
    ['contains(many, :a)', false],
    ['size(s) = :five', true],
    ['size(many) < :five', true],
    ['attribute_exists(nest.x1)', true],
    ['attribute_exists(nest.x2)', false],
    ['attribute_not_exists(many[2])', true],
    ['attribute_type(yes, :bool)', true],
    ['nest.x1 = :five', true],
    ['s > :ten', false],
  ])('%s is %s', (text, expected) => {
    const values = {
      ':nine': { N: '9' },
      ':ten': { N: '1.0e1' },
      ':five': { N: '5' },
      ':hello': { S: 'hello' },
      ':he': { S: 'he' },
      ':a': { S: 'a' },
      ':bool': { S: 'BOOL' },
    };
    expect(holds(parseCondition('ConditionExpression', text, new Placeholders({}, values)), item)).toBe(expected);
  });
});

test('an order of values that have none is refused', () => {
  const placeholders = new Placeholders({}, { ':yes': { BOOL: true } });
  expect(() => parseCondition('ConditionExpression', 'n < :yes', placeholders)).toThrow(/Incorrect operand type/);
});

describe('queries', () => {
  const query = (input: Partial<QueryCommand['input']>) =>
    new QueryCommand({
      TableName,
      KeyConditionExpression: '#pk = :pk AND begins_with(#sk, :prefix)',
      ExpressionAttributeNames: { '#pk': 'pk', '#sk': 'sk' },
      ExpressionAttributeValues: { ':pk': 'run', ':prefix': 'i-' },
      ConsistentRead: true,
      ...input,
    });

  test('pages in order, both ways, and names the end of a page even if nothing follows', async () => {
    const { client, put } = world();
    for (const n of [3, 1, 10, 2]) await put({ pk: 'run', sk: `i-${n}`, n });
    await put({ pk: 'run', sk: 'other' });
    await put({ pk: 'run2', sk: 'i-9' });
    const pages: unknown[] = [];
    let start: Record<string, unknown> | undefined;
    do {
      const page = await client.send(query({ Limit: 2, ...(start ? { ExclusiveStartKey: start } : {}) }));
      pages.push(page.Items?.map(({ n }) => n));
      start = page.LastEvaluatedKey;
    } while (start);
    expect(pages).toEqual([[1, 10], [2, 3], []]);
    const back = await client.send(query({ ScanIndexForward: false }));
    expect(back.Items?.map(({ n }) => n)).toEqual([3, 2, 10, 1]);
  });

  test('a filter works on what was read, and a page ends at 1 MB', async () => {
    const { client, put } = world();
    for (let n = 0; n < 5; n++) await put({ pk: 'run', sk: `i-${n}`, n, text: 'x'.repeat(300_000) });
    const page = await client.send(query({}));
    expect([page.Count, page.LastEvaluatedKey]).toEqual([4, { pk: 'run', sk: 'i-3' }]);
    const filtered = await client.send(
      query({
        FilterExpression: 'n >= :two',
        ExpressionAttributeValues: { ':pk': 'run', ':prefix': 'i-', ':two': 2 },
        ProjectionExpression: 'n',
      }),
    );
    expect([filtered.Items, filtered.ScannedCount]).toEqual([[{ n: 2 }, { n: 3 }], 4]);
  });

  test.each([
    ['no partition key', '#sk = :prefix AND #sk = :pk'],
    ['a range of partitions', '#pk > :pk AND begins_with(#sk, :prefix)'],
    ['OR', '#pk = :pk OR #sk = :prefix'],
  ])('%s is refused', async (_what, KeyConditionExpression) => {
    await expect(world().client.send(query({ KeyConditionExpression }))).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  test('reads that are not consistent may lag, consistent ones never do', async () => {
    jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'], now: 1_000_000 });
    try {
      const { client, put } = world({ lag: { random: new Random(3), atMostMilliseconds: 1000 } });
      const read = async (ConsistentRead: boolean) =>
        (await client.send(new GetCommand({ TableName, Key: { pk: 'p', sk: 's' }, ConsistentRead }))).Item?.n;
      await put({ pk: 'p', sk: 's', n: 1 });
      expect([await read(false), await read(true)]).toEqual([undefined, 1]);
      jest.setSystemTime(1_001_001);
      expect(await read(false)).toBe(1);
      await put({ pk: 'p', sk: 's', n: 2 });
      expect([await read(false), await read(true)]).toEqual([1, 2]);
    } finally {
      jest.useRealTimers();
    }
  });

  test('what has expired is still there for a while, and is gone after two days', async () => {
    jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'], now: 1_000_000_000 });
    try {
      const { put, get } = world();
      await put({ pk: 'p', sk: 's', expiresAt: 1_000_000 });
      expect(await get('p', 's')).toBeDefined();
      jest.setSystemTime(1_000_000_000 + 2 * 86_400_000);
      expect(await get('p', 's')).toBeUndefined();
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('batches and transactions', () => {
  test('writes and reads come back unprocessed where the service is told so', async () => {
    const { client, service } = world({ processedOf: (_call, asked) => Math.ceil(asked / 2) });
    const items = [1, 2, 3, 4].map((n) => ({ PutRequest: { Item: { pk: 'p', sk: `${n}` } } }));
    const first = await client.send(new BatchWriteCommand({ RequestItems: { [TableName]: items } }));
    expect(first.UnprocessedItems?.[TableName]).toEqual(items.slice(2));
    const table = service.createTable({ name: 'other', partitionKey: 'id' });
    expect(table.items()).toEqual([]);
    const got = await client.send(
      new BatchGetCommand({ RequestItems: { [TableName]: { Keys: items.map(({ PutRequest }) => PutRequest.Item) } } }),
    );
    expect(got.Responses?.[TableName]).toEqual([
      { pk: 'p', sk: '1' },
      { pk: 'p', sk: '2' },
    ]);
    expect(got.UnprocessedKeys?.[TableName]?.Keys).toHaveLength(2);
  });

  test('too many and twice the same are refused', async () => {
    const { client } = world();
    const write = (sks: readonly string[]) =>
      client.send(
        new BatchWriteCommand({
          RequestItems: { [TableName]: sks.map((sk) => ({ PutRequest: { Item: { pk: 'p', sk } } })) },
        }),
      );
    await expect(write(Array.from({ length: 26 }, (_, n) => `${n}`))).rejects.toThrow(/Too many items/);
    await expect(write(['1', '1'])).rejects.toThrow(/duplicates/);
    const keys = Array.from({ length: 101 }, (_, n) => ({ pk: 'p', sk: `${n}` }));
    await expect(client.send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys: keys } } }))).rejects.toThrow(
      /Too many items/,
    );
  });

  test('a transaction is all or nothing and says which condition failed', async () => {
    const { client, put, get } = world();
    await put({ pk: 'p', sk: 'taken' });
    const transact = (sk: string) =>
      client.send(
        new TransactWriteCommand({
          TransactItems: [
            { Put: { TableName, Item: { pk: 'p', sk: 'other' } } },
            { Put: { TableName, Item: { pk: 'p', sk }, ConditionExpression: 'attribute_not_exists(pk)' } },
          ],
        }),
      );
    await expect(transact('taken')).rejects.toMatchObject({
      name: 'TransactionCanceledException',
      CancellationReasons: [{ Code: 'None' }, { Code: 'ConditionalCheckFailed' }],
    });
    expect(await get('p', 'other')).toBeUndefined();
    await transact('free');
    expect(await get('p', 'other')).toBeDefined();
  });
});
