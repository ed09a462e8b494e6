/** After the cure: a later sweep says held, reverted or overflowed-again, and a person is told of what only a person can end. */
import type { ActionEntry } from '../../domain/contracts.ts';
import { type CrashMoment, CrashPlan, type CrashPoint } from '../../simulator/engine/crash-plan.ts';
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { burst, MINUTE, RULES_FILE, rules } from '../../simulator/kinds/kind.ts';
import { APPLY, actionOn, hungMachine, inSmallWorld, NOW } from '../support/small-world.ts';

const content = `# This file is managed by Puppet. Local changes are lost.\n${rulesWithLimit(320)}`;
const bursts = (...minutes: number[]) => minutes.map((after) => burst(NOW + after * MINUTE, { needs: 900 }));

const machines = {
  held: { guest: { files: rules(320), bursts: bursts(-20) } },
  reverted: {
    guest: {
      files: { [RULES_FILE]: content },
      configurationManager: { everyMinutes: 30, path: RULES_FILE, content },
      bursts: bursts(-20, 100),
    },
  },
  again: { guest: { files: rules(320), drains: false, logDirFreePercent: 0, bursts: bursts(-20, 40, 130) } },
};

test('held, reverted with its file and its manager, overflowed again with what does not drain: each is said', () =>
  inSmallWorld({ machines }, async (world) => {
    const results = async () => {
      const report = await world.run();
      return Object.fromEntries(
        report.actions.map((action) => [world.nameOf(action.instanceId), action.outcome?.result]),
      );
    };
    const attention = (from: number) =>
      world.service.news.events.events
        .slice(from)
        .filter(({ detailType }) => detailType === 'Audit Backlog Instance Needs Attention');
    expect(await results()).toEqual({ held: 'resized', reverted: 'resized', again: 'resized' });
    expect(world.messages()).toEqual([]);
    await world.minutes(30);
    // Half an hour is too early to say anything of what was cured.
    expect(await results()).toMatchObject({ held: undefined, reverted: undefined });
    await world.minutes(40);
    // A plan sends nothing, and claims nothing that it did not read.
    const since = Date.now();
    const plan = await world.run({ mode: 'plan' });
    for (const name of ['held', 'reverted']) {
      expect(actionOn(plan, world, name).outcome).toMatchObject({
        result: 'held',
        proven: false,
        limitAfter: null,
        message: expect.stringMatching(/the limit itself was not read again\.$/),
      });
    }
    expect(world.touched(since)).toEqual({});
    // No overflow came of it yet: what was set back in silence is found by reading.
    const read = await world.run();
    expect(actionOn(read, world, 'held')).toMatchObject({
      action: 'leave',
      code: 'already-handled',
      outcome: { result: 'held', proven: true, target: 8192, limitBefore: 8192, limitAfter: 8192 },
    });
    expect(actionOn(read, world, 'reverted')).toMatchObject({
      action: 'leave',
      code: 'already-handled',
      outcome: {
        result: 'reverted',
        proven: false,
        target: 8192,
        limitBefore: 320,
        limitAfter: 320,
        message: expect.stringMatching(/set back to 320 in \/etc\/audit\/rules.d\/audit.rules, which puppet manages/),
      },
    });
    expect(actionOn(read, world, 'again').outcome).toMatchObject({ result: 'resized' });
    expect(read.totals).toMatchObject({ affected: 3, resized: 1, alreadyHandled: 2, failed: 0 });
    expect(world.truth('reverted').effectiveLimit).toBe(320);
    expect(world.truth('again').effectiveLimit).toBe(16_384);
    expect(world.messages()).toEqual([
      expect.stringMatching(new RegExp(`${world.id('reverted')} .*reverted: .*audit.rules, which puppet manages`)),
    ]);
    expect(attention(0).map(({ detail }) => detail)).toMatchObject([
      { instanceId: world.id('reverted'), action: 'leave', outcome: { result: 'reverted', proven: false } },
    ]);
    expect(world.instance('reverted').tags.get('AuditBacklogStatus')).toMatch(/^reverted limit 320 /);
    expect(world.instance('held').tags.get('AuditBacklogStatus')).toMatch(/^held limit 8192 /);
    // It is told once, asked once, and not called `held` after that.
    await world.minutes(20);
    const next = await world.run();
    expect(actionOn(next, world, 'reverted')).toMatchObject({
      outcome: null,
      reason: expect.stringMatching(/Its limit was found set back at /),
    });
    expect(actionOn(next, world, 'held').outcome).toMatchObject({
      result: 'held',
      proven: false,
      message: expect.stringMatching(/its limit was read again at .* and not since\.$/),
    });
    expect(world.messages()).toHaveLength(1);
    const sent = (name: string) => world.commands().filter((c) => c.instanceIds.includes(world.id(name))).length;
    expect([sent('held'), sent('reverted')]).toEqual([2, 2]);
    await world.minutes(50);
    const before = world.service.news.events.events.length;
    const report = await world.run();
    expect(sent('held')).toBe(2);
    expect(actionOn(report, world, 'reverted').outcome).toMatchObject({
      result: 'reverted',
      limitBefore: 320,
      limitAfter: 8192,
      message: expect.stringMatching(/of 8192 was undone in \/etc\/audit\/rules.d\/audit.rules .*managed by puppet/),
    });
    expect(actionOn(report, world, 'again')).toMatchObject({
      action: 'leave',
      code: 'limit-is-not-the-cause',
      outcome: { result: 'overflowed-again', message: expect.stringMatching(/0 % of the log disk is free/) },
    });
    // Diagnosed, not doubled again.
    expect(world.truth('again').effectiveLimit).toBe(16_384);
    const told = world.messages().join('\n');
    expect(told).toMatch(new RegExp(`${world.id('reverted')} .*reverted: .*audit.rules .*managed by puppet`));
    expect(told).toMatch(new RegExp(`${world.id('again')} .*overflowed-again: .*0 % of the log disk is free`));
    expect(told).not.toContain(world.id('held'));
    expect(attention(before).map(({ detail }) => detail)).toMatchObject([
      {
        instanceId: world.id('reverted'),
        outcome: { result: 'reverted', message: expect.stringMatching(/managed by puppet/) },
      },
    ]);
  }));

