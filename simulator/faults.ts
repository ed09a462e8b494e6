/** Faults on demand: what can go wrong between a client and AWS, from the seed or at one named call. */
import { type ApiCall, Random } from './core.ts';

/**
 * `throttle`: refused as AWS refuses when a bucket is empty. `error-500`: AWS's internal error, no effect.
 * `lost-before`: no effect, and the connection breaks. `lost-after`: the effect happens, and the connection breaks.
 * `denied`: the caller lacks the permission. `slow`: the answer takes `milliseconds` longer.
 */
export type StrikeKind = 'throttle' | 'error-500' | 'lost-before' | 'lost-after' | 'denied' | 'slow';

/** One fault that hits one call. */
export interface Strike {
  /** Under which it is counted. */
  readonly name: string;
  readonly kind: StrikeKind;
  /** How much longer a `slow` answer takes; default 5,000. */
  readonly milliseconds?: number;
}

/** Decides whether a call is hit. Asked once per call, in the order of arrival. */
export interface Faults {
  strike(call: ApiCall): Strike | null;
}

/** How often a kind of fault happens. */
export interface FaultRate {
  readonly kind: StrikeKind;
  /** Share of the calls that it hits, 0 to 1. */
  readonly rate: number;
  /** `service:Action`; `*` stands for any text. Default: all. */
  readonly calls?: string;
  /** Default: the kind. */
  readonly name?: string;
  readonly milliseconds?: number;
}

/** A pattern like `ec2:Describe*`. */
function matcher(pattern: string): RegExp {
  return new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
      .join('.*')}$`,
  );
}

/** Faults that come at random, but the same for the same seed and calls. The first rate that hits, strikes. */
export class SeededFaults implements Faults {
  readonly #random: Random;
  readonly #rates: readonly (FaultRate & { readonly pattern: RegExp })[];
  constructor(options: { readonly seed: number; readonly rates: readonly FaultRate[] }) {
    this.#random = new Random(options.seed).fork('faults');
    this.#rates = options.rates.map((rate) => {
      if (!(rate.rate >= 0 && rate.rate <= 1))
        throw new RangeError(`rate of ${rate.kind} is not within 0..1: ${rate.rate}`);
      return { ...rate, pattern: matcher(rate.calls ?? '*') };
    });
  }
  strike(call: ApiCall): Strike | null {
    for (const rate of this.#rates) {
      if (!rate.pattern.test(`${call.service}:${call.action}`)) continue;
      if (this.#random.next() < rate.rate) return strikeOf(rate);
    }
    return null;
  }
}

/** A fault at the nth matching call. */
export interface ScriptedFault {
  readonly kind: StrikeKind;
  /** `service:Action`; `*` stands for any text. */
  readonly calls: string;
  /** The first matching call it hits, from 1; default 1. */
  readonly nth?: number;
  /** How many matching calls in a row; default 1; Infinity: for good. */
  readonly times?: number;
  /** Only calls that name this instance. */
  readonly instanceId?: string;
  /** Only calls in this region. */
  readonly region?: string;
  readonly name?: string;
  readonly milliseconds?: number;
}

/** Faults that come exactly where a test wants them. */
export class ScriptedFaults implements Faults {
  readonly #script: readonly { readonly fault: ScriptedFault; readonly pattern: RegExp; seen: number }[];
  constructor(script: readonly ScriptedFault[]) {
    this.#script = script.map((fault) => ({ fault, pattern: matcher(fault.calls), seen: 0 }));
  }
  strike(call: ApiCall): Strike | null {
    let strike: Strike | null = null;
    for (const line of this.#script) {
      const { fault } = line;
      if (!line.pattern.test(`${call.service}:${call.action}`)) continue;
      if (fault.instanceId !== undefined && !idsOf(call).includes(fault.instanceId)) continue;
      if (fault.region !== undefined && fault.region !== call.region) continue;
      line.seen++;
      const first = fault.nth ?? 1;
      if (line.seen >= first && line.seen < first + (fault.times ?? 1)) strike ??= strikeOf(fault);
    }
    return strike;
  }
}

/** Asks several in turn; the first strike counts. Each is asked, so that one does not shift another's count. */
export function allFaults(faults: readonly Faults[]): Faults {
  return { strike: (call) => faults.map((each) => each.strike(call)).find((strike) => strike !== null) ?? null };
}

function strikeOf(fault: {
  readonly kind: StrikeKind;
  readonly name?: string;
  readonly milliseconds?: number;
}): Strike {
  const { kind, name = kind, milliseconds } = fault;
  return milliseconds === undefined ? { name, kind } : { name, kind, milliseconds };
}

/** The instances (or managed nodes) that a call names. */
export function idsOf(call: ApiCall): readonly string[] {
  const names = ['InstanceId', 'InstanceIds', 'ResourceId'] as const;
  return names.flatMap((name) => {
    const value = call.params[name];
    if (typeof value === 'string') return [value];
    return Array.isArray(value) ? value.filter((id) => typeof id === 'string') : [];
  });
}
