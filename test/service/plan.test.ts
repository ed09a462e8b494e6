/** Plan, look, apply exactly that: the whole service on a cell where much of what was planned has changed since. */
import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import type { RunReport } from '../../domain/contracts.ts';
import { type PolicyInput, policySchema } from '../../domain/policy.ts';
import type { EntryRecord } from '../../domain/ports.ts';
import { createHomeClients } from '../../lambdas/aws/clients.ts';
import { keys } from '../../lambdas/aws/ledger-items.ts';
import { withEntry } from '../../lambdas/plan-digest.ts';
import { handleRunEvent } from '../../lambdas/run/start-run.ts';
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { MINUTE, RULES_FILE } from '../../simulator/kinds/kind.ts';
import {
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallMachine,
  type SmallWorld,
} from '../support/small-world.ts';

/** Lets a dozen at once pass for no storm. */
const POLICY: PolicyInput = { mode: 'apply', restart: { maxPercent: 50 }, breaker: { affectedCount: 50 } };

const ALL_AT_ONCE: PolicyInput = { ...POLICY, restart: { maxPercent: 100 } };
const CONSENT = { AuditBacklogRestart: 'allowed' };
const withGuest = (machine: SmallMachine, guest: SmallMachine['guest']): SmallMachine => ({
  ...machine,
  guest: { ...machine.guest, ...guest },
});

/** What happens to a machine after it was planned, and what its refusal has to say. */
interface Drifted {
  readonly machine: SmallMachine;
  readonly change?: (world: SmallWorld, name: string) => void;
  readonly says: RegExp;
}

const DRIFTED: Readonly<Record<string, Drifted>> = {
  stoppedByItsOwner: {
    machine: overflowedMachine(),
    change: (world, name) => world.instance(name).stop({ force: true, skipOsShutdown: true }),
    says: /its state was running, now stopped; .*the plan said resize \(resize\), now it is leave \(not-running\)/,
  },
  restartedByItsOwner: {
    machine: overflowedMachine(),
    change: (world, name) => {
      world.instance(name).stop({ force: true, skipOsShutdown: true });
      setTimeout(() => world.instance(name).start(), 5 * MINUTE);
    },
    says: /its launch time was \S+, now 2026-11-22T04:\S+; evidence.currentBoot was true, now false/,
  },
  optedOut: {
    machine: overflowedMachine(),
    change: (world, name) => world.setTag(name, 'AuditBacklogRemediation', 'disabled'),
    says: /its tag AuditBacklogRemediation was absent, now "disabled"; .*\(opted-out\)/,
  },
  consentTakenBack: {
    machine: hungMachine(),
    change: (world, name) => world.setTag(name, 'AuditBacklogRestart', null),
    says: /its tag AuditBacklogRestart was "allowed", now absent; .*now it is leave \(restart-not-allowed\)/,
  },
  consentTakenBackOfOneThatAnswers: {
    machine: overflowedMachine({ tags: CONSENT }),
    change: (world, name) => world.setTag(name, 'AuditBacklogRestart', 'ask me'),
    says: /plan: its tag AuditBacklogRestart was "allowed", now "ask me"\./,
  },
  joinedAGroup: {
    machine: hungMachine(),
    change: (world, name) => world.setTag(name, 'aws:autoscaling:groupName', 'web'),
    says: /its tag aws:autoscaling:groupName was absent, now "web"; the method was stop-start, now reboot\./,
  },
  overflowedAtAnotherLimit: {
    machine: withGuest(overflowedMachine(), {
      bursts: [
        { at: NOW - 60 * MINUTE, needs: 1500 },
        { at: NOW + 20 * MINUTE, needs: 5000 },
      ],
      // Its owner's tool raises the limit ten minutes after the plan: it runs since the machine booted, a month ago.
      configurationManager: { everyMinutes: 30 * 24 * 60 + 12, path: RULES_FILE, content: rulesWithLimit(1024) },
    }),
    says: /plan: evidence.limit was 320, now 1024\./,
  },
  rebooted: {
    machine: withGuest(overflowedMachine(), { rebootsAt: NOW + 10 * MINUTE }),
    says: /plan: evidence.currentBoot was true, now false; .*\(older-boot\)/,
  },
  lostItsAgent: {
    machine: withGuest(overflowedMachine(), { agent: { diesAt: NOW + 10 * MINUTE } }),
    says: /plan: its reachability was reachable, now silent; .*\(agent-lost-machine-alive\)/,
  },
  terminated: {
    machine: overflowedMachine(),
    change: (world, name) => void setTimeout(() => world.instance(name).terminate('its owner'), 60 * MINUTE),
    says: /its state was running, now terminated/,
  },
};

