/** Restarting the machines of a pass, wave by wave, each machine in a durable child of its own. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { CallError, Finding } from '../../domain/finding.ts';
import type { CallTally, CellPorts, RunbookDocument } from '../../domain/ports.ts';
import { nextRestartWave, type Place, placeOf } from '../../domain/safety.ts';
import { ALL_ITEMS, addTally, durableRunner, NO_CALLS } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import type { RestartInput, RestartResult } from '../restart/workflow.ts';
import { deferEntries, mayRestart } from './go-on.ts';
import { type CellInput, mergeErrors } from './survey.ts';

/** Results of a restart after which no further machine is taken down in this run. */
const NOT_BACK: ReadonlySet<string> = new Set(['restart-failed', 'awaiting-capacity']);

/** What a wave of restarts came to. `failed`: why no other may follow; null when all came back. */
interface Restarted {
  readonly failed: string | null;
  /** One was taken down and came back. */
  readonly cameBack: boolean;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

const NOTHING_RESTARTED: Restarted = { failed: null, cameBack: false, errors: [], tally: NO_CALLS };

function addRestarted(a: Restarted, b: Restarted): Restarted {
  return {
    failed: a.failed ?? b.failed,
    cameBack: a.cameBack || b.cameBack,
    errors: mergeErrors(a.errors, b.errors),
    tally: addTally(a.tally, b.tally),
  };
}

/**
 * Restarts in waves, of one machine until one came back; none takes down more of a zone, or of what belongs together,
 * than policy allows. One that does not come back ends it: the rest waits for the next run, rather than machine after
 * machine being stopped where none can start. One that was not taken down (declined, refused) ends nothing.
 * @param ended why an earlier pass of this run ended its restarts; null: it did not.
 */
export async function restartInstances(
  context: DurableContext,
  ports: CellPorts,
  input: CellInput,
  document: RunbookDocument,
  instanceIds: readonly string[],
  name: string,
  restartFunctionArn: string,
  ended: string | null,
): Promise<Restarted> {
  const before: Restarted = { ...NOTHING_RESTARTED, failed: ended };
  if (instanceIds.length === 0) return before;
  const run = durableRunner(context);
  if (ended !== null) {
    await run.step(`${name}-defer`, () => deferEntries(ports, input.runId, instanceIds, 'restart-budget', ended));
    return before;
  }
  const { durableExecutionArn } = context.executionContext;
  let waiting = await run.step(`${name}-places`, () => placesOf(ports, input, instanceIds));
  let sum = NOTHING_RESTARTED;
  for (let w = 0; waiting.length > 0; w++) {
    const go = await run.step(`${name}-${w}-go`, () => mayRestart(ports, input, durableExecutionArn));
    const { wave, bound } = go.go
      ? nextRestartWave(waiting, go.down, input.policy.restart, !sum.cameBack)
      : { wave: [], bound: go.why };
    const done =
      bound === null
        ? await restartWave(context, input, document, wave, `${name}-${w}`, restartFunctionArn)
        : NOTHING_RESTARTED;
    sum = addRestarted(sum, done);
    waiting = waiting.filter(({ instanceId }) => !wave.includes(instanceId));
    const why = bound ?? done.failed;
    if (why === null) continue;
    const rest = waiting.map(({ instanceId }) => instanceId);
    await run.step(`${name}-defer`, () => deferEntries(ports, input.runId, rest, 'restart-budget', why));
    return sum;
  }
  return sum;
}

/** Zone and tag value of those to be restarted, as the survey found them. */
async function placesOf(ports: CellPorts, input: CellInput, instanceIds: readonly string[]): Promise<readonly Place[]> {
  const records = mustAnswer(await ports.ledger.getEntries(input.runId, input.cell, instanceIds));
  return records.map(({ finding }) => placeOf((JSON.parse(finding) as Finding).instance, input.policy.restart.spread));
}

async function restartWave(
  context: DurableContext,
  input: CellInput,
  document: RunbookDocument,
  wave: readonly string[],
  name: string,
  restartFunctionArn: string,
): Promise<Restarted> {
  const { runId, cell, policy, pastBreaker } = input;
  const done = await context.map(
    name,
    [...wave],
    (c, instanceId) =>
      c.invoke<RestartInput, RestartResult>('restart', restartFunctionArn, {
        runId,
        cell,
        policy,
        pastBreaker,
        instanceId,
        document,
      }),
    { maxConcurrency: policy.restart.maxInFlight, completionConfig: ALL_ITEMS },
  );
  return done.all
    .map((item): Restarted => {
      const instanceId = wave[item.index] ?? '';
      if (!item.result) {
        return {
          ...NOTHING_RESTARTED,
          failed: `the restart of ${instanceId} was lost`,
          errors: [restartLost(instanceId, item.error)],
        };
      }
      const { result, restartedBy, errors, tally } = item.result;
      const failed =
        restartedBy !== null && NOT_BACK.has(result) ? `${instanceId} did not come back (${result})` : null;
      return { failed, cameBack: restartedBy !== null && failed === null, errors, tally };
    })
    .reduce(addRestarted, NOTHING_RESTARTED);
}

function restartLost(instanceId: string, error: Error | undefined): CallError {
  return {
    call: 'lambda:Invoke',
    code: error?.name ?? 'Unfinished',
    message: `the restart of ${instanceId} did not come to its end: ${error?.message ?? 'no result'}`,
    next: 'Look at the instance now; if it bears our stop tag, `reconcile` starts it.',
    instanceId,
    kind: 'failed',
  };
}
