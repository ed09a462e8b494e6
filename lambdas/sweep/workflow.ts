/** One run over its cells: side by side, each in an execution of its own, then the report and the news of it. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { CellReport, Gate, RunReport, RunRequest } from '../../domain/contracts.ts';
import { type Cell, cellName } from '../../domain/finding.ts';
import { type Policy, policyForCell } from '../../domain/policy.ts';
import type { HubPorts, RunRecord } from '../../domain/ports.ts';
import type { CellInput } from '../cell/survey.ts';
import type { CellResult } from '../cell/workflow.ts';
import { ALL_ITEMS, durableRunner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import { allEntries, assembleReport, bounded } from './report.ts';
import { summaryText } from './summary.ts';

/** What `run` asks of `sweep`. The policy travels with it, so that one run has one policy. */
export interface SweepInput {
  readonly runId: string;
  readonly mode: 'plan' | 'apply';
  readonly request: RunRequest;
  readonly policy: Policy;
  readonly policyDigest: string;
  readonly gate: Gate;
  readonly cells: readonly Cell[];
}

/** What `sweep` needs beside the ports. */
export interface SweepDeployment {
  readonly openHub: () => HubPorts;
  /** Qualified ARN of `cell`. */
  readonly cellFunctionArn: string;
}

const CELLS_AT_ONCE = 50;

function cellInput(input: SweepInput, cell: Cell): CellInput {
  const { runId, mode, request } = input;
  return {
    runId,
    mode,
    cell,
    policy: policyForCell(input.policy, cell),
    instanceIds: request.instanceIds ?? null,
    tags: request.tags ?? null,
    maxRestarts: request.maxRestarts ?? null,
    planId: request.planId ?? null,
  };
}

/** A cell whose function failed as a whole: nothing is known of it, and that is what the report says. */
function lostCell(cell: Cell, error: Error | undefined): CellReport {
  return {
    ...cell,
    status: 'failed',
    errors: [
      {
        call: 'lambda:Invoke',
        code: error?.name ?? 'Unfinished',
        message: `the sweep of ${cellName(cell)} did not come to its end: ${error?.message ?? 'no result'}`,
        next: 'Look at the log of the cell function. What it had begun is in the ledger; run again.',
      },
    ],
    instances: 0,
    consolesRead: 0,
    unknown: 0,
    affected: 0,
    codes: {},
    breaker: { open: false, reason: null },
    apiCalls: {},
    throttled: 0,
  };
}

/** Makes the workflow of a run. */
export function sweepWorkflow({ openHub, cellFunctionArn }: SweepDeployment) {
  return async (input: SweepInput, context: DurableContext): Promise<RunReport> => {
    const hub = openHub();
    const run = durableRunner(context);
    const record = await run.step('open', async (): Promise<RunRecord> => {
      const opened: RunRecord = {
        runId: input.runId,
        mode: input.mode,
        status: 'started',
        request: input.request,
        policyDigest: input.policyDigest,
        startedAt: hub.clock.now(),
        endedAt: null,
        gate: input.gate,
        report: null,
        failure: null,
      };
      mustAnswer(await hub.ledger.putRun(opened));
      return opened;
    });
    const done = await context.map(
      'cells',
      [...input.cells],
      (c, cell) => c.invoke<CellInput, CellResult>('cell', cellFunctionArn, cellInput(input, cell)),
      { maxConcurrency: CELLS_AT_ONCE, completionConfig: ALL_ITEMS },
    );
    const results = input.cells.map((cell, i): CellResult => {
      const item = done.all.find((one) => one.index === i);
      return item?.result ?? { report: lostCell(cell, item?.error), images: {}, launchTemplates: {} };
    });
    return run.step('report', () => report(hub, record, results));
  };
}

async function report(hub: HubPorts, record: RunRecord, results: readonly CellResult[]): Promise<RunReport> {
  const entries = await allEntries(hub.ledger, record.runId);
  const lost = new Set(
    results
      .filter(({ report }) => report.status === 'failed')
      .map(({ report }) => `${report.accountId}/${report.region}`),
  );
  const whole = assembleReport({
    run: record,
    endedAt: hub.clock.now(),
    cells: results.map((r) => r.report),
    // What a lost cell had written is in the ledger, but its counts are not: it would not add up.
    entries: entries.filter((e) => !lost.has(`${e.accountId}/${e.region}`)),
    images: addAll(results.map((r) => r.images)),
    launchTemplates: addAll(results.map((r) => r.launchTemplates)),
  });
  const { actions: _actions, ...withoutActions } = whole;
  mustAnswer(await hub.ledger.putRun({ ...record, status: 'done', endedAt: whole.endedAt, report: withoutActions }));
  const { runId, mode, totals, complete, groups, gate } = whole;
  const cells = whole.cells.map(({ apiCalls: _apiCalls, ...cell }) => cell);
  await hub.news.record(`${runId}/report`, [{ type: 'report', ...withoutActions }]);
  await hub.news.publish('Audit Backlog Sweep Completed', {
    schema: 1,
    runId,
    mode,
    complete,
    totals,
    groups,
    gate,
    cells,
  });
  if (needsAPerson(whole)) await hub.news.notify(`Audit backlog: run ${runId} needs you`, summaryText(whole));
  return bounded(whole, `{"status":"${runId}"} to the run function, or the ledger, has the actions`);
}

function needsAPerson({ complete, totals, cells }: RunReport): boolean {
  return !complete || totals.failed > 0 || cells.some((cell) => cell.breaker.open);
}

function addAll(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const one of counts) for (const [key, n] of Object.entries(one)) sum[key] = (sum[key] ?? 0) + n;
  return sum;
}
