/** Sequences of events that once went wrong in a cell: listings that break off, steps that are repeated, sweeps side by side. */
import { CrashPlan } from '../../../simulator/engine/crash-plan.ts';
import { ScriptedFaults } from '../../../simulator/faults.ts';
import { burst, consenting, HOUR, MINUTE, rules } from '../../../simulator/kinds/kind.ts';
import {
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallFleet,
  type SmallMachine,
  type SmallWorld,
} from '../../support/small-world.ts';

const ALWAYS = Number.POSITIVE_INFINITY;
const many = (count: number, machine: () => SmallMachine): SmallFleet =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, machine()]));
const memoryOf = async (world: SmallWorld) => {
  const memory = await world.service.hub.ledger.getCellMemory(HOME);
  return memory.ok ? memory.value : null;
};
const OPEN = { breakerOpen: true, quietSweeps: 1, silent: 30 } as const;

describe('a listing that breaks off', () => {
  test('in a storm: what it did not name is not taken for well, and nobody is restarted', () => {
    // The second page of the lost agents cannot be described: 50 of 110 are counted, below the bound of 70.
    const faults = new ScriptedFaults([{ kind: 'throttle', calls: 'ec2:DescribeInstances', nth: 2, times: 7 }]);
    const world = { machines: many(110, hungMachine), memory: { instances: 1400, silent: 0 }, faults };
    return inSmallWorld(world, async (w) => {
      const report = await w.run();
      expect(report.cells[0]).toMatchObject({ status: 'incomplete' });
      expect(report.cells[0]?.breaker.reason).toMatch(/how many are lost or impaired could not be read/);
      expect(w.deeds('StopInstances')).toEqual([]);
    });
  }, 60_000);

  test('is no quiet sweep: an open breaker stays open, and what was known of the cell stays', () => {
    const faults = new ScriptedFaults([{ kind: 'denied', calls: 'ec2:DescribeInstances', times: ALWAYS }]);
    const machines = { one: hungMachine(), well: healthyMachine() };
    return inSmallWorld({ machines, memory: OPEN, faults }, async (world) => {
      for (let sweep = 0; sweep < 3; sweep++) {
        expect(await world.run()).toMatchObject({ complete: false, totals: { instances: 0 } });
        expect(await memoryOf(world)).toMatchObject({ instances: 40, ...OPEN });
      }
    });
  });
});

test('a breaker that another sweep opened meanwhile stays open', () =>
  inSmallWorld({ machines: { one: overflowedMachine(), well: healthyMachine() } }, async (world) => {
    const opened = { instances: 40, silent: 20, breakerOpen: true, quietSweeps: 0, at: '2026-11-22T04:01:30.000Z' };
    world.once(
      ({ kind, what }) => kind === 'ssm' && what === 'send',
      () => void world.service.hub.ledger.putCellMemory(HOME, opened),
    );
    expect((await world.run()).totals).toMatchObject({ resized: 1 });
    expect(await memoryOf(world)).toEqual(opened);
  }));

test.each([
  ['that answers', overflowedMachine(), 300],
  ['that hangs', hungMachine(), 120],
])(
  'a page that is surveyed twice, and a machine %s that is terminated meanwhile: the report adds up',
  (_what, gone, delay) => {
    const crashPlan = new CrashPlan([{ at: 'call', call: 'dynamodb:BatchWriteItem', number: 1, moment: 'after' }]);
    const machines = { gone, stays: overflowedMachine(), well: healthyMachine() };
    return inSmallWorld({ machines, resumeDelaySeconds: delay, crashPlan }, async (world) => {
      world.once(
        ({ kind, what }) => kind === 'durable' && what === 'kill',
        () => world.instance('gone').terminate('its owner'),
      );
      const { totals, actions } = await world.run();
      expect(actions.map(({ instanceId }) => instanceId)).toContain(world.id('gone'));
      expect(totals).toMatchObject({ instances: 3, healthy: 1, affected: 2, resized: 1 });
      expect(world.power('gone')).toEqual([]);
    });
  },
);

