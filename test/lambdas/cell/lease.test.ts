/** Two apply runs meet in one cell: exactly one acts. */
import { hungMachine, inSmallWorld, overflowedMachine, type SmallWorld } from '../../support/small-world.ts';

async function start(world: SmallWorld, event: object): Promise<{ runId: string; executionArn: string }> {
  const started = await world.call(event);
  if (!started.ok) throw new Error(started.message);
  return started.value as { runId: string; executionArn: string };
}

const machines = { hung: hungMachine(), one: overflowedMachine(), two: overflowedMachine() };

describe('the lease of a cell', () => {
  test('two runs at once: one does everything, the other is skipped and says which one holds the cell', () =>
    inSmallWorld({ machines }, async (world) => {
      const [a, b] = await Promise.all([start(world, { reason: 'one' }), start(world, { reason: 'two' })]);
      expect(a?.runId).not.toBe(b?.runId);
      await Promise.all([a, b].map((run) => world.service.engine.settled(run?.executionArn ?? '')));
      const reports = await Promise.all([a, b].map((run) => world.service.reportOf(run?.runId ?? '')));
      const acted = reports.find(({ complete }) => complete);
      const skipped = reports.find(({ complete }) => !complete);
      expect(acted?.totals).toMatchObject({ instances: 3, affected: 3, resized: 2, restarted: 1 });
      expect(skipped?.actions).toEqual([]);
      expect(skipped?.cells[0]).toMatchObject({
        status: 'skipped',
        errors: [{ code: 'HeldByAnotherRun', message: expect.stringContaining(acted?.runId ?? 'nobody') }],
      });
      expect(world.commands()).toHaveLength(2);
      expect(world.power('hung')).toEqual(['stopping', 'pending']);
      // The one that was skipped gave nothing back that was not its own, and nothing is left held.
      const third = await world.run();
      expect(third).toMatchObject({ complete: true, totals: { alreadyHandled: 3, resized: 0, restarted: 0 } });
    }));

  test('a plan needs none, and is not in the way', () =>
    inSmallWorld({ machines }, async (world) => {
      const apply = await start(world, {});
      const plan = await start(world, { mode: 'plan' });
      for (const { executionArn } of [apply, plan]) await world.service.engine.settled(executionArn);
      expect(await world.service.reportOf(plan.runId)).toMatchObject({ complete: true, totals: { affected: 3 } });
      expect(await world.service.reportOf(apply.runId)).toMatchObject({ complete: true, totals: { restarted: 1 } });
    }));

  test('of a run that died expires: a later one takes it', () =>
    inSmallWorld({ machines }, async (world) => {
      const { executionArn } = await start(world, {});
      await world.minutes(0.2);
      for (const { arn } of world.service.engine.executions()) world.service.engine.stop(arn);
      await world.service.engine.settled(executionArn);
      const soon = await world.run();
      expect(soon.cells[0]).toMatchObject({ status: 'skipped' });
      await world.minutes(3 * 60);
      const later = await world.run();
      expect(later).toMatchObject({ complete: true });
      expect(later.totals.resized + later.totals.restarted).toBe(3);
    }));
});
