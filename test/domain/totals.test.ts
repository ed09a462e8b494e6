import fc from 'fast-check';
import { OUTCOME_RESULTS, type Outcome, type Totals, TRIAGE_CODES, type TriageCode } from '../../domain/contracts.ts';
import {
  assertTotalsAddUp,
  type Bucket,
  bucketOf,
  type CountedCell,
  type CountedEntry,
  countBuckets,
  NO_BUCKETS,
  TotalsDoNotAddUpError,
  totalsOf,
} from '../../domain/totals.ts';
import { triageRow } from '../../domain/triage-table.ts';
import { NOW } from './findings.ts';

function outcome(result: Outcome['result'], change: Partial<Outcome> = {}): Outcome {
  return {
    result,
    proven: result === 'resized' || result === 'reverted' || result === 'already-sufficient',
    at: NOW,
    restartedBy: null,
    backAt: null,
    target: 8192,
    limitBefore: 64,
    limitAfter: 8192,
    lostBefore: 1,
    lostAfter: 1,
    commandId: null,
    message: '',
    next: '',
    ...change,
  };
}
const entry = (code: TriageCode, action: CountedEntry['action'], done: Outcome | null = null): CountedEntry => ({
  code,
  action,
  outcome: done,
});
const resize = (done: Outcome | null) => entry('resize', 'resize', done);
const restart = (done: Outcome | null) => entry('restart', 'restart-then-resize', done);
const assess = (done: Outcome | null) => entry('weak-evidence', 'assess', done);
const restarted = { restartedBy: 'stop-start' } as const;

describe('where an entry counts, applied', () => {
  it.each<[string, CountedEntry, Bucket | null]>([
    ['resized', resize(outcome('resized')), 'resized'],
    ['reverted', resize(outcome('reverted')), 'resized'],
    ['sufficient already', resize(outcome('already-sufficient')), 'alreadyHandled'],
    ['on a bad kernel', entry('bad-kernel', 'resize', outcome('unsafe-kernel')), 'left'],
    ['pending a reboot', resize(outcome('pending-reboot')), 'left'],
    ['without auditd', resize(outcome('no-auditd')), 'left'],
    ['without memory', resize(outcome('insufficient-memory')), 'left'],
    ['failed', resize(outcome('failed')), 'failed'],
    ['rolled back', resize(outcome('rolled-back')), 'failed'],
    ['never delivered', resize(outcome('undelivered')), 'failed'],
    ['stuck', resize(outcome('stuck')), 'failed'],
    ['unreadable', resize(outcome('unreadable-output')), 'failed'],
    ['never even sent', resize(null), 'failed'],
    ['restarted and proven', restart(outcome('resized', restarted)), 'restarted'],
    ['restarted, sufficient then', restart(outcome('already-sufficient', restarted)), 'restarted'],
    ['restarted, not proven', restart(outcome('undelivered', restarted)), 'failed'],
    ['restarted, immutable', restart(outcome('pending-reboot', restarted)), 'left'],
    ['restart failed', restart(outcome('restart-failed', restarted)), 'failed'],
    ['awaiting capacity', restart(outcome('awaiting-capacity', restarted)), 'failed'],
    ['the second look said no', restart(outcome('declined')), 'left'],
    ['back by itself, then resized', restart(outcome('resized')), 'resized'],
    ['restart without an outcome', restart(null), 'failed'],
    ['assessed', assess(outcome('planned')), 'assessed'],
    ['assessed, then resized', assess(outcome('resized')), 'resized'],
    ['assessed, sufficient', assess(outcome('already-sufficient')), 'alreadyHandled'],
    ['assess not delivered', assess(null), 'failed'],
    ['handled already', entry('already-handled', 'leave', outcome('held')), 'alreadyHandled'],
    ['deferred', entry('restart-budget', 'defer'), 'deferred'],
    ['left', entry('not-managed', 'leave'), 'left'],
    ['left as weak', entry('weak-evidence', 'leave'), 'left'],
    ['healthy', entry('healthy', 'leave'), null],
    ['unknown', entry('console-unreadable', 'leave'), null],
    ['empty', entry('console-empty', 'leave'), null],
    ['opted out', entry('opted-out', 'leave'), null],
    ['out of scope', entry('out-of-scope', 'leave'), null],
    ['not running', entry('not-running', 'leave'), null],
  ])('%s', (_what, given, bucket) => {
    expect(bucketOf(given, 'apply')).toBe(bucket);
  });
});

