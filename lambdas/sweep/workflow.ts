/** One run over its cells: side by side, each in an execution of its own, then the report and the news of it. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ActionEntry, CellReport, Gate, RunReport, RunRequest, TriageCode } from '../../domain/contracts.ts';
import { SCHEMA } from '../../domain/contracts.ts';
import { acts } from '../../domain/drift.ts';
import { type CallError, type Cell, cellName, instanceName } from '../../domain/finding.ts';
import { type Policy, policyForCell } from '../../domain/policy.ts';
import type { HubPorts, RunRecord } from '../../domain/ports.ts';
import { countsByCode } from '../../domain/totals.ts';
import type { CellInput } from '../cell/survey.ts';
import type { CellResult } from '../cell/workflow.ts';
import { ALL_ITEMS, addNumbers, durableRunner } from '../durable.ts';
import { mustAnswer } from '../errors.ts';
import { sealPlan } from '../plan-digest.ts';
import { allEntries, assembleReport, bounded } from './report.ts';
import { isUndone, summaryText } from './summary.ts';

/** What `run` asks of `sweep`. The policy travels with it, so that one run has one policy. */
export interface SweepInput {
  readonly runId: string;
  readonly mode: 'plan' | 'apply';
  readonly request: RunRequest;
  readonly policy: Policy;
  readonly policyDigest: string;
  readonly gate: Gate;
  readonly cells: readonly Cell[];
  /** Those that the request, or the plan that it applies, names; null: all. */
  readonly instanceIds: readonly string[] | null;
  /** See `CellInput`. */
  readonly pastBreaker: boolean;
}

/** What `sweep` needs beside the ports. */
export interface SweepDeployment {
  readonly openHub: () => HubPorts;
  /** Qualified ARN of `cell`. */
  readonly cellFunctionArn: string;
  /** Told of the whole report, before anything is left out of it for its size. */
  readonly measure: (report: RunReport) => void;
}

const CELLS_AT_ONCE = 50;

function cellInput(input: SweepInput, cell: Cell): CellInput {
  const { runId, mode, request } = input;
  return {
    runId,
    mode,
    cell,
    policy: policyForCell(input.policy, cell),
    instanceIds: input.instanceIds,
    tags: request.tags ?? null,
    maxRestarts: request.maxRestarts ?? null,
    planId: request.planId ?? null,
    pastBreaker: input.pastBreaker,
  };
}

/** A cell whose function failed as a whole: what it had written down counts, and the report says that it is not all. */
function lostCell(cell: Cell, why: string, entries: readonly ActionEntry[]): CellReport {
  const own = entries.filter((e) => e.accountId === cell.accountId && e.region === cell.region);
  const codes: Partial<Record<TriageCode, number>> = {};
  for (const { code } of own) codes[code] = (codes[code] ?? 0) + 1;
  return {
    ...cell,
    status: 'failed',
    errors: [
      {
        call: 'lambda:Invoke',
        code: 'CellFailed',
        message: `the sweep of ${cellName(cell)} did not come to its end: ${why}`,
        next: 'Look at the log of the cell function; run again.',
      },
    ],
    ...countsByCode(codes),
    consolesRead: own.filter((e) => e.evidence !== null).length,
    breaker: { open: false, reason: null },
    apiCalls: {},
    throttled: 0,
  };
}

/** Makes the workflow of a run. */
export function sweepWorkflow({ openHub, cellFunctionArn, measure }: SweepDeployment) {
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
        policy: input.policy,
        startedAt: hub.clock.now(),
        endedAt: null,
        gate: input.gate,
        report: null,
        failure: null,
        executionArn: context.executionContext.durableExecutionArn,
      };
      mustAnswer(await hub.ledger.putRun(opened));
      return opened;
    });
    try {
      const done = await context.map(
        'cells',
        [...input.cells],
        (c, cell) => c.invoke<CellInput, CellResult>('cell', cellFunctionArn, cellInput(input, cell)),
        { maxConcurrency: CELLS_AT_ONCE, completionConfig: ALL_ITEMS },
      );
      const results = input.cells.map((cell, i): CellOutcome => {
        const item = done.all.find((one) => one.index === i);
        return item?.result ?? { lost: cell, why: item?.error?.message ?? 'no result' };
      });
      return await run.step('report', () => report(hub, record, results, input.policy, measure));
    } catch (error) {
      const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      await run.step('failed', () => fail(hub, record, why));
      throw error;
    }
  };
}

/** A run that came to no report says so: to whoever asks for its status, and to a person. */
async function fail(hub: HubPorts, record: RunRecord, failure: string): Promise<void> {
  mustAnswer(await hub.ledger.putRun({ ...record, status: 'failed', endedAt: hub.clock.now(), failure }));
  mustAnswer(await hub.news.notify(`Audit backlog: run ${record.runId} failed`, failure));
}

/** What a cell came to: its result, or that its function failed as a whole. */
type CellOutcome = CellResult | { readonly lost: Cell; readonly why: string };

