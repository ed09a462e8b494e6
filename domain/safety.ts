/** What bounds the harm: gate, breaker, budget, waves, and what a request may ask of the policy. All pure. */
import type { Gate, Outcome, RunRequest } from './contracts.ts';
import { type InstanceFacts, says } from './finding.ts';
import { fnv1a } from './fnv.ts';
import type { Policy } from './policy.ts';
import type { Answer, CellMemory } from './ports.ts';
import type { Breaker } from './triage.ts';
import { InvalidInputError } from './validation.ts';

/** What one check of the gate answered: null is open, a text the reason why it is closed. */
export interface CheckedGate {
  readonly name: string;
  readonly answer: Answer<string | null>;
}

/** The gate is open when every check says so. A check that could not be read closes it. */
export function gateVerdict(checks: readonly CheckedGate[]): Gate {
  const reasons = checks.flatMap(({ name, answer }) => {
    if (answer.ok) return answer.value === null ? [] : [`${name}: ${answer.value}`];
    return [`${name} could not be read, which closes the gate (${says(answer.error)}). ${answer.error.next}`.trim()];
  });
  return { open: reasons.length === 0, reasons };
}

/** `apply` only when asked for, allowed by policy and the gate is open; otherwise `plan`. */
export function effectiveMode(request: Pick<RunRequest, 'mode'>, policy: Policy, gate: Gate): 'plan' | 'apply' {
  return (request.mode ?? policy.mode) === 'apply' && policy.mode === 'apply' && gate.open ? 'apply' : 'plan';
}

/**
 * Whether an open breaker is reported only. A person names instances and asks for a plan of them, looks at it, and applies
 * exactly that. Nothing else does: no run that acts without a plan, no plan of a whole cell. So what a schedule asks for
 * never does, since a plan that it made acts only where somebody applies it by its id.
 * @param plan request of the plan that is to be applied; null: none.
 */
export function mayPassBreaker(request: RunRequest, plan: RunRequest | null): boolean {
  const asked = plan ?? request;
  return asked.mode === 'plan' && asked.instanceIds !== undefined;
}

/** What the breaker counts in one cell during one sweep. */
export interface BreakerCounts {
  /** Running instances in scope; null where they are not all listed (silent pass, run on a part): then the last sweep's count is taken. */
  readonly instances: number | null;
  /** Running instances in scope whose agent is lost or whose status check is impaired: what the filtered listings name. */
  readonly suspects: number;
  /** Affected so far, without those that are already handled: a cured machine's old console lines are no storm. */
  readonly affected: number;
  /** Instances whose agent SSM calls lost; null when not all could be counted, which forbids restarts. */
  readonly silent: number | null;
}

/**
 * Whether restarts are forbidden in a cell, judged as the counts stand: more suspects or affected than max(count,
 * percent of the cell), more newly silent ones than max(count, percent of the last sweep's), counts that could not be
 * read, or opened by an earlier sweep and not quiet since for long enough. Resizes go on regardless.
 */
export function breakerFor(counts: BreakerCounts, previous: CellMemory | null, policy: Policy): Breaker {
  const reasons = stormsIn(counts, previous, policy);
  if (counts.silent === null) reasons.push('how many are lost or impaired could not be read');
  if (reasons.length === 0 && previous?.breakerOpen) {
    const { quietSweeps } = policy.breaker;
    reasons.push(
      `an earlier sweep opened it; it closes after ${quietSweeps} quiet sweeps (${previous.quietSweeps} so far)`,
    );
  }
  return reasons.length === 0 ? { open: false, reason: null } : { open: true, reason: reasons.join('; ') };
}

function stormsIn(counts: BreakerCounts, previous: CellMemory | null, policy: Policy): string[] {
  const { affectedCount, affectedPercent, newlySilentPercent } = policy.breaker;
  const instances = counts.instances ?? previous?.instances ?? 0;
  const bound = Math.max(affectedCount, (instances * affectedPercent) / 100);
  const of = `${instances === 0 ? 'instances' : `of ${instances} instances`}, more than ${bound}`;
  const reasons: string[] = [];
  if (counts.suspects > bound) reasons.push(`${counts.suspects} ${of}, are lost or impaired at once`);
  if (counts.affected > bound) reasons.push(`${counts.affected} ${of}, overflow at once`);
  if (counts.silent === null || !previous) return reasons;
  const surge = counts.silent - previous.silent;
  const surgeBound = Math.max(affectedCount, (previous.instances * newlySilentPercent) / 100);
  if (surge > surgeBound) {
    reasons.push(
      `${surge} more than in the last sweep are silent (over ${surgeBound}): SSM or the network, not the machines`,
    );
  }
  return reasons;
}

