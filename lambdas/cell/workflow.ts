/**
 * One account x region, from first look to record. Two passes, each survey -> breaker -> triage -> act: first the silent,
 * so that a hung machine in a large fleet is in cure within a minute; then everything else. Plan mode runs both passes
 * and touches nothing.
 */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { CellReport, TriageCode } from '../../domain/contracts.ts';
import type { CallError } from '../../domain/finding.ts';
import type { CallTally, CellMemory, CellPorts, EntryRecord, OpenCell, RunbookDocument } from '../../domain/ports.ts';
import { type BreakerCounts, breakerFor, nextCellMemory, resizeWaves, restartBudget } from '../../domain/safety.ts';
import type { Breaker, Budget } from '../../domain/triage.ts';
import { ALL_ITEMS, addTally, durableRunner, NO_CALLS, type Runner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import type { RestartInput, RestartResult } from '../restart/workflow.ts';
import type { Tempo } from '../tempo.ts';
import { assessInstances, resizeInstances } from './cure.ts';
import { type JudgedPage, judgePage } from './judge.ts';
import { type CellInput, EMPTY_PAGE, mergeErrors, type Source, type SurveyPage, surveyPage } from './survey.ts';

/** What a cell returns to the sweep: its part of the report, and the counts that groups need. */
export interface CellResult {
  readonly report: CellReport;
  readonly images: Readonly<Record<string, number>>;
  readonly launchTemplates: Readonly<Record<string, number>>;
}

/** What a pass found worth doing, in order of instance id. */
export interface PassPlan {
  readonly assess: readonly string[];
  readonly resize: readonly string[];
  readonly restart: readonly string[];
}

/** What a sweep of a cell has come to so far. Everything in it is derived from step results, so a replay rebuilds it. */
export interface CellState {
  readonly seen: SurveyPage;
  readonly suspects: number;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
  readonly breaker: Breaker;
  readonly budget: Budget;
}

const SOURCES: Readonly<Record<EntryRecord['pass'], readonly Source[]>> = {
  silent: ['lost-agents', 'impaired'],
  rest: ['all'],
};
const LEASE_SECONDS = 6 * 3600;
const MOST_GROUPS = 100;

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
    secondReadings: a.secondReadings + b.secondReadings,
    codes: addCounts(a.codes, b.codes),
    images: addCounts(a.images, b.images),
    launchTemplates: addCounts(a.launchTemplates, b.launchTemplates),
    errors: mergeErrors(a.errors, b.errors),
    tally: addTally(a.tally, b.tally),
  };
}

function addCounts<T extends Readonly<Record<string, number | undefined>>>(a: T, b: T): T {
  const sum: Record<string, number | undefined> = { ...a };
  for (const [key, n] of Object.entries(b)) sum[key] = (sum[key] ?? 0) + (n ?? 0);
  return sum as T;
}

/** A cell before anything was looked at. */
export function freshState(input: CellInput): CellState {
  return {
    seen: EMPTY_PAGE,
    suspects: 0,
    errors: [],
    tally: NO_CALLS,
    breaker: { open: false, reason: null },
    budget: { resizesLeft: input.policy.resize.maxPerRun, restartsLeft: 0 },
  };
}

/** The silent pass makes sense only for a whole cell: a run on named instances looks at those, once. */
export function passesOf(input: CellInput): readonly EntryRecord['pass'][] {
  return input.instanceIds === null ? ['silent', 'rest'] : ['rest'];
}

