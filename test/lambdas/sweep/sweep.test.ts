/** One run over several cells: what becomes of the whole when a part of it does not. */
import { type CrashMoment, CrashPlan } from '../../../simulator/engine/crash-plan.ts';
import { ScriptedFaults } from '../../../simulator/faults.ts';
import {
  APPLY,
  actionOn,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  overflowedMachine,
  type SmallWorld,
} from '../../support/small-world.ts';

const policy = { ...APPLY, scope: { regions: ['eu-west-1', 'us-east-1'] } };
const machines = {
  hung: hungMachine(),
  sick: overflowedMachine(),
  there: { ...overflowedMachine(), region: 'us-east-1' },
};

/** Ends the cell of the home region for good when its first machine is being stopped. */
function loseTheCell(world: SmallWorld): void {
  const { engine, log } = world.service;
  world.once(
    ({ kind, what }) => kind === 'power' && what === 'stopping',
    () => {
      const started = log.events.flatMap(({ what, detail }) => (what === 'invoke' ? [detail?.execution] : []));
      const doing = engine.executions().filter(({ name }) => started.includes(name));
      const cell = doing.find(
        ({ functionName, input }) => functionName === 'cell' && input.includes('"region":"eu-west-1"'),
      );
      if (!cell) throw new Error('the cell is not at work');
      engine.stop(cell.arn);
    },
  );
}

describe('a run over two cells', () => {
  test('reports both, in one order, with the totals of both', () =>
    inSmallWorld({ machines, policy }, async (world) => {
      const report = await world.run();
      expect(report).toMatchObject({
        complete: true,
        totals: { instances: 3, affected: 3, resized: 2, restarted: 1 },
        cells: [{ region: 'eu-west-1' }, { region: 'us-east-1' }],
      });
      const events = world.service.news.events.events.map(({ detailType }) => detailType);
      expect(events.filter((type) => type === 'Audit Backlog Instance Remediated')).toHaveLength(3);
      expect(events.filter((type) => type === 'Audit Backlog Sweep Completed')).toHaveLength(1);
      // Nothing for a person to do.
      expect(world.messages()).toEqual([]);
    }));

  test('a cell whose function is lost is failed and told; what it wrote down counts, and the other is done', () =>
    inSmallWorld({ machines, policy }, async (world) => {
      loseTheCell(world);
      const report = await world.run();
      expect(report.complete).toBe(false);
      const [lost, done] = report.cells;
      expect(lost).toMatchObject({ region: 'eu-west-1', status: 'failed', errors: [{ code: 'CellFailed' }] });
      expect(done).toMatchObject({ region: 'us-east-1', status: 'done', affected: 1 });
      expect(actionOn(report, world, 'there').outcome).toMatchObject({ result: 'resized', proven: true });
      expect(actionOn(report, world, 'hung')).toMatchObject({ action: 'restart-then-resize', outcome: null });
      expect(report.totals.failed).toBeGreaterThan(0);
      expect(world.messages().some((text) => /needs you[^$]*did not come to its end/.test(text))).toBe(true);
      // The restart that was under way is an execution of its own and brings its machine back.
      await world.minutes(30);
      expect(world.instance('hung').state).toBe('running');
      expect(world.truth('hung')).toMatchObject({ effectiveLimit: 8192, hung: false });
    }));

  test('instances that were asked for and that no cell knows make it incomplete', () =>
    inSmallWorld({ machines, policy }, async (world) => {
      const report = await world.run({ instanceIds: [world.id('there'), 'i-0ffffffffffffffff'] });
      expect(report).toMatchObject({ complete: false, totals: { instances: 1, affected: 1, resized: 1 } });
      const errors = report.cells.flatMap((cell) => cell.errors);
      expect(errors).toEqual([
        expect.objectContaining({
          code: 'InvalidInstanceID.NotFound',
          message: expect.stringMatching(/0fffffffffffffff/),
        }),
      ]);
      expect(world.commands()).toHaveLength(1);
    }));

  test('news that nobody takes undo no cure; the report says what could not be told', () => {
    const denied = (calls: string) => ({ kind: 'denied', calls, times: Number.POSITIVE_INFINITY }) as const;
    const faults = new ScriptedFaults([denied('sns:*'), denied('events:*'), denied('logs:*')]);
    return inSmallWorld({ machines, policy, faults }, async (world) => {
      const report = await world.run();
      expect(report).toMatchObject({ complete: false, totals: { resized: 2, restarted: 1, failed: 0 } });
      const calls = new Set(report.cells.flatMap((cell) => cell.errors).map(({ call }) => call));
      expect([...calls].sort()).toEqual(['events:PutEvents', 'logs:PutLogEvents', 'sns:Publish']);
    });
  });

  test('news that are told after a crash leave no word of their first failure behind', () => {
    /** Dies right after what it wrote first after the news. */
    class AfterTheNews extends CrashPlan {
      #next: 'news' | 'write' | 'nothing' = 'news';
      override nextCall(call: string): CrashMoment | null {
        if (this.#next === 'news' && call === 'events:PutEvents') this.#next = 'write';
        if (this.#next !== 'write' || call !== 'dynamodb:PutItem') return null;
        this.#next = 'nothing';
        return 'after';
      }
    }
    const faults = new ScriptedFaults([{ kind: 'denied', calls: 'events:*' }]);
    const options = { machines: { well: healthyMachine() }, faults, crashPlan: new AfterTheNews() };
    return inSmallWorld(options, async (world) => {
      const report = await world.run();
      expect(world.service.log.events.filter(({ what }) => what === 'kill')).toHaveLength(1);
      expect(report).toMatchObject({ complete: true, cells: [{ status: 'done', errors: [] }] });
      const kept = await world.service.hub.ledger.getCellReports(report.runId);
      expect(kept).toMatchObject({ ok: true, value: [{ status: 'done', errors: [] }] });
    });
  });

  test('claims no call that it did not make', () =>
    inSmallWorld({ machines, policy }, async (world) => {
      const report = await world.run();
      const counted: Record<string, number> = {};
      for (const { apiCalls } of report.cells) {
        for (const [call, n] of Object.entries(apiCalls)) counted[call] = (counted[call] ?? 0) + n;
      }
      expect(Object.keys(counted)).toEqual(expect.arrayContaining(['ec2:DescribeInstances', 'ec2:GetConsoleOutput']));
      for (const [call, n] of Object.entries(counted)) {
        expect([call, n]).toEqual([call, Math.min(n, world.service.cloud.calls[call] ?? 0)]);
      }
    }));
});
