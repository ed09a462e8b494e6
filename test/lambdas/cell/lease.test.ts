/** Runs meet in one cell and on one machine: exactly one acts, and one that lost its lease finds out before it acts. */
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { createHomeClients } from '../../../lambdas/aws/clients.ts';
import { keys } from '../../../lambdas/aws/ledger-items.ts';
import { CrashPlan } from '../../../simulator/engine/crash-plan.ts';
import { ScriptedFaults } from '../../../simulator/faults.ts';
import { HOUR } from '../../../simulator/kinds/kind.ts';
import {
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  rebootMachine,
  type SmallWorld,
} from '../../support/small-world.ts';

const CELL = `cell#${HOME.accountId}/${HOME.region}`;
const leaseOf = (world: SmallWorld, name: string) => `instance#${HOME.accountId}/${HOME.region}/${world.id(name)}`;

async function start(world: SmallWorld, event: object): Promise<{ runId: string; executionArn: string }> {
  const started = await world.call(event);
  if (!started.ok) throw new Error(started.message);
  return started.value as { runId: string; executionArn: string };
}

const machines = { hung: hungMachine(), one: overflowedMachine(), two: overflowedMachine() };

describe('the lease of a cell', () => {
  test('two runs at once: one does everything, the other is skipped and says which one holds the cell', () =>
    inSmallWorld({ machines }, async (world) => {
      const [a, b] = await Promise.all([start(world, { reason: 'one' }), start(world, { reason: 'two' })]);
      expect(a?.runId).not.toBe(b?.runId);
      await Promise.all([a, b].map((run) => world.service.engine.settled(run?.executionArn ?? '')));
      const reports = await Promise.all([a, b].map((run) => world.service.reportOf(run?.runId ?? '')));
      const acted = reports.find(({ complete }) => complete);
      const skipped = reports.find(({ complete }) => !complete);
      expect(acted?.totals).toMatchObject({ instances: 3, affected: 3, resized: 2, restarted: 1 });
      expect(skipped?.actions).toEqual([]);
      expect(skipped?.cells[0]).toMatchObject({
        status: 'skipped',
        errors: [{ code: 'HeldByAnotherRun', message: expect.stringContaining(acted?.runId ?? 'nobody') }],
      });
      expect(world.commands()).toHaveLength(2);
      expect(world.power('hung')).toEqual(['stopping', 'pending']);
      // The one that was skipped gave nothing back that was not its own, and nothing is left held.
      const third = await world.run();
      expect(third).toMatchObject({ complete: true, totals: { alreadyHandled: 3, resized: 0, restarted: 0 } });
    }));

  test('a plan needs none, and is not in the way', () =>
    inSmallWorld({ machines }, async (world) => {
      const apply = await start(world, {});
      const plan = await start(world, { mode: 'plan' });
      for (const { executionArn } of [apply, plan]) await world.service.engine.settled(executionArn);
      expect(await world.service.reportOf(plan.runId)).toMatchObject({ complete: true, totals: { affected: 3 } });
      expect(await world.service.reportOf(apply.runId)).toMatchObject({ complete: true, totals: { restarted: 1 } });
    }));

  async function dieUnderWay(world: SmallWorld): Promise<string> {
    const { runId, executionArn } = await start(world, {});
    await world.minutes(0.2);
    for (const { arn } of world.service.engine.executions()) world.service.engine.stop(arn);
    await world.service.engine.settled(executionArn);
    return runId;
  }

  test('of a run that died is taken over once nothing of it can go on, long before it expires', () =>
    inSmallWorld({ machines }, async (world) => {
      const dead = await dieUnderWay(world);
      const soon = await world.run({ instanceIds: [world.id(world.names()[0] ?? '')] });
      // Not that nobody knows the instance, too: the cell was not looked at.
      expect(soon.cells[0]?.errors).toHaveLength(1);
      expect(soon.cells[0]).toMatchObject({ status: 'skipped', errors: [{ message: expect.stringContaining(dead) }] });
      await world.minutes(15);
      const later = await world.run();
      expect(later).toMatchObject({ complete: true });
      expect(later.totals.resized + later.totals.restarted).toBe(3);
    }));

  test('of a run whose end cannot be seen expires', () => {
    const faults = new ScriptedFaults([
      { kind: 'denied', calls: 'lambda:GetDurableExecution', times: Number.POSITIVE_INFINITY },
    ]);
    return inSmallWorld({ machines, faults }, async (world) => {
      await dieUnderWay(world);
      await world.minutes(60);
      expect((await world.run()).cells[0]).toMatchObject({ status: 'skipped' });
      await world.minutes(2 * 60);
      expect(await world.run()).toMatchObject({ complete: true });
    });
  });
});