function countsOf(state: CellState, pass: EntryRecord['pass']): BreakerCounts {
  return {
    instances: pass === 'silent' ? null : state.seen.instances - state.seen.outOfScope,
    suspects: state.suspects,
    affected: state.seen.affected - (state.seen.codes['already-handled'] ?? 0),
    silent: state.errors.some((e) => e.call === 'ssm:DescribeInstanceInformation') ? null : state.seen.silent,
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
    let cursor: string | null = null;
    for (let n = 0; ; n++) {
      const at: string | null = cursor;
      const page: SurveyPage = await run.step(`survey-${source}-${n}`, () => surveyPage(ports, input, source, at));
      seen = addPage(seen, page);
      found = addPage(found, page);
      cursor = page.cursor;
      if (cursor === null) break;
      await run.wait(`rest-${source}-${n}`, tempo.restBetweenPagesSeconds);
    }
  }
  let state: CellState = {
    ...before,
    seen,
    suspects: pass === 'silent' ? found.instances - found.outOfScope : before.suspects,
    errors: mergeErrors(before.errors, found.errors),
    tally: addTally(before.tally, found.tally),
  };
  const whole = input.instanceIds === null && input.tags === null;
  const breaker = breakerFor(countsOf(state, pass), memory, input.policy);
  const allowed = restartBudget(
    input.policy.restart,
    whole && pass === 'rest' ? seen.running : (memory?.instances ?? null),
    input.maxRestarts ?? undefined,
  );
  const spent = pass === 'silent' ? 0 : (state.seen.codes.restart ?? 0);
  state = { ...state, breaker, budget: { ...state.budget, restartsLeft: Math.max(0, allowed - spent) } };
  if (found.secondReadings > 0) await run.wait(`second-reading-${pass}`, tempo.betweenReadingsSeconds);
  const plan = { assess: [] as string[], resize: [] as string[], restart: [] as string[] };
  let cursor: string | null = null;
  for (let n = 0; ; n++) {
    const { budget } = state;
    const at: string | null = cursor;
    const judged: JudgedPage = await run.step(`judge-${pass}-${n}`, () =>
      judgePage(ports, input, pass, at, breaker, budget),
    );
    plan.assess.push(...judged.assess);
    plan.resize.push(...judged.resize);
    plan.restart.push(...judged.restart);
    state = {
      ...state,
      seen: { ...state.seen, codes: addCounts(state.seen.codes, judged.codeChanges) },
      budget: judged.budget,
      errors: mergeErrors(state.errors, judged.errors),
      tally: addTally(state.tally, judged.tally),
    };
    cursor = judged.cursor;
    if (cursor === null) break;
  }
  return { state, plan };
}

/** The cell's part of the report. */
export function reportOf(input: CellInput, state: CellState, status: CellReport['status'] | null): CellReport {
  const { seen, errors, tally, breaker } = state;
  const failed = errors.some((e) => e.kind === 'failed');
  const codes = Object.fromEntries(Object.entries(seen.codes).filter(([, n]) => n !== 0));
  return {
    accountId: input.cell.accountId,
    region: input.cell.region,
    status: status ?? (failed ? (seen.instances === 0 ? 'failed' : 'incomplete') : 'done'),
    errors: errors.map(({ kind: _kind, ...error }) => error),
    instances: seen.instances,
    consolesRead: seen.consolesRead,
    unknown: seen.unknown,
    affected: seen.affected,
    codes: codes as Partial<Record<TriageCode, number>>,
    breaker,
    apiCalls: tally.calls,
    throttled: tally.throttled,
  };
}

/** What `cell` needs beside the ports. */
export interface CellDeployment {
  readonly openCell: OpenCell;
  /** Qualified ARN of `restart`. */
  readonly restartFunctionArn: string;
  readonly tempo: Tempo;
}

type Opening =
  | { readonly ready: true; readonly memory: CellMemory | null; readonly document: RunbookDocument | null }
  | { readonly ready: false; readonly status: CellReport['status']; readonly error: CallError };

/** Lease, memory, and in apply mode the document, pinned. */
async function openRun(ports: CellPorts, input: CellInput): Promise<Opening> {
  const memory = mustAnswer(await ports.ledger.getCellMemory(input.cell));
  if (input.mode === 'plan') return { ready: true, memory, document: null };
  const lease = mustAnswer(await ports.ledger.acquireLease(leaseName(input), input.runId, LEASE_SECONDS));
  if (!lease.held) {
    const error: CallError = {
      call: 'lease',
      code: 'HeldByAnotherRun',
      message: `the apply run ${lease.holder} is working on this cell`,
      next: 'Wait until that run is done, or until its lease expires; then run again.',
      kind: 'failed',
    };
    return { ready: false, status: 'skipped', error };
  }
  const document = await ports.runCommand.resolveDocument();
  return document.ok
    ? { ready: true, memory, document: document.value }
    : { ready: false, status: 'not-ready', error: document.error };
}

function leaseName(input: CellInput): string {
  return `cell#${input.cell.accountId}/${input.cell.region}`;
}

