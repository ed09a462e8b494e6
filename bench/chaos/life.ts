/** Lives one world from its first to its last minute, on virtual time, and says which invariants broke. */
import { guardOf } from '../../cli/simulated-roles.ts';
import { SIMULATED_NAMES, SimulatedService } from '../../cli/simulated-service.ts';
import type { RunReport, RunRequest } from '../../domain/contracts.ts';
import { type Policy, type PolicyInput, policySchema } from '../../domain/policy.ts';
import { TEMPO, type Tempo } from '../../lambdas/tempo.ts';
import type { EventLog, WorldEvent } from '../../simulator/core.ts';
import { Random } from '../../simulator/core.ts';
import { CrashPlan } from '../../simulator/engine/crash-plan.ts';
import { digestOf } from '../../simulator/engine/event-digest.ts';
import { createMachine, FLEET_KEYS } from '../../simulator/fleet.ts';
import type { Answering } from '../../simulator/in-process.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';
import { crashesOf, faultsOf, planEvents, shortPages } from './bad-days.ts';
import { type Found, iso, type Violation } from './found.ts';
import { History } from './history.ts';
import { violationsOf } from './invariants.ts';
import { planKills } from './kills.ts';
import { MINUTE, WORKING_KEY } from './machines.ts';
import { pagesOf } from './pages.ts';
import { againChanges, differences, outcomesOf, type TwinOutcome } from './twins.ts';
import { type Tamper, WatchedMachine } from './watched-machine.ts';
import { type Asked, type World, type WorldKind, worldOf } from './world.ts';

/** As on AWS, but it looks half as often how far something is: each look costs a replay and changes nothing. */
const TEMPO_OF_CHAOS: Tempo = { ...TEMPO, powerPollSeconds: 30, commandPollSeconds: 20 };

/** A bug planted into the service from outside, to see that the harness finds it. */
export interface Plant {
  /** The policy that the service is deployed with, while the world's owner wrote another one. */
  readonly policy?: (written: PolicyInput, policy: Policy) => PolicyInput;
  /** What stands between the service and AWS and falsifies one or the other's word. */
  readonly between?: (cloud: Answering, world: World, log: EventLog) => Answering;
  /** What runs on the machines in the runbook's place. */
  readonly tamper?: Tamper;
  /** The conditions on tags in the deployed roles are missing. */
  readonly withoutTagConditions?: boolean;
}

export interface LifeOptions {
  readonly plant?: Plant;
  readonly onEvent?: (event: WorldEvent) => void;
  /** Only worlds of this kind. Default: as the seed has it. */
  readonly only?: WorldKind | null;
}

/** What a world came to. */
export interface Lived {
  readonly kind: WorldKind;
  readonly violations: readonly Violation[];
  readonly faults: Readonly<Record<string, number>>;
  /** Of the log of events: equal for two lives of one seed. */
  readonly digest: string;
  readonly mutatingCalls: number;
  readonly powerDowns: number;
  readonly scripts: number;
}

/** Lives the world of a seed; a twin world twice, once without its crashes. */
export async function live(seed: number, options: LifeOptions = {}): Promise<Lived> {
  const world = worldOf(seed, options.only ?? null);
  const crashed = await liveOnce(world, crashesOf(world), options);
  const violations = crashed.found.map((found) => violation(seed, found));
  if (world.kind === 'twin') {
    const { onEvent: _, ...quietly } = options;
    const calm = await liveOnce(world, new CrashPlan(), quietly);
    violations.push(...differences(calm.outcomes, crashed.outcomes, world).map((found) => violation(seed, found)));
  }
  const { faults, digest, mutatingCalls, powerDowns, scripts } = crashed;
  return { kind: world.kind, violations, faults, digest, mutatingCalls, powerDowns, scripts };
}

function violation(seed: number, { invariant, instanceId, at, what }: Found): Violation {
  return { seed, invariant, instanceId, at: iso(at), what };
}

interface Once extends Omit<Lived, 'violations' | 'kind'> {
  readonly found: readonly Found[];
  readonly outcomes: readonly TwinOutcome[];
}

