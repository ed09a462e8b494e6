import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { BOOT, consoleText, MINUTE, machine, queueLines, RULES } from './guest-support.ts';

const AT = BOOT + 30 * MINUTE;
const AFTER = AT + 10 * MINUTE;

describe('the audit queue', () => {
  it('overflows above the limit and not at it', () => {
    const full = machine({ bursts: [{ at: AT, needs: 320 }] });
    expect(full.truth(AFTER)).toMatchObject({ overflows: [], lost: 0, effectiveLimit: 320 });
    expect(queueLines(full, AFTER)).toEqual([]);

    const over = machine({ bursts: [{ at: AT, needs: 321, rounds: 1 }] });
    expect(over.truth(AFTER)).toMatchObject({ overflows: [{ at: AT, limit: 320 }], lost: 1 });
    expect(queueLines(over, AFTER)).toEqual([
      'audit: audit_backlog=321 > audit_backlog_limit=320',
      'audit: audit_lost=1 audit_rate_limit=0 audit_backlog_limit=320',
      'audit: backlog limit exceeded',
    ]);
  });

  it('prints ten lines a burst and tells with the next one what it held back', () => {
    const of = machine({ bursts: [{ at: AT, needs: 1320, rounds: 2 }] });
    const lines = queueLines(of, AFTER);
    const event = (lost: number) => [
      'audit: audit_backlog=321 > audit_backlog_limit=320',
      `audit: audit_lost=${lost} audit_rate_limit=0 audit_backlog_limit=320`,
      'audit: backlog limit exceeded',
    ];
    const tenth = 'audit: audit_backlog=321 > audit_backlog_limit=320';
    expect(lines.slice(0, 10)).toEqual([...event(1), ...event(2), ...event(3), tenth]);
    // 500 events of the first round would have printed 1,500 lines.
    expect(lines.slice(10)).toEqual([
      'audit_log_start: 1490 callbacks suppressed',
      ...event(501),
      ...event(502),
      ...event(503),
      tenth,
    ]);
    expect(of.truth(AFTER).lost).toBe(1000);
  });

  it('glues the first line to the login prompt, with the seconds since this boot', () => {
    const of = machine({ bursts: [{ at: AT, needs: 400 }] });
    expect(consoleText(of, AFTER)).toContain('ip-10-0-1-23 login: [ 1800.000000] audit: audit_backlog=321 > ');
  });

  it.each([
    ['failure mode 0', { files: { [RULES]: '-D\n-b 320\n-f 0\n' } }, { error: false, numbers: true }],
    ['a quiet console', { quietConsole: true }, { error: true, numbers: false }],
  ] as const)('prints what %s lets through', (_name, profile, expected) => {
    const of = machine({ ...profile, bursts: [{ at: AT, needs: 5000 }] });
    const text = consoleText(of, AFTER);
    expect(text.includes('audit: backlog limit exceeded')).toBe(expected.error);
    expect(text.includes('audit_backlog_limit=320')).toBe(expected.numbers);
    expect(of.truth(AFTER).overflows).toHaveLength(1);
  });

  it('panics in failure mode 2, and only a reset brings the machine back', () => {
    const of = machine({ files: { [RULES]: '-D\n-b 320\n-f 2\n' }, bursts: [{ at: AT, needs: 5000 }] });
    expect(consoleText(of, AFTER)).toContain('Kernel panic - not syncing: audit: backlog limit exceeded\r\n');
    expect(of.shutsDownCleanly(AFTER)).toBe(false);
    expect(of.agent(AFTER)?.answering).toBe(false);
    expect(of.instanceCheck(AFTER)).toBe('impaired');
    of.reset(AFTER);
    expect(of.agent(AFTER + 2 * MINUTE)?.answering).toBe(true);
    expect(of.truth(AFTER + 2 * MINUTE)).toMatchObject({ boots: 2, hung: false });
  });

  it('overflows at any limit where auditd does not drain it', () => {
    const of = machine({ files: { [RULES]: rulesWithLimit(65_536) }, drains: false, bursts: [{ at: AT, needs: 900 }] });
    expect(of.truth(AFTER).overflows).toEqual([{ at: AT, limit: 65_536 }]);
  });

  it('says nothing of an exceeded limit where no auditd listens', () => {
    const old = machine({
      distribution: 'rhel7',
      auditd: 'stopped',
      bursts: [
        { at: AT, needs: 900 },
        { at: AT + MINUTE, needs: 900 },
      ],
    });
    expect(queueLines(old, AFTER)).toEqual(['audit_printk_skb: 890 callbacks suppressed']);
    const modern = machine({
      auditd: 'stopped',
      bursts: [
        { at: AT, needs: 900 },
        { at: AT + MINUTE, needs: 900 },
      ],
    });
    expect(queueLines(modern, AFTER)).toContain('kauditd_printk_skb: 890 callbacks suppressed');
    expect(consoleText(modern, AFTER)).toContain('audit: kauditd hold queue overflow');
    expect(modern.truth(AFTER).overflows).toEqual([]);
  });

  it('takes the limit of the kernel command line where no rule names one, else 64', () => {
    const bare = { files: { [RULES]: '-D\n-f 1\n' } };
    expect(machine({ ...bare, bootLimit: 256 }).truth(AT).effectiveLimit).toBe(256);
    expect(machine(bare).truth(AT)).toMatchObject({ effectiveLimit: 64, configuredLimit: null });
    const drops = {
      [RULES]: rulesWithLimit(320),
      '/etc/audit/rules.d/99-x.rules': '-b 9999\n',
      '/etc/audit/rules.d/zz.rules': '-b 700\n',
    };
    expect(machine({ files: drops }).truth(AT).effectiveLimit).toBe(700);
  });
});

