/**
 * What truly happened in a world, taken down as it happens: from the simulator's events and from the machines
 * themselves. Which execution did it follows from the invocation that the event happened in.
 */
import { currentInvocation, type EventLog, type WorldEvent } from '../../simulator/core.ts';
import type { EmbeddedInstance } from '../../simulator/ec2/instance.ts';
import type { ExecutionView } from '../../simulator/engine/execution.ts';
import { allowsRestart, OPT_OUT, optedOut } from './bad-days.ts';
import type { ScriptRun } from './watched-machine.ts';
import type { World } from './world.ts';

/** Who made a call: an execution of a durable function, or a plain function. */
export interface Actor {
  readonly functionName: string;
  /** null: a plain function. */
  readonly execution: string | null;
  readonly runId: string | null;
}

/** A call that would change an instance; `effect` false: it was refused. */
export interface Touch {
  readonly at: number;
  readonly call: string;
  readonly instanceId: string;
  readonly actor: Actor | null;
  readonly effect: boolean;
  /** Since when the instance has been off limits for this call; null: it was not. */
  readonly forbiddenSince: number | null;
}

/** A stop or reboot by the service, as it took effect. */
export interface PowerDown {
  readonly at: number;
  readonly how: 'stop' | 'reboot';
  readonly instanceId: string;
  readonly actor: Actor | null;
  /** Overflows that the machine had had by then, and its boots. */
  readonly overflows: number;
  readonly boots: number;
  /** Of every machine of the cell that hung at that instant and that anyone could see to hang: since when. */
  readonly hungSince: readonly number[];
}

/** What the harness knows of an execution. */
export interface KnownRun {
  readonly mode: 'plan' | 'apply';
  readonly planId: string | null;
  readonly startedAt: number;
  /** A person asked for a plan of machines that they named: this run is it, or applies it. */
  readonly lookedAt: boolean;
  /** What it is about; null: everything in scope. */
  readonly instanceIds: readonly string[] | null;
}

/** What was asked for, as far as it binds. */
interface Wish {
  readonly mode?: 'plan' | 'apply' | undefined;
  readonly planId?: string | undefined;
  readonly instanceIds?: readonly string[] | undefined;
}

type Ruling = 'outOfBounds' | 'noConsent';

export class History {
  readonly world: World;
  readonly touches: Touch[] = [];
  readonly powerDowns: PowerDown[] = [];
  readonly scripts: ScriptRun[] = [];
  readonly losses: WorldEvent[] = [];
  /** By run and instance: how its last reading of the console ended. */
  readonly readings = new Map<string, { ok: boolean; at: number }>();
  readonly faults: Record<string, number> = {};
  /** Instances that are down by our doing, by cell, and the most at once. */
  readonly tooManyDown: { at: number; instanceId: string; what: string }[] = [];
  /** Who brought the last stop about. */
  readonly stoppedBy = new Map<string, { at: number; by: 'service' | 'other' }>();
  readonly #down = new Map<string, Set<string>>();
  readonly #asked = new Map<string, Wish>();
  readonly #actors = new Map<string, Actor>();
  /** Run id by function and execution: replays are many. */
  readonly #runIds = new Map<string, string | null>();
  readonly #since = new Map<string, number>();
  readonly #executions: () => readonly ExecutionView[];
  readonly #find: (instanceId: string) => EmbeddedInstance | undefined;

  constructor(
    world: World,
    log: EventLog,
    executions: () => readonly ExecutionView[],
    find: (instanceId: string) => EmbeddedInstance | undefined,
  ) {
    this.world = world;
    this.#executions = executions;
    this.#find = find;
    log.onEvent((event) => this.#take(event));
  }

  /** What a run was asked to be; null: no such run was started. */
  run(runId: string): KnownRun | null {
    const sweep = this.#sweep(runId);
    if (!sweep) return null;
    const { mode } = JSON.parse(sweep.input) as { mode: 'plan' | 'apply' };
    const asked = this.#wish(runId);
    const planId = asked?.planId ?? null;
    const wish = planId === null ? asked : this.#wish(planId);
    const lookedAt = wish?.mode === 'plan' && wish.instanceIds !== undefined;
    return {
      mode: asked?.mode ?? mode,
      planId,
      startedAt: sweep.startedAt,
      lookedAt,
      instanceIds: wish?.instanceIds ?? null,
    };
  }

  #sweep(runId: string): ExecutionView | undefined {
    return this.#executions().find((each) => each.functionName === 'sweep' && each.name === runId);
  }

