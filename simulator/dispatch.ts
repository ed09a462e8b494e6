/** The way of a call through the cloud: who asks, for what; fault, quota, effect, latency, answer. */
import {
  type ApiCall,
  ApiError,
  currentInvocation,
  type EventLog,
  type JsonObject,
  neverAnswer,
  type Random,
  type Service,
} from './core.ts';
import { type Caller, callerOf } from './credentials.ts';
import { type Faults, idsOf, type Strike } from './faults.ts';
import {
  renderError,
  renderResult,
  type Understood,
  understand,
  type WireAnswer,
  type WireRequest,
  wireOf,
} from './protocols.ts';
import { denied, internalError, Quotas, type QuotaTable, throttled } from './quotas.ts';

/** The connection broke before an answer came; whether the call took effect, the client cannot know. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** What a dispatcher needs. */
export interface DispatchOptions {
  readonly random: Random;
  readonly homeAccountId: string;
  readonly log: EventLog;
  /** Bounds of the time that an answer takes. Unit: milliseconds. */
  readonly latencyMs: readonly [low: number, high: number];
  readonly quotas: QuotaTable;
  readonly faults: Faults | null;
  /** Whether the caller may make a call; null: everybody may do anything. */
  readonly authorise: ((call: ApiCall) => boolean) | null;
}

/** Counts of what went through. */
export interface Traffic {
  /** Calls that arrived, by `service:Action`, whatever became of them. */
  readonly calls: Readonly<Record<string, number>>;
  /** Calls that would change the fleet: EC2 writes and ssm:SendCommand, without DryRun, whatever became of them. */
  readonly mutatingCalls: number;
  /** Answers that were throttles, by quota or fault. */
  readonly throttled: number;
  /** Faults that struck, by name. */
  readonly strikes: Readonly<Record<string, number>>;
}

/** Takes requests of any AWS client to the services. */
export class Dispatcher {
  readonly #options: DispatchOptions;
  readonly #services = new Map<string, Service>();
  readonly #quotas: Quotas;
  readonly #latency: Random;
  readonly #ids: Random;
  readonly #calls: Record<string, number> = {};
  readonly #strikes: Record<string, number> = {};
  #mutatingCalls = 0;
  #throttled = 0;

  constructor(options: DispatchOptions) {
    this.#options = options;
    this.#quotas = new Quotas(options.quotas);
    this.#latency = options.random.fork('latency');
    this.#ids = options.random.fork('request ids');
  }

  register(service: Service): void {
    if (this.#services.has(service.name)) throw new RangeError(`service ${service.name} is already registered`);
    this.#services.set(service.name, service);
  }

  traffic(): Traffic {
    return {
      calls: { ...this.#calls },
      mutatingCalls: this.#mutatingCalls,
      throttled: this.#throttled,
      strikes: { ...this.#strikes },
    };
  }

  /**
   * Answers a request. A killed invocation is never answered, and what it asks for after its death has no effect.
   * @throws ConnectionLost where a fault breaks the connection.
   */
  async handle(request: WireRequest): Promise<WireAnswer> {
    const invocation = currentInvocation.getStore();
    if (invocation?.dead) return neverAnswer();
    const requestId = this.#requestId();
    let outcome: Outcome;
    try {
      outcome = this.#serve(request, requestId);
    } catch (error) {
      const service = this.#services.get(scopeOf(request)?.service ?? '');
      outcome = {
        milliseconds: 0,
        lost: false,
        answer: renderError(wireOf(request, service), asApiError(error), requestId),
      };
    }
    const [low, high] = this.#options.latencyMs;
    const milliseconds = this.#latency.between(low, high) + outcome.milliseconds;
    // Latency runs beside the work: a function that is invoked may take longer than the wire.
    const [answer] = await Promise.all([outcome.answer, new Promise((resolve) => setTimeout(resolve, milliseconds))]);
    if (invocation?.dead) return neverAnswer();
    if (outcome.lost) throw new ConnectionLost('the connection was reset before an answer came');
    return answer;
  }

  #serve(request: WireRequest, requestId: string): Outcome {
    const scope = scopeOf(request);
    if (scope === null) {
      throw new ApiError('MissingAuthenticationToken', 'Request is missing Authentication Token', 403);
    }
    const caller = callerOf(scope.accessKeyId, request.headers['x-amz-security-token'], this.#options.homeAccountId);
    const service = this.#services.get(scope.service);
    if (service === undefined) {
      throw new ApiError('NotModelledByTheEmbeddedRegion', `the service ${scope.service} is not modelled`, 501);
    }
    if (caller.expiresAt !== null && Date.now() >= caller.expiresAt) {
      const json = wireOf(request, service).includes('json');
      throw new ApiError(
        json ? 'ExpiredTokenException' : 'ExpiredToken',
        'The security token included in the request is expired',
        403,
      );
    }
    const understood = understand(request, service);
    const call: ApiCall = {
      service: service.name,
      action: understood.action,
      accountId: caller.accountId,
      region: scope.region,
      params: understood.params,
      principal: caller.principal,
    };
    return this.#answer(call, caller, understood, service, requestId);
  }

  #answer(call: ApiCall, caller: Caller, understood: Understood, service: Service, requestId: string): Outcome {
    const name = `${call.service}:${call.action}`;
    this.#calls[name] = (this.#calls[name] ?? 0) + 1;
    if (changesFleet(call, service)) this.#mutatingCalls++;
    const strike = this.#options.faults?.strike(call) ?? null;
    if (strike !== null) {
      this.#strikes[strike.name] = (this.#strikes[strike.name] ?? 0) + 1;
      const { accountId, region } = call;
      this.#options.log.record({
        kind: 'fault',
        what: strike.name,
        accountId,
        region,
        detail: { kind: strike.kind, call: name },
      });
    }
    const lost = strike?.kind === 'lost-before' || strike?.kind === 'lost-after';
    const milliseconds = strike?.kind === 'slow' ? (strike.milliseconds ?? 5000) : 0;
    const failed = (error: unknown): WireAnswer => {
      const refusal = asApiError(error);
      this.#record(call, service, strike, refusal.code);
      return renderError(understood.wire, refusal, requestId);
    };
    const succeeded = (result: JsonObject): WireAnswer => {
      this.#record(call, service, strike, null);
      return renderResult(understood, service, result, requestId);
    };
    try {
      const refusal = this.#refusal(call, caller, strike);
      if (refusal !== null) return { milliseconds, lost, answer: failed(refusal) };
      const result = service.handle(call);
      const answer = result instanceof Promise ? result.then(succeeded, failed) : succeeded(result);
      return { milliseconds, lost, answer };
    } catch (error) {
      return { milliseconds, lost, answer: failed(error) };
    }
  }

