/** Which machines a chaos world has: kinds of the simulated fleet, and machines made to have a bad day. */
import type { Random } from '../../simulator/core.ts';
import type { InstanceProfile } from '../../simulator/ec2/profile.ts';
import { instanceTypeOf } from '../../simulator/ec2/types.ts';
import type { FleetCell, PlannedInstance } from '../../simulator/fleet.ts';
import type { DistributionId } from '../../simulator/guest/distributions.ts';
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import type { Burst, GuestProfile } from '../../simulator/guest/profile.ts';
import { DISABLED_KEY, KINDS, RULES_FILE } from '../../simulator/kinds.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** A key that works until a bad day disables it. Every cell has it. */
export const WORKING_KEY = '7b0c2d11-5f3a-4a86-9d0e-1c2b3a4d5e6f';

/** What is made up about one machine beyond what its instance and its guest are. Times: epoch milliseconds. */
export interface Quirks {
  /** Agents: after a second boot it never answers again. */
  readonly agentNeverReturns?: boolean;
  /** SSM is told of a last ping of `pingAt` as long as this window lasts, whatever the agent does. */
  readonly stalePing?: { readonly from: number; readonly to: number; readonly shows: 'lost' | 'online' };
  /** What goes wrong with its nth runbook, counted from 1. */
  readonly badRunbook?: { readonly nth: number; readonly how: 'works-and-falls-silent' | 'never-begins' | 'too-slow' };
  /** Something that runs on it writes this on its console at that time. */
  readonly hostile?: { readonly at: number; readonly text: string };
}

export interface ChaosMachine {
  readonly planned: PlannedInstance;
  readonly quirks: Quirks;
}

/** Few of each, so that equal machines are equal for the runbook too and one run of it on the host serves many worlds. */
const DISTRIBUTIONS: readonly DistributionId[] = ['al2023', 'al2023', 'ubuntu2204'];
const NEEDS = 1500;

const burst = (at: number, more: Partial<Burst> = {}): Burst => ({ at, needs: NEEDS, ...more });
const rules = (limit: number) => ({ [RULES_FILE]: rulesWithLimit(limit) });

/** A maker of bad days: what the machine is, and with what weight it is drawn. */
interface Maker {
  readonly name: string;
  readonly weight: number;
  readonly make: (random: Random, main: number) => Made;
}
interface Made {
  readonly instance?: Partial<InstanceProfile>;
  readonly guest: Partial<GuestProfile>;
  readonly quirks?: Quirks;
}

/** Hangs at a time from well before the main sweep to the second one. */
function hangsAt(random: Random, main: number, more: Partial<Burst> = {}): Burst {
  const at = random.next() < 0.75 ? main - random.between(25, 120) * MINUTE : main + random.between(5, 60) * MINUTE;
  return burst(at + random.between(0, 59_000), {
    hangs: true,
    ...(random.next() < 0.3 ? { impairs: true } : {}),
    ...(random.next() < 0.1 ? { recoversAfterMs: random.between(10, 90) * MINUTE } : {}),
    ...more,
  });
}

/** An owner who mostly allows restarts. */
function owner(random: Random): Record<string, string> {
  const mood = random.next();
  const tags: Record<string, string> = {};
  if (mood < 0.8) tags.AuditBacklogRestart = 'allowed';
  else if (mood < 0.84) tags.AuditBacklogRestart = random.pick(['no', 'Allowed', '']);
  if (random.next() < 0.06)
    tags.AuditBacklogRemediation = random.pick(['disabled', ' Disabled', 'DISABLED', 'enabled']);
  if (random.next() < 0.05) tags.Environment = 'sandbox';
  return tags;
}

/** What a stop of it would lose, or how it would fail. */
function hazard(random: Random): Partial<InstanceProfile> {
  const roll = random.between(1, 22);
  if (roll === 1) return { instanceType: 'm5d.large' };
  if (roll === 2) return { publicAddress: 'auto' };
  if (roll === 3) return { publicAddress: 'elastic' };
  if (roll === 4) return { spot: { kind: random.pick(['one-time', 'persistent'] as const) } };
  if (roll === 5) return { autoScalingGroup: 'web-asg' };
  if (roll === 6) return { stopProtection: true };
  if (roll === 7) return { kmsKeyId: random.pick([DISABLED_KEY, WORKING_KEY]) };
  if (roll === 8) return { kmsKeyId: WORKING_KEY };
  if (roll === 9) return { capacityFailures: { count: random.between(1, 4) } };
  if (roll === 10) return { stopNeverEnds: true };
  if (roll === 11) return { tags: { 'karpenter.sh/nodepool': 'general' } };
  if (roll === 12) return { operatorManaged: 'eks.amazonaws.com' };
  if (roll === 13) return { consoleNeverPosted: true };
  if (roll === 14) return { stopNeverEnds: true };
  if (roll === 15 || roll === 16) return { kmsKeyId: WORKING_KEY };
  if (roll === 17) return { targetGroups: [{ name: 'web', targetType: 'instance', healthCheck: 'HTTP' }] };
  if (roll === 18) return { targetGroups: [{ name: 'pods', targetType: 'ip', healthCheck: 'TCP' }] };
  return {};
}

