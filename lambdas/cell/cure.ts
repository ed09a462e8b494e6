/** Resizing instances that answer: waves, the canary first, and what each command came to. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ActionEntry, Outcome, RunbookOutput } from '../../domain/contracts.ts';
import { evidenceKey } from '../../domain/evidence.ts';
import { type CallError, says } from '../../domain/finding.ts';
import { type HistoryEvent, nextHistory } from '../../domain/history.ts';
import type { CellPorts, CommandResult, RunbookDocument } from '../../domain/ports.ts';
import { diagnosisOf, type OutcomeMeta, outcomeOfRunbook, readRunbookOutput } from '../../domain/runbook-result.ts';
import { canaryVerdict, nextResizeWave } from '../../domain/safety.ts';
import { durableRunner, type Runner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import type { Tempo } from '../tempo.ts';
import { type Batch, SEND_AT_ONCE } from './batches.ts';
import { deferEntries, mayGoOn } from './go-on.ts';
import { type Concluded, conclude, withoutReading } from './record.ts';
import type { Sent } from './run-runbook.ts';
import { addCures, type CureResult, NOTHING_CURED, resultsOf, sendWave } from './send-wave.ts';
import { type CellInput, mergeErrors } from './survey.ts';

/** What a power cycle before the command adds to the outcome. */
export interface RestartDone {
  readonly method: 'stop-start' | 'reboot';
  readonly backAt: string;
}

/**
 * Reads what the commands of one batch came to and keeps it. The time of the outcome is the time of sending, which is
 * durable: when this is repeated after a crash, it writes the same.
 */
export async function recordBatch(
  ports: CellPorts,
  runId: string,
  batch: Batch,
  sent: Sent,
  restarted: RestartDone | null = null,
): Promise<CureResult> {
  const records = mustAnswer(await ports.ledger.getEntries(runId, ports.cell, batch.instanceIds));
  const histories = mustAnswer(await ports.ledger.getHistories(ports.cell, batch.instanceIds));
  const { results, errors } = await resultsOf(ports, sent);
  const judged = records.map((record) => {
    const found = results.get(record.entry.instanceId);
    const meta = {
      at: sent.sentAt,
      commandId: found?.commandId ?? null,
      restartedBy: restarted?.method ?? null,
      backAt: restarted?.backAt ?? null,
    };
    return { record, ...judgeResult(record.entry, found?.result, sent, errors, meta) };
  });
  // Side by side: consoles that do not answer must not add up.
  const concluded = await Promise.all(
    judged.map(async ({ record, outcome, event }): Promise<Concluded> => {
      const { entry } = record;
      const known = event?.kind === 'proven' ? { ...event, evidenceKey: await keyOfCured(ports, entry, event) } : event;
      const history = known && nextHistory(histories.get(entry.instanceId) ?? null, known);
      return { record: { ...record, entry: { ...entry, outcome } }, history };
    }),
  );
  // A weaker sign alone may cost a look, never a change (row 6).
  const belowTarget = judged
    .filter(({ record, outcome }) => outcome.result === 'planned' && record.entry.code !== 'weak-evidence')
    .map(({ record }) => record.entry.instanceId);
  const told = await conclude(ports, runId, concluded);
  return {
    belowTarget,
    results: concluded.flatMap(({ record: { entry } }) =>
      entry.outcome ? [{ instanceId: entry.instanceId, result: entry.outcome.result }] : [],
    ),
    errors: mergeErrors(errors, told),
    tally: ports.tally.take(),
  };
}

/**
 * Key of the overflow that a proven limit has cured: as the console shows it now. Between survey and runbook a storm goes
 * on, and its last line would look like a new overflow. What names a limit at or above the proven one came after the cure.
 */
async function keyOfCured(
  ports: CellPorts,
  { instanceId, evidence }: ActionEntry,
  proven: Extract<HistoryEvent, { kind: 'proven' }>,
): Promise<string> {
  const now = await ports.console.read(instanceId, null);
  if (now.status !== 'read' || now.evidence.verdict !== evidence?.verdict) return proven.evidenceKey;
  const { limit } = now.evidence;
  return limit === null || limit < proven.target ? evidenceKey(now.evidence) : proven.evidenceKey;
}

interface Judged {
  readonly outcome: Outcome;
  /** null: nothing to remember. */
  readonly event: HistoryEvent | null;
}

const TRY_AGAIN = 'Nothing is known to have changed; the next run looks again.';

function judgeResult(
  entry: ActionEntry,
  result: CommandResult | undefined,
  sent: Sent,
  errors: readonly CallError[],
  meta: OutcomeMeta,
): Judged {
  if (sent.refused.includes(entry.instanceId)) {
    return notRun(meta, 'SSM refused the command: the instance is not managed any more.');
  }
  if (!result) {
    const error = errors[0];
    const why = error ? says(error) : 'SSM does not list it.';
    return notRun(meta, `The command's result is not known. ${why}`, error?.next);
  }
  if (result.state === 'undelivered' || result.state === 'waiting' || result.state === 'cancelled') {
    return notRun(meta, `The agent did not run the command (${result.details}).`);
  }
  if (result.state === 'stuck' || result.state === 'running') {
    const message = `The agent took the command and did not finish it (${result.details}).`;
    return { outcome: withoutReading('stuck', meta, message, TRY_AGAIN), event: { kind: 'stuck', at: meta.at } };
  }
  const read = readRunbookOutput(result.output ?? '');
  if (!read.ok) {
    const message = `The runbook ended (${result.details}), but what it printed cannot be read: ${read.reason}`;
    const next = 'Run `auditctl -s` on the instance; look at the command in SSM.';
    const event = { kind: 'answered', at: meta.at, changed: true, diagnosis: null } as const;
    return { outcome: withoutReading('unreadable-output', meta, message, next), event };
  }
  const outcome = outcomeOfRunbook(read.output, meta);
  return { outcome, event: eventOf(entry, read.output, outcome) };
}

