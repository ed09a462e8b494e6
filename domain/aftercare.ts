/** Looking again at what was cured: did it hold? */
import type { ActionEntry, Outcome, RunbookOutput, TriageCode } from './contracts.ts';
import type { Finding, InstanceHistory, Proof } from './finding.ts';
import type { HistoryEvent } from './history.ts';
import type { Policy } from './policy.ts';
import { diagnosisOf, fileIn, type OutcomeMeta, RAISE_IT_THERE, setBackIn } from './runbook-result.ts';

const QUIET: ReadonlySet<TriageCode> = new Set(['healthy', 'already-handled']);

/**
 * What the console alone tells of a cure: `held` when the last proven cure is at least `cures.provenAfterMinutes` old and
 * no overflow came after it, which proves nothing of the limit; `overflowed-again` when triage gives up on the limit as
 * the cause; null when there is nothing to say, or when it was told already that the limit was set back.
 */
export function aftercareOf(finding: Finding, code: TriageCode, policy: Policy, now: string): Outcome | null {
  const proven = finding.history?.proven;
  if (!proven) return null;
  const minutes = (Date.parse(now) - Date.parse(proven.at)) / 60_000;
  if (code === 'limit-is-not-the-cause') {
    const diagnosis =
      finding.history?.diagnosis ?? 'the runbook saw nothing that does not drain, nor the limit set back';
    const message = `It overflowed again after ${cureOf(proven)}: ${diagnosis}.`;
    return { ...unread(proven, now), result: 'overflowed-again', message };
  }
  if (!QUIET.has(code) || minutes < policy.cures.provenAfterMinutes || proven.lookedAgain?.held === false) return null;
  return heldUnread(proven, now);
}

/** No overflow came since, and the limit was not read in this run. @param why a sentence; empty: nobody tried. */
export function heldUnread(proven: Proof, at: string, why = ''): Outcome {
  const limit = proven.lookedAgain
    ? `its limit was read again at ${proven.lookedAgain.at} and not since`
    : 'the limit itself was not read again';
  return {
    ...unread(proven, at),
    message: `No overflow since ${cureOf(proven)}; ${limit}.${why === '' ? '' : ` ${why}`}`.slice(0, 1000),
  };
}

/** What a later sweep that does not read the limit says of a cure that was found undone; null: it was not. */
export function knownUndone(history: InstanceHistory | null, code: TriageCode): string | null {
  const looked = history?.proven?.lookedAgain;
  if (!looked || looked.held || !QUIET.has(code)) return null;
  return `Its limit was found set back at ${looked.at}; it is raised again when it overflows again.`;
}

/**
 * Whether the limit is to be read again: once for each proof, of an instance that is left alone, answers, and of which
 * the survey could only say that it `held`. Where the limit was unlimited, nothing was set that could be undone.
 */
export function limitIsDue(entry: ActionEntry, history: InstanceHistory | null): boolean {
  const proven = history?.proven;
  return (
    entry.action === 'leave' &&
    QUIET.has(entry.code) &&
    entry.outcome?.result === 'held' &&
    entry.facts?.reachability === 'reachable' &&
    proven != null &&
    proven.target > 0 &&
    !proven.lookedAgain
  );
}

/** Results of the runbook in plan mode after which nobody knows what the rules file says. */
const NOT_READ: ReadonlySet<RunbookOutput['outcome']> = new Set(['failed', 'no-auditd']);

/** The limit as it was read again. */
export interface LimitReading {
  readonly outcome: Outcome;
  readonly event: HistoryEvent;
}

/**
 * What the runbook in plan mode says of a proof: `held` where the kernel and the rules file both have at least what was
 * proven, `reverted` otherwise; null where it did not read them.
 */
export function limitReading(proven: Proof, output: RunbookOutput, meta: OutcomeMeta): LimitReading | null {
  const { before } = output;
  const effective = before?.effective ?? null;
  if (NOT_READ.has(output.outcome) || before === null || effective === null) return null;
  const kept = enough(before.configured, proven.target);
  const held = kept && enough(effective, proven.target);
  const file = fileIn(output.rulesFile);
  const undone = kept
    ? `the limit in force was set back to ${effective}, although ${file} has ${before.configured}`
    : setBackIn(output);
  const message = held
    ? `No overflow since ${cureOf(proven)}, and the limit is still there: ${effective} in the kernel, ${before.configured} in ${file}.`
    : `After ${cureOf(proven)} ${undone}; the kernel has ${effective}.`;
  const diagnosis = [...(held ? [] : [undone]), diagnosisOf(output)].filter((text) => text !== null).join('; ');
  return {
    outcome: {
      ...unread(proven, meta.at),
      ...meta,
      result: held ? 'held' : 'reverted',
      proven: held,
      limitBefore: effective,
      limitAfter: effective,
      lostBefore: before.lost,
      lostAfter: before.lost,
      message,
      next: held ? '' : `${RAISE_IT_THERE} The service raises it again when it overflows again.`,
    },
    event: { kind: 'looked-again', at: meta.at, provenAt: proven.at, held, diagnosis: diagnosis || null },
  };
}

/** 0 is unlimited; none configured is too little. */
function enough(limit: number | null, target: number): boolean {
  return limit === 0 || (limit !== null && limit >= target);
}

function cureOf({ at, target }: Proof): string {
  return `the cure of ${at} (limit ${target})`;
}

function unread({ target }: Proof, at: string): Outcome {
  return {
    result: 'held',
    proven: false,
    at,
    restartedBy: null,
    backAt: null,
    target,
    limitBefore: null,
    limitAfter: null,
    lostBefore: null,
    lostAfter: null,
    commandId: null,
    message: '',
    next: '',
  };
}
