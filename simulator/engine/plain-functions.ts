/** Ordinary Lambda functions: one invocation, an answer or an error, and two retries where nobody waits for it. */
import { currentInvocation, type Invocation } from '../core.ts';
import { errorObject } from './errors.ts';
import type { ResolvedFunction } from './functions.ts';
import { lambdaContext } from './lambda-context.ts';

/** What a function answered, as JSON text, or the error that Lambda reports for it. */
export type PlainResult =
  | { readonly ok: true; readonly payload: string }
  | { readonly ok: false; readonly errorType: string; readonly errorMessage: string };

/** Pauses before the second and third attempt of an asynchronous invocation. Unit: milliseconds. */
const retryPauses = [60_000, 120_000];

/** Notes what happened, for the log of the world. */
export type Recorder = (what: string, detail: Readonly<Record<string, unknown>>) => void;

/** Runs ordinary functions and ends them when their time is up. */
export class PlainFunctions {
  readonly #record: Recorder;
  readonly #running = new Map<Invocation, (reason: string) => void>();
  #invocations = 0;

  constructor(record: Recorder) {
    this.#record = record;
  }

  /** Runs it once. The promise never rejects: an error of the function is an answer. */
  async invoke(target: ResolvedFunction, payload: string): Promise<PlainResult> {
    const { deployed, version, invokedArn } = target;
    if (deployed.kind !== 'plain') throw new TypeError(`${deployed.settings.name} is durable: start an execution`);
    const { settings, handler } = deployed;
    const seconds = settings.timeoutSeconds ?? 900;
    const id = `plain-${++this.#invocations}`;
    const invocation: Invocation = { id, functionName: settings.name, dead: false };
    this.#record('invoke', { function: settings.name, id });
    let timer: NodeJS.Timeout | null = null;
    const killed = new Promise<PlainResult>((resolve) => {
      const end = (errorType: string, errorMessage: string) => {
        invocation.dead = true;
        this.#record('kill', { function: settings.name, id, reason: errorMessage });
        resolve({ ok: false, errorType, errorMessage });
      };
      this.#running.set(invocation, (reason) => end('Runtime.ExitError', `${id}: ${reason}`));
      timer = setTimeout(
        () => end('Sandbox.Timedout', `${id}: Task timed out after ${seconds} seconds`),
        seconds * 1000,
      );
    });
    const context = lambdaContext(id, settings, version, invokedArn);
    const answered = currentInvocation.run(invocation, async (): Promise<PlainResult> => {
      try {
        return { ok: true, payload: JSON.stringify((await handler(JSON.parse(payload), context)) ?? null) };
      } catch (thrown) {
        const { ErrorType = 'Error', ErrorMessage = '' } = errorObject(thrown);
        return { ok: false, errorType: ErrorType, errorMessage: ErrorMessage };
      }
    });
    const result = await Promise.race([answered, killed]);
    if (timer) clearTimeout(timer);
    this.#running.delete(invocation);
    if (!invocation.dead) this.#record('end', { function: settings.name, id, ok: result.ok });
    return result;
  }

  /** Runs it with nobody waiting: up to three attempts. */
  queue(target: ResolvedFunction, payload: string): void {
    const attempt = async (number: number): Promise<void> => {
      const result = await this.invoke(target, payload);
      const pause = retryPauses[number];
      if (!result.ok && pause !== undefined) setTimeout(() => void attempt(number + 1), pause);
    };
    setTimeout(() => void attempt(0), 1);
  }

  /** Ends a running invocation. */
  kill(invocation: Invocation, reason: string): void {
    this.#running.get(invocation)?.(reason);
  }
}
