/**
 * One clock for the whole process that moves only when nothing is left to do at its present instant. Hours of a fleet
 * pass in seconds, and the same seed gives the same run.
 *
 * Between two turns of the event loop Node drains every promise chain, however long, so promises never need waiting
 * for. What can outlast a turn is work that is queued elsewhere: `setImmediate` (the durable SDK batches checkpoints
 * with it; pending ones are counted) and real asynchronous I/O such as the AWS SDK reading its configuration files
 * (asked of Node). The clock stands still as long as there is any of either.
 *
 * Node does not tell of sockets that wait, of asynchronous zlib and of `crypto.subtle`: code on virtual time uses the
 * synchronous forms. `crypto.randomUUID` and `performance.now` are not replaced: what a run does may not depend on them.
 */
import { AsyncResource } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { type Clock, install } from '@sinonjs/fake-timers';
import { Random } from './core.ts';

const realSetImmediate = globalThis.setImmediate;
const realClearImmediate = globalThis.clearImmediate;
const nextTurn = (): Promise<void> => new Promise((resolve) => realSetImmediate(() => resolve()));

/** Milliseconds of the machine's own clock since the process started, whether virtual time is installed or not. */
export function realNow(): number {
  return performance.now();
}

/** Nothing will ever happen again and yet what was waited for has not. */
export class VirtualTimeDeadlock extends Error {
  override readonly name = 'VirtualTimeDeadlock';
}

/** The world went on for longer than the run may take; usually something polls for what cannot come. */
export class VirtualTimeExceeded extends Error {
  override readonly name = 'VirtualTimeExceeded';
}

/** The process does real work that does not end, so the clock cannot move. */
export class VirtualTimeStuck extends Error {
  override readonly name = 'VirtualTimeStuck';
}

/** What {@link VirtualTime.install} needs. */
export interface VirtualTimeOptions {
  /** Of `Math.random`, which the AWS SDK draws its jitter from. */
  readonly seed: number;
  /** Where the clock starts. Unit: epoch milliseconds. Default: 2026-11-22T00:00:00Z. */
  readonly start?: number;
  /** Called in real time, so that a display moves while virtual hours pass. */
  readonly paint?: { readonly everyMilliseconds: number; readonly draw: () => void };
  /**
   * Turns of the event loop without activity after which the process counts as quiescent. Range: 1 and up. Default 2:
   * one turn for a completion that arrives in the poll phase after we looked, and one to see that it led to nothing.
   */
  readonly quietTurns?: number;
}

/** What {@link VirtualTime.drive} may be told. */
export interface DriveOptions {
  /** Called at each quiescence before time moves. */
  readonly onIdle?: () => void;
  /** Names what is unfinished, for the message of a deadlock. */
  readonly pending?: () => readonly string[];
  /** How far this call may move the clock. Unit: milliseconds. Default: 366 days. */
  readonly limitMilliseconds?: number;
}

const longestRealWorkMilliseconds = 60_000;

/** Kinds of Node's active resources that are an answer on its way, not a handle that merely stands open. */
const workInProgress = /^(FSReq|CloseReq$|GetAddrInfoReq|GetNameInfoReq|QueryReq)/;

function realWork(): readonly string[] {
  return process.getActiveResourcesInfo().filter((kind) => workInProgress.test(kind));
}

/** Virtual time, process-wide, until {@link VirtualTime.uninstall}. There is one at a time. */
export class VirtualTime {
  static #installed: VirtualTime | null = null;

  readonly #clock: Clock;
  readonly #quietTurns: number;
  readonly #paint: VirtualTimeOptions['paint'];
  readonly #realRandom = Math.random;
  readonly #immediates = new Set<NodeJS.Immediate>();
  /** Grows whenever code asks for something to happen later. */
  #activity = 0;
  #paintedAt = Number.NEGATIVE_INFINITY;

