/** Between plan and act a machine, its owner or the operator may change their mind: it is looked at again. */
import { HOUR, MINUTE } from '../../../simulator/kinds/kind.ts';
import {
  actionOn,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  type SmallMachine,
  type SmallWorld,
} from '../../support/small-world.ts';

/** Planned with the first one, and restarted after it: some minutes lie between plan and act. */
const machines = (second: SmallMachine) => ({ first: hungMachine(), second, well: healthyMachine() });

/** Changes the world as soon as the first machine is being stopped: both are planned then. */
function afterThePlan(world: SmallWorld, change: () => void): void {
  world.once(({ kind, what }) => kind === 'power' && what === 'stopping', change);
}

describe('a machine that was planned to be restarted', () => {
  test('and came back meanwhile is resized and not restarted', () => {
    // It comes back 4 minutes after the plan, and pings one minute later.
    const hang = { at: NOW - 40 * MINUTE, needs: 1500, hangs: true, recoversAfterMs: 44 * MINUTE };
    const second = hungMachine({ launchTime: NOW - 30 * 24 * HOUR });
    const guest = { ...second.guest, bursts: [hang], agent: { startsAfterSeconds: 0 } };
    return inSmallWorld({ machines: machines({ ...second, guest }) }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'first').outcome).toMatchObject({ proven: true, restartedBy: 'stop-start' });
      expect(actionOn(report, world, 'second')).toMatchObject({
        action: 'restart-then-resize',
        outcome: { result: 'resized', proven: true, restartedBy: null },
      });
      expect(world.power('second')).toEqual([]);
      expect(report.totals).toMatchObject({ affected: 2, resized: 1, restarted: 1 });
    });
  });

  test.each<[string, (world: SmallWorld) => void, RegExp]>([
    ['opted out', (world) => world.setTag('second', 'AuditBacklogRemediation', 'disabled'), /opted|says disabled/],
    ['took back its consent', (world) => world.setTag('second', 'AuditBacklogRestart', null), /does not bear the tag/],
    [
      'came into a group that replaces it',
      (world) => world.setTag('second', 'aws:autoscaling:groupName', 'web'),
      /method would be reboot/,
    ],
    ['was rebooted by its owner', (world) => world.machine('second').reset(Date.now()), /older boot/],
    [
      'was stopped by its owner',
      (world) => world.instance('second').stop({ force: true, skipOsShutdown: true }),
      /stopp/,
    ],
    ['was terminated', (world) => world.instance('second').terminate('its owner'), /terminated/],
  ])('and %s meanwhile is left alone', (_what, change, why) =>
    inSmallWorld({ machines: machines(hungMachine()) }, async (world) => {
      afterThePlan(world, () => change(world));
      const report = await world.run();
      expect(actionOn(report, world, 'first').outcome).toMatchObject({ proven: true });
      const { outcome } = actionOn(report, world, 'second');
      expect(outcome).toMatchObject({ result: 'declined', proven: false, restartedBy: null });
      expect(outcome?.message).toMatch(why);
      for (const call of ['StopInstances', 'StartInstances', 'RebootInstances']) {
        expect(world.deeds(call).flatMap(({ instanceIds }) => instanceIds)).not.toContain(world.id('second'));
      }
      expect(world.commands().flatMap(({ instanceIds }) => instanceIds)).not.toContain(world.id('second'));
      expect(report.totals).toMatchObject({ affected: 2, restarted: 1, left: 1 });
    }),
  );

  test('is deferred when acting was paused meanwhile; the one under way is brought back', () =>
    inSmallWorld({ machines: machines(hungMachine()) }, async (world) => {
      afterThePlan(world, () => void world.pause('stop everything'));
      const report = await world.run();
      expect(actionOn(report, world, 'first').outcome).toMatchObject({ proven: true });
      expect(actionOn(report, world, 'second')).toMatchObject({
        action: 'defer',
        reason: expect.stringMatching(/paused: stop everything/),
      });
      expect(world.power('second')).toEqual([]);
    }));

  test('is left alone when acting was paused in the very moment', () =>
    inSmallWorld({ machines: { hung: hungMachine() } }, async (world) => {
      world.once(
        ({ kind, what, detail }) =>
          kind === 'durable' && what === 'start' && String(detail?.execution).startsWith('restart/'),
        () => void world.pause('stop everything'),
      );
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/paused: stop everything/),
      });
      expect(world.power('hung')).toEqual([]);
    }));

  test('by another run is left to that run', () =>
    inSmallWorld({ machines: { hung: hungMachine() } }, async (world) => {
      const lease = `instance#111122223333/eu-west-1/${world.id('hung')}`;
      const taken = await world.service.hub.ledger.acquireLease(lease, 'm-another', 3600);
      expect(taken).toMatchObject({ ok: true, value: { held: true } });
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/m-another/),
      });
      expect(world.power('hung')).toEqual([]);
      // It is still the other's.
      expect(await world.service.hub.ledger.acquireLease(lease, 'm-third', 1)).toMatchObject({
        value: { held: false, holder: 'm-another' },
      });
    }));
});
