/**
 * Lambda with durable functions, for one account and region: keeps executions, runs their handlers, and runs them
 * again, with replay, after every suspension, crash and time-out. It stands on the SDK's public seam
 * (`withDurableExecution(handler, { durableExecutionClient })`) and uses only the global `setTimeout` and `Date`, so
 * it works on virtual and on real time alike.
 */
import { ApiError, currentInvocation, type EventLog } from '../core.ts';
import type { Faults } from '../faults.ts';
import { CrashPlan } from './crash-plan.ts';
import { Execution, type ExecutionView } from './execution.ts';
import {
  type DurableFunctionSettings,
  type DurableHandlerMaker,
  FunctionRegistry,
  type FunctionSettings,
  type PlainHandler,
  type ResolvedFunction,
} from './functions.ts';
import type { ChainedOutcome } from './operations.ts';
import { PlainFunctions, type PlainResult } from './plain-functions.ts';
import { ExecutionRunner } from './runner.ts';

/** What {@link DurableEngine} needs. */
export interface EngineOptions {
  readonly accountId: string;
  readonly region: string;
  /** Receives events of kind `durable`. */
  readonly log: EventLog;
  /** Default: no crash. */
  readonly crashPlan?: CrashPlan;
  /** From the death of an invocation to the next one. Unit: seconds. Default 1. */
  readonly resumeDelaySeconds?: number;
}

/** An execution did not succeed, or has not ended. */
export class ExecutionNotSucceeded extends Error {
  override readonly name = 'ExecutionNotSucceeded';
  readonly execution: ExecutionView;
  constructor(execution: ExecutionView) {
    const why = execution.error
      ? `: ${execution.error.ErrorType ?? 'Error'}: ${execution.error.ErrorMessage ?? ''}`
      : '';
    super(`${execution.functionName} ${execution.name} is ${execution.status}${why}`);
    this.execution = execution;
  }
}

/** See the head of this file. */
export class DurableEngine {
  readonly accountId: string;
  readonly region: string;
  readonly #log: EventLog;
  readonly #crashPlan: CrashPlan;
  readonly #functions: FunctionRegistry;
  readonly #plain: PlainFunctions;
  readonly #runner: ExecutionRunner;
  readonly #executions = new Map<string, Execution>();
  /** `function/name` of an execution, unique per function, account and region. */
  readonly #named = new Map<string, Execution>();