  /**
   * Replaces `setTimeout`, `setInterval`, their counterparts, `Date` and `Math.random`, and watches `setImmediate`.
   * Call {@link VirtualTime.uninstall} in a `finally`.
   *
   * @throws Error when another one is installed.
   */
  static install(options: VirtualTimeOptions): VirtualTime {
    if (VirtualTime.#installed) throw new Error('virtual time is installed already: uninstall() the other one first');
    const time = new VirtualTime(options);
    VirtualTime.#installed = time;
    return time;
  }

  private constructor(options: VirtualTimeOptions) {
    this.#quietTurns = options.quietTurns ?? 2;
    this.#paint = options.paint;
    this.#clock = install({
      now: options.start ?? Date.UTC(2026, 10, 22),
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
      shouldClearNativeTimers: true,
    });
    this.#keepContext('setTimeout');
    this.#keepContext('setInterval');
    this.#watchImmediates();
    const random = new Random(options.seed);
    Math.random = () => random.next();
  }

  /** Epoch milliseconds of the virtual clock. */
  get now(): number {
    return this.#clock.now;
  }

  /**
   * Lets everything happen, jumping from timer to timer, until `until` holds while the process is quiescent.
   *
   * @throws VirtualTimeDeadlock when no timer is left; VirtualTimeExceeded past the limit; VirtualTimeStuck when real
   *   work goes on for more than a minute of real time.
   */
  async drive(until: () => boolean, options: DriveOptions = {}): Promise<void> {
    const limit = this.#clock.now + (options.limitMilliseconds ?? 366 * 86_400_000);
    const situation = () => {
      const pending = options.pending?.() ?? [];
      return `at ${new Date(this.#clock.now).toISOString()}; unfinished: ${pending.join('; ') || 'nothing was named'}`;
    };
    for (;;) {
      await this.#settle();
      options.onIdle?.();
      if (until()) return;
      if (this.#clock.countTimers() === 0) throw new VirtualTimeDeadlock(`nothing is left to happen ${situation()}`);
      if (this.#clock.now > limit) throw new VirtualTimeExceeded(`virtual time ran past its limit ${situation()}`);
      this.#clock.next();
    }
  }

  /** Gives the process its own clock and chance back. Pending virtual timers never fire. */
  uninstall(): void {
    if (VirtualTime.#installed !== this) return;
    VirtualTime.#installed = null;
    this.#clock.uninstall();
    globalThis.setImmediate = realSetImmediate;
    globalThis.clearImmediate = realClearImmediate;
    Math.random = this.#realRandom;
  }

  async #settle(): Promise<void> {
    let quiet = 0;
    let seen = this.#activity;
    const since = realNow();
    while (quiet < this.#quietTurns) {
      await nextTurn();
      this.#draw();
      const work = this.#immediates.size > 0 ? ['setImmediate'] : realWork();
      if (work.length === 0 && this.#activity === seen) {
        quiet++;
        continue;
      }
      quiet = 0;
      seen = this.#activity;
      if (realNow() - since > longestRealWorkMilliseconds) {
        throw new VirtualTimeStuck(
          `the process is kept busy for more than a minute by: ${work.join(', ') || 'timers'}`,
        );
      }
    }
  }

  #draw(): void {
    if (!this.#paint || realNow() - this.#paintedAt < this.#paint.everyMilliseconds) return;
    this.#paintedAt = realNow();
    this.#paint.draw();
  }

  /** Node runs a timer in the async context that set it (which Lambda invocation, here); a fake one must as well. */
  #keepContext(name: 'setTimeout' | 'setInterval'): void {
    const fake = globalThis[name] as (callback: (...args: unknown[]) => void, ...rest: unknown[]) => unknown;
    const bound = (callback: (...args: unknown[]) => void, ...rest: unknown[]) => {
      this.#activity++;
      return fake(AsyncResource.bind(callback), ...rest);
    };
    const promised = (fake as { [promisify.custom]?: unknown })[promisify.custom];
    if (promised) Object.defineProperty(bound, promisify.custom, { value: promised });
    Object.assign(globalThis, { [name]: bound });
  }

  #watchImmediates(): void {
    const watched = (callback: (...args: unknown[]) => void, ...args: unknown[]): NodeJS.Immediate => {
      this.#activity++;
      const immediate = realSetImmediate(() => {
        this.#immediates.delete(immediate);
        callback(...args);
      });
      this.#immediates.add(immediate);
      return immediate;
    };
    Object.defineProperty(watched, promisify.custom, {
      value: (value: unknown) => new Promise((resolve) => watched(() => resolve(value))),
    });
    globalThis.setImmediate = watched as unknown as typeof setImmediate;
    globalThis.clearImmediate = (immediate) => {
      if (immediate) this.#immediates.delete(immediate);
      realClearImmediate(immediate);
    };
  }
}
