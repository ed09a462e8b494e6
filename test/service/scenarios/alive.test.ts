/** Bad days on which it is hard to tell a machine that hangs from one that lives. */
import type { TargetGroupProfile } from '../../../simulator/ec2/profile.ts';
import type { Faults } from '../../../simulator/faults.ts';
import { burst, consenting, DAY, HOUR, hung, MINUTE, overflowed, rules } from '../../../simulator/kinds/kind.ts';
import {
  APPLY,
  actionOn,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  type SmallMachine,
  saidOf,
} from '../../support/small-world.ts';

const AGENT_BACK = 'Restore the SSM agent (or the network to SSM); the next run then cures it without a restart.';
/** Everything of a stop and start, and of the cure after it. */
const STOP_START = ['CreateTags', 'StopInstances', 'StartInstances', 'DeleteTags', 'SendCommand', 'CreateTags'];
/** Overflowed 45 minutes ago without harm; its agent died just then. */
const agentDied = (more: SmallMachine['guest'] = {}): SmallMachine => ({
  instance: consenting(),
  guest: { files: rules(320), bursts: [burst(NOW - 45 * MINUTE)], agent: { diesAt: NOW - 44 * MINUTE }, ...more },
});

describe('dead agent on a healthy machine', () => {
  test('it is never restarted, in however many sweeps; when the agent is back, the next run cures it', () => {
    const dead: SmallMachine = {
      instance: consenting(),
      guest: {
        files: rules(320),
        bursts: [burst(NOW - 5 * HOUR)],
        agent: { diesAt: NOW - 2 * HOUR },
        rebootsAt: NOW + 30 * HOUR,
      },
    };
    return inSmallWorld({ machines: { dead, well: healthyMachine() } }, async (world) => {
      let silentFor = 120;
      for (const minutes of [0, 60, 480, 1200]) {
        await world.minutes(minutes);
        silentFor += minutes;
        const report = await world.run();
        const { reason, ...entry } = actionOn(report, world, 'dead');
        expect(entry).toMatchObject({
          action: 'leave',
          code: 'agent-lost-machine-alive',
          next: AGENT_BACK,
          outcome: null,
        });
        const said = /^It is silent for (\d+) min, but nothing says that the machine hangs\.$/.exec(reason)?.[1];
        expect(Number(said) - silentFor).toBeGreaterThanOrEqual(0);
        expect(Number(said) - silentFor).toBeLessThan(10);
      }
      expect(world.touched()).toEqual({});
      expect(world.truth('dead')).toMatchObject({ hung: false, boots: 1, effectiveLimit: 320 });
      await world.minutes(120);
      const report = await world.run();
      expect(actionOn(report, world, 'dead')).toMatchObject({
        code: 'older-boot',
        outcome: { result: 'resized', limitBefore: 320, limitAfter: 8192, restartedBy: null },
      });
      expect(world.power('dead')).toEqual([]);
    });
  });
});

