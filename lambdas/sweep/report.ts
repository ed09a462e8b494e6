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
  return (await allRecords(ledger, runId)).map((record) => record.entry);
}

/** As {@link allEntries}, with what the ledger keeps beside each entry. */
export async function allRecords(ledger: LedgerPort, runId: string): Promise<Omit<EntryRecord, 'finding'>[]> {
  const records: Omit<EntryRecord, 'finding'>[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<EntryRecord> = mustAnswer(await ledger.listEntries(runId, null, cursor));
    // A finding is many times its entry, and nobody here needs it.
    records.push(...page.items.map(({ finding: _finding, ...record }) => record));
    cursor = page.cursor;
  } while (cursor !== null);
  return records;
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

/** A run's whole report from what the ledger holds of it; null while it is not done. */
export async function storedReport(ledger: LedgerPort, record: RunRecord): Promise<RunReport | null> {
  if (record.status !== 'done' || !record.report) return null;
  const cells = mustAnswer(await ledger.getCellReports(record.runId));
  return { ...record.report, cells: [...cells], actions: await allEntries(ledger, record.runId) };
}

/** The report as a function may return it: what makes it too large is left out, and it says so and where the whole is. */
export function bounded(report: RunReport, where: string): RunReport {
  const said = { truncated: true, where };
  const smaller: readonly ((r: RunReport) => RunReport)[] = [
    (r) => r,
    (r) => ({ ...r, ...said, actions: [] }),
    (r) => ({ ...r, ...said, actions: [], groups: [] }),
    (r) => ({ ...r, ...said, actions: [], groups: [], cells: [] }),
  ];
  const fitting = smaller
    .map((make) => make(report))
    .find((r) => Buffer.byteLength(JSON.stringify(r)) <= LARGEST_ANSWER);
  return (
    fitting ?? { ...report, ...said, actions: [], groups: [], cells: [], gate: { open: report.gate.open, reasons: [] } }
  );
}
