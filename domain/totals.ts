/** Counting, to the letter of the contract: every affected instance is in exactly one bucket. */
import type { ActionEntry, CellReport, Outcome, Totals, TriageCode } from './contracts.ts';

/** The counts of a cell, from how often each code was given in it. */
export function countsByCode(codes: CellReport['codes']): CountedCell {
  const sum = (which: (code: TriageCode) => boolean) =>
    Object.entries(codes).reduce((total, [code, n]) => total + (which(code as TriageCode) ? (n ?? 0) : 0), 0);
  return {
    instances: sum(() => true),
    affected: sum((code) => isAffected({ code })),
    unknown: sum((code) => UNKNOWN.has(code)),
    codes,
  };
}

/** Where an affected instance counts. */
export type Bucket = 'resized' | 'restarted' | 'assessed' | 'alreadyHandled' | 'deferred' | 'left' | 'failed';
export type BucketCounts = Pick<Totals, Bucket>;

/** What counting needs of an entry. */
export type CountedEntry = Pick<ActionEntry, 'action' | 'code' | 'outcome'>;

/** Codes of instances that are outside of what is looked at. */
export const OUT_OF_SCOPE_CODES = ['out-of-scope', 'opted-out', 'not-running'] as const satisfies readonly TriageCode[];
/** Codes of instances of which nothing is known. */
export const UNKNOWN_CODES = ['console-unreadable', 'console-empty'] as const satisfies readonly TriageCode[];

const UNKNOWN: ReadonlySet<TriageCode> = new Set(UNKNOWN_CODES);
const NOT_AFFECTED: ReadonlySet<TriageCode> = new Set([...OUT_OF_SCOPE_CODES, ...UNKNOWN_CODES, 'healthy']);

/** Whether the instance has evidence: a verdict other than `none`. */
export function isAffected(entry: Pick<ActionEntry, 'code'>): boolean {
  return !NOT_AFFECTED.has(entry.code);
}

/** By the result alone, of an entry that was acted on and is not a proven restart. */
const BUCKET_OF_RESULT: { readonly [R in Outcome['result']]: Bucket } = {
  resized: 'resized',
  reverted: 'resized',
  'already-sufficient': 'alreadyHandled',
  held: 'alreadyHandled',
  planned: 'assessed',
  'pending-reboot': 'left',
  'no-auditd': 'left',
  'insufficient-memory': 'left',
  'unsafe-kernel': 'left',
  declined: 'left',
  failed: 'failed',
  'rolled-back': 'failed',
  undelivered: 'failed',
  stuck: 'failed',
  'unreadable-output': 'failed',
  'restart-failed': 'failed',
  'awaiting-capacity': 'failed',
  'overflowed-again': 'failed',
};

/**
 * The bucket of one entry, null when it is not affected. In plan mode by what would be done; otherwise by what was:
 * an action without an outcome was never delivered, which is a failure.
 */
export function bucketOf(entry: CountedEntry, mode: 'plan' | 'apply'): Bucket | null {
  if (!isAffected(entry)) return null;
  const { action, code, outcome } = entry;
  if (action === 'leave') return code === 'already-handled' ? 'alreadyHandled' : 'left';
  if (action === 'defer') return 'deferred';
  if (mode === 'plan') return PLANNED[action];
  if (outcome === null) return 'failed';
  return outcome.restartedBy !== null && outcome.proven ? 'restarted' : BUCKET_OF_RESULT[outcome.result];
}

const PLANNED = { resize: 'resized', 'restart-then-resize': 'restarted', assess: 'assessed' } as const;

/** No entries yet. */
export const NO_BUCKETS: BucketCounts = {
  resized: 0,
  restarted: 0,
  assessed: 0,
  alreadyHandled: 0,
  deferred: 0,
  left: 0,
  failed: 0,
};

/** Counts entries on top of earlier pages. */
export function countBuckets(
  entries: Iterable<CountedEntry>,
  mode: 'plan' | 'apply',
  earlier: BucketCounts = NO_BUCKETS,
): BucketCounts {
  const counts = { ...earlier };
  for (const entry of entries) {
    const bucket = bucketOf(entry, mode);
    if (bucket !== null) counts[bucket] += 1;
  }
  return counts;
}

/** What the totals take from the cells: how many instances there are and what was known of them. */
export type CountedCell = Pick<CellReport, 'instances' | 'unknown' | 'affected' | 'codes'>;

/** The totals of a run: what there is from the cells' counts, what was done from the entries. */
export function totalsOf(cells: readonly CountedCell[], buckets: BucketCounts): Totals {
  const sum = (of: (cell: CountedCell) => number) => cells.reduce((total, cell) => total + of(cell), 0);
  return {
    instances: sum((cell) => cell.instances),
    healthy: sum((cell) => cell.codes.healthy ?? 0),
    affected: sum((cell) => cell.affected),
    unknown: sum((cell) => cell.unknown),
    outOfScope: sum((cell) => OUT_OF_SCOPE_CODES.reduce((total, code) => total + (cell.codes[code] ?? 0), 0)),
    resized: buckets.resized,
    restarted: buckets.restarted,
    assessed: buckets.assessed,
    alreadyHandled: buckets.alreadyHandled,
    deferred: buckets.deferred,
    left: buckets.left,
    failed: buckets.failed,
  };
}

/** The totals contradict themselves: an instance was lost or counted twice. A mistake of this program. */
export class TotalsDoNotAddUpError extends Error {
  override readonly name = 'TotalsDoNotAddUpError';
}

/**
 * instances = healthy + affected + unknown + outOfScope, and affected = the sum of the buckets.
 * @throws TotalsDoNotAddUpError saying which sum is wrong.
 */
export function assertTotalsAddUp(t: Totals): void {
  const known = t.healthy + t.affected + t.unknown + t.outOfScope;
  const done = t.resized + t.restarted + t.assessed + t.alreadyHandled + t.deferred + t.left + t.failed;
  const wrong = [
    ...(known === t.instances
      ? []
      : [`instances ${t.instances} != healthy + affected + unknown + outOfScope ${known}`]),
    ...(done === t.affected ? [] : [`affected ${t.affected} != what was done or left ${done}`]),
  ];
  if (wrong.length === 0) return;
  throw new TotalsDoNotAddUpError(`the report's totals do not add up: ${wrong.join('; ')}: ${JSON.stringify(t)}`);
}