describe('a hang', () => {
  const hung = () => machine({ bursts: [{ at: AT, needs: 5000, hangs: true, impairs: true }], chatterMinutes: 2 });

  it('takes user space down: no ping, no answer, no line of a program', () => {
    const of = hung();
    const before = of.agent(AT - 1);
    expect(before).toMatchObject({ managed: true, answering: true });
    const later = of.agent(AT + 60 * MINUTE);
    expect(later?.answering).toBe(false);
    expect(AT - (later?.lastPingAt ?? 0)).toBeLessThanOrEqual(5 * MINUTE);
    expect(Buffer.from(of.console(AT + 60 * MINUTE, AT - MINUTE)).toString()).not.toContain('heartbeat');
    expect(Buffer.from(of.console(AT + 60 * MINUTE, 0)).toString()).toContain('heartbeat');
    expect(of.runScript(AT + 60 * MINUTE, 'echo no', {}).hung).toBe(true);
    expect(of.runCommand(AT + 60 * MINUTE, 'uname -r').hung).toBe(true);
    expect(of.instanceCheck(AT + 60 * MINUTE)).toBe('impaired');
    expect(of.shutsDownCleanly(AT + 60 * MINUTE)).toBe(false);
  });

  it('ends with the power, and the console keeps the older boot', () => {
    const of = hung();
    of.powerOff(AFTER);
    expect(of.truth(AFTER)).toMatchObject({ poweredOn: false, effectiveLimit: null });
    of.powerOn(AFTER + MINUTE);
    const text = consoleText(of, AFTER + 3 * MINUTE);
    expect(text.match(/Linux version/g)).toHaveLength(2);
    expect(text.indexOf('backlog limit exceeded')).toBeLessThan(text.lastIndexOf('Linux version'));
    expect(of.agent(AFTER + 3 * MINUTE)).toMatchObject({ answering: true });
    expect(of.truth(AFTER + 3 * MINUTE).effectiveLimit).toBe(320);
  });

  it('can end by itself', () => {
    const of = machine({ bursts: [{ at: AT, needs: 5000, hangs: true, recoversAfterMs: 20 * MINUTE }] });
    expect(of.agent(AT + 19 * MINUTE)?.answering).toBe(false);
    expect(of.agent(AT + 21 * MINUTE)?.answering).toBe(true);
  });

  it('comes from a queue that outgrows the memory, too', () => {
    const of = machine({
      memoryKiB: 500_000,
      files: { [RULES]: rulesWithLimit(65_536) },
      bursts: [{ at: AT, needs: 60_000 }],
    });
    expect(consoleText(of, AFTER)).toContain('Out of memory');
    expect(of.truth(AFTER)).toMatchObject({ hung: true, overflows: [] });
  });
});

