/** Looking again at what was cured: did it hold? */
import type { Outcome } from './contracts.ts';
import type { Finding } from './finding.ts';
import type { Policy } from './policy.ts';

/**
 * `held` when the last proven cure is at least `cures.provenAfterMinutes` old and the console shows no overflow that
 * came after it; null when there is nothing to say yet. An overflow that did come is for triage, not for this.
 */
export function aftercareOf(finding: Finding, policy: Policy, now: string): Outcome | null {
  const proven = finding.history?.proven;
  if (!proven) return null;
  const minutes = (Date.parse(now) - Date.parse(proven.at)) / 60_000;
  if (minutes < policy.cures.provenAfterMinutes) return null;
  return {
    result: 'held',
    proven: true,
    at: now,
    restartedBy: null,
    backAt: null,
    target: proven.target,
    limitBefore: null,
    limitAfter: null,
    lostBefore: null,
    lostAfter: null,
    commandId: null,
    message: `No overflow since the cure of ${proven.at} (limit ${proven.target}).`,
    next: '',
  };
}