  constructor(options: EngineOptions) {
    this.accountId = options.accountId;
    this.region = options.region;
    this.#log = options.log;
    this.#crashPlan = options.crashPlan ?? new CrashPlan();
    this.#functions = new FunctionRegistry(options.accountId, options.region);
    const record = (what: string, detail: Readonly<Record<string, unknown>>) => this.#record(what, detail);
    this.#plain = new PlainFunctions(record);
    this.#runner = new ExecutionRunner({
      record,
      crashPlan: this.#crashPlan,
      resumeDelay: (options.resumeDelaySeconds ?? 1) * 1000,
      find: (arn) => this.#get(arn),
      chain: (functionName, payload, tell) => this.#chain(functionName, payload, tell),
    });
  }

  /** Deploys a durable function. @throws RangeError for settings that Lambda would refuse. */
  registerDurable(settings: DurableFunctionSettings, make: DurableHandlerMaker): void {
    this.#functions.add({
      kind: 'durable',
      settings,
      handler: make({ durableExecutionClient: this.#runner.client() }),
    });
  }

  /** Deploys an ordinary function. @throws RangeError for settings that Lambda would refuse. */
  registerPlain(settings: FunctionSettings, handler: PlainHandler): void {
    this.#functions.add({ kind: 'plain', settings, handler });
  }

  /** The function behind a name or ARN. @throws ApiError as Lambda would. */
  resolve(functionName: string, qualifier?: string): ResolvedFunction {
    return this.#functions.resolve(functionName, qualifier);
  }

  /**
   * Starts an execution, as an asynchronous invocation does; it begins to run a moment later. The same name with the
   * same payload is the execution that exists already.
   *
   * @param functionName Name or ARN with version or alias.
   * @param name 1 to 64 characters of `[a-zA-Z0-9-_]`; null: one is made up.
   * @param payload What the handler receives; must survive JSON.
   * @throws ApiError `InvalidParameterValueException`, `ResourceNotFoundException`, or
   *   `DurableExecutionAlreadyStartedException` (409) when the name was used with another payload.
   */
  start(functionName: string, name: string | null, payload: unknown): ExecutionView {
    return this.#start(this.resolve(functionName), name, JSON.stringify(payload ?? {}));
  }

  /** As {@link DurableEngine.start}, with the payload as it came over the wire. */
  startResolved(target: ResolvedFunction, name: string | null, payload: string): ExecutionView {
    return this.#start(target, name, payload);
  }

  /** Runs an ordinary function and answers as Lambda does: a function's own error is an answer, too. */
  invokePlain(functionName: string, payload: unknown, qualifier?: string): Promise<PlainResult> {
    return this.#plain.invoke(this.resolve(functionName, qualifier), JSON.stringify(payload ?? {}));
  }

  /** As {@link DurableEngine.invokePlain}, with the payload as it came over the wire. */
  invokeResolved(target: ResolvedFunction, payload: string): Promise<PlainResult> {
    return this.#plain.invoke(target, payload);
  }

  /** Runs an ordinary function later, as an asynchronous invocation: up to three attempts, 1 and 2 minutes apart. */
  queuePlain(target: ResolvedFunction, payload: string): void {
    this.#plain.queue(target, payload);
  }

  /** @throws ApiError `ResourceNotFoundException`. */
  execution(arn: string): ExecutionView {
    return this.#get(arn);
  }

  /** All executions, in the order of their start. */
  executions(): readonly ExecutionView[] {
    return [...this.#executions.values()];
  }

  /** What the handler returned. @throws ExecutionNotSucceeded when it failed or has not ended. */
  result(arn: string): unknown {
    const execution = this.#get(arn);
    if (execution.status !== 'SUCCEEDED') throw new ExecutionNotSucceeded(execution);
    return execution.result ? JSON.parse(execution.result) : undefined;
  }

  /** When the execution has ended, however it did. */
  settled(arn: string): Promise<ExecutionView> {
    const execution = this.#get(arn);
    if (execution.status !== 'RUNNING') return Promise.resolve(execution);
    return new Promise((resolve) => execution.onEnd.push(() => resolve(execution)));
  }

  /** Ends an execution; code that runs goes on until its next checkpoint, which is refused. */
  stop(arn: string, error: { ErrorType?: string; ErrorMessage?: string } | null = null): void {
    this.#runner.end(this.#get(arn), 'STOPPED', null, error);
  }

  /** What has not ended, for the message of a deadlock. */
  pending(): readonly string[] {
    return [...this.#executions.values()]
      .filter(({ status }) => status === 'RUNNING')
      .map(
        (execution) =>
          `${execution.functionName} ${execution.name}: ${execution.operations.unfinished().slice(0, 5).join(', ') || 'no open operation'}`,
      );
  }

  /**
   * All that is in flight dies where it stands. Executions are resumed and replay; or are lost, and only what
   * looks from outside of them can tell what they left.
   * @param forGood No execution comes back.
   */
  killAll(reason: string, forGood: boolean): void {
    const error = { ErrorType: 'ExecutionLost', ErrorMessage: reason };
    // In the order of their start, so that no caller hears of the end of what it called.
    for (const execution of [...this.#executions.values()]) {
      if (execution.status !== 'RUNNING') continue;
      this.#runner.kill(execution, reason);
      if (forGood) this.#runner.end(execution, 'STOPPED', null, error);
    }
  }

  /**
   * The invocation that makes this call dies where it stands: it gets no further answer, and the service resumes its
   * execution later. Does nothing outside of a function.
   */
  killCurrentInvocation(reason: string): void {
    const invocation = currentInvocation.getStore();
    if (!invocation || invocation.dead) return;
    if (!this.#runner.killInvocation(invocation, reason)) this.#plain.kill(invocation, reason);
  }

  /**
   * The crash plan's share of the faults of the embedded cloud: at a chosen call the invocation that makes it dies,
   * before the call has an effect or just after it. Put it first (`allFaults([engine.crashes(), ...])`).
   */
  crashes(): Faults {
    return {
      strike: (call) => {
        if (!currentInvocation.getStore()) return null;
        const name = `${call.service}:${call.action}`;
        const moment = this.#crashPlan.nextCall(name);
        if (!moment) return null;
        this.killCurrentInvocation(`crash ${moment} ${name}`);
        return { name: 'crash', kind: moment === 'before' ? 'lost-before' : 'lost-after' };
      },
    };
  }

  #get(arn: string): Execution {
    const execution = this.#executions.get(arn);
    if (!execution) throw new ApiError('ResourceNotFoundException', `There is no durable execution ${arn}.`, 404);
    return execution;
  }

  #record(what: string, detail: Readonly<Record<string, unknown>>): void {
    this.#log.record({ kind: 'durable', what, accountId: this.accountId, region: this.region, detail });
  }

  #start(target: ResolvedFunction, wanted: string | null, input: string): Execution {
    const { deployed, version } = target;
    if (deployed.kind !== 'durable') {
      throw new ApiError('InvalidParameterValueException', `${deployed.settings.name} is not a durable function.`);
    }
    if (wanted !== null && !/^[a-zA-Z0-9-_]{1,64}$/.test(wanted)) {
      throw new ApiError(
        'InvalidParameterValueException',
        `durableExecutionName ${wanted}: must match [a-zA-Z0-9-_]{1,64}`,
      );
    }
    const name = wanted ?? `execution-${this.#executions.size + 1}`;
    const key = `${deployed.settings.name}/${name}`;
    const existing = this.#named.get(key);
    if (existing) {
      if (existing.input === input) return existing;
      throw new ApiError(
        'DurableExecutionAlreadyStartedException',
        `Durable execution ${name} already started with another payload.`,
        409,
      );
    }
    const functionArn = `arn:aws:lambda:${this.region}:${this.accountId}:function:${deployed.settings.name}:${version}`;
    const execution = new Execution({ deployed, functionArn, version, name, input });
    this.#named.set(key, execution);
    this.#executions.set(execution.arn, execution);
    this.#record('start', { execution: key });
    this.#runner.begin(execution);
    return execution;
  }

  /** A chained invocation: the caller is suspended meanwhile, and a refusal is an outcome that it sees. */
  #chain(functionName: string, payload: string, tell: (outcome: ChainedOutcome) => void): void {
    try {
      const target = this.resolve(functionName);
      if (target.deployed.kind === 'durable') {
        this.#start(target, null, payload).onEnd.push(tell);
        return;
      }
      void this.#plain.invoke(target, payload).then((answer) =>
        tell(
          answer.ok
            ? { status: 'SUCCEEDED', result: answer.payload, error: null }
            : {
                status: 'FAILED',
                result: null,
                error: { ErrorType: answer.errorType, ErrorMessage: answer.errorMessage },
              },
        ),
      );
    } catch (refused) {
      if (!(refused instanceof ApiError)) throw refused;
      const error = { ErrorType: refused.code, ErrorMessage: refused.message };
      setTimeout(() => tell({ status: 'FAILED', result: null, error }), 1);
    }
  }
}