test('one that does not come back ends the restarts of the whole run, of the second pass too', () => {
  const noRoom = { capacityFailures: { count: 99 } };
  const later = { files: rules(320), bursts: [burst(NOW + 1 * MINUTE, { hangs: true })] };
  const machines = {
    first: hungMachine(noRoom),
    // Goes silent while the first one is being restarted.
    second: { instance: consenting(noRoom), guest: later },
    well: healthyMachine(),
  };
  const policy = { mode: 'apply' as const, restart: { maxPercent: 100 } };
  return inSmallWorld({ machines, policy }, async (world) => {
    const report = await world.run();
    expect(actionOn(report, world, 'first').outcome).toMatchObject({ result: 'awaiting-capacity' });
    expect(actionOn(report, world, 'second')).toMatchObject({
      action: 'defer',
      code: 'restart-budget',
      reason: expect.stringContaining(`${world.id('first')} did not come back`) as string,
    });
    expect(world.power('second')).toEqual([]);
  });
});

test('weak evidence costs a look and no change, also where a plan of it is applied', () => {
  const bursts = [burst(NOW - 3 * HOUR, { needs: 900 }), burst(NOW - 2 * HOUR, { needs: 900 })];
  const weak: SmallMachine = { guest: { distribution: 'rhel7', auditd: 'stopped', bursts } };
  return inSmallWorld({ machines: { weak, well: healthyMachine() } }, async (world) => {
    const before = world.truth('weak');
    const plan = await world.run({ mode: 'plan' });
    expect(actionOn(plan, world, 'weak')).toMatchObject({ action: 'assess', code: 'weak-evidence' });
    const report = await world.run({ planId: plan.runId });
    expect(report.totals).toMatchObject({ assessed: 1, resized: 0 });
    expect(actionOn(report, world, 'weak').outcome).toMatchObject({ result: 'planned', limitBefore: 64 });
    expect(world.truth('weak')).toMatchObject({ effectiveLimit: before.effectiveLimit, files: before.files });
  });
});

test('an entry that is refused is refused once, also where a crash has it judged again', () =>
  inSmallWorld({ machines: { one: overflowedMachine(), well: healthyMachine() } }, async (world) => {
    const plan = await world.run({ mode: 'plan' });
    world.setTag('one', 'AuditBacklogRestart', 'allowed');
    world.once(
      ({ kind, what }) => kind === 'api' && what === 'PutLogEvents',
      () => world.service.engine.killCurrentInvocation('crash after judging'),
    );
    const report = await world.run({ planId: plan.runId });
    expect(actionOn(report, world, 'one').reason.match(/Refused/g)).toHaveLength(1);
    expect(world.commands()).toEqual([]);
  }));

test('consoles that stop answering after the survey do not outlast the function: the rest is left alone, unread', () => {
  const silent = { kind: 'slow', calls: 'ec2:GetConsoleOutput', milliseconds: 20_000 } as const;
  const faults = new ScriptedFaults([{ ...silent, nth: 51, times: ALWAYS }]);
  const world = { machines: many(50, hungMachine), memory: { instances: 2000, silent: 0 }, faults };
  return inSmallWorld(world, async (w) => {
    const report = await w.run();
    expect(w.service.log.events.filter(({ kind, what }) => kind === 'durable' && what === 'kill')).toEqual([]);
    expect((Date.now() - NOW) / MINUTE).toBeLessThan(15);
    expect(report.totals).toMatchObject({ affected: 50, left: 50, restarted: 0 });
    expect(report.actions.map(({ reason }) => reason).join()).toMatch(/there was no time left to look at it again/);
    expect(w.deeds('StopInstances')).toEqual([]);
  });
}, 60_000);

test('many entries that nothing is done to cost few operations', () => {
  const policy = { mode: 'plan' as const, scope: { includeTags: { Team: ['db'] } } };
  return inSmallWorld({ machines: many(600, healthyMachine), policy }, async (world) => {
    expect((await world.run()).totals).toMatchObject({ instances: 600, outOfScope: 600 });
    const end = world.service.log.events.find(({ what, detail }) => what === 'end' && detail?.function === 'cell');
    const { operations = Number.NaN } = (end?.detail?.use ?? {}) as { operations?: number };
    // 6 pages to list, 12 of the ledger in one step a pass.
    expect(operations).toBeLessThan(16);
  });
}, 60_000);

test('one that was declined is not tagged: its owner may just have opted out', () =>
  inSmallWorld({ machines: { hung: hungMachine(), well: healthyMachine() } }, async (world) => {
    let since = 0;
    world.once(
      ({ kind, what, detail }) =>
        kind === 'durable' && what === 'checkpoint' && /STEP SUCCEED lease(,|$)/.test(String(detail?.updates)),
      () => {
        since = Date.now();
        world.setTag('hung', 'AuditBacklogRemediation', 'disabled');
      },
    );
    const report = await world.run();
    expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'declined' });
    expect(world.touched(since)).toEqual({});
  }));
