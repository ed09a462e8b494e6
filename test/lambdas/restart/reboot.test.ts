/** EC2 waits four minutes for a machine to go down before it resets it: what answers meanwhile is not back yet. */
import { type Faults, ScriptedFaults } from '../../../simulator/faults.ts';
import { burst, HOUR, MINUTE, rules } from '../../../simulator/kinds/kind.ts';
import {
  actionOn,
  healthyMachine,
  inSmallWorld,
  NOW,
  rebootMachine,
  type SmallMachine,
} from '../../support/small-world.ts';

/** Hangs since 40 minutes ago, comes to itself so many minutes after the sweep begins, and pings at once. */
function comesToItself(minutes: number): SmallMachine {
  const { instance } = rebootMachine();
  const comesBackAt = NOW + minutes * MINUTE;
  const hangs = burst(NOW - 40 * MINUTE, { hangs: true, recoversAfterMs: comesBackAt - (NOW - 40 * MINUTE) });
  return {
    // The pings come every five minutes from the launch.
    instance: { ...instance, launchTime: comesBackAt - 30 * 24 * HOUR },
    guest: { files: rules(320), bursts: [hangs], agent: { startsAfterSeconds: 10 } },
  };
}

test.each([2, 3, 4])(
  'a machine that comes to itself %s minutes after the plan is reset, and only then worked on',
  (minutes) =>
    inSmallWorld({ machines: { hung: comesToItself(minutes), well: healthyMachine() } }, async (world) => {
      const report = await world.run();
      expect(world.happened('hung', 'recovered')).toHaveLength(1);
      expect(world.power('hung')).toEqual(['reboot']);
      const reset = world.service.log.events.find((e) => e.what === 'reset' && e.instanceId === world.id('hung'));
      const [script] = world.happened('hung', 'script');
      expect(script?.at).toBeGreaterThan(reset?.at ?? Number.POSITIVE_INFINITY);
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'resized',
        proven: true,
        restartedBy: 'reboot',
      });
      expect(world.truth('hung')).toMatchObject({ boots: 2, effectiveLimit: 8192 });
    }),
);

describe('a request for a reboot whose answer nobody saw', () => {
  const lost = (times: number) => new ScriptedFaults([{ kind: 'lost-before', calls: 'ec2:RebootInstances', times }]);
  const machines = { hung: rebootMachine(), well: healthyMachine() };

  test.each([1, 2])('%s times without effect: it is asked for again, and the machine is cured', (times) =>
    inSmallWorld({ machines, faults: lost(times) }, async (world) => {
      const report = await world.run();
      expect(world.attempts('RebootInstances')).toBe(times + 1);
      expect(world.power('hung')).toEqual(['reboot']);
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'resized', proven: true });
    }),
  );

  test('three times: a person is told, and it is not asked for a fourth time, in later runs neither', () =>
    inSmallWorld({ machines, faults: lost(9) }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'restart-failed',
        message: expect.stringMatching(/^Nobody saw the answer to 3 requests for a reboot/),
      });
      expect(world.messages().join()).toContain(world.id('hung'));
      const next = await world.run();
      expect(actionOn(next, world, 'hung')).toMatchObject({ action: 'leave', code: 'restarted-before' });
      expect(world.attempts('RebootInstances')).toBe(3);
    }));

  test('and whose console cannot be read any more is not asked for again', () => {
    const faults = lost(1);
    let asked = false;
    const blind: Faults = {
      strike: (call) => {
        const strike = faults.strike(call);
        asked ||= call.action === 'RebootInstances';
        return asked && call.action === 'GetConsoleOutput' ? { name: 'denied', kind: 'denied' } : strike;
      },
    };
    return inSmallWorld({ machines, faults: blind }, async (world) => {
      const report = await world.run();
      expect(world.attempts('RebootInstances')).toBe(1);
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'restart-failed' });
      expect(world.messages().join()).toContain(world.id('hung'));
    });
  });

  test('and that may not be asked for again, for the gate has closed, is no refusal: the attempt is kept', () => {
    const { instance = {}, guest } = rebootMachine();
    // It reboots, its agent stays away, and its console says nothing of the boot.
    const hung = { instance, guest: { ...guest, quietConsole: true, agent: { startsAfterSeconds: 99_999 } } };
    const faults = new ScriptedFaults([{ kind: 'lost-after', calls: 'ec2:RebootInstances', times: 1 }]);
    return inSmallWorld({ machines: { hung, well: healthyMachine() }, faults }, async (world) => {
      world.once(
        ({ kind, what }) => kind === 'power' && what === 'reboot',
        () => void world.pause('freeze', new Date(Date.now() + 60 * MINUTE).toISOString()),
      );
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'restart-failed',
        restartedBy: 'reboot',
        message: expect.stringMatching(
          /^Nobody saw the answer to 1 request for a reboot, and no further one was made\. .*paused until .*: freeze/,
        ),
      });
      await world.minutes(70);
      expect(actionOn(await world.run(), world, 'hung')).toMatchObject({ action: 'leave', code: 'restarted-before' });
      expect(world.power('hung')).toEqual(['reboot']);
    });
  });
});
