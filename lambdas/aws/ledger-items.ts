/**
 * Keys and bodies of the ledger's items. One table, string keys `pk` and `sk`; `body` is JSON that a schema checks when
 * it is read. `expiresAt` (epoch seconds) is the table's TTL attribute and only tidies up: whether a lease has run out
 * is decided by `heldUntil`, for DynamoDB may delete days late.
 */
import * as z from 'zod';
import { actionEntrySchema, gateSchema, runReportSchema, runRequestSchema } from '../../domain/contracts.ts';
import type { CallError, Cell } from '../../domain/finding.ts';
import { answered, type Called, refused } from './call.ts';
import { callError } from './errors.ts';

/** An item as it comes from the table. */
export type Item = Record<string, unknown>;

/** Primary key of an item. */
export interface Key {
  readonly pk: string;
  readonly sk: string;
}

const cellKey = (cell: Cell) => `${cell.accountId}#${cell.region}`;

export const keys = {
  /** The last part of a name is the sort key, so that the leases below a name can be listed. */
  lease: (name: string): Key => {
    const slash = name.lastIndexOf('/');
    return slash < 0
      ? { pk: `lease#${name}`, sk: 'lease' }
      : { pk: `lease#${name.slice(0, slash)}`, sk: `${keys.leasePrefix}${name.slice(slash + 1)}` };
  },
  leasesBelow: (name: string) => `lease#${name}`,
  leasePrefix: 'lease#',
  run: (runId: string): Key => ({ pk: `run#${runId}`, sk: 'run' }),
  cellPrefix: 'cell#',
  cellReport: (runId: string, cell: Cell): Key => ({ pk: `run#${runId}`, sk: `${keys.cellPrefix}${cellKey(cell)}` }),
  /** All entries of a run, or of one cell of it, share this prefix of their sort key. */
  entryPrefix: (cell: Cell | null) => (cell ? `entry#${cellKey(cell)}#` : 'entry#'),
  entry: (runId: string, cell: Cell, instanceId: string): Key => ({
    pk: `run#${runId}`,
    sk: `${keys.entryPrefix(cell)}${instanceId}`,
  }),
  history: (cell: Cell, instanceId: string): Key => ({ pk: `instance#${cellKey(cell)}#${instanceId}`, sk: 'history' }),
  memory: (cell: Cell): Key => ({ pk: `cell#${cellKey(cell)}`, sk: 'memory' }),
  pause: { pk: 'pause', sk: 'pause' } satisfies Key,
};

/** How long items are kept. Unit: days. A history outlives the longest window of the policy (90 days) by far. */
export const KEPT_DAYS = { run: 35, history: 400, lease: 1 } as const;

/** DynamoDB takes items of 400 KB, names of attributes included; some room is left for the rest of the item. */
export const LARGEST_BODY = 390_000;

const text = z.string();
const nullableText = text.nullable();

export const runRecordSchema = z.object({
  runId: text,
  mode: z.enum(['plan', 'apply']),
  status: z.enum(['started', 'done', 'failed']),
  request: runRequestSchema,
  policyDigest: text,
  policy: z.record(z.string(), z.unknown()).optional(),
  startedAt: text,
  endedAt: nullableText,
  gate: gateSchema,
  report: runReportSchema.omit({ actions: true, cells: true }).nullable(),
  failure: nullableText,
  executionArn: text.optional(),
});

export const entryRecordSchema = z.object({
  entry: actionEntrySchema,
  finding: text,
  pass: z.enum(['silent', 'rest']),
  page: text,
  seal: text.optional(),
});

export const historySchema = z.object({
  proven: z
    .object({
      evidenceKey: text,
      target: z.number(),
      at: text,
      lookedAgain: z.object({ at: text, held: z.boolean() }).optional(),
    })
    .nullable(),
  cures: z.array(text),
  attempts: z.array(z.object({ at: text, evidenceKey: text })),
  stuckSweeps: z.number().int().min(0),
  assessed: z.object({ evidenceKey: text, limit: z.number() }).nullable(),
  lastActionAt: nullableText,
  diagnosis: nullableText,
});

export const memorySchema = z.object({
  instances: z.number().int().min(0),
  silent: z.number().int().min(0),
  breakerOpen: z.boolean(),
  quietSweeps: z.number().int().min(0),
  at: text,
});

/** `execution`: see `LedgerPort.acquireLease`. Times are epoch milliseconds. */
export const leaseSchema = z.object({
  sk: text,
  holder: text,
  heldUntil: z.number(),
  execution: text.optional(),
});

/** The one item that people write by hand, so plain attributes: `reason`, and `until` where the pause ends by itself. */
export const pauseSchema = z.object({
  reason: text.min(1).max(500),
  until: z.iso.datetime({ offset: true }).nullish(),
});

/** Several of {@link bodyOf}; one that does not fit fails them all. */
export function bodiesOf<S extends z.ZodType>(
  call: string,
  items: readonly Item[],
  schema: S,
): Called<readonly z.output<S>[]> {
  const values: z.output<S>[] = [];
  for (const item of items) {
    const value = bodyOf(call, item, schema);
    if (!value.ok) return value;
    values.push(value.value);
  }
  return answered(values);
}

/** What an item holds; what does not fit its schema is an error, never "nothing there". */
export function bodyOf<S extends z.ZodType>(call: string, item: Item, schema: S): Called<z.output<S>> {
  let value: unknown;
  try {
    value = JSON.parse(String(item.body));
  } catch {
    return corrupt(call, item, 'body: not JSON');
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? answered(parsed.data) : corrupt(call, item, issuesOf(parsed.error));
}

/** What a schema found wrong, in short. */
export function issuesOf(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`)
    .join('; ');
}

/** An item that does not hold what it should. */
export function corrupt(call: string, item: Item, what: string) {
  const message = `the item ${String(item.pk)} / ${String(item.sk)} does not hold what it should: ${what}`;
  return problem(call, 'CorruptItem', message, 'look at the item in the table; delete it if it is not needed');
}

/** A failed answer of the ledger's own. */
export function problem(call: CallError['call'], code: string, message: string, next: string) {
  return refused(callError({ call, code, message, next }));
}
