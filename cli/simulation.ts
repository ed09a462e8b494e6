/** A whole simulated run: a fleet, the sweeps that made its history, and the sweep that is shown. All in virtual time. */
import type { RunReport } from '../domain/contracts.ts';
import { policySchema } from '../domain/policy.ts';
import { parseInput } from '../domain/validation.ts';
import type { WorldEvent } from '../simulator/core.ts';
import { SeededFaults } from '../simulator/faults.ts';
import { EARLIER_SWEEP_HOURS, FLEET_BEGINS_HOURS, plannedFleet } from '../simulator/fleet.ts';
import { disagreements, snapshotOf } from '../simulator/judgement.ts';
import { VirtualTime } from '../simulator/virtual-time.ts';
import { DEMO_CELLS, demoPolicy } from './demo-policy.ts';
import { populate } from './population.ts';
import { guardOf } from './simulated-roles.ts';
import { SIMULATED_NAMES, SimulatedService } from './simulated-service.ts';

/** When the sweep that is shown begins. Epoch milliseconds. */
export const MAIN_SWEEP_AT = Date.UTC(2026, 10, 22, 4);
const HOUR_MS = 3_600_000;

export interface SimulationOptions {
  readonly instances: number;
  readonly seed: number;
  readonly mode: 'plan' | 'apply';
  /** Told of everything that happens in the world. `main` is false as long as history is made. */
  readonly onEvent?: (event: WorldEvent, main: boolean) => void;
  /** Called in real time while virtual time passes, so that a display moves. */
  readonly paint?: { readonly everyMilliseconds: number; readonly draw: () => void };
}

/** What goes wrong on the way to AWS in the demo: now and then a call is throttled, fails, is slow or loses its answer. */
const FAULT_RATES = [
  { name: 'throttled read', kind: 'throttle', rate: 0.01, calls: 'ec2:*' },
  { name: 'failed read', kind: 'error-500', rate: 0.004, calls: 'ec2:GetConsoleOutput' },
  { name: 'slow answer', kind: 'slow', rate: 0.004, calls: 'ec2:Describe*' },
  { name: 'lost answer of a read', kind: 'lost-after', rate: 0.004, calls: 'ssm:Describe*' },
  { name: 'lost answer of SendCommand', kind: 'lost-after', rate: 0.1, calls: 'ssm:SendCommand' },
  { name: 'throttled ledger', kind: 'throttle', rate: 0.005, calls: 'dynamodb:*' },
] as const;

function sleepUntil(at: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())));
}

/** Runs it. The same options give the same report. */
export async function simulate(options: SimulationOptions): Promise<RunReport> {
  const { instances, seed, mode } = options;
  const time = VirtualTime.install({
    seed,
    start: MAIN_SWEEP_AT - FLEET_BEGINS_HOURS * HOUR_MS,
    ...(options.paint ? { paint: options.paint } : {}),
  });
  try {
    const faults = new SeededFaults({ seed, rates: FAULT_RATES });
    const input = demoPolicy(instances);
    const [home] = DEMO_CELLS;
    let denied = 0;
    const guard = guardOf({ home, policy: parseInput(policySchema, input, 'policy') }, SIMULATED_NAMES, () => {
      denied++;
    });
    const { authorise } = guard;
    const service = new SimulatedService({ seed, policy: input, home, faults, authorise });
    populate(service, plannedFleet({ instances, seed, mainSweepAt: MAIN_SWEEP_AT, cells: DEMO_CELLS }), seed);
    let main = false;
    if (options.onEvent) service.log.onEvent((event) => options.onEvent?.(event, main));
    let ended = false;
    const world = (async () => {
      for (const hours of EARLIER_SWEEP_HOURS) {
        await sleepUntil(MAIN_SWEEP_AT - hours * HOUR_MS);
        await service.run({ scheduledAt: new Date(Date.now()).toISOString() });
      }
      await sleepUntil(MAIN_SWEEP_AT);
      main = true;
      const report = await runAndJudge(service, mode, () => denied);
      const [wrong] = guard.errors;
      if (wrong) throw wrong;
      return report;
    })().finally(() => {
      ended = true;
    });
    // Driven to the end even when the world fails, so that the failure is what is reported.
    world.catch(() => undefined);
    await time.drive(() => ended, { pending: () => service.engine.pending() });
    return await world;
  } finally {
    time.uninstall();
  }
}

/** One run, and what the region itself thinks of it. */
async function runAndJudge(
  service: SimulatedService,
  mode: 'plan' | 'apply',
  denied: () => number,
): Promise<RunReport> {
  const before = snapshotOf(service.cloud);
  const report = await service.run({ mode, scheduledAt: new Date(Date.now()).toISOString() });
  const after = service.cloud.traffic();
  const calls: Record<string, number> = {};
  for (const [call, n] of Object.entries(after.calls)) {
    const made = n - (before.calls[call] ?? 0);
    if (made > 0) calls[call] = made;
  }
  const found = disagreements(service.cloud, before, report);
  return {
    ...report,
    simulator: {
      mutatingCalls: after.mutatingCalls - before.mutatingCalls,
      calls,
      strikes: { ...after.strikes, ...(denied() > 0 ? { 'denied by IAM': denied() } : {}) },
      agrees: found.length === 0,
      ...(found.length > 0 ? { disagreements: found } : {}),
    },
  };
}
