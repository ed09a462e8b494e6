/** Kinds that answer. */
import { rulesWithLimit } from '../guest/files.ts';
import { burst, first, HOUR, type Kind, MINUTE, overflowed, RULES_FILE, resized, rules } from './kind.ts';

/** Machines of the first cell that answer. */
export const REACHABLE: readonly Kind[] = [
  {
    ...resized,
    name: 'immutable',
    what: 'rules are locked (-e 2): only a reboot brings the new limit',
    make: (m) => ({ guest: { ...overflowed(m), files: rules(320, '-e 2\n') } }),
  },
  {
    ...first,
    name: 'already-handled',
    expects: 'already-handled',
    what: 'overflowed two days ago and was cured then',
    make: (m) => ({ guest: { files: rules(320), bursts: [burst(m - 47 * HOUR)] } }),
  },
  {
    ...first,
    name: 'cured-and-talkative',
    expects: 'healthy',
    what: 'overflowed two days ago and was cured then; its console has long scrolled on',
    make: (m) => ({ guest: { files: rules(320), bursts: [burst(m - 47 * HOUR)], chatterMinutes: 1 } }),
  },
  {
    ...first,
    name: 'recurring',
    expects: 'limit-is-not-the-cause',
    what: 'auditd does not drain: it overflows at any limit',
    make: (m) => ({
      guest: {
        files: rules(320),
        drains: false,
        bursts: [47, 23, 1].map((hours) => burst(m - hours * HOUR, { needs: 900 })),
      },
    }),
  },
  {
    ...resized,
    name: 'put-back',
    what: 'cured, and a configuration manager put the old limit back',
    make: (m) => ({
      guest: {
        files: rules(320),
        configurationManager: { everyMinutes: 360, path: RULES_FILE, content: rulesWithLimit(320) },
        bursts: [burst(m - 47 * HOUR), burst(m - HOUR)],
      },
    }),
  },
  {
    ...resized,
    name: 'xen',
    what: 'a Xen type: its console can only be read as of its last start',
    make: (m) => ({
      instance: { instanceType: 't2.large', launchTime: m - 6 * HOUR },
      guest: { files: rules(320), bursts: [{ afterBootSeconds: 120, needs: 1500 }] },
    }),
  },
  {
    ...first,
    name: 'bad-kernel',
    expects: 'bad-kernel',
    what: 'its kernel is known to lock up with auditd',
    make: (m) => ({ guest: { ...overflowed(m), distribution: 'al2', kernel: '5.10.240-238.955.amzn2.x86_64' } }),
  },
  {
    ...first,
    name: 'older-boot',
    expects: 'older-boot',
    what: 'its owner rebooted it after the overflow',
    make: (m) => ({ guest: { files: rules(320), bursts: [burst(m - 9 * HOUR)], rebootsAt: m - 5 * HOUR } }),
  },
  {
    ...first,
    name: 'weak-evidence',
    expects: 'weak-evidence',
    what: 'no auditd listens, and the kernel suppressed messages: only a hint',
    make: (m) => ({
      guest: {
        distribution: 'rhel7',
        auditd: 'stopped',
        bursts: [burst(m - 3 * HOUR, { needs: 900 }), burst(m - 2 * HOUR, { needs: 900 })],
      },
    }),
  },
  {
    ...resized,
    name: 'no-auditd',
    what: 'auditd was removed after the overflow',
    make: (m) => ({
      guest: {
        ...overflowed(m),
        files: { ...rules(320), '/etc/audit/auditd.conf': null },
        auditdEndsAt: m - 50 * MINUTE,
      },
    }),
  },
  {
    ...resized,
    name: 'little-memory',
    what: 'too little memory for a higher limit',
    make: (m) => ({
      instance: { instanceType: 't3.nano' },
      guest: { files: rules(8192), bursts: [burst(m - HOUR, { needs: 12_000 })] },
    }),
  },
  {
    ...resized,
    name: 'full-log-disk',
    what: 'its log disk is full',
    make: (m) => ({ guest: { ...overflowed(m), logDirFreePercent: 0 } }),
  },
  {
    ...resized,
    name: 'quiet-console',
    what: 'loglevel 4: the console names no limit',
    make: (m) => ({ guest: { ...overflowed(m), quietConsole: true } }),
  },
  {
    ...resized,
    name: 'kernel-default',
    what: 'no rule names a limit: the kernel has its 64',
    make: (m) => ({ guest: { bursts: [burst(m - HOUR)] } }),
  },
  {
    ...resized,
    name: 'drop-in',
    what: 'a drop-in file decides the limit',
    make: (m) => ({
      guest: { ...overflowed(m), files: { ...rules(8192), '/etc/audit/rules.d/zz-site.rules': '-b 400\n' } },
    }),
  },
  {
    ...resized,
    name: 'old-agent',
    what: 'its agent is older than parameters as environment variables',
    make: (m) => ({ guest: { ...overflowed(m), agent: { version: '3.2.582.0' } } }),
  },
  {
    ...resized,
    name: 'sysv',
    what: 'no systemd, no rules.d',
    make: (m) => ({
      guest: {
        distribution: 'rhel6',
        files: { '/etc/audit/audit.rules': rulesWithLimit(320) },
        bursts: [burst(m - HOUR)],
      },
    }),
  },
];
