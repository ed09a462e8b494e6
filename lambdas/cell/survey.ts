/** Looking at one page of a cell: facts, consoles, findings. Changes nothing in the fleet. */
import { aftercareOf, knownUndone } from '../../domain/aftercare.ts';
import type { TriageCode } from '../../domain/contracts.ts';
import { acts } from '../../domain/drift.ts';
import { entryOf } from '../../domain/entry.ts';
import type { CallError, Cell, ConsoleReading, Finding, InstanceFacts } from '../../domain/finding.ts';
import type { Policy } from '../../domain/policy.ts';
import type { Answer, CallTally, CellPorts, EntryRecord, Page } from '../../domain/ports.ts';
import { matchesTags, outOfScopeBecause } from '../../domain/scope.ts';
import { needsPreflight, needsSecondReading, reachabilityOf, triage } from '../../domain/triage.ts';
import { mustAnswer } from '../errors.ts';
import { withEntry } from '../plan-digest.ts';

/** What a cell is asked to do. Travels through a durable invoke: small, plain data. */
export interface CellInput {
  readonly runId: string;
  readonly mode: 'plan' | 'apply';
  readonly cell: Cell;
  /** Already merged for this cell. */
  readonly policy: Policy;
  readonly instanceIds: readonly string[] | null;
  readonly tags: Readonly<Record<string, readonly string[]>> | null;
  readonly maxRestarts: number | null;
  /** Apply exactly what this earlier run planned. */
  readonly planId: string | null;
  /** A person names these very instances and looks at the plan before it is applied: then an open breaker is reported and
   * does not forbid their restart. */
  readonly pastBreaker: boolean;
}

/** The listings that EC2 and SSM filter. */
export type FilteredSource = 'lost-agents' | 'impaired';
/** Where a page of instances comes from. */
export type Source = FilteredSource | 'all' | 'named';

/** Small enough that a page ends within an invocation even when its calls time out. */
export const SURVEY_PAGE_SIZE = 100;
const MOST_ERRORS = 20;
const CONSOLES_AT_ONCE = 10;

/** What one page came to: counts and a cursor, never console text. */
export interface SurveyPage {
  readonly cursor: string | null;
  readonly instances: number;
  readonly running: number;
  readonly healthy: number;
  readonly affected: number;
  readonly unknown: number;
  readonly outOfScope: number;
  readonly consolesRead: number;
  readonly silent: number;
  /** Instances that something may be done to, and so have to be judged. */
  readonly candidates: number;
  /** Of them, those whose console must be read a second time first. */
  readonly secondReadings: number;
  readonly codes: Readonly<Partial<Record<TriageCode, number>>>;
  readonly images: Readonly<Record<string, number>>;
  readonly launchTemplates: Readonly<Record<string, number>>;
  /** A listing broke off, so that these are not all. */
  readonly brokenOff: boolean;
  /** Calls that failed for good; one of each kind. */
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

const UNLIMITED = { resizesLeft: Number.MAX_SAFE_INTEGER, restartsLeft: Number.MAX_SAFE_INTEGER };
const CLOSED_BREAKER = { open: false, reason: null };

/** Keeps one error of each call and code: ten thousand denials are one thing to mend. */
export function mergeErrors(a: readonly CallError[], b: readonly CallError[]): readonly CallError[] {
  const merged = new Map<string, CallError>();
  for (const error of [...a, ...b]) {
    const key = `${error.call} ${error.code}`;
    if (!merged.has(key)) merged.set(key, error);
  }
  return [...merged.values()].slice(0, MOST_ERRORS);
}

function addCounts(into: Record<string, number>, key: string | null): void {
  if (key !== null) into[key] = (into[key] ?? 0) + 1;
}

async function pageOfInstances(
  ports: CellPorts,
  input: CellInput,
  source: Source,
  cursor: string | null,
): Promise<Answer<Page<InstanceFacts>>> {
  if (source === 'all') return ports.fleet.listInstances(cursor, SURVEY_PAGE_SIZE);
  if (source === 'named') {
    const from = Number(cursor ?? 0);
    const ids = [...(input.instanceIds ?? [])].sort();
    const answer = await ports.fleet.describeInstances(ids.slice(from, from + SURVEY_PAGE_SIZE));
    if (!answer.ok) return answer;
    const next = from + SURVEY_PAGE_SIZE;
    return { ok: true, value: { items: answer.value, cursor: next < ids.length ? String(next) : null } };
  }
  return filteredInstances(ports, source, cursor);
}

/** One page of the silent pass: whose agent is lost, or whose status check is impaired. */
export async function filteredInstances(
  ports: CellPorts,
  source: FilteredSource,
  cursor: string | null,
): Promise<Answer<Page<InstanceFacts>>> {
  const list = source === 'impaired' ? ports.fleet.listImpaired : ports.fleet.listLostAgents;
  const ids = await list.call(ports.fleet, cursor);
  if (!ids.ok) return ids;
  if (ids.value.items.length === 0) return { ok: true, value: { items: [], cursor: ids.value.cursor } };
  const described = await ports.fleet.describeInstances(ids.value.items);
  return described.ok ? { ok: true, value: { items: described.value, cursor: ids.value.cursor } } : described;
}

async function inChunks<T, R>(items: readonly T[], size: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < items.length; i += size) results.push(...(await Promise.all(items.slice(i, i + size).map(work))));
  return results;
}

