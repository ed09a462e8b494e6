/**
 * What the parts of the embedded region share: one seed, one clock, one log of events, and the shape of a call.
 * The region is written from AWS's documentation and imports nothing of `domain` or `lambdas`: it must be able to
 * disagree with them. Time is `Date.now()` and `setTimeout`, which deterministic runs replace process-wide; nothing
 * here does asynchronous I/O, so that virtual time never waits for the machine it runs on.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Seeded pseudo-random numbers (xorshift32): the same seed gives the same fleet and the same run. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1;
    for (let i = 0; i < 8; i++) this.next();
  }
  /** In [0, 1). */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state / 4_294_967_296;
  }
  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  pick<T>(items: readonly T[]): T {
    const item = items[this.between(0, items.length - 1)];
    if (item === undefined) throw new RangeError('Random.pick of an empty list');
    return item;
  }
  /** An independent stream, so that one part drawing more numbers does not shift another. */
  fork(label: string): Random {
    let h = this.#state;
    for (const c of label) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0;
    return new Random(h);
  }
}

/** One thing that happened in the embedded world; `at` is epoch milliseconds of the world's clock. */
export interface WorldEvent {
  readonly at: number;
  /** `api`, `power`, `guest`, `ssm`, `durable`, `fault`. */
  readonly kind: string;
  /** What happened, in a fixed word: `stop`, `boot`, `overflow`, `runbook`, ... */
  readonly what: string;
  readonly accountId?: string;
  readonly region?: string;
  readonly instanceId?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** The world's own memory, from which invariants are checked: never what the service says of itself. */
export class EventLog {
  readonly events: WorldEvent[] = [];
  readonly #listeners = new Set<(event: WorldEvent) => void>();
  record(event: Omit<WorldEvent, 'at'>): void {
    const whole = { at: Date.now(), ...event };
    this.events.push(whole);
    for (const listen of this.#listeners) listen(whole);
  }
  /** Calls back at each event, synchronously; returns how to end it. */
  onEvent(listen: (event: WorldEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

/** A call as a service handler sees it, whatever protocol it came by. */
export interface ApiCall {
  /** Signing name: ec2, ssm, logs, dynamodb, sts, sns, events, monitoring, lambda, kms. */
  readonly service: string;
  readonly action: string;
  readonly accountId: string;
  readonly region: string;
  /** Parameters: JSON protocols as sent; Query protocols unflattened (lists as arrays, `Filter.1.Name` as objects). */
  readonly params: JsonObject;
  /** Who calls: `root`, or the name of the role. */
  readonly principal: string;
}

/** An answer with one of AWS's error codes. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: string;
  readonly status: number;
  /** Further fields of the error's body, where a service has some. */
  readonly fields: JsonObject;
  constructor(code: string, message: string, status = 400, fields: JsonObject = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.fields = fields;
  }
}

/** Refuses what the region does not know: an action, filter or field that is ignored would be a lie. */
export function notModelled(call: ApiCall, what: string): never {
  throw new ApiError('NotModelledByTheEmbeddedRegion', `${call.service}:${call.action}: ${what} is not modelled`, 501);
}

/** Answers the calls of one service; a promise only where the caller waits for a function. The dispatcher adds latency,
 * quotas, faults and the protocol. */
export interface Service {
  readonly name: string;
  readonly protocol: 'ec2-query' | 'aws-query' | 'json-1.0' | 'json-1.1' | 'rest-json';
  /** Actions that change something, for the count of mutating calls. */
  isMutating(action: string): boolean;
  handle(call: ApiCall): JsonObject | Promise<JsonObject>;
}

/** A token bucket as AWS documents them: `capacity` tokens at most, `perSecond` come back. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perSecond: number;
  #tokens: number;
  #at: number;
  constructor(capacity: number, perSecond: number) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#tokens = capacity;
    this.#at = Date.now();
  }
  take(tokens = 1): boolean {
    const now = Date.now();
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < tokens) return false;
    this.#tokens -= tokens;
    return true;
  }
}

/** What a machine's agent shows to SSM. Times are epoch milliseconds. */
export interface AgentView {
  /** It has registered with SSM at least once since the machine exists. */
  readonly managed: boolean;
  readonly lastPingAt: number | null;
  /** It would take a command now. */
  readonly answering: boolean;
  readonly version: string;
  readonly platformName: string;
  readonly platformVersion: string;
  readonly platformType: 'Linux' | 'Windows';
  readonly computerName: string;
}

/** How a script ended on a machine. */
export interface ScriptResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** How long the machine took. Unit: milliseconds of the world's clock. */
  readonly milliseconds: number;
  /** The machine hung in the middle: no answer will ever come. */
  readonly hung: boolean;
}

/**
 * The machine behind an instance: what EC2 and SSM can see of it and do to it. Lazy: each call first lets everything
 * happen on the machine that was due until `at`. `at` never goes back.
 */
export interface Machine {
  /** Power comes on (start): firmware, kernel, services. */
  powerOn(at: number): void;
  /** Power goes off at once (the end of a stop). Memory is gone, disks stay. Without power it does nothing. */
  powerOff(at: number): void;
  /** A reboot that EC2 forces when the system does not go down by itself. The console ring is kept. */
  reset(at: number): void;
  /** Whether the system goes down by itself when the power button is pressed (a hung one does not). */
  shutsDownCleanly(at: number): boolean;
  /** All that stands on the serial console, as bytes, for lines written in `from`..`at`; `at` may lie in the past here. */
  console(at: number, from?: number): Uint8Array;
  /** When the last line was written; null when none was. */
  consoleUpdatedAt(at: number): number | null;
  /** The instance status check (ARP to the network card: a hung user space can still answer). */
  instanceCheck(at: number): 'ok' | 'impaired' | 'initializing';
  /** null: no agent was ever installed. */
  agent(at: number): AgentView | null;
  /** A product's runbook file by the agent, with these environment variables. Runs the real file against the machine's own tree. */
  runScript(at: number, script: string, environment: Readonly<Record<string, string>>): ScriptResult;
  /** One of the few commands the machine itself understands (`auditctl -s`, `cat FILE`, ...); others end with 127. */
  runCommand(at: number, line: string): ScriptResult;
  /** The truth, for the simulator's own judgement; never part of an API answer. */
  truth(at: number): MachineTruth;
}

/** What is really so on a machine. */
export interface MachineTruth {
  readonly poweredOn: boolean;
  readonly hung: boolean;
  readonly effectiveLimit: number | null;
  readonly configuredLimit: number | null;
  readonly lost: number;
  /** Overflows since the machine exists, with the limit that was in force. */
  readonly overflows: readonly { readonly at: number; readonly limit: number }[];
  readonly auditdRunning: boolean;
  /** path -> digest of content, mode and owner of every file of the machine. */
  readonly files: Readonly<Record<string, string>>;
  readonly boots: number;
}

/** The Lambda invocation that the running code belongs to; a killed one gets no answers any more. */
export interface Invocation {
  readonly id: string;
  readonly functionName: string;
  dead: boolean;
}
export const currentInvocation = new AsyncLocalStorage<Invocation>();

/** Never settles: how the world answers an invocation that was killed. */
export function neverAnswer<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
