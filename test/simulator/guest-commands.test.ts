/** The guest's own commands against what the real ones were observed to do (see the guests' module documentation). */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DistributionId } from '../../simulator/guest/distributions.ts';
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { hostRunCount } from '../../simulator/guest/run-on-host.ts';
import { BOOT, MINUTE, machine, RULES } from './guest-support.ts';

const AT = BOOT + 30 * MINUTE;
const IMMUTABLE = { [RULES]: '-D\n-b 320\n-f 1\n-e 2\n' };

function run(script: string, profile: Parameters<typeof machine>[0] = {}) {
  const of = machine(profile);
  const result = of.runScript(AT, `${script}\n`, {});
  return { ...result, truth: of.truth(AT + MINUTE), of };
}

describe('auditctl', () => {
  it('raises the limit in the running kernel and prints the status', () => {
    const { stdout, exitCode, truth } = run('auditctl -b 8192');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('backlog_limit 8192\n');
    expect(truth).toMatchObject({ effectiveLimit: 8192, configuredLimit: 320 });
  });

  it('is refused by a locked kernel with the real message and exit code', () => {
    const { stderr, exitCode, truth } = run('auditctl -b 8192', { files: IMMUTABLE });
    expect([exitCode, stderr]).toEqual([255, 'Error sending backlog limit request (Operation not permitted)\n']);
    expect(truth.effectiveLimit).toBe(320);
  });

  it.each([
    ['-b abc', 255, 'Backlog must be a numeric value was abc\n'],
    ['-b -1', 255, 'Backlog must be a numeric value was -1\n'],
    ['--signal stop', 255, 'stop is an unsupported signal\n'],
  ])('%s', (options, code, message) => {
    const { stderr, exitCode } = run(`auditctl ${options}`);
    expect([exitCode, stderr]).toEqual([code, message]);
  });

  it.each([
    ['-b 0', 0],
    ['-b 0x2000', 8192],
    ['-b 4294967296', 0],
    ['-b 8192 -f 1', 8192],
    ['-b4096', 4096],
    ['--backlog 8192', 320],
  ])('%s makes the limit %i', (options, limit) => {
    expect(run(`auditctl ${options}`).truth.effectiveLimit).toBe(limit);
  });

  it('prints one line on old systems', () => {
    const { stdout } = run('auditctl -s', {
      distribution: 'rhel6',
      files: { '/etc/audit/audit.rules': rulesWithLimit(320) },
    });
    expect(stdout).toMatch(
      /^AUDIT_STATUS: enabled=1 flag=1 pid=\d+ rate_limit=0 backlog_limit=320 lost=0 backlog=0\n$/,
    );
  });

  it('stops loading at a bad rule, which augenrules puts after -b', () => {
    const files = { [RULES]: '-D\n-a always,exit -S mount\n-a always,exit -S mount\n-b 900\n' };
    expect(run(`auditctl -R "$AUDIT_BACKLOG_ROOT${RULES}"`, { files }).exitCode).toBe(1);
    const joined = run('auditctl -b 64 >/dev/null; augenrules --load', { files });
    expect(joined.stderr).toContain('Error sending add rule data request (Rule exists)\n');
    expect(joined.truth.effectiveLimit).toBe(900);
  });
});

describe('augenrules and services', () => {
  it('joins in natural order: the last -b wins, and digits come before letters', () => {
    const files = { [RULES]: rulesWithLimit(320), '/etc/audit/rules.d/99-x.rules': '-b 8192\n' };
    expect(run('augenrules --load', { files }).truth.effectiveLimit).toBe(320);
    const wins = { [RULES]: rulesWithLimit(320), '/etc/audit/rules.d/zz.rules': '-b 8192\n' };
    expect(run('augenrules --load', { files: wins }).truth.effectiveLimit).toBe(8192);
  });

  it('return 0 on a locked kernel and change nothing', () => {
    const script = `for c in 'augenrules --load' 'systemctl restart auditd' 'service auditd restart'; do $c >/dev/null; echo $?; done`;
    const { stdout, truth } = run(`printf -- '-b 8192\\n' >"$AUDIT_BACKLOG_ROOT${RULES}"; ${script}`, {
      files: IMMUTABLE,
    });
    expect(stdout).toBe('0\n0\n0\n');
    expect(truth).toMatchObject({ effectiveLimit: 320, configuredLimit: 8192, auditdRunning: true });
  });

  it('refuse a manual stop where the unit says so; a signal and a start work', () => {
    const ubuntu = { distribution: 'ubuntu2204' } as const;
    const refused = run('systemctl restart auditd', ubuntu);
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain('Operation refused, unit auditd.service may be requested by dependency only');
    const pid = '$(pidof auditd)';
    const worked = run(
      `p=${pid}; env kill -TERM "$p"; systemctl is-active auditd; systemctl start auditd; [ "$p" != "${pid}" ] && echo new`,
      ubuntu,
    );
    expect(worked.stdout).toBe('inactive\nnew\n');
    expect(worked.truth.auditdRunning).toBe(true);
    expect(run('service auditd restart', { distribution: 'al2023' }).exitCode).toBe(0);
  });

  it('leave auditd down with broken settings: systemd says so, the init script does not', () => {
    const broken = `printf 'num_logs = banana\\n' >"$AUDIT_BACKLOG_ROOT/etc/audit/auditd.conf"; `;
    expect(run(`${broken} systemctl restart auditd`)).toMatchObject({ exitCode: 1, truth: { auditdRunning: false } });
    const sysv = run(`${broken} service auditd restart`, { distribution: 'al1' });
    expect(sysv).toMatchObject({ exitCode: 0, truth: { auditdRunning: false } });
  });

  it('take the machine down where auditd starts on a full disk with disk_full_action HALT', () => {
    const script =
      'sed -i "s/^disk_full_action.*/disk_full_action = HALT/" "$AUDIT_BACKLOG_ROOT/etc/audit/auditd.conf"; systemctl restart auditd';
    const { hung, truth } = run(script, { logDirFreePercent: 0 });
    expect(hung).toBe(true);
    expect(truth.hung).toBe(true);
  });

  it('show several properties, however they are asked for', () => {
    const both = 'RefuseManualStop=yes\nUnitFileState=enabled\n';
    for (const how of ['-p RefuseManualStop -p UnitFileState', '--property=RefuseManualStop,UnitFileState'])
      expect(run(`systemctl show ${how} auditd`, { distribution: 'ubuntu2204' }).stdout).toBe(both);
  });

  it('join the rules at boot as augenrules does', () => {
    const files = {
      [RULES]: '## a comment\n-D\n\n-b 320\n-f 1\n-w /etc/passwd -p wa\n-e 1\n',
      '/etc/audit/rules.d/zz.rules': '-b 400\n-a always,exit -S execve\n',
    };
    const joined = run('cat "$AUDIT_BACKLOG_ROOT/etc/audit/audit.rules"', { files });
    expect(joined.stdout).toBe(
      '## This file is automatically generated from /etc/audit/rules.d\n-D\n-b 400\n-f 1\n\n-w /etc/passwd -p wa\n-a always,exit -S execve\n-e 1\n',
    );
    expect(run('augenrules --check', { files }).stdout).toMatch(/No change/);
  });

  it('have no systemctl on an old host, whatever the host of the simulation has', () => {
    expect(run('systemctl restart auditd', { distribution: 'al1' }).exitCode).toBe(127);
  });
});

