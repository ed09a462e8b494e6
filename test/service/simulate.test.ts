/** The demo: repeatable to the byte, right for any seed, and harmless in plan mode. */
import { simulate } from '../../cli/simulation.ts';
import type { WorldEvent } from '../../simulator/core.ts';

const options = { instances: 24, seed: 7, mode: 'apply' } as const;

describe('simulate', () => {
  test('gives the same report for the same options, and another for another seed', async () => {
    const first = await simulate(options);
    const again = await simulate(options);
    // Times as well: they are those of the virtual clock.
    expect(again).toEqual(first);
    const other = await simulate({ ...options, seed: 8 });
    expect(other.actions.map(({ instanceId }) => instanceId)).not.toEqual(
      first.actions.map(({ instanceId }) => instanceId),
    );
    for (const { simulator } of [first, other]) expect(simulator).toMatchObject({ agrees: true });
  });

  test.each([1, 2_147_483_647])('agrees with the region itself for seed %i', async (seed) => {
    const report = await simulate({ ...options, seed });
    expect(report).toMatchObject({ complete: true, simulator: { agrees: true } });
    expect(report.simulator?.disagreements).toBeUndefined();
    expect(report.totals.affected).toBeGreaterThan(3);
    expect(report.totals.resized + report.totals.restarted).toBeGreaterThan(0);
    expect(report.simulator?.mutatingCalls).toBeGreaterThan(0);
    expect(Object.keys(report.simulator?.strikes ?? {})).not.toEqual([]);
  });

  test('in plan mode changes nothing, by its own count and by the log of the region', async () => {
    const seen: WorldEvent[] = [];
    const report = await simulate({ ...options, mode: 'plan', onEvent: (event, main) => main && seen.push(event) });
    expect(report).toMatchObject({ mode: 'plan', simulator: { mutatingCalls: 0, agrees: true } });
    expect(report.totals.resized + report.totals.restarted).toBeGreaterThan(0);
    const calls = seen.filter(({ kind }) => kind === 'api');
    expect(calls.length).toBeGreaterThan(50);
    const writes = calls.filter(({ what, detail }) =>
      detail?.service === 'ec2' ? !/^(Describe|Get)/.test(what) : what === 'SendCommand',
    );
    expect(writes).toEqual([]);
    expect(seen.filter(({ kind }) => kind === 'power')).toEqual([]);
  });
});