/**
 * What the ledger keeps of the cell after a sweep. A storm opens the breaker; as many quiet sweeps in a row as policy
 * says close it. What could not be read stays as it was, and such a sweep is neither quiet nor a storm.
 * @param previous as it was when the sweep began. @param latest as it is now: where another sweep has written meanwhile,
 *   that one looked later, and only a storm of this one is added to it.
 */
export function nextCellMemory(
  previous: CellMemory | null,
  latest: CellMemory | null,
  thisSweep: BreakerCounts,
  policy: Policy,
  now: string,
): CellMemory {
  const read = thisSweep.instances !== null && thisSweep.silent !== null;
  const counts = {
    instances: (read ? thisSweep.instances : null) ?? previous?.instances ?? 0,
    silent: (read ? thisSweep.silent : null) ?? previous?.silent ?? 0,
    at: now,
  };
  if (stormsIn(thisSweep, previous, policy).length > 0) return { ...counts, breakerOpen: true, quietSweeps: 0 };
  if (latest !== null && latest.at !== previous?.at) return latest;
  if (!previous?.breakerOpen) return { ...counts, breakerOpen: false, quietSweeps: 0 };
  if (!read) return { ...counts, breakerOpen: true, quietSweeps: previous.quietSweeps };
  const quietSweeps = previous.quietSweeps + 1;
  return quietSweeps >= policy.breaker.quietSweeps
    ? { ...counts, breakerOpen: false, quietSweeps: 0 }
    : { ...counts, breakerOpen: true, quietSweeps };
}

/**
 * Restarts that a run may make in a cell: the least of `maxPerRun`, `maxPercent` of the running instances (rounded down,
 * but at least one unless it is 0 %) and what the request says.
 * @param runningInstances null when not known: then the percentage allows one.
 */
export function restartBudget(
  restart: Policy['restart'],
  runningInstances: number | null,
  maxRestarts: number | undefined,
): number {
  const share = Math.floor(((runningInstances ?? 0) * restart.maxPercent) / 100);
  const byPercent = restart.maxPercent === 0 ? 0 : Math.max(1, share);
  return Math.min(restart.maxPerRun, byPercent, maxRestarts ?? Number.POSITIVE_INFINITY);
}

/** SSM's most per SendCommand. */
const BATCH = 50;

/**
 * The order in which a run resizes: another one in each run, so that the same few broken machines are not every run's
 * canary. A replay gets the same order, whatever order the ids come in.
 */
export function resizeOrder(instanceIds: readonly string[], runId: string): string[] {
  const rank = (id: string) => fnv1a(`${runId} ${id}`);
  return [...new Set(instanceIds)].sort().sort((a, b) => rank(a) - rank(b));
}

/** The next wave of a resize of what is left: the canary until a wave ran, then as many as one command takes. */
export function nextResizeWave(left: readonly string[], canary: number, canaryRan: boolean): readonly string[] {
  return left.slice(0, canaryRan ? BATCH : Math.min(canary, BATCH));
}

/** A machine as far as the spread of restarts bounds it. */
export interface Place {
  readonly instanceId: string;
  readonly zone: string;
  /** Of the tag that `restart.spread` names; null: it does not bear it, or none is named. */
  readonly tagValue: string | null;
}

/** Where a machine stands, by `restart.spread`. */
export function placeOf(
  { instanceId, availabilityZone, tags }: Pick<InstanceFacts, 'instanceId' | 'availabilityZone' | 'tags'>,
  { tag }: Policy['restart']['spread'],
): Place {
  const tagValue = tag !== null && Object.hasOwn(tags, tag) ? (tags[tag] ?? null) : null;
  return { instanceId, zone: availabilityZone, tagValue };
}

/**
 * The next wave of restarts, in order of instance id: as many as `maxInFlight`, `spread.maxPerZone` and
 * `spread.maxPerTagValue` leave room for beside what is down already; the canary is one. Asked again with those that are
 * left until none is, everybody is in exactly one wave. Where nobody can go now, `bound` names what is in the way.
 * @param down what this service has down or in cure, whichever run took it down.
 */
