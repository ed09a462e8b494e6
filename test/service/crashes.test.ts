/**
 * A sweep with restarts, crashed at one point after another: before and after checkpoints, before and after API calls
 * (which is inside of a step). Whatever dies, the end is the one of the run in which nothing died.
 *
 * Here: both sides of every call that changes a machine or must not happen twice, and one side by turns of the
 * checkpoints around them. `npm run test:long` takes besides the first of each other kind (polling repeats the same many
 * times); `AUDIT_BACKLOG_EVERY_CRASH=1 npx jest test/service/crashes` both sides of every single one (some minutes).
 */
import type { RunReport } from '../../domain/contracts.ts';
import { TEMPO } from '../../lambdas/tempo.ts';
import { type CrashMoment, CrashPlan, type CrashPoint } from '../../simulator/engine/crash-plan.ts';
import { LONG } from '../support/long.ts';
import {
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  rebootMachine,
  type SmallWorld,
} from '../support/small-world.ts';

const EVERY = process.env.AUDIT_BACKLOG_EVERY_CRASH === '1';
/** Looks less often than on AWS, so that there are fewer checkpoints that differ in nothing. */
const tempo = { ...TEMPO, powerPollSeconds: 60, commandPollSeconds: 20 };
const MACHINES = {
  stopped: hungMachine(),
  rebooted: rebootMachine(),
  first: overflowedMachine(),
  second: overflowedMachine(),
  healthy: healthyMachine(),
};
const REQUEST = { scheduledAt: new Date(NOW).toISOString() };
/** Calls that change the fleet or must not be made twice. */
const CHANGING_CALLS = /^(ec2:(Stop|Start|Reboot)Instances|ec2:(Create|Delete)Tags|ssm:SendCommand|lambda:Invoke)$/;
/** Steps around them. */
const CHANGING = 'lease attempt stop-allowed-0 stop-0 start-0 unmark reboot-allowed-0 reboot-0 send'.split(' ');
const CHANGING_STEPS = new RegExp(`STEP (START|SUCCEED) (${CHANGING.join('|')})(,|$)|CHAINED_INVOKE`);
const MOMENTS: readonly CrashMoment[] = ['before', 'after'];

/** Notes what the run passes, so that each of it can be crashed in another run. */
class NotingPlan extends CrashPlan {
  readonly calls: string[] = [];
  override nextCall(call: string): CrashMoment | null {
    this.calls.push(call);
    return super.nextCall(call);
  }
}

/** As whoever schedules it does: delivered again when the function failed. */
async function runDelivered(world: SmallWorld): Promise<RunReport> {
  try {
    return await world.run(REQUEST);
  } catch {
    await world.minutes(1);
    return world.run(REQUEST);
  }
}

async function isFree(world: SmallWorld, lease: string): Promise<boolean> {
  const taken = await world.service.hub.ledger.acquireLease(lease, 'somebody-else', 1);
  return taken.ok && taken.value.held;
}

/** All of the end that must not depend on what died on the way. From the region, but for the report's own words. */
async function endOf(world: SmallWorld, report: RunReport) {
  const cell = `${HOME.accountId}/${HOME.region}`;
  return {
    totals: report.totals,
    complete: report.complete,
    actions: report.actions.map(({ instanceId, action, code, outcome }) => {
      const { result, proven, restartedBy, target, limitAfter } = outcome ?? {};
      return { name: world.nameOf(instanceId), action, code, result, proven, restartedBy, target, limitAfter };
    }),
    machines: world.names().map((name) => {
      const { effectiveLimit, configuredLimit, auditdRunning, hung, boots } = world.truth(name);
      const tags = [...world.instance(name).tags].map(([key, value]) => `${key}=${value.replace(/ \S*Z$/, '')}`).sort();
      const { state } = world.instance(name);
      return { name, state, effectiveLimit, configuredLimit, auditdRunning, hung, boots, tags };
    }),
    power: Object.fromEntries(world.names().map((name) => [name, world.power(name)])),
    calls: Object.fromEntries(
      ['StopInstances', 'StartInstances', 'RebootInstances'].map((call) => [call, world.deeds(call).length]),
    ),
    commands: world.commands(),
    leases: [
      await isFree(world, `cell#${cell}`),
      ...(await Promise.all(world.names().map((name) => isFree(world, `instance#${cell}/${world.id(name)}`)))),
    ],
  };
}

