/**
 * Runs the handlers of durable executions: each invocation replays from the stored state, answers the handler's
 * checkpoints, and ends in a result, a suspension, an error or a crash; all but the first are resumed.
 */
import type {
  CheckpointDurableExecutionRequest,
  CheckpointDurableExecutionResponse,
  DurableExecutionClient,
  DurableExecutionInvocationInput,
  DurableExecutionInvocationOutput,
  GetDurableExecutionStateRequest,
  GetDurableExecutionStateResponse,
} from '@aws/durable-execution-sdk-js';
import { currentInvocation, type Invocation, neverAnswer } from '../core.ts';
import type { CrashPlan } from './crash-plan.ts';
import { errorObject, LambdaApiError } from './errors.ts';
import type { DurableInvocation, Execution, ExecutionStatus } from './execution.ts';
import { lambdaContext } from './lambda-context.ts';
import type { ChainedOutcome, Effect } from './operations.ts';
import type { Recorder } from './plain-functions.ts';
import { firstPage, pageFrom } from './state-pages.ts';
import { after } from './timing.ts';

/** What {@link ExecutionRunner} needs of the engine. */
export interface RunnerOptions {
  readonly record: Recorder;
  readonly crashPlan: CrashPlan;
  /** From the death of an invocation to the next one. Unit: milliseconds. */
  readonly resumeDelay: number;
  /** The execution of an ARN. @throws ApiError `ResourceNotFoundException`. */
  readonly find: (arn: string) => Execution;
  /** Invokes another function, and tells how that ended. */
  readonly chain: (functionName: string, payload: string, tell: (outcome: ChainedOutcome) => void) => void;
}

/** See the head of this file. */
export class ExecutionRunner {
  readonly #record: Recorder;
  readonly #crashPlan: CrashPlan;
  readonly #resumeDelay: number;
  readonly #find: RunnerOptions['find'];
  readonly #chain: RunnerOptions['chain'];
  readonly #running = new Map<Invocation, Execution>();
  #invocations = 0;

  constructor(options: RunnerOptions) {
    this.#record = options.record;
    this.#crashPlan = options.crashPlan;
    this.#resumeDelay = options.resumeDelay;
    this.#find = options.find;
    this.#chain = options.chain;
  }

  /** What the SDK stands on: the durable part of Lambda's API. */
  client(): DurableExecutionClient {
    return {
      checkpoint: async (request) => this.#checkpoint(request),
      getExecutionState: async (request) => this.#state(request),
    };
  }

  /** Starts the clock of a new execution and its first invocation. */
  begin(execution: Execution): void {
    const error = { ErrorType: 'ExecutionTimedOut', ErrorMessage: 'The execution timed out.' };
    execution.cancelTimeout = after(execution.deployed.settings.executionTimeoutSeconds * 1000, () =>
      this.end(execution, 'TIMED_OUT', null, error),
    );
    this.#resume(execution);
  }

  /** Ends an execution, once; code that still runs goes on until its next checkpoint, which is refused. */
  end(execution: Execution, status: ExecutionStatus, result: string | null, error: Execution['error']): void {
    if (execution.status !== 'RUNNING' || status === 'RUNNING') return;
    execution.status = status;
    execution.result = result;
    execution.error = error;
    execution.endedAt = Date.now();
    execution.cancelTimeout();
    this.#record('end', { execution: execution.name, function: execution.functionName, status, use: execution.use });
    for (const tell of execution.onEnd.splice(0)) tell({ status, result, error });
  }

  /** Kills an invocation where it stands; false: it is none of a durable function. */
  killInvocation(invocation: Invocation, reason: string): boolean {
    const execution = this.#running.get(invocation);
    if (!execution) return false;
    this.kill(execution, reason);
    return true;
  }

