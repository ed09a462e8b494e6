/** Which machines a simulated fleet has: every kind at least once, and many ordinary ones. The same for the same seed. */
import { type EventLog, type Machine, Random } from './core.ts';
import type { KeyState } from './ec2/cell.ts';
import type { InstanceProfile } from './ec2/profile.ts';
import { instanceTypeOf } from './ec2/types.ts';
import type { DistributionId } from './guest/distributions.ts';
import { rulesWithLimit } from './guest/files.ts';
import { createLinuxMachine } from './guest/machine.ts';
import type { GuestProfile } from './guest/profile.ts';
import { createWindowsMachine } from './guest/windows.ts';
import {
  DISABLED_KEY,
  KINDS,
  type Kind,
  ORDINARY,
  RESIZED_IN_FIRST_CELL,
  RULES_FILE,
  SILENT_IN_SECOND_CELL,
} from './kinds.ts';
import { pingLag } from './ssm/nodes.ts';

/** An account in a region. */
export interface FleetCell {
  readonly accountId: string;
  readonly region: string;
}

export interface FleetOptions {
  /** At least 1. From {@link FULL_FLEET} on, every kind is there. */
  readonly instances: number;
  readonly seed: number;
  /** Epoch milliseconds of the sweep that the fleet is made for. */
  readonly mainSweepAt: number;
  /** One or two; kinds that need the second one's policy stand there. */
  readonly cells: readonly FleetCell[];
}

export interface PlannedInstance {
  readonly cell: FleetCell;
  /** A name of `KINDS`, `overflowed` or `healthy`. */
  readonly kind: string;
  /** What the triage table calls it in the main sweep; `resize` may be `resize-budget` where the run's is spent. */
  readonly expects: string;
  /** With its instanceId. */
  readonly instanceProfile: InstanceProfile;
  /** null: Windows. */
  readonly guestProfile: GuestProfile | null;
}

/** Sweeps must have run so many hours before the main sweep, oldest first: they make the history of some kinds. */
export const EARLIER_SWEEP_HOURS: readonly number[] = [46, 22, 10];

/** A world with this fleet begins so many hours before the main sweep: before anything happens that matters. */
export const FLEET_BEGINS_HOURS = 48;

/** From so many instances on, a fleet has every kind. */
export const FULL_FLEET = 80;

/** Keys that every cell must know (`CloudCell.addKey`) before instances are added. */
export const FLEET_KEYS: readonly { readonly keyId: string; readonly state: KeyState }[] = [
  { keyId: DISABLED_KEY, state: 'Disabled' },
];

const DAY = 86_400_000;
const DISTRIBUTIONS: readonly DistributionId[] = [
  'al2023',
  'al2',
  'ubuntu2204',
  'rhel9',
  'al2023',
  'debian12',
  'rhel8',
];
/** Types of equal memory, so that equal machines are equal for the runbook too. */
const TYPES = ['m5.large', 't3.large', 'm6i.large'] as const;
const TEAMS = ['payments', 'search', 'data', 'web', 'platform'] as const;
/** The image with the low limit, which most ordinary overflows run. */
const LOW_LIMIT_IMAGE = 'ami-0a17c2b9d84e6f301';
const IMAGES: Readonly<Record<DistributionId, string>> = {
  al1: 'ami-01f0c3a7b5d2e9846',
  al2: 'ami-02b7e4d1c9a053f68',
  al2023: 'ami-03c8f5e2dab164079',
  rhel6: 'ami-04d906f3ebc27518a',
  rhel7: 'ami-05ea1704fcd38629b',
  rhel8: 'ami-06fb28150de4973ac',
  rhel9: 'ami-070c39261ef5a84bd',
  ubuntu2204: 'ami-081d4a372f06b95ce',
  debian12: 'ami-092e5b483017ca6df',
};

/** How many of what. */
interface Counts {
  /** Extra silent machines, so that the second cell's breaker opens however large the cell is. */
  readonly extraBreaker: number;
  readonly ordinary: readonly [first: number, second: number];
}