interface Run {
  readonly end: Awaited<ReturnType<typeof endOf>>;
  /** Of every checkpoint in turn, what it was about. */
  readonly checkpoints: readonly string[];
  readonly kills: number;
}

function sweep(crashPlan: CrashPlan): Promise<Run> {
  return inSmallWorld({ machines: MACHINES, crashPlan, tempo }, async (world) => {
    const report = await runDelivered(world);
    const durable = world.service.log.events.filter(({ kind }) => kind === 'durable');
    return {
      end: await endOf(world, report),
      checkpoints: durable
        .filter(({ what }) => what === 'checkpoint')
        .map(({ detail }) => `${detail?.execution}: ${String(detail?.updates)}`),
      kills: durable.filter(({ what }) => what === 'kill').length,
    };
  });
}

/** What to crash on one side: numbers from 1. `bothSides`: of what changes something. */
function chosen(names: readonly string[], changing: RegExp, moment: CrashMoment, bothSides: boolean): number[] {
  return names.flatMap((name, i) => {
    const first = names.indexOf(name) === i;
    const turn = MOMENTS[[...new Set(names)].indexOf(name) % 2] === moment;
    const wanted = changing.test(name) ? bothSides || turn : LONG && first && turn;
    return EVERY || wanted ? [i + 1] : [];
  });
}

describe('a sweep with restarts', () => {
  let clean: Run;
  let calls: readonly string[];
  beforeAll(async () => {
    const plan = new NotingPlan();
    clean = await sweep(plan);
    calls = plan.calls;
  });

  async function crashedAt(points: readonly (CrashPoint & { readonly name: string })[]): Promise<void> {
    const wrong: unknown[] = [];
    for (const { name, ...point } of points) {
      const { end, kills } = await sweep(new CrashPlan([point]));
      try {
        expect(kills).toBe(1);
        expect(end).toEqual(clean.end);
      } catch (difference) {
        wrong.push(`${point.moment} ${point.at} ${point.number} (${name}): ${(difference as Error).message}`);
      }
    }
    expect(points.length).toBeGreaterThan(9);
    expect(wrong).toEqual([]);
  }

  test('does everything once when nothing dies', () => {
    expect(clean.kills).toBe(0);
    expect(clean.end.totals).toMatchObject({ instances: 5, healthy: 1, affected: 4, resized: 2, restarted: 2 });
    expect(clean.end.power).toEqual({
      stopped: ['stopping', 'pending'],
      rebooted: ['reboot'],
      first: [],
      second: [],
      healthy: [],
    });
    expect(clean.end.calls).toEqual({ StopInstances: 1, StartInstances: 1, RebootInstances: 1 });
    expect(clean.end.commands).toHaveLength(3);
    expect(new Set(clean.end.commands.map(({ comment }) => comment)).size).toBe(3);
    expect(clean.end.leases).not.toContain(false);
    for (const { name, state, effectiveLimit, tags } of clean.end.machines) {
      expect([name, state, effectiveLimit]).toEqual([name, 'running', 8192]);
      expect(tags.join()).not.toContain('AuditBacklogStopped');
    }
    // Enough to be worth it: every execution, and every call that changes something.
    expect(clean.checkpoints.length).toBeGreaterThan(90);
    expect(calls.filter((call) => CHANGING_CALLS.test(call)).length).toBeGreaterThan(10);
    for (const step of [...CHANGING.map((name) => `STEP START ${name}`), 'CHAINED_INVOKE START restart']) {
      expect([step, clean.checkpoints.some((name) => new RegExp(`${step}(,|$)`).test(name))]).toEqual([step, true]);
    }
  });

  test.each(MOMENTS)(
    'ends the same when it dies %s a checkpoint',
    async (moment) => {
      const numbers = chosen(clean.checkpoints, CHANGING_STEPS, moment, false);
      const name = (number: number) => clean.checkpoints[number - 1] ?? '';
      await crashedAt(numbers.map((number) => ({ at: 'checkpoint', number, moment, name: name(number) })));
    },
    600_000,
  );

  test.each(MOMENTS)(
    'ends the same when it dies %s a call took effect',
    async (moment) => {
      const numbers = chosen(calls, CHANGING_CALLS, moment, true);
      const name = (number: number) => calls[number - 1] ?? '';
      await crashedAt(numbers.map((number) => ({ at: 'call', call: '*', number, moment, name: name(number) })));
    },
    600_000,
  );
});