describe('database primary behind a load balancer', () => {
  test('one whose owner did not opt in is left as it is, and the message names the tag', () =>
    inSmallWorld({ machines: { primary: { guest: hung(NOW) }, well: healthyMachine() } }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'primary')).toMatchObject({
        action: 'leave',
        code: 'restart-not-allowed',
        reason: 'It does not bear the tag AuditBacklogRestart=allowed.',
        next: 'Set the tag AuditBacklogRestart=allowed if it may be restarted; otherwise restart it by hand.',
      });
      expect(world.touched()).toEqual({});
    }));

  test('one that lost its agent in the overflow and goes on writing to its console is alive, opted in or not', () =>
    inSmallWorld({ machines: { primary: agentDied({ chatterMinutes: 0.5 }) } }, async (world) => {
      for (let sweep = 0; sweep < 3; sweep++) {
        const report = await world.run();
        expect(actionOn(report, world, 'primary')).toMatchObject({ action: 'leave', code: 'sign-of-life' });
        expect(saidOf(report, world, 'primary')).toMatch(
          /^Its programs wrote \d+ new console lines between two reads: it is alive\.$/m,
        );
        await world.minutes(70);
      }
      expect(world.touched()).toEqual({});
    }));

  const inGroup = (group: Partial<TargetGroupProfile>): SmallMachine => ({
    ...agentDied(),
    instance: consenting({
      targetGroups: [{ name: 'primary', targetType: 'instance', healthCheck: 'HTTP', ...group }],
    }),
  });
  const policy = { ...APPLY, restart: { ...APPLY.restart, signsOfLife: ['healthy-target' as const] } };

  test.each<[string, Partial<TargetGroupProfile>]>([
    ['by its id', {}],
    ['over HTTPS', { healthCheck: 'HTTPS' }],
    ['by its address', { targetType: 'ip' }],
  ])(
    'one that serves without a word on its console is alive where its load balancer has its answers, %s',
    (_how, group) =>
      inSmallWorld({ machines: { primary: inGroup(group), well: healthyMachine() }, policy }, async (world) => {
        for (let sweep = 0; sweep < 2; sweep++) {
          const report = await world.run();
          expect(actionOn(report, world, 'primary')).toMatchObject({
            action: 'leave',
            code: 'sign-of-life',
            reason: 'Its programs answer the health checks of the target group primary: it is alive.',
            next: AGENT_BACK,
          });
          await world.minutes(70);
        }
        expect(world.touched()).toEqual({});
      }),
  );

  test.each<[string, Partial<TargetGroupProfile>]>([
    ['a check over TCP, which its kernel answers', { healthCheck: 'TCP' }],
    ['no load balancer that checks', { attached: false }],
  ])('%s says nothing of its programs: it is taken for hung', (_what, group) =>
    inSmallWorld({ machines: { primary: inGroup(group), well: healthyMachine() }, policy }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'primary')).toMatchObject({ code: 'restart', outcome: { proven: true } });
    }),
  );

  test('one that hangs fails its health checks: it is restarted', () => {
    const hanging = { ...inGroup({}), guest: hung(NOW) };
    return inSmallWorld({ machines: { primary: hanging, well: healthyMachine() }, policy }, async (world) => {
      const report = await world.run();
      expect(world.attempts('DescribeTargetHealth')).toBeGreaterThan(0);
      expect(actionOn(report, world, 'primary')).toMatchObject({
        code: 'restart',
        outcome: { result: 'resized', proven: true, restartedBy: 'stop-start' },
      });
    });
  });

  test.each(['DescribeTargetGroups', 'DescribeTargetHealth'])(
    '%s that is denied closes: it is left alone',
    (action) => {
      const faults: Faults = {
        strike: (call) => (call.action === action ? { name: 'denied', kind: 'denied' } : null),
      };
      const hanging = { ...inGroup({}), guest: hung(NOW) };
      return inSmallWorld({ machines: { primary: hanging, well: healthyMachine() }, policy, faults }, async (world) => {
        const report = await world.run();
        expect(actionOn(report, world, 'primary')).toMatchObject({
          action: 'leave',
          code: 'sign-of-life',
          reason: expect.stringMatching(/could not be read, so a sign of life cannot be excluded/),
          next: expect.stringContaining('elasticloadbalancing:DescribeTargetGroups and DescribeTargetHealth') as string,
        });
        expect(world.power('primary')).toEqual([]);
      });
    },
  );

  test('one that comes back to its load balancer between plan and act is not stopped', () => {
    const hangs = burst(NOW - 40 * MINUTE, { hangs: true, recoversAfterMs: 44 * MINUTE });
    const primary = {
      ...inGroup({}),
      guest: { files: rules(320), bursts: [hangs], agent: { diesAt: NOW - 39 * MINUTE } },
    };
    // The first is restarted before it.
    return inSmallWorld(
      { machines: { first: hungMachine(), primary, well: healthyMachine() }, policy },
      async (world) => {
        const report = await world.run();
        expect(actionOn(report, world, 'first').outcome).toMatchObject({ proven: true });
        expect(actionOn(report, world, 'primary').outcome).toMatchObject({
          result: 'declined',
          message: expect.stringMatching(/answer the health checks of the target group primary/),
        });
        expect(world.power('primary')).toEqual([]);
      },
    );
  });

  test('where policy does not ask, one without a word is taken for hung: opted in, it is restarted', () =>
    inSmallWorld({ machines: { primary: inGroup({}), well: healthyMachine() } }, async (world) => {
      expect(world.truth('primary').hung).toBe(false);
      const report = await world.run();
      expect(actionOn(report, world, 'primary')).toMatchObject({
        code: 'restart',
        outcome: { result: 'resized', proven: true, restartedBy: 'stop-start' },
      });
      expect(world.attempts('DescribeTargetGroups')).toBe(0);
      expect(world.touched()).toEqual({ primary: STOP_START });
    }));
});

