/** The one way to call AWS: paced, bounded in time and attempts, counted, and answered by a value. */
import type { CallError } from '../../domain/finding.ts';
import type { Answer, CallTally, Tally } from '../../domain/ports.ts';
import { type Failure, isDefect, readFailure, toCallError } from './errors.ts';
import type { Pacer } from './pacer.ts';

/** A failed call and, beside what a report needs, what the next decision needs. */
export interface Failed {
  readonly ok: false;
  readonly error: CallError;
  /** Whether the request took effect is not known: timeout, broken connection, 5xx. */
  readonly lost: boolean;
  /** AWS had no room for it, so it had no effect. */
  readonly throttled?: boolean;
}
export type Called<T> = { readonly ok: true; readonly value: T } | Failed;

/** One API request. */
export interface Request<T> {
  /** `service:Action`, as IAM writes it. */
  readonly call: string;
  /** `once`: it changes something, so only a throttle (which means: not done) is asked again. `read` and `repeatable`
   * (writing the same again changes nothing) are also asked again when the answer was lost. */
  readonly effect: 'read' | 'repeatable' | 'once';
  /** False: a throttle is answered at once, since what allowed the request may not hold any more after a wait. */
  readonly waitsForRoom?: boolean;
  /** The quota it counts against, where that is not the call's own. */
  readonly quota?: string;
  readonly instanceId?: string;
  readonly send: (options: { readonly abortSignal: AbortSignal }) => Promise<T>;
}

/** Makes requests; never throws for what AWS or the network did, only for a mistake in the request's own code. */
export interface Caller extends Tally {
  call<T>(request: Request<T>): Promise<Called<T>>;
}

export interface CallerOptions {
  readonly pacer: Pacer;
  /** Longest wait for one answer. Unit: milliseconds. */
  readonly timeoutMilliseconds?: number;
  /** 0 to 1; spreads the waits between attempts. Without it they are the same every time. */
  readonly random?: () => number;
}

const TIMEOUT_MILLISECONDS = 15_000;
/** Waits between attempts. Unit: milliseconds. Their number bounds the attempts. */
const THROTTLE_WAITS = [500, 1000, 2000, 4000, 8000, 10_000] as const;
const LOST_WAITS = [1000, 2000] as const;

/** A caller for one cell. Callers of the same cell share a pacer, each has its own tally. */
export function createCaller(options: CallerOptions): Caller {
  const timeout = options.timeoutMilliseconds ?? TIMEOUT_MILLISECONDS;
  const random = options.random ?? (() => 1);
  let calls: Record<string, number> = {};
  let throttled = 0;
  // An API that stayed throttled or silent to the end is not given the whole patience again for each of 10,000
  // instances, until it answers once.
  const exhausted = new Set<string>();

  async function attempt<T>(request: Request<T>): Promise<{ value: T } | { failure: Failure }> {
    await options.pacer.turn(request.quota ?? request.call);
    calls[request.call] = (calls[request.call] ?? 0) + 1;
    try {
      return { value: await withinTime(request.send, timeout) };
    } catch (thrown) {
      if (isDefect(thrown)) throw thrown;
      return { failure: readFailure(thrown) };
    }
  }

  return {
    async call(request) {
      for (let throttles = 0, losses = 0; ; ) {
        const result = await attempt(request);
        if ('value' in result) {
          exhausted.delete(request.call);
          return { ok: true, value: result.value };
        }
        const { failure } = result;
        let wait: number | undefined;
        if (failure.throttle) {
          throttled++;
          options.pacer.drain(request.quota ?? request.call);
          if (request.waitsForRoom === false) {
            const error = toCallError(request.call, failure, request.instanceId);
            return { ok: false, error, lost: false, throttled: true };
          }
          wait = THROTTLE_WAITS[throttles++];
        } else if (failure.lost && request.effect !== 'once') {
          wait = LOST_WAITS[losses++];
        } else {
          return { ok: false, error: toCallError(request.call, failure, request.instanceId), lost: failure.lost };
        }
        if (wait === undefined || (exhausted.has(request.call) && throttles + losses > 1)) {
          exhausted.add(request.call);
          return { ok: false, error: toCallError(request.call, failure, request.instanceId), lost: failure.lost };
        }
        await sleep(wait * (0.5 + random() / 2));
      }
    },
    take(): CallTally {
      const tally = { calls, throttled };
      calls = {};
      throttled = 0;
      return tally;
    },
  };
}

/** Waits so many milliseconds on the global timer, which the embedded region replaces. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

async function withinTime<T>(send: Request<T>['send'], milliseconds: number): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort();
      reject(Object.assign(new Error(`no answer within ${milliseconds / 1000} s`), { name: 'TimeoutError' }));
    }, milliseconds);
  });
  try {
    return await Promise.race([send({ abortSignal: controller.signal }), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What follows from a value that may be a failed call. */
export function mapAnswer<T, U>(answer: Called<T> | Answer<T>, then: (value: T) => U): Answer<U> {
  return answer.ok ? { ok: true, value: then(answer.value) } : answer;
}

/** An answer that is there. */
export function answered<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** A failed answer that AWS did give, but that cannot be accepted. */
export function refused(error: CallError): Failed {
  return { ok: false, error, lost: false };
}
