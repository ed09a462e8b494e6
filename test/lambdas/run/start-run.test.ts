/** The one entry, as the console's Test, the schedule and the CLI meet it: the deployed function in a small world. */
import { runReportSchema } from '../../../domain/contracts.ts';
import { policySchema } from '../../../domain/policy.ts';
import { handleRunEvent } from '../../../lambdas/run/start-run.ts';
import { ScriptedFaults } from '../../../simulator/faults.ts';
import { HOUR, rules } from '../../../simulator/kinds/kind.ts';
import {
  APPLY,
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallWorld,
  type SmallWorldOptions,
} from '../../support/small-world.ts';

const ONE = { sick: overflowedMachine() };
const iso = (at: number) => new Date(at).toISOString();

/** What the function says to an event, and that it started nothing where it refuses. */
async function refusal(world: SmallWorld, event: unknown): Promise<string> {
  const answer = await world.call(event);
  if (answer.ok) throw new Error(`it accepted ${JSON.stringify(event)}: ${JSON.stringify(answer.value)}`);
  expect(world.service.engine.executions()).toEqual([]);
  return answer.message;
}

describe('an event that is no request', () => {
  test.each<[string, unknown, RegExp]>([
    ['an unknown field', { mdoe: 'apply' }, /run request.*mdoe/],
    ['the default event of a schedule', { version: '0', 'detail-type': 'Scheduled Event', detail: {} }, /detail-type/],
    ['a malformed instance id', { instanceIds: ['i-123'] }, /instanceIds.*8 or 17 hexadecimal/],
    ['a malformed region', { regions: ['Ireland'] }, /regions.*eu-west-1/],
    ['an unknown mode', { mode: 'cure' }, /mode/],
    ['another schema', { schema: 2 }, /schema/],
    [
      'a plan and filters',
      { planId: 'm-20261122T040000Z-abcd', regions: ['eu-west-1'] },
      /planId excludes the filters/,
    ],
    ['a text', 'apply', /run request/],
    ['a status of nothing', { status: '' }, /status request.*status/],
    ['a status and more', { status: 's-20261122T040000Z-44136f', mode: 'plan' }, /mode/],
  ])('%s is refused in one line that names it', (_what, event, says) =>
    inSmallWorld({ machines: ONE }, async (world) => {
      const message = await refusal(world, event);
      expect(message).toMatch(says);
      expect(message).toMatch(/^InvalidInputError: [^\n]+$/);
    }),
  );
});

describe('a request beyond the policy', () => {
  test.each<[string, SmallWorldOptions['policy'], unknown, RegExp]>([
    ['apply under a policy of plan', { mode: 'plan' }, { mode: 'apply' }, /mode: the deployed policy allows plan only/],
    [
      'more restarts',
      { mode: 'apply', restart: { maxPerRun: 3 } },
      { maxRestarts: 4 },
      /maxRestarts: 4 .*maxPerRun of 3/,
    ],
    ['a region outside of the scope', APPLY, { regions: ['us-east-1'] }, /regions: us-east-1 outside .*\(eu-west-1\)/],
    ['an account outside of the scope', APPLY, { accounts: ['999988887777'] }, /accounts: 999988887777 outside/],
  ])('%s is refused, naming the limit', (_what, policy, event, says) =>
    inSmallWorld({ machines: ONE, ...(policy ? { policy } : {}) }, async (world) => {
      expect(await refusal(world, event)).toMatch(says);
    }),
  );

  test.each(['plan', 'apply'] as const)('an empty event does what a policy of %s says', (mode) =>
    inSmallWorld({ machines: ONE, policy: { mode } }, async (world) => {
      const report = await world.run({});
      expect(report.mode).toBe(mode);
      expect(world.commands()).toHaveLength(mode === 'apply' ? 1 : 0);
    }),
  );

  test('under a policy of apply, a request may ask for a plan', () =>
    inSmallWorld({ machines: { sick: overflowedMachine(), hung: hungMachine() } }, async (world) => {
      const report = await world.run({ mode: 'plan' });
      expect(report.totals).toMatchObject({ affected: 2, resized: 1, restarted: 1 });
      expect(world.service.cloud.mutatingCalls).toBe(0);
    }));
});

