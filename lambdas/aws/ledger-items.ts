/**
 * Keys and bodies of the ledger's items. One table, string keys `pk` and `sk`; `body` is JSON that a schema checks when
 * it is read. `expiresAt` (epoch seconds) is the table's TTL attribute and only tidies up: whether a lease has run out
 * is decided by `heldUntil`, for DynamoDB may delete days late.
 */
import * as z from 'zod';
import { actionEntrySchema, gateSchema, runReportSchema, runRequestSchema } from '../../domain/contracts.ts';
import type { Cell } from '../../domain/finding.ts';

/** Primary key of an item. */
export interface Key {
  readonly pk: string;
  readonly sk: string;
}

const cellKey = (cell: Cell) => `${cell.accountId}#${cell.region}`;

export const keys = {
  lease: (name: string): Key => ({ pk: `lease#${name}`, sk: 'lease' }),
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
});

export const entryRecordSchema = z.object({
  entry: actionEntrySchema,
  finding: text,
  pass: z.enum(['silent', 'rest']),
  page: text,
  seal: text.optional(),
});

export const historySchema = z.object({
  proven: z.object({ evidenceKey: text, target: z.number(), at: text }).nullable(),
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

/** The one item that people write by hand, so plain attributes: `reason`, and `until` where the pause ends by itself. */
export const pauseSchema = z.object({
  reason: text.min(1).max(500),
  until: z.iso.datetime({ offset: true }).nullish(),
});
