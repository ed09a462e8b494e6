/** EC2 waits four minutes for a machine to go down before it resets it: what answers meanwhile is not back yet. */
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
