/**
 * A storm: two fifths of a fleet hang at once. Nobody is restarted without a human's plan, resizes go on, the message says
 * what is needed; when it is over the breaker closes by itself.
 */
import type { RunReport } from '../../domain/contracts.ts';
import type { Faults } from '../../simulator/faults.ts';
import { HOUR, hung, MINUTE, overflowed } from '../../simulator/kinds/kind.ts';
import {
  APPLY,
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallFleet,
  type SmallWorld,
} from '../support/small-world.ts';

const FLEET = 40;
const HUNG = 16;
const SICK = 8;
/** The common cause is mended so long after the world begins, and what hangs comes back by itself. */
const ENDS_AFTER = 5 * HOUR;
const BREAKER = /^16 of 40 instances, more than 10, are lost or impaired at once/;

const names = (what: string, count: number) => Array.from({ length: count }, (_, i) => `${what}-${i + 1}`);
const fleetOf = (what: string, count: number, machine: SmallFleet[string]): SmallFleet =>
  Object.fromEntries(names(what, count).map((name) => [name, machine]));

function stormy(): SmallFleet {
  const storm = hungMachine();
  return {
    ...fleetOf('hung', HUNG, { ...storm, guest: hung(NOW, { recoversAfterMs: ENDS_AFTER + 40 * MINUTE }) }),
    ...fleetOf('sick', SICK, overflowedMachine()),
    // Overflows while the storm goes on.
    later: { guest: { ...overflowed(NOW), bursts: [{ at: NOW + 90 * MINUTE, needs: 1500 }] } },
    // Hangs long after it.
    last: { ...storm, guest: hung(NOW + 12 * HOUR) },
    ...fleetOf('well', FLEET - HUNG - SICK - 2, healthyMachine()),
  };
}

const powerCalls = (world: SmallWorld) =>
  ['StopInstances', 'StartInstances', 'RebootInstances'].reduce((sum, call) => sum + world.attempts(call), 0);
const scheduled = () => ({ scheduledAt: new Date(Date.now()).toISOString() });
const breakerOf = (report: RunReport) => report.cells[0]?.breaker;
const until = (world: SmallWorld, at: number) => world.minutes((at - Date.now()) / MINUTE);
const refusal = async (world: SmallWorld, name: string, request: object) => {
  const report = await world.run(request);
  expect(actionOn(report, world, name)).toMatchObject({ action: 'leave', code: 'breaker-open' });
  expect(powerCalls(world)).toBe(0);
};