describe('console ring cut', () => {
  const launchTime = NOW - 2 * DAY - 130_000;
  /** Its programs have filled the console long before the overflow: the boot is no longer in it. */
  const cut = (guest: SmallMachine['guest']): SmallMachine => ({
    instance: consenting({ launchTime }),
    guest: { ...guest, chatterMinutes: 0.5 },
  });

  test('kernel time ties the overflow to the running boot; without it nothing is restarted, only resized', () => {
    const machines = {
      stamped: cut(hung(NOW)),
      unstamped: cut({ ...hung(NOW), kernelTime: false }),
      answers: cut({ files: rules(320), bursts: [burst(NOW - 6 * MINUTE)], kernelTime: false }),
      well: healthyMachine(),
    };
    return inSmallWorld({ machines }, async (world) => {
      for (const name of ['stamped', 'unstamped', 'answers']) {
        expect(world.console(name)).not.toContain('Linux version');
        expect(world.console(name)).not.toMatch(/^orders\[812\]/);
      }
      const report = await world.run();
      expect(actionOn(report, world, 'stamped')).toMatchObject({
        action: 'restart-then-resize',
        code: 'restart',
        evidence: { currentBoot: true, kernel: null, limit: 320 },
        outcome: { result: 'resized', proven: true, limitAfter: 8192 },
      });
      expect(actionOn(report, world, 'unstamped')).toMatchObject({
        action: 'leave',
        code: 'agent-lost-machine-alive',
        reason: expect.stringMatching(
          /^It is silent for \d+ min, but the text does not show to which boot the overflow/,
        ),
        evidence: { currentBoot: null },
      });
      expect(actionOn(report, world, 'answers')).toMatchObject({
        action: 'resize',
        code: 'resize',
        evidence: { currentBoot: null, limit: 320 },
        outcome: { result: 'resized', proven: true, limitBefore: 320, limitAfter: 8192 },
      });
      expect(world.touched()).toEqual({ answers: ['SendCommand', 'CreateTags'], stamped: STOP_START });
      expect(world.truth('unstamped')).toMatchObject({ hung: true, boots: 1 });
    });
  });

  test('by the storm itself: it is of one boot, and both the status check and the last ping are signs of a hang', () => {
    const machines = { hung: { instance: consenting(), guest: hung(NOW, { rounds: 140, impairs: true }) } };
    return inSmallWorld({ machines }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung')).toMatchObject({
        code: 'restart',
        evidence: { currentBoot: true, kernel: null },
        outcome: { result: 'resized', proven: true },
      });
      expect(saidOf(report, world, 'hung')).toContain(
        'its instance status check is impaired, and its agent pinged last 26 min before the last overflow',
      );
    });
  });
});

describe('a hang that goes on', () => {
  test('whoever sleeps on the full queue says so again and again, long after the last ping: it is restarted', () => {
    const machines = {
      hung: { instance: consenting(), guest: hung(NOW, { rounds: 120 }) },
      /** Its agent died between two storms. */
      again: agentDied({
        bursts: [burst(NOW - 3 * HOUR), burst(NOW - 6 * MINUTE)],
        agent: { diesAt: NOW - 2 * HOUR },
      }),
    };
    return inSmallWorld({ machines }, async (world) => {
      const report = await world.run();
      expect(saidOf(report, world, 'hung')).toMatch(/its agent pinged last (1[6-9]|2\d) min before the last overflow/);
      expect(actionOn(report, world, 'hung')).toMatchObject({
        code: 'restart',
        outcome: { result: 'resized', proven: true, limitAfter: 8192 },
      });
      expect(actionOn(report, world, 'again')).toMatchObject({ action: 'leave', code: 'agent-lost-machine-alive' });
      expect(world.touched()).toEqual({ hung: STOP_START });
    });
  });
});

describe('guest clock two hours off', () => {
  const reportWith = (clockSkewMs: number) => {
    const skewed = ({ instance = {}, guest }: SmallMachine): SmallMachine => ({
      instance,
      guest: { ...guest, clockSkewMs },
    });
    const machines = {
      hung: skewed(hungMachine()),
      sick: skewed({ guest: overflowed(NOW) }),
      alive: skewed(agentDied({ chatterMinutes: 0.5 })),
      rebooted: skewed({
        guest: { files: rules(320), bursts: [burst(NOW - 9 * HOUR)], rebootsAt: NOW - 5 * HOUR },
      }),
    };
    return inSmallWorld({ machines }, async (world) => {
      const report = await world.run();
      const codes = world.names().map((name) => actionOn(report, world, name).code);
      return { codes, actions: report.actions, touched: world.touched() };
    });
  };

  test('ahead or behind, it changes nothing in what is decided, done and said', async () => {
    const right = await reportWith(0);
    expect(right.codes).toEqual(['restart', 'resize', 'sign-of-life', 'older-boot']);
    expect(right.touched.hung).toEqual(STOP_START);
    for (const hours of [-2, 2]) expect(await reportWith(hours * HOUR)).toEqual(right);
  });
});
