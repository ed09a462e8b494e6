/** Before a stop: every row of the preflight on the whole service. What a stop would cost is rebooted, or left, saying why. */
import { ScriptedFaults } from '../../simulator/faults.ts';
import {
  APPLY,
  actionOn,
  hungMachine,
  inSmallWorld,
  type Key,
  type SmallMachine,
  type SmallWorld,
  type SmallWorldOptions,
} from '../support/small-world.ts';

const LEAVE = { ...APPLY, restart: { ...APPLY.restart, rebootWhereStopLoses: false } };
const KEY = '5d2f8a0e-7c1b-4b5e-9a60-0f3c1e2d4b6a';

/** One that hangs, its volumes encrypted with this key. */
const withKey = (key: Key, options: Omit<SmallWorldOptions, 'machines'>, body: (world: SmallWorld) => Promise<void>) =>
  inSmallWorld({ ...options, keys: [key], machines: { hung: hungMachine({ kmsKeyId: KEY }) } }, body);

const ROWS: readonly (readonly [what: string, machine: SmallMachine, code: string, says: RegExp])[] = [
  ['instance store data', hungMachine({ instanceType: 'm5d.large' }), 'stop-would-lose', /data on its instance store/],
  ['an auto-assigned address', hungMachine({ publicAddress: 'auto' }), 'stop-would-lose', /auto-assigned public IPv4/],
  ['shutdown behaviour terminate', hungMachine({ shutdownBehavior: 'terminate' }), 'stop-would-lose', /is terminate/],
  ['a one-time Spot request', hungMachine({ spot: { kind: 'one-time' } }), 'stop-refused', /Spot request is one-time/],
  ['stop protection', hungMachine({ stopProtection: true }), 'stop-refused', /it has stop protection/],
  ['an instance store root', hungMachine({ rootDevice: 'instance-store' }), 'stop-refused', /root volume is in/],
  ['a capacity block', hungMachine({ lifecycle: 'capacity-block' }), 'stop-refused', /may not be stopped/],
  ['a Dedicated Host', hungMachine({ dedicatedHost: true }), 'may-not-start', /place on a Dedicated Host/],
  ['a Capacity Reservation', hungMachine({ capacityReservationId: 'cr-1' }), 'may-not-start', /Capacity Reservation/],
  ['a placement group', hungMachine({ placementGroup: 'cluster-1' }), 'may-not-start', /its placement group/],
  ['a persistent Spot request', hungMachine({ spot: { kind: 'persistent' } }), 'may-not-start', /Spot capacity/],
];

describe.each(ROWS)('%s', (_what, machine, code, says) => {
  test('is rebooted where policy allows it, and never stopped', () =>
    inSmallWorld({ machines: { hung: machine } }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung')).toMatchObject({
        method: 'reboot',
        reason: expect.stringMatching(says),
        outcome: { result: 'resized', proven: true, restartedBy: 'reboot' },
      });
      expect(world.power('hung')).toEqual(['reboot']);
      expect(world.attempts('StopInstances')).toBe(0);
    }));

  test('is left where it does not, naming it', () =>
    inSmallWorld({ machines: { hung: machine }, policy: LEAVE }, async (world) => {
      const found = actionOn(await world.run(), world, 'hung');
      expect(found).toMatchObject({ action: 'leave', outcome: null, reason: expect.stringMatching(says) });
      // An instance store root is refused and would lose its data: the first code counts.
      expect([code, 'stop-would-lose']).toContain(found.code);
      expect(world.power('hung')).toEqual([]);
    }));
});

test('an Elastic IP address is kept by a stop: stopped and started', () =>
  inSmallWorld({ machines: { hung: hungMachine({ publicAddress: 'elastic' }) }, policy: LEAVE }, async (world) => {
    const report = await world.run();
    expect(actionOn(report, world, 'hung').outcome).toMatchObject({ proven: true, restartedBy: 'stop-start' });
  }));