test('one whose agent does not answer is not called proven, and is asked again by the next sweep', () => {
  const agent = { diesAt: NOW + 69 * MINUTE };
  const mute = { guest: { files: rules(320), bursts: bursts(-20), agent, rebootsAt: NOW + 100 * MINUTE } };
  return inSmallWorld({ machines: { mute } }, async (world) => {
    await world.run();
    await world.minutes(70);
    const unread = await world.run();
    expect(actionOn(unread, world, 'mute')).toMatchObject({
      action: 'leave',
      facts: { reachability: 'reachable' },
      outcome: {
        result: 'held',
        proven: false,
        limitAfter: null,
        message: expect.stringMatching(/was not read again\. The agent did not answer \(DeliveryTimedOut\)\.$/),
      },
    });
    expect(unread).toMatchObject({ complete: true, totals: { alreadyHandled: 1, failed: 0 } });
    expect(world.messages()).toEqual([]);
    await world.minutes(40);
    const read = await world.run();
    expect(actionOn(read, world, 'mute').outcome).toMatchObject({ result: 'held', proven: true, limitAfter: 8192 });
    await world.run();
    expect(world.commands()).toHaveLength(3);
  });
});

test('what the budget of a run has left is read again, the rest by the next; what a plan leaves alone is not asked', () => {
  const cured = { guest: { files: rules(320), bursts: bursts(-20) } };
  const late = { guest: { files: rules(320), bursts: bursts(65) } };
  const later = { guest: { files: rules(320), bursts: bursts(74) } };
  const policy = { ...APPLY, resize: { maxPerRun: 2 } };
  return inSmallWorld({ machines: { one: cured, two: cured, late, later }, policy }, async (world) => {
    await world.run();
    await world.minutes(70);
    const plan = await world.run({ mode: 'plan' });
    const provenIn = async (request = {}) => {
      const { actions } = await world.run(request);
      const found = actions.filter(({ outcome }) => outcome?.result === 'held');
      return found.map(({ instanceId, outcome }) => [world.nameOf(instanceId), outcome?.proven]);
    };
    // A plan that leaves them alone sends nothing to them.
    expect(await provenIn({ planId: plan.runId })).toEqual([
      ['one', false],
      ['two', false],
    ]);
    expect(world.truth('late').effectiveLimit).toBe(8192);
    await world.minutes(5);
    // One of two resizes is spent on a cure.
    expect(await provenIn()).toEqual([
      ['one', true],
      ['two', false],
    ]);
    expect(world.truth('later').effectiveLimit).toBe(8192);
    expect(await provenIn()).toEqual([
      ['one', false],
      ['two', true],
    ]);
  });
});

