import type { LedgerPort } from '../../../domain/ports.ts';
import {
  inVirtualTime,
  json,
  jsonError,
  type RecordedRequest,
  type Script,
  type ScriptedAws,
} from '../../support/scripted-aws.ts';
import { entryRecord, HISTORY, IRELAND, RUN } from './ledger.contract.ts';
import { errorOf, instanceId, mustHave, openCell } from './support.ts';

const ids = Array.from({ length: 60 }, (_, n) => instanceId(n));
const now = Date.UTC(2026, 10, 22);
const failed = jsonError('ConditionalCheckFailedException', 'The conditional request failed');

async function ask<T>(
  script: Script,
  work: (ledger: LedgerPort) => Promise<T>,
): Promise<{ answer: T; aws: ScriptedAws }> {
  const { ports, aws } = openCell(script);
  const { value } = await inVirtualTime(() => work(ports.ledger));
  return { answer: value, aws };
}
const item = (pk: string, sk: string, body: unknown) => ({
  pk: { S: pk },
  sk: { S: sk },
  body: { S: typeof body === 'string' ? body : JSON.stringify(body) },
});
const entryItem = (id: string) => item('run#run-0001', `entry#111122223333#eu-west-1#${id}`, entryRecord(id));

const EXECUTION = 'arn:aws:lambda:eu-west-1:111122223333:function:cell:1/durable-execution/x/y';
const heldLease = (fields: object = {}) => ({
  pk: { S: 'lease#cell' },
  sk: { S: 'lease' },
  holder: { S: 'run-0' },
  heldUntil: { N: String(now + 60_000) },
  ...fields,
});

