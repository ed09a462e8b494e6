/** Bringing one machine down and back, each destructive call at most once, with the stop tag from before to after. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { RestartMethod } from '../../domain/contracts.ts';
import { type CallError, type ConsoleReading, type InstanceFacts, says } from '../../domain/finding.ts';
import type { Answer, CellPorts } from '../../domain/ports.ts';
import { secondsBetween } from '../../domain/times.ts';
import { atMostOnce, durableRunner, type Once } from '../durable.ts';
import type { Tempo } from '../tempo.ts';

/**
 * How a power cycle ended. `back`: SSM's agent answers again. `forbidden`: it was about to begin, and must not any more.
 * Everything else says what a person needs to know.
 */
export type PowerCycle =
  | { readonly result: 'back'; readonly backAt: string }
  | { readonly result: 'forbidden'; readonly why: string }
  | {
      readonly result: 'untouched' | 'failed' | 'awaiting-capacity';
      readonly message: string;
      readonly next: string;
      readonly error: CallError | null;
    };

type Failure = Extract<PowerCycle, { message: string }>;
type Forbidden = Extract<PowerCycle, { result: 'forbidden' }>;
/** Why a call was not made. */
type Refusal = Forbidden | Failure;

function failed(message: string, next: string, error: CallError | null = null): Failure {
  return { result: 'failed', message, next, error };
}

function untouched(what: string, error: CallError): Failure {
  return { result: 'untouched', message: `It was not ${what}: ${says(error)}`, next: error.next, error };
}

/** What one look at the instance needs to tell the waiting loop. */
interface Look {
  readonly state: string;
  readonly stateReason: string | null;
}

/** What a call that takes a machine down came to: see {@link Once}, or why it was not made. */
type Down = Once<Answer<null>> | Refusal;

/** Why a reboot was not made; null: it was, or nobody knows. */
function rebootRefused(down: Down): Refusal | null {
  if ('result' in down) return down;
  return down.done && !down.value.ok && !down.value.lost ? untouched('rebooted', down.value.error) : null;
}

function isDone(down: Down): boolean {
  return 'done' in down && down.done && down.value.ok;
}

/** A request was made and nobody saw its answer, and now no further one may be made: whether it had an effect stays open. */
function doubtful(what: string, requests: number, refusal: Refusal): Failure {
  const why = 'why' in refusal ? refusal.why : refusal.message;
  return failed(
    `Nobody saw the answer to ${requests} ${requests === 1 ? 'request' : 'requests'} for a ${what}, and no further one was made. ${why}`,
    'Look at its state and its console: it may have gone down all the same.',
    'error' in refusal ? refusal.error : null,
  );
}

/** Whether a console shows a boot that it did not show before. */
function showsNewBoot(before: ConsoleReading, after: ConsoleReading): boolean {
  if (before.status !== 'read' || after.status !== 'read') return false;
  return after.evidence.boots > before.evidence.boots || after.evidence.currentBoot === false;
}

/** What is asked and done right before a power call that takes a machine down. */
export interface BeforePower {
  /** Keeps the attempt. */
  readonly remember: () => Promise<void>;
  /** Why the call must not be made any more; null: it may. The call is made within {@link ALLOWED_SECONDS} of the answer. */
  readonly whyNot: () => Promise<string | null>;
}

/** An answer that nothing forbids the call is good for so long; after a crash it may be old. Unit: seconds. */
const ALLOWED_SECONDS = 30;
/**
 * EC2 resets a machine that has not gone down four minutes after it was asked to reboot ("Reboot your instance", EC2 user
 * guide), and a minute more for what was late. Unit: seconds.
 */
const RESET_SECONDS = 300;
/** Requests for one reboot, where nobody saw the answer to the one before and nothing came of it. */
const REBOOTS = ['reboot', 'reboot-again', 'reboot-once-more'] as const;
/** So often it is asked anew whether the call may be made, before it is given up. */
const MOST_ASKED = 5;

/** Runs the power cycle of one instance. */
export class PowerCycler {
  readonly #context: DurableContext;
  readonly #ports: CellPorts;
  readonly #instanceId: string;
  readonly #runId: string;
  readonly #tempo: Tempo;
  /** A person was told that it cannot start. Set again by every replay, since all that leads to it is replayed. */
  #alarmed = false;

  constructor(context: DurableContext, ports: CellPorts, instanceId: string, runId: string, tempo: Tempo) {
    this.#context = context;
    this.#ports = ports;
    this.#instanceId = instanceId;
    this.#runId = runId;
    this.#tempo = tempo;
  }

