/** A small world from a seed: cells, machines, an owner's policy, and when the service is asked to do what. */
import { type Policy, type PolicyInput, policySchema } from '../../domain/policy.ts';
import { Random } from '../../simulator/core.ts';
import type { FleetCell } from '../../simulator/fleet.ts';
import { type ChaosMachine, drawHungMachines, drawMachine, HOUR, MINUTE } from './machines.ts';

/**
 * `storm`: everything may go wrong. `plan`: the same, and the owner allows plans only. `twin`: nothing goes wrong but
 * crashes, so that the same world without them can be held against it. `kill`: hung machines are restarted, and the
 * engine is killed meanwhile, again and again. `surge`: a storm in which half a cell hangs at once.
 */
export type WorldKind = 'storm' | 'plan' | 'twin' | 'kill' | 'surge';

/** One request to the service. */
export interface Asked {
  readonly at: number;
  /** `again`: the same scheduled event, delivered a second time. `planned`: a plan, and later that plan applied. */
  readonly how: 'scheduled' | 'again' | 'manual' | 'named' | 'planned';
  /** For `again`: when the event was scheduled. For `planned`: how long after the plan it is applied. */
  readonly scheduledAt?: number;
  readonly appliedAfter?: number;
  /** For `named` and `planned`. */
  readonly instanceIds?: readonly string[];
}

export interface World {
  readonly seed: number;
  readonly kind: WorldKind;
  /** Calls fail, people meddle; false: nothing goes wrong but crashes. */
  readonly badWay: boolean;
  /** Where the service runs, and every cell it looks after. */
  readonly home: FleetCell;
  readonly cells: readonly FleetCell[];
  readonly policyInput: PolicyInput;
  readonly policy: Policy;
  readonly machines: readonly ChaosMachine[];
  readonly asked: readonly Asked[];
  readonly eventualConsistencyMs: number;
  /** The clock starts; the main sweep; faults end; everything ends. Epoch milliseconds. */
  readonly startsAt: number;
  readonly mainAt: number;
  readonly calmAt: number;
  readonly endsAt: number;
}

const ACCOUNT = '111122223333';
const HOME: FleetCell = { accountId: ACCOUNT, region: 'eu-west-1' };
const AWAY: FleetCell = { accountId: ACCOUNT, region: 'us-east-1' };
const MAIN_AT = Date.UTC(2026, 10, 22, 4);
/** The sweep after the bad days. */
const LAST_AT = MAIN_AT + 2.1 * HOUR;

export const WORLD_KINDS: readonly WorldKind[] = ['storm', 'plan', 'twin', 'kill', 'surge'];

/** The world of a seed. @param only this kind of world, whatever the seed would choose */
export function worldOf(seed: number, only: WorldKind | null = null): World {
  const random = new Random(seed).fork('world');
  const roll = random.next();
  const kind: WorldKind = only ?? kindOf(roll);
  const cells = random.next() < 0.25 && kind !== 'surge' ? [HOME, AWAY] : [HOME];
  const size = random.next() < 0.85 ? random.between(8, 12) : random.between(13, 30);
  const machines =
    kind === 'kill' || kind === 'surge'
      ? drawHungMachines(random, cells, MAIN_AT, kind)
      : Array.from({ length: size }, () => drawMachine(random, random.pick(cells), MAIN_AT));
  const policyInput = drawPolicy(random, kind, cells);
  return {
    seed,
    kind,
    badWay: kind !== 'twin' && kind !== 'kill',
    home: HOME,
    cells,
    policyInput,
    policy: policySchema.parse(policyInput),
    machines,
    asked: kind === 'twin' ? [scheduled(MAIN_AT), scheduled(LAST_AT)] : drawRequests(random, kind, machines),
    eventualConsistencyMs: random.pick([0, 3000, 12_000]),
    startsAt: MAIN_AT - 12 * MINUTE,
    mainAt: MAIN_AT,
    calmAt: MAIN_AT + 2 * HOUR,
    endsAt: MAIN_AT + 3.6 * HOUR,
  };
}