describe('a machine that lives', () => {
  it('pings every five minutes, and a dead agent no more', () => {
    const of = machine({ agent: { diesAt: AT } });
    const first = of.agent(BOOT + MINUTE)?.lastPingAt ?? 0;
    expect(of.agent(BOOT + 12 * MINUTE)?.lastPingAt).toBe(first + 10 * MINUTE);
    expect(of.agent(AT + 300 * MINUTE)).toMatchObject({ answering: false, managed: true });
    expect(AT - (of.agent(AT + 301 * MINUTE)?.lastPingAt ?? 0)).toBeLessThanOrEqual(5 * MINUTE);
    expect(of.shutsDownCleanly(AT + 302 * MINUTE)).toBe(true);
  });

  it('has a file put back by its configuration manager', () => {
    const content = rulesWithLimit(320);
    const of = machine({ configurationManager: { everyMinutes: 30, path: RULES, content } });
    of.runScript(
      BOOT + 10 * MINUTE,
      `auditctl -b 9000 >/dev/null; printf -- '-b 9000\\n' > "$AUDIT_BACKLOG_ROOT${RULES}"`,
      {},
    );
    expect(of.truth(BOOT + 20 * MINUTE)).toMatchObject({ effectiveLimit: 9000, configuredLimit: 9000 });
    expect(of.truth(BOOT + 31 * MINUTE)).toMatchObject({ effectiveLimit: 320, configuredLimit: 320 });
  });

  it('has a file written by its user data at every boot', () => {
    const userData = { afterBootSeconds: 300, path: RULES, content: rulesWithLimit(200) };
    const of = machine({ userData });
    expect(of.truth(BOOT + 4 * MINUTE)).toMatchObject({ effectiveLimit: 320, configuredLimit: 320 });
    expect(of.truth(BOOT + 6 * MINUTE)).toMatchObject({ effectiveLimit: 200, configuredLimit: 200 });
    of.runScript(AT, `auditctl -b 9000 >/dev/null; printf -- '-b 9000\\n' > "$AUDIT_BACKLOG_ROOT${RULES}"`, {});
    of.reset(AT + MINUTE);
    expect(of.truth(AT + 5 * MINUTE)).toMatchObject({ effectiveLimit: 9000, configuredLimit: 9000 });
    expect(of.truth(AT + 7 * MINUTE)).toMatchObject({ effectiveLimit: 200, configuredLimit: 200 });
  });

  it('has no file put back while a script runs, but right after it', () => {
    const content = rulesWithLimit(320);
    const of = machine({ configurationManager: { everyMinutes: 30, path: RULES, content } });
    const at = BOOT + 30 * MINUTE - 500;
    const { milliseconds } = of.runScript(at, `printf -- '-b 9000\\n' > "$AUDIT_BACKLOG_ROOT${RULES}"`, {});
    expect(milliseconds).toBeGreaterThan(1000);
    expect(of.truth(at + milliseconds).configuredLimit).toBe(9000);
    expect(of.truth(at + milliseconds + 2000).configuredLimit).toBe(320);
  });

  it('prints kernel lines without their time where it is told to', () => {
    const of = machine({ kernelTime: false, bursts: [{ at: AT, needs: 5000 }] });
    of.reset(AT + MINUTE);
    const text = consoleText(of, AFTER);
    expect(text).toMatch(/^audit: audit_backlog=321 > audit_backlog_limit=320\r$/m);
    expect(text).toMatch(/^reboot: Restarting system\r$/m);
    expect(text).not.toMatch(/\[ *\d+\.\d{6}\]/);
  });

  it('prints nothing without a serial console', () => {
    const of = machine({ noSerialConsole: true, bursts: [{ at: AT, needs: 5000 }] });
    expect(of.console(AFTER)).toHaveLength(0);
    expect(of.consoleUpdatedAt(AFTER)).toBeNull();
  });

  it('is the same for the same seed', () => {
    const profile = { bursts: [{ at: AT, needs: 5000, rounds: 3 }] };
    expect(consoleText(machine(profile, 5), AFTER)).toBe(consoleText(machine(profile, 5), AFTER));
    expect(consoleText(machine(profile, 5), AFTER)).not.toBe(consoleText(machine(profile, 6), AFTER));
  });

  it('answers a few commands of its own and refuses every other', () => {
    const of = machine();
    const run = (line: string) => of.runCommand(AT, line);
    expect(run('auditctl -s').stdout).toMatch(
      /^enabled 1\nfailure 1\npid \d+\nrate_limit 0\nbacklog_limit 320\nlost 0\n/,
    );
    expect(run(`cat ${RULES}`).stdout).toBe(rulesWithLimit(320));
    expect(run('uname -r').stdout).toBe('6.1.0-41-cloud-amd64\n');
    expect(run('systemctl is-active auditd')).toMatchObject({ exitCode: 0, stdout: 'active\n' });
    for (const line of [
      'auditctl -b 1',
      'auditctl -s; id',
      'cat /etc/shadow',
      'cat /etc/audit/../shadow',
      'reboot',
      'uname -r -a',
      '$(id)',
    ]) {
      expect(run(line)).toMatchObject({ exitCode: 127, stdout: '' });
    }
    expect(of.truth(AT).effectiveLimit).toBe(320);
  });
});