  /** Stops and starts, or reboots, and waits until the agent answers. */
  run(method: RestartMethod, before: BeforePower): Promise<PowerCycle> {
    return method === 'reboot' ? this.#reboot(before) : this.#stopAndStart(before);
  }

  /**
   * A call that takes the machine down, begun at most once and only if nothing forbids it. Asking is a step of its own,
   * so that what begins at most once is the call alone: a crash while asking leaves no doubt whether it was made.
   * @param mark what must stand on the instance before the call, and be as young as the answer.
   */
  async #takeDown(
    name: string,
    { whyNot }: BeforePower,
    mark: () => Promise<Answer<null>>,
    call: () => Promise<Answer<null>>,
  ): Promise<Down> {
    const { clock } = this.#ports;
    let throttled: Answer<null> | null = null;
    for (let n = 0; n < MOST_ASKED; n++) {
      const asked = await this.#step(`${name}-allowed-${n}`, async () => {
        const why = await whyNot();
        return { why, marked: why === null ? await mark() : null, at: clock.now() };
      });
      if (asked.why !== null) return { result: 'forbidden', why: asked.why };
      if (asked.marked?.ok === false) {
        const { error } = asked.marked;
        const message = `The tag that says we stop it could not be set (${says(error)}), so nothing was stopped.`;
        return { result: 'untouched', message, next: error.next, error };
      }
      const once = await atMostOnce<Answer<null> | 'too-old'>(this.#context, `${name}-${n}`, async () =>
        secondsBetween(asked.at, clock.now()) <= ALLOWED_SECONDS ? call() : 'too-old',
      );
      if (!once.done) return once;
      if (once.value === 'too-old') continue;
      if (once.value.ok || !once.value.throttled) return { done: true, value: once.value };
      // It was not made. By the time it may be, the answer would be too old.
      throttled = once.value;
      await this.#context.wait(`${name}-throttled-${n}`, { seconds: this.#tempo.throttledSeconds });
    }
    if (throttled !== null) return { done: true, value: throttled };
    const why = `It was interrupted ${MOST_ASKED} times between the question whether it may be taken down and the call.`;
    return { result: 'forbidden', why };
  }

  async #stopAndStart(before: BeforePower): Promise<PowerCycle> {
    await before.remember();
    const stopped = await this.#stop(before);
    if (stopped) return stopped;
    const started = await this.#start();
    if (started) return started;
    const since = await this.#now('running-since');
    const back = await this.#waitForAgent(since);
    // A tag that could not be removed is no failure: `reconcile` removes one left on a running instance.
    await this.#step('unmark', () => this.#ports.power.unmarkStopped(this.#instanceId));
    if (this.#alarmed && back.result === 'back') await this.#step('alarm-over', () => this.#saysItIsBack(back.backAt));
    return back;
  }

  /** null: it is stopped. */
  async #stop(before: BeforePower): Promise<Failure | Forbidden | null> {
    // With the tag's time `reconcile` tells our stops from others': it is set anew for each request.
    const mark = () => this.#ports.power.markStopped(this.#instanceId, this.#runId);
    for (const [tries, name] of ['stop', 'stop-again'].entries()) {
      const once = await this.#takeDown(name, before, mark, () => this.#ports.power.stop(this.#instanceId));
      if ('result' in once) {
        // After a request that nobody saw the answer to, a stop may still show: the tag stays, and `reconcile` looks.
        if (tries > 0) return doubtful('stop', tries, once);
        await this.#step('unmark-untouched', () => this.#ports.power.unmarkStopped(this.#instanceId));
        return once;
      }
      if (once.done && once.value.ok) break;
      // The answer is missing or a refusal, and a refusal may be wrong about its effect: the state decides. One that
      // cannot be read is no `running`: the tag stays, and the waiting goes on.
      if ((await this.#stateAfter(`${name}-look`)) !== 'running') break;
      if (!once.done || once.value.ok) continue;
      const refusal = untouched('stopped', once.value.error);
      if (tries > 0) return doubtful('stop', tries, refusal);
      await this.#step('unmark-untouched', () => this.#ports.power.unmarkStopped(this.#instanceId));
      return refusal;
    }
    const look = await this.#waitForState('stopped', ['stopped', 'terminated'], this.#tempo.stopSeconds);
    if (look?.state === 'stopped') return null;
    return failed(
      `It was told to stop and is ${look?.state ?? 'unknown'} after ${this.#tempo.stopSeconds / 60} minutes.`,
      look?.state === 'terminated'
        ? 'Something terminated it while it was stopped (Auto Scaling?): find out what owns it.'
        : 'Force the stop (aws ec2 stop-instances --force) or ask AWS Support, then start it; it bears our stop tag.',
    );
  }

  /** null: it runs. */
  async #start(): Promise<Failure | null> {
    const tries = Math.max(1, Math.floor(this.#tempo.capacitySeconds / this.#tempo.capacityPollSeconds));
    let lack: CallError | null = null;
    for (let i = 0; i < tries; i++) {
      // Looks before it acts, so a start whose answer was lost is not asked for again.
      const once = await atMostOnce<Answer<'asked' | 'not-asked'>>(this.#context, `start-${i}`, () =>
        this.#startIfStopped(),
      );
      const error = once.done && !once.value.ok ? once.value.error : null;
      if (error?.kind === 'capacity') {
        if (lack === null) await this.#alarm('no-capacity', `has no capacity to start in: ${says(error)}`);
        lack = error;
        await this.#context.wait(`capacity-${i}`, { seconds: this.#tempo.capacityPollSeconds });
        continue;
      }
      const look = await this.#waitForState(
        `running-${i}`,
        ['running', 'stopped', 'terminated'],
        this.#tempo.startSeconds,
        this.#tempo.effectVisibleSeconds,
      );
      if (look?.state === 'running') return null;
      // Only a start that was asked for can have come to nothing.
      const asked = once.done && once.value.ok && once.value.value === 'asked';
      const refusedForGood = error?.kind === 'definitive' || asked;
      if (look?.state === 'stopped' && !refusedForGood) {
        lack ??= error;
        continue;
      }
      const why = error ? says(error) : `it is ${look?.state ?? 'unknown'} (${look?.stateReason ?? 'no reason given'})`;
      return failed(
        `It was stopped and did not start: ${why}`,
        error?.next ?? 'Start it by hand; if its volumes are encrypted, check their key. `reconcile` keeps trying.',
        error,
      );
    }
    return {
      result: 'awaiting-capacity',
      message: `It is stopped and could not be started for ${this.#tempo.capacitySeconds / 60} minutes: ${lack ? says(lack) : 'the start was interrupted'}`,
      next: '`reconcile` goes on trying every five minutes. Faster: change its type or zone by hand.',
      error: lack,
    };
  }

  async #startIfStopped(): Promise<Answer<'asked' | 'not-asked'>> {
    const look = await this.#describe();
    if (!look.ok) return look;
    // It runs already, or EC2 shows an older state than it did before: whoever looks next decides.
    if (look.value?.state !== 'stopped') return { ok: true, value: 'not-asked' };
    const started = await this.#ports.power.start(this.#instanceId);
    return started.ok ? { ok: true, value: 'asked' } : started;
  }

  /**
   * A reboot leaves no trace in the state of the instance. If the answer was lost, a new boot on the console or an agent
   * that answers shows that it happened; only if neither comes within the agent's time, and the console could be read, it is
   * asked for once more.
   */
  async #reboot(before: BeforePower): Promise<PowerCycle> {
    await before.remember();
    const consoleBefore = await this.#step('console-before', () => this.#ports.console.read(this.#instanceId, null));
    const noMark = async () => ({ ok: true, value: null }) as const;
    for (const [tries, name] of REBOOTS.entries()) {
      const once = await this.#takeDown(name, before, noMark, () => this.#ports.power.reboot(this.#instanceId));
      const refusal = rebootRefused(once);
      if (refusal !== null) return tries > 0 ? doubtful('reboot', tries, refusal) : refusal;
      await this.#waitForReset(name, consoleBefore);
      const back = await this.#waitForAgent(await this.#now(`${name}-since`), name);
      if (back.result === 'back' || isDone(once)) return back;
      const after = await this.#step(`${name}-look`, () => this.#ports.console.read(this.#instanceId, null));
      const unread = consoleBefore.status !== 'read' || after.status !== 'read';
      if (unread || showsNewBoot(consoleBefore, after)) return back;
    }
    return failed(
      `Nobody saw the answer to ${REBOOTS.length} requests for a reboot, and the machine shows no new boot.`,
      'Reboot it by hand (aws ec2 reboot-instances); the next run looks again.',
    );
  }

  /**
   * Until a new boot stands on the console, or EC2 must have reset the machine: one that hangs may come to itself while EC2
   * still waits for it to go down, and what answers then is about to be reset under whatever runs on it.
   */
  async #waitForReset(name: string, consoleBefore: ConsoleReading): Promise<void> {
    await this.#poll(`${name}-reset`, RESET_SECONDS, async () => {
      const now = await this.#ports.console.read(this.#instanceId, null);
      return showsNewBoot(consoleBefore, now) ? { shown: true } : null;
    });
  }

  async #waitForAgent(since: string, name = 'agent'): Promise<PowerCycle> {
    const seen = await this.#poll(`${name}-back`, this.#tempo.agentBackSeconds, async () => {
      const agents = await this.#ports.fleet.agents([this.#instanceId]);
      const agent = agents.ok ? agents.value.get(this.#instanceId) : undefined;
      const back = agent?.pingStatus === 'Online' && agent.lastPingAt !== null && agent.lastPingAt > since;
      return back ? { at: this.#ports.clock.now() } : null;
    });
    if (seen) return { result: 'back', backAt: seen.at };
    return failed(
      `It was restarted and runs, but SSM's agent has not answered for ${this.#tempo.agentBackSeconds / 60} minutes.`,
      'Look at its console and status checks; without its agent the limit cannot be raised.',
    );
  }

  /** The state once an effect had time to show: as soon as it is not `running`, else the last that could be read. */
  async #stateAfter(name: string): Promise<string | null> {
    const seen = await this.#poll(name, this.#tempo.effectVisibleSeconds, async () => {
      const look = await this.#describe();
      return look.ok && look.value && look.value.state !== 'running' ? look.value : null;
    });
    if (seen) return seen.state;
    const last = await this.#step(`${name}-last`, () => this.#describe());
    return last.ok ? (last.value?.state ?? null) : null;
  }

  async #waitForState(
    name: string,
    wanted: readonly string[],
    seconds: number,
    staleSeconds = 0,
  ): Promise<Look | null> {
    const patience = Math.ceil(staleSeconds / this.#tempo.powerPollSeconds);
    const seen = await this.#poll(name, seconds, async (looks) => {
      const look = await this.#describe();
      if (!look.ok || !look.value || !wanted.includes(look.value.state)) return null;
      // Just after a start, `stopped` may be the old state: EC2 is eventually consistent.
      return look.value.state === 'stopped' && looks < patience ? null : look.value;
    });
    if (seen) return seen;
    const last = await this.#step(`${name}-last-look`, () => this.#describe());
    return last.ok ? last.value : null;
  }

  async #describe(): Promise<Answer<Look | null>> {
    const answer = await this.#ports.fleet.describeInstances([this.#instanceId]);
    if (!answer.ok) return answer;
    const instance: InstanceFacts | undefined = answer.value[0];
    return { ok: true, value: instance ? { state: instance.state, stateReason: instance.stateReason } : null };
  }

  /** Looks now and again without holding a machine. How often it looked is kept, since each look may be a new invocation. */
  async #poll<T extends object>(
    name: string,
    seconds: number,
    look: (looks: number) => Promise<T | null>,
  ): Promise<T | null> {
    // The first look comes at once, the last when the time is over.
    const most = Math.ceil(seconds / this.#tempo.powerPollSeconds) + 1;
    const end = await this.#context.waitForCondition<{ looks: number; seen: T | null }>(
      name,
      async ({ looks }) => ({ looks: looks + 1, seen: await look(looks) }),
      {
        initialState: { looks: 0, seen: null },
        waitStrategy: ({ looks, seen }) =>
          seen !== null || looks >= most
            ? { shouldContinue: false }
            : { shouldContinue: true, delay: { seconds: this.#tempo.powerPollSeconds } },
      },
    );
    return end.seen;
  }

  /** Whoever was alarmed is told that it is over. */
  #saysItIsBack(backAt: string): Promise<Answer<null>> {
    const { accountId, region } = this.#ports.cell;
    const text = `${this.#instanceId} in ${accountId}/${region}, stopped by run ${this.#runId}, answers again since ${backAt}.`;
    return this.#ports.news.notify(`Audit backlog: ${this.#instanceId} is back`, text);
  }

  async #alarm(name: string, what: string): Promise<void> {
    this.#alarmed = true;
    const { accountId, region } = this.#ports.cell;
    const subject = `Audit backlog: ${this.#instanceId} is stopped and cannot start`;
    const text = `${this.#instanceId} in ${accountId}/${region}, stopped by run ${this.#runId}, ${what}`;
    await this.#step(`alarm-${name}`, () => this.#ports.news.notify(subject, text));
  }

  #step<T>(name: string, work: () => Promise<T>): Promise<T> {
    return durableRunner(this.#context).step(name, work);
  }

  #now(name: string): Promise<string> {
    return this.#step(name, async () => this.#ports.clock.now());
  }
}