function kindOf(roll: number): WorldKind {
  if (roll < 0.12) return 'twin';
  if (roll < 0.24) return 'plan';
  if (roll < 0.9) return 'storm';
  return roll < 0.95 ? 'surge' : 'kill';
}

function drawPolicy(random: Random, kind: WorldKind, cells: readonly FleetCell[]): PolicyInput {
  return {
    mode: kind === 'plan' ? 'plan' : 'apply',
    scope: {
      accounts: [ACCOUNT],
      regions: cells.map(({ region }) => region),
      excludeTags: { Environment: ['sandbox'] },
    },
    sizing: { memoryPercent: random.next() < 0.15 ? 2 : 10, restartAuditd: random.next() < 0.15 ? 'always' : 'needed' },
    restart: {
      policy: random.pick(['tagged', 'tagged', 'any']),
      method: kind === 'kill' ? 'stop-start' : random.pick(['stop-start', 'stop-start', 'reboot-first', 'reboot-only']),
      rebootWhereStopLoses: random.next() < 0.7,
      maxInFlight: random.between(1, 3),
      maxPerRun: random.pick([2, 10]),
      maxPercent: random.pick([10, 50, 100]),
      signsOfLife: random.next() < 0.3 ? ['healthy-target'] : [],
    },
    resize: { canary: random.between(1, 5), maxErrors: random.pick(['10%', '50%', '1']) },
    breaker: {
      affectedCount: kind === 'kill' ? 30 : kind === 'surge' ? random.between(2, 4) : random.pick([3, 15, 30, 30]),
    },
  };
}

function scheduled(at: number): Asked {
  return { at, how: 'scheduled' };
}

function drawRequests(random: Random, kind: WorldKind, machines: readonly ChaosMachine[]): readonly Asked[] {
  const second = MAIN_AT + random.between(50, 80) * MINUTE;
  const asked: Asked[] = [scheduled(MAIN_AT), scheduled(second), scheduled(LAST_AT)];
  if (kind === 'kill') {
    // What was lost for good leaves its machines to the next sweep: often, so that there are many restarts to kill.
    const often = [20, 40, 60, 80, 100].map((minutes) => scheduled(MAIN_AT + minutes * MINUTE));
    return [scheduled(MAIN_AT), ...often, scheduled(LAST_AT)];
  }
  if (kind === 'surge' && random.next() < 0.6) {
    // A person looks at a few of them, and then wants exactly that.
    const instanceIds = machines.slice(0, random.between(1, 3)).map((m) => m.planned.instanceProfile.instanceId ?? '');
    const at = MAIN_AT + random.between(2, 30) * MINUTE;
    asked.push({ at, how: 'planned', appliedAfter: random.between(3, 15) * MINUTE, instanceIds });
  }
  if (random.next() < 0.35) {
    asked.push({ at: MAIN_AT + random.between(0, 90_000), how: 'again', scheduledAt: MAIN_AT });
  }
  if (random.next() < 0.35) asked.push({ at: MAIN_AT + random.between(0, 20) * MINUTE + 500, how: 'manual' });
  if (random.next() < 0.25 && kind !== 'plan') {
    const at = MAIN_AT + random.between(-10, 30) * MINUTE;
    asked.push({ at, how: 'planned', appliedAfter: random.between(3, 40) * MINUTE });
  }
  if (random.next() < 0.15) {
    const instanceIds = [random.pick(machines), random.pick(machines)].map((m) => m.planned.instanceProfile.instanceId);
    const at = MAIN_AT + random.between(1, 100) * MINUTE;
    asked.push({ at, how: 'named', instanceIds: [...new Set(instanceIds)].filter((id) => id !== undefined) });
  }
  return asked.sort((a, b) => a.at - b.at);
}
