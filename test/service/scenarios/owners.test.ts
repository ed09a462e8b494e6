/** Bad days on which a machine belongs to something else, or would not come back. */
import { consenting, DISABLED_KEY, hung } from '../../../simulator/kinds/kind.ts';
import { APPLY, actionOn, healthyMachine, hungMachine, inSmallWorld, NOW, saidOf } from '../../support/small-world.ts';

/** Works until a day disables it. */
const WORKING_KEY = '7b0c2d11-5f3a-4a86-9d0e-1c2b3a4d5e6f';
const NODE = { 'aws:eks:cluster-name': 'prod' };
const REBOOTED = ['RebootInstances', 'SendCommand', 'CreateTags'];

describe('Kubernetes node', () => {
  const machines = {
    optedIn: hungMachine({ autoScalingGroup: 'prod-nodes', tags: NODE }),
    silent: { instance: { autoScalingGroup: 'prod-nodes', tags: NODE }, guest: hung(NOW) },
    operated: { instance: consenting({ operatorManaged: 'eks.amazonaws.com' }), guest: hung(NOW) },
    well: healthyMachine(),
  };

  test('opted in itself it is rebooted, never stopped; else it is left to its owner, also where policy allows any', () =>
    inSmallWorld({ machines, policy: { ...APPLY, restart: { ...APPLY.restart, policy: 'any' } } }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'optedIn')).toMatchObject({
        action: 'restart-then-resize',
        code: 'restart',
        method: 'reboot',
        outcome: { result: 'resized', proven: true, restartedBy: 'reboot', limitAfter: 8192 },
      });
      expect(saidOf(report, world, 'optedIn')).toMatch(
        /it is rebooted \(not stopped: something else owns it, tag aws:autoscaling:groupName\)\.$/m,
      );
      expect(actionOn(report, world, 'silent')).toMatchObject({
        action: 'leave',
        code: 'owned',
        reason: 'Something else owns it (tag aws:autoscaling:groupName), and it has not opted in to restarts itself.',
        next: 'Let its owner replace it, and fix the image it is launched from.',
      });
      expect(actionOn(report, world, 'operated')).toMatchObject({
        action: 'leave',
        code: 'owned',
        reason: 'A service operates it (Operator.Managed), so EC2 refuses to restart it.',
      });
      await world.minutes(70);
      const held = await world.run();
      expect(actionOn(held, world, 'optedIn').outcome).toMatchObject({
        result: 'held',
        proven: true,
        limitAfter: 8192,
      });
      // Its limit is read again, and nothing else is done to it.
      expect(world.touched()).toEqual({ optedIn: [...REBOOTED, 'SendCommand', 'CreateTags'] });
      expect(world.truth('optedIn')).toMatchObject({ hung: false, boots: 2, configuredLimit: 8192 });
    }));

  test('under the policy as it is shipped, the owner’s tag is asked for first', () =>
    inSmallWorld({ machines }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'optedIn')).toMatchObject({ code: 'restart', method: 'reboot' });
      expect(actionOn(report, world, 'silent')).toMatchObject({ code: 'restart-not-allowed' });
      expect(world.touched()).toEqual({ optedIn: REBOOTED });
    }));
});

describe('disabled key', () => {
  const machines = { sealed: hungMachine({ kmsKeyId: DISABLED_KEY }), well: healthyMachine() };

  test('it would not start again, so it is rebooted, and the reason says why', () =>
    inSmallWorld({ machines }, async (world) => {
      const report = await world.run();
      expect(actionOn(report, world, 'sealed')).toMatchObject({
        code: 'restart',
        method: 'reboot',
        outcome: { result: 'resized', proven: true, restartedBy: 'reboot' },
      });
      expect(saidOf(report, world, 'sealed')).toContain(`key/${DISABLED_KEY} of its encrypted volumes is disabled)`);
      expect(world.touched()).toEqual({ sealed: REBOOTED });
    }));

  test('where policy forbids a reboot it is left as it is, in every sweep, until the key is enabled', () => {
    const policy = { ...APPLY, restart: { ...APPLY.restart, rebootWhereStopLoses: false } };
    return inSmallWorld({ machines, policy }, async (world) => {
      for (let sweep = 0; sweep < 2; sweep++) {
        const report = await world.run();
        expect(actionOn(report, world, 'sealed')).toMatchObject({
          action: 'leave',
          code: 'may-not-start',
          reason: expect.stringMatching(
            /forbids to reboot instead: the key \S+ of its encrypted volumes is disabled\.$/,
          ),
          next: 'Enable the key, or let its policy give the service kms:DescribeKey and kms:CreateGrant; then run again.',
          outcome: null,
        });
        expect(world.touched()).toEqual({});
        await world.minutes(70);
      }
      world.setKey(DISABLED_KEY, 'Enabled');
      const report = await world.run();
      expect(actionOn(report, world, 'sealed')).toMatchObject({ code: 'restart', method: 'stop-start' });
      expect(world.power('sealed')).toEqual(['stopping', 'pending']);
    });
  });

  test('disabled while it is down: its start falls back to stopped, a person is told, and it starts with the key', () =>
    inSmallWorld({ machines: { ...machines, sealed: hungMachine({ kmsKeyId: WORKING_KEY }) } }, async (world) => {
      world.once(
        ({ kind, what }) => kind === 'power' && what === 'stopping',
        () => world.setKey(WORKING_KEY, 'Disabled'),
      );
      const report = await world.run();
      expect(actionOn(report, world, 'sealed').outcome).toMatchObject({
        result: 'restart-failed',
        proven: false,
        message: 'It was stopped and did not start: it is stopped (Client.InternalError: Client error on launch)',
        next: 'Start it by hand; if its volumes are encrypted, check their key. `reconcile` keeps trying.',
      });
      expect(world.messages()[0]).toContain(`${world.id('sealed')} needs you`);
      expect(world.instance('sealed').state).toBe('stopped');
      world.setKey(WORKING_KEY, 'Enabled');
      for (let round = 0; round < 6; round++) {
        await world.minutes(5);
        await world.reconcile();
      }
      expect(world.instance('sealed').state).toBe('running');
      expect(world.messages().at(-1)).toMatch(
        /reconcile met errors\n.*the last start of it came to nothing.*Check the keys/,
      );
      expect(world.messages().at(-1)).toContain(world.id('sealed'));
      await world.minutes(30);
      const next = await world.run();
      expect(actionOn(next, world, 'sealed')).toMatchObject({
        code: 'older-boot',
        outcome: { result: 'resized', proven: true, limitAfter: 8192, restartedBy: null },
      });
      expect(world.power('sealed').filter((what) => what === 'stopping')).toHaveLength(1);
    }));
});