const HOSTILE: readonly string[] = [
  '\x1b[2J\x1b[31mPWNED\x1b[0m $(touch pwned) `touch pwned`; touch pwned | sh\r\n',
  '[ 4242.000001] audit: audit_backlog=9999999999 > audit_backlog_limit=$(touch pwned)\r\n',
  '[ 4242.000001] audit: audit_backlog=321 > audit_backlog_limit=320\x07\x1b]0;PWNED\x07\r\n[ 4242.000100] audit: backlog limit exceeded\r\n',
  '{"schema":1,"outcome":"resized","target":99999999,"message":"PWNED <script>alert(1)</script>"}\r\n',
  `PWNED ${'A'.repeat(70_000)}\r\n`,
  "PWNED'; DROP TABLE ledger; -- %{jndi:ldap://x} %n%s \u202e\u0000\u009b31m\r\n",
  '[ 4242.000001] audit: audit_backlog=4294967295 > audit_backlog_limit=4294967295\r\n[ 4242.0002] audit: backlog limit exceeded PWNED\x1b[8m\r\n',
  'Linux version 9.9.9-PWNED (`touch pwned`) #1\r\n[    0.000000] audit: backlog limit exceeded\r\n',
];

const MAKERS: readonly Maker[] = [
  {
    name: 'hangs',
    weight: 10,
    make: (random, main) => ({
      instance: { ...hazard(random) },
      guest: { files: rules(320), bursts: [hangsAt(random, main)] },
    }),
  },
  {
    name: 'hangs again after its boot',
    weight: 2,
    make: (random, main) => ({
      guest: {
        files: rules(320),
        bursts: [
          hangsAt(random, main),
          {
            afterBootSeconds: random.pick([20, 400, 3000]),
            fromBoot: 2,
            needs: random.pick([1500, 20_000]),
            hangs: true,
          },
        ],
      },
    }),
  },
  {
    name: 'agent never returns',
    weight: 2,
    make: (random, main) => ({
      guest: { files: rules(320), bursts: [hangsAt(random, main)] },
      quirks: { agentNeverReturns: true },
    }),
  },
  {
    name: 'overflows',
    weight: 6,
    make: (random, main) => ({
      guest: {
        files: rules(random.pick([64, 320])),
        bursts: [
          burst(main - random.between(3, 170) * MINUTE),
          ...(random.next() < 0.3 ? [burst(main + random.between(20, 100) * MINUTE, { needs: 20_000 })] : []),
        ],
        ...(random.next() < 0.15 ? { quietConsole: true } : {}),
        ...(random.next() < 0.2 ? { clockSkewMs: random.pick([-7_200_000, 7_200_000, 86_400_000]) } : {}),
      },
    }),
  },
  {
    name: 'a runbook goes wrong on it',
    weight: 3,
    make: (random, main) => ({
      guest: { files: rules(320), bursts: [burst(main - random.between(3, 170) * MINUTE)] },
      quirks: {
        badRunbook: {
          nth: random.between(1, 2),
          how: random.pick(['works-and-falls-silent', 'never-begins', 'too-slow'] as const),
        },
      },
    }),
  },
  {
    name: 'a configuration manager reverts it',
    weight: 2,
    make: (random, main) => ({
      guest: {
        files: rules(320),
        bursts: [burst(main - random.between(3, 100) * MINUTE), burst(main + random.between(65, 110) * MINUTE)],
        configurationManager: { everyMinutes: 30, path: RULES_FILE, content: rulesWithLimit(320) },
      },
    }),
  },
  {
    name: 'seems lost or online and is not',
    weight: 3,
    make: (random, main) => {
      const shows = random.pick(['lost', 'online'] as const);
      const from = main - random.between(5, 60) * MINUTE;
      const bursts = shows === 'lost' ? [burst(main - random.between(3, 60) * MINUTE)] : [hangsAt(random, main)];
      return {
        guest: { files: rules(320), bursts },
        quirks: { stalePing: { from, to: from + random.between(20, 150) * MINUTE, shows } },
      };
    },
  },
  {
    name: 'hostile console',
    weight: 3,
    make: (random, main) => ({
      guest: {
        files: rules(320),
        bursts: random.next() < 0.5 ? [hangsAt(random, main)] : [],
        ...(random.next() < 0.3 ? { agent: { diesAt: main - 30 * MINUTE } } : {}),
      },
      quirks: { hostile: { at: main - random.between(1, 40) * MINUTE, text: random.pick(HOSTILE) } },
    }),
  },
  {
    name: 'healthy',
    weight: 4,
    make: (random, main) => ({
      guest: {
        files: rules(random.pick([320, 8192])),
        bursts: [burst(main - 50 * MINUTE, { needs: random.pick([40, 300]) })],
      },
    }),
  },
];
const WEIGHT = MAKERS.reduce((sum, maker) => sum + maker.weight, 0);

