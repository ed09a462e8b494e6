/** One wave of the runbook: its batches side by side, each sent at most once and followed to its end. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Outcome } from '../../domain/contracts.ts';
import type { CallError } from '../../domain/finding.ts';
import { cellLease } from '../../domain/lease.ts';
import type { CallTally, CellPorts, CommandResult, RunbookDocument } from '../../domain/ports.ts';
import { ALL_ITEMS, addTally, durableRunner, NO_CALLS } from '../durable.ts';
import { takeLease } from '../lease.ts';
import type { Tempo } from '../tempo.ts';
import { type Batch, batchesFor } from './batches.ts';
import { type Sent, sendOnce, waitForEnd } from './run-runbook.ts';
import { type CellInput, mergeErrors } from './survey.ts';

/** What commands came to, in numbers and the few ids that need a next step. */
export interface CureResult {
  /** Assessed and below the target: to be resized. */
  readonly belowTarget: readonly string[];
  /** What each instance came to; as many as were sent to. */
  readonly results: readonly { readonly instanceId: string; readonly result: Outcome['result'] }[];
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

/** Nothing was sent. */
export const NOTHING_CURED: CureResult = { belowTarget: [], results: [], errors: [], tally: NO_CALLS };
const BATCHES_AT_ONCE = 5;

/** The sum of two waves. */
export function addCures(a: CureResult, b: CureResult): CureResult {
  return {
    belowTarget: [...a.belowTarget, ...b.belowTarget],
    results: [...a.results, ...b.results],
    errors: mergeErrors(a.errors, b.errors),
    tally: addTally(a.tally, b.tally),
  };
}

/** Instances that get the runbook together. */
export interface Wave {
  readonly mode: 'plan' | 'apply';
  readonly instanceIds: readonly string[];
  /** Unique within the run and the cell. */
  readonly name: string;
  /** Keeps what a batch came to. Runs in a step of its own, which may be repeated. */
  readonly record: (batch: Batch, sent: Sent) => Promise<CureResult>;
}

/** Sends to all of a wave, each batch to its end whatever becomes of the others. */
export async function sendWave(
  context: DurableContext,
  ports: CellPorts,
  input: CellInput,
  document: RunbookDocument,
  { mode, instanceIds, name, record }: Wave,
  tempo: Tempo,
): Promise<CureResult> {
  const batches = await durableRunner(context).step(`${name}-batches`, () =>
    batchesFor(ports, input.runId, input.policy, mode, instanceIds),
  );
  const done = await context.map(
    name,
    [...batches],
    async (c, batch, i) => {
      const holder = { runId: input.runId, execution: c.executionContext.durableExecutionArn };
      const stillOurs = () => takeLease(ports.ledger, cellLease(input.cell), holder);
      const comment = `audit-backlog ${input.runId} ${name}-${i}`;
      const command = { batch, document, comment, maxErrors: input.policy.resize.maxErrors, stillOurs };
      const sent = await sendOnce(c, ports, command, tempo);
      await waitForEnd(c, ports, sent, batch.instanceIds.length - sent.refused.length, tempo);
      return durableRunner(c).step('record', () => record(batch, sent));
    },
    { maxConcurrency: BATCHES_AT_ONCE, completionConfig: ALL_ITEMS },
  );
  let sum = NOTHING_CURED;
  for (const item of done.all) {
    if (item.result) sum = addCures(sum, item.result);
    else {
      const results = (batches[item.index]?.instanceIds ?? []).map((instanceId) => ({
        instanceId,
        result: 'failed' as const,
      }));
      sum = addCures(sum, { ...NOTHING_CURED, results, errors: [batchFailed(name, item.error)] });
    }
  }
  return sum;
}

function batchFailed(name: string, error: Error | undefined): CallError {
  return {
    call: 'ssm:SendCommand',
    code: error?.name ?? 'Unfinished',
    message: `${name}: ${error?.message ?? 'a batch did not end'}`,
    next: 'Look at the cell function’s log; the next run looks at these instances again.',
    kind: 'failed',
  };
}

/** What SSM says of all that was sent, by instance; and the calls that failed for good on the way. */
export async function resultsOf(
  ports: CellPorts,
  sent: Sent,
): Promise<{
  results: ReadonlyMap<string, { readonly result: CommandResult; readonly commandId: string }>;
  errors: readonly CallError[];
}> {
  const results = new Map<string, { result: CommandResult; commandId: string }>();
  let errors: readonly CallError[] = sent.error ? [sent.error] : [];
  for (const commandId of sent.commandIds) {
    const answer = await ports.runCommand.results(commandId);
    if (!answer.ok) errors = mergeErrors(errors, [answer.error]);
    else for (const result of answer.value) results.set(result.instanceId, { result, commandId });
  }
  return { results, errors };
}
