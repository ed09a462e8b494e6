/**
 * One account x region, from first look to record. Two passes, each survey -> breaker -> triage -> act: first the silent,
 * so that a hung machine in a large fleet is in cure within a minute; then everything else. At last the limits of what was
 * cured earlier are read again. Plan mode runs both passes and touches nothing.
 */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { CellReport } from '../../domain/contracts.ts';
import type { CallError } from '../../domain/finding.ts';
import { cellLease } from '../../domain/lease.ts';
import type { CellMemory, CellPorts, EntryRecord, OpenCell, RunbookDocument } from '../../domain/ports.ts';
import { nextCellMemory, resizeOrder } from '../../domain/safety.ts';
import { addTally, durableRunner, type Runner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import { heldByAnother, takeLease } from '../lease.ts';
import type { Tempo } from '../tempo.ts';
import { assessInstances, resizeInstances } from './cure.ts';
import { lookAgain } from './look-again.ts';
import {
  type CellState,
  countsOf,
  finalCounts,
  freshState,
  isWhole,
  type PassPlan,
  passesOf,
  planPass,
  reportOf,
} from './plan-pass.ts';
import { restartInstances } from './restart-waves.ts';
import type { CureResult } from './send-wave.ts';
import { type CellInput, mergeErrors } from './survey.ts';

const MOST_GROUPS = 100;

/** What a cell returns to the sweep: its part of the report, and the counts that groups need. */
export interface CellResult {
  readonly report: CellReport;
  readonly images: Readonly<Record<string, number>>;
  readonly launchTemplates: Readonly<Record<string, number>>;
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
async function openRun(ports: CellPorts, input: CellInput, execution: string): Promise<Opening> {
  const memory = mustAnswer(await ports.ledger.getCellMemory(input.cell));
  if (input.mode === 'plan') return { ready: true, memory, document: null };
  const lease = await takeLease(ports.ledger, cellLease(input.cell), { runId: input.runId, execution });
  const other = heldByAnother(lease);
  if (other) return { ready: false, status: 'skipped', error: other };
  const document = await ports.runCommand.resolveDocument();
  return document.ok
    ? { ready: true, memory, document: document.value }
    : { ready: false, status: 'not-ready', error: document.error };
}

/** Makes the workflow of one cell. */
export function cellWorkflow({ openCell, restartFunctionArn, tempo }: CellDeployment) {
  return async (input: CellInput, context: DurableContext): Promise<CellResult> => {
    const ports = openCell(input.cell, input.policy.quotaShare);
    const run = durableRunner(context);
    let state = freshState(input);
    const opening = await run.step('open', () => openRun(ports, input, context.executionContext.durableExecutionArn));
    if (!opening.ready) {
      state = { ...state, errors: [opening.error] };
      if (opening.status === 'not-ready') await run.step('release', () => release(ports, input));
      return conclude(run, ports, input, state, null, opening.status);
    }
    try {
      const cured: string[] = [];
      for (const pass of passesOf(input)) {
        const planned = await planPass(run, ports, input, pass, state, opening.memory, tempo);
        state = planned.state;
        if (opening.document === null) continue;
        cured.push(...planned.plan.lookAgain);
        state = await act(context, ports, input, opening.document, planned.plan, state, pass);
      }
      if (opening.document !== null) {
        // After all cures, with what they left of the budget; the rest waits for the next sweep.
        const due = cured.slice(0, Math.max(0, state.budget.resizesLeft));
        const looked = await lookAgain(context, ports, input, opening.document, due, tempo);
        state = withParts(state, [looked]);
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
    const order = resizeOrder([...plan.resize, ...assessed.belowTarget], input.runId);
    const resized = await resizeInstances(context, ports, input, document, order, `resize-${pass}`, tempo);
    const restarted = await restartInstances(
      context,
      ports,
      input,
      document,
      plan.restart,
      `restart-${pass}`,
      restartFunctionArn,
      state.restartsEnded,
    );
    return { ...withParts(state, [assessed, resized, restarted]), restartsEnded: restarted.failed };
  }
}

/** Adds the errors and calls of what was done. */
function withParts(state: CellState, parts: readonly Pick<CureResult, 'errors' | 'tally'>[]): CellState {
  return {
    ...state,
    errors: parts.reduce((errors, part) => mergeErrors(errors, part.errors), state.errors),
    tally: parts.reduce((tally, part) => addTally(tally, part.tally), state.tally),
  };
}

async function release(ports: CellPorts, input: CellInput): Promise<null> {
  return mustAnswer(await ports.ledger.releaseLease(cellLease(input.cell), input.runId));
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
  const report = await run.step('conclude', async () => {
    // A run on a part of the cell says nothing about how many are usual there.
    if (status === null && isWhole(input)) {
      const latest = mustAnswer(await ports.ledger.getCellMemory(input.cell));
      const next = nextCellMemory(memory, latest, countsOf(state, 'rest'), input.policy, ports.clock.now());
      mustAnswer(await ports.ledger.putCellMemory(input.cell, next));
    }
    const concluded = reportOf(input, state, status, await finalCounts(ports, input, state));
    mustAnswer(await ports.ledger.putCellReport(input.runId, concluded));
    return concluded;
  });
  return { report, images: largest(state.seen.images), launchTemplates: largest(state.seen.launchTemplates) };
}

/** The most frequent ones: a result must stay small however many images a cell has. */
function largest(counts: Readonly<Record<string, number>>): Record<string, number> {
  const sorted = Object.entries(counts).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return Object.fromEntries(sorted.slice(0, MOST_GROUPS));
}