describe('a key of its volumes', () => {
  test('that is enabled and can be granted: stopped and started', () =>
    withKey([KEY, 'Enabled'], { policy: LEAVE }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ proven: true, restartedBy: 'stop-start' });
    }));

  test('that AWS keeps: stopped and started', () =>
    withKey([KEY, 'Enabled', { manager: 'AWS' }], { policy: LEAVE }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ proven: true, restartedBy: 'stop-start' });
      expect(world.attempts('CreateGrant')).toBe(0);
    }));

  test.each<[string, Key, RegExp]>([
    ['disabled', [KEY, 'Disabled'], /key \S+5d2f8a0e\S+ of its encrypted volumes is disabled/],
    ['to be deleted', [KEY, 'PendingDeletion'], /is disabled/],
    ['not to be looked at', [KEY, 'denied'], /the state of the key \S+5d2f8a0e\S+ .* could not be read/],
    [
      'granted by nobody',
      [KEY, 'Enabled', { grants: 'nobody' }],
      /grant on the key \S+5d2f8a0e\S+ .*CreateGrant was refused/,
    ],
    ['granted through EC2 alone', [KEY, 'Enabled', { grants: 'through-ec2' }], /kms:CreateGrant was refused/],
  ])('that is %s: never stopped', async (_what, rules, says) => {
    await withKey(rules, {}, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({ proven: true, restartedBy: 'reboot' });
      expect(world.power('hung')).toEqual(['reboot']);
    });
    await withKey(rules, { policy: LEAVE }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'hung')).toMatchObject({
        action: 'leave',
        code: 'may-not-start',
        reason: expect.stringMatching(says),
      });
      expect(world.power('hung')).toEqual([]);
    });
  });

  test('whose use is taken away between plan and act: the second look sees it', () =>
    withKey([KEY, 'Enabled'], { policy: LEAVE }, async (world) => {
      world.once(
        ({ kind, what, detail }) =>
          kind === 'durable' && what === 'start' && String(detail?.execution).startsWith('restart/'),
        () => world.setKey(KEY, 'Enabled', { grants: 'nobody' }),
      );
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/CreateGrant was refused/),
      });
      expect(world.power('hung')).toEqual([]);
    }));

  test('whose use is taken away after the stop: pending falls back to stopped, which is a failure with its reason', () =>
    withKey([KEY, 'Enabled'], {}, async (world) => {
      world.once(
        ({ kind, what }) => kind === 'power' && what === 'stopping',
        () => world.setKey(KEY, 'Disabled'),
      );
      const report = await world.run();
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'restart-failed',
        proven: false,
        restartedBy: 'stop-start',
        message: expect.stringMatching(/did not start: it is stopped \(Client.InternalError: Client error on launch\)/),
        next: expect.stringMatching(/check their key/),
      });
      expect(report.totals).toMatchObject({ failed: 1, restarted: 0 });
      expect(world.messages().some((text) => text.includes(world.id('hung')))).toBe(true);
      // Never stranded: it keeps its tag, and once the key is back it is brought back.
      expect(world.instance('hung').tags.has('AuditBacklogStopped')).toBe(true);
      world.setKey(KEY, 'Enabled');
      for (let minutes = 0; minutes < 60; minutes += 5) {
        await world.minutes(5);
        await world.reconcile();
      }
      expect(world.instance('hung').state).toBe('running');
    }));
});

test('what cannot be read counts as a loss: rebooted, not stopped', () => {
  const faults = new ScriptedFaults([
    { kind: 'denied', calls: 'ec2:DescribeInstanceAttribute', times: Number.POSITIVE_INFINITY },
  ]);
  return inSmallWorld({ machines: { hung: hungMachine() }, faults }, async (world) => {
    const report = await world.run();
    expect(actionOn(report, world, 'hung')).toMatchObject({
      method: 'reboot',
      reason: expect.stringMatching(/shutdown behaviour could not be read.*stop protection could not be read/),
    });
    expect(world.power('hung')).toEqual(['reboot']);
  });
});
