/** Looking at a cell and deciding what to do there, pass by pass. Changes nothing in the fleet. */
import type { CellReport, TriageCode } from '../../domain/contracts.ts';
import type { CallError } from '../../domain/finding.ts';
import type { CallTally, CellMemory, CellPorts, EntryRecord, Page } from '../../domain/ports.ts';
import { type BreakerCounts, breakerFor, restartBudget } from '../../domain/safety.ts';
import { type CountedCell, countsByCode } from '../../domain/totals.ts';
import type { Breaker, Budget } from '../../domain/triage.ts';
import { addNumbers, addTally, NO_CALLS, type Runner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import type { Tempo } from '../tempo.ts';
import { eachPage } from './each-page.ts';
import { judgeRecords } from './judge.ts';
import { type CellInput, EMPTY_PAGE, mergeErrors, type Source, type SurveyPage, surveyPage } from './survey.ts';
import { type CellSuspects, countSuspects } from './suspects.ts';

/** What a pass found worth doing, in order of instance id. */
export interface PassPlan {
  readonly assess: readonly string[];
  readonly resize: readonly string[];
  readonly restart: readonly string[];
  /** Left alone; their limit is read again when all else is done. */
  readonly lookAgain: readonly string[];
}

/** What a sweep of a cell has come to so far. Everything in it is derived from step results, so a replay rebuilds it. */
export interface CellState {
  readonly seen: SurveyPage;
  readonly suspects: number;
  /** Of the whole cell, where the run is on a part of it and may restart; null otherwise. */
  readonly wholeCell: Pick<CellSuspects, 'suspects' | 'silent'> | null;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
  readonly breaker: Breaker;
  readonly budget: Budget;
  /** Restarts planned so far. */
  readonly restarts: number;
  /** Why this run restarts nothing further: a machine did not come back. null: none did not. */
  readonly restartsEnded: string | null;
}

const SOURCES: Readonly<Record<EntryRecord['pass'], readonly Source[]>> = {
  silent: ['lost-agents', 'impaired'],
  rest: ['all'],
};

/** Adds a page to what was seen. */
function addPage(a: SurveyPage, b: SurveyPage): SurveyPage {
  return {
    cursor: b.cursor,
    instances: a.instances + b.instances,
    running: a.running + b.running,
    healthy: a.healthy + b.healthy,
    affected: a.affected + b.affected,
    unknown: a.unknown + b.unknown,
    outOfScope: a.outOfScope + b.outOfScope,
    consolesRead: a.consolesRead + b.consolesRead,
    silent: a.silent + b.silent,
    candidates: a.candidates + b.candidates,
    brokenOff: a.brokenOff || b.brokenOff,
    secondReadings: a.secondReadings + b.secondReadings,
    codes: addNumbers(a.codes, b.codes),
    images: addNumbers(a.images, b.images),
    launchTemplates: addNumbers(a.launchTemplates, b.launchTemplates),
    errors: mergeErrors(a.errors, b.errors),
    tally: addTally(a.tally, b.tally),
  };
}

/** A cell before anything was looked at. */
export function freshState(input: CellInput): CellState {
  return {
    seen: EMPTY_PAGE,
    suspects: 0,
    wholeCell: null,
    errors: [],
    tally: NO_CALLS,
    breaker: { open: false, reason: null },
    budget: { resizesLeft: input.policy.resize.maxPerRun, restartsLeft: 0 },
    restarts: 0,
    restartsEnded: null,
  };
}

/** The silent pass makes sense only for a whole cell: a run on named instances looks at those, once. */
export function passesOf(input: CellInput): readonly EntryRecord['pass'][] {
  return input.instanceIds === null ? ['silent', 'rest'] : ['rest'];
}

/** Whether the run looks at the whole cell, and so knows how large it is and what is usual there. */
export function isWhole({ instanceIds, tags }: CellInput): boolean {
  return instanceIds === null && tags === null;
}

/** What the breaker counts, as it stands after a pass. */
export function countsOf(state: CellState, pass: EntryRecord['pass']): BreakerCounts {
  const { seen, wholeCell } = state;
  const unread = seen.brokenOff || state.errors.some((e) => e.call === 'ssm:DescribeInstanceInformation');
  return {
    // The size of a part says nothing of the cell's.
    instances: pass === 'silent' || seen.brokenOff || wholeCell !== null ? null : seen.instances - seen.outOfScope,
    suspects: wholeCell?.suspects ?? state.suspects,
    affected: seen.affected - (seen.codes['already-handled'] ?? 0),
    silent: unread ? null : wholeCell === null ? seen.silent : wholeCell.silent,
  };
}

/**
 * Surveys and judges one pass. The same for a durable workflow and for a plain loop on a laptop: all I/O is in the steps
 * of the runner, everything else is computed from their results.
 */
export async function planPass(
  run: Runner,
  ports: CellPorts,
  input: CellInput,
  pass: EntryRecord['pass'],
  before: CellState,
  memory: CellMemory | null,
  tempo: Tempo,
): Promise<{ state: CellState; plan: PassPlan }> {
  let seen = before.seen;
  let found = EMPTY_PAGE;
  for (const source of input.instanceIds === null ? SOURCES[pass] : (['named'] as const)) {
    const read = (cursor: string | null, n: number) => surveyPage(ports, input, source, cursor, `${source}-${n}`);
    await eachPage(run, tempo, `survey-${source}`, read, (page) => {
      seen = addPage(seen, page);
      found = addPage(found, page);
    });
  }
  let state: CellState = {
    ...before,
    seen,
    suspects: pass === 'silent' ? found.instances - found.outOfScope : before.suspects,
    errors: mergeErrors(before.errors, found.errors),
    tally: addTally(before.tally, found.tally),
  };
  if (!isWhole(input) && state.wholeCell === null && mayRestartAny(input)) {
    const { suspects, silent, errors, tally } = await countSuspects(run, ports, input, tempo);
    state = {
      ...state,
      wholeCell: { suspects, silent },
      errors: mergeErrors(state.errors, errors),
      tally: addTally(state.tally, tally),
    };
  }
  const breaker = breakerFor(countsOf(state, pass), memory, input.policy);
  const allowed = restartBudget(
    input.policy.restart,
    isWhole(input) && pass === 'rest' ? seen.running : (memory?.instances ?? null),
    input.maxRestarts ?? undefined,
  );
  state = { ...state, breaker, budget: { ...state.budget, restartsLeft: Math.max(0, allowed - state.restarts) } };
  if (found.secondReadings > 0) await run.wait(`second-reading-${pass}`, tempo.betweenReadingsSeconds);
  const plan = { assess: [] as string[], resize: [] as string[], restart: [] as string[], lookAgain: [] as string[] };
  const judge = (cursor: string | null) => judgeRecords(ports, input, pass, cursor, breaker, state.budget);
  await eachPage(run, tempo, `judge-${pass}`, judge, (judged) => {
    plan.assess.push(...judged.assess);
    plan.resize.push(...judged.resize);
    plan.restart.push(...judged.restart);
    plan.lookAgain.push(...judged.lookAgain);
    state = {
      ...state,
      budget: judged.budget,
      errors: mergeErrors(state.errors, judged.errors),
      tally: addTally(state.tally, judged.tally),
    };
  });
  return { state: { ...state, restarts: state.restarts + plan.restart.length }, plan };
}

/** Whether anything but the breaker could let this run restart a machine. */
function mayRestartAny({ policy, maxRestarts }: CellInput): boolean {
  return policy.restart.policy !== 'never' && maxRestarts !== 0;
}

/**
 * How often each code was given in the end: the ledger's entries, and the healthy ones that have none. All counts come from
 * here, so that a report adds up also where a page was surveyed twice and an instance had left it meanwhile.
 */
export async function finalCounts(ports: CellPorts, input: CellInput, state: CellState): Promise<CountedCell> {
  const codes: Partial<Record<TriageCode, number>> = {};
  let cursor: string | null = null;
  do {
    const page: Page<EntryRecord> = mustAnswer(await ports.ledger.listEntries(input.runId, input.cell, cursor));
    for (const { entry } of page.items) codes[entry.code] = (codes[entry.code] ?? 0) + 1;
    cursor = page.cursor;
  } while (cursor !== null);
  const healthy = state.seen.codes.healthy ?? 0;
  if (healthy > 0) codes.healthy = healthy;
  else delete codes.healthy;
  return countsByCode(codes);
}

/** The cell's part of the report. */
export function reportOf(
  input: CellInput,
  state: CellState,
  status: CellReport['status'] | null,
  counts: CountedCell,
): CellReport {
  const { seen, errors, tally, breaker } = state;
  const failed = errors.some((e) => e.kind === 'failed');
  return {
    accountId: input.cell.accountId,
    region: input.cell.region,
    status: status ?? (failed ? (seen.instances === 0 ? 'failed' : 'incomplete') : 'done'),
    errors: errors.map(({ kind: _kind, ...error }) => error),
    consolesRead: seen.consolesRead,
    ...counts,
    breaker,
    apiCalls: tally.calls,
    throttled: tally.throttled,
  };
}
