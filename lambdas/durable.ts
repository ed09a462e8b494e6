/** How this service uses durable operations: reads are repeated, what changes a machine is done at most once. */
import { createRetryStrategy, type DurableContext, JitterStrategy, StepSemantics } from '@aws/durable-execution-sdk-js';
import type { CallTally } from '../domain/ports.ts';

/** What a workflow needs to look and to judge. The durable context offers it, and so does a plain loop on a laptop. */
export interface Runner {
  /** Does work whose result is kept: at least once. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  wait(name: string, seconds: number): Promise<void>;
}

/** Reads and idempotent writes: repeated twice after an unexpected failure, without jitter (replays must agree). */
const REPEATABLE = {
  retryStrategy: createRetryStrategy({
    maxAttempts: 3,
    initialDelay: { seconds: 5 },
    maxDelay: { seconds: 30 },
    jitter: JitterStrategy.NONE,
  }),
};

/** A durable context as a {@link Runner}. */
export function durableRunner(context: DurableContext): Runner {
  return {
    step: (name, work) => context.step(name, work, REPEATABLE),
    wait: (name, seconds) => context.wait(name, { seconds: Math.max(1, Math.ceil(seconds)) }),
  };
}

/** `done: false`: it was begun and nobody saw it end, so whoever asked must look before asking again. */
export type Once<T> = { readonly done: true; readonly value: T } | { readonly done: false; readonly why: string };

/**
 * Does something that must not happen twice. The SDK repeats steps by default (six times) and a crash inside one
 * repeats it too; this one is begun at most once, ever.
 */
export async function atMostOnce<T>(context: DurableContext, name: string, work: () => Promise<T>): Promise<Once<T>> {
  try {
    const value = await context.step(name, work, {
      semantics: StepSemantics.AtMostOncePerRetry,
      retryStrategy: () => ({ shouldRetry: false }),
    });
    return { done: true, value };
  } catch (error) {
    return { done: false, why: error instanceof Error ? error.message : String(error) };
  }
}

/** Every item is processed whatever becomes of the others. Without this `map` stops at the first failure and succeeds. */
export const ALL_ITEMS = { toleratedFailurePercentage: 100 } as const;

/** Adds numbers by name. */
export function addNumbers<T extends Readonly<Record<string, number | undefined>>>(a: T, b: T): T {
  const sum: Record<string, number | undefined> = { ...a };
  for (const [name, n] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + (n ?? 0);
  return sum as T;
}

/** Adds what calls were made. */
export function addTally(a: CallTally, b: CallTally): CallTally {
  return { calls: addNumbers(a.calls, b.calls), throttled: a.throttled + b.throttled };
}

export const NO_CALLS: CallTally = { calls: {}, throttled: 0 };