  /** What was asked for; where `run` died before it answered, nobody but its sweep knows. */
  #wish(runId: string): Wish | undefined {
    const sweep = this.#sweep(runId);
    return this.#asked.get(runId) ?? (sweep && (JSON.parse(sweep.input) as { request: Wish }).request);
  }

  /** Notes what was asked for where a run was started: what became of that on its way is the service's affair. */
  asked(runId: string, request: Wish): void {
    this.#asked.set(runId, request);
  }

  /** Notes what the tags of an instance forbid from now on. */
  tagged(instance: EmbeddedInstance): void {
    const { tags, instanceId } = instance;
    const outOfBounds =
      optedOut(tags) || tags.get('Environment') === 'sandbox' || instance.profile.platform === 'windows';
    this.#note(instanceId, 'outOfBounds', outOfBounds);
    this.#note(
      instanceId,
      'noConsent',
      this.world.policy.restart.policy === 'never' || !allowsRestart(tags, this.world),
    );
  }

  #note(instanceId: string, ruling: Ruling, holds: boolean): void {
    const key = `${ruling} ${instanceId}`;
    if (!holds) this.#since.delete(key);
    else if (!this.#since.has(key)) this.#since.set(key, Date.now());
  }

  #take(event: WorldEvent): void {
    if (event.kind === 'durable') this.#durable(event);
    else if (event.kind === 'api') this.#api(event);
    else if (event.kind === 'power') this.#power(event);
    else if (event.kind === 'fault' && event.what !== 'crash') this.#count(event.what);
    else if (event.kind === 'guest' && event.what === 'reverted') this.#count('configuration manager reverts');
  }

  #count(name: string): void {
    this.faults[name] = (this.faults[name] ?? 0) + 1;
  }

  #durable({ what, detail }: WorldEvent): void {
    if (what === 'kill') {
      const reason = String(detail?.reason);
      if (detail?.function === 'restart' && /^crash/.test(reason)) this.#count('crash in the middle of a restart');
      if (/crash (before|after) a checkpoint/.test(reason)) this.#count(reason.replace('a checkpoint', 'checkpoint'));
      else if (/engine/.test(reason)) return;
      else if (/timed out/.test(reason)) this.#count('invocation timed out');
      else this.#count(`crash ${/crash after/.test(reason) ? 'after' : 'before'} a call`);
    }
    if (what !== 'invoke') return;
    const execution = detail?.execution === undefined ? null : String(detail.execution);
    const functionName = String(detail?.function);
    this.#actors.set(String(detail?.id), { functionName, execution, runId: this.#runIdOf(functionName, execution) });
  }

  #runIdOf(functionName: string, name: string | null): string | null {
    if (name === null) return null;
    const key = `${functionName} ${name}`;
    const known = this.#runIds.get(key);
    if (known !== undefined) return known;
    const execution = this.#executions().find((each) => each.functionName === functionName && each.name === name);
    const runId = execution ? ((JSON.parse(execution.input) as { runId?: string }).runId ?? null) : null;
    this.#runIds.set(key, runId);
    return runId;
  }

  #actor(): Actor | null {
    const invocation = currentInvocation.getStore();
    return invocation ? (this.#actors.get(invocation.id) ?? null) : null;
  }

  #api({ at, what, detail }: WorldEvent): void {
    const ids = Array.isArray(detail?.ids) ? detail.ids.map(String) : [];
    const error = detail?.error === null ? null : String(detail?.error);
    const actor = this.#actor();
    if (error === 'ConditionalCheckFailedException') this.#count('ledger conflict');
    if (what === 'GetConsoleOutput' && actor?.runId) {
      // The last word counts, whatever its answer's way home was: a lost answer is followed by another question.
      for (const id of ids) this.readings.set(`${actor.runId} ${id}`, { ok: error === null, at });
    }
    const touching = TOUCHING[`${String(detail?.service)}:${what}`];
    if (touching === undefined || detail?.dryRun === true) return;
    for (const instanceId of ids) {
      const forbiddenSince = this.#forbiddenSince(instanceId, touching);
      this.touches.push({ at, call: what, instanceId, actor, effect: error === null, forbiddenSince });
    }
  }

  #forbiddenSince(instanceId: string, touching: 'reach' | 'power'): number | null {
    const rulings: readonly Ruling[] = touching === 'power' ? ['outOfBounds', 'noConsent'] : ['outOfBounds'];
    const since = rulings.flatMap((ruling) => this.#since.get(`${ruling} ${instanceId}`) ?? []);
    return since.length === 0 ? null : Math.min(...since);
  }

  #hungSince(region: string, at: number): readonly number[] {
    return this.world.machines.flatMap(({ planned, quirks }) => {
      const { kind, cell, instanceProfile } = planned;
      if (cell.region !== region || !PLAINLY_HUNG.test(kind) || Object.keys(quirks).length > 0) return [];
      const instance = this.#find(instanceProfile.instanceId ?? '');
      if (instance?.state !== 'running' || this.#since.has(`outOfBounds ${instance.instanceId}`)) return [];
      // Anything like an opt-out, in whatever spelling, keeps the service from counting it.
      if (instance.tags.has(OPT_OUT)) return [];
      const { hung, overflows } = instance.machine.truth(at);
      return hung ? (overflows.at(-1)?.at ?? []) : [];
    });
  }

  #power({ at, what, instanceId = '', accountId, region, detail }: WorldEvent): void {
    const actor = this.#actor();
    const cell = `${accountId}/${region}`;
    const down = this.#down.get(cell) ?? new Set();
    this.#down.set(cell, down);
    if (what === 'stopping') {
      this.stoppedBy.set(instanceId, { at, by: actor ? 'service' : 'other' });
      // What somebody else stops is down by their hand, also where we were just rebooting it.
      if (!actor) down.delete(instanceId);
    }
    if (what === 'start-refused') this.#count('no capacity to start');
    if (what === 'start-failed') this.#count('start fails for its key');
    if (what === 'stopping' && this.#find(instanceId)?.profile.stopNeverEnds) this.#count('stop never ends');
    if (what === 'loss' && this.stoppedBy.get(instanceId)?.by === 'service') {
      this.losses.push({ at, kind: 'power', what, instanceId, ...(detail ? { detail } : {}) });
    }
    if ((what === 'stopping' || what === 'reboot') && actor) {
      const truth = this.#find(instanceId)?.machine.truth(at);
      const how = what === 'reboot' ? 'reboot' : 'stop';
      const { overflows, boots } = truth ?? { overflows: [], boots: 0 };
      const hungSince = this.#hungSince(`${region}`, at);
      this.powerDowns.push({ at, how, instanceId, actor, overflows: overflows.length, boots, hungSince });
      down.add(instanceId);
      const most = this.world.policy.restart.maxInFlight;
      if (down.size > most) {
        const who = [...down].join(', ');
        this.tooManyDown.push({
          at,
          instanceId,
          what: `${down.size} are down at once in ${cell}, ${most} may be: ${who}`,
        });
      }
    }
    if (what === 'running' || what === 'reset' || what === 'terminated' || what === 'shutting-down')
      down.delete(instanceId);
  }
}

/** Calls that touch an instance; a start brings back what we stopped, and so does taking the tag away. */
const TOUCHING: Readonly<Record<string, 'reach' | 'power'>> = {
  'ec2:StopInstances': 'power',
  'ec2:RebootInstances': 'power',
  'ec2:CreateTags': 'reach',
  'ssm:SendCommand': 'reach',
};

/** Kinds of machines that overflow, hang, and look like it to EC2 and SSM. */
const PLAINLY_HUNG = /^hangs( again after its boot| with the others)?$/;