describe('the lease', () => {
  test('is a conditional write that knows holder and time', async () => {
    const { aws } = await ask({ 'dynamodb:PutItem': json({}) }, (l) => l.acquireLease('cell#x', 'run-1', 60));
    const { params } = aws.requests[0]!;
    expect(params).toMatchObject({
      TableName: 'ledger',
      ConditionExpression: 'attribute_not_exists(#pk) OR #heldUntil <= :now OR #holder = :holder',
      ExpressionAttributeValues: { ':now': { N: String(now) }, ':holder': { S: 'run-1' } },
      Item: {
        pk: { S: 'lease#cell#x' },
        holder: { S: 'run-1' },
        heldUntil: { N: String(now + 60_000) },
        // Only the table's tidying, in seconds and a day later: DynamoDB's TTL decides nothing.
        expiresAt: { N: String(now / 1000 + 86_400 + 60) },
      },
    });
  });

  test('held by another is an answer with its name, read consistently', async () => {
    const { answer, aws } = await ask(
      { 'dynamodb:PutItem': failed, 'dynamodb:GetItem': json({ Item: heldLease() }) },
      (l) => l.acquireLease('cell', 'run-1', 60),
    );
    expect(mustHave(answer)).toEqual({ held: false, holder: 'run-0' });
    expect(aws.of('dynamodb:GetItem')[0]!.params.ConsistentRead).toBe(true);
  });

  test('given back between the refusal and the look, it is asked for again', async () => {
    const { answer } = await ask({ 'dynamodb:PutItem': [failed, json({})], 'dynamodb:GetItem': json({}) }, (l) =>
      l.acquireLease('cell', 'run-1', 60),
    );
    expect(mustHave(answer)).toEqual({ held: true, holder: 'run-1' });
  });

  test('a failure to ask is an error, not a free lease', async () => {
    const { answer } = await ask({ 'dynamodb:PutItem': jsonError('AccessDeniedException', 'no') }, (l) =>
      l.acquireLease('cell', 'run-1', 60),
    );
    expect(errorOf(answer)).toMatchObject({ call: 'dynamodb:PutItem', code: 'AccessDeniedException' });
  });

  /** Lambda's answer for an execution that ended so many seconds ago; null: it runs. */
  const execution = (status: string, endedSecondsAgo: number | null) =>
    json({
      DurableExecutionArn: EXECUTION,
      DurableExecutionName: 'x',
      FunctionArn: 'f',
      StartTimestamp: now / 1000 - 9000,
      Status: status,
      ...(endedSecondsAgo === null ? {} : { EndTimestamp: now / 1000 - endedSecondsAgo }),
    });
  const takeFrom = (state: Script[string], put: Script[string] = [failed, json({})], fields: object = {}) =>
    ask(
      {
        'dynamodb:PutItem': put,
        'dynamodb:GetItem': json({ Item: heldLease({ execution: { S: EXECUTION }, ...fields }) }),
        'lambda:GET': state,
      },
      (l) => l.acquireLease('cell', 'run-1', 60, 'mine'),
    );

  test.each(['STOPPED', 'FAILED', 'TIMED_OUT', 'SUCCEEDED'])(
    'of an execution that is %s is taken over',
    async (how) => {
      const { answer, aws } = await takeFrom(execution(how, 1000));
      expect(mustHave(answer)).toEqual({ held: true, holder: 'run-1' });
      // Exactly the lease that was looked at: whoever takes it in between keeps it.
      expect(aws.of('dynamodb:PutItem')[1]!.params).toMatchObject({
        ConditionExpression: '#holder = :dead AND #heldUntil = :until',
        ExpressionAttributeValues: { ':dead': { S: 'run-0' }, ':until': { N: String(now + 60_000) } },
        Item: { holder: { S: 'run-1' }, execution: { S: 'mine' } },
      });
    },
  );

  test.each<[string, Script[string]]>([
    ['runs', execution('RUNNING', null)],
    ['ended a moment ago, while its commands may go on', execution('STOPPED', 300)],
    ['cannot be looked at', jsonError('AccessDeniedException', 'no')],
  ])('of an execution that %s is not', async (_what, state) => {
    const { answer, aws } = await takeFrom(state);
    expect(mustHave(answer)).toEqual({ held: false, holder: 'run-0' });
    expect(aws.of('dynamodb:PutItem')).toHaveLength(1);
  });

  test('of a dead one that somebody else has just taken is not', async () => {
    const { answer, aws } = await takeFrom(execution('STOPPED', 1000), [failed, failed, failed]);
    expect(mustHave(answer)).toEqual({ held: false, holder: 'run-0' });
    expect(aws.of('dynamodb:PutItem')).toHaveLength(3);
  });

  test('a holder that named no execution is not looked for', async () => {
    const { answer, aws } = await ask(
      { 'dynamodb:PutItem': failed, 'dynamodb:GetItem': json({ Item: heldLease() }) },
      (l) => l.acquireLease('cell', 'run-1', 60, 'mine'),
    );
    expect(mustHave(answer)).toEqual({ held: false, holder: 'run-0' });
    expect(aws.of('lambda:GET')).toEqual([]);
  });

  test('those below a name are listed by their last part, without the dead and the expired', async () => {
    const below = (part: string, fields: object) => heldLease({ sk: { S: `lease#${part}` }, ...fields });
    const { answer, aws } = await ask(
      {
        'dynamodb:Query': json({
          Items: [
            below('i-1', {}),
            below('i-2', { heldUntil: { N: String(now - 1) } }),
            below('i-3', { execution: { S: EXECUTION } }),
          ],
        }),
        'lambda:GET': execution('FAILED', 1000),
      },
      (l) => l.listLeases('instance#x'),
    );
    expect(mustHave(answer)).toEqual([{ part: 'i-1', holder: 'run-0' }]);
    expect(aws.of('dynamodb:Query')[0]!.params).toMatchObject({
      ConsistentRead: true,
      ExpressionAttributeValues: { ':pk': { S: 'lease#instance#x' }, ':prefix': { S: 'lease#' } },
    });
  });

  test('an item that holds no lease is an error, not a free one', async () => {
    const { answer } = await ask(
      { 'dynamodb:PutItem': failed, 'dynamodb:GetItem': json({ Item: { pk: { S: 'x' }, sk: { S: 'lease' } } }) },
      (l) => l.acquireLease('cell', 'run-1', 60),
    );
    expect(errorOf(answer)).toMatchObject({ code: 'CorruptItem' });
  });

  test('is given back on condition', async () => {
    const { answer, aws } = await ask({ 'dynamodb:DeleteItem': failed }, (l) => l.releaseLease('cell', 'run-1'));
    expect(answer).toEqual({ ok: true, value: null });
    expect(aws.requests[0]!.params).toMatchObject({
      ConditionExpression: '#holder = :holder',
      ExpressionAttributeValues: { ':holder': { S: 'run-1' } },
    });
  });
});