describe('the status of a run', () => {
  test('whose sweep was stopped or cut off is failed, and says what to do', () =>
    inSmallWorld({ machines: { sick: overflowedMachine() } }, async (world) => {
      const started = await world.call({});
      if (!started.ok) throw new Error(started.message);
      const { runId, executionArn } = started.value as Record<string, string>;
      await world.minutes(0.2);
      expect(await world.call({ status: runId })).toMatchObject({ value: { status: 'started' } });
      world.service.engine.stop(executionArn ?? '');
      expect(await world.call({ status: runId })).toMatchObject({
        value: {
          status: 'failed',
          message: expect.stringMatching(/^Its sweep stopped at 2026-11-22T04:00.*without a report.*run again/),
        },
      });
    }));

  test('says that it does not know whether the sweep still runs', () => {
    const faults = new ScriptedFaults([
      { kind: 'denied', calls: 'lambda:GetDurableExecution', times: Number.POSITIVE_INFINITY },
    ]);
    return inSmallWorld({ machines: { sick: overflowedMachine() }, faults }, async (world) => {
      const started = await world.call({});
      if (!started.ok) throw new Error(started.message);
      const { runId } = started.value as Record<string, string>;
      await world.minutes(0.2);
      expect(await world.call({ status: runId })).toMatchObject({
        value: { status: 'started', message: expect.stringMatching(/could not be read \(lambda:GetDurableExecution/) },
      });
    });
  });

  test('is unknown, then started, then the report', () =>
    inSmallWorld({ machines: ONE }, async (world) => {
      const status = async (runId: string) => {
        const answer = await world.call({ status: runId });
        if (!answer.ok) throw new Error(answer.message);
        return answer.value;
      };
      expect(await status('m-20261122T040000Z-none')).toMatchObject({ status: 'unknown' });
      const started = await world.call({ reason: 'the console is full of it' });
      if (!started.ok) throw new Error(started.message);
      const { runId, executionArn, mode, where } = started.value as Record<string, string>;
      expect({ mode, where }).toEqual({ mode: 'apply', where: `Send {"status":"${runId}"} to this function.` });
      await world.minutes(0.05);
      expect(await status(runId ?? '')).toMatchObject({
        runId,
        status: 'started',
        message: expect.stringMatching(/It runs since 2026/),
      });
      await world.service.engine.settled(executionArn ?? '');
      const report = runReportSchema.parse(await status(runId ?? ''));
      expect(report).toEqual(await world.service.reportOf(runId ?? ''));
      expect(report).toMatchObject({ runId, complete: true, totals: { affected: 1, resized: 1 } });
    }));

  test('is failed, with the reason, when no report could be written', () => {
    // Entries are written in the survey; the first Query of the table is the cell's, the sweep's come after it.
    const faults = new ScriptedFaults([{ kind: 'denied', calls: 'dynamodb:Query', times: Number.POSITIVE_INFINITY }]);
    return inSmallWorld({ machines: ONE, faults }, async (world) => {
      const started = await world.call({});
      if (!started.ok) throw new Error(started.message);
      const { runId, executionArn } = started.value as Record<string, string>;
      const ended = await world.service.engine.settled(executionArn ?? '');
      expect(ended.status).toBe('FAILED');
      const answer = await world.call({ status: runId });
      expect(answer).toMatchObject({ ok: true, value: { status: 'failed' } });
      expect(JSON.stringify(answer)).toMatch(/dynamodb:Query.*AccessDenied/);
      expect(world.messages().join()).toMatch(new RegExp(`run ${runId} failed`));
    });
  });
});

describe('the same scheduled time delivered twice', () => {
  const sweeps = (world: SmallWorld) =>
    world.service.engine.executions().filter(({ functionName }) => functionName === 'sweep').length;

  test('is one execution', () =>
    inSmallWorld({ machines: ONE }, async (world) => {
      const scheduledAt = iso(NOW);
      const first = await world.call({ scheduledAt });
      const again = await world.call({ scheduledAt });
      expect(again).toEqual(first);
      expect(sweeps(world)).toBe(1);
      await world.call({ scheduledAt, mode: 'plan' });
      await world.call({ scheduledAt: iso(NOW + HOUR) });
      expect(sweeps(world)).toBe(3);
    }));

  test('also when the gate closed between the deliveries', () =>
    inSmallWorld({ machines: ONE }, async (world) => {
      const scheduledAt = iso(NOW);
      const first = await world.call({ scheduledAt });
      await world.pause('a release is going on');
      const again = await world.call({ scheduledAt });
      expect(again).toMatchObject({ ok: true, value: { executionArn: 'already started under this name' } });
      expect(again.ok && first.ok && again.value.runId === first.value.runId).toBe(true);
      expect(sweeps(world)).toBe(1);
    }));
});

describe('a closed gate turns apply into plan and says why', () => {
  const gated = { ...APPLY, calendars: ['release-freeze'], blockingAlarms: ['checkout-errors'] };
  const open = (world: SmallWorld) => {
    world.service.ssm.setCalendar(HOME.accountId, HOME.region, 'release-freeze', 'OPEN');
    alarm(world, 'OK');
  };
  const alarm = (world: SmallWorld, state: 'OK' | 'ALARM') =>
    world.service.cloudWatch.setAlarm(HOME.accountId, HOME.region, {
      name: 'checkout-errors',
      type: 'MetricAlarm',
      state,
    });
  const denied = (calls: string) => new ScriptedFaults([{ kind: 'denied', calls, times: Number.POSITIVE_INFINITY }]);

  test.each<[string, SmallWorldOptions['faults'], (world: SmallWorld) => Promise<void> | void, RegExp]>([
    ['paused', undefined, (world) => world.pause('ask Ann first'), /^pause: paused: ask Ann first$/],
    [
      'paused for an hour more',
      undefined,
      (world) => world.pause('ask Ann first', iso(NOW + HOUR)),
      /^pause: paused until 2026-11-22T05:00:00.000Z: ask Ann first$/,
    ],
    [
      'a closed calendar',
      undefined,
      (world) => world.service.ssm.setCalendar(HOME.accountId, HOME.region, 'release-freeze', 'CLOSED'),
      /^calendar release-freeze: .*closed/,
    ],
    ['an alarm', undefined, (world) => alarm(world, 'ALARM'), /^alarm checkout-errors: .*is on$/],
    [
      'a calendar that cannot be read',
      denied('ssm:GetCalendarState'),
      () => undefined,
      /closes the gate.*AccessDenied/,
    ],
    ['alarms that cannot be read', denied('monitoring:DescribeAlarms'), () => undefined, /closes the gate/],
    ['a table that cannot be read', denied('dynamodb:GetItem'), () => undefined, /pause could not be read/],
  ])('%s', (_what, faults, close, says) =>
    inSmallWorld({ machines: ONE, policy: gated, ...(faults ? { faults } : {}) }, async (world) => {
      open(world);
      await close(world);
      const answer = await world.call({ mode: 'apply' });
      if (!answer.ok) throw new Error(answer.message);
      expect(answer.value).toMatchObject({ mode: 'plan', gate: { open: false } });
      const { reasons } = answer.value.gate as { reasons: string[] };
      expect(reasons).toHaveLength(1);
      expect(reasons[0]).toMatch(says);
      await world.service.engine.settled(String(answer.value.executionArn));
      expect(world.service.cloud.mutatingCalls).toBe(0);
      if (faults && says.source.startsWith('pause')) return;
      const report = await world.service.reportOf(String(answer.value.runId));
      expect(report).toMatchObject({ mode: 'plan', gate: { open: false, reasons }, totals: { affected: 1 } });
    }),
  );

  test('an open one acts, also after a pause that has ended', () =>
    inSmallWorld({ machines: ONE, policy: gated }, async (world) => {
      open(world);
      await world.pause('until a minute ago', iso(NOW - 60_000));
      const report = await world.run({ mode: 'apply' });
      expect(report).toMatchObject({ mode: 'apply', gate: { open: true, reasons: [] }, totals: { resized: 1 } });
    }));

  test('a plan does not ask it', () =>
    inSmallWorld({ machines: ONE, policy: gated }, async (world) => {
      const report = await world.run({ mode: 'plan' });
      expect(report.gate).toEqual({ open: true, reasons: [] });
      expect(world.attempts('GetCalendarState')).toBe(0);
    }));
});

describe('applying a plan', () => {
  const machines = {
    sick: overflowedMachine(),
    hung: hungMachine(),
    healthy: healthyMachine(),
    /** Overflows only after the plan was made. */
    later: { guest: { files: rules(320), bursts: [{ at: NOW + 600_000, needs: 1500 }] } },
    /** Its owner reboots it after the plan was made, so the overflow is of an older boot then. */
    rebooted: { ...overflowedMachine(), guest: { ...overflowedMachine().guest, rebootsAt: NOW + 600_000 } },
  };

  async function plan(world: SmallWorld): Promise<string> {
    const report = await world.run({ mode: 'plan' });
    expect(report.totals).toMatchObject({ affected: 3, resized: 2, restarted: 1 });
    expect(world.service.cloud.mutatingCalls).toBe(0);
    return report.runId;
  }

  test('does exactly what the plan says and refuses what has drifted', () =>
    inSmallWorld({ machines }, async (world) => {
      const planId = await plan(world);
      await world.minutes(20);
      const report = await world.run({ mode: 'apply', planId });
      const done = (name: string) => actionOn(report, world, name);
      expect(done('sick')).toMatchObject({ action: 'resize', outcome: { result: 'resized', proven: true } });
      expect(done('hung')).toMatchObject({ action: 'restart-then-resize', outcome: { restartedBy: 'stop-start' } });
      expect(done('later')).toMatchObject({
        action: 'leave',
        reason: expect.stringMatching(/drifted.*the plan does not name this instance/),
      });
      expect(done('rebooted')).toMatchObject({
        action: 'leave',
        reason: expect.stringMatching(/drifted.*the plan said resize/),
        outcome: null,
      });
      expect(world.truth('later').effectiveLimit).toBe(320);
      expect(world.truth('rebooted').effectiveLimit).toBe(320);
      const sentTo = world.commands().flatMap(({ instanceIds }) => instanceIds);
      expect(sentTo.map((id) => world.nameOf(id)).sort()).toEqual(['hung', 'sick']);
      expect(report.totals).toMatchObject({ affected: 4, resized: 1, restarted: 1, left: 2 });
    }));

  test('is refused when the plan is none, unfinished, too old or made under another policy', () =>
    inSmallWorld({ machines: ONE }, async (world) => {
      const { hub } = world.service;
      const planId = (await world.run({ mode: 'plan' })).runId;
      const applied = (await world.run({ mode: 'apply' })).runId;
      const record = await hub.ledger.getRun(planId);
      if (!record.ok || !record.value) throw new Error('the plan is not in the ledger');
      await hub.ledger.putRun({ ...record.value, runId: 'm-unfinished', status: 'started', endedAt: null });
      const before = world.service.engine.executions().length;
      const ask = (id: string, ports = hub) => handleRunEvent(ports, { mode: 'apply', planId: id });
      await expect(ask('m-20261122T040000Z-none')).rejects.toThrow(/planId: the plan .* does not exist/);
      await expect(ask(applied)).rejects.toThrow(/is not a plan but a run that applied/);
      await expect(ask('m-unfinished')).rejects.toThrow(/is not done/);
      const other = { ...hub, policy: policySchema.parse({ ...APPLY, sizing: { maximum: 16_384 } }) };
      await expect(ask(planId, other)).rejects.toThrow(/was made under another policy/);
      await expect(handleRunEvent(hub, { mode: 'plan', planId })).rejects.toThrow(/planId asks to apply/);
      await world.minutes(24 * 60);
      await expect(ask(planId)).rejects.toThrow(/expired \(older than 24 hours\)/);
      expect(world.service.engine.executions()).toHaveLength(before);
    }));
});