test(
  'a storm from its first sweep to the first restart after it',
  () =>
    inSmallWorld(
      { machines: stormy(), policy: { ...APPLY, restart: { maxPercent: 20 } }, memory: null },
      async (world) => {
        // Before anything was known of the fleet: the storm is seen in the first sweep, before the first restart.
        const first = await world.run(scheduled());
        expect(breakerOf(first)).toMatchObject({
          open: true,
          reason: expect.stringMatching(/lost or impaired at once/),
        });
        expect(first.totals).toMatchObject({ affected: HUNG + SICK, resized: SICK, restarted: 0, left: HUNG });
        // The reachable are cured, a few first.
        const sick = world.commands().map(({ instanceIds }) => instanceIds.length);
        expect(sick).toEqual([5, 3]);
        for (const name of names('sick', SICK)) expect(world.truth(name).effectiveLimit).toBe(8192);
        for (const name of names('hung', HUNG)) {
          expect(actionOn(first, world, name)).toMatchObject({
            action: 'leave',
            code: 'breaker-open',
            next: expect.stringContaining(`{"mode":"plan","instanceIds":["${world.id(name)}"]}`),
          });
        }
        expect(powerCalls(world)).toBe(0);

        // One message, which says what is needed, to the letter.
        expect(world.messages()).toHaveLength(1);
        const [message = ''] = world.messages();
        const asked = /\{"mode":"plan","instanceIds":\[[^\]]*\]\}/.exec(message)?.[0] ?? '';
        expect(message).toMatch(/no restarts, the breaker is open: 16 of \d+ instances/);
        expect(message).toMatch(/16 of its machines hang and are not restarted/);
        expect(message).toMatch(/then send \{"planId":"<that runId>"\}/);
        expect(message).toMatch(/Resizes go on/);
        expect(message).toMatch(/closes by itself after 2 quiet sweeps/);
        const offered = JSON.parse(asked) as { mode: 'plan'; instanceIds: string[] };
        expect(offered.instanceIds).toEqual(names('hung', 10).map((name) => world.id(name)));

        // Sweep after sweep it stays so; what overflows meanwhile is resized.
        await until(world, NOW + 1 * HOUR);
        const second = await world.run(scheduled());
        expect(breakerOf(second)).toEqual({ open: true, reason: expect.stringMatching(BREAKER) });
        await until(world, NOW + 2 * HOUR);
        const third = await world.run(scheduled());
        expect(actionOn(third, world, 'later').outcome).toMatchObject({ result: 'resized', proven: true });
        expect(world.messages()).toHaveLength(3);

        // No way past it but a person's plan of named machines: not by name alone, at a schedule or not, not by a plan of all.
        const ids = ['hung-3', 'hung-7'].map((name) => world.id(name));
        await refusal(world, 'hung-3', { mode: 'apply', instanceIds: ids });
        const all = await world.run({ mode: 'plan' });
        expect(all.totals.restarted).toBe(0);
        await refusal(world, 'hung-3', { mode: 'apply', planId: all.runId });
        await refusal(world, 'hung-3', { mode: 'apply', instanceIds: ids, ...scheduled() });

        // A person names two and looks at what would be done.
        const plan = await world.run({ mode: 'plan', instanceIds: ids });
        expect(breakerOf(plan)).toMatchObject({ open: true });
        expect(plan.totals).toMatchObject({ instances: 2, restarted: 2 });
        for (const name of ['hung-3', 'hung-7']) {
          const { action, code, reason } = actionOn(plan, world, name);
          expect({ action, code }).toEqual({ action: 'restart-then-resize', code: 'restart' });
          expect(reason).toMatch(/The breaker is open \(.*\): only applying this plan restarts it\.$/);
        }
        expect(powerCalls(world)).toBe(0);

        // And applies exactly that, as the command line asks for it: those two, one after the other.
        const applied = await world.run({ mode: 'apply', planId: plan.runId, ...scheduled() });
        expect(applied.totals).toMatchObject({ instances: 2, restarted: 2 });
        expect(breakerOf(applied)).toMatchObject({ open: true });
        for (const name of world.names()) {
          const expected = ['hung-3', 'hung-7'].includes(name) ? ['stopping', 'pending'] : [];
          expect([name, world.power(name)]).toEqual([name, expected]);
        }
        const [one, two] = world.deeds('StopInstances');
        expect((two?.at ?? 0) - (one?.at ?? 0)).toBeGreaterThan(MINUTE);
        expect(world.truth('hung-7')).toMatchObject({ hung: false, effectiveLimit: 8192 });

        // It ends: what hung answers again and is resized. That sweep still counts them; two quiet ones close the breaker.
        await until(world, NOW + ENDS_AFTER + 30 * MINUTE);
        const mended = await world.run(scheduled());
        expect(mended.totals).toMatchObject({ resized: HUNG - 2, restarted: 0 });
        expect(breakerOf(mended)).toMatchObject({ open: true });
        for (const quiet of [0, 1]) {
          await until(world, NOW + (7 + quiet) * HOUR);
          const report = await world.run(scheduled());
          expect(breakerOf(report)).toEqual({
            open: true,
            reason: `an earlier sweep opened it; it closes after 2 quiet sweeps (${quiet} so far)`,
          });
        }
        expect(await world.service.hub.ledger.getCellMemory(world.service.deployment.home)).toMatchObject({
          value: { breakerOpen: false },
        });
        await until(world, NOW + 9 * HOUR);
        expect(breakerOf(await world.run(scheduled()))).toEqual({ open: false, reason: null });

        // A single one that hangs afterwards is restarted as ever.
        const before = powerCalls(world);
        await until(world, NOW + 12 * HOUR);
        const after = await world.run(scheduled());
        expect(actionOn(after, world, 'last').outcome).toMatchObject({ proven: true, restartedBy: 'stop-start' });
        expect(powerCalls(world) - before).toBe(2);
        expect(after.totals).toMatchObject({ restarted: 1 });
      },
    ),
  120_000,
);

test('a human’s plan goes on no further than the first machine that does not come back', () => {
  const machines = {
    ...stormy(),
    'hung-1': hungMachine({ capacityFailures: { until: NOW + 10 * HOUR } }),
  };
  return inSmallWorld({ machines, policy: { ...APPLY, restart: { maxPercent: 20 } }, memory: null }, async (world) => {
    await world.run(scheduled());
    const ids = names('hung', 3).map((name) => world.id(name));
    const plan = await world.run({ mode: 'plan', instanceIds: ids });
    const applied = await world.run({ planId: plan.runId });
    expect(world.power('hung-1')).toEqual(['stopping']);
    for (const name of ['hung-2', 'hung-3']) {
      expect(world.power(name)).toEqual([]);
      expect(actionOn(applied, world, name)).toMatchObject({ action: 'defer', code: 'restart-budget' });
    }
    expect(applied.totals).toMatchObject({ failed: 1, deferred: 2, restarted: 0 });
  });
}, 60_000);