describe('batches', () => {
  const written = (request: RecordedRequest) => (request.params.RequestItems as { ledger: object[] }).ledger;

  test('writes 25 at once, and what was left undone again', async () => {
    const { answer, aws } = await ask(
      {
        'dynamodb:BatchWriteItem': (request) => {
          const all = written(request);
          return json({ UnprocessedItems: all.length > 5 ? { ledger: all.slice(-5) } : {} });
        },
      },
      (l) =>
        l.putEntries(
          'run-0001',
          IRELAND,
          ids.map((id) => entryRecord(id)),
        ),
    );
    expect(answer).toEqual({ ok: true, value: null });
    expect(aws.requests.map((request) => written(request).length)).toEqual([25, 5, 25, 5, 10, 5]);
  });

  test('items of a run leave after 35 days, a history after 400', async () => {
    const { aws } = await ask({ 'dynamodb:BatchWriteItem': json({}), 'dynamodb:PutItem': json({}) }, async (l) => {
      await l.putEntries('run-0001', IRELAND, [entryRecord(ids[0]!)]);
      await l.putRun(RUN);
      await l.putHistory(IRELAND, ids[0]!, HISTORY);
    });
    const expiry = (days: number) => ({ N: String(now / 1000 + days * 86_400) });
    expect(written(aws.requests[0]!)[0]).toMatchObject({ PutRequest: { Item: { expiresAt: expiry(35) } } });
    expect(aws.requests[1]!.params.Item).toMatchObject({ expiresAt: expiry(35) });
    expect(aws.requests[2]!.params.Item).toMatchObject({ expiresAt: expiry(400) });
  });

  test('what stays undone is an error', async () => {
    const { answer } = await ask(
      { 'dynamodb:BatchWriteItem': (request) => json({ UnprocessedItems: { ledger: written(request) } }) },
      (l) => l.putEntries('run-0001', IRELAND, [entryRecord(ids[0]!)]),
    );
    expect(errorOf(answer)).toMatchObject({ code: 'UnprocessedItems', call: 'dynamodb:BatchWriteItem' });
  });

  test('reads what was left unread again', async () => {
    const key = (id: string) => ({ pk: { S: `instance#111122223333#eu-west-1#${id}` }, sk: { S: 'history' } });
    const found = (id: string) => ({ ...key(id), body: { S: JSON.stringify(HISTORY) } });
    const { answer, aws } = await ask(
      {
        'dynamodb:BatchGetItem': [
          json({ Responses: { ledger: [found(ids[0]!)] }, UnprocessedKeys: { ledger: { Keys: [key(ids[1]!)] } } }),
          json({ Responses: { ledger: [found(ids[1]!)] } }),
        ],
      },
      (l) => l.getHistories(IRELAND, [ids[0]!, ids[1]!]),
    );
    expect([...mustHave(answer).keys()]).toEqual([ids[0], ids[1]]);
    expect(aws.requests[1]!.params.RequestItems).toEqual({ ledger: { Keys: [key(ids[1]!)], ConsistentRead: true } });
  });

  test('what stays unread is an error, not "no history"', async () => {
    const key = { pk: { S: 'x' }, sk: { S: 'history' } };
    const { answer } = await ask(
      { 'dynamodb:BatchGetItem': json({ UnprocessedKeys: { ledger: { Keys: [key] } } }) },
      (l) => l.getHistories(IRELAND, [ids[0]!]),
    );
    expect(errorOf(answer)).toMatchObject({ code: 'UnprocessedItems' });
  });
});