  /** Why a call has no effect at all; null where it may have one. */
  #refusal(call: ApiCall, caller: Caller, strike: Strike | null): ApiError | null {
    if (strike?.kind === 'lost-before') return new ApiError('ConnectionLost', 'lost before it took effect', 500);
    if (strike?.kind === 'denied') return denied(call, caller.arn);
    if (strike?.kind === 'error-500') return internalError(call);
    if (this.#options.authorise?.(call) === false) return denied(call, caller.arn);
    if (strike?.kind === 'throttle' || !this.#quotas.take(call)) {
      this.#throttled++;
      return throttled(call);
    }
    return null;
  }

  #record(call: ApiCall, service: Service, strike: Strike | null, error: string | null): void {
    const ids = idsOf(call);
    const { accountId, region, principal } = call;
    this.#options.log.record({
      kind: 'api',
      what: call.action,
      accountId,
      region,
      ...(ids.length === 1 && ids[0] !== undefined ? { instanceId: ids[0] } : {}),
      detail: {
        service: call.service,
        ids,
        principal,
        error,
        fault: strike?.name ?? null,
        mutating: service.isMutating(call.action),
        dryRun: isDryRun(call),
      },
    });
  }

  #requestId(): string {
    let id = '';
    // Digit by digit: an array a part would cost more than many a call.
    for (const place of REQUEST_ID) id += place === 'x' ? HEX[this.#ids.between(0, 15)] : place;
    return id;
  }
}

const REQUEST_ID = 'xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx';
const HEX = '0123456789abcdef';

interface Outcome {
  readonly answer: WireAnswer | Promise<WireAnswer>;
  readonly milliseconds: number;
  readonly lost: boolean;
}

function isDryRun(call: ApiCall): boolean {
  return call.params.DryRun === 'true' || call.params.DryRun === true;
}

function changesFleet(call: ApiCall, service: Service): boolean {
  if (isDryRun(call)) return false;
  return (
    (call.service === 'ec2' && service.isMutating(call.action)) ||
    (call.service === 'ssm' && call.action === 'SendCommand')
  );
}

/** The credential scope of a signed request; null where it has none. */
function scopeOf(
  request: WireRequest,
): { readonly accessKeyId: string; readonly region: string; readonly service: string } | null {
  const scope = /Credential=([^/,\s]+)\/\d{8}\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request/.exec(
    request.headers.authorization ?? '',
  );
  const [, accessKeyId, region, service] = scope ?? [];
  return accessKeyId === undefined || region === undefined || service === undefined
    ? null
    : { accessKeyId, region, service };
}

/** Only what a service says with an {@link ApiError} is an answer; anything else is a mistake of the simulator. */
function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  throw error;
}
