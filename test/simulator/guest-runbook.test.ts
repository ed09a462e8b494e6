/** The project's own runbook on the guests: it cures, and what it may not do it does not do. */
import { join } from 'node:path';
import { readRunbookScript } from '../../lambdas/runbook/document.ts';
import type { DistributionId } from '../../simulator/guest/distributions.ts';
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { BOOT, consoleText, MINUTE, machine, RULES } from './guest-support.ts';

const SCRIPT = readRunbookScript(join(__dirname, '../../lambdas/runbook'));
const AT = BOOT + 60 * MINUTE;
const BURSTS = [
  { at: BOOT + 30 * MINUTE, needs: 5000 },
  { at: BOOT + 120 * MINUTE, needs: 5000 },
];
const APPLY = { SSM_Mode: 'apply', SSM_OverflowedAt: '320' };

function answer(stdout: string): Record<string, unknown> {
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

describe('the runbook on a guest', () => {
  it.each<DistributionId>(['al1', 'al2', 'al2023', 'rhel6', 'rhel7', 'rhel8', 'rhel9', 'ubuntu2204', 'debian12'])(
    'cures %s: kernel and file are raised, and the same burst overflows no more',
    (distribution) => {
      const path = distribution === 'rhel6' ? '/etc/audit/audit.rules' : RULES;
      const of = machine({ distribution, files: { [path]: rulesWithLimit(320) }, bursts: BURSTS });
      expect(of.truth(AT).overflows).toHaveLength(1);
      const result = of.runScript(AT, SCRIPT, APPLY);
      expect(answer(result.stdout)).toMatchObject({ outcome: 'resized', target: 8192 });
      expect(result).toMatchObject({ exitCode: 0, stderr: '', hung: false });
      expect(result.milliseconds).toBeGreaterThan(1000);
      expect(of.truth(AT + 120 * MINUTE)).toMatchObject({
        effectiveLimit: 8192,
        configuredLimit: 8192,
        auditdRunning: true,
      });
      expect(of.truth(AT + 120 * MINUTE).overflows).toHaveLength(1);
      expect(answer(of.runScript(AT + 121 * MINUTE, SCRIPT, APPLY).stdout)).toMatchObject({
        outcome: 'already-sufficient',
      });
    },
  );

  it('keeps the cure over a power cycle', () => {
    const of = machine({ bursts: BURSTS });
    of.runScript(AT, SCRIPT, APPLY);
    of.powerOff(AT + 5 * MINUTE);
    of.powerOn(AT + 6 * MINUTE);
    expect(of.truth(AT + 10 * MINUTE).effectiveLimit).toBe(8192);
  });

  it.each<DistributionId>(['al1', 'al2023', 'ubuntu2204', 'debian12'])(
    'restarts auditd of %s where it is told to, but not on a full log disk',
    (distribution) => {
      const pids = (logDirFreePercent: number) => {
        const of = machine({ distribution, logDirFreePercent, bursts: BURSTS });
        const { before, after, drain } = answer(
          of.runScript(AT, SCRIPT, { ...APPLY, SSM_RestartAuditd: 'always' }).stdout,
        ) as { before: { auditdPid: number }; after: { auditdPid: number }; drain: object };
        return { restarted: before.auditdPid !== after.auditdPid, drain };
      };
      expect(pids(62)).toMatchObject({ restarted: true, drain: { logDirFreePercent: 62, suspended: false } });
      expect(pids(0)).toMatchObject({ restarted: false, drain: { logDirFreePercent: 0, suspended: true } });
    },
  );

  it('changes nothing in plan mode', () => {
    const of = machine({ bursts: BURSTS });
    const before = of.truth(AT);
    expect(answer(of.runScript(AT, SCRIPT, { SSM_Mode: 'plan', SSM_OverflowedAt: '320' }).stdout)).toMatchObject({
      outcome: 'planned',
    });
    expect(of.truth(AT)).toEqual(before);
  });

  it.each<DistributionId>(['al1', 'al2', 'al2023', 'rhel8', 'ubuntu2204', 'debian12'])(
    'sets the limit of the kernel command line of %s where it is told to, and the next boot begins with it',
    (distribution) => {
      const of = machine({ distribution, bursts: BURSTS });
      const boots = () => consoleText(of, AT + 20 * MINUTE).match(/audit: audit_backlog_limit: \d+/g);
      const said = (at: number) =>
        String(answer(of.runScript(at, SCRIPT, { ...APPLY, SSM_BootLimit: 'yes' }).stdout).message);
      expect(boots()).toBeNull();
      expect(said(AT)).toMatch(/Set audit_backlog_limit=8192 on the kernel command line for the next boot\./);
      of.powerOff(AT + 5 * MINUTE);
      of.powerOn(AT + 6 * MINUTE);
      expect(boots()).toEqual(['audit: audit_backlog_limit: 8192']);
      expect(said(AT + 30 * MINUTE)).toMatch(/The kernel command line has audit_backlog_limit=8192\./);
      expect(Object.keys(of.truth(AT + 40 * MINUTE).files).filter((path) => path.endsWith('.tmp'))).toEqual([]);
    },
  );

  it.each([
    ['pending-reboot', { files: { [RULES]: '-D\n-b 320\n-f 1\n-e 2\n' } }],
    [
      'no-auditd',
      { auditdEndsAt: BOOT + 40 * MINUTE, files: { [RULES]: rulesWithLimit(320), '/etc/audit/auditd.conf': null } },
    ],
    ['insufficient-memory', { memoryKiB: 24_000, availableKiB: 5000 }],
    ['unsafe-kernel', { distribution: 'al2', kernel: '5.10.240-238.955.amzn2.x86_64' }],
  ] as const)('ends with %s where it must', (outcome, profile) => {
    const of = machine({ ...profile, bursts: BURSTS });
    expect(answer(of.runScript(AT, SCRIPT, APPLY).stdout)).toMatchObject({ outcome });
  });
});
