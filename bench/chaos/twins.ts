/** Invariant 11: a world with crashes ends as the same world without them. And 6: a cure run again changes nothing. */
import type { RunReport } from '../../domain/contracts.ts';
import type { EmbeddedInstance } from '../../simulator/ec2/instance.ts';
import type { Found } from './found.ts';
import type { History } from './history.ts';
import { MINUTE } from './machines.ts';
import type { WatchedMachine } from './watched-machine.ts';
import type { World } from './world.ts';

/** How it ended for one instance. */
export interface TwinOutcome {
  readonly instanceId: string;
  readonly ended: string;
  /** What the last run that spoke of it said its restart has to wait for: its turn, or the end of a storm. */
  readonly waitsFor: 'budget' | 'breaker' | null;
}

const WAITS: Readonly<Record<string, TwinOutcome['waitsFor']>> = {
  'restart-budget': 'budget',
  'breaker-open': 'breaker',
};

/** State, limits and how often the service restarted it: what a person would find. */
export function outcomesOf(
  instances: readonly EmbeddedInstance[],
  { powerDowns }: History,
  reports: readonly RunReport[],
): readonly TwinOutcome[] {
  const last = new Map<string, string>();
  for (const { actions } of reports.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))) {
    for (const { instanceId, code } of actions) last.set(instanceId, code);
  }
  return instances.map(({ instanceId, state, machine }) => {
    const { effectiveLimit, configuredLimit, hung } = machine.truth(Date.now());
    const restarts = powerDowns.filter((down) => down.instanceId === instanceId).map(({ how }) => how);
    const ended = JSON.stringify({ state, hung, effectiveLimit, configuredLimit, restarts });
    return { instanceId, ended, waitsFor: WAITS[last.get(instanceId) ?? ''] ?? null };
  });
}

/** The main sweep and the restarts that it makes are over by then, crashes or not. Unit: milliseconds. */
const SWEEP_MS = 65 * MINUTE;

type Machine = World['machines'][number];

function overflowsDuringSweep({ planned: { guestProfile } }: Machine, mainAt: number): boolean {
  return (guestProfile?.bursts ?? []).some(({ at = 0 }) => at > mainAt && at < mainAt + SWEEP_MS);
}

/** Whether its cure comes in time, or lasts to the end, is a matter of minutes: it overflows during the main sweep, or is reverted now and again. */
function racesTheSweep({ machines, mainAt }: World, instanceId: string): boolean {
  const machine = machines.find(({ planned }) => planned.instanceProfile.instanceId === instanceId);
  if (machine === undefined) return false;
  return machine.planned.guestProfile?.configurationManager !== undefined || overflowsDuringSweep(machine, mainAt);
}

export function differences(
  calm: readonly TwinOutcome[],
  crashed: readonly TwinOutcome[],
  world: World,
): readonly Found[] {
  // Whether a machine that overflows during the sweep is counted, and with it whether the breaker opens, is a matter of
  // seconds for all others of its cell.
  const breakerRaces = world.machines.some((machine) => overflowsDuringSweep(machine, world.mainAt));
  return calm.flatMap(({ instanceId, ended, waitsFor }) => {
    const other = crashed.find((each) => each.instanceId === instanceId);
    const waiting = [waitsFor, other?.waitsFor];
    // Whose turn it is within a budget, or before one that does not come back, is a matter of minutes too.
    if (other?.ended === ended || waiting.includes('budget') || racesTheSweep(world, instanceId)) return [];
    if (waiting.includes('breaker') && breakerRaces) return [];
    const what = `with crashes it ends as ${other?.ended}, without them as ${ended}`;
    return [{ invariant: 11, instanceId, at: world.endsAt, what }];
  });
}

/** How many: each may cost a run on the host. */
const RUN_AGAIN = 2;

/** Runs the last runbook of a few machines again, which must change nothing. Nothing may happen in the world after it. */
export function againChanges(
  machines: readonly WatchedMachine[],
  instances: readonly EmbeddedInstance[],
  history: History,
): readonly Found[] {
  const at = Date.now();
  const found: Found[] = [];
  let left = RUN_AGAIN;
  for (const machine of machines) {
    const { last, instanceId } = machine;
    if (left === 0) break;
    const ran = history.scripts.findLast((run) => run.instanceId === instanceId);
    const running = instances.some((each) => each.instanceId === instanceId && each.state === 'running');
    const before = machine.truth(at);
    if (
      last === null ||
      ran === undefined ||
      !running ||
      before.hung ||
      !/"outcome":"resized"/.test(ran.result.stdout)
    ) {
      continue;
    }
    // A boot, a revert or a later overflow is a reason to change something again.
    const files = (truth: typeof before) => JSON.stringify([truth.files, truth.effectiveLimit, truth.configuredLimit]);
    if (files(before) !== files(ran.after.truth)) continue;
    left--;
    machine.runScript(at, last.script, last.environment);
    const after = machine.truth(at);
    if (files(after) === files(before)) continue;
    found.push({ invariant: 6, instanceId, at, what: 'the same runbook, run again at once, changed it again' });
  }
  return found;
}