/** Whether a row before the console decides, so that its console is not read at all. */
export function decidedWithoutConsole(instance: InstanceFacts, outOfScope: string | null, policy: Policy): boolean {
  const optedOut = instance.tags[policy.tags.optOut]?.trim().toLowerCase() === 'disabled';
  return outOfScope !== null || instance.platform !== 'linux' || instance.state !== 'running' || optedOut;
}

/**
 * Facts and consoles of these instances as findings. `errors` are the calls that failed for good; a finding is made
 * all the same, saying what could not be read.
 */
export async function findingsOf(
  ports: CellPorts,
  policy: Policy,
  instances: readonly InstanceFacts[],
  previousMark: (instanceId: string) => string | null = () => null,
): Promise<{ findings: Finding[]; errors: CallError[] }> {
  const errors: CallError[] = [];
  const scoped = instances.map((instance) => ({ instance, outOfScope: outOfScopeBecause(instance, policy.scope) }));
  const inScope = scoped.filter((s) => !decidedWithoutConsole(s.instance, s.outOfScope, policy));
  const ids = inScope.map((s) => s.instance.instanceId);
  const histories = mustAnswer(await ports.ledger.getHistories(ports.cell, ids));
  const agents = ids.length > 0 ? await ports.fleet.agents(ids) : { ok: true as const, value: new Map() };
  const checks = ids.length > 0 ? await ports.fleet.statusChecks(ids) : { ok: true as const, value: new Map() };
  if (!agents.ok) errors.push(agents.error);
  if (!checks.ok) errors.push(checks.error);
  const readings = new Map<string, ConsoleReading>();
  await inChunks(ids, CONSOLES_AT_ONCE, async (id) => {
    const reading = await ports.console.read(id, previousMark(id));
    readings.set(id, reading);
    if (reading.status === 'unreadable' && reading.error.kind === 'failed') errors.push(reading.error);
  });
  const now = ports.clock.now();
  const findings: Finding[] = [];
  for (const { instance, outOfScope } of scoped) {
    const id = instance.instanceId;
    const finding: Finding = {
      cell: ports.cell,
      instance,
      outOfScope,
      statusCheck: (checks.ok ? checks.value.get(id) : undefined) ?? 'unknown',
      agent: (agents.ok ? agents.value.get(id) : undefined) ?? null,
      ...(agents.ok ? {} : { agentError: agents.error }),
      console: readings.get(id) ?? { status: 'not-read' },
      history: histories.get(id) ?? null,
      preflight: null,
    };
    const input = { finding, policy, breaker: CLOSED_BREAKER, budget: UNLIMITED, now };
    const preflight = needsPreflight(input) ? await ports.fleet.preflight(instance, policy.restart.signsOfLife) : null;
    findings.push({ ...finding, preflight });
  }
  return { findings, errors };
}

/** Those of the plan to be applied that it wants something done to: whatever they are now, the report speaks of them. */
async function plannedAmong(
  ports: CellPorts,
  { planId, cell }: CellInput,
  instances: readonly InstanceFacts[],
): Promise<ReadonlySet<string>> {
  if (planId === null) return new Set();
  const ids = instances.map((i) => i.instanceId);
  const records = mustAnswer(await ports.ledger.getEntries(planId, cell, ids));
  return new Set(records.filter((r) => acts(r.entry)).map((r) => r.entry.instanceId));
}