const KEPT: Readonly<Record<string, SmallMachine>> = {
  answers: overflowedMachine(),
  answersToo: overflowedMachine(),
  /** Overflows again and again: the numbers change, the facts do not. */
  stormy: withGuest(overflowedMachine(), {
    bursts: Array.from({ length: 12 }, (_, n) => ({ at: NOW - 60 * MINUTE + n * 10 * MINUTE, needs: 1500 + n })),
  }),
  hangs: hungMachine(),
  hangsToo: hungMachine(),
};

/** Long enough that what was terminated at once is not even described any more. */
const LATER = 75;

async function planOf(world: SmallWorld): Promise<RunReport> {
  const plan = await world.run({ mode: 'plan' });
  expect(world.service.cloud.mutatingCalls).toBe(0);
  return plan;
}

const recordOf = async (world: SmallWorld, planId: string, name: string): Promise<EntryRecord> => {
  const found = await world.service.hub.ledger.getEntries(planId, HOME, [world.id(name)]);
  if (!found.ok || !found.value[0]) throw new Error(`the plan has no entry of ${name}`);
  return found.value[0];
};

test('a drifted plan: exactly the drifted entries are refused, each saying what changed; all others are done', () => {
  const machines = {
    ...KEPT,
    ...Object.fromEntries(Object.entries(DRIFTED).map(([name, { machine }]) => [name, machine])),
    vanished: overflowedMachine(),
    well: healthyMachine(),
  };
  return inSmallWorld({ machines, policy: POLICY }, async (world) => {
    const plan = await planOf(world);
    expect(plan.totals).toMatchObject({ affected: 16, resized: 12, restarted: 4, healthy: 1 });
    for (const [name, { change }] of Object.entries(DRIFTED)) change?.(world, name);
    world.instance('vanished').terminate('its owner');
    await world.minutes(LATER);
    const before = world.service.log.events.length;
    const report = await world.run({ mode: 'apply', planId: plan.runId });
    expect(report.mode).toBe('apply');

    const refused = report.actions.filter((action) => action.reason.startsWith('Refused'));
    expect(refused.map((action) => world.nameOf(action.instanceId)).sort()).toEqual(Object.keys(DRIFTED).sort());
    for (const [name, { says }] of Object.entries(DRIFTED)) {
      const action = actionOn(report, world, name);
      expect(action).toMatchObject({ action: 'leave', method: null, outcome: null });
      expect([name, action.reason]).toEqual([name, expect.stringMatching(says)]);
      expect(action.next).toBe('Make a new plan and apply that.');
    }
    for (const name of Object.keys(KEPT)) {
      const restartedBy = name.startsWith('hangs') ? 'stop-start' : null;
      expect([name, actionOn(report, world, name).outcome]).toMatchObject([name, { proven: true, restartedBy }]);
      expect(world.truth(name)).toMatchObject({ effectiveLimit: 8192, hung: false });
    }
    expect(report.totals).toMatchObject({ resized: 3, restarted: 2, failed: 0 });
    // The one that is not even described any more is named too, and makes nothing incomplete.
    expect(report.complete).toBe(true);
    expect(report.cells[0]?.errors).toMatchObject([{ message: expect.stringContaining(world.id('vanished')) }]);

    // By the region's own account: nothing but the machines that are as they were planned was touched.
    const touched = world.service.log.events
      .slice(before)
      .filter(({ kind, detail }) => kind === 'api' && detail?.mutating === true)
      .filter(({ detail }) => ['ec2', 'ssm'].includes(String(detail?.service)))
      .flatMap(({ detail }) => detail?.ids as readonly string[]);
    expect([...new Set(touched)].map((id) => world.nameOf(id)).sort()).toEqual(Object.keys(KEPT).sort());
  });
});

test('a plan that was put off by a budget is not carried out by a later one', () =>
  inSmallWorld({ machines: { one: hungMachine(), two: hungMachine() }, policy: ALL_AT_ONCE }, async (world) => {
    const plan = await world.run({ mode: 'plan', maxRestarts: 1 });
    expect(plan.totals).toMatchObject({ restarted: 1, deferred: 1 });
    const report = await world.run({ mode: 'apply', planId: plan.runId });
    expect(report.totals).toMatchObject({ restarted: 1, left: 1 });
    expect(actionOn(report, world, 'two').reason).toMatch(/the plan said defer \(restart-budget\)/);
    expect(world.power('two')).toEqual([]);
  }));

