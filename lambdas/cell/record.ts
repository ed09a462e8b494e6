/** Keeping and telling what came of an instance: ledger, log record, status tag, event. */
import type { ActionEntry, Outcome } from '../../domain/contracts.ts';
import { type CallError, cellName, type InstanceHistory } from '../../domain/finding.ts';
import type { Answer, CellPorts, EntryRecord } from '../../domain/ports.ts';
import type { OutcomeMeta } from '../../domain/runbook-result.ts';
import { mustAnswer } from '../errors.ts';

/** An entry with its outcome and what the ledger shall remember of the instance; null leaves the memory as it is. */
export interface Concluded {
  readonly record: EntryRecord;
  readonly history: InstanceHistory | null;
}

const GOOD: ReadonlySet<Outcome['result']> = new Set(['resized', 'already-sufficient', 'held', 'planned']);

/** Whether a person should look at the instance. */
export function needsAttention(outcome: Outcome): boolean {
  return !GOOD.has(outcome.result);
}

/**
 * Writes entries and histories, then tells. The ledger comes first and must answer, since the next run decides by it;
 * a failure to tell is returned and undoes nothing.
 */
export async function conclude(
  ports: CellPorts,
  runId: string,
  concluded: readonly Concluded[],
): Promise<readonly CallError[]> {
  mustAnswer(
    await ports.ledger.putEntries(
      runId,
      ports.cell,
      concluded.map((c) => c.record),
    ),
  );
  const failures: CallError[] = [];
  // A channel that failed is left alone for the rest of the batch: fifty time-outs in a row would outlast the function.
  const tell = async (message: () => Promise<Answer<null>>, channel: { broken: boolean }): Promise<void> => {
    if (channel.broken) return;
    const answer = await message();
    if (answer.ok) return;
    channel.broken = true;
    failures.push(answer.error);
  };
  const tags = { broken: false };
  const events = { broken: false };
  for (const { record, history } of concluded) {
    const { entry } = record;
    if (history) mustAnswer(await ports.ledger.putHistory(ports.cell, entry.instanceId, history));
    if (!entry.outcome) continue;
    const { outcome } = entry;
    // What was declined was not touched, and its owner may just have said that it must not be.
    if (outcome.result !== 'declined') {
      await tell(() => ports.power.tagStatus(entry.instanceId, statusText(outcome)), tags);
    }
    const type = needsAttention(outcome)
      ? 'Audit Backlog Instance Needs Attention'
      : 'Audit Backlog Instance Remediated';
    await tell(() => ports.news.publish(type, eventDetail(runId, entry)), events);
  }
  const entries = concluded.map((c) => ({ schema: 1, type: 'outcome', runId, ...c.record.entry }));
  await tell(() => ports.news.record(streamName(ports, runId), entries), { broken: false });
  return failures;
}

/** The log stream of one run in one cell. */
export function streamName(ports: CellPorts, runId: string): string {
  return `${runId}/${cellName(ports.cell)}`;
}

function statusText(outcome: Outcome): string {
  const limit = outcome.limitAfter === null ? '' : ` limit ${outcome.limitAfter}`;
  return `${outcome.result}${limit} ${outcome.at}`;
}

function eventDetail(runId: string, entry: ActionEntry): object {
  const { evidence: _evidence, ...rest } = entry;
  return { schema: 1, runId, ...rest };
}

/** An outcome of which the runbook itself said nothing. */
export function withoutReading(result: Outcome['result'], meta: OutcomeMeta, message: string, next: string): Outcome {
  return {
    ...meta,
    result,
    proven: false,
    target: null,
    limitBefore: null,
    limitAfter: null,
    lostBefore: null,
    lostAfter: null,
    message: message.slice(0, 1000),
    next: next.slice(0, 500),
  };
}
