/**
 * The operations of one durable execution as the service keeps them: what a checkpoint may change, what it changes,
 * and the limits of the service, which no quota increase lifts. Transitions and refusals follow what the service's
 * own test server checks (from the package @aws/durable-execution-sdk-js-testing).
 */
import type { ErrorObject, Operation, OperationUpdate } from '@aws/durable-execution-sdk-js';
import { LambdaApiError } from './errors.ts';
import { checkTransition, checkUpdates } from './updates.ts';

/** Durable operations of one execution, each retry counted as one more, the execution itself as one. */
export const maximumOperations = 3_000;
/** What one operation may store. Unit: bytes. */
export const maximumPayloadBytes = 256 * 1024;
/** What one execution may write in all. Unit: bytes. */
export const maximumWrittenBytes = 100 * 1024 * 1024;
/** An execution's own result when it is stored by a checkpoint. Unit: bytes. */
const maximumResultBytes = 6 * 1024 * 1024;
const maximumErrorBytes = 32 * 1024;

/** What the engine has to do because of a checkpoint. */
export type Effect =
  | {
      readonly kind: 'timer';
      readonly operationId: string;
      readonly seconds: number;
      readonly becomes: 'SUCCEEDED' | 'READY';
    }
  | { readonly kind: 'invoke'; readonly operationId: string; readonly functionName: string; readonly payload: string }
  | { readonly kind: 'end'; readonly result: string | null; readonly error: ErrorObject | null };

/** How a chained invocation ended. */
export interface ChainedOutcome {
  readonly status: 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'STOPPED';
  readonly result: string | null;
  readonly error: ErrorObject | null;
}

const bytesOf = (value: unknown): number =>
  value === undefined || value === null
    ? 0
    : Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));

/** See the head of this file. */
export class Operations {
  readonly #operations = new Map<string, Operation>();
  /** Changed since the running invocation was last told. */
  readonly #news = new Set<string>();
  #metered = 1;
  #writtenBytes = 0;

