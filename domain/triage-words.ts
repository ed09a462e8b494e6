/** How triage speaks of what it saw: pieces of the reasons. */
import type { Evidence } from './evidence.ts';
import type { Reachability } from './finding.ts';
import type { ReachabilityVerdict } from './reachability.ts';

export const REACHABILITY_WORDS: { readonly [R in Reachability]: string } = {
  reachable: 'reachable',
  stuck: 'stuck in an earlier command',
  silent: 'silent',
  never: 'not managed by SSM',
};

/** `Its audit queue overflowed at its limit of 64 (70 queued), 12 events lost`. */
export function overflowed({ backlog, limit, lost }: Pick<Evidence, 'backlog' | 'limit' | 'lost'>): string {
  const at = limit === null ? 'at a limit that no line names' : `at its limit of ${limit}`;
  const queue = backlog === null ? '' : ` (${backlog} queued)`;
  return `Its audit queue overflowed ${at}${queue}${lost === null ? '' : `, ${lost} events lost`}`;
}

/** `silent for 42 min`, `stuck`. */
export function silence({ reachability, silentMinutes }: ReachabilityVerdict): string {
  if (reachability === 'stuck') return 'stuck';
  return silentMinutes === null ? 'silent since an unknown time' : `silent for ${Math.floor(silentMinutes)} min`;
}

/** Ends a text with a full stop if it has no end yet. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** The two requests by which a person restarts machines although the breaker is open. */
export function howToPassBreaker(instanceIds: readonly string[]): string {
  const plan = JSON.stringify({ mode: 'plan', instanceIds });
  return `send ${plan} to the run function, look at the plan (its runId as {"status":"..."}), then send {"planId":"<that runId>"}.`;
}