function countsOf(instances: number): Counts {
  const second = Math.max(18, Math.floor(instances * 0.06));
  const secondCell = Math.floor(instances * 0.4);
  const suspects = Math.max(10, Math.ceil(secondCell * 0.05)) + 2;
  return {
    extraBreaker: Math.max(0, suspects - SILENT_IN_SECOND_CELL),
    ordinary: [Math.max(0, second - 2 - RESIZED_IN_FIRST_CELL), second],
  };
}

/**
 * The part of a policy under which every code of the triage table occurs in this fleet: plain data, in the words of the
 * design's policy. The rest is the defaults.
 */
export function fleetPolicy({ instances, cells }: Pick<FleetOptions, 'instances' | 'cells'>) {
  const second = cells[1];
  return {
    scope: { excludeTags: { Environment: ['sandbox'] } },
    restart: { maxPerRun: 8, maxPercent: 10, signsOfLife: ['healthy-target' as const] },
    resize: { maxPerRun: countsOf(instances).ordinary[1] - 2 },
    overrides:
      second === undefined
        ? []
        : [{ accounts: [second.accountId], regions: [second.region], restart: { rebootWhereStopLoses: false } }],
  };
}

/** The fleet, in the order in which its instances are to be added to their cells. @throws RangeError */
export function plannedFleet(options: FleetOptions): readonly PlannedInstance[] {
  const { instances, seed, mainSweepAt } = options;
  const [home, away = home] = options.cells;
  if (home === undefined || away === undefined) throw new RangeError('a fleet needs a cell');
  if (!Number.isInteger(instances) || instances < 1) throw new RangeError(`a fleet of ${instances} instances`);
  const random = new Random(seed).fork('fleet');
  const cellOf = (which: 'first' | 'second') => (which === 'first' ? home : away);
  const makers: (() => PlannedInstance)[] = [];
  const special = (kind: Kind) => makers.push(() => ofKind(kind, cellOf(kind.cell), mainSweepAt, random));
  const ordinary = (cell: FleetCell) => makers.push(() => ofOrdinary(cell, mainSweepAt, random));
  if (instances >= FULL_FLEET) {
    const counts = countsOf(instances);
    for (const kind of KINDS) {
      const extra = kind.expects === 'breaker-open' ? counts.extraBreaker : 0;
      for (let i = 0; i < kind.count + extra; i++) special(kind);
    }
    for (let i = 0; i < counts.ordinary[0]; i++) ordinary(home);
    for (let i = 0; i < counts.ordinary[1]; i++) ordinary(away);
  } else {
    for (const kind of KINDS.slice(0, Math.floor(instances / 2))) special(kind);
    for (let i = 0; i < Math.floor(instances / 10); i++) ordinary(i % 2 === 0 ? home : away);
  }
  const planned = makers.map((make) => make());
  const inHome = planned.filter((each) => each.cell === home).length;
  const wantedHome = Math.max(inHome, home === away ? instances : Math.ceil(instances * 0.6));
  for (let i = planned.length, homes = inHome; i < instances; i++) {
    const cell: FleetCell = homes < wantedHome ? home : away;
    if (cell === home) homes++;
    planned.push(ofHealthy(cell, mainSweepAt, random));
  }
  return ordinaryFirst(shuffled(planned, random), home);
}

/** Whoever lists the fleet by hand meets a plain healthy machine first. */
function ordinaryFirst(planned: readonly PlannedInstance[], home: FleetCell): readonly PlannedInstance[] {
  const first = planned.find((each) => each.kind === 'healthy' && each.cell === home);
  return first === undefined ? planned : [first, ...planned.filter((each) => each !== first)];
}

/** A machine for a planned instance; one that is not stopped was powered on at its launch. */
export function createMachine(planned: PlannedInstance, seed: number, log: EventLog): Machine {
  const { cell, guestProfile, instanceProfile } = planned;
  const { instanceId = '', launchTime, state = 'running' } = instanceProfile;
  const random = new Random(seed).fork(`machine ${instanceId}`);
  const hostname = `ip-10-${random.between(0, 255)}-${random.between(0, 255)}-${random.between(4, 254)}`;
  const identity = { instanceId, accountId: cell.accountId, region: cell.region, hostname };
  const machine =
    guestProfile === null
      ? createWindowsMachine(random, identity)
      : createLinuxMachine(guestProfile, random, log, identity);
  if (state === 'running') machine.powerOn(launchTime);
  return machine;
}

