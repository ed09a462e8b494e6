/** The region's own opinion can differ from a report: what is said to hold is held against kernel and rules. */

import { disagreements, type ReportedRun, snapshotOf } from '../../simulator/judgement.ts';
import { rules } from '../../simulator/kinds/kind.ts';
import { HOME, healthyMachine, inSmallWorld } from '../support/small-world.ts';

const machines = { kept: healthyMachine(), undone: { guest: { files: rules(320) } } };

test('a cure that is reported to hold, and does not, is named with what the machine has', () =>
  inSmallWorld({ machines }, async (world) => {
    const before = snapshotOf(world.service.cloud);
    const held = (name: string, proven: boolean) => ({
      ...HOME,
      instanceId: world.id(name),
      action: 'leave',
      code: 'healthy',
      outcome: { result: 'held', proven, target: 8192, restartedBy: null },
    });
    const run = (proven: boolean): ReportedRun => ({
      mode: 'apply',
      actions: [held('kept', proven), held('undone', proven)],
      totals: { instances: 2, restarted: 0 },
      cells: [{ ...HOME, instances: 2 }],
    });
    expect(disagreements(world.service.cloud, before, run(true))).toEqual([
      `${world.id('undone')} (eu-west-1): its cure is reported to hold at 8192: kernel 320, rules 320`,
    ]);
    expect(disagreements(world.service.cloud, before, run(false))).toEqual([]);
  }));
