/** Looking again at what was cured: did it hold? */
import type { Outcome, TriageCode } from './contracts.ts';
import type { Finding } from './finding.ts';
import type { Policy } from './policy.ts';

/**
 * `held` when the last proven cure is at least `cures.provenAfterMinutes` old and the console shows no overflow that
 * came after it; `overflowed-again` when triage gives up on the limit as the cause; null when there is nothing to say. That no limit
 * was set back in silence is not known by it: nothing is sent to the machine for this.
 */
export function aftercareOf(finding: Finding, code: TriageCode, policy: Policy, now: string): Outcome | null {
  const proven = finding.history?.proven;
  if (!proven) return null;
  const minutes = (Date.parse(now) - Date.parse(proven.at)) / 60_000;
  const cured = `the cure of ${proven.at} (limit ${proven.target})`;
  if (code === 'limit-is-not-the-cause') {
    const diagnosis =
      finding.history?.diagnosis ?? 'the runbook saw nothing that does not drain, nor the limit set back';
    return outcome('overflowed-again', false, now, proven.target, `It overflowed again after ${cured}: ${diagnosis}.`);
  }
  if ((code !== 'healthy' && code !== 'already-handled') || minutes < policy.cures.provenAfterMinutes) return null;
  return outcome('held', true, now, proven.target, `No overflow since ${cured}; the limit itself was not read again.`);
}

function outcome(result: Outcome['result'], proven: boolean, at: string, target: number, message: string): Outcome {
  return {
    result,
    proven,
    at,
    restartedBy: null,
    backAt: null,
    target,
    limitBefore: null,
    limitAfter: null,
    lostBefore: null,
    lostAfter: null,
    commandId: null,
    message,
    next: '',
  };
}
