/** The leases of the ledger: conditional writes with an expiry, and a look at the holder's execution before that. */
import { DeleteCommand, type DynamoDBDocumentClient, PutCommand, type QueryCommandOutput } from '@aws-sdk/lib-dynamodb';
import type * as z from 'zod';
import { DEAD_AFTER_SECONDS } from '../../domain/lease.ts';
import type { HeldLease, LedgerPort } from '../../domain/ports.ts';
import { answered, type Called, type Caller, mapAnswer } from './call.ts';
import type { StateOf } from './executions.ts';
import { corrupt, type Item, issuesOf, KEPT_DAYS, type Key, keys, leaseSchema } from './ledger-items.ts';

type Lease = z.output<typeof leaseSchema>;

/** What the leases need of the ledger they stand in. */
export interface LeaseTable {
  readonly table: DynamoDBDocumentClient;
  readonly tableName: string;
  readonly caller: Caller;
  readonly get: (key: Key) => Promise<Called<Item | null>>;
  readonly query: (pk: string, prefix: string, after: string | null) => Promise<Called<QueryCommandOutput>>;
  readonly stateOf: StateOf;
}

const FREE = 'attribute_not_exists(#pk) OR #heldUntil <= :now OR #holder = :holder';
/** Still exactly the lease that was looked at: it was not taken again since. */
const AS_SEEN = '#holder = :dead AND #heldUntil = :until';

export function createLeases({
  table,
  tableName,
  caller,
  get,
  query,
  stateOf,
}: LeaseTable): Pick<LedgerPort, 'acquireLease' | 'releaseLease' | 'leaseHolder' | 'listLeases'> {
  /** An execution that has ended, and whose last commands have. Whatever cannot be told is not dead. */
  async function isDead({ execution }: Lease): Promise<boolean> {
    if (execution === undefined) return false;
    const state = await stateOf(execution);
    if (!state.ok || state.value.endedAt === null) return false;
    return Date.now() - Date.parse(state.value.endedAt) >= DEAD_AFTER_SECONDS * 1000;
  }

  function leaseOf(call: string, item: Item): Called<Lease> {
    const lease = leaseSchema.safeParse(item);
    return lease.success ? answered(lease.data) : corrupt(call, item, issuesOf(lease.error));
  }

  async function read(name: string): Promise<Called<Lease | null>> {
    const item = await get(keys.lease(name));
    if (!item.ok) return item;
    return item.value === null ? answered(null) : leaseOf('dynamodb:GetItem', item.value);
  }

  return {
    async acquireLease(name, holder, seconds, execution) {
      const key = keys.lease(name);
      // More than once: it may be given back, or found to be a dead one's, between the refusal and the look at it.
      let dead: Lease | null = null;
      for (let attempt = 0; ; attempt++) {
        const now = Date.now();
        const condition = dead ? AS_SEEN : FREE;
        const values = dead ? { ':dead': dead.holder, ':until': dead.heldUntil } : { ':now': now, ':holder': holder };
        const answer = await caller.call({
          call: 'dynamodb:PutItem',
          // Taking one's own lease again is allowed, so a lost answer may be asked for again.
          effect: 'repeatable',
          send: (options) =>
            table.send(
              new PutCommand({
                TableName: tableName,
                Item: {
                  ...key,
                  holder,
                  heldUntil: now + seconds * 1000,
                  expiresAt: Math.floor(now / 1000) + KEPT_DAYS.lease * 86_400 + seconds,
                  ...(execution === undefined ? {} : { execution }),
                },
                ConditionExpression: condition,
                ExpressionAttributeNames: {
                  ...(dead ? {} : { '#pk': 'pk' }),
                  '#heldUntil': 'heldUntil',
                  '#holder': 'holder',
                },
                ExpressionAttributeValues: values,
              }),
              options,
            ),
        });
        if (answer.ok) return answered({ held: true, holder });
        if (answer.error.code !== 'ConditionalCheckFailedException') return answer;
        const lease = await read(name);
        if (!lease.ok) return lease;
        if (attempt > 1) {
          return answered({ held: false, holder: lease.value?.holder ?? 'unknown: it was given back and taken again' });
        }
        if (lease.value === null || lease.value.holder === holder) dead = null;
        else if (await isDead(lease.value)) dead = lease.value;
        else return answered({ held: false, holder: lease.value.holder });
      }
    },

    async releaseLease(name, holder) {
      const answer = await caller.call({
        call: 'dynamodb:DeleteItem',
        effect: 'repeatable',
        send: (options) =>
          table.send(
            new DeleteCommand({
              TableName: tableName,
              Key: { ...keys.lease(name) },
              ConditionExpression: '#holder = :holder',
              ExpressionAttributeNames: { '#holder': 'holder' },
              ExpressionAttributeValues: { ':holder': holder },
            }),
            options,
          ),
      });
      // Not ours any more: nothing to give back.
      if (!answer.ok && answer.error.code === 'ConditionalCheckFailedException') return answered(null);
      return mapAnswer(answer, () => null);
    },

    async leaseHolder(name) {
      const lease = await read(name);
      if (!lease.ok) return lease;
      return answered(lease.value && lease.value.heldUntil > Date.now() ? lease.value.holder : null);
    },

    async listLeases(below) {
      const held: HeldLease[] = [];
      let after: string | null = null;
      do {
        const page: Called<QueryCommandOutput> = await query(keys.leasesBelow(below), keys.leasePrefix, after);
        if (!page.ok) return page;
        for (const item of page.value.Items ?? []) {
          const lease = leaseOf('dynamodb:Query', item);
          if (!lease.ok) return lease;
          if (lease.value.heldUntil <= Date.now() || (await isDead(lease.value))) continue;
          held.push({ part: lease.value.sk.slice(keys.leasePrefix.length), holder: lease.value.holder });
        }
        const last: unknown = page.value.LastEvaluatedKey?.sk;
        after = typeof last === 'string' ? last : null;
      } while (after !== null);
      return answered(held);
    },
  };
}