  /** Runs the handler again soon, unless it runs or is about to; what happens meanwhile reaches it with its checkpoints. */
  #resume(execution: Execution, delay = 1): void {
    if (execution.status !== 'RUNNING' || execution.current || execution.queued) return;
    execution.queued = true;
    setTimeout(() => {
      execution.queued = false;
      void this.#invoke(execution);
    }, delay);
  }

  async #invoke(execution: Execution): Promise<void> {
    if (execution.status !== 'RUNNING') return;
    const { settings, handler } = execution.deployed;
    const seconds = settings.timeoutSeconds ?? 900;
    const number = ++execution.invocations;
    const id = `durable-${++this.#invocations}`;
    const invocation: DurableInvocation = { id, number, functionName: settings.name, dead: false, timer: null };
    invocation.timer = setTimeout(() => this.kill(execution, `timed out after ${seconds} s`), seconds * 1000);
    execution.current = invocation;
    this.#running.set(invocation, execution);
    execution.token = `${id}.0`;
    this.#record('invoke', { execution: execution.name, function: settings.name, number, id });
    const page = firstPage(execution.operations.visible());
    const event: DurableExecutionInvocationInput = {
      DurableExecutionArn: execution.arn,
      CheckpointToken: execution.token,
      UpdatedOperationIds: execution.operations.takeNewsIds(),
      InitialExecutionState: { Operations: page.operations, ...(page.next ? { NextMarker: page.next } : {}) },
    };
    const context = lambdaContext(id, settings, execution.version, execution.functionArn);
    let answer: { readonly output: DurableExecutionInvocationOutput } | { readonly thrown: unknown };
    try {
      // As Lambda hands it over: JSON, so dates arrive as text.
      const input = JSON.parse(JSON.stringify(event)) as DurableExecutionInvocationInput;
      answer = { output: await currentInvocation.run(invocation, () => handler(input, context)) };
    } catch (thrown) {
      answer = { thrown };
    }
    if (invocation.dead) return;
    this.#close(execution, invocation);
    if ('thrown' in answer) this.#retry(execution, answer.thrown);
    else this.#finish(execution, answer.output);
  }

  /** The handler threw: Lambda runs it again, later each time, until the execution times out. */
  #retry(execution: Execution, thrown: unknown): void {
    execution.failures++;
    const delay = Math.min(300_000, this.#resumeDelay * 2 ** Math.min(execution.failures - 1, 10));
    this.#record('error', { execution: execution.name, function: execution.functionName, ...errorObject(thrown) });
    this.#resume(execution, delay);
  }

  #finish(execution: Execution, output: DurableExecutionInvocationOutput): void {
    if (execution.status !== 'RUNNING') return;
    execution.failures = 0;
    if (output.Status === 'SUCCEEDED') {
      this.end(execution, 'SUCCEEDED', output.Result ?? null, null);
      return;
    }
    if (output.Status === 'FAILED') {
      this.end(execution, 'FAILED', null, output.Error);
      return;
    }
    this.#record('suspend', { execution: execution.name, function: execution.functionName });
    if (execution.operations.hasNews) {
      this.#resume(execution);
      return;
    }
    if (execution.operations.isWaiting) return;
    this.end(execution, 'FAILED', null, {
      ErrorType: 'InvalidParameterValueException',
      ErrorMessage: 'Cannot return PENDING status with no pending operations.',
    });
  }

  /** Kills the invocation of an execution, if one runs; it is resumed later. */
  kill(execution: Execution, reason: string): void {
    const invocation = execution.current;
    if (!invocation) return;
    invocation.dead = true;
    this.#close(execution, invocation);
    this.#record('kill', { execution: execution.name, function: execution.functionName, reason });
    this.#resume(execution, this.#resumeDelay);
  }

  /** The execution that a request may write to; null: it comes from an invocation that is dead. */
  #authorize(arn: string | undefined, token: string | undefined): Execution | null {
    const execution = this.#find(arn ?? '');
    if (currentInvocation.getStore()?.dead) return null;
    if (!execution.current || execution.token !== token || execution.status !== 'RUNNING') {
      throw new LambdaApiError('InvalidParameterValueException', 'Invalid Checkpoint Token');
    }
    return execution;
  }

  #checkpoint(request: CheckpointDurableExecutionRequest): CheckpointDurableExecutionResponse | Promise<never> {
    const execution = this.#authorize(request.DurableExecutionArn, request.CheckpointToken);
    if (!execution?.current) return neverAnswer();
    const moment = this.#crashPlan.nextCheckpoint();
    if (moment === 'before') {
      this.kill(execution, 'crash before a checkpoint');
      return neverAnswer();
    }
    const updates = request.Updates ?? [];
    const effects = execution.operations.apply(updates);
    execution.checkpoints++;
    execution.token = `${execution.current.id}.${execution.checkpoints}`;
    this.#record('checkpoint', {
      execution: execution.name,
      function: execution.functionName,
      updates: updates.map(({ Type, Action, Name }) => `${Type} ${Action} ${Name ?? ''}`),
    });
    for (const effect of effects) this.#carryOut(execution, effect);
    if (moment === 'after') {
      this.kill(execution, 'crash after a checkpoint');
      return neverAnswer();
    }
    return {
      CheckpointToken: execution.token,
      NewExecutionState: { Operations: execution.operations.takeNews() },
    };
  }

  #state(request: GetDurableExecutionStateRequest): GetDurableExecutionStateResponse | Promise<never> {
    const execution = this.#authorize(request.DurableExecutionArn, request.CheckpointToken);
    if (!execution) return neverAnswer();
    const page = pageFrom(execution.operations.visible(), Number(request.Marker ?? 0), request.MaxItems ?? 1000);
    return { Operations: page.operations, ...(page.next ? { NextMarker: page.next } : {}) };
  }

  #carryOut(execution: Execution, effect: Effect): void {
    switch (effect.kind) {
      case 'timer':
        after(effect.seconds * 1000, () => {
          if (execution.status !== 'RUNNING') return;
          execution.operations.elapse(effect.operationId, effect.becomes);
          this.#resume(execution);
        });
        return;
      case 'invoke':
        this.#chain(effect.functionName, effect.payload, (outcome) => {
          if (execution.status !== 'RUNNING') return;
          execution.operations.answer(effect.operationId, outcome);
          this.#resume(execution);
        });
        return;
      case 'end':
        this.end(execution, effect.error ? 'FAILED' : 'SUCCEEDED', effect.result, effect.error);
    }
  }

  #close(execution: Execution, invocation: DurableInvocation): void {
    if (invocation.timer) clearTimeout(invocation.timer);
    this.#running.delete(invocation);
    execution.current = null;
  }
}
