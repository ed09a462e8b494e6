/** What goes wrong between the service and AWS, and on the machines: the whole service in small worlds. */
import { ScriptedFaults } from '../../simulator/faults.ts';
import { HOUR, MINUTE, rules } from '../../simulator/kinds/kind.ts';
import {
  APPLY,
  actionOn,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallWorld,
} from '../support/small-world.ts';

const ALWAYS = Number.POSITIVE_INFINITY;
const STOP_TAG = 'AuditBacklogStopped';
const messagesOn = (world: SmallWorld, name: string) =>
  world.messages().filter((text) => text.includes(world.id(name)));

/** Goes on as the schedule would, and reconciles on the way. */
async function live(world: SmallWorld, minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i += 5) {
    await world.minutes(5);
    await world.reconcile();
  }
}

describe('what cannot be read', () => {
  test('consoles of one region: that cell is incomplete and nothing there counts as healthy; the other is done', () => {
    const policy = { ...APPLY, scope: { regions: ['eu-west-1', 'us-east-1'] } };
    const there = { region: 'us-east-1' };
    const machines = {
      sick: overflowedMachine(),
      sickThere: { ...overflowedMachine(), ...there },
      wellThere: { ...healthyMachine(), ...there },
    };
    const faults = new ScriptedFaults([
      { kind: 'denied', calls: 'ec2:GetConsoleOutput', region: 'us-east-1', times: ALWAYS },
    ]);
    return inSmallWorld({ machines, policy, faults }, async (world) => {
      const report = await world.run();
      expect(report.complete).toBe(false);
      expect(report.totals).toMatchObject({ instances: 3, affected: 1, resized: 1, healthy: 0, unknown: 2 });
      expect(report.cells.map(({ region, status, unknown }) => [region, status, unknown])).toEqual([
        ['eu-west-1', 'done', 0],
        ['us-east-1', 'incomplete', 2],
      ]);
      const [error] = report.cells[1]?.errors ?? [];
      expect(error).toMatchObject({ call: 'ec2:GetConsoleOutput', code: 'UnauthorizedOperation' });
      expect(error?.next).toMatch(/grant ec2:GetConsoleOutput/);
      expect(actionOn(report, world, 'sickThere')).toMatchObject({ action: 'leave', code: 'console-unreadable' });
      expect(world.messages()).toHaveLength(1);
      expect(world.messages()[0]).toMatch(/2 unknown/);
    });
  });

  test('agents: affected machines are counted, nobody is restarted and nobody is called unmanaged in silence', () => {
    const faults = new ScriptedFaults([{ kind: 'denied', calls: 'ssm:DescribeInstanceInformation', times: ALWAYS }]);
    const machines = { hung: hungMachine(), sick: overflowedMachine(), well: healthyMachine() };
    return inSmallWorld({ machines, faults }, async (world) => {
      const report = await world.run();
      expect(report).toMatchObject({ complete: false, totals: { affected: 2, healthy: 1, restarted: 0, left: 2 } });
      expect(report.cells[0]).toMatchObject({ status: 'incomplete', breaker: { open: true } });
      expect(report.cells[0]?.errors.map(({ call }) => call)).toContain('ssm:DescribeInstanceInformation');
      expect(actionOn(report, world, 'hung').reason).toMatch(/unknown, ssm:DescribeInstanceInformation failed/);
      expect(world.power('hung')).toEqual([]);
      expect(world.commands()).toEqual([]);
    });
  });

  test('the listing itself: a cell of which nothing is known is failed, not empty', () => {
    const faults = new ScriptedFaults([{ kind: 'denied', calls: 'ec2:DescribeInstances', times: ALWAYS }]);
    return inSmallWorld({ machines: { sick: overflowedMachine() }, faults }, async (world) => {
      const report = await world.run();
      expect(report).toMatchObject({ complete: false, totals: { instances: 0 } });
      expect(report.cells[0]).toMatchObject({ status: 'failed' });
      expect(report.cells[0]?.errors[0]).toMatchObject({ call: 'ec2:DescribeInstances' });
      expect(world.messages()).toHaveLength(1);
    });
  });
});