async function report(
  hub: HubPorts,
  record: RunRecord,
  results: readonly CellOutcome[],
  { planExpiresHours }: Policy,
  measure: SweepDeployment['measure'],
): Promise<RunReport> {
  const entries = await allEntries(hub.ledger, record.runId);
  const cells: CellReport[] = [];
  for (const result of results) {
    if ('report' in result) cells.push(result.report);
    else {
      const lost = lostCell(result.lost, result.why, entries);
      mustAnswer(await hub.ledger.putCellReport(record.runId, lost));
      cells.push(lost);
    }
  }
  const kept = results.filter((result): result is CellResult => 'report' in result);
  const assembled = assembleReport({
    run: record,
    endedAt: hub.clock.now(),
    cells,
    entries,
    images: kept.reduce((sum, one) => addNumbers(sum, one.images), {}),
    launchTemplates: kept.reduce((sum, one) => addNumbers(sum, one.launchTemplates), {}),
  });
  const sealed =
    record.mode === 'plan' ? { ...assembled, plan: sealPlan(assembled, planExpiresHours, entries) } : assembled;
  const { planId, instanceIds = [] } = record.request;
  const gone = planId === undefined ? [] : goneSince(await allEntries(hub.ledger, planId), sealed);
  const whole = withGoneSince(withNamedButGone(sealed, instanceIds), gone);
  const told = await tell(hub, whole);
  const final = told.length === 0 ? whole : withErrors(whole, told);
  // What concerns the run as a whole stands with its cells, also for whoever reads the report from the ledger. The first is
  // always written: before a crash, this step may have written an error there that did not come again.
  for (const [i, cell] of final.cells.entries()) {
    if (i === 0 || cell !== assembled.cells[i]) mustAnswer(await hub.ledger.putCellReport(record.runId, cell));
  }
  const { actions: _actions, cells: _cells, ...kernel } = final;
  mustAnswer(await hub.ledger.putRun({ ...record, status: 'done', endedAt: final.endedAt, report: kernel }));
  // Alarms speak of the fleet: a run on a part of it, or of a plan, says nothing of the rest.
  if (isWhole(record.request)) measure(final);
  return bounded(final, `{"status":"${final.runId}"} to the run function, or the ledger, has the actions`);
}

/** Whether a run looks at all that the policy lets it. */
function isWhole({ instanceIds, tags, regions, accounts, planId }: RunRequest): boolean {
  return [instanceIds, tags, regions, accounts, planId].every((part) => part === undefined);
}

/** Log record, event, and a message where a person is needed. What could not be told is an error of the run. */
async function tell(hub: HubPorts, whole: RunReport): Promise<CallError[]> {
  const { runId, mode, totals, complete, groups, gate } = whole;
  const summary = { schema: SCHEMA, runId, mode, complete, totals, groups: groups.slice(0, 20), gate };
  const answers = [
    await hub.news.record(`${runId}/report`, [{ type: 'report', ...summary }]),
    await hub.news.publish('Audit Backlog Sweep Completed', summary),
    ...(needsAPerson(whole)
      ? [await hub.news.notify(`Audit backlog: run ${runId} needs you`, summaryText(whole, hub.policy))]
      : []),
  ];
  return answers.flatMap((answer) => (answer.ok ? [] : [answer.error]));
}

/** Cells that may know an instance, but did not look: they say why themselves. */
const NOT_LOOKED: ReadonlySet<CellReport['status']> = new Set(['failed', 'skipped', 'not-ready']);

/** Instances that were asked for by name and that no cell knows: they were not looked at. */
function withNamedButGone(whole: RunReport, asked: readonly string[]): RunReport {
  const known = new Set(whole.actions.map((action) => action.instanceId));
  const gone = asked.filter((id) => !known.has(id));
  if (gone.length === 0 || whole.cells.some(({ status }) => NOT_LOOKED.has(status))) return whole;
  return withErrors(whole, [
    {
      call: 'ec2:DescribeInstances',
      code: 'InvalidInstanceID.NotFound',
      message: `no cell of this run knows ${gone.slice(0, 10).join(', ')}${gone.length > 10 ? ' and others' : ''}`,
      next: 'Check the ids, the account and the region; they were not looked at.',
      kind: 'failed',
    },
  ]);
}

/** What the plan wanted to act on and EC2 does not even describe any more. Where a cell failed, nobody knows. */
function goneSince(plan: readonly ActionEntry[], { actions, cells }: RunReport): readonly ActionEntry[] {
  const there = new Set(actions.map(instanceName));
  return plan.filter(
    (entry) =>
      acts(entry) &&
      !there.has(instanceName(entry)) &&
      cells.some((c) => c.status === 'done' && c.accountId === entry.accountId && c.region === entry.region),
  );
}

/** That a planned machine is gone is no failure to look, so the run stays complete; but it is said. */
function withGoneSince(whole: RunReport, gone: readonly ActionEntry[]): RunReport {
  const cells = whole.cells.map((cell) => {
    const ids = gone.filter((e) => e.accountId === cell.accountId && e.region === cell.region).map((e) => e.instanceId);
    if (ids.length === 0) return cell;
    const named = `${ids.slice(0, 10).join(', ')}${ids.length > 10 ? ` and ${ids.length - 10} more` : ''}`;
    const message = `refused, since the plan names what does not exist any more: ${named}`;
    const error = { call: 'ec2:DescribeInstances', code: 'InvalidInstanceID.NotFound', message };
    return { ...cell, errors: [...cell.errors, { ...error, next: 'Make a new plan and apply that.' }] };
  });
  return gone.length === 0 ? whole : { ...whole, cells };
}

/** Errors of the run as a whole stand with its first cell. */
function withErrors(whole: RunReport, errors: readonly CallError[]): RunReport {
  const [first, ...others] = whole.cells;
  if (!first) return whole;
  const more = errors.map(({ kind: _kind, ...error }) => error);
  const status = first.status === 'done' ? 'incomplete' : first.status;
  return { ...whole, complete: false, cells: [{ ...first, status, errors: [...first.errors, ...more] }, ...others] };
}

function needsAPerson({ complete, totals, cells, actions }: RunReport): boolean {
  return !complete || totals.failed > 0 || cells.some((cell) => cell.breaker.open) || actions.some(isUndone);
}