test('many agents that went silent at once are SSM or the network: the one that hangs is not restarted', () => {
  const silent = { guest: { ...healthyMachine().guest, agent: { diesAt: NOW - 30 * MINUTE } } };
  const machines = { hung: hungMachine(), ...fleetOf('silent', 11, silent), ...fleetOf('well', 28, healthyMachine()) };
  // Of the breaker's bounds only that of the newly silent is left.
  const policy = { ...APPLY, breaker: { affectedPercent: 100 } };
  return inSmallWorld({ machines, policy }, async (world) => {
    const report = await world.run();
    expect(breakerOf(report)).toEqual({
      open: true,
      reason: '12 more than in the last sweep are silent (over 10): SSM or the network, not the machines',
    });
    expect(actionOn(report, world, 'hung')).toMatchObject({ action: 'leave', code: 'breaker-open' });
    expect(powerCalls(world)).toBe(0);
    expect(world.messages()[0]).toMatch(/To restart this one all the same: send \{"mode":"plan"/);
  });
});

describe('a run on a part of a cell, before any sweep has seen the storm', () => {
  const policy = { ...APPLY, restart: { maxPercent: 20 } };
  const tagged = Object.fromEntries(
    Object.entries(stormy()).map(([name, machine]) => {
      const tags = { ...machine.instance?.tags, ...(name === 'hung-1' ? { Team: 'db' } : {}) };
      return [name, { ...machine, instance: { ...machine.instance, tags } }];
    }),
  );

  test.each([
    ['names one machine', (world: SmallWorld) => ({ mode: 'apply' as const, instanceIds: [world.id('hung-1')] })],
    ['asks for one by tag', () => ({ mode: 'apply' as const, tags: { Team: ['db'] } })],
  ])('sees it all the same, where it %s', (_how, request) =>
    inSmallWorld({ machines: tagged, policy }, async (world) => {
      const report = await world.run(request(world));
      expect(report.totals).toMatchObject({ instances: 1, affected: 1, left: 1, restarted: 0 });
      expect(breakerOf(report)).toEqual({ open: true, reason: expect.stringMatching(BREAKER) });
      expect(actionOn(report, world, 'hung-1')).toMatchObject({ action: 'leave', code: 'breaker-open' });
      expect(powerCalls(world)).toBe(0);
      // It says nothing of the cell to the next sweep, which sees the storm itself.
      expect(await world.service.hub.ledger.getCellMemory(HOME)).toMatchObject({ value: { breakerOpen: false } });
    }),
  );

  test('cures what is reachable without asking how many hang', () =>
    inSmallWorld({ machines: tagged, policy: { ...policy, restart: { policy: 'never' } } }, async (world) => {
      const report = await world.run({ mode: 'apply', instanceIds: [world.id('sick-1')] });
      expect(report.totals).toMatchObject({ instances: 1, resized: 1 });
      expect(world.attempts('DescribeInstanceStatus')).toBe(1);
    }));

  test.each(['ec2:DescribeInstanceStatus', 'ssm:DescribeInstanceInformation'])(
    'restarts nobody where %s of the whole cell cannot be read',
    (call) => {
      const [service = '', action = ''] = call.split(':');
      const faults: Faults = {
        strike: (request) =>
          request.service === service && request.action === action && JSON.stringify(request.params).includes('Filter')
            ? { name: 'unreadable listing', kind: 'denied' }
            : null,
      };
      const machines = { one: hungMachine(), ...fleetOf('well', 5, healthyMachine()) };
      return inSmallWorld({ machines, policy, faults }, async (world) => {
        const report = await world.run({ mode: 'apply', instanceIds: [world.id('one')] });
        expect(report.complete).toBe(false);
        expect(report.cells[0]?.errors.map((e) => e.call)).toContain(call);
        expect(breakerOf(report)).toEqual({ open: true, reason: 'how many are lost or impaired could not be read' });
        expect(powerCalls(world)).toBe(0);
      });
    },
  );

  test('restarts one of a few that hang, each of which both listings name', () => {
    const both = { ...hungMachine(), guest: hung(NOW, { impairs: true }) };
    const machines = { ...fleetOf('hung', 6, both), ...fleetOf('well', 5, healthyMachine()) };
    return inSmallWorld({ machines, policy }, async (world) => {
      const report = await world.run({ mode: 'apply', instanceIds: [world.id('hung-2')] });
      expect(breakerOf(report)).toEqual({ open: false, reason: null });
      expect(report.totals).toMatchObject({ instances: 1, restarted: 1 });
      expect(world.instance('hung-1').state).toBe('running');
      for (const name of ['hung-1', 'hung-3']) expect(world.power(name)).toEqual([]);
    });
  });
});
