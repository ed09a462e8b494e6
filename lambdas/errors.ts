/** Unexpected failures, named. Each carries the call and the next step; a durable step is repeated after one. */
import type { CallError } from '../domain/finding.ts';
import type { Answer } from '../domain/ports.ts';

/** A call without whose answer a workflow cannot go on failed for good. */
export class CallFailedError extends Error {
  override readonly name = 'CallFailedError';
  readonly failure: CallError;
  constructor(failure: CallError) {
    super(`${failure.call}: ${failure.code}: ${failure.message} ${failure.next}`);
    this.failure = failure;
  }
}

/** The value of an answer that a workflow cannot do without, or {@link CallFailedError}. */
export function mustAnswer<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  throw new CallFailedError(answer.error);
}