export function nextRestartWave(
  candidates: readonly Place[],
  down: readonly Place[],
  restart: Policy['restart'],
  canary: boolean,
): { readonly wave: readonly string[]; readonly bound: string | null } {
  const { maxInFlight, spread } = restart;
  const most = canary ? Math.min(maxInFlight, down.length + 1) : maxInFlight;
  const taken = [...down];
  const wave: string[] = [];
  const bounds = new Set<string>();
  for (const place of [...candidates].sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1))) {
    if (taken.length >= most) break;
    const bound = spreadBound(place, taken, spread);
    if (bound !== null) bounds.add(bound);
    else {
      taken.push(place);
      wave.push(place.instanceId);
    }
  }
  if (wave.length > 0 || candidates.length === 0) return { wave, bound: null };
  const ids = down.slice(0, 5).map(({ instanceId }) => instanceId);
  const inFlight = `taken down by this service and not back yet: ${down.length} (${ids.join(', ')}), and restart.maxInFlight is ${maxInFlight}`;
  return { wave, bound: down.length >= most ? inFlight : [...bounds].slice(0, 5).join('; ') };
}

function spreadBound(place: Place, taken: readonly Place[], spread: Policy['restart']['spread']): string | null {
  const { maxPerZone, tag, maxPerTagValue } = spread;
  const inZone = taken.filter(({ zone }) => zone === place.zone).length;
  if (maxPerZone !== null && inZone >= maxPerZone) {
    return `down in ${place.zone} already: ${inZone}, and restart.spread.maxPerZone is ${maxPerZone}`;
  }
  if (place.tagValue === null) return null;
  const alike = taken.filter(({ tagValue }) => tagValue === place.tagValue).length;
  if (alike < maxPerTagValue) return null;
  return `down with ${tag}=${place.tagValue} already: ${alike}, and restart.spread.maxPerTagValue is ${maxPerTagValue}`;
}

/** Results that say the cure itself went wrong on the machine. */
const HARM: ReadonlySet<Outcome['result']> = new Set(['failed', 'rolled-back', 'stuck', 'unreadable-output']);
/** Results that say nothing of the cure: it did not run. */
const NOT_RUN: ReadonlySet<Outcome['result']> = new Set(['undelivered', 'declined']);

/**
 * Whether the waves after a canary may go on. As SSM's MaxErrors: more errors than the number, or than the percentage
 * of those that ran (rounded down), stop it. A canary that ran nowhere has proven nothing and stops it too.
 * @param maxErrors a number or a percentage, as in `resize.maxErrors`.
 */
export function canaryVerdict(
  results: readonly { readonly instanceId: string; readonly result: Outcome['result'] }[],
  maxErrors: string,
): { goOn: boolean; reason: string } {
  const ran = results.filter(({ result }) => !NOT_RUN.has(result));
  if (ran.length === 0) return { goOn: false, reason: 'the canary ran on no instance, so it proved nothing' };
  const harmed = ran.filter(({ result }) => HARM.has(result));
  const value = Number.parseInt(maxErrors, 10);
  const allowed = maxErrors.endsWith('%') ? Math.floor((ran.length * value) / 100) : value;
  const said = `${harmed.length} of ${ran.length} canaries went wrong, ${allowed} are allowed`;
  if (harmed.length <= allowed) return { goOn: true, reason: said };
  return { goOn: false, reason: `${said}: ${harmed.map((h) => `${h.instanceId} ${h.result}`).join(', ')}` };
}

/**
 * A request may ask for less than the policy allows, never for more.
 * @throws InvalidInputError naming the field, the limit and what to do.
 */
export function checkRequestAgainstPolicy(request: RunRequest, policy: Policy): void {
  if (request.mode === 'apply' && policy.mode === 'plan') {
    refuse('mode: the deployed policy allows plan only; set mode apply in the policy and deploy it, or ask for plan');
  }
  const most = Math.max(policy.restart.maxPerRun, ...policy.overrides.map((o) => o.restart.maxPerRun ?? 0));
  if (request.maxRestarts !== undefined && request.maxRestarts > most) {
    refuse(
      `maxRestarts: ${request.maxRestarts} is above the policy's restart.maxPerRun of ${most}; ask for at most that`,
    );
  }
  checkScope('regions', request.regions, policy.scope.regions);
  checkScope('accounts', request.accounts, policy.scope.accounts);
}

function checkScope(
  name: 'regions' | 'accounts',
  asked: readonly string[] | undefined,
  scope: readonly string[],
): void {
  const beyond = scope.length === 0 ? [] : (asked ?? []).filter((value) => !scope.includes(value));
  if (beyond.length === 0) return;
  refuse(`${name}: ${beyond.join(', ')} outside the policy's scope.${name} (${scope.join(', ')}); ask for those only`);
}

function refuse(what: string): never {
  throw new InvalidInputError(`request beyond the policy: ${what}`);
}