/**
 * Surveys one page: reads, judges provisionally and writes a record per instance that is not simply healthy.
 * A read that fails for good is counted in `errors`; a ledger that fails is an error of the step, which is repeated.
 */
export async function surveyPage(
  ports: CellPorts,
  input: CellInput,
  source: Source,
  cursor: string | null,
  pageName: string,
): Promise<SurveyPage> {
  const errors: CallError[] = [];
  const page = await pageOfInstances(ports, input, source, cursor);
  // A listing that fails is never an empty cell, whatever AWS means by it.
  if (!page.ok) {
    const errors = [{ ...page.error, kind: 'failed' as const }];
    return { ...EMPTY_PAGE, brokenOff: true, errors, tally: ports.tally.take() };
  }
  const planned = await plannedAmong(ports, input, page.value.items);
  const asked = page.value.items.filter(
    (i) =>
      planned.has(i.instanceId) || (i.state !== 'terminated' && (input.tags === null || matchesTags(i, input.tags))),
  );
  const ids = asked.map((i) => i.instanceId);
  const pass = source === 'lost-agents' || source === 'impaired' ? 'silent' : 'rest';
  const seen = mustAnswer(await ports.ledger.getEntries(input.runId, input.cell, ids));
  // Entries of this very page are of an earlier try of this step: they are counted, and written, again.
  const seenIds = new Set(seen.filter((r) => r.page !== pageName).map((r) => r.entry.instanceId));
  const looked = await findingsOf(
    ports,
    input.policy,
    asked.filter((i) => !seenIds.has(i.instanceId)),
  );
  errors.push(...looked.errors);
  const totals = { ...NO_COUNTS };
  const codes: Partial<Record<TriageCode, number>> = {};
  const images: Record<string, number> = {};
  const launchTemplates: Record<string, number> = {};
  const records: EntryRecord[] = [];
  const now = ports.clock.now();
  for (const finding of looked.findings) {
    const { instance, console } = finding;
    const triageInput = { finding, policy: input.policy, breaker: CLOSED_BREAKER, budget: UNLIMITED, now };
    const decision = triage(triageInput);
    totals.instances++;
    if (instance.state === 'running') totals.running++;
    codes[decision.code] = (codes[decision.code] ?? 0) + 1;
    if (console.status === 'not-read') totals.outOfScope++;
    else {
      addCounts(images, instance.imageId);
      addCounts(launchTemplates, instance.launchTemplate);
      if (reachabilityOf(finding.agent, finding.history, now).reachability === 'silent') totals.silent++;
      if (console.status === 'read' && !console.evidence.empty) {
        totals.consolesRead++;
        if (console.evidence.verdict === 'none') totals.healthy++;
        else totals.affected++;
      } else totals.unknown++;
    }
    const second = needsSecondReading(triageInput);
    if (second) totals.secondReadings++;
    if (second || (decision.action !== 'leave' && decision.action !== 'defer')) totals.candidates++;
    const cured = finding.history?.proven != null;
    if (decision.code === 'healthy' && !cured && !planned.has(instance.instanceId) && source === 'all') continue;
    const outcome = aftercareOf(finding, decision.code, input.policy, now);
    const judged = entryOf(finding, decision, input.policy, now);
    const undone = knownUndone(finding.history, decision.code);
    const entry = { ...judged, reason: undone === null ? judged.reason : `${judged.reason} ${undone}`, outcome };
    records.push(withEntry({ entry, finding: JSON.stringify(finding), pass, page: pageName }, entry));
  }
  mustAnswer(await ports.ledger.putEntries(input.runId, input.cell, records));
  return {
    ...totals,
    cursor: page.value.cursor,
    brokenOff: false,
    codes,
    images,
    launchTemplates,
    errors: mergeErrors([], errors),
    tally: ports.tally.take(),
  };
}

const NO_COUNTS = {
  instances: 0,
  running: 0,
  healthy: 0,
  affected: 0,
  unknown: 0,
  outOfScope: 0,
  consolesRead: 0,
  silent: 0,
  candidates: 0,
  secondReadings: 0,
};

/** Nothing looked at yet. */
export const EMPTY_PAGE: SurveyPage = {
  ...NO_COUNTS,
  cursor: null,
  brokenOff: false,
  codes: {},
  images: {},
  launchTemplates: {},
  errors: [],
  tally: { calls: {}, throttled: 0 },
};