describe('a plan is refused whole', () => {
  const machines = { sick: overflowedMachine(), hung: hungMachine(), well: healthyMachine() };

  const refusedBecause = async (world: SmallWorld, event: object, says: RegExp) => {
    const before = world.service.engine.executions().length;
    const answer = await world.call({ mode: 'apply', ...event });
    expect(answer).toEqual({ ok: false, message: expect.stringMatching(says) });
    expect(world.service.engine.executions()).toHaveLength(before);
    expect(world.commands()).toEqual([]);
  };

  test.each<[string, (world: SmallWorld, planId: string) => Promise<unknown>, RegExp]>([
    [
      'an entry was changed in the table',
      async (world, planId) => {
        const record = await recordOf(world, planId, 'hung');
        const entry = { ...record.entry, method: 'reboot' as const };
        return world.service.hub.ledger.putEntries(planId, HOME, [{ ...record, entry }]);
      },
      /altered: the entry of 111122223333\/eu-west-1\/i-00000000000000002; make a new plan/,
    ],
    [
      'an entry was changed with its own digest',
      async (world, planId) => {
        const record = await recordOf(world, planId, 'hung');
        const entry = { ...record.entry, method: 'reboot' as const };
        return world.service.hub.ledger.putEntries(planId, HOME, [withEntry(record, entry)]);
      },
      /altered: its digest is not that of its contents/,
    ],
    [
      'an entry was added',
      async (world, planId) => {
        const record = await recordOf(world, planId, 'sick');
        const entry = { ...record.entry, instanceId: world.id('well') };
        return world.service.hub.ledger.putEntries(planId, HOME, [withEntry(record, entry)]);
      },
      /altered: it has 3 entries and was made with 2/,
    ],
    [
      'an entry was taken away',
      async (world, planId) => {
        const { table } = createHomeClients(HOME.region, world.service.wire);
        const Key = { ...keys.entry(planId, HOME, world.id('hung')) };
        return table.send(new DeleteCommand({ TableName: world.service.deployment.tableName, Key }));
      },
      /altered: it has 1 entries and was made with 2/,
    ],
    [
      'its expiry was put off',
      async (world, planId) => {
        const { ledger } = world.service.hub;
        const record = await ledger.getRun(planId);
        if (!record.ok || !record.value?.report?.plan) throw new Error('no plan');
        const plan = { ...record.value.report.plan, expiresAt: '2027-01-01T00:00:00.000Z' };
        return ledger.putRun({ ...record.value, report: { ...record.value.report, plan } });
      },
      /altered: its digest is not that of its contents/,
    ],
  ])('when %s', (_what, alter, says) =>
    inSmallWorld({ machines, policy: POLICY }, async (world) => {
      const { runId: planId } = await planOf(world);
      await alter(world, planId);
      await refusedBecause(world, { planId }, says);
    }),
  );

  test('when it is not the one that was looked at, and not when it is', () =>
    inSmallWorld({ machines, policy: POLICY }, async (world) => {
      const { runId: planId, plan } = await planOf(world);
      const other = await world.run({ mode: 'plan' });
      await refusedBecause(world, { planId, planDigest: other.plan?.digest }, /not the one that was looked at/);
      await refusedBecause(world, { planId, planDigest: 'abc' }, /planDigest: a digest is 64 hexadecimal digits/);
      await refusedBecause(world, { planDigest: plan?.digest }, /planDigest belongs to a planId/);
      const report = await world.run({ mode: 'apply', planId, ...(plan ? { planDigest: plan.digest } : {}) });
      expect(report.totals).toMatchObject({ resized: 1, restarted: 1 });
    }));

  test('when the policy has changed, saying what', () =>
    inSmallWorld({ machines, policy: POLICY }, async (world) => {
      const { runId: planId } = await planOf(world);
      const policy = policySchema.parse({ ...POLICY, restart: { maxPercent: 40 }, sizing: { maximum: 16_384 } });
      await expect(handleRunEvent({ ...world.service.hub, policy }, { mode: 'apply', planId })).rejects.toThrow(
        /another policy \(restart.maxPercent was 50, now 40; sizing.maximum was 65536, now 16384\)/,
      );
      expect(world.commands()).toEqual([]);
    }));
});

test('an entry that is altered in the very moment is refused by itself', () =>
  inSmallWorld(
    { machines: { sick: overflowedMachine(), next: overflowedMachine() }, policy: POLICY },
    async (world) => {
      const { runId: planId } = await planOf(world);
      const record = await recordOf(world, planId, 'sick');
      world.once(
        ({ kind, what, detail }) =>
          kind === 'durable' && what === 'start' && String(detail?.execution).startsWith('cell/'),
        () => {
          const entry = { ...record.entry, reason: 'because' };
          void world.service.hub.ledger.putEntries(planId, HOME, [{ ...record, entry }]);
        },
      );
      const report = await world.run({ mode: 'apply', planId });
      expect(actionOn(report, world, 'sick').reason).toMatch(/its entry in the plan was altered/);
      expect(actionOn(report, world, 'next').outcome).toMatchObject({ result: 'resized' });
      expect(report.totals).toMatchObject({ resized: 1, left: 1 });
    },
  ));

test('the whole of a run is read page by page where its report is too large to be returned', () =>
  inSmallWorld({ machines: { one: overflowedMachine(), two: overflowedMachine() }, policy: POLICY }, async (world) => {
    const report = await planOf(world);
    const page = await world.call({ status: report.runId, actionsAfter: '' });
    expect(page).toEqual({
      ok: true,
      value: { schema: 1, runId: report.runId, actions: JSON.parse(JSON.stringify(report.actions)), next: null },
    });
  }));
