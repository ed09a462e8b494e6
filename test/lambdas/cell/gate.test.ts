/** The gate closes while a run is under way: nothing further is begun, what is under way comes to its end. */
import type { Faults, Strike } from '../../../simulator/faults.ts';
import {
  APPLY,
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  overflowedMachine,
  rebootMachine,
  type SmallFleet,
  type SmallWorld,
} from '../../support/small-world.ts';

const CALENDAR = 'release-freeze';
const ALARM = 'checkout-errors';
const policy = { ...APPLY, calendars: [CALENDAR], blockingAlarms: [ALARM] };

/** Denies reads of the gate from a moment on. */
class Unreadable implements Faults {
  #what: 'calendar' | 'alarm' | 'pause' | null = null;
  lose(what: 'calendar' | 'alarm' | 'pause'): void {
    this.#what = what;
  }
  strike({ action, params }: { readonly action: string; readonly params: object }): Strike | null {
    const asked = {
      calendar: action === 'GetCalendarState',
      alarm: action === 'DescribeAlarms',
      pause: action === 'GetItem' && JSON.stringify(params).includes('"pk":{"S":"pause"}'),
    };
    return this.#what !== null && asked[this.#what] ? { name: 'unreadable gate', kind: 'denied' } : null;
  }
}

interface Gated {
  readonly world: SmallWorld;
  readonly faults: Unreadable;
}

function calendar(world: SmallWorld, state: 'OPEN' | 'CLOSED'): void {
  world.service.ssm.setCalendar(HOME.accountId, HOME.region, CALENDAR, state);
}
function alarm(world: SmallWorld, state: 'OK' | 'ALARM'): void {
  world.service.cloudWatch.setAlarm(HOME.accountId, HOME.region, { name: ALARM, type: 'MetricAlarm', state });
}

function gated(machines: SmallFleet, body: (gated: Gated) => Promise<void>): Promise<void> {
  const faults = new Unreadable();
  return inSmallWorld({ machines, policy, faults }, (world) => {
    calendar(world, 'OPEN');
    alarm(world, 'OK');
    return body({ world, faults });
  });
}

