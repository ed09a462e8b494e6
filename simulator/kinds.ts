/**
 * The kinds of instance that a simulated fleet has: the truth of each machine, told as a scenario. What a service makes
 * of them is its own business; `expects` says what the design's triage table calls such an instance in the main sweep,
 * so that a test can hold the two against each other. Nothing here is history written by hand: what was "handled
 * before" comes about because earlier sweeps ran (`EARLIER_SWEEP_HOURS` in fleet.ts).
 */
import type { InstanceProfile } from './ec2/profile.ts';
import { rulesWithLimit } from './guest/files.ts';
import type { Burst, GuestProfile } from './guest/profile.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const RULES_FILE = '/etc/audit/rules.d/audit.rules';
/** The owner's consent to restarts, and the opt-out of everything: the tags that the design names. */
export const CONSENT = { AuditBacklogRestart: 'allowed' } as const;
/** A key that was disabled after the instance's volumes were encrypted with it; every cell of a fleet has it. */
export const DISABLED_KEY = '1f6d0a52-93c4-4b0e-8f0e-6a2f5f3f7c11';

/** What one machine of a kind is. `guest` null: Windows. */
export interface Made {
  readonly instance?: Partial<InstanceProfile>;
  readonly guest: Partial<GuestProfile> | null;
}

export interface Kind {
  readonly name: string;
  readonly cell: 'first' | 'second';
  /** The code of the triage table in the main sweep. */
  readonly expects: string;
  /** One line for people. */
  readonly what: string;
  /** How many a full fleet has. */
  readonly count: number;
  /** Sorts before the others of its cell, or after them, by instance id. */
  readonly order?: 'last';
  /** SSM must call its agent lost within six minutes of the last ping. */
  readonly quicklyLost?: boolean;
  readonly make: (mainSweepAt: number) => Made;
}

const rules = (limit: number, more = '') => ({ [RULES_FILE]: rulesWithLimit(limit, more) });
const burst = (at: number, more: Partial<Burst> = {}): Burst => ({ at, needs: 1500, ...more });
/** Overflowed 40 minutes ago, and user space stands still since. */
const hung = (main: number, more: Partial<Burst> = {}): Partial<GuestProfile> => ({
  files: rules(320),
  bursts: [burst(main - 40 * MINUTE, { hangs: true, ...more })],
});
/** Overflowed an hour ago, and answers. */
const overflowed = (main: number, limit = 320): Partial<GuestProfile> => ({
  files: rules(limit),
  bursts: [burst(main - HOUR)],
});
const consenting = (more: Partial<InstanceProfile> = {}): Partial<InstanceProfile> => ({
  ...more,
  tags: { ...CONSENT, ...more.tags },
});

const first = { cell: 'first', count: 1 } as const;
const second = { cell: 'second', count: 1 } as const;
const restarted = { ...first, expects: 'restart' } as const;
const resized = { ...first, expects: 'resize' } as const;

