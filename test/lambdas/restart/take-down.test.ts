/**
 * A crash between the question whether a machine may be taken down and the call that does it. What is only asked leaves no
 * doubt whether the call was made; an answer that grew old while nothing ran is asked for again.
 */
import { ScriptedFaults } from '../../../simulator/faults.ts';
import {
  APPLY,
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  rebootMachine,
  type SmallMachine,
  type SmallWorld,
  type SmallWorldOptions,
} from '../../support/small-world.ts';

const ALARM = 'checkout-errors';
const policy = { ...APPLY, blockingAlarms: [ALARM] };
const METHODS: readonly [how: string, hung: SmallMachine, power: readonly string[]][] = [
  ['stop', hungMachine(), ['stopping', 'pending']],
  ['reboot', rebootMachine(), ['reboot']],
];

function alarm(world: SmallWorld, state: 'OK' | 'ALARM'): void {
  world.service.cloudWatch.setAlarm(HOME.accountId, HOME.region, { name: ALARM, type: 'MetricAlarm', state });
}

/** Calls back at each checkpoint that says so, from within the invocation that sent it. */
function atCheckpoint(world: SmallWorld, updates: RegExp, then: () => void): void {
  world.service.log.onEvent(({ kind, what, detail }) => {
    if (kind === 'durable' && what === 'checkpoint' && updates.test(String(detail?.updates))) then();
  });
}

test.each(METHODS)(
  'two crashes while it is asked: the %s is made, once, and the machine is cured',
  (how, hung, power) =>
    inSmallWorld({ machines: { hung, well: healthyMachine() }, policy }, async (world) => {
      alarm(world, 'OK');
      let asking = false;
      let crashes = 0;
      atCheckpoint(world, how === 'stop' ? /STEP SUCCEED attempt(,|$)/ : /STEP SUCCEED console-before(,|$)/, () => {
        asking = true;
      });
      world.service.log.onEvent(({ kind, what }) => {
        if (!asking || kind !== 'api' || what !== 'DescribeAlarms' || crashes === 2) return;
        crashes++;
        world.service.engine.killCurrentInvocation('crash while the gate is asked');
      });
      const report = await world.run();
      expect(crashes).toBe(2);
      expect(world.power('hung')).toEqual(power);
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'resized', proven: true });
      expect(world.messages()).toEqual([]);
    }),
);

test.each(METHODS)('what was allowed before a crash is asked again ten minutes later: no %s', (how, hung) =>
  inSmallWorld({ machines: { hung, well: healthyMachine() }, policy, resumeDelaySeconds: 600 }, async (world) => {
    alarm(world, 'OK');
    let died = false;
    atCheckpoint(world, new RegExp(`STEP SUCCEED ${how}-allowed-0(,|$)`), () => {
      if (died) return;
      died = true;
      world.service.engine.killCurrentInvocation('crash after the gate was asked');
      alarm(world, 'ALARM');
    });
    const report = await world.run();
    expect(died).toBe(true);
    expect([world.attempts('StopInstances'), world.attempts('RebootInstances')]).toEqual([0, 0]);
    expect(actionOn(report, world, 'hung').outcome).toMatchObject({
      result: 'declined',
      message: expect.stringMatching(/alarm checkout-errors is on/),
      restartedBy: null,
    });
    expect(world.instance('hung').tags.has('AuditBacklogStopped')).toBe(false);
  }),
);

test('who dies again and again between question and call gives it up, says so and keeps no attempt', () =>
  inSmallWorld(
    { machines: { hung: hungMachine(), well: healthyMachine() }, policy, resumeDelaySeconds: 60 },
    async (world) => {
      alarm(world, 'OK');
      let deaths = 0;
      atCheckpoint(world, /STEP SUCCEED stop-allowed-\d(,|$)/, () => {
        deaths++;
        world.service.engine.killCurrentInvocation('crash after the gate was asked');
      });
      const report = await world.run();
      expect(deaths).toBe(5);
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/interrupted 5 times between the question/),
        restartedBy: null,
      });
      expect(world.power('hung')).toEqual([]);
      expect(world.instance('hung').tags.has('AuditBacklogStopped')).toBe(false);
    },
  ));

test.each([35, 65])(
  'a stop %s minutes after the first question bears a young tag: `reconcile` brings it back',
  (minutes) => {
    let died = false;
    const machines = { hung: hungMachine({ capacityFailures: { count: 20 } }), well: healthyMachine() };
    return inSmallWorld({ machines, resumeDelaySeconds: minutes * 60 }, async (world) => {
      atCheckpoint(world, /STEP SUCCEED stop-allowed-0(,|$)/, () => {
        if (died) return;
        died = true;
        world.service.engine.killCurrentInvocation('crash after the gate was asked');
      });
      const report = await world.run();
      expect(died).toBe(true);
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'awaiting-capacity' });
      for (let round = 0; round < 24 && world.instance('hung').state !== 'running'; round++) {
        await world.minutes(5);
        await world.reconcile();
      }
      expect(world.instance('hung').state).toBe('running');
      expect(world.messages().join()).toMatch(/was started by reconcile/);
    });
  },
);

test('a stop that AWS has no room for is not made after the gate has closed', () => {
  const faults = new ScriptedFaults([{ kind: 'throttle', calls: 'ec2:StopInstances', times: 2 }]);
  return inSmallWorld({ machines: { hung: hungMachine(), well: healthyMachine() }, faults }, async (world) => {
    world.once(
      ({ kind, what }) => kind === 'api' && what === 'StopInstances',
      () => void world.pause('stop everything'),
    );
    const report = await world.run();
    expect(world.attempts('StopInstances')).toBe(1);
    expect(world.power('hung')).toEqual([]);
    expect(actionOn(report, world, 'hung').outcome).toMatchObject({
      result: 'declined',
      message: expect.stringMatching(/paused: stop everything/),
    });
  });
});

test('a stop that AWS has no room for at first is made when it has', () => {
  const faults = new ScriptedFaults([{ kind: 'throttle', calls: 'ec2:StopInstances', times: 2 }]);
  return inSmallWorld({ machines: { hung: hungMachine(), well: healthyMachine() }, faults }, async (world) => {
    expect((await world.run()).totals).toMatchObject({ restarted: 1 });
    expect(world.power('hung')).toEqual(['stopping', 'pending']);
  });
});

test('an older state than before does not pass for a start that came to nothing', () => {
  let stopped = 0;
  const between: SmallWorldOptions['between'] = (cloud) => ({
    handle: async (request) => {
      const answer = await cloud.handle(request);
      const body = typeof request.body === 'string' ? request.body : '';
      const one = /Action=DescribeInstances&/.test(body) && /InstanceId\.1=/.test(body);
      if (!one || !/<name>stopped<\/name>/.test(answer.body) || ++stopped !== 2) return answer;
      const older = answer.body.replace(/<code>80<\/code>(\s*)<name>stopped</, '<code>64</code>$1<name>stopping<');
      return { ...answer, body: older };
    },
  });
  return inSmallWorld({ machines: { hung: hungMachine(), well: healthyMachine() }, between }, async (world) => {
    const report = await world.run();
    expect(stopped).toBeGreaterThan(1);
    expect(actionOn(report, world, 'hung').outcome).toMatchObject({ result: 'resized', proven: true });
    expect(world.messages()).toEqual([]);
  });
});
