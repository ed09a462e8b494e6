/** One hung machine brought back and cured: looked at again, restarted at most once for its evidence, resized, proven. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Outcome, RestartMethod } from '../../domain/contracts.ts';
import { evidenceKey } from '../../domain/evidence.ts';
import { type CallError, type Finding, says } from '../../domain/finding.ts';
import { type HistoryEvent, nextHistory } from '../../domain/history.ts';
import { cellLease, instanceLease } from '../../domain/lease.ts';
import type { CallTally, CellPorts, EntryRecord, OpenCell, RunbookDocument } from '../../domain/ports.ts';
import { type Decision, triage } from '../../domain/triage.ts';
import { sentence } from '../../domain/triage-words.ts';
import { batchesFor, overflowedAt } from '../cell/batches.ts';
import { recordBatch } from '../cell/cure.ts';
import { signOfLifeNotExcluded, whyUnread } from '../cell/judge.ts';
import { conclude, withoutReading } from '../cell/record.ts';
import { sendOnce, waitForEnd } from '../cell/run-runbook.ts';
import { type CellInput, findingsOf, mergeErrors } from '../cell/survey.ts';
import { addTally, durableRunner, NO_CALLS, type Runner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import { askGate } from '../gate.ts';
import { type Holder, heldByAnother, takeLease } from '../lease.ts';
import type { Tempo } from '../tempo.ts';
import { type PowerCycle, PowerCycler } from './power-cycle.ts';

/** What `cell` asks of `restart`. */
export interface RestartInput extends Pick<CellInput, 'runId' | 'cell' | 'policy' | 'pastBreaker'> {
  readonly instanceId: string;
  readonly document: RunbookDocument;
}