/** Makes the workflow of one cell. */
export function cellWorkflow({ openCell, restartFunctionArn, tempo }: CellDeployment) {
  return async (input: CellInput, context: DurableContext): Promise<CellResult> => {
    const ports = openCell(input.cell, input.policy.quotaShare);
    const run = durableRunner(context);
    let state = freshState(input);
    const opening = await run.step('open', () => openRun(ports, input));
    if (!opening.ready) {
      state = { ...state, errors: [opening.error] };
      if (opening.status === 'not-ready') await run.step('release', () => release(ports, input));
      return conclude(run, ports, input, state, null, opening.status);
    }
    try {
      for (const pass of passesOf(input)) {
        const planned = await planPass(run, ports, input, pass, state, opening.memory, tempo);
        state = planned.state;
        if (opening.document === null) continue;
        state = await act(context, ports, input, opening.document, planned.plan, state, pass);
      }
    } finally {
      if (input.mode === 'apply') await run.step('release', () => release(ports, input));
    }
    return conclude(run, ports, input, state, opening.memory, null);
  };

  async function act(
    context: DurableContext,
    ports: CellPorts,
    input: CellInput,
    document: RunbookDocument,
    plan: PassPlan,
    state: CellState,
    pass: EntryRecord['pass'],
  ): Promise<CellState> {
    const assessed = await assessInstances(context, ports, input, document, plan.assess, `assess-${pass}`, tempo);
    const alsoResize = assessed.belowTarget.slice(0, Math.max(0, state.budget.resizesLeft));
    const waves = resizeWaves([...plan.resize, ...alsoResize], input.policy.resize.canary);
    const resized = await resizeInstances(context, ports, input, document, waves, `resize-${pass}`, tempo);
    const restarted = await restartInstances(context, input, document, plan.restart, pass);
    return {
      ...state,
      budget: { ...state.budget, resizesLeft: state.budget.resizesLeft - alsoResize.length },
      errors: mergeErrors(mergeErrors(state.errors, assessed.errors), mergeErrors(resized.errors, restarted.errors)),
      tally: addTally(addTally(state.tally, assessed.tally), addTally(resized.tally, restarted.tally)),
    };
  }

  async function restartInstances(
    context: DurableContext,
    input: CellInput,
    document: RunbookDocument,
    instanceIds: readonly string[],
    pass: EntryRecord['pass'],
  ): Promise<{ errors: readonly CallError[]; tally: CallTally }> {
    if (instanceIds.length === 0) return { errors: [], tally: NO_CALLS };
    const { runId, cell, policy } = input;
    const done = await context.map(
      `restart-${pass}`,
      [...instanceIds],
      (c, instanceId) =>
        c.invoke<RestartInput, RestartResult>('restart', restartFunctionArn, {
          runId,
          cell,
          policy,
          instanceId,
          document,
        }),
      { maxConcurrency: policy.restart.maxInFlight, completionConfig: ALL_ITEMS },
    );
    let errors: readonly CallError[] = [];
    let tally = NO_CALLS;
    for (const item of done.all) {
      const instanceId = instanceIds[item.index] ?? '';
      if (item.result) {
        errors = mergeErrors(errors, item.result.errors);
        tally = addTally(tally, item.result.tally);
      } else errors = mergeErrors(errors, [restartLost(instanceId, item.error)]);
    }
    return { errors, tally };
  }
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

async function release(ports: CellPorts, input: CellInput): Promise<null> {
  return mustAnswer(await ports.ledger.releaseLease(leaseName(input), input.runId));
}

/** Keeps what the next sweep's breaker needs, and the cell's part of the report. */
async function conclude(
  run: Runner,
  ports: CellPorts,
  input: CellInput,
  state: CellState,
  memory: CellMemory | null,
  status: CellReport['status'] | null,
): Promise<CellResult> {
  const report = reportOf(input, state, status);
  await run.step('conclude', async () => {
    // A run on a part of the cell says nothing about how many are usual there.
    if (status === null && input.instanceIds === null && input.tags === null) {
      const next = nextCellMemory(memory, countsOf(state, 'rest'), input.policy, ports.clock.now());
      mustAnswer(await ports.ledger.putCellMemory(input.cell, next));
    }
    mustAnswer(await ports.ledger.putCellReport(input.runId, report));
  });
  return { report, images: largest(state.seen.images), launchTemplates: largest(state.seen.launchTemplates) };
}

/** The most frequent ones: a result must stay small however many images a cell has. */
function largest(counts: Readonly<Record<string, number>>): Record<string, number> {
  const sorted = Object.entries(counts).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return Object.fromEntries(sorted.slice(0, MOST_GROUPS));
}
