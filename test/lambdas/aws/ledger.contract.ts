/** What every ledger must do, whatever keeps it. Run by the tests of each one. */
import type { ActionEntry, CellReport } from '../../../domain/contracts.ts';
import type { InstanceHistory } from '../../../domain/finding.ts';
import type { EntryRecord, LedgerPort, Page, RunRecord } from '../../../domain/ports.ts';
import { instanceId, mustHave } from './support.ts';

/** A fresh, empty ledger and a way to let time pass. */
export interface LedgerUnderTest {
  readonly ledger: LedgerPort;
  /** Lets so many seconds pass for the ledger's clock. */
  readonly pass: (seconds: number) => Promise<void>;
}

export const IRELAND = { accountId: '111122223333', region: 'eu-west-1' };
export const FRANKFURT = { accountId: '111122223333', region: 'eu-central-1' };

export function entryRecord(id: string, cell = IRELAND, reason = 'the queue overflowed'): EntryRecord {
  const entry: ActionEntry = {
    instanceId: id,
    ...cell,
    action: 'resize',
    code: 'resize',
    reason,
    next: '',
    method: null,
    imageId: 'ami-0a',
    launchTemplate: null,
    evidence: null,
    outcome: null,
  };
  return { entry, finding: '{}', pass: 'rest', page: 'all-0' };
}

export const RUN: RunRecord = {
  runId: 'run-0001',
  mode: 'apply',
  status: 'started',
  request: { regions: ['eu-west-1'] },
  policyDigest: 'd',
  startedAt: '2026-11-22T00:00:00.000Z',
  endedAt: null,
  gate: { open: true, reasons: [] },
  report: null,
  failure: null,
};

export const HISTORY: InstanceHistory = {
  proven: {
    evidenceKey: '4242.1/320',
    target: 8192,
    at: '2026-11-22T00:00:00.000Z',
    lookedAgain: { at: '2026-11-22T02:00:00.000Z', held: true },
  },
  cures: ['2026-11-22T00:00:00.000Z'],
  attempts: [{ at: '2026-11-21T00:00:00.000Z', evidenceKey: 'e' }],
  stuckSweeps: 1,
  assessed: { evidenceKey: 'e', limit: 64 },
  lastActionAt: '2026-11-22T00:00:00.000Z',
  diagnosis: null,
};

const REPORT: CellReport = {
  ...IRELAND,
  status: 'done',
  errors: [],
  instances: 1,
  consolesRead: 1,
  unknown: 0,
  affected: 0,
  codes: { healthy: 1 },
  breaker: { open: false, reason: null },
  apiCalls: { 'ec2:DescribeInstances': 1 },
  throttled: 0,
};