describe('where an entry counts, planned', () => {
  it.each<[CountedEntry, Bucket]>([
    [resize(null), 'resized'],
    [restart(null), 'restarted'],
    [assess(null), 'assessed'],
    [entry('resize-budget', 'defer'), 'deferred'],
    [entry('already-handled', 'leave'), 'alreadyHandled'],
    [entry('owned', 'leave'), 'left'],
  ])('%j', (given, bucket) => {
    expect(bucketOf(given, 'plan')).toBe(bucket);
  });
});

/** Entries as triage makes them: an action that the table names for the code. */
const entries: fc.Arbitrary<CountedEntry> = fc
  .record({
    code: fc.constantFrom(...TRIAGE_CODES),
    pick: fc.nat(2),
    done: fc.option(
      fc
        .record({ result: fc.constantFrom(...OUTCOME_RESULTS), again: fc.boolean(), proven: fc.boolean() })
        .map(({ result, again, proven }) => outcome(result, { proven, restartedBy: again ? 'reboot' : null })),
    ),
  })
  .map(({ code, pick, done }) => {
    const { actions } = triageRow(code);
    return entry(code, actions[pick % actions.length] ?? 'leave', done);
  });

/** The cell's own counts of entries, counted by code alone. */
function cellOf(all: readonly CountedEntry[]): CountedCell {
  const codes: Partial<Record<TriageCode, number>> = {};
  for (const { code } of all) codes[code] = (codes[code] ?? 0) + 1;
  const unknown = (codes['console-empty'] ?? 0) + (codes['console-unreadable'] ?? 0);
  const outside = (codes['out-of-scope'] ?? 0) + (codes['opted-out'] ?? 0) + (codes['not-running'] ?? 0);
  return { instances: all.length, unknown, affected: all.length - unknown - outside - (codes.healthy ?? 0), codes };
}

describe('totals', () => {
  it('add up for any entries of any cells, page by page as at once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(entries), { maxLength: 4 }),
        fc.constantFrom('plan' as const, 'apply' as const),
        (cells, mode) => {
          const paged = cells.reduce((sum, page) => countBuckets(page, mode, sum), NO_BUCKETS);
          expect(paged).toEqual(countBuckets(cells.flat(), mode));
          const totals = totalsOf(cells.map(cellOf), paged);
          expect(() => assertTotalsAddUp(totals)).not.toThrow();
          expect(totals.instances).toBe(cells.flat().length);
        },
      ),
    );
    expect(Object.values(NO_BUCKETS).every((n) => n === 0)).toBe(true);
  });

  const good: Totals = { ...NO_BUCKETS, instances: 5, healthy: 2, affected: 1, unknown: 1, outOfScope: 1, left: 1 };
  it.each<[keyof Totals, RegExp]>([
    ['instances', /instances 6 != /],
    ['healthy', /instances 5 != .* 6/],
    ['unknown', /instances 5 != .* 6/],
    ['affected', /affected 2 != .* 1/],
    ['restarted', /affected 1 != .* 2/],
    ['failed', /affected 1 != .* 2/],
  ])('are refused when one too many is in %s', (field, text) => {
    expect(() => assertTotalsAddUp(good)).not.toThrow();
    expect(() => assertTotalsAddUp({ ...good, [field]: good[field] + 1 })).toThrow(TotalsDoNotAddUpError);
    expect(() => assertTotalsAddUp({ ...good, [field]: good[field] + 1 })).toThrow(text);
  });
});
