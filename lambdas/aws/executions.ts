/** How far durable executions are, as Lambda tells it. */
import { GetDurableExecutionCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import type { ExecutionState } from '../../domain/ports.ts';
import { answered, type Called, type Caller, refused } from './call.ts';
import { callError } from './errors.ts';

/** Asks for one execution by its ARN; with what it failed, where it failed. */
export type StateOf = (executionArn: string) => Promise<Called<ExecutionState>>;

const STATUSES: Readonly<Record<string, ExecutionState['status']>> = {
  RUNNING: 'running',
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  TIMED_OUT: 'timed out',
  STOPPED: 'stopped',
};

export function createStateOf(lambda: LambdaClient, caller: Caller): StateOf {
  return async (executionArn) => {
    const answer = await caller.call({
      call: 'lambda:GetDurableExecution',
      effect: 'read',
      // Said in so many words: AWS's pages do not agree on the default, and without it there is no Error.
      send: (options) =>
        lambda.send(
          new GetDurableExecutionCommand({ DurableExecutionArn: executionArn, IncludeExecutionData: true }),
          options,
        ),
    });
    if (!answer.ok) return answer;
    const { Status, EndTimestamp, Error: failure } = answer.value;
    const status = STATUSES[Status ?? ''];
    if (!status) {
      const message = `the execution ${executionArn} has an unknown status`;
      const next = 'look at the execution in the Lambda console';
      return refused(callError({ call: 'lambda:GetDurableExecution', code: 'UnexpectedAnswer', message, next }));
    }
    const said = [failure?.ErrorType, failure?.ErrorMessage].filter(Boolean).join(': ');
    return answered({ status, endedAt: EndTimestamp?.toISOString() ?? null, error: said || null });
  };
}
