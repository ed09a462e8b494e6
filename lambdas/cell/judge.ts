/** From what a survey recorded to what is to be done: second readings, triage with breaker and budget, the plan. */
import type { ActionEntry } from '../../domain/contracts.ts';
import { entryOf } from '../../domain/entry.ts';
import type { CallError, ConsoleReading, Finding } from '../../domain/finding.ts';
import type { CallTally, CellPorts, EntryRecord } from '../../domain/ports.ts';
import {
  type Breaker,
  type Budget,
  type Decision,
  needsPreflight,
  needsSecondReading,
  type TriageInput,
  triage,
} from '../../domain/triage.ts';
import { mustAnswer } from '../errors.ts';
import { overflowedAt } from './batches.ts';
import { streamName } from './record.ts';
import { type CellInput, mergeErrors } from './survey.ts';

/** What one page of records came to. At most one page of ids: the ledger bounds it. */
export interface JudgedPage {
  readonly cursor: string | null;
  /** Also those to be resized of which nothing names the limit yet: it is read first, so that no cure doubles twice. */
  readonly assess: readonly string[];
  readonly resize: readonly string[];
  readonly restart: readonly string[];
  readonly budget: Budget;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

/** Whether breaker, budget or a second reading may still change what the survey decided. */
function isOpen(record: EntryRecord, input: TriageInput): boolean {
  return record.entry.outcome === null && (record.entry.action !== 'leave' || needsSecondReading(input));
}

/**
 * Why a planned entry is refused; null when the facts are as they were judged. A storm that goes on changes its numbers
 * from minute to minute, so evidence is the same as long as it is of the same kind, at the same limit and in the same boot.
 */
export function driftFrom(plan: ActionEntry | undefined, now: ActionEntry): string | null {
  if (!plan) return 'the plan does not name this instance';
  const changes: string[] = [];
  if (plan.action !== now.action || plan.code !== now.code) {
    changes.push(`the plan said ${plan.action} (${plan.code}), now it is ${now.action} (${now.code})`);
  }
  if (plan.method !== now.method) changes.push(`the method was ${plan.method ?? 'none'}, now ${now.method ?? 'none'}`);
  for (const field of ['verdict', 'limit', 'panic', 'kernel', 'currentBoot'] as const) {
    const [before, after] = [plan.evidence?.[field] ?? null, now.evidence?.[field] ?? null];
    if (before !== after) changes.push(`evidence.${field} was ${before}, now ${after}`);
  }
  return changes.length > 0 ? changes.join('; ') : null;
}

function refuse(entry: ActionEntry, why: string): ActionEntry {
  return {
    ...entry,
    action: 'leave',
    method: null,
    reason: `Refused, since the facts have drifted from the plan: ${why}. ${entry.reason}`,
    next: 'Make a new plan and apply that.',
  };
}

/** Judges one page of the records of a pass, in order of instance id, and writes the plan's entries. */
export async function judgePage(
  ports: CellPorts,
  input: CellInput,
  pass: EntryRecord['pass'],
  cursor: string | null,
  breaker: Breaker,
  budget: Budget,
): Promise<JudgedPage> {
  const page = mustAnswer(await ports.ledger.listEntries(input.runId, input.cell, cursor));
  const records = page.items.filter((r) => r.pass === pass);
  const planned = input.planId
    ? mustAnswer(
        await ports.ledger.getEntries(
          input.planId,
          input.cell,
          records.map((r) => r.entry.instanceId),
        ),
      )
    : [];
  const plan = new Map(planned.map((r) => [r.entry.instanceId, r.entry]));
  const ids: Record<'assess' | 'resize' | 'restart-then-resize', string[]> = {
    assess: [],
    resize: [],
    'restart-then-resize': [],
  };
  const changed: EntryRecord[] = [];
  let left = budget;
  let errors: readonly CallError[] = [];
  for (const record of records) {
    let finding = JSON.parse(record.finding) as Finding;
    const judge = (): TriageInput => ({ finding, policy: input.policy, breaker, budget: left, now: ports.clock.now() });
    if (!isOpen(record, judge())) continue;
    let unread: string | null = null;
    if (needsSecondReading(judge())) {
      const reading = await readAgain(ports, finding);
      unread = whyUnread(reading);
      if (reading.status === 'read' && unread === null) finding = { ...finding, console: reading };
      if (reading.status === 'unreadable' && reading.error.kind === 'failed') errors = [...errors, reading.error];
    }
    if (unread === null && needsPreflight(judge())) {
      finding = { ...finding, preflight: await ports.fleet.preflight(finding.instance) };
    }
    const decision = unread === null ? triage(judge()) : signOfLifeNotExcluded(unread);
    let entry = entryOf(finding, decision);
    const drift = input.planId ? driftFrom(plan.get(entry.instanceId), entry) : null;
    if (drift !== null) entry = refuse(entry, drift);
    if (entry.action === 'assess' && left.resizesLeft <= 0) entry = spent(entry);
    // An assess may become a resize, so it is paid for like one.
    if (entry.action === 'resize' || entry.action === 'assess') left = { ...left, resizesLeft: left.resizesLeft - 1 };
    if (entry.action === 'restart-then-resize') left = { ...left, restartsLeft: left.restartsLeft - 1 };
    if (entry.action === 'resize' && overflowedAt(entry, finding.history) === 0) ids.assess.push(entry.instanceId);
    else if (entry.action !== 'leave' && entry.action !== 'defer') ids[entry.action].push(entry.instanceId);
    changed.push({ ...record, entry, finding: JSON.stringify(finding) });
  }
  mustAnswer(await ports.ledger.putEntries(input.runId, input.cell, changed));
  const judged = new Map(changed.map((r) => [r.entry.instanceId, r.entry]));
  const told = await ports.news.record(
    streamName(ports, input.runId),
    records.map((r) => ({
      schema: 1,
      type: 'finding',
      runId: input.runId,
      ...(judged.get(r.entry.instanceId) ?? r.entry),
    })),
  );
  if (!told.ok) errors = [...errors, told.error];
  return {
    cursor: page.cursor,
    assess: ids.assess,
    resize: ids.resize,
    restart: ids['restart-then-resize'],
    budget: left,
    errors: mergeErrors([], errors),
    tally: ports.tally.take(),
  };
}

/** The console once more, compared with the first reading. */
export async function readAgain(ports: CellPorts, finding: Finding): Promise<ConsoleReading> {
  if (finding.console.status !== 'read') return finding.console;
  return ports.console.read(finding.instance.instanceId, finding.console.mark);
}

/** Why a second reading excludes nothing; null when it shows the overflow as the first one did. */
export function whyUnread(reading: ConsoleReading): string | null {
  if (reading.status === 'unreadable')
    return `it could not be read a second time: ${reading.error.code}: ${reading.error.message}`;
  if (reading.status !== 'read' || reading.evidence.empty) return 'it was empty at the second reading';
  return reading.evidence.verdict === 'none' ? 'it no longer shows the overflow' : null;
}

function spent(entry: ActionEntry): ActionEntry {
  return {
    ...entry,
    action: 'defer',
    reason: `${entry.reason} This run has used up its resizes.`,
    next: 'The next run looks again.',
  };
}

/** Row 12 with a check that cannot be read: closed, as every unreadable check. */
export function signOfLifeNotExcluded(why: string): Decision {
  return {
    action: 'leave',
    code: 'sign-of-life',
    method: null,
    reason: `Its console was read twice, and ${why}, so a sign of life cannot be excluded.`,
    next: 'Look at the instance; the next run reads it again.',
  };
}
