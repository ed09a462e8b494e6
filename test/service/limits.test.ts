/** What stays small however large a cell is: results between steps, and what a function returns. */
import type { RunReport } from '../../domain/contracts.ts';
import { LARGEST_ANSWER } from '../../lambdas/sweep/report.ts';
import { HOUR, rules } from '../../simulator/kinds/kind.ts';
import { inSmallWorld, NOW, type SmallFleet, type SmallWorld } from '../support/small-world.ts';

/** Affected machines whose consoles hold as much evidence as a console can: storm after storm, to the last line. */
const stormy = (count: number, storms: number): SmallFleet =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `storm-${i}`,
      {
        instance: { imageId: `ami-${String(i).padStart(17, '0')}`, tags: { Team: 'x'.repeat(255) } },
        guest: {
          files: rules(320),
          bursts: Array.from({ length: storms }, (_, n) => ({ at: NOW - HOUR + n * 60_000, needs: 90_000, rounds: 8 })),
        },
      },
    ]),
  );

const cellUse = (world: SmallWorld) => {
  const cell = world.service.engine.executions().find(({ functionName }) => functionName === 'cell');
  if (!cell) throw new Error('no cell was swept');
  return cell.use;
};

describe('a large cell', () => {
  test('a page of affected machines says little more than a page of one', async () => {
    const bytes = async (count: number) =>
      inSmallWorld({ machines: stormy(count, 20) }, async (world) => {
        const report = await world.run({ mode: 'plan' });
        expect(report).toMatchObject({ complete: true, totals: { affected: count, resized: count } });
        const { lines = [] } = report.actions[0]?.evidence ?? {};
        expect(lines).toHaveLength(3);
        return cellUse(world).bytes;
      });
    const one = await bytes(1);
    const hundred = await bytes(100);
    // Its id, and its image for the groups: nothing that a console says.
    expect((hundred - one) / 99).toBeLessThan(400);
    expect(hundred).toBeLessThan(64 * 1024);
  });

  test('a report beyond what a function may return holds the totals and says where the rest is', () =>
    inSmallWorld({ machines: stormy(320, 1) }, async (world) => {
      const started = await world.call({ mode: 'plan' });
      if (!started.ok) throw new Error(started.message);
      const { runId, executionArn } = started.value as Record<string, string>;
      const ended = await world.service.engine.settled(executionArn ?? '');
      expect(ended.status).toBe('SUCCEEDED');
      const whole = await world.service.reportOf(runId ?? '');
      expect(whole.actions).toHaveLength(320);
      expect(JSON.stringify(whole).length).toBeGreaterThan(LARGEST_ANSWER);
      const status = await world.call({ status: runId });
      if (!status.ok) throw new Error(status.message);
      for (const answer of [
        world.service.engine.result(ended.arn) as RunReport,
        status.value as unknown as RunReport,
      ]) {
        expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(LARGEST_ANSWER);
        expect(answer).toMatchObject({ runId, complete: true, truncated: true, totals: whole.totals, actions: [] });
        expect(answer.where).toMatch(/ledger/);
      }
      expect(cellUse(world).operations).toBeLessThan(30);
    }));
});
