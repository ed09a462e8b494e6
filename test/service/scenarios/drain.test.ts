/** Bad days on which a larger queue alone does not help: a full log disk, a kernel that locks up, an auditd that does not drain. */
import { burst, consenting, HOUR, hung, MINUTE, overflowed, rules } from '../../../simulator/kinds/kind.ts';
import { APPLY, actionOn, healthyMachine, inSmallWorld, NOW, saidOf } from '../../support/small-world.ts';

const HALTS = 'log_file = /var/log/audit/audit.log\nspace_left = 75\ndisk_full_action = HALT\n';

describe('full log disk', () => {
  test('the limit is raised, auditd is not restarted whatever policy says, and the message says to make room', () => {
    // A start of auditd on this machine would halt it.
    const files = { ...rules(320), '/etc/audit/auditd.conf': HALTS };
    const machines = {
      full: { guest: { ...overflowed(NOW), files, logDirFreePercent: 0 } },
      roomy: { guest: { ...overflowed(NOW), files } },
      well: healthyMachine(),
    };
    const policy = { ...APPLY, sizing: { restartAuditd: 'always' as const } };
    return inSmallWorld({ machines, policy }, async (world) => {
      const pids = { full: world.auditdPid('full'), roomy: world.auditdPid('roomy') };
      const report = await world.run();
      expect(actionOn(report, world, 'full')).toMatchObject({
        action: 'resize',
        code: 'resize',
        outcome: { result: 'resized', proven: true, limitBefore: 320, limitAfter: 8192, restartedBy: null },
      });
      const said = saidOf(report, world, 'full');
      expect(said).toContain('The log disk (0 % free) is at or below space_left: make room.');
      expect(said).toContain('auditd was not restarted: its log disk is at or below space_left.');
      expect(saidOf(report, world, 'roomy')).toContain('auditd was restarted.');
      expect(world.auditdPid('full')).toBe(pids.full);
      expect(world.auditdPid('roomy')).not.toBe(pids.roomy);
      expect(world.truth('full')).toMatchObject({ effectiveLimit: 8192, configuredLimit: 8192, hung: false, boots: 1 });
      expect(Object.keys(world.touched()).sort()).toEqual(['full', 'roomy']);
    });
  });
});

describe('bad kernel', () => {
  const lockingUp = { distribution: 'al2', kernel: '5.10.240-238.955.amzn2.x86_64' } as const;
  const machines = {
    answers: { guest: { ...overflowed(NOW), ...lockingUp } },
    hangs: { instance: consenting(), guest: { ...hung(NOW), ...lockingUp } },
    well: healthyMachine(),
  };

  test('the running limit alone is raised: no file, no auditd, no machine is restarted, in no sweep', () =>
    inSmallWorld({ machines, policy: { ...APPLY, sizing: { restartAuditd: 'always' } } }, async (world) => {
      const before = { pid: world.auditdPid('answers'), files: world.truth('answers').files };
      for (const limitBefore of [320, 8192]) {
        const report = await world.run();
        expect(actionOn(report, world, 'answers')).toMatchObject({
          action: 'resize',
          code: 'bad-kernel',
          next: 'Update the kernel and reboot at a time that suits.',
          outcome: { result: 'unsafe-kernel', proven: false, limitBefore, limitAfter: 8192 },
        });
        expect(saidOf(report, world, 'answers')).toMatch(/known to lock up with auditd: the file is left alone/);
        expect(actionOn(report, world, 'hangs')).toMatchObject({ action: 'leave', code: 'bad-kernel', outcome: null });
        expect(saidOf(report, world, 'hangs')).toMatch(/^Kernel 5\.10\.240-238\.955\.amzn2 .* it is silent\.$/m);
        await world.minutes(70);
      }
      expect(world.auditdPid('answers')).toBe(before.pid);
      expect(world.truth('answers')).toMatchObject({ effectiveLimit: 8192, configuredLimit: 320, files: before.files });
      expect(world.touched()).toEqual({ answers: ['SendCommand', 'CreateTags', 'SendCommand', 'CreateTags'] });
    }));
});

describe('recurrence after each doubling', () => {
  const machine = (logDirFreePercent: number) => ({
    instance: consenting(),
    guest: {
      files: rules(320),
      drains: false,
      logDirFreePercent,
      bursts: [burst(NOW - HOUR), ...[30, 100, 170].map((after) => burst(NOW + after * MINUTE, { needs: 900 }))],
    },
  });

  test('two cures, each doubling by hand; the third overflow is diagnosed and nothing is raised any more', () =>
    inSmallWorld({ machines: { fullDisk: machine(0), plain: machine(62), well: healthyMachine() } }, async (world) => {
      const expected = [
        ['resize', 'resize', 'resized', 8192],
        ['resize', 'resize', 'resized', 16_384],
        ['leave', 'limit-is-not-the-cause', 'overflowed-again', 16_384],
        ['leave', 'limit-is-not-the-cause', 'overflowed-again', 16_384],
      ] as const;
      let report = await world.run();
      for (const [sweep, [action, code, result, limit]] of expected.entries()) {
        for (const name of ['fullDisk', 'plain']) {
          expect(actionOn(report, world, name)).toMatchObject({ action, code, outcome: { result } });
          expect(world.truth(name)).toMatchObject({ effectiveLimit: limit, configuredLimit: limit });
        }
        if (sweep === expected.length - 1) break;
        await world.minutes(70);
        report = await world.run();
      }
      for (const name of ['fullDisk', 'plain']) {
        expect(world.truth(name).overflows.map(({ limit }) => limit)).toEqual([320, 8192, 16_384, 16_384]);
        expect(world.touched()[name]).toEqual(['SendCommand', 'CreateTags', 'SendCommand', 'CreateTags']);
        expect(saidOf(report, world, name)).toContain('It overflowed again after 2 cures within 7 days.');
        expect(saidOf(report, world, name)).toContain('Find what does not drain (full or slow log disk, ');
      }
      expect(saidOf(report, world, 'fullDisk')).toContain(
        'What its last cure saw: auditd has suspended writing; 0 % of the log disk is free.',
      );
      expect(saidOf(report, world, 'plain')).toMatch(/\(limit 16384\): the runbook saw nothing that does not drain/);
      expect(Object.keys(world.touched()).sort()).toEqual(['fullDisk', 'plain']);
    }));
});
