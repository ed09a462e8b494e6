/**
 * The kinds of instance that a simulated fleet has: the truth of each machine, told as a scenario. What a service makes
 * of them is its own business; `expects` says what the design's triage table calls such an instance in the main sweep,
 * so that a test can hold the two against each other. Nothing here is history written by hand: what was "handled
 * before" comes about because earlier sweeps ran (`EARLIER_SWEEP_HOURS` in fleet.ts).
 */

import type { GuestProfile } from './guest/profile.ts';
import { RESTARTED } from './kinds/hung.ts';
import { burst, HOUR, type Kind, overflowed } from './kinds/kind.ts';
import { NOT_LOOKED_INTO } from './kinds/not-looked-into.ts';
import { REACHABLE } from './kinds/reachable.ts';
import { SILENT, UNMANAGED } from './kinds/silent.ts';

export { DISABLED_KEY, type Kind, RULES_FILE } from './kinds/kind.ts';

/** Every kind, in an order in which even the first few show something. */
export const KINDS: readonly Kind[] = interleave(REACHABLE, RESTARTED, SILENT, NOT_LOOKED_INTO, [UNMANAGED]);

function interleave(...lists: readonly (readonly Kind[])[]): readonly Kind[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? [])).flat();
}

/** Instances that overflowed an hour ago, answer, and have nothing special about them. */
export const ORDINARY = {
  name: 'overflowed',
  expects: 'resize',
  make: (mainSweepAt: number, limit: number): Partial<GuestProfile> =>
    limit === 64 ? { bursts: [burst(mainSweepAt - HOUR)] } : overflowed(mainSweepAt, limit),
} as const;

/** Silent machines of the second cell, in a full fleet: what its breaker counts before anything else. */
export const SILENT_IN_SECOND_CELL = SILENT.reduce((sum, kind) => sum + kind.count, 0);
/** Instances of the first cell that a run may resize, in a full fleet. */
export const RESIZED_IN_FIRST_CELL = REACHABLE.length;
