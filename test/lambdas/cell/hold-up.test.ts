/** A machine for which something cannot be done does not hold up the others, sweep after sweep. */
import { HOUR, MINUTE, rules } from '../../../simulator/kinds/kind.ts';
import {
  actionOn,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallWorld,
} from '../../support/small-world.ts';

/** Console text that this machine prints beside all else. */
function printsToo(world: SmallWorld, name: string, text: string): void {
  const machine = world.machine(name);
  const console = machine.console.bind(machine);
  machine.console = (at: number, from = 0) =>
    from > 0 ? console(at, from) : Buffer.concat([console(at), Buffer.from(text)]);
}

test('one that cannot be marked, so is not stopped, does not end the restarts', () => {
  // EC2 takes 50 tags: there is no room for ours.
  const tags = Object.fromEntries(Array.from({ length: 48 }, (_, i) => [`t${i}`, 'x']));
  const machines = { full: hungMachine({ tags }), next: hungMachine(), well: healthyMachine() };
  return inSmallWorld({ machines, policy: { mode: 'apply', restart: { maxPercent: 100 } } }, async (world) => {
    const report = await world.run();
    expect(actionOn(report, world, 'full').outcome).toMatchObject({
      result: 'restart-failed',
      message: expect.stringMatching(/TagLimitExceeded/),
    });
    expect(world.power('full')).toEqual([]);
    expect(actionOn(report, world, 'next').outcome).toMatchObject({ restartedBy: 'stop-start', proven: true });
  });
});

test('the first that declines leaves the next one alone as well: no second goes down before one came back', () => {
  const machines = { a: hungMachine(), b: hungMachine(), c: hungMachine(), d: hungMachine() };
  const policy = { mode: 'apply' as const, restart: { maxPercent: 100, maxInFlight: 3 } };
  return inSmallWorld({ machines, policy }, async (world) => {
    world.once(
      ({ kind, what, detail }) =>
        kind === 'durable' && what === 'checkpoint' && /STEP SUCCEED lease(,|$)/.test(String(detail?.updates)),
      () => world.setTag('a', 'AuditBacklogRestart', 'no'),
    );
    const report = await world.run();
    expect(actionOn(report, world, 'a').outcome).toMatchObject({ result: 'declined' });
    const [first, second] = world.deeds('StopInstances').map(({ at }) => at);
    const [back] = world.deeds('StartInstances').map(({ at }) => at);
    expect(first).toBeDefined();
    expect(second).toBeGreaterThan(back ?? Number.POSITIVE_INFINITY);
    for (const name of ['b', 'c', 'd']) expect(world.power(name)).toEqual(['stopping', 'pending']);
  });
});

test('one that its owner terminated while it was down is not down any more', () => {
  const machines = { a: hungMachine(), b: hungMachine() };
  const policy = { mode: 'apply' as const, restart: { maxPercent: 100, maxInFlight: 1 } };
  return inSmallWorld({ machines, policy }, async (world) => {
    world.once(
      ({ kind, what, instanceId }) => kind === 'power' && what === 'stopped' && instanceId === world.id('a'),
      () => void setTimeout(() => world.instance('a').terminate('its owner'), 5000),
    );
    await world.run();
    await world.minutes(20);
    expect(actionOn(await world.run(), world, 'b').outcome).toMatchObject({ restartedBy: 'stop-start', proven: true });
  });
});

test('a few whose runbook fails are not the canary of every run', () => {
  const names = Array.from({ length: 12 }, (_, i) => `m${i}`);
  const machines = Object.fromEntries(names.map((name) => [name, overflowedMachine()]));
  return inSmallWorld({ machines, policy: { mode: 'apply', breaker: { affectedCount: 100 } } }, async (world) => {
    const broken = names.slice(0, 5);
    for (const name of broken) {
      const machine = world.machine(name);
      const run = machine.runScript.bind(machine);
      machine.runScript = (...args) => ({ ...run(...args), stdout: 'Segmentation fault\n', exitCode: 139 });
    }
    const cured = () => names.filter((name) => !broken.includes(name) && world.truth(name).effectiveLimit === 8192);
    for (let sweep = 0; sweep < 12 && cured().length < 7; sweep++) {
      await world.run();
      await world.minutes(240);
    }
    expect(cured()).toHaveLength(7);
  });
}, 60_000);

test('a limit on a console that no runbook would take is taken for the largest it takes', () =>
  inSmallWorld(
    {
      machines: { odd: overflowedMachine(), other: overflowedMachine() },
      policy: { mode: 'apply', resize: { canary: 1 } },
    },
    async (world) => {
      printsToo(world, 'odd', '[9999999.000000] audit: audit_backlog=99999999 > audit_backlog_limit=99999998\n');
      const report = await world.run();
      expect(report).toMatchObject({ complete: true, totals: { resized: 2 } });
      expect(world.truth('odd').effectiveLimit).toBe(65536);
      expect(world.truth('other').effectiveLimit).toBe(8192);
    },
  ));

test('a weak sign costs one look, and then none of the budget', () =>
  inSmallWorld(
    {
      machines: { w1: healthyMachine(), w2: healthyMachine(), real: overflowedMachine() },
      policy: { mode: 'apply', resize: { maxPerRun: 2 } },
    },
    async (world) => {
      for (const name of ['w1', 'w2'])
        printsToo(world, name, '[ 1000.000000] audit_printk_skb: 6 callbacks suppressed\n');
      const first = await world.run();
      expect(actionOn(first, world, 'w1')).toMatchObject({ action: 'assess', code: 'weak-evidence' });
      await world.minutes(240);
      const second = await world.run();
      expect(actionOn(second, world, 'w1')).toMatchObject({ action: 'leave', code: 'weak-evidence' });
      expect(actionOn(second, world, 'real').outcome).toMatchObject({ result: 'resized', proven: true });
    },
  ));

describe('a storm that goes on until it is cured', () => {
  const during = Array.from({ length: 40 }, (_, i) => ({ at: NOW - MINUTE + i * 7000, needs: 1500, rounds: 1 }));

  test('has not overflowed again after the cure', () =>
    inSmallWorld(
      {
        machines: { m: { guest: { files: rules(320), bursts: during } } },
        policy: { mode: 'apply', cures: { max: 1 } },
      },
      async (world) => {
        const first = await world.run();
        const { outcome, evidence } = actionOn(first, world, 'm');
        expect(outcome).toMatchObject({ result: 'resized', proven: true });
        await world.minutes(240);
        const entry = actionOn(await world.run(), world, 'm');
        expect(entry).toMatchObject({ code: 'already-handled', outcome: { result: 'held' } });
        // The console did go on: without reading it again after the cure this would be a new overflow.
        expect(entry.evidence?.key).not.toBe(evidence?.key);
      },
    ));

  test('is no reason to stop the machine when its agent is lost for another one', () => {
    const agent = { diesAt: NOW + 70 * MINUTE };
    const guest = { files: rules(320), bursts: during, agent };
    const machines = { m: { ...hungMachine(), guest } };
    return inSmallWorld({ machines, policy: { mode: 'apply' } }, async (world) => {
      const machine = world.machine('m');
      const check = machine.instanceCheck.bind(machine);
      machine.instanceCheck = (at) => (at > NOW + 70 * MINUTE ? 'impaired' : check(at));
      await world.run();
      await world.minutes((4 * HOUR) / MINUTE);
      expect(actionOn(await world.run(), world, 'm')).toMatchObject({ action: 'leave', code: 'already-handled' });
      expect(world.power('m')).toEqual([]);
    });
  });
});
