/** Machines for tests: small ways to build one and to read its console. */
import { EventLog, type Machine, Random } from '../../simulator/core.ts';
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { createLinuxMachine } from '../../simulator/guest/machine.ts';
import type { GuestProfile } from '../../simulator/guest/profile.ts';

export const BOOT = Date.parse('2026-11-20T00:00:00Z');
export const MINUTE = 60_000;
export const RULES = '/etc/audit/rules.d/audit.rules';

/** A booted Debian machine with `-b 320` in its rules, but for what the test says. */
export function machine(profile: Partial<GuestProfile> = {}, seed = 3): Machine {
  const made = createLinuxMachine(
    { distribution: 'debian12', memoryKiB: 4_000_000, files: { [RULES]: rulesWithLimit(320) }, ...profile },
    new Random(seed),
    new EventLog(),
    { instanceId: 'i-0123456789abcdef0', accountId: '111122223333', region: 'eu-west-1', hostname: 'ip-10-0-1-23' },
  );
  made.powerOn(BOOT);
  return made;
}

export function consoleText(of: Machine, at: number): string {
  return Buffer.from(of.console(at)).toString('utf8');
}

/** Lines about the audit queue, without their kernel time. */
export function queueLines(of: Machine, at: number): string[] {
  return consoleText(of, at)
    .split('\r\n')
    .filter((line) => /audit_backlog=|audit_lost=|backlog limit exceeded|callbacks suppressed/.test(line))
    .map((line) => line.replace(/^.*\[ *\d+\.\d{6}\] /, ''));
}