/** Hung machines of the first cell that may be restarted. */
const RESTARTED: readonly Kind[] = [
  {
    ...restarted,
    name: 'hung',
    what: 'hangs; a stop loses nothing',
    make: (m) => ({ instance: consenting(), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-instance-store',
    what: 'hangs, with data on instance store: a reboot keeps it',
    make: (m) => ({ instance: consenting({ instanceType: 'm5d.large' }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-capacity',
    what: 'hangs; its start fails once for lack of capacity',
    make: (m) => ({ instance: consenting({ capacityFailures: { count: 1 } }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-auto-address',
    what: 'hangs, with a public address that a stop would give up',
    make: (m) => ({ instance: consenting({ publicAddress: 'auto' }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-elastic-address',
    what: 'hangs; its address is an Elastic IP, which a stop keeps',
    make: (m) => ({ instance: consenting({ publicAddress: 'elastic' }), guest: hung(m, { impairs: true }) }),
  },
  {
    ...restarted,
    name: 'hung-spot',
    what: 'hangs, as a one-time Spot Instance, which cannot be stopped',
    make: (m) => ({ instance: consenting({ spot: { kind: 'one-time' } }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-auto-scaling',
    what: 'hangs in an Auto Scaling group, and opted in itself',
    make: (m) => ({ instance: consenting({ autoScalingGroup: 'web-asg' }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'panicked',
    what: 'failure mode 2: the overflow was a kernel panic',
    make: (m) => ({
      instance: consenting(),
      guest: { files: { [RULES_FILE]: '-D\n-b 320\n-f 2\n' }, bursts: [burst(m - 40 * MINUTE)] },
    }),
  },
  {
    ...first,
    name: 'hung-one-too-many',
    expects: 'restart-budget',
    what: 'hangs, and the run may restart no more',
    order: 'last',
    make: (m) => ({ instance: consenting(), guest: hung(m) }),
  },
];

/** Machines of the first cell that answer. */
const REACHABLE: readonly Kind[] = [
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

/** Machines of the first cell that are not looked into, or cannot be. */
const NOT_LOOKED_INTO: readonly Kind[] = [
  {
    ...first,
    name: 'opted-out',
    expects: 'opted-out',
    what: 'its owner opted out of everything',
    make: (m) => ({ instance: { tags: { AuditBacklogRemediation: 'disabled' } }, guest: overflowed(m) }),
  },
  {
    ...first,
    name: 'windows',
    expects: 'out-of-scope',
    what: 'runs Windows',
    make: () => ({ instance: { platform: 'windows', instanceType: 'm5.large' }, guest: null }),
  },
  {
    ...first,
    name: 'sandbox',
    expects: 'out-of-scope',
    what: 'bears a tag that the policy excludes',
    make: (m) => ({ instance: { tags: { Environment: 'sandbox' } }, guest: overflowed(m) }),
  },
  {
    ...first,
    name: 'stopped',
    expects: 'not-running',
    what: 'is stopped',
    make: () => ({ instance: { state: 'stopped' }, guest: {} }),
  },
  {
    ...first,
    name: 'empty-console',
    expects: 'console-empty',
    what: 'has no serial console configured',
    make: () => ({ guest: { noSerialConsole: true } }),
  },
  {
    ...first,
    name: 'mac',
    expects: 'console-unreadable',
    what: 'a Mac host: EC2 gives no console of it',
    make: () => ({ instance: { instanceType: 'mac2.metal' }, guest: { noSerialConsole: true } }),
  },
];

/** Silent machines of the second cell, where policy forbids to reboot and too many are silent at once. */
const SILENT: readonly Kind[] = [
  {
    ...second,
    name: 'not-opted-in',
    expects: 'restart-not-allowed',
    what: 'hangs; its owner did not allow restarts',
    make: (m) => ({ guest: hung(m) }),
  },
  {
    ...second,
    name: 'karpenter',
    expects: 'owned',
    what: 'hangs; Karpenter owns it, and policy forbids to reboot it',
    make: (m) => ({
      instance: consenting({ tags: { ...CONSENT, 'karpenter.sh/nodepool': 'general' } }),
      guest: hung(m),
    }),
  },
  {
    ...second,
    name: 'agent-dead',
    expects: 'agent-lost-machine-alive',
    what: 'its agent died hours after an old overflow; the machine is well',
    make: (m) => ({
      instance: consenting(),
      guest: { files: rules(320), bursts: [burst(m - 9 * HOUR)], agent: { diesAt: m - 3 * HOUR } },
    }),
  },
  {
    ...second,
    name: 'instance-store',
    expects: 'stop-would-lose',
    what: 'hangs, with data that a stop would lose',
    make: (m) => ({ instance: consenting({ instanceType: 'm5d.large' }), guest: hung(m) }),
  },
  {
    ...second,
    name: 'restarted-before',
    expects: 'restarted-before',
    what: 'hangs again at every boot before its agent answers',
    make: (m) => ({
      instance: consenting(),
      guest: {
        files: rules(320),
        bursts: [
          burst(m - 22 * HOUR - 25 * MINUTE, { hangs: true, impairs: true }),
          { afterBootSeconds: 20, fromBoot: 2, needs: 1500, hangs: true, impairs: true },
        ],
      },
    }),
  },
  {
    ...second,
    name: 'sign-of-life',
    expects: 'sign-of-life',
    what: 'its agent died with the overflow; its programs go on writing to the console',
    make: (m) => ({
      instance: consenting(),
      guest: {
        files: rules(320),
        bursts: [burst(m - 45 * MINUTE)],
        agent: { diesAt: m - 44 * MINUTE },
        chatterMinutes: 0.5,
      },
    }),
  },
  {
    ...second,
    name: 'silent-too-short',
    expects: 'silent-too-short',
    what: 'hangs since a few minutes',
    quicklyLost: true,
    make: (m) => ({
      // Its last ping is 6 min 40 s old in the main sweep: the pings come every 5 minutes from 30 s after the launch.
      instance: consenting({ launchTime: m - 30 * DAY - 130_000 }),
      guest: {
        files: rules(320),
        bursts: [burst(m - 4 * MINUTE, { hangs: true })],
        agent: { startsAfterSeconds: 30 },
      },
    }),
  },
  {
    ...second,
    name: 'silent-too-long',
    expects: 'silent-too-long',
    what: 'hangs since more than a day',
    make: (m) => ({ guest: { files: rules(320), bursts: [burst(m - 26 * HOUR, { hangs: true })] } }),
  },
  {
    ...second,
    name: 'protected',
    expects: 'stop-refused',
    what: 'hangs, with stop protection',
    make: (m) => ({ instance: consenting({ stopProtection: true }), guest: hung(m) }),
  },
  {
    ...second,
    name: 'disabled-key',
    expects: 'may-not-start',
    what: 'hangs; the key of its volumes is disabled, so it would not start',
    make: (m) => ({ instance: consenting({ kmsKeyId: DISABLED_KEY }), guest: hung(m) }),
  },
  {
    ...second,
    name: 'breaker',
    expects: 'breaker-open',
    what: 'hangs, together with too many others of its cell',
    count: 3,
    make: (m) => ({ instance: consenting(), guest: hung(m) }),
  },
];

const UNMANAGED: Kind = {
  ...second,
  name: 'not-managed',
  expects: 'not-managed',
  what: 'has no SSM agent',
  make: (m) => ({ guest: { ...overflowed(m), agent: { installed: false } } }),
};

/** Every kind, in an order in which even the first few show something. */
export const KINDS: readonly Kind[] = interleave(REACHABLE, RESTARTED, SILENT, NOT_LOOKED_INTO, [UNMANAGED]);

function interleave(...lists: readonly (readonly Kind[])[]): readonly Kind[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? [])).flat();
}

/** Instances that overflowed an hour ago, answer, and have nothing special about them. */
export const ORDINARY = {
  name: 'overflowed',
  expects: 'resize',
  make: (mainSweepAt: number, limit: number): Partial<GuestProfile> =>
    limit === 64 ? { bursts: [burst(mainSweepAt - HOUR)] } : overflowed(mainSweepAt, limit),
} as const;

/** Silent machines of the second cell, in a full fleet: what its breaker counts before anything else. */
export const SILENT_IN_SECOND_CELL = SILENT.reduce((sum, kind) => sum + kind.count, 0);
/** Instances of the first cell that a run may resize, in a full fleet. */
export const RESIZED_IN_FIRST_CELL = REACHABLE.length;