it('df tells the free space of the log directory', () => {
  const { stdout } = run('df -Pk "$AUDIT_BACKLOG_ROOT/var/log/audit"', { logDirFreePercent: 62 });
  const [, size, , available] = (stdout.split('\n')[1] ?? '').split(/ +/).map(Number);
  expect(Math.floor(((available ?? 0) * 100) / (size ?? 1))).toBe(62);
  expect(run('df -Pk ./var/log/audit', { logDirFreePercent: 62 }).stdout).toBe(stdout);
  expect(run('df -i /').exitCode).toBe(1);
});

describe('a run on the host', () => {
  it('cannot reach what the host has: power, kernel and a process of its own', () => {
    for (const command of ['reboot', 'shutdown', 'sysctl', 'mount', 'chattr'])
      expect(run(`${command} -x`).exitCode).toBe(127);
    const { stdout } = run('kill -TERM "$(pidof auditd)" 2>/dev/null || echo "no such process on the host"');
    expect(stdout).toBe('no such process on the host\n');
    expect(
      run('env')
        .stdout.split('\n')
        .map((line) => line.split('=')[0])
        .sort(),
    ).toEqual(['', 'AUDIT_BACKLOG_GUEST', 'AUDIT_BACKLOG_ROOT', 'LC_ALL', 'PATH', 'PWD', 'TMPDIR'].sort());
  });

  it('happens once for equal machines, and each time for one that looks at who it is', () => {
    const script = `auditctl -b 7777 # ${process.pid}`;
    const before = hostRunCount();
    const first = run(script);
    const second = run(script);
    expect(hostRunCount()).toBe(before + 1);
    expect(second.stdout).toBe(first.stdout);
    expect(second.truth.effectiveLimit).toBe(7777);
    run(`hostname; ${script}`);
    run(`hostname; ${script}`);
    expect(hostRunCount()).toBe(before + 3);
  });

  it('leaves nothing behind', () => {
    const own = mkdtempSync(join(tmpdir(), 'guest-test-'));
    const saved = process.env.TMPDIR;
    process.env.TMPDIR = own;
    try {
      run(`touch "$AUDIT_BACKLOG_ROOT/etc/made"; touch "$TMPDIR/x"; echo ${own}`);
      expect(readdirSync(own)).toEqual([]);
    } finally {
      if (saved === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = saved;
      rmSync(own, { recursive: true });
    }
    expect(existsSync(own)).toBe(false);
  });

  it.each<DistributionId>(['al1', 'al2', 'al2023', 'rhel6', 'rhel7', 'rhel8', 'rhel9', 'ubuntu2204', 'debian12'])(
    '%s restarts auditd its own way and keeps its limit',
    (distribution) => {
      const files = { [distribution === 'rhel6' ? '/etc/audit/audit.rules' : RULES]: rulesWithLimit(320) };
      const script =
        distribution === 'ubuntu2204' ? 'env kill "$(pidof auditd)"; systemctl start auditd' : 'service auditd restart';
      const { exitCode, truth } = run(`${script} >/dev/null; auditctl -s | grep -q 320`, { distribution, files });
      expect({ exitCode, limit: truth.effectiveLimit, running: truth.auditdRunning }).toEqual({
        exitCode: 0,
        limit: 320,
        running: true,
      });
    },
  );
});
