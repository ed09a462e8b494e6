/**
 * The region's own opinion of a run: what its machines and its log of events say, held against what the service reports.
 * It takes nothing from the service but the report itself.
 */
import type { EmbeddedCloud } from './cloud.ts';
import type { MachineTruth, WorldEvent } from './core.ts';

/** What of a report's action is held against the truth. */
export interface ReportedAction {
  readonly instanceId: string;
  readonly accountId: string;
  readonly region: string;
  readonly action: string;
  readonly code: string;
  readonly outcome: {
    readonly result: string;
    readonly proven: boolean;
    readonly target: number | null;
    readonly restartedBy: string | null;
  } | null;
}

export interface ReportedRun {
  readonly mode: 'plan' | 'apply';
  readonly actions: readonly ReportedAction[];
  readonly totals: { readonly instances: number; readonly restarted: number };
  readonly cells: readonly { readonly accountId: string; readonly region: string; readonly instances: number }[];
}

/** What was so before the run. */
export interface Snapshot {
  readonly at: number;
  readonly events: number;
  readonly mutatingCalls: number;
  readonly calls: Readonly<Record<string, number>>;
  readonly machines: ReadonlyMap<string, Before>;
}

interface Before {
  readonly state: string;
  readonly truth: MachineTruth;
  readonly optedOut: boolean;
}

const POWER = ['StopInstances', 'StartInstances', 'RebootInstances'];
const OPT_OUT = 'AuditBacklogRemediation';
/** An overflow this old may have been pushed out of the console. Unit: milliseconds. */
const STILL_ON_CONSOLE = 24 * 3_600_000;

/** Takes the truth before a run. */
export function snapshotOf(cloud: EmbeddedCloud): Snapshot {
  const at = Date.now();
  const machines = new Map<string, Before>();
  for (const cell of cloud.cells()) {
    for (const instance of cell.instances()) {
      machines.set(instance.instanceId, {
        state: instance.state,
        truth: instance.machine.truth(at),
        optedOut: instance.tags.get(OPT_OUT) === 'disabled',
      });
    }
  }
  const { mutatingCalls, calls } = cloud.traffic();
  return { at, events: cloud.log.events.length, mutatingCalls, calls, machines };
}

/** Where report and truth differ; empty when they agree. */
export function disagreements(cloud: EmbeddedCloud, before: Snapshot, run: ReportedRun): string[] {
  const found: string[] = [];
  const events = cloud.log.events.slice(before.events);
  const actions = new Map(run.actions.map((action) => [action.instanceId, action]));
  if (run.mode === 'plan') {
    const writes = cloud.traffic().mutatingCalls - before.mutatingCalls;
    if (writes > 0) found.push(`a plan made ${writes} mutating calls`);
  }
  for (const cell of run.cells) {
    const there = cloud.cell(cell.accountId, cell.region);
    for (const instance of there.instances()) {
      const was = before.machines.get(instance.instanceId);
      if (!was) continue;
      const now = { state: instance.state, truth: instance.machine.truth(Date.now()) };
      const calls = powerCalls(events, instance.instanceId);
      for (const what of judge(was, now, actions.get(instance.instanceId), calls, run.mode)) {
        found.push(`${instance.instanceId} (${cell.region}): ${what}`);
      }
    }
  }
  const restarted = run.actions.filter((a) => a.outcome?.proven && a.outcome.restartedBy !== null).length;
  if (run.mode === 'apply' && restarted !== run.totals.restarted) {
    found.push(`${run.totals.restarted} restarts are reported, ${restarted} have a proven outcome`);
  }
  for (const loss of events.filter((event) => event.kind === 'power' && event.what === 'loss')) {
    found.push(`${loss.instanceId}: a stop lost its ${String(loss.detail?.of)}`);
  }
  return found;
}

/** Power calls that took effect on this instance. */
function powerCalls(events: readonly WorldEvent[], instanceId: string): readonly string[] {
  return events
    .filter((event) => event.kind === 'api' && POWER.includes(event.what))
    .filter(({ detail }) => detail?.error === null && detail.dryRun === false)
    .filter(({ detail }) => Array.isArray(detail?.ids) && detail.ids.includes(instanceId))
    .map((event) => event.what);
}

function judge(
  was: Before,
  now: { readonly state: string; readonly truth: MachineTruth },
  action: ReportedAction | undefined,
  calls: readonly string[],
  mode: 'plan' | 'apply',
): string[] {
  const found: string[] = [];
  const { truth } = now;
  const outcome = action?.outcome ?? null;
  const acted = mode === 'apply' && action !== undefined && action.action !== 'leave' && action.action !== 'defer';
  const limit = truth.effectiveLimit;
  if (acted && outcome?.proven) {
    if (now.state !== 'running') found.push(`it is reported cured and is ${now.state}`);
    if (truth.hung) found.push('it is reported cured and hangs');
    const enough = limit === 0 || (limit !== null && limit >= (outcome.target ?? 0));
    if (!enough) found.push(`it is reported at ${outcome.target} and the kernel has ${limit}`);
    const kept = truth.configuredLimit === 0 || (truth.configuredLimit ?? 0) >= (outcome.target ?? 0);
    if (!kept) found.push(`its rules say ${truth.configuredLimit}: the next boot loses the cure`);
    if (was.truth.auditdRunning && !truth.auditdRunning) found.push('auditd ran before and does not run now');
  }
  const held = mode === 'apply' && outcome?.result === 'held' && outcome.proven;
  if (held && [limit, truth.configuredLimit].some((has) => has !== 0 && (has ?? 0) < (outcome.target ?? 0))) {
    found.push(`its cure is reported to hold at ${outcome.target}: kernel ${limit}, rules ${truth.configuredLimit}`);
  }
  if (calls.length > 0 && (was.optedOut || !acted)) found.push(`${calls.join(', ')} without being asked to`);
  if (calls.filter((c) => c === 'StopInstances').length > 1) found.push('it was stopped twice');
  if (calls.filter((c) => c === 'RebootInstances').length > 1) found.push('it was rebooted twice');
  if (outcome !== null && acted && outcome.restartedBy === null && calls.includes('StopInstances')) {
    found.push('it was stopped, and the report does not say so');
  }
  const lowered =
    was.truth.effectiveLimit !== null && limit !== null && limit !== 0 && limit < was.truth.effectiveLimit;
  if (lowered && calls.length === 0 && truth.boots === was.truth.boots) {
    found.push(`its limit was lowered from ${was.truth.effectiveLimit} to ${limit}`);
  }
  const stoppedByUs = calls.includes('StopInstances') && now.state !== 'running';
  if (stoppedByUs && outcome?.proven !== false) found.push(`we stopped it, it is ${now.state}, and nobody is told`);
  const overflow = was.truth.overflows.at(-1);
  const recent = overflow !== undefined && Date.now() - overflow.at < STILL_ON_CONSOLE;
  if (recent && was.state === 'running' && now.state === 'running' && action === undefined) {
    found.push(`it overflowed at ${new Date(overflow.at).toISOString()}, and the report does not know it`);
  }
  return found;
}
