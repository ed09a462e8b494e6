/** Aftercare: reading the limits of cured machines again, once for each proof. Changes nothing on them. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { heldUnread, type LimitReading, limitReading } from '../../domain/aftercare.ts';
import { type CallError, type Proof, says } from '../../domain/finding.ts';
import { nextHistory } from '../../domain/history.ts';
import type { CellPorts, CommandResult, EntryRecord, RunbookDocument } from '../../domain/ports.ts';
import { type OutcomeMeta, readRunbookOutput } from '../../domain/runbook-result.ts';
import { durableRunner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import type { Tempo } from '../tempo.ts';
import { type Batch, SEND_AT_ONCE } from './batches.ts';
import { mayGoOn } from './go-on.ts';
import { type Concluded, conclude } from './record.ts';
import type { Sent } from './run-runbook.ts';
import { addCures, type CureResult, NOTHING_CURED, resultsOf, sendWave } from './send-wave.ts';
import { type CellInput, mergeErrors } from './survey.ts';

/**
 * Asks these instances, in waves of 50, whether the proven limit is still there. Where the gate closes, or another run is
 * at work on an instance, its entry stays as the survey wrote it, and the next sweep asks.
 */
export async function lookAgain(
  context: DurableContext,
  ports: CellPorts,
  input: CellInput,
  document: RunbookDocument,
  instanceIds: readonly string[],
  tempo: Tempo,
): Promise<CureResult> {
  const { durableExecutionArn } = context.executionContext;
  let sum = NOTHING_CURED;
  for (let i = 0; i < instanceIds.length; i += SEND_AT_ONCE) {
    const name = `aftercare-${i / SEND_AT_ONCE}`;
    const wave = await durableRunner(context).step(`${name}-go`, async () => {
      const go = await mayGoOn(ports, input, durableExecutionArn);
      if (!go.go) return null;
      const busy = new Set(go.busy.map(({ instanceId }) => instanceId));
      return instanceIds.slice(i, i + SEND_AT_ONCE).filter((id) => !busy.has(id));
    });
    if (wave === null) return sum;
    if (wave.length === 0) continue;
    const record = (batch: Batch, sent: Sent) => recordLook(ports, input.runId, batch, sent);
    const asked = { mode: 'plan', instanceIds: wave, name, record } as const;
    sum = addCures(sum, await sendWave(context, ports, input, document, asked, tempo));
  }
  return sum;
}

/** Keeps what was read, and tells it. Of an instance that was not read nothing is remembered: the next sweep asks again. */
async function recordLook(ports: CellPorts, runId: string, batch: Batch, sent: Sent): Promise<CureResult> {
  const records = mustAnswer(await ports.ledger.getEntries(runId, ports.cell, batch.instanceIds));
  const histories = mustAnswer(await ports.ledger.getHistories(ports.cell, batch.instanceIds));
  const { results, errors } = await resultsOf(ports, sent);
  const concluded: Concluded[] = [];
  const unread: EntryRecord[] = [];
  for (const record of records) {
    const { entry } = record;
    const history = histories.get(entry.instanceId) ?? null;
    if (!history?.proven) continue;
    const found = results.get(entry.instanceId);
    const meta = { at: sent.sentAt, commandId: found?.commandId ?? null, restartedBy: null, backAt: null };
    const look = readLook(history.proven, found?.result, errors, meta);
    if ('why' in look) {
      unread.push({ ...record, entry: { ...entry, outcome: heldUnread(history.proven, sent.sentAt, look.why) } });
      continue;
    }
    const { outcome, event } = look;
    concluded.push({ record: { ...record, entry: { ...entry, outcome } }, history: nextHistory(history, event) });
  }
  mustAnswer(await ports.ledger.putEntries(runId, ports.cell, unread));
  const told = await conclude(ports, runId, concluded);
  return { ...NOTHING_CURED, errors: mergeErrors(errors, told), tally: ports.tally.take() };
}

/** The limit as the command's result tells it, or why it does not. */
function readLook(
  proven: Proof,
  result: CommandResult | undefined,
  errors: readonly CallError[],
  meta: OutcomeMeta,
): LimitReading | { readonly why: string } {
  if (!result) {
    const error = errors[0];
    return { why: error ? says(error) : 'SSM does not list the command.' };
  }
  if (result.state !== 'succeeded' && result.state !== 'failed') {
    return { why: `The agent did not answer (${result.details}).` };
  }
  const read = readRunbookOutput(result.output ?? '');
  if (!read.ok) return { why: `What the runbook printed cannot be read: ${read.reason}.` };
  return limitReading(proven, read.output, meta) ?? { why: `The runbook could not read it (${read.output.outcome}).` };
}
