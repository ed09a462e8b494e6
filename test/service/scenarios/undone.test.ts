/** Bad days on which something else undoes the cure: configuration management, an image, user data. */
import { rulesWithLimit } from '../../../simulator/guest/files.ts';
import { burst, consenting, hung, MINUTE, RULES_FILE } from '../../../simulator/kinds/kind.ts';
import {
  APPLY,
  actionOn,
  healthyMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallMachine,
  saidOf,
} from '../../support/small-world.ts';

const managedBy = (who: string) => `# This file is managed by ${who}. Local changes are lost.\n${rulesWithLimit(320)}`;
/** Minutes before (negative) and after the first sweep. */
const bursts = (...minutes: number[]) => minutes.map((after) => burst(NOW + after * MINUTE));

describe('half the fleet hung while configuration management reverts us every 30 minutes', () => {
  const content = managedBy('Puppet');
  const puppet = (guest: SmallMachine['guest']): SmallMachine => ({
    instance: consenting(),
    guest: {
      files: { [RULES_FILE]: content },
      configurationManager: { everyMinutes: 30, path: RULES_FILE, content },
      ...guest,
    },
  });
  const hangs = puppet({ bursts: hung(NOW).bursts ?? [] });
  const machines = {
    hung1: hangs,
    hung2: hangs,
    hung3: hangs,
    hung4: hangs,
    often: puppet({ bursts: bursts(-20, 50, 110, 170) }),
    twice: puppet({ bursts: bursts(-25, 55) }),
    well1: healthyMachine(),
    well2: healthyMachine(),
  };
  const HUNG = ['hung1', 'hung2', 'hung3', 'hung4'];

  test('nobody is restarted, the revert is said with its file and its manager, and no limit is doubled', () => {
    const policy = { mode: 'apply' as const, breaker: { affectedCount: 3 } };
    return inSmallWorld({ machines, policy, memory: { instances: 8 } }, async (world) => {
      const expected = [
        { often: ['resize', 'resized'], twice: ['resize', 'resized'] },
        { often: ['resize', 'reverted'], twice: ['resize', 'reverted'] },
        { often: ['limit-is-not-the-cause', 'overflowed-again'], twice: ['already-handled', 'reverted'] },
        // Read again once, told once.
        { often: ['limit-is-not-the-cause', 'overflowed-again'], twice: ['already-handled', undefined] },
      ] as const;
      for (const [sweep, codes] of expected.entries()) {
        const report = await world.run();
        expect(report).toMatchObject({
          complete: true,
          totals: { restarted: 0 },
          cells: [{ breaker: { open: true } }],
        });
        for (const name of HUNG) {
          expect(actionOn(report, world, name)).toMatchObject({ action: 'leave', code: 'breaker-open', outcome: null });
          expect(saidOf(report, world, name)).toContain('4 of 8 instances, more than 3');
          expect(saidOf(report, world, name)).toContain('Find the common cause');
        }
        for (const [name, code] of Object.entries(codes)) {
          const entry = actionOn(report, world, name);
          expect([entry.code, entry.outcome?.result]).toEqual(code);
          if (entry.code !== 'resize') continue;
          expect(entry.outcome).toMatchObject({ proven: true, target: 8192, limitBefore: 320, limitAfter: 8192 });
          expect(saidOf(report, world, name)).toContain(
            `${RULES_FILE} is managed by puppet: change the limit there too.`,
          );
        }
        if (sweep === 1) {
          expect(saidOf(report, world, 'often')).toContain(
            `The proven limit of 8192 was undone in ${RULES_FILE} (it reads 320).`,
          );
          expect(saidOf(report, world, 'often')).toMatch(/configuration management\): raise it there as well\.$/m);
        }
        if (sweep === 2) {
          expect(actionOn(report, world, 'often').reason).toBe(
            'It overflowed again after 2 cures within 7 days. What its last cure saw: ' +
              `the limit was set back to 320 in ${RULES_FILE}, which puppet manages.`,
          );
        }
        expect(world.messages()).toHaveLength(sweep + 1);
        expect(world.messages().at(-1)).toContain('4 of 8 instances, more than 3');
        expect(world.messages().at(-1)).toContain('4 of its machines hang and are not restarted.');
        await world.minutes(65);
      }
      const cured = ['SendCommand', 'CreateTags', 'SendCommand', 'CreateTags'];
      expect(world.touched()).toEqual({ often: cured, twice: [...cured, 'SendCommand', 'CreateTags'] });
      expect(world.truth('twice').effectiveLimit).toBe(320);
      expect(world.happened('often', 'reverted')).toHaveLength(2);
      expect(world.truth('often').overflows.map(({ limit }) => limit)).toEqual([320, 320, 320, 320]);
      for (const name of HUNG) expect(world.truth(name)).toMatchObject({ hung: true, boots: 1 });
    });
  });
});