type Close = (gated: Gated) => void;
const CLOSINGS: readonly [string, Close, RegExp][] = [
  ['acting is paused', ({ world }) => void world.pause('ask Ann first'), /pause: paused: ask Ann first/],
  ['a calendar closes', ({ world }) => calendar(world, 'CLOSED'), /change calendar release-freeze is closed/],
  ['an alarm goes on', ({ world }) => alarm(world, 'ALARM'), /alarm checkout-errors is on/],
  [
    'the pause switch cannot be read',
    ({ faults }) => faults.lose('pause'),
    /pause could not be read, which closes the gate \(dynamodb:GetItem: AccessDenied/,
  ],
  [
    'the calendar cannot be read',
    ({ faults }) => faults.lose('calendar'),
    /calendar release-freeze could not be read.*ssm:GetCalendarState: AccessDenied/,
  ],
  [
    'the alarm cannot be read',
    ({ faults }) => faults.lose('alarm'),
    /alarm checkout-errors could not be read.*cloudwatch:DescribeAlarms/,
  ],
];

/** When the first machine is being stopped: it is the canary of the restarts. */
const atTheFirstStop = (world: SmallWorld, then: () => void) =>
  world.once(({ kind, what }) => kind === 'power' && what === 'stopping', then);
/** When the first command was taken. */
const atTheFirstCommand = (world: SmallWorld, then: () => void) =>
  world.once(({ kind, what }) => kind === 'ssm' && what === 'send', then);

describe('the gate is asked again', () => {
  test.each(CLOSINGS)('before each wave of restarts: %s', (_what, close, says) =>
    gated({ one: hungMachine(), two: hungMachine(), three: hungMachine() }, async ({ world, ...rest }) => {
      atTheFirstStop(world, () => close({ world, ...rest }));
      const report = await world.run();
      // The one that was under way is brought back and cured, and counts.
      expect(actionOn(report, world, 'one').outcome).toMatchObject({ result: 'resized', proven: true });
      expect(world.instance('one').state).toBe('running');
      for (const name of ['two', 'three']) {
        const { action, reason } = actionOn(report, world, name);
        expect({ action, power: world.power(name) }).toEqual({ action: 'defer', power: [] });
        expect(reason).toMatch(says);
      }
      expect(report.totals).toMatchObject({ affected: 3, restarted: 1, deferred: 2 });
    }),
  );

  test.each(CLOSINGS)('before each wave of resizes: %s', (_what, close, says) => {
    const machines = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`sick-${i}`, overflowedMachine()]));
    return gated(machines, async ({ world, ...rest }) => {
      atTheFirstCommand(world, () => close({ world, ...rest }));
      const report = await world.run();
      expect(report.totals).toMatchObject({ affected: 8, resized: 5, deferred: 3 });
      const deferred = report.actions.filter(({ action }) => action === 'defer');
      for (const { reason } of deferred) expect(reason).toMatch(says);
      expect(world.commands()).toHaveLength(1);
    });
  });

  test('before a limit is read that no line names', () => {
    const quiet = overflowedMachine();
    const machines = { quiet: { ...quiet, guest: { ...quiet.guest, quietConsole: true } } };
    return gated({ ...machines, sick: overflowedMachine() }, async ({ world }) => {
      world.once(
        ({ kind, what, detail }) =>
          kind === 'durable' && what === 'checkpoint' && /STEP SUCCEED judge-rest/.test(String(detail?.updates)),
        () => alarm(world, 'ALARM'),
      );
      const report = await world.run();
      expect(world.commands()).toEqual([]);
      for (const { reason, action } of report.actions) {
        expect(action).toBe('defer');
        expect(reason).toMatch(/alarm checkout-errors is on/);
      }
    });
  });

  test.each<[string, SmallFleet[string], RegExp]>([
    ['stop', hungMachine(), /STEP SUCCEED attempt(,|$)/],
    ['reboot', rebootMachine(), /STEP SUCCEED console-before(,|$)/],
  ])('in the very moment of the %s: it is not made, no attempt is kept, no tag stays', (_call, hung, moment) =>
    gated({ hung, well: healthyMachine() }, async ({ world }) => {
      world.once(
        ({ kind, what, detail }) => kind === 'durable' && what === 'checkpoint' && moment.test(String(detail?.updates)),
        () => alarm(world, 'ALARM'),
      );
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/alarm checkout-errors is on/),
        restartedBy: null,
      });
      expect([world.attempts('StopInstances'), world.attempts('RebootInstances')]).toEqual([0, 0]);
      expect(world.instance('hung').tags.has('AuditBacklogStopped')).toBe(false);
      alarm(world, 'OK');
      const next = await world.run();
      expect(next.totals).toMatchObject({ affected: 1, restarted: 1 });
    }),
  );
});

describe('the breaker is asked again', () => {
  const machines = { one: hungMachine(), two: hungMachine(), sick: overflowedMachine() };
  const opened = { instances: 40, silent: 0, breakerOpen: true, quietSweeps: 0, at: '2026-11-22T04:01:00.000Z' };

  test('before each wave of restarts, and resizes go on', () =>
    gated(machines, async ({ world }) => {
      atTheFirstStop(world, () => void world.service.hub.ledger.putCellMemory(HOME, opened));
      const report = await world.run();
      expect(report.totals).toMatchObject({ affected: 3, restarted: 1, resized: 1, deferred: 1 });
      expect(actionOn(report, world, 'two').reason).toMatch(/breaker: a sweep at 2026-11-22T04:01:00.000Z opened it/);
      expect(world.power('two')).toEqual([]);
    }));

  test('in the very moment', () =>
    gated({ hung: hungMachine() }, async ({ world }) => {
      world.once(
        ({ kind, what, detail }) =>
          kind === 'durable' && what === 'checkpoint' && /STEP SUCCEED attempt(,|$)/.test(String(detail?.updates)),
        () => void world.service.hub.ledger.putCellMemory(HOME, opened),
      );
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/breaker: a sweep at/),
      });
      expect(world.power('hung')).toEqual([]);
    }));
});