describe('listEntries', () => {
  test('goes on where the last page ended', async () => {
    const last = { pk: { S: 'run#run-0001' }, sk: { S: `entry#111122223333#eu-west-1#${ids[0]}` } };
    const { aws } = await ask(
      {
        'dynamodb:Query': [
          json({ Items: [entryItem(ids[0]!)], LastEvaluatedKey: last }),
          json({ Items: [entryItem(ids[1]!)] }),
        ],
      },
      async (l) => {
        const first = mustHave(await l.listEntries('run-0001', IRELAND, null));
        const second = mustHave(await l.listEntries('run-0001', IRELAND, first.cursor));
        expect([...first.items, ...second.items].map((r) => r.entry.instanceId)).toEqual([ids[0], ids[1]]);
        expect(second.cursor).toBeNull();
      },
    );
    expect(aws.requests[0]!.params).toMatchObject({
      KeyConditionExpression: '#pk = :pk AND begins_with(#sk, :prefix)',
      ExpressionAttributeValues: { ':pk': { S: 'run#run-0001' }, ':prefix': { S: 'entry#111122223333#eu-west-1#' } },
    });
    expect(aws.requests[0]!.params).not.toHaveProperty('ExclusiveStartKey');
    expect(aws.requests[1]!.params.ExclusiveStartKey).toEqual(last);
  });

  test('a cursor of something else is refused', async () => {
    const { answer, aws } = await ask({}, (l) => l.listEntries('run-0001', IRELAND, 'rubbish'));
    expect(errorOf(answer)).toMatchObject({ code: 'InvalidCursor' });
    expect(aws.requests).toHaveLength(0);
  });
});

describe('what does not hold what it should is an error, never "nothing there"', () => {
  test.each([
    ['no JSON', '{"runId":'],
    ['another shape', '{"runId":"run-0001"}'],
    ['a list', '[]'],
  ])('a run: %s', async (_, body) => {
    const { answer } = await ask({ 'dynamodb:GetItem': json({ Item: item('run#run-0001', 'run', body) }) }, (l) =>
      l.getRun('run-0001'),
    );
    expect(errorOf(answer)).toMatchObject({ code: 'CorruptItem', message: expect.stringContaining('run#run-0001') });
  });

  test('an entry among others, a history, a cell memory', async () => {
    const broken = item('p', 's', { entry: {} });
    const entries = await ask({ 'dynamodb:Query': json({ Items: [entryItem(ids[0]!), broken] }) }, (l) =>
      l.listEntries('run-0001', null, null),
    );
    expect(errorOf(entries.answer).code).toBe('CorruptItem');
    const history = await ask(
      {
        'dynamodb:BatchGetItem': json({
          Responses: { ledger: [item(`instance#111122223333#eu-west-1#${ids[0]}`, 'history', {})] },
        }),
      },
      (l) => l.getHistories(IRELAND, [ids[0]!]),
    );
    expect(errorOf(history.answer).code).toBe('CorruptItem');
    const memory = await ask({ 'dynamodb:GetItem': json({ Item: item('p', 'memory', '{}') }) }, (l) =>
      l.getCellMemory(IRELAND),
    );
    expect(errorOf(memory.answer).code).toBe('CorruptItem');
  });

  test('what DynamoDB would not take is refused here, naming the item', async () => {
    const large = { ...RUN, failure: 'x'.repeat(400_000) };
    const { answer, aws } = await ask({}, (l) => l.putRun(large));
    expect(errorOf(answer)).toMatchObject({ code: 'ItemTooLarge', message: expect.stringContaining('run#run-0001') });
    expect(aws.requests).toHaveLength(0);
  });

  test('a denied read is an error', async () => {
    const { answer } = await ask({ 'dynamodb:GetItem': jsonError('ResourceNotFoundException', 'no table') }, (l) =>
      l.getRun('run-0001'),
    );
    expect(errorOf(answer)).toMatchObject({ call: 'dynamodb:GetItem', code: 'ResourceNotFoundException' });
  });
});