describe('no capacity to start in', () => {
  const back = NOW + 50 * MINUTE;
  const machines = {
    first: hungMachine({ capacityFailures: { until: back } }),
    second: hungMachine(),
    third: hungMachine(),
  };

  test('alarms at once, stops no other machine, and reconcile starts it when there is capacity again', () =>
    inSmallWorld({ machines }, async (world) => {
      let alarmedAt = 0;
      world.once(
        ({ kind, what }) => kind === 'api' && what === 'Publish',
        () => {
          alarmedAt = Date.now();
        },
      );
      const report = await world.run();
      const stopped = world.service.log.events.find(({ kind, what }) => kind === 'power' && what === 'stopped');
      expect(alarmedAt - (stopped?.at ?? 0)).toBeLessThan(MINUTE);
      expect(actionOn(report, world, 'first').outcome).toMatchObject({ result: 'awaiting-capacity', proven: false });
      expect(report.totals).toMatchObject({ affected: 3, failed: 1, deferred: 2, restarted: 0 });
      for (const name of ['second', 'third']) {
        expect(actionOn(report, world, name)).toMatchObject({ action: 'defer', code: 'restart-budget' });
        expect(world.power(name)).toEqual([]);
      }
      expect(world.instance('first').state).toBe('stopped');
      expect(world.instance('first').tags.has(STOP_TAG)).toBe(true);
      await live(world, 60);
      expect(world.instance('first').state).toBe('running');
      expect(world.power('first')).toEqual(['stopping', 'pending']);
      expect(messagesOn(world, 'first').some((text) => /was started by reconcile/.test(text))).toBe(true);
      await live(world, 60);
      expect(world.instance('first').tags.has(STOP_TAG)).toBe(false);
    }));

  test('the next run restarts no more than there is room for beside it', () =>
    inSmallWorld(
      {
        machines: {
          ...machines,
          first: hungMachine({ capacityFailures: { until: NOW + 10 * HOUR } }),
          fourth: hungMachine(),
        },
        policy: { mode: 'apply', restart: { maxPercent: 100 } },
      },
      async (world) => {
        await world.run();
        let most = 0;
        const down = () => world.names().filter((name) => world.instance(name).state !== 'running').length;
        world.service.log.onEvent(({ kind }) => {
          if (kind === 'power') most = Math.max(most, down());
        });
        const report = await world.run();
        expect(report.totals).toMatchObject({ restarted: 3 });
        expect(most).toBe(2);
        expect(world.instance('first').state).toBe('stopped');
      },
    ));
});