describe('a run that lost its cell', () => {
  /** Another run takes the lease in one write, as after an expiry that this one slept through. */
  async function takeOver(world: SmallWorld, name = CELL): Promise<void> {
    const { table } = createHomeClients(HOME.region, world.service.wire);
    const Item = { ...keys.lease(name), holder: 'm-another', heldUntil: Date.now() + HOUR };
    await table.send(new PutCommand({ TableName: world.service.deployment.tableName, Item }));
  }
  const passes = (world: SmallWorld, step: RegExp, then: () => void) =>
    world.once(
      ({ kind, what, detail }) => kind === 'durable' && what === 'checkpoint' && step.test(String(detail?.updates)),
      then,
    );

  test.each<[string, RegExp]>([
    ['stop', /STEP SUCCEED attempt(,|$)/],
    ['reboot', /STEP SUCCEED console-before(,|$)/],
  ])('finds out before the %s', (how, step) =>
    inSmallWorld({ machines: { hung: how === 'stop' ? hungMachine() : rebootMachine() } }, async (world) => {
      const { runId, executionArn } = await start(world, {});
      passes(world, step, () => void takeOver(world));
      await world.service.engine.settled(executionArn);
      expect(world.power('hung')).toEqual([]);
      const report = await world.service.reportOf(runId);
      expect(actionOn(report, world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/lease of this cell is held by m-another/),
      });
      expect(await world.service.hub.ledger.leaseHolder(CELL)).toEqual({ ok: true, value: 'm-another' });
    }),
  );

  test('finds out that it lost the machine before the stop', () =>
    inSmallWorld({ machines: { hung: hungMachine() } }, async (world) => {
      const { runId, executionArn } = await start(world, {});
      passes(world, /STEP SUCCEED attempt(,|$)/, () => void takeOver(world, leaseOf(world, 'hung')));
      await world.service.engine.settled(executionArn);
      expect(world.power('hung')).toEqual([]);
      expect(actionOn(await world.service.reportOf(runId), world, 'hung').outcome).toMatchObject({
        result: 'declined',
        message: expect.stringMatching(/lease of this instance is not ours any more: the run m-another/),
      });
    }));

  test('finds out before the command after the restart; the machine runs', () =>
    inSmallWorld({ machines: { hung: hungMachine() } }, async (world) => {
      const { runId, executionArn } = await start(world, {});
      passes(world, /STEP SUCCEED apply-batch(,|$)/, () => void takeOver(world, leaseOf(world, 'hung')));
      await world.service.engine.settled(executionArn);
      expect(world.power('hung')).toEqual(['stopping', 'pending']);
      expect(world.commands()).toEqual([]);
      expect(actionOn(await world.service.reportOf(runId), world, 'hung').outcome).toMatchObject({
        result: 'undelivered',
        restartedBy: 'stop-start',
        message: expect.stringMatching(/lease: HeldByAnotherRun/),
      });
    }));

  test('finds out before a command', () =>
    inSmallWorld({ machines: { sick: overflowedMachine() } }, async (world) => {
      const { runId, executionArn } = await start(world, {});
      passes(world, /STEP SUCCEED resize-rest-0-batches(,|$)/, () => void takeOver(world));
      await world.service.engine.settled(executionArn);
      expect(world.commands()).toEqual([]);
      const report = await world.service.reportOf(runId);
      expect(actionOn(report, world, 'sick').outcome).toMatchObject({
        result: 'undelivered',
        message: expect.stringMatching(/lease: HeldByAnotherRun: the run m-another/),
      });
    }));

  test('finds out before the next wave', () => {
    const sick = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`sick-${i}`, overflowedMachine()]));
    return inSmallWorld({ machines: sick }, async (world) => {
      const { runId, executionArn } = await start(world, {});
      world.once(
        ({ kind, what }) => kind === 'ssm' && what === 'send',
        () => void takeOver(world),
      );
      await world.service.engine.settled(executionArn);
      expect(world.commands()).toHaveLength(1);
      expect((await world.service.reportOf(runId)).totals).toMatchObject({ resized: 5, deferred: 2 });
    });
  });
});