/** What `cell` needs to know of it; the ledger has the rest. */
export interface RestartResult {
  readonly instanceId: string;
  readonly result: Outcome['result'];
  /** null: it was not taken down. */
  readonly restartedBy: RestartMethod | null;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

/** The second look: what is so now, and what the same triage says of it. */
type SecondLook =
  | { readonly go: 'restart'; readonly method: RestartMethod; readonly evidenceKey: string }
  | { readonly go: 'resize' }
  | { readonly go: 'no'; readonly why: string; readonly next: string };

/** Makes the workflow. Expected failures end as outcomes; `cell` sees an error only when the ledger fails. */
export function restartWorkflow(openCell: OpenCell, tempo: Tempo) {
  return async (input: RestartInput, context: DurableContext): Promise<RestartResult> => {
    const ports = openCell(input.cell, input.policy.quotaShare);
    const run = durableRunner(context);
    const lease = instanceLease(input.cell, input.instanceId);
    const holder: Holder = { runId: input.runId, execution: context.executionContext.durableExecutionArn };
    const taken = await run.step('lease', () => takeLease(ports.ledger, lease, holder));
    const other = heldByAnother(taken);
    if (other) {
      const why = sentence(other.message);
      return finish(run, ports, input, declined(why, 'Nothing: that run reports what it does.'));
    }
    try {
      const look = await run.step('second-look', () => lookAgain(ports, input, holder));
      if (look.go === 'no') return await finish(run, ports, input, declined(look.why, look.next));
      if (look.go === 'resize') return await resize(context, ports, input, holder, null, tempo);
      return await restart(context, ports, input, holder, look, tempo);
    } finally {
      // A lease that cannot be given back expires by itself.
      await run.step('release', () => ports.ledger.releaseLease(lease, input.runId));
    }
  };
}

const NEXT_RUN = 'When that is over, the next run looks again.';

function declined(message: string, next: string) {
  return { result: 'declined' as const, message, next, restartedBy: null };
}

/**
 * Why the machine may not be taken down any more; null: it may. The lease of the instance and that of the cell must be this
 * run's, and the whole gate open: some time has passed since the cell asked.
 */
async function whyNot(ports: CellPorts, input: RestartInput, holder: Holder): Promise<string | null> {
  const own = await takeLease(ports.ledger, instanceLease(input.cell, input.instanceId), holder);
  if (!own.ok) return sentence(`The lease of this instance is not ours any more: ${own.error.message}`);
  const cell = await ports.ledger.leaseHolder(cellLease(input.cell));
  if (!cell.ok) return sentence(`Who holds the lease of this cell could not be read: ${cell.error.message}`);
  if (cell.value !== input.runId)
    return `The lease of this cell is held by ${cell.value ?? 'nobody'}, not by this run.`;
  const gate = await askGate([...ports.gate, ...(input.pastBreaker ? [] : [ports.breaker])]);
  return gate.open ? null : sentence(`Acting is forbidden: ${gate.reasons.join('; ')}`);
}

async function lookAgain(ports: CellPorts, input: RestartInput, holder: Holder): Promise<SecondLook> {
  const [record] = mustAnswer(await ports.ledger.getEntries(input.runId, input.cell, [input.instanceId]));
  if (!record)
    return { go: 'no', why: 'The plan of this run does not name the instance.', next: 'Report this: it is a bug.' };
  const planned = record.entry;
  const why = await whyNot(ports, input, holder);
  if (why !== null) return { go: 'no', why, next: NEXT_RUN };
  const before = JSON.parse(record.finding) as Finding;
  const described = await ports.fleet.describeInstances([input.instanceId]);
  if (!described.ok) {
    return { go: 'no', why: `It could not be looked at again: ${says(described.error)}`, next: described.error.next };
  }
  const instance = described.value[0];
  if (!instance) return { go: 'no', why: 'It does not exist any more.', next: '' };
  const mark = before.console.status === 'read' ? before.console.mark : null;
  const { findings } = await findingsOf(ports, input.policy, [instance], () => mark);
  const finding = findings[0];
  if (!finding) return { go: 'no', why: 'It could not be looked at again.', next: 'The next run looks again.' };
  const decision = decideAgain(ports, input, finding);
  if (decision.action === 'resize') return { go: 'resize' };
  if (decision.action !== 'restart-then-resize' || decision.method === null) {
    return { go: 'no', why: `Just before acting, it was looked at again: ${decision.reason}`, next: decision.next };
  }
  if (decision.method !== planned.method) {
    const why = `Just before acting, it was looked at again: the method would be ${decision.method}, not ${planned.method}.`;
    return { go: 'no', why, next: 'The next run judges it anew.' };
  }
  const update: EntryRecord = { ...record, finding: JSON.stringify(finding) };
  mustAnswer(await ports.ledger.putEntries(input.runId, input.cell, [update]));
  return { go: 'restart', method: decision.method, evidenceKey: keyOf(finding) };
}

function keyOf({ console }: Finding): string {
  return console.status === 'read' ? evidenceKey(console.evidence) : '';
}

/** The same triage on fresh facts. Breaker and budget were judged by the cell, which reserved this restart. */
function decideAgain(ports: CellPorts, input: RestartInput, finding: Finding): Decision {
  // The console of one that is opted out, out of scope or not running is not read at all: triage says which.
  const unread = finding.console.status === 'not-read' ? null : whyUnread(finding.console);
  if (unread !== null) return signOfLifeNotExcluded(unread);
  return triage({
    finding,
    policy: input.policy,
    breaker: { open: false, reason: null },
    budget: { resizesLeft: 1, restartsLeft: 1 },
    now: ports.clock.now(),
  });
}

async function restart(
  context: DurableContext,
  ports: CellPorts,
  input: RestartInput,
  holder: Holder,
  look: Extract<SecondLook, { go: 'restart' }>,
  tempo: Tempo,
): Promise<RestartResult> {
  const run = durableRunner(context);
  const { at, lastActionBefore } = await run.step('attempt-time', async () => {
    const histories = mustAnswer(await ports.ledger.getHistories(input.cell, [input.instanceId]));
    return { at: ports.clock.now(), lastActionBefore: histories.get(input.instanceId)?.lastActionAt ?? null };
  });
  const attempt: HistoryEvent = { kind: 'restart-attempt', at, evidenceKey: look.evidenceKey };
  const cycle = await new PowerCycler(context, ports, input.instanceId, input.runId, tempo).run(look.method, {
    remember: () => run.step('attempt', () => remember(ports, input, attempt)),
    whyNot: () => whyNot(ports, input, holder),
  });
  if (cycle.result === 'back') {
    return resize(context, ports, input, holder, { method: look.method, backAt: cycle.backAt }, tempo);
  }
  if (cycle.result === 'untouched' || cycle.result === 'forbidden') {
    await run.step('no-attempt', () =>
      remember(ports, input, { kind: 'restart-refused', at, attemptAt: at, lastActionBefore }),
    );
  }
  if (cycle.result === 'forbidden') return finish(run, ports, input, declined(cycle.why, NEXT_RUN));
  const result = cycle.result === 'awaiting-capacity' ? cycle.result : 'restart-failed';
  const restartedBy = cycle.result === 'untouched' ? null : look.method;
  const done = await finish(run, ports, input, { result, message: cycle.message, next: cycle.next, restartedBy });
  const alarmed = cycle.result === 'untouched' ? null : await run.step('alarm', () => alarm(ports, input, cycle));
  const errors = [...(cycle.error ? [cycle.error] : []), ...(alarmed && !alarmed.ok ? [alarmed.error] : [])];
  return { ...done, errors: mergeErrors(done.errors, errors) };
}

/** Kept before the power call, so that no crash after it can lead to a second restart for this evidence. */
async function remember(ports: CellPorts, input: RestartInput, event: HistoryEvent): Promise<void> {
  const histories = mustAnswer(await ports.ledger.getHistories(input.cell, [input.instanceId]));
  const history = nextHistory(histories.get(input.instanceId) ?? null, event);
  mustAnswer(await ports.ledger.putHistory(input.cell, input.instanceId, history));
}

function alarm(ports: CellPorts, input: RestartInput, cycle: Extract<PowerCycle, { message: string }>) {
  const { accountId, region } = input.cell;
  const subject = `Audit backlog: ${input.instanceId} needs you (${cycle.result})`;
  const text = `${input.instanceId} in ${accountId}/${region}, run ${input.runId}: ${cycle.message}\n${cycle.next}`;
  return ports.news.notify(subject, text);
}

/** Runs the runbook on this one instance and proves it; where nothing names the limit that overflowed, reads it first. */
async function resize(
  context: DurableContext,
  ports: CellPorts,
  input: RestartInput,
  holder: Holder,
  restarted: { method: RestartMethod; backAt: string } | null,
  tempo: Tempo,
): Promise<RestartResult> {
  const known = await durableRunner(context).step('limit-known', async () => {
    const [record] = mustAnswer(await ports.ledger.getEntries(input.runId, input.cell, [input.instanceId]));
    const histories = mustAnswer(await ports.ledger.getHistories(input.cell, [input.instanceId]));
    return record !== undefined && overflowedAt(record.entry, histories.get(input.instanceId) ?? null) > 0;
  });
  if (!known) {
    const assessed = await runRunbook(context, ports, input, holder, 'plan', restarted, tempo);
    if (assessed.result !== 'planned') return assessed;
  }
  return runRunbook(context, ports, input, holder, 'apply', restarted, tempo);
}

async function runRunbook(
  context: DurableContext,
  ports: CellPorts,
  input: RestartInput,
  holder: Holder,
  mode: 'plan' | 'apply',
  restarted: { method: RestartMethod; backAt: string } | null,
  tempo: Tempo,
): Promise<RestartResult> {
  const run = durableRunner(context);
  const { runId, instanceId, policy, document } = input;
  const batches = await run.step(`${mode}-batch`, () => batchesFor(ports, runId, policy, mode, [instanceId]));
  const batch = batches[0];
  if (!batch) throw new Error(`run ${runId} has no entry of ${instanceId} in the ledger; nothing was sent to it`);
  const stillOurs = () => takeLease(ports.ledger, instanceLease(input.cell, instanceId), holder);
  const comment = `audit-backlog ${runId} ${mode} ${instanceId}`;
  const command = { batch, document, comment, maxErrors: '0', stillOurs };
  const sent = await sendOnce(context, ports, command, tempo);
  await waitForEnd(context, ports, sent, batch.instanceIds.length - sent.refused.length, tempo);
  const cured = await run.step(`${mode}-record`, () => recordBatch(ports, runId, batch, sent, restarted));
  const result = cured.results[0]?.result ?? 'failed';
  return {
    instanceId,
    result,
    restartedBy: restarted?.method ?? null,
    errors: cured.errors,
    tally: addTally(NO_CALLS, cured.tally),
  };
}

/** Keeps an outcome without a runbook, and tells. */
async function finish(
  run: Runner,
  ports: CellPorts,
  input: RestartInput,
  end: Pick<Outcome, 'result' | 'message' | 'next' | 'restartedBy'>,
): Promise<RestartResult> {
  const { runId, cell, instanceId } = input;
  return run.step('finish', async () => {
    const records = mustAnswer(await ports.ledger.getEntries(runId, cell, [instanceId]));
    const meta = { at: ports.clock.now(), commandId: null, restartedBy: end.restartedBy, backAt: null };
    const outcome = withoutReading(end.result, meta, end.message, end.next);
    const concluded = records.map((record) => ({
      record: { ...record, entry: { ...record.entry, outcome } },
      history: null,
    }));
    const errors = await conclude(ports, runId, concluded);
    return { instanceId, result: end.result, restartedBy: end.restartedBy, errors, tally: ports.tally.take() };
  });
}