function notRun(meta: OutcomeMeta, message: string, next = TRY_AGAIN): Judged {
  return { outcome: withoutReading('undelivered', meta, message, next), event: null };
}

function eventOf(entry: ActionEntry, output: RunbookOutput, outcome: Outcome): HistoryEvent {
  const evidenceKey = entry.evidence?.key ?? '';
  const diagnosis = diagnosisOf(output);
  const { at } = outcome;
  if (outcome.proven) {
    const cured = outcome.result !== 'already-sufficient';
    return { kind: 'proven', at, evidenceKey, target: output.target ?? 0, cured, diagnosis };
  }
  if (outcome.result === 'planned' && outcome.limitBefore !== null) {
    return { kind: 'assessed', at, evidenceKey, limit: outcome.limitBefore };
  }
  return { kind: 'answered', at, changed: CHANGED_SOMETHING.has(outcome.result), diagnosis };
}

/** Results after which something on the machine may be other than before, although no cure is proven. */
const CHANGED_SOMETHING: ReadonlySet<Outcome['result']> = new Set([
  'pending-reboot',
  'unsafe-kernel',
  'rolled-back',
  'failed',
]);

const keep = (ports: CellPorts, input: CellInput) => (batch: Batch, sent: Sent) =>
  recordBatch(ports, input.runId, batch, sent);

/** Reads limits (the runbook in plan mode) of these instances. Changes nothing on them. */
export async function assessInstances(
  context: DurableContext,
  ports: CellPorts,
  input: CellInput,
  document: RunbookDocument,
  instanceIds: readonly string[],
  name: string,
  tempo: Tempo,
): Promise<CureResult> {
  let sum = NOTHING_CURED;
  for (let i = 0; i < instanceIds.length; i += SEND_AT_ONCE) {
    const part = `${name}-${i / SEND_AT_ONCE}`;
    const go = await nextWave(context, ports, input, instanceIds.slice(i, i + SEND_AT_ONCE), part);
    if (!go.go) {
      await deferAll(durableRunner(context), ports, input, instanceIds.slice(i), `${name}-defer`, go.why);
      return sum;
    }
    const wave = { mode: 'plan', instanceIds: go.wave, name: part, record: keep(ports, input) } as const;
    sum = addCures(sum, await sendWave(context, ports, input, document, wave, tempo));
  }
  return sum;
}

/**
 * Resizes these instances in this order: a small canary wave, proven, before the rest in waves of 50. A canary that
 * fails beyond `resize.maxErrors` ends it: the rest is deferred and says why.
 */
export async function resizeInstances(
  context: DurableContext,
  ports: CellPorts,
  input: CellInput,
  document: RunbookDocument,
  instanceIds: readonly string[],
  name: string,
  tempo: Tempo,
): Promise<CureResult> {
  const run = durableRunner(context);
  let sum = NOTHING_CURED;
  let left = instanceIds;
  let canaryRan = false;
  for (let w = 0; left.length > 0; w++) {
    const wave = nextResizeWave(left, input.policy.resize.canary, canaryRan);
    const go = await nextWave(context, ports, input, wave, `${name}-${w}`);
    if (!go.go) {
      await deferAll(run, ports, input, left, `${name}-defer`, go.why);
      return sum;
    }
    left = left.slice(wave.length);
    if (go.wave.length === 0) continue;
    const send = { mode: 'apply', instanceIds: go.wave, name: `${name}-${w}`, record: keep(ports, input) } as const;
    const done = await sendWave(context, ports, input, document, send, tempo);
    sum = addCures(sum, done);
    const verdict = canaryVerdict(done.results, input.policy.resize.maxErrors);
    canaryRan = true;
    if (verdict.goOn) continue;
    await deferAll(run, ports, input, left, `${name}-defer`, verdict.reason);
    return sum;
  }
  return sum;
}

/** Whether the next wave may go, and without those that a restart of another run is at work on: these are put off. */
async function nextWave(
  context: DurableContext,
  ports: CellPorts,
  input: CellInput,
  wave: readonly string[],
  name: string,
): Promise<{ go: true; wave: readonly string[] } | { go: false; why: string }> {
  const { durableExecutionArn } = context.executionContext;
  return durableRunner(context).step(`${name}-go`, async () => {
    const go = await mayGoOn(ports, input, durableExecutionArn);
    if (!go.go) return go;
    const taken = go.busy.filter(({ instanceId }) => wave.includes(instanceId));
    for (const { instanceId, holder } of taken) {
      const why = `the run ${holder} is at work on it`;
      await deferEntries(ports, input.runId, [instanceId], 'resize-budget', why);
    }
    return { go: true, wave: wave.filter((id) => !taken.some(({ instanceId }) => instanceId === id)) };
  });
}

async function deferAll(
  run: Runner,
  ports: CellPorts,
  input: CellInput,
  instanceIds: readonly string[],
  name: string,
  why: string,
): Promise<void> {
  for (let from = 0; from < instanceIds.length; from += SEND_AT_ONCE) {
    const ids = instanceIds.slice(from, from + SEND_AT_ONCE);
    await run.step(`${name}-${from / SEND_AT_ONCE}`, () => deferEntries(ports, input.runId, ids, 'resize-budget', why));
  }
}