describe('the lease of an instance', () => {
  const takenByAnother = (world: SmallWorld, name: string) =>
    world.service.hub.ledger.acquireLease(leaseOf(world, name), 'm-another', 3600);

  test('a machine that a restart of another run is at work on is not resized', () =>
    inSmallWorld({ machines: { one: overflowedMachine(), two: overflowedMachine() } }, async (world) => {
      await takenByAnother(world, 'one');
      const report = await world.run();
      expect(actionOn(report, world, 'one')).toMatchObject({
        action: 'defer',
        reason: 'Not in this run: the run m-another is at work on it.',
      });
      expect(world.commands().map(({ instanceIds }) => instanceIds)).toEqual([[world.id('two')]]);
      expect(report.totals).toMatchObject({ resized: 1, deferred: 1 });
    }));

  test('counts against the budget of machines down, also where nothing shows on the machine', () =>
    inSmallWorld({ machines: { ...machines, hungToo: hungMachine(), inCure: healthyMachine() } }, async (world) => {
      await takenByAnother(world, 'inCure');
      let most = 0;
      world.service.log.onEvent(({ kind }) => {
        if (kind !== 'power') return;
        most = Math.max(most, ['hung', 'hungToo'].filter((n) => world.instance(n).state !== 'running').length);
      });
      expect(await world.run()).toMatchObject({ totals: { restarted: 2 } });
      expect(most).toBe(1);
    }));

  test('a cell that died leaves its restarts alone until they have ended', () =>
    inSmallWorld({ machines: { hung: hungMachine() } }, async (world) => {
      const { engine } = world.service;
      const { executionArn } = await start(world, {});
      world.once(
        ({ kind, what }) => kind === 'power' && what === 'stopping',
        () => {
          for (const { arn, functionName } of engine.executions()) if (functionName === 'cell') engine.stop(arn);
        },
      );
      await engine.settled(executionArn);
      expect(engine.executions().filter(({ status }) => status === 'RUNNING')).toHaveLength(1);
      await Promise.all(engine.executions().map(({ arn }) => engine.settled(arn)));
      expect(world.instance('hung').state).toBe('running');
      expect(world.truth('hung')).toMatchObject({ effectiveLimit: 8192, hung: false });
      await world.minutes(20);
      expect(await world.run()).toMatchObject({ complete: true, totals: { alreadyHandled: 1 } });
      expect(world.power('hung')).toEqual(['stopping', 'pending']);
      expect(world.commands()).toHaveLength(1);
    }));
});

describe('two runs that overlap, whatever dies on the way', () => {
  const NUMBERS = {
    'dynamodb:PutItem': [3, 4, 6, 9, 12, 15],
    'ssm:SendCommand': [1, 2],
    'ec2:StopInstances': [1],
    'ec2:CreateTags': [1, 2],
  };
  const calls = ['dynamodb:PutItem', 'ssm:SendCommand', 'ec2:StopInstances', 'ec2:CreateTags'] as const;
  const points = calls.flatMap((call) =>
    (['before', 'after'] as const).flatMap((moment) => NUMBERS[call].map((number) => ({ call, moment, number }))),
  );

  test.each(points)('$moment $call $number', ({ call, moment, number }) => {
    const crashPlan = new CrashPlan([{ at: 'call', call, moment, number }]);
    return inSmallWorld({ machines, crashPlan }, async (world) => {
      const { engine } = world.service;
      const named = { mode: 'apply', instanceIds: [world.id('hung'), world.id('one')] };
      const started = [await start(world, { scheduledAt: new Date(NOW).toISOString() })];
      await world.minutes(0.1);
      started.push(await start(world, named));
      await world.minutes(4);
      started.push(await start(world, named));
      for (const { executionArn } of started) await engine.settled(executionArn);
      await world.minutes(20);
      await world.run();
      expect(world.service.log.events.filter(({ kind, what }) => kind === 'durable' && what === 'kill')).toHaveLength(
        1,
      );
      expect(world.power('hung')).toEqual(['stopping', 'pending']);
      for (const name of Object.keys(machines)) {
        expect(world.truth(name)).toMatchObject({ effectiveLimit: 8192 });
        const sent = world.commands().filter(({ instanceIds }) => instanceIds.includes(world.id(name)));
        expect(sent).toHaveLength(1);
      }
    });
  });
});