describe('machines with a fate of their own', () => {
  test.each(['stopping', 'stopped', 'pending'])('one that is terminated when it is %s is reported, once', (state) =>
    inSmallWorld({ machines: { hung: hungMachine(), next: hungMachine() } }, async (world) => {
      world.once(
        ({ kind, what, instanceId }) => kind === 'power' && what === state && instanceId === world.id('hung'),
        () => setTimeout(() => world.instance('hung').terminate('its owner'), 5000),
      );
      const report = await world.run();
      const { outcome } = actionOn(report, world, 'hung');
      expect(outcome).toMatchObject({ result: 'restart-failed', proven: false, restartedBy: 'stop-start' });
      expect(outcome?.next).not.toBe('');
      expect(messagesOn(world, 'hung')).not.toEqual([]);
      expect(report.totals).toMatchObject({ affected: 2, failed: 1, deferred: 1 });
      expect(world.power('next')).toEqual([]);
      await live(world, 30);
      expect(world.power('hung')).toEqual(state === 'stopping' ? ['stopping'] : ['stopping', 'pending']);
    }),
  );

  test('one whose group would replace it if it were stopped is rebooted only by its own consent', () => {
    const owned = (optedIn: boolean) => ({
      ...hungMachine(),
      instance: { autoScalingGroup: 'web', tags: optedIn ? { AuditBacklogRestart: 'allowed' } : {} },
    });
    const policy = { ...APPLY, restart: { ...APPLY.restart, policy: 'any' as const } };
    return inSmallWorld({ machines: { consents: owned(true), silent: owned(false) }, policy }, async (world) => {
      const report = await world.run();
      expect(world.power('consents')).toEqual(['reboot']);
      expect(world.power('silent')).toEqual([]);
      expect(actionOn(report, world, 'silent').code).toBe('owned');
      expect(world.instance('consents').state).toBe('running');
    });
  });

  test('one whose agent stays away is reported, and not restarted again for the same evidence', () => {
    const machines = {
      hung: { ...hungMachine(), guest: { ...hungMachine().guest, agent: { startsAfterSeconds: 7200 } } },
    };
    return inSmallWorld({ machines }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'restart-failed', proven: false });
      expect(world.instance('hung').tags.has(STOP_TAG)).toBe(false);
      expect(messagesOn(world, 'hung').some((text) => /agent has not answered/.test(text))).toBe(true);
      await live(world, 60);
      const next = await world.run();
      expect(actionOn(next, world, 'hung')).toMatchObject({ action: 'leave' });
      expect(world.power('hung')).toEqual(['stopping', 'pending']);
    });
  });

  test('one that hangs at every boot is restarted as often as policy says, and no more', () => {
    const again = { afterBootSeconds: 20, fromBoot: 2, needs: 1500, hangs: true, impairs: true };
    const first = { at: NOW - 40 * MINUTE, needs: 1500, hangs: true };
    const machines = { hung: { ...hungMachine(), guest: { files: rules(320), bursts: [first, again] } } };
    return inSmallWorld({ machines }, async (world) => {
      const codes: string[] = [];
      for (let i = 0; i < 4; i++) {
        codes.push(actionOn(await world.run(), world, 'hung').code);
        await live(world, 60);
      }
      expect(codes).toEqual(['restart', 'restart', 'restarted-before', 'restarted-before']);
      expect(world.power('hung')).toEqual(['stopping', 'pending', 'stopping', 'pending']);
      expect(world.instance('hung').state).toBe('running');
    });
  });
});

describe('answers that are lost', () => {
  test('of every SendCommand: one command for each purpose all the same', () => {
    const faults = new ScriptedFaults([{ kind: 'lost-after', calls: 'ssm:SendCommand', times: ALWAYS }]);
    const machines = { hung: hungMachine(), one: overflowedMachine(), two: overflowedMachine() };
    return inSmallWorld({ machines, faults }, async (world) => {
      const report = await world.run();
      expect(report.totals).toMatchObject({ affected: 3, resized: 2, restarted: 1 });
      expect(report.complete).toBe(true);
      expect(world.commands().map(({ instanceIds }) => instanceIds)).toEqual([
        [world.id('hung')],
        [world.id('one'), world.id('two')],
      ]);
    });
  });

  test.each(['StopInstances', 'StartInstances', 'RebootInstances'])(
    'of every %s: it took effect once, and the end is the same',
    (call) => {
      const faults = new ScriptedFaults([{ kind: 'lost-after', calls: `ec2:${call}`, times: ALWAYS }]);
      const machines = { stopped: hungMachine(), rebooted: hungMachine({ instanceType: 'm5d.large' }) };
      return inSmallWorld({ machines, faults }, async (world) => {
        const report = await world.run();
        expect(report.totals).toMatchObject({ affected: 2, restarted: 2 });
        expect(world.power('stopped')).toEqual(['stopping', 'pending']);
        expect(world.power('rebooted')).toEqual(['reboot']);
        for (const name of world.names()) expect(world.instance(name).state).toBe('running');
      });
    },
  );

  test('of the stop tag: nothing is stopped, and the tag does not stay', () => {
    const faults = new ScriptedFaults([{ kind: 'lost-after', calls: 'ec2:CreateTags', times: ALWAYS }]);
    return inSmallWorld({ machines: { hung: hungMachine() }, faults }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'restart-failed', restartedBy: null });
      expect(world.power('hung')).toEqual([]);
      expect(world.instance('hung').tags.has(STOP_TAG)).toBe(false);
    });
  });
});