function ofKind(kind: Kind, cell: FleetCell, mainSweepAt: number, random: Random): PlannedInstance {
  const { instance = {}, guest } = kind.make(mainSweepAt);
  const distribution = guest?.distribution ?? random.pick(DISTRIBUTIONS);
  const instanceProfile: InstanceProfile = {
    instanceType: random.pick(TYPES),
    imageId: IMAGES[distribution],
    // Pings must not fall together with sweeps by chance, so launches are not at full minutes.
    launchTime: mainSweepAt - 30 * DAY - random.between(0, 3_600_000),
    ...instance,
    instanceId: idFor(kind, random),
    tags: { Name: `${kind.name}-${random.between(10, 99)}`, Team: random.pick(TEAMS), ...instance.tags },
  };
  const guestProfile =
    guest === null ? null : { ...guest, distribution, memoryKiB: memoryKiB(instanceProfile.instanceType) };
  return { cell, kind: kind.name, expects: kind.expects, instanceProfile, guestProfile };
}

function ofOrdinary(cell: FleetCell, mainSweepAt: number, random: Random): PlannedInstance {
  const fromImage = random.next() < 0.75;
  const distribution = fromImage ? 'al2023' : random.pick(DISTRIBUTIONS);
  const instanceType = random.pick(TYPES);
  const instanceProfile: InstanceProfile = {
    instanceId: newId(random),
    instanceType,
    imageId: fromImage ? LOW_LIMIT_IMAGE : IMAGES[distribution],
    ...(fromImage ? { launchTemplate: { id: 'lt-0b62f8d17c3a94e05', version: '3' } } : {}),
    launchTime: mainSweepAt - random.between(4, 120) * DAY - random.between(0, 3_600_000),
    tags: { Name: `app-${random.between(100, 999)}`, Team: random.pick(TEAMS) },
  };
  const guest = ORDINARY.make(mainSweepAt, fromImage ? 320 : random.pick([64, 320]));
  return {
    cell,
    kind: ORDINARY.name,
    expects: ORDINARY.expects,
    instanceProfile,
    guestProfile: { ...guest, distribution, memoryKiB: memoryKiB(instanceType) },
  };
}

function ofHealthy(cell: FleetCell, mainSweepAt: number, random: Random): PlannedInstance {
  const distribution = random.pick(DISTRIBUTIONS);
  const instanceType = random.pick(TYPES);
  return {
    cell,
    kind: 'healthy',
    expects: 'healthy',
    instanceProfile: {
      instanceId: newId(random),
      instanceType,
      imageId: IMAGES[distribution],
      launchTime: mainSweepAt - random.between(4, 200) * DAY - random.between(0, 3_600_000),
      tags: { Name: `app-${random.between(100, 999)}`, Team: random.pick(TEAMS) },
    },
    guestProfile: {
      distribution,
      memoryKiB: memoryKiB(instanceType),
      files: { [RULES_FILE]: rulesWithLimit(random.pick([320, 8192, 8192])) },
      // A busy moment that the queue takes.
      bursts: [{ at: mainSweepAt - random.between(20, 600) * 60_000, needs: random.between(10, 300) }],
    },
  };
}

/** What the kernel gets of the type's memory. */
function memoryKiB(instanceType: string): number {
  return Math.floor(instanceTypeOf(instanceType).memoryMiB * 1024 * 0.96);
}

function newId(random: Random): string {
  const digits = Array.from({ length: 15 }, () => random.between(0, 15).toString(16)).join('');
  return `i-0${random.between(0, 14).toString(16)}${digits}`;
}

/** Ids decide the order in which a run spends its budget, and how soon SSM calls an agent lost. */
function idFor(kind: Kind, random: Random): string {
  for (;;) {
    const id = kind.order === 'last' ? newId(random).replace(/^i-0./, 'i-0f') : newId(random);
    if (!kind.quicklyLost || pingLag(id).lostAfterMs < 360_000) return id;
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  const mixed: T[] = [];
  while (left.length > 0) mixed.push(...left.splice(random.between(0, left.length - 1), 1));
  return mixed;
}
