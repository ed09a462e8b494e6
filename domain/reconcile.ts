/** What becomes of an instance that bears our stop tag. Needs neither ledger nor sweep. */
import type { InstanceFacts } from './finding.ts';

/** Stopped at least this long: whoever stopped it is not about to start it. Unit: minutes. */
export const STOPPED_LONG_MINUTES = 20;
/** A stop within this time of the tag's time is ours. Unit: minutes. */
export const OUR_STOP_MINUTES = 30;
/** A tag left on a running instance is removed after this. Unit: minutes. */
export const TAG_LEFT_MINUTES = 60;

export type ReconcileDecision =
  | { readonly do: 'start'; readonly why: string }
  | { readonly do: 'unmark'; readonly why: string }
  | { readonly do: 'leave'; readonly why: string };

/** The mark is `<runId> <ISO time>`; null when the time cannot be read. */
export function markTime(mark: string): number | null {
  const time = Date.parse(mark.trim().split(/\s+/).at(-1) ?? '');
  return Number.isNaN(time) ? null : time;
}

/**
 * Decides for one marked instance.
 * @param mark the tag's value. @param now ISO 8601.
 */
export function reconcileDecision(
  instance: Pick<InstanceFacts, 'state' | 'transitionAt'>,
  mark: string,
  now: string,
): ReconcileDecision {
  const marked = markTime(mark);
  if (marked === null)
    return { do: 'leave', why: `the tag's value "${mark.slice(0, 80)}" names no time: not ours to judge` };
  const minutesSinceMark = (Date.parse(now) - marked) / 60_000;
  if (instance.state === 'running') {
    return minutesSinceMark > TAG_LEFT_MINUTES
      ? { do: 'unmark', why: 'it runs, and the tag was left on it' }
      : { do: 'leave', why: 'it runs, and its restart may still be under way' };
  }
  if (instance.state !== 'stopped') return { do: 'leave', why: `it is ${instance.state}` };
  // Without the time of the stop the tag's own time is all there is.
  const since = instance.transitionAt === null ? marked : Date.parse(instance.transitionAt);
  if ((since - marked) / 60_000 > OUR_STOP_MINUTES) {
    return { do: 'leave', why: 'it was stopped long after our tag: that stop is not ours' };
  }
  if ((Date.parse(now) - since) / 60_000 < STOPPED_LONG_MINUTES) {
    return { do: 'leave', why: 'it is stopped for a short time only: its restart may still be under way' };
  }
  return { do: 'start', why: `it was stopped by us (${mark}) and has not been started again` };
}

/** A stop by a call, from within the machine, or by AWS's own decision: the instance had run until then. */
const STOPPED_WHILE_RUNNING =
  /^(Client\.UserInitiated|Client\.InstanceInitiated|Server\.ScheduledStop|Server\.SpotInstance)/;

/**
 * Why the last start of a stopped instance came to nothing, in EC2's words (`Client.InternalError: Client error on
 * launch`: most often a key that may not be used); null where no start failed. The call itself had no error then.
 */
export function failedStart({ stateReason }: Pick<InstanceFacts, 'stateReason'>): string | null {
  if (stateReason === null || !/^(Client|Server)\./.test(stateReason)) return null;
  return STOPPED_WHILE_RUNNING.test(stateReason) ? null : stateReason;
}
