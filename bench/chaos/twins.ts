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
  /** The last run that spoke of it said that its restart has to wait for the next one. */
  readonly waits: boolean;
}

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
    return { instanceId, ended, waits: last.get(instanceId) === 'restart-budget' };
  });
}

/** The main sweep and the restarts that it makes are over by then, crashes or not. Unit: milliseconds. */
const SWEEP_MS = 65 * MINUTE;

/** Whether its cure comes in time, or lasts to the end, is a matter of minutes: it overflows during the main sweep, or is reverted now and again. */
function racesTheSweep({ machines, mainAt }: World, instanceId: string): boolean {
  const machine = machines.find(({ planned }) => planned.instanceProfile.instanceId === instanceId);
  const { bursts = [], configurationManager } = machine?.planned.guestProfile ?? {};
  return configurationManager !== undefined || bursts.some(({ at = 0 }) => at > mainAt && at < mainAt + SWEEP_MS);
}

export function differences(
  calm: readonly TwinOutcome[],
  crashed: readonly TwinOutcome[],
  world: World,
): readonly Found[] {
  return calm.flatMap(({ instanceId, ended, waits }) => {
    const other = crashed.find((each) => each.instanceId === instanceId);
    // Whose turn it is within a budget, or before one that does not come back, is a matter of minutes too.
    if (other?.ended === ended || waits || other?.waits || racesTheSweep(world, instanceId)) return [];
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