describe('a crash while the limits are read again', () => {
  const CALLS = [
    'ssm:SendCommand',
    'ssm:ListCommandInvocations',
    'dynamodb:PutItem',
    'dynamodb:BatchWriteItem',
    'ec2:CreateTags',
    'events:PutEvents',
  ];

  /** Two sweeps; `from` is how often each call was made before the second one. */
  function twoSweeps(points: readonly CrashPoint[], counts = new Map<string, number>()) {
    class Counting extends CrashPlan {
      override nextCall(call: string): CrashMoment | null {
        counts.set(call, (counts.get(call) ?? 0) + 1);
        return super.nextCall(call);
      }
    }
    const { held, reverted } = machines;
    return inSmallWorld({ machines: { held, reverted }, crashPlan: new Counting(points) }, async (world) => {
      await world.run();
      await world.minutes(70);
      const from = new Map(counts);
      const report = await world.run();
      const { totals, actions } = report;
      await world.minutes(5);
      const { actions: next } = await world.run();
      const told = (each: ActionEntry) => [
        each.code,
        each.outcome?.result,
        each.outcome?.proven,
        each.outcome?.limitAfter,
      ];
      const sent = world.commands().map(({ instanceIds }) => instanceIds);
      const kills = world.service.log.events.filter(({ kind, what }) => kind === 'durable' && what === 'kill').length;
      const end = { totals, first: actions.map(told), next: next.map(told), sent, messages: world.messages().length };
      return { from, end, kills };
    });
  }

  test('before or after any call that matters ends as without it: sent once, told, not asked again', async () => {
    const clean = await twoSweeps([]);
    expect(clean.end).toMatchObject({
      first: [
        ['already-handled', 'held', true, 8192],
        ['already-handled', 'reverted', false, 320],
      ],
      next: [
        ['already-handled', 'held', false, null],
        ['already-handled', undefined, undefined, undefined],
      ],
      messages: 1,
    });
    expect(clean.end.sent).toHaveLength(2);
    for (const call of CALLS) {
      const number = (clean.from.get(call) ?? 0) + 1;
      for (const moment of ['before', 'after'] as const) {
        const crashed = await twoSweeps([{ at: 'call', call, number, moment }]);
        expect({ call, moment, kills: crashed.kills, end: crashed.end }).toEqual({
          call,
          moment,
          kills: 1,
          end: clean.end,
        });
      }
    }
  }, 120_000);
});

test('a machine that could not start for a while: the alarm, and that it came back', () =>
  inSmallWorld({ machines: { hung: hungMachine({ capacityFailures: { count: 3 } }) } }, async (world) => {
    const report = await world.run();
    expect(actionOn(report, world, 'hung').outcome).toMatchObject({ proven: true, restartedBy: 'stop-start' });
    const subjects = world.messages().map((text) => text.split('\n')[0]);
    expect(subjects).toEqual([
      `Audit backlog: ${world.id('hung')} is stopped and cannot start`,
      `Audit backlog: ${world.id('hung')} is back`,
    ]);
  }));

test('one that came back without trouble is said in the report alone', () =>
  inSmallWorld({ machines: { hung: hungMachine() } }, async (world) => {
    const report = await world.run();
    expect(actionOn(report, world, 'hung').outcome).toMatchObject({ proven: true, backAt: expect.any(String) });
    expect(world.messages()).toEqual([]);
  }));

test('one that reconcile had to start: the alarm, the start, and that it came back', () =>
  inSmallWorld(
    { machines: { hung: hungMachine({ capacityFailures: { until: NOW + 40 * MINUTE } }) } },
    async (world) => {
      await world.run();
      for (let minutes = 0; minutes < 90; minutes += 5) {
        await world.minutes(5);
        await world.reconcile();
      }
      const subjects = world.messages().map((text) => text.split('\n')[0] ?? '');
      const order = [/cannot start$/, /needs you \(awaiting-capacity\)$/, /was started by reconcile$/, /is back$/];
      const at = order.map((subject) => subjects.findIndex((text) => subject.test(text)));
      expect(at).not.toContain(-1);
      expect(at).toEqual(at.toSorted((a, b) => a - b));
      expect(world.instance('hung').tags.has('AuditBacklogStopped')).toBe(false);
    },
  ));
