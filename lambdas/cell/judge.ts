/** From what a survey recorded to what is to be done: second readings, triage with breaker and budget, the plan. */
import { limitIsDue } from '../../domain/aftercare.ts';
import type { ActionEntry } from '../../domain/contracts.ts';
import { acts, driftFrom, isRefused, refused } from '../../domain/drift.ts';
import { entryOf } from '../../domain/entry.ts';
import type { CallError, ConsoleReading, Finding } from '../../domain/finding.ts';
import type { CallTally, CellPorts, EntryRecord } from '../../domain/ports.ts';
import { secondsBetween } from '../../domain/times.ts';
import {
  type Breaker,
  type Budget,
  type Decision,
  needsPreflight,
  needsSecondReading,
  type TriageInput,
  triage,
} from '../../domain/triage.ts';
import { addTally } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import { entryDigest, withEntry } from '../plan-digest.ts';
import { overflowedAt } from './batches.ts';
import { streamName } from './record.ts';
import { type CellInput, mergeErrors } from './survey.ts';

/** What some records came to. A page more of ids than {@link ENOUGH} at most: the ledger bounds a page. */
export interface JudgedPage {
  readonly cursor: string | null;
  /** Also those to be resized of which nothing names the limit yet: it is read first, so that no cure doubles twice. */
  readonly assess: readonly string[];
  readonly resize: readonly string[];
  readonly restart: readonly string[];
  /** Cured ones that are left alone, and whose limit is to be read again. */
  readonly lookAgain: readonly string[];
  readonly budget: Budget;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

/** Whether breaker, budget or a second reading may still change what the survey decided. */
function isOpen(record: EntryRecord, input: TriageInput): boolean {
  return record.entry.outcome === null && (record.entry.action !== 'leave' || needsSecondReading(input));
}

/** Why an instance is refused when a plan is applied; null: it is as planned. */
function whyRefused(planned: EntryRecord | undefined, now: ActionEntry): string | null {
  // Checked before the run began; once more, since somebody may be at the table just now.
  if (planned && planned.seal !== entryDigest(planned.entry)) return 'its entry in the plan was altered';
  return driftFrom(planned?.entry, now);
}

/** Triage. Where nothing but the open breaker forbids a restart and a person may pass it, the restart, saying so. */
function decide(asked: TriageInput, { mode, pastBreaker }: CellInput): Decision {
  const decision = triage(asked);
  if (decision.code !== 'breaker-open' || !pastBreaker) return decision;
  const without = triage({ ...asked, breaker: { open: false, reason: null } });
  const how = mode === 'plan' ? 'only applying this plan restarts it' : 'a person applies the plan of it';
  return { ...without, reason: `${without.reason} The breaker is open (${asked.breaker.reason}): ${how}.` };
}

/** So many pages of records that nothing is done to are gone over in one step; a large cell has thousands. */
const MOST_PAGES = 20;
/** With so many instances to be acted on a step ends: its result stays small. */
const ENOUGH = 50;
/** After this nothing is read any more in a step, which must end within its invocation. Unit: seconds. */
const READING_SECONDS = 240;

/** Judges the next records of a pass, in order of instance id, and writes the plan's entries. */
export async function judgeRecords(
  ports: CellPorts,
  input: CellInput,
  pass: EntryRecord['pass'],
  cursor: string | null,
  breaker: Breaker,
  budget: Budget,
): Promise<JudgedPage> {
  const began = ports.clock.now();
  const inTime = () => secondsBetween(began, ports.clock.now()) < READING_SECONDS;
  let sum = await judgePage(ports, input, pass, cursor, breaker, budget, inTime);
  for (let pages = 1; pages < MOST_PAGES && sum.cursor !== null && toDo(sum) < ENOUGH && inTime(); pages++) {
    const page = await judgePage(ports, input, pass, sum.cursor, breaker, sum.budget, inTime);
    sum = {
      cursor: page.cursor,
      assess: [...sum.assess, ...page.assess],
      resize: [...sum.resize, ...page.resize],
      restart: [...sum.restart, ...page.restart],
      lookAgain: [...sum.lookAgain, ...page.lookAgain],
      budget: page.budget,
      errors: mergeErrors(sum.errors, page.errors),
      tally: addTally(sum.tally, page.tally),
    };
  }
  return sum;
}

function toDo({ assess, resize, restart, lookAgain }: JudgedPage): number {
  return assess.length + resize.length + restart.length + lookAgain.length;
}

async function judgePage(
  ports: CellPorts,
  input: CellInput,
  pass: EntryRecord['pass'],
  cursor: string | null,
  breaker: Breaker,
  budget: Budget,
  inTime: () => boolean,
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
  const plan = new Map(planned.map((r) => [r.entry.instanceId, r]));
  const ids: Record<'assess' | 'resize' | 'restart-then-resize', string[]> = {
    assess: [],
    resize: [],
    'restart-then-resize': [],
  };
  const lookAgain: string[] = [];
  const changed: EntryRecord[] = [];
  let left = budget;
  let errors: readonly CallError[] = [];
  for (const record of records) {
    let finding = JSON.parse(record.finding) as Finding;
    const judge = (): TriageInput => ({ finding, policy: input.policy, breaker, budget: left, now: ports.clock.now() });
    if (!isOpen(record, judge())) {
      const was = plan.get(record.entry.instanceId);
      const drift = was && acts(was.entry) && !isRefused(record.entry) ? whyRefused(was, record.entry) : null;
      if (drift !== null) changed.push(withEntry(record, refused(record.entry, drift)));
      // A plan that is applied leaves it alone, and so is it left.
      if (input.planId === null && limitIsDue(record.entry, finding.history)) lookAgain.push(record.entry.instanceId);
      continue;
    }
    const asks = needsSecondReading(judge()) || needsPreflight(judge());
    let unread: string | null = asks && !inTime() ? NO_TIME : null;
    if (unread === null && needsSecondReading(judge())) {
      const reading = await readAgain(ports, finding);
      unread = whyUnread(reading);
      if (reading.status === 'read' && unread === null) finding = { ...finding, console: reading };
      if (reading.status === 'unreadable' && reading.error.kind === 'failed') errors = [...errors, reading.error];
    }
    if (unread === null && needsPreflight(judge())) {
      const preflight = await ports.fleet.preflight(finding.instance, input.policy.restart.signsOfLife);
      finding = { ...finding, preflight };
    }
    const decision = unread === null ? decide(judge(), input) : signOfLifeNotExcluded(unread);
    let entry = entryOf(finding, decision, input.policy, ports.clock.now());
    const drift = input.planId ? whyRefused(plan.get(entry.instanceId), entry) : null;
    if (drift !== null) entry = refused(entry, drift);
    if (entry.action === 'assess' && left.resizesLeft <= 0) entry = spent(entry);
    // An assess may become a resize, so it is paid for like one.
    if (entry.action === 'resize' || entry.action === 'assess') left = { ...left, resizesLeft: left.resizesLeft - 1 };
    if (entry.action === 'restart-then-resize') left = { ...left, restartsLeft: left.restartsLeft - 1 };
    if (entry.action === 'resize' && overflowedAt(entry, finding.history) === 0) ids.assess.push(entry.instanceId);
    else if (entry.action !== 'leave' && entry.action !== 'defer') ids[entry.action].push(entry.instanceId);
    changed.push(withEntry({ ...record, finding: JSON.stringify(finding) }, entry));
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
    lookAgain,
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
    return `its console could not be read a second time: ${reading.error.code}: ${reading.error.message}`;
  if (reading.status !== 'read' || reading.evidence.empty) return 'its console was empty at the second reading';
  return reading.evidence.verdict === 'none' ? 'its console no longer shows the overflow at the second reading' : null;
}

const NO_TIME = 'the reads of others took so long that there was no time left to look at it again';

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
    reason: `A sign of life cannot be excluded: ${why}.`,
    next: 'Look at the instance; the next run reads it again.',
  };
}
