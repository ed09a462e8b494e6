/** The run report, put together from what the ledger holds; the same for the sweep, for a status and for the CLI. */
import type { ActionEntry, CellReport, RunReport } from '../../domain/contracts.ts';
import { SCHEMA } from '../../domain/contracts.ts';
import type { FleetCounts } from '../../domain/groups.ts';
import { groupsOf } from '../../domain/groups.ts';
import type { EntryRecord, LedgerPort, Page, RunRecord } from '../../domain/ports.ts';
import { assertTotalsAddUp, countBuckets, totalsOf } from '../../domain/totals.ts';
import { mustAnswer } from '../errors.ts';

/** What the functions return stays below this, as UTF-8 JSON; more is kept in the ledger. Unit: bytes. */
export const LARGEST_ANSWER = 240 * 1024;

/** All entries of a run, all pages, in order of cell and instance id. */
export async function allEntries(ledger: LedgerPort, runId: string): Promise<ActionEntry[]> {
  const entries: ActionEntry[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<EntryRecord> = mustAnswer(await ledger.listEntries(runId, null, cursor));
    entries.push(...page.items.map((record) => record.entry));
    cursor = page.cursor;
  } while (cursor !== null);
  return entries;
}

export interface ReportParts {
  readonly run: Pick<RunRecord, 'runId' | 'mode' | 'policyDigest' | 'startedAt' | 'gate'>;
  readonly endedAt: string;
  readonly cells: readonly CellReport[];
  readonly entries: readonly ActionEntry[];
  readonly images: FleetCounts;
  readonly launchTemplates: FleetCounts;
}

/**
 * Puts a report together.
 * @throws TotalsDoNotAddUpError when an instance was lost or counted twice: better no report than a wrong one.
 */
export function assembleReport({ run, endedAt, cells, entries, images, launchTemplates }: ReportParts): RunReport {
  const totals = totalsOf(cells, countBuckets(entries, run.mode));
  assertTotalsAddUp(totals);
  return {
    schema: SCHEMA,
    runId: run.runId,
    mode: run.mode,
    policyDigest: run.policyDigest,
    startedAt: run.startedAt,
    endedAt,
    complete: cells.length > 0 && cells.every((cell) => cell.status === 'done'),
    gate: run.gate,
    cells: [...cells],
    actions: [...entries],
    groups: groupsOf(entries, images, launchTemplates),
    totals,
  };
}

/** The report as a function may return it: without its actions where they would make it too large. */
export function bounded(report: RunReport, where: string): RunReport {
  if (Buffer.byteLength(JSON.stringify(report)) <= LARGEST_ANSWER) return report;
  const small = { ...report, actions: [], truncated: true, where };
  if (Buffer.byteLength(JSON.stringify(small)) <= LARGEST_ANSWER) return small;
  return { ...small, groups: [], cells: small.cells.map((cell) => ({ ...cell, errors: [], apiCalls: {} })) };
}
