/** The simulated fleet: complete, the same for a seed, and of each kind what it says, in the eyes of the real survey. */
import { planFleet } from '../../cli/plan-fleet.ts';
import { TRIAGE_CODES } from '../../domain/contracts.ts';
import { policySchema } from '../../domain/policy.ts';
import { TEMPO } from '../../lambdas/tempo.ts';
import { credentialsFor, EmbeddedCloud } from '../../simulator/cloud.ts';
import { EventLog, Random } from '../../simulator/core.ts';
import {
  createMachine,
  EARLIER_SWEEP_HOURS,
  FLEET_BEGINS_HOURS,
  FLEET_KEYS,
  FULL_FLEET,
  fleetPolicy,
  type PlannedInstance,
  plannedFleet,
} from '../../simulator/fleet.ts';
import { inProcessHandler } from '../../simulator/in-process.ts';
import { KINDS } from '../../simulator/kinds.ts';
import { SsmService } from '../../simulator/ssm.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';

const MAIN = Date.UTC(2026, 10, 22, 4);
const HOUR = 3_600_000;
const ACCOUNT = '111122223333';
const CELLS = ['eu-west-1', 'us-east-1'].map((region) => ({ accountId: ACCOUNT, region }));

const fleet = (instances: number, seed = 7, cells = CELLS) =>
  plannedFleet({ instances, seed, mainSweepAt: MAIN, cells });

describe('a planned fleet', () => {
  it.each([FULL_FLEET, 300, 1000])('of %i instances has every kind, in its cell', (instances) => {
    const planned = fleet(instances);
    expect(planned).toHaveLength(instances);
    for (const kind of KINDS) {
      const found = planned.filter((each) => each.kind === kind.name);
      expect([kind.name, found.length >= kind.count]).toEqual([kind.name, true]);
      const region = CELLS[kind.cell === 'first' ? 0 : 1]?.region;
      expect(found.every((each) => each.cell.region === region)).toBe(true);
    }
    expect(new Set(planned.map((each) => each.instanceProfile.instanceId)).size).toBe(instances);
  });

  it('expects every code of the triage table to occur', () => {
    const codes = new Set(fleet(FULL_FLEET).map((each) => each.expects));
    // The budget for resizes runs out among the ordinary ones: which of them it hits is not planned.
    codes.add('resize-budget');
    expect([...codes].sort()).toEqual([...TRIAGE_CODES].sort());
    const { resize } = fleetPolicy({ instances: 300, cells: CELLS });
    const ordinary = fleet(300).filter((each) => each.kind === 'overflowed' && each.cell === CELLS[1]);
    expect(ordinary.length).toBeGreaterThan(resize.maxPerRun);
  });

  it('is mostly healthy when it is large', () => {
    const healthy = fleet(500).filter((each) => each.kind === 'healthy').length;
    expect(healthy / 500).toBeGreaterThan(0.75);
    expect(healthy / 500).toBeLessThan(0.85);
  });

  it.each([1, 2, 7, 50, 79])('can be as small as %i', (instances) => {
    const planned = fleet(instances);
    expect(planned).toHaveLength(instances);
    expect(planned.some((each) => each.kind === 'healthy')).toBe(true);
    expect(fleet(instances, 7, CELLS.slice(0, 1)).every((each) => each.cell === CELLS[0])).toBe(true);
  });

  it('is the same for the same seed, and another for another', () => {
    expect(fleet(200, 3)).toEqual(fleet(200, 3));
    expect(fleet(200, 3)).not.toEqual(fleet(200, 4));
  });

  it('refuses what is no fleet', () => {
    expect(() => fleet(0)).toThrow(RangeError);
    expect(() => fleet(5, 1, [])).toThrow(RangeError);
  });

  it('begins before the first sweep that makes its history', () => {
    const hours = [...EARLIER_SWEEP_HOURS];
    expect(hours).toEqual([...hours].sort((a, b) => b - a));
    expect(FLEET_BEGINS_HOURS).toBeGreaterThan(Math.max(...hours));
  });
});

describe('the kinds in the eyes of a plan', () => {
  /** Kinds that only earlier sweeps make what they are. */
  const NEEDS_HISTORY = new Set(['already-handled', 'recurring', 'restarted-before']);
  /** A first plan knows of no earlier sweep and then allows one restart; what was read of no console is unknown. */
  const ALIKE = [
    ['restart', 'restart-budget'],
    ['resize', 'resize-budget'],
  ];
  const alike = (code: string): string => ALIKE.find((codes) => codes.includes(code))?.join(' or ') ?? code;

  it.each([7, 8, 99])('each is called what it expects, seed %i', async (seed) => {
    const planned = fleet(FULL_FLEET, seed);
    const codes = await planIn(planned, seed);
    for (const { kind, expects, instanceProfile } of planned) {
      if (NEEDS_HISTORY.has(kind)) continue;
      const code = codes.get(instanceProfile.instanceId ?? '') ?? 'no entry';
      const silentInReport = expects === 'healthy';
      expect([kind, alike(code)]).toEqual([kind, silentInReport ? 'no entry' : alike(expects)]);
    }
  });
});

/** Plans at the time of the main sweep, with the product's own survey: instance id -> code of each entry. */
async function planIn(planned: readonly PlannedInstance[], seed: number): Promise<Map<string, string>> {
  const time = VirtualTime.install({ seed, start: MAIN - FLEET_BEGINS_HOURS * HOUR });
  try {
    const log = new EventLog();
    const cloud = new EmbeddedCloud({ seed, homeAccountId: ACCOUNT, log });
    cloud.register(new SsmService({ directory: cloud, random: new Random(seed), log }));
    for (const { accountId, region } of CELLS) {
      for (const { keyId, state } of FLEET_KEYS) cloud.cell(accountId, region).addKey(keyId, state);
    }
    for (const each of planned) {
      const join = () => {
        cloud.addInstance(cloud.cell(ACCOUNT, each.cell.region), each.instanceProfile, createMachine(each, seed, log));
      };
      const wait = each.instanceProfile.launchTime - Date.now();
      if (wait > 0) setTimeout(join, wait);
      else join();
    }
    const plan = (async () => {
      await new Promise((resolve) => setTimeout(resolve, MAIN - Date.now()));
      return planFleet({
        regions: CELLS.map((cell) => cell.region),
        instanceIds: null,
        policy: policySchema.parse(fleetPolicy({ instances: planned.length, cells: CELLS })),
        tempo: TEMPO,
        wire: { requestHandler: inProcessHandler(cloud), credentials: credentialsFor(ACCOUNT, 'service') },
        progress: { update: () => undefined, note: () => undefined },
      });
    })();
    let ended = false;
    const settled = plan.then(
      () => undefined,
      () => undefined,
    );
    void settled.then(() => {
      ended = true;
    });
    await time.drive(() => ended);
    return new Map((await plan).actions.map((action) => [action.instanceId, action.code]));
  } finally {
    time.uninstall();
  }
}
