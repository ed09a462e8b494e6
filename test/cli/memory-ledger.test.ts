import { MemoryLedger } from '../../cli/memory-ledger.ts';
import type { ActionEntry, CellReport } from '../../domain/contracts.ts';
import type { Cell } from '../../domain/finding.ts';
import type { EntryRecord } from '../../domain/ports.ts';

const RUN = 'p-20261122T040000Z-abcd';
const IRELAND = { accountId: '111122223333', region: 'eu-west-1' };
const VIRGINIA = { accountId: '111122223333', region: 'us-east-1' };

function record(cell: Cell, n: number, reason = ''): EntryRecord {
  const instanceId = `i-${n.toString(16).padStart(17, '0')}`;
  const entry: ActionEntry = {
    ...cell,
    instanceId,
    action: 'leave',
    code: 'not-managed',
    reason,
    next: '',
    method: null,
    imageId: null,
    launchTemplate: null,
    evidence: null,
    outcome: null,
  };
  return { entry, finding: '{}', pass: 'rest', page: 'all-0' };
}

async function pagesOf(ledger: MemoryLedger, runId: string, cell: Cell | null): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor: string | null = null;
  do {
    const answer = await ledger.listEntries(runId, cell, cursor);
    if (!answer.ok) throw new Error('it cannot fail');
    pages.push(answer.value.items.map((r) => `${r.entry.region} ${Number.parseInt(r.entry.instanceId.slice(2), 16)}`));
    cursor = answer.value.cursor;
  } while (cursor !== null);
  return pages;
}

test('pages of at most 50, in order of cell and id, every entry once, whatever the order of writing', async () => {
  const ledger = new MemoryLedger();
  const numbers = Array.from({ length: 120 }, (_, n) => n + 1);
  await ledger.putEntries(RUN, VIRGINIA, [record(VIRGINIA, 7)]);
  await ledger.putEntries(
    RUN,
    IRELAND,
    numbers.toReversed().map((n) => record(IRELAND, n)),
  );
  await ledger.putEntries(`${RUN}x`, IRELAND, [record(IRELAND, 999)]);
  const ireland = await pagesOf(ledger, RUN, IRELAND);
  expect(ireland.map((page) => page.length)).toEqual([50, 50, 20]);
  expect(ireland.flat()).toEqual(numbers.map((n) => `eu-west-1 ${n}`));
  expect((await pagesOf(ledger, RUN, null)).flat()).toEqual([...ireland.flat(), 'us-east-1 7']);
  expect(await pagesOf(ledger, RUN, VIRGINIA)).toEqual([['us-east-1 7']]);
});

test('exactly one full page has no second one, and an empty run one empty page', async () => {
  const ledger = new MemoryLedger();
  await ledger.putEntries(
    RUN,
    IRELAND,
    Array.from({ length: 50 }, (_, n) => record(IRELAND, n + 1)),
  );
  expect((await pagesOf(ledger, RUN, IRELAND)).map((page) => page.length)).toEqual([50]);
  expect(await pagesOf(ledger, 'p-another', null)).toEqual([[]]);
});

test('writing again replaces, and what is added between two pages is found behind the cursor only', async () => {
  const ledger = new MemoryLedger();
  await ledger.putEntries(
    RUN,
    IRELAND,
    Array.from({ length: 60 }, (_, n) => record(IRELAND, 2 * n + 2)),
  );
  const first = await ledger.listEntries(RUN, IRELAND, null);
  if (!first.ok) throw new Error('it cannot fail');
  await ledger.putEntries(RUN, IRELAND, [record(IRELAND, 1), record(IRELAND, 103), record(IRELAND, 104, 'new')]);
  const second = await ledger.listEntries(RUN, IRELAND, first.value.cursor);
  if (!second.ok) throw new Error('it cannot fail');
  expect(second.value.items).toHaveLength(11);
  expect(
    second.value.items.slice(0, 3).map((r) => [Number.parseInt(r.entry.instanceId.slice(2), 16), r.entry.reason]),
  ).toEqual([
    [102, ''],
    [103, ''],
    [104, 'new'],
  ]);
  const found = await ledger.getEntries(RUN, IRELAND, ['i-00000000000000001', 'i-0000000000000ffff']);
  expect(found.ok && found.value.map((r) => r.entry.instanceId)).toEqual(['i-00000000000000001']);
});

test('a lease has one holder until he gives it back', async () => {
  const ledger = new MemoryLedger();
  const holder = async (name: string) => (await ledger.acquireLease('cell', name)) as { value: { held: boolean } };
  expect((await holder('a')).value.held).toBe(true);
  expect((await holder('b')).value.held).toBe(false);
  await ledger.releaseLease('cell', 'b');
  expect((await holder('b')).value.held).toBe(false);
  await ledger.releaseLease('cell', 'a');
  expect((await holder('b')).value.held).toBe(true);
});

test('the reports of a run come in order of account and region, and only of that run', async () => {
  const ledger = new MemoryLedger();
  const report = (cell: Cell): CellReport => ({
    ...cell,
    status: 'done',
    errors: [],
    instances: 0,
    consolesRead: 0,
    unknown: 0,
    affected: 0,
    codes: {},
    breaker: { open: false, reason: null },
    apiCalls: {},
    throttled: 0,
  });
  await ledger.putCellReport(RUN, report(VIRGINIA));
  await ledger.putCellReport(RUN, report(IRELAND));
  await ledger.putCellReport(`${RUN}x`, report(IRELAND));
  const found = await ledger.getCellReports(RUN);
  expect(found.ok && found.value.map((r) => r.region)).toEqual(['eu-west-1', 'us-east-1']);
});
