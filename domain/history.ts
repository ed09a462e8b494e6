/** What the ledger remembers of an instance after something happened. Pure; applying the same event twice changes nothing. */
import type { InstanceHistory } from './finding.ts';
import { DAY_MS, isWithin } from './times.ts';

/** The longest window any rule looks back over (cures.windowDays and restart.coolDownHours are at most this). Unit: days. */
export const REMEMBERED_DAYS = 90;

/** Times are ISO 8601, UTC. */
export type HistoryEvent =
  /** A proven outcome. `cured`: the limit was raised; otherwise it was sufficient already. */
  | {
      readonly kind: 'proven';
      readonly at: string;
      readonly evidenceKey: string;
      readonly target: number;
      readonly cured: boolean;
      /** What the runbook saw that does not drain; null when nothing. */
      readonly diagnosis: string | null;
    }
  /** Recorded just before the power call, so that a crash after it cannot lead to a second one. */
  | { readonly kind: 'restart-attempt'; readonly at: string; readonly evidenceKey: string }
  /** The power call was refused and the machine runs as before: that attempt was none. `lastActionBefore`: what
   * `lastActionAt` was before it. */
  | {
      readonly kind: 'restart-refused';
      readonly at: string;
      readonly attemptAt: string;
      readonly lastActionBefore: string | null;
    }
  /** It took a command and did not finish it; at most one such event a sweep. */
  | { readonly kind: 'stuck'; readonly at: string }
  /** An assess read the effective limit for evidence that names none. */
  | { readonly kind: 'assessed'; readonly at: string; readonly evidenceKey: string; readonly limit: number }
  /** The limit that was proven at `provenAt` was read once more. `held`: it was still there. */
  | {
      readonly kind: 'looked-again';
      readonly at: string;
      readonly provenAt: string;
      readonly held: boolean;
      readonly diagnosis: string | null;
    }
  /** It answered without proving a cure. `changed`: something on it may be different now. */
  | { readonly kind: 'answered'; readonly at: string; readonly changed: boolean; readonly diagnosis: string | null };

/** Nothing has happened yet. */
export const NO_HISTORY: InstanceHistory = {
  proven: null,
  cures: [],
  attempts: [],
  stuckSweeps: 0,
  assessed: null,
  lastActionAt: null,
  diagnosis: null,
};

/** The history after an event; what is older than {@link REMEMBERED_DAYS} is forgotten. */
export function nextHistory(previous: InstanceHistory | null, event: HistoryEvent): InstanceHistory {
  const old = forget(previous ?? NO_HISTORY, event.at);
  switch (event.kind) {
    case 'proven': {
      const { at, evidenceKey, target, cured, diagnosis } = event;
      const proven = { evidenceKey, target, at };
      if (!cured) return { ...old, proven, stuckSweeps: 0, diagnosis: diagnosis ?? old.diagnosis };
      const cures = old.cures.includes(at) ? old.cures : [...old.cures, at].sort();
      return { ...old, proven, cures, stuckSweeps: 0, lastActionAt: at, diagnosis };
    }
    case 'restart-attempt': {
      const { at, evidenceKey } = event;
      const known = old.attempts.some((attempt) => attempt.at === at && attempt.evidenceKey === evidenceKey);
      return { ...old, attempts: known ? old.attempts : [...old.attempts, { at, evidenceKey }], lastActionAt: at };
    }
    case 'restart-refused':
      return {
        ...old,
        attempts: old.attempts.filter((attempt) => attempt.at !== event.attemptAt),
        // Else the evidence would count as older than an action that there was none of.
        lastActionAt: old.lastActionAt === event.attemptAt ? event.lastActionBefore : old.lastActionAt,
      };
    case 'stuck':
      // It may have raised the limit before it got stuck: older evidence is uncertain from here on.
      return old.lastActionAt === event.at ? old : { ...old, stuckSweeps: old.stuckSweeps + 1, lastActionAt: event.at };
    case 'assessed':
      return { ...old, stuckSweeps: 0, assessed: { evidenceKey: event.evidenceKey, limit: event.limit } };
    case 'looked-again': {
      const { at, provenAt, held } = event;
      const proven = old.proven?.at === provenAt ? { ...old.proven, lookedAgain: { at, held } } : old.proven;
      return { ...old, proven, stuckSweeps: 0, diagnosis: event.diagnosis ?? old.diagnosis };
    }
    case 'answered':
      return {
        ...old,
        stuckSweeps: 0,
        lastActionAt: event.changed ? event.at : old.lastActionAt,
        diagnosis: event.diagnosis ?? old.diagnosis,
      };
  }
}

function forget(history: InstanceHistory, now: string): InstanceHistory {
  const remembered = (at: string) => isWithin(at, now, REMEMBERED_DAYS * DAY_MS);
  return {
    ...history,
    cures: history.cures.filter(remembered),
    attempts: history.attempts.filter((attempt) => remembered(attempt.at)),
  };
}