  constructor(executionId: string, inputPayload: string) {
    this.#operations.set(executionId, {
      Id: executionId,
      Type: 'EXECUTION',
      Status: 'STARTED',
      StartTimestamp: new Date(),
      ExecutionDetails: { InputPayload: inputPayload },
    });
  }

  /** Operations so far, without the execution itself. */
  get count(): number {
    return this.#operations.size - 1;
  }
  /** As they count against {@link maximumOperations}. */
  get metered(): number {
    return this.#metered;
  }
  get writtenBytes(): number {
    return this.#writtenBytes;
  }
  /** Something happened that no invocation has been told of, or a retry is due. */
  get hasNews(): boolean {
    return this.#news.size > 0 || this.#any((operation) => operation.Status === 'READY');
  }
  /** Something outside the code will go on by itself: a wait, a retry, a chained invocation. */
  get isWaiting(): boolean {
    return this.#any(
      ({ Type, Status }) =>
        Status === 'PENDING' || (Status === 'STARTED' && (Type === 'WAIT' || Type === 'CHAINED_INVOKE')),
    );
  }
  /** Names of what is not finished, for people. */
  unfinished(): readonly string[] {
    return [...this.#operations.values()]
      .filter(({ Type, Status }) => Type !== 'EXECUTION' && ['STARTED', 'PENDING', 'READY'].includes(Status ?? ''))
      .map(({ Type, Status, Name }) => `${Type} ${Name ?? ''} ${Status}`);
  }

  /**
   * Applies a checkpoint, all of it or nothing.
   *
   * @throws LambdaApiError `InvalidParameterValueException` (400) for an invalid update or a limit.
   */
  apply(updates: readonly OperationUpdate[]): readonly Effect[] {
    checkUpdates(updates, this.#operations);
    let written = this.#writtenBytes;
    const created = new Set<string>();
    for (const update of updates) {
      checkTransition(update, this.#operations.get(update.Id ?? ''));
      this.#checkSize(update);
      if (update.Type !== 'EXECUTION' && !this.#operations.has(update.Id ?? '')) created.add(update.Id ?? '');
      written += bytesOf(update.Payload) + bytesOf(update.Error);
    }
    const metered = this.#metered + created.size + updates.filter(({ Action }) => Action === 'RETRY').length;
    if (metered > maximumOperations) {
      throw new LambdaApiError(
        'InvalidParameterValueException',
        `The execution would pass the limit of ${maximumOperations} durable operations.`,
      );
    }
    if (written > maximumWrittenBytes) {
      throw new LambdaApiError(
        'InvalidParameterValueException',
        `The execution would pass the limit of ${maximumWrittenBytes} bytes written.`,
      );
    }
    this.#metered = metered;
    this.#writtenBytes = written;
    return updates.flatMap((update) => this.#applyOne(update));
  }

  /** A wait is over or a retry is due. */
  elapse(id: string, becomes: 'SUCCEEDED' | 'READY'): void {
    const operation = this.#get(id);
    operation.Status = becomes;
    if (becomes === 'SUCCEEDED') operation.EndTimestamp = new Date();
    this.#news.add(id);
  }

  /** A chained invocation has ended. */
  answer(id: string, outcome: ChainedOutcome): void {
    const operation = this.#get(id);
    operation.Status = outcome.status;
    operation.EndTimestamp = new Date();
    operation.ChainedInvokeDetails = {
      ...(outcome.result === null ? {} : { Result: outcome.result }),
      ...(outcome.error === null ? {} : { Error: outcome.error }),
    };
    this.#news.add(id);
  }

  /** What a new invocation is given; what it is told so is no news any more. Children of finished contexts are left out, as the service does, unless the context asked to keep them. */
  visible(): Operation[] {
    const hidden = new Set<string>();
    return [...this.#operations.values()].filter(({ Id = '', ParentId }) => {
      const parent = ParentId === undefined ? undefined : this.#operations.get(ParentId);
      const finished = parent?.Type === 'CONTEXT' && (parent.Status === 'SUCCEEDED' || parent.Status === 'FAILED');
      if (!finished || (parent.ContextDetails?.ReplayChildren && !hidden.has(ParentId ?? ''))) return true;
      hidden.add(Id);
      return false;
    });
  }

  /** The ids of what changed since the last invocation was told, and forgets them. */
  takeNewsIds(): string[] {
    const ids = [...this.#news];
    this.#news.clear();
    return ids;
  }

  /** What changed since the last invocation was told, and forgets it. */
  takeNews(): Operation[] {
    return this.takeNewsIds().map((id) => ({ ...this.#get(id) }));
  }

  #any(holds: (operation: Operation) => boolean | undefined): boolean {
    for (const operation of this.#operations.values()) if (holds(operation)) return true;
    return false;
  }

  #get(id: string): Operation {
    const operation = this.#operations.get(id);
    if (!operation) throw new LambdaApiError('InvalidParameterValueException', `there is no operation ${id}`);
    return operation;
  }

  #checkSize(update: OperationUpdate): void {
    const limit = update.Type === 'EXECUTION' ? maximumResultBytes : maximumPayloadBytes;
    const size = bytesOf(update.Payload);
    if (size > limit) {
      throw new LambdaApiError(
        'InvalidParameterValueException',
        `${update.Type} ${update.Name ?? ''}: payload of ${size} bytes, more than ${limit}.`,
      );
    }
    if (update.Error && bytesOf(update.Error) > maximumErrorBytes) {
      throw new LambdaApiError(
        'InvalidParameterValueException',
        `Error object size must be less than ${maximumErrorBytes} bytes.`,
      );
    }
  }

  #applyOne(update: OperationUpdate): Effect[] {
    if (update.Type === 'EXECUTION') {
      return [{ kind: 'end', result: update.Payload ?? null, error: update.Error ?? null }];
    }
    const id = update.Id ?? '';
    const operation = this.#operations.get(id) ?? this.#create(update, id);
    this.#news.add(id);
    switch (update.Action) {
      case 'START':
        return this.#start(operation, update);
      case 'RETRY': {
        const seconds = update.StepOptions?.NextAttemptDelaySeconds ?? 1;
        operation.Status = 'PENDING';
        operation.StepDetails = {
          Attempt: (operation.StepDetails?.Attempt ?? 0) + 1,
          NextAttemptTimestamp: new Date(Date.now() + seconds * 1000),
          Result: update.Payload,
          Error: update.Error,
        };
        return [{ kind: 'timer', operationId: id, seconds, becomes: 'READY' }];
      }
      case 'SUCCEED':
      case 'FAIL': {
        operation.Status = update.Action === 'SUCCEED' ? 'SUCCEEDED' : 'FAILED';
        operation.EndTimestamp = new Date();
        const end = { Result: update.Payload, Error: update.Error };
        if (operation.Type === 'STEP') {
          operation.StepDetails = { Attempt: (operation.StepDetails?.Attempt ?? 0) + 1, ...end };
        } else {
          operation.ContextDetails = { ...end, ReplayChildren: update.ContextOptions?.ReplayChildren };
        }
        return [];
      }
      default:
        throw new LambdaApiError(
          'InvalidParameterValueException',
          `${update.Type} ${update.Action} is not modelled`,
          501,
        );
    }
  }

  #create(update: OperationUpdate, id: string): Operation {
    const operation: Operation = {
      Id: id,
      ParentId: update.ParentId,
      Name: update.Name,
      Type: update.Type,
      SubType: update.SubType,
      StartTimestamp: new Date(),
      Status: 'STARTED',
    };
    this.#operations.set(id, operation);
    return operation;
  }

  #start(operation: Operation, update: OperationUpdate): Effect[] {
    const operationId = operation.Id ?? '';
    operation.Status = 'STARTED';
    switch (update.Type) {
      case 'WAIT': {
        const seconds = update.WaitOptions?.WaitSeconds ?? 0;
        operation.WaitDetails = { ScheduledEndTimestamp: new Date(Date.now() + seconds * 1000) };
        return [{ kind: 'timer', operationId, seconds, becomes: 'SUCCEEDED' }];
      }
      case 'CHAINED_INVOKE': {
        const functionName = update.ChainedInvokeOptions?.FunctionName ?? '';
        return [{ kind: 'invoke', operationId, functionName, payload: update.Payload ?? '{}' }];
      }
      case 'STEP':
        operation.StepDetails = { ...operation.StepDetails, Attempt: operation.StepDetails?.Attempt ?? 0 };
        return [];
      default:
        return [];
    }
  }
}