async function liveOnce(world: World, crashPlan: CrashPlan, { plant = {}, onEvent }: LifeOptions): Promise<Once> {
  const time = VirtualTime.install({ seed: world.seed, start: world.startsAt });
  try {
    const find = (id: string) => world.cells.flatMap((c) => service.cloud.find(c.accountId, c.region, id) ?? [])[0];
    const policyInput = plant.policy?.(world.policyInput, world.policy) ?? world.policyInput;
    const deployed = { home: world.home, policy: policySchema.parse(policyInput) };
    const guard = guardOf(deployed, SIMULATED_NAMES, ({ accountId, region, service: of, action }) => {
      const detail = { call: `${of}:${action}` };
      service.log.record({ kind: 'fault', what: 'denied by a condition on tags', accountId, region, detail });
    });
    const service: SimulatedService = new SimulatedService({
      seed: world.seed,
      policy: policyInput,
      home: world.home,
      crashPlan,
      tempo: TEMPO_OF_CHAOS,
      eventualConsistencyMs: world.eventualConsistencyMs,
      faults: faultsOf(world),
      ...(plant.withoutTagConditions ? {} : { authorise: guard.authorise }),
      dynamoDb: ledgerFaults(world, () => service.log),
      between: lazily((cloud) => {
        const pages = shortPages(world, service.log)(cloud);
        return plant.between?.(pages, world, service.log) ?? pages;
      }),
    });
    const { log, engine, cloud } = service;
    if (onEvent) log.onEvent(onEvent);
    const history = new History(world, log, () => engine.executions(), find);
    const machines = settle(world, service, history, plant.tamper ?? null);
    planEvents(world, {
      log,
      instances: () => world.cells.flatMap((c) => cloud.list(c.accountId, c.region)),
      setKey: (keyId, state) => {
        for (const { accountId, region } of world.cells) cloud.cell(accountId, region).addKey(keyId, state);
      },
      ghostLease: (seconds) => {
        const { accountId, region } = world.home;
        log.record({ kind: 'fault', what: 'lease of a dead run' });
        void service.hub.ledger.acquireLease(`cell#${accountId}/${region}`, 'ghost-run', seconds);
      },
      retag: (instance, tags) => {
        instance.setTags(tags);
        history.tagged(instance);
      },
    });
    planKills(world, { log, engine, instances: () => world.cells.flatMap((c) => cloud.list(c.accountId, c.region)) });
    const runs = ask(world, service, history);
    reconcileOnSchedule(service);
    await time.drive(() => Date.now() >= world.endsAt, { pending: () => engine.pending() });
    const reports: RunReport[] = [];
    let read = false;
    void readReports(service, runs, reports).finally(() => {
      read = true;
    });
    await time.drive(() => read);
    const [wrong] = guard.errors;
    if (wrong) throw wrong;
    if (reports.length === 0) throw new Error('no run of this world came to a report: the service was not at work');
    const instances = world.cells.flatMap((c) => cloud.list(c.accountId, c.region));
    const found = violationsOf({
      history,
      instances,
      executions: engine.executions(),
      messages: service.news.sns.messages,
      pages: pagesOf(service, reports, instances),
      reports,
      mutatingCalls: cloud.mutatingCalls,
    });
    const outcomes = outcomesOf(instances, history, reports);
    return {
      found: [...found, ...againChanges(machines, instances, history)],
      faults: history.faults,
      digest: digestOf(log.events),
      mutatingCalls: cloud.mutatingCalls,
      powerDowns: history.powerDowns.length,
      scripts: history.scripts.length,
      outcomes,
    };
  } finally {
    time.uninstall();
  }
}

/** Made at the first request, when the service is there. */
function lazily(make: (cloud: Answering) => Answering): (cloud: Answering) => Answering {
  return (cloud) => {
    let made: Answering | null = null;
    return {
      handle: (request) => {
        made ??= make(cloud);
        return made.handle(request);
      },
    };
  };
}