/** @param use - runs `work` with a ledger of its own, in whatever time that ledger lives */
export function describeLedger(
  name: string,
  use: (work: (under: LedgerUnderTest) => Promise<void>) => Promise<void>,
): void {
  const it = (what: string, work: (under: LedgerUnderTest) => Promise<void>) => test(what, () => use(work));

  describe(`${name}: leases`, () => {
    it('one holder at a time, told who holds it', async ({ ledger }) => {
      expect(mustHave(await ledger.acquireLease('cell', 'one', 60))).toEqual({ held: true, holder: 'one' });
      expect(mustHave(await ledger.acquireLease('cell', 'two', 60))).toEqual({ held: false, holder: 'one' });
      expect(mustHave(await ledger.acquireLease('other', 'two', 60))).toEqual({ held: true, holder: 'two' });
    });

    it('of many that ask at once exactly one gets it', async ({ ledger }) => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, n) => ledger.acquireLease('cell', `holder-${n}`, 60)),
      );
      expect(answers.map(mustHave).filter((answer) => answer.held)).toHaveLength(1);
    });

    it('the holder may take it again, and has it longer then', async ({ ledger, pass }) => {
      mustHave(await ledger.acquireLease('cell', 'one', 60));
      await pass(50);
      expect(mustHave(await ledger.acquireLease('cell', 'one', 60)).held).toBe(true);
      await pass(50);
      expect(mustHave(await ledger.acquireLease('cell', 'two', 60)).held).toBe(false);
    });

    it('it is free once it ran out, and not before', async ({ ledger, pass }) => {
      mustHave(await ledger.acquireLease('cell', 'one', 60));
      await pass(58);
      expect(mustHave(await ledger.acquireLease('cell', 'two', 60)).held).toBe(false);
      await pass(3);
      expect(mustHave(await ledger.acquireLease('cell', 'two', 60))).toEqual({ held: true, holder: 'two' });
    });

    it('tells who holds it now, and which stand below a name', async ({ ledger }) => {
      expect(mustHave(await ledger.leaseHolder('cell'))).toBeNull();
      mustHave(await ledger.acquireLease('cell', 'one', 60));
      expect(mustHave(await ledger.leaseHolder('cell'))).toBe('one');
      expect(mustHave(await ledger.listLeases('instance#a/b'))).toEqual([]);
      mustHave(await ledger.acquireLease('instance#a/b/i-1', 'one', 60));
      mustHave(await ledger.acquireLease('instance#a/b/i-2', 'two', 60));
      mustHave(await ledger.acquireLease('instance#a/c/i-3', 'two', 60));
      expect(mustHave(await ledger.listLeases('instance#a/b'))).toEqual([
        { part: 'i-1', holder: 'one' },
        { part: 'i-2', holder: 'two' },
      ]);
      mustHave(await ledger.releaseLease('instance#a/b/i-1', 'one'));
      expect(mustHave(await ledger.listLeases('instance#a/b'))).toEqual([{ part: 'i-2', holder: 'two' }]);
    });

    it('nobody holds one that ran out', async ({ ledger, pass }) => {
      mustHave(await ledger.acquireLease('instance#a/b/i-1', 'one', 60));
      await pass(61);
      expect(mustHave(await ledger.leaseHolder('instance#a/b/i-1'))).toBeNull();
      expect(mustHave(await ledger.listLeases('instance#a/b'))).toEqual([]);
    });

    it('only the holder gives it back', async ({ ledger }) => {
      mustHave(await ledger.acquireLease('cell', 'one', 60));
      mustHave(await ledger.releaseLease('cell', 'two'));
      expect(mustHave(await ledger.acquireLease('cell', 'two', 60)).held).toBe(false);
      mustHave(await ledger.releaseLease('cell', 'one'));
      expect(mustHave(await ledger.acquireLease('cell', 'two', 60)).held).toBe(true);
      mustHave(await ledger.releaseLease('never-taken', 'one'));
    });
  });

  describe(`${name}: runs`, () => {
    it('keeps a run and what it became', async ({ ledger }) => {
      expect(mustHave(await ledger.getRun('run-0001'))).toBeNull();
      mustHave(await ledger.putRun(RUN));
      expect(mustHave(await ledger.getRun('run-0001'))).toEqual(RUN);
      const ended: RunRecord = { ...RUN, status: 'failed', endedAt: RUN.startedAt, failure: 'why' };
      mustHave(await ledger.putRun(ended));
      expect(mustHave(await ledger.getRun('run-0001'))).toEqual(ended);
      expect(mustHave(await ledger.getRun('run-0002'))).toBeNull();
    });

    it('a cell report does not get in the way of the entries', async ({ ledger }) => {
      mustHave(await ledger.putCellReport('run-0001', REPORT));
      expect(mustHave(await ledger.listEntries('run-0001', null, null)).items).toEqual([]);
    });
  });

  describe(`${name}: entries`, () => {
    const ids = Array.from({ length: 230 }, (_, n) => instanceId(n));

    it('lists all of a run, page after page, by cell and instance', async ({ ledger }) => {
      const here = ids.map((id) => entryRecord(id));
      mustHave(await ledger.putEntries('run-0001', IRELAND, here.toReversed()));
      mustHave(await ledger.putEntries('run-0001', FRANKFURT, [entryRecord(ids[0]!, FRANKFURT)]));
      mustHave(await ledger.putEntries('run-0002', IRELAND, [entryRecord(ids[7]!)]));
      const list = async (cell: typeof IRELAND | null) => {
        const found: EntryRecord[] = [];
        let pages = 0;
        for (let cursor: string | null = null; pages === 0 || cursor !== null; pages++) {
          const page: Page<EntryRecord> = mustHave(await ledger.listEntries('run-0001', cell, cursor));
          found.push(...page.items);
          cursor = page.cursor;
        }
        return { found, pages };
      };
      const all = await list(null);
      expect(all.found).toEqual([entryRecord(ids[0]!, FRANKFURT), ...here]);
      expect(all.pages).toBeGreaterThan(1);
      expect((await list(IRELAND)).found).toEqual(here);
      expect((await list(FRANKFURT)).found).toHaveLength(1);
    });

    it('writing the same again changes nothing; writing another replaces it', async ({ ledger }) => {
      const id = ids[0]!;
      mustHave(await ledger.putEntries('run-0001', IRELAND, [entryRecord(id), entryRecord(id)]));
      mustHave(await ledger.putEntries('run-0001', IRELAND, [entryRecord(id)]));
      expect(mustHave(await ledger.listEntries('run-0001', null, null)).items).toEqual([entryRecord(id)]);
      mustHave(await ledger.putEntries('run-0001', IRELAND, [entryRecord(id, IRELAND, 'another')]));
      expect(mustHave(await ledger.getEntries('run-0001', IRELAND, [id]))[0]!.entry.reason).toBe('another');
    });

    it('gets many by id, in their order, without those that are not there', async ({ ledger }) => {
      mustHave(
        await ledger.putEntries(
          'run-0001',
          IRELAND,
          ids.slice(0, 150).map((id) => entryRecord(id)),
        ),
      );
      const found = mustHave(await ledger.getEntries('run-0001', IRELAND, ids.toReversed()));
      expect(found.map(({ entry }) => entry.instanceId)).toEqual(ids.slice(0, 150));
      expect(mustHave(await ledger.getEntries('run-0001', FRANKFURT, ids))).toEqual([]);
      expect(mustHave(await ledger.getEntries('run-0001', IRELAND, []))).toEqual([]);
    });

    it('an empty write is none', async ({ ledger }) => {
      mustHave(await ledger.putEntries('run-0001', IRELAND, []));
      expect(mustHave(await ledger.listEntries('run-0001', null, null))).toEqual({ items: [], cursor: null });
    });
  });

  describe(`${name}: memory`, () => {
    it('keeps the history of each instance of each cell', async ({ ledger }) => {
      const [a, b] = [instanceId(1), instanceId(2)];
      mustHave(await ledger.putHistory(IRELAND, a, HISTORY));
      expect(mustHave(await ledger.getHistories(IRELAND, [a, b, a]))).toEqual(new Map([[a, HISTORY]]));
      expect(mustHave(await ledger.getHistories(FRANKFURT, [a]))).toEqual(new Map());
      const next = { ...HISTORY, stuckSweeps: 0, proven: null };
      mustHave(await ledger.putHistory(IRELAND, a, next));
      expect(mustHave(await ledger.getHistories(IRELAND, [a])).get(a)).toEqual(next);
    });

    it('keeps what a cell remembers', async ({ ledger }) => {
      const memory = { instances: 10, silent: 1, breakerOpen: true, quietSweeps: 1, at: RUN.startedAt };
      expect(mustHave(await ledger.getCellMemory(IRELAND))).toBeNull();
      mustHave(await ledger.putCellMemory(IRELAND, memory));
      expect(mustHave(await ledger.getCellMemory(IRELAND))).toEqual(memory);
      expect(mustHave(await ledger.getCellMemory(FRANKFURT))).toBeNull();
    });

    it('is not paused by itself', async ({ ledger }) => {
      expect(mustHave(await ledger.getPause())).toBeNull();
    });
  });
}
