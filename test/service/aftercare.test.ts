/** After the cure: a later sweep says held, reverted or overflowed-again, and a person is told of what only a person can end. */
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { burst, MINUTE, RULES_FILE, rules } from '../../simulator/kinds/kind.ts';
import { actionOn, hungMachine, inSmallWorld, NOW } from '../support/small-world.ts';

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
    expect(await results()).toEqual({ held: 'resized', reverted: 'resized', again: 'resized' });
    expect(world.messages()).toEqual([]);
    await world.minutes(30);
    // Half an hour is too early to say anything of what was cured.
    expect(await results()).toMatchObject({ held: undefined, reverted: undefined });
    await world.minutes(40);
    // Reverted in silence: no overflow came of it yet, and nothing claims that the limit was read.
    expect(await results()).toEqual({ held: 'held', reverted: 'held', again: 'resized' });
    expect(world.truth('again').effectiveLimit).toBe(16_384);
    expect(world.messages()).toEqual([]);
    await world.minutes(70);
    const before = world.service.news.events.events.length;
    const report = await world.run();
    expect(actionOn(report, world, 'held').outcome).toMatchObject({ result: 'held', proven: true });
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
    const attention = world.service.news.events.events
      .slice(before)
      .filter(({ detailType }) => detailType === 'Audit Backlog Instance Needs Attention');
    expect(attention.map(({ detail }) => detail)).toMatchObject([
      {
        instanceId: world.id('reverted'),
        outcome: { result: 'reverted', message: expect.stringMatching(/managed by puppet/) },
      },
    ]);
  }));

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