describe('golden image with the low limit', () => {
  const fromImage = { imageId: 'ami-0b', launchTemplate: { id: 'lt-0c', version: '3' } };
  const machines = {
    one: overflowedMachine(fromImage),
    two: overflowedMachine(fromImage),
    three: overflowedMachine(fromImage),
    four: overflowedMachine({ imageId: 'ami-0b' }),
    quiet: { guest: { files: { [RULES_FILE]: rulesWithLimit(320) } }, instance: { imageId: 'ami-0b' } },
    other: { ...healthyMachine(), instance: { imageId: 'ami-0d' } },
  };

  test('its machines are cured, and the report says where the next launch takes the low limit from', () =>
    inSmallWorld({ machines }, async (world) => {
      const report = await world.run();
      for (const name of ['one', 'two', 'three', 'four']) {
        expect(actionOn(report, world, name)).toMatchObject({ code: 'resize', outcome: { result: 'resized' } });
        expect(world.truth(name)).toMatchObject({ effectiveLimit: 8192, configuredLimit: 8192 });
      }
      expect(report.groups.filter(({ by }) => by !== 'kernel')).toEqual([
        {
          by: 'image',
          value: 'ami-0b',
          affected: 4,
          of: 5,
          next: '4 of 5 running ami-0b overflow: raise -b in the audit rules of the image, or the next launch undoes the cure.',
        },
        {
          by: 'launchTemplate',
          value: 'lt-0c:3',
          affected: 3,
          of: 3,
          next: '3 of 3 launched from lt-0c:3 overflow: give the template an image or user data with a higher -b, or the next launch undoes the cure.',
        },
      ]);
      expect(Object.keys(world.touched()).sort()).toEqual(['four', 'one', 'three', 'two']);
      expect(world.truth('quiet')).toMatchObject({ effectiveLimit: 320 });
    }));
});

describe('user data that reprovisions at boot', () => {
  const content = managedBy('cloud-init user data');
  const provisioned = (afterBootSeconds: number, guest: SmallMachine['guest']): SmallMachine => ({
    instance: consenting(),
    guest: { files: { [RULES_FILE]: content }, userData: { afterBootSeconds, path: RULES_FILE, content }, ...guest },
  });
  const hang = burst(NOW - 40 * MINUTE, { hangs: true });
  const machines = {
    /** Writes the rules before the agent is back; its owner reboots it later, and it overflows again. */
    before: provisioned(20, { bursts: [hang, ...bursts(100)], rebootsAt: NOW + 90 * MINUTE }),
    /** Writes the rules minutes after the cure was proven, and overflows again. */
    after: provisioned(400, { bursts: [hang, ...bursts(100)] }),
    well: healthyMachine(),
  };

  test('the restart is cured and proven; what the next boot undoes is told by a later sweep, and not doubled', () =>
    inSmallWorld({ machines, policy: { ...APPLY, restart: { maxPercent: 100 } } }, async (world) => {
      const first = await world.run();
      for (const name of ['before', 'after']) {
        expect(actionOn(first, world, name)).toMatchObject({
          action: 'restart-then-resize',
          code: 'restart',
          outcome: { result: 'resized', proven: true, restartedBy: 'stop-start', limitBefore: 320, limitAfter: 8192 },
        });
        expect(saidOf(first, world, name)).toContain(
          `${RULES_FILE} is managed by cloud-init: change the limit there too.`,
        );
        expect(world.power(name)).toEqual(['stopping', 'pending']);
      }
      expect(world.truth('before')).toMatchObject({ effectiveLimit: 8192, configuredLimit: 8192, boots: 2 });
      await world.minutes(60);
      expect(world.truth('after')).toMatchObject({ effectiveLimit: 320, configuredLimit: 320, boots: 2 });
      const quiet = await world.run();
      expect(actionOn(quiet, world, 'before')).toMatchObject({
        action: 'leave',
        code: 'already-handled',
        outcome: { result: 'held', proven: true, limitAfter: 8192 },
      });
      // No overflow came of it yet; the limit was read.
      expect(actionOn(quiet, world, 'after')).toMatchObject({
        action: 'leave',
        code: 'already-handled',
        outcome: { result: 'reverted', proven: false, limitAfter: 320 },
      });
      expect(saidOf(quiet, world, 'after')).toContain(
        `the limit was set back to 320 in ${RULES_FILE}, which cloud-init manages; the kernel has 320.`,
      );
      await world.minutes(60);
      const last = await world.run();
      for (const name of ['before', 'after']) {
        expect(actionOn(last, world, name)).toMatchObject({
          action: 'resize',
          code: 'resize',
          outcome: {
            result: 'reverted',
            proven: true,
            target: 8192,
            limitBefore: 320,
            limitAfter: 8192,
            restartedBy: null,
          },
        });
        expect(saidOf(last, world, name)).toContain(
          `The proven limit of 8192 was undone in ${RULES_FILE} (it reads 320).`,
        );
        expect(world.power(name)).toEqual(['stopping', 'pending']);
      }
      expect(world.happened('before', 'provisioned')).toHaveLength(1);
      expect(world.truth('before')).toMatchObject({ boots: 3, effectiveLimit: 8192 });
      expect(Object.keys(world.touched()).sort()).toEqual(['after', 'before']);
    }));
});