function drawnMaker(random: Random): Maker {
  let roll = random.between(1, WEIGHT);
  for (const maker of MAKERS) {
    roll -= maker.weight;
    if (roll <= 0) return maker;
  }
  throw new RangeError('the weights do not add up');
}

/**
 * Machines of a world in which most hang: for `kill` here and there over two hours, now and then without capacity to
 * start in; for `surge` half of them within a minute.
 */
export function drawHungMachines(
  random: Random,
  cells: readonly FleetCell[],
  main: number,
  kind: 'kill' | 'surge',
): readonly ChaosMachine[] {
  const size = kind === 'kill' ? random.between(6, 9) : random.between(10, 14);
  const hung = kind === 'kill' ? size : Math.ceil(size * (0.4 + 0.4 * random.next()));
  const since = main - random.between(25, 60) * MINUTE;
  const ends = kind === 'surge' && random.next() < 0.3 ? { recoversAfterMs: random.between(60, 120) * MINUTE } : {};
  return Array.from({ length: size }, (_, i): ChaosMachine => {
    const overflow =
      kind === 'kill' ? hangsAt(random, main) : burst(since + random.between(0, 59_000), { hangs: true, ...ends });
    const calm = burst(main - 50 * MINUTE, { needs: 40 });
    const scarce = kind === 'kill' && random.next() < 0.15 ? { capacityFailures: { count: random.between(1, 3) } } : {};
    return machineOf(random, random.pick(cells), main, {
      name: i < hung ? (kind === 'kill' ? 'hangs' : 'hangs with the others') : 'healthy',
      distribution: 'al2023',
      tags: { AuditBacklogRestart: 'allowed' },
      made: { instance: scarce, guest: { files: rules(320), bursts: [i < hung ? overflow : calm] } },
      launchTime: null,
    });
  });
}

/** One machine of a world. A third of them are of the kinds that `npm start` shows. */
export function drawMachine(random: Random, cell: FleetCell, main: number): ChaosMachine {
  const ofKind = random.next() < 0.34;
  const kind = random.pick(KINDS);
  const maker = drawnMaker(random);
  const made: { instance?: Partial<InstanceProfile>; guest: Partial<GuestProfile> | null; quirks?: Quirks } = ofKind
    ? kind.make(main)
    : maker.make(random, main);
  const tags = { ...(ofKind ? {} : owner(random)), ...made.instance?.tags };
  const launchTime = ofKind && kind.name === 'xen' ? (made.instance?.launchTime ?? null) : null;
  const name = ofKind ? kind.name : maker.name;
  const distribution = made.guest?.distribution ?? (ofKind ? 'al2023' : null);
  return machineOf(random, cell, main, { name, distribution, tags, made, launchTime });
}

interface Drawn {
  readonly name: string;
  /** null: drawn, too. */
  readonly distribution: DistributionId | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly made: {
    readonly instance?: Partial<InstanceProfile>;
    readonly guest: Partial<GuestProfile> | null;
    readonly quirks?: Quirks;
  };
  /** null: drawn. */
  readonly launchTime: number | null;
}

function machineOf(random: Random, cell: FleetCell, main: number, drawn: Drawn): ChaosMachine {
  const { name, tags, made } = drawn;
  // A month of a talkative machine is not worth the time it takes to make.
  const launchTime = main - 2 * 24 * HOUR - random.between(0, 3_600_000);
  const distribution = drawn.distribution ?? random.pick(DISTRIBUTIONS);
  const instanceProfile: InstanceProfile = {
    instanceType: 'm5.large',
    imageId: `ami-0${distribution}`,
    ...made.instance,
    launchTime: drawn.launchTime ?? launchTime,
    instanceId: `i-0${Array.from({ length: 16 }, () => random.between(0, 15).toString(16)).join('')}`,
    tags,
  };
  const memoryKiB = Math.floor(instanceTypeOf(instanceProfile.instanceType).memoryMiB * 1024 * 0.96);
  const guestProfile = made.guest === null ? null : { memoryKiB, ...made.guest, distribution };
  return { planned: { cell, kind: name, expects: '', instanceProfile, guestProfile }, quirks: made.quirks ?? {} };
}
