/** What a checkpoint request may contain; refusals carry the messages of the service's own test server. */
import type {
  Operation,
  OperationAction,
  OperationStatus,
  OperationType,
  OperationUpdate,
} from '@aws/durable-execution-sdk-js';
import { LambdaApiError } from './errors.ts';

function refuse(message: string): never {
  throw new LambdaApiError('InvalidParameterValueException', message);
}

const knownActions: Record<OperationType, readonly OperationAction[]> = {
  STEP: ['START', 'SUCCEED', 'FAIL', 'RETRY'],
  CONTEXT: ['START', 'SUCCEED', 'FAIL'],
  WAIT: ['START'],
  CHAINED_INVOKE: ['START'],
  EXECUTION: ['SUCCEED', 'FAIL'],
  CALLBACK: [],
};

const stepStates: Partial<
  Record<OperationAction, { readonly from: readonly OperationStatus[]; readonly verb: string }>
> = {
  START: { from: ['READY'], verb: 'start' },
  SUCCEED: { from: ['STARTED', 'READY'], verb: 'close' },
  FAIL: { from: ['STARTED', 'READY'], verb: 'close' },
  RETRY: { from: ['STARTED', 'READY'], verb: 're-attempt' },
};

/** Checks what concerns the request as a whole: parents, duplicates, and the end of the execution standing last. */
export function checkUpdates(updates: readonly OperationUpdate[], known: ReadonlyMap<string, Operation>): void {
  const started = new Map<string, OperationUpdate>();
  const last = new Map<string, OperationUpdate>();
  updates.forEach((update, index) => {
    const id = update.Id ?? refuse('Operation update must have an Id.');
    const earlier = last.get(id);
    const mayFollow =
      (earlier?.Type === 'STEP' || earlier?.Type === 'CONTEXT') &&
      earlier.Action === 'START' &&
      update.Action !== 'START';
    if (earlier && !mayFollow) refuse('Cannot update the same operation twice in a single request.');
    if (update.ParentId) {
      const parent = started.get(update.ParentId) ?? known.get(update.ParentId);
      if (parent?.Type !== 'CONTEXT') refuse('Invalid parent operation id.');
    }
    if (update.Action === 'START') started.set(id, update);
    last.set(id, update);
    if (update.Type === 'EXECUTION' && index !== updates.length - 1) {
      refuse('EXECUTION checkpoint must be the last update.');
    }
  });
}

/** Checks one update against the state that its operation was in before the request. */
export function checkTransition(update: OperationUpdate, operation: Operation | undefined): void {
  const { Type: type, Action: action } = update;
  if (!type || !(type in knownActions)) refuse('Unknown operation type.');
  if (type === 'CALLBACK' || action === 'CANCEL') {
    throw new LambdaApiError(
      'NotModelledByTheEmbeddedRegion',
      `durable operation ${type} ${action} is not modelled`,
      501,
    );
  }
  if (!action || !knownActions[type].includes(action)) {
    refuse('Invalid action for the given operation type.');
  }
  if (action === 'FAIL' && update.Payload != null) refuse('Cannot provide a Payload for FAIL action.');
  if (action === 'SUCCEED' && update.Error != null) refuse('Cannot provide an Error for SUCCEED action.');
  if (action === 'RETRY' && !update.StepOptions) refuse('Invalid StepOptions for the given action.');
  if (action === 'RETRY' && update.Error != null && update.Payload != null) {
    refuse('Cannot provide both error and payload to RETRY a STEP.');
  }
  if (!operation) return;
  const status = operation.Status ?? 'STARTED';
  if (type === 'STEP') {
    const allowed = stepStates[action];
    if (allowed && !allowed.from.includes(status)) refuse(`Invalid current STEP state to ${allowed.verb}.`);
  } else if (action === 'START') {
    refuse(`Cannot start a ${type} that already exists.`);
  } else if (type === 'CONTEXT' && status !== 'STARTED') {
    refuse('Invalid current CONTEXT state to close.');
  }
}