/** Puts keys and machines into the cells. */
function settle(world: World, service: SimulatedService, history: History, tamper: Tamper | null): WatchedMachine[] {
  const { cloud, log } = service;
  for (const { accountId, region } of world.cells) {
    const cell = cloud.cell(accountId, region);
    for (const { keyId, state } of FLEET_KEYS) cell.addKey(keyId, state);
    cell.addKey(WORKING_KEY, 'Enabled');
  }
  if (world.kind === 'surge') log.record({ kind: 'fault', what: 'half a cell hangs at once' });
  const struck = (what: string, instanceId: string) => log.record({ kind: 'fault', what, instanceId });
  return world.machines.map(({ planned, quirks }) => {
    const { instanceProfile, cell } = planned;
    const inner = createMachine(planned, world.seed, log);
    const watcher = { ran: (run: (typeof history.scripts)[number]) => history.scripts.push(run), struck };
    const machine = new WatchedMachine(inner, instanceProfile.instanceId ?? '', quirks, watcher, tamper);
    const instance = cloud.addInstance(cloud.cell(cell.accountId, cell.region), instanceProfile, machine);
    history.tagged(instance);
    if (quirks.hostile)
      setTimeout(() => struck('hostile console text', instance.instanceId), quirks.hostile.at - Date.now());
    if (planned.guestProfile?.clockSkewMs) struck('guest clock is off', instance.instanceId);
    return machine;
  });
}

/** The table deals with a part of a batch now and then, and reads that may lag do. */
function ledgerFaults(world: World, log: () => EventLog) {
  const random = new Random(world.seed).fork('ledger');
  const partial = !world.badWay ? 0 : random.pick([0, 0.1, 0.3]);
  return {
    lag: { random: random.fork('lag'), atMostMilliseconds: 2000 },
    processedOf: (_call: unknown, asked: number): number => {
      if (Date.now() > world.calmAt || random.next() >= partial) return asked;
      log().record({ kind: 'fault', what: 'ledger deals with a part of a batch' });
      return random.between(0, asked);
    },
  };
}

/** Asks the service for everything that the world asks of it; run ids are added as they become known. */
function ask(world: World, service: SimulatedService, history: History): Set<string> {
  const { engine, log } = service;
  const runs = new Set<string>();
  const invoke = async (event: RunRequest): Promise<string | null> => {
    const answer = await engine.invokePlain('run:live', event);
    if (!answer.ok) return null;
    const { runId } = JSON.parse(answer.payload) as { runId?: string };
    if (runId) {
      runs.add(runId);
      history.asked(runId, event);
    }
    return runId ?? null;
  };
  /** As the scheduler does: again after a while where it failed. */
  const deliver = async (event: RunRequest): Promise<void> => {
    for (const pause of [MINUTE, 2 * MINUTE, 0]) {
      if ((await invoke(event)) !== null) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  };
  const carryOut = async (asked: Asked): Promise<void> => {
    const name = REQUEST_FAULTS[asked.how];
    if (name) log.record({ kind: 'fault', what: name });
    if (asked.how === 'scheduled' || asked.how === 'again') {
      await deliver({ scheduledAt: iso(asked.scheduledAt ?? asked.at) });
    } else if (asked.how === 'manual') await invoke({});
    else if (asked.how === 'named') await invoke({ instanceIds: [...(asked.instanceIds ?? [])] });
    else {
      const planId = await invoke({
        mode: 'plan',
        ...(asked.instanceIds ? { instanceIds: [...asked.instanceIds] } : {}),
      });
      if (planId === null) return;
      await new Promise((resolve) => setTimeout(resolve, asked.appliedAfter));
      await invoke({ mode: 'apply', planId });
    }
  };
  for (const asked of world.asked) setTimeout(() => void carryOut(asked), asked.at - Date.now());
  return runs;
}

const REQUEST_FAULTS: Readonly<Partial<Record<Asked['how'], string>>> = {
  again: 'schedule delivers twice',
  manual: 'overlapping manual run',
  named: 'overlapping run on named instances',
};

const RECONCILE_MS = 5 * MINUTE;

function reconcileOnSchedule(service: SimulatedService): void {
  setTimeout(() => {
    void service.engine.invokePlain('reconcile:live', {});
    reconcileOnSchedule(service);
  }, RECONCILE_MS);
}

async function readReports(service: SimulatedService, runs: ReadonlySet<string>, reports: RunReport[]): Promise<void> {
  for (const runId of runs) {
    const record = await service.hub.ledger.getRun(runId);
    if (record.ok && record.value?.status === 'done') reports.push(await service.reportOf(runId));
  }
}
