/**
 * A second opinion on the embedded durable engine: the same handlers, SDK clients and region on AWS's own test runner
 * for durable functions, with real timers and therefore real suspensions and replays. Takes some seconds.
 */
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import { createHandler as createCell } from '../../lambdas/cell/handler.ts';
import type { CellInput } from '../../lambdas/cell/survey.ts';
import type { CellResult } from '../../lambdas/cell/workflow.ts';
import { createHandler as createRestart } from '../../lambdas/restart/handler.ts';
import { allEntries } from '../../lambdas/sweep/report.ts';
import { SILENT } from '../../lambdas/telemetry.ts';
import { TEMPO } from '../../lambdas/tempo.ts';
import { HOME, healthyMachine, hungMachine, overflowedMachine, SmallWorld } from '../support/small-world.ts';

/** A durable wait is a second at least. */
const tempo = {
  ...TEMPO,
  betweenReadingsSeconds: 1,
  commandDeliverySeconds: 30,
  commandPollSeconds: 1,
  commandEndSeconds: 30,
  effectVisibleSeconds: 1,
  powerPollSeconds: 1,
};

describe('a cell on the test runner of AWS', () => {
  beforeAll(() => LocalDurableTestRunner.setupTestEnvironment({ skipTime: false }));
  afterAll(() => LocalDurableTestRunner.teardownTestEnvironment());

  test('is cured in real time, and so is a machine by its chained restart', async () => {
    const now = Date.now();
    const second = 1000;
    // It hangs while it is planned to be restarted, then comes back; its agent pings a second later. The restart waits
    // for that, looks again, and has only to resize it.
    const backAt = now + 9 * second;
    const hung = hungMachine({ launchTime: backAt + second - 30 * 86_400 * second }, now);
    const hang = { at: now - 2400 * second, needs: 1500, hangs: true, recoversAfterMs: backAt - now + 2400 * second };
    const machines = {
      hung: { ...hung, guest: { ...hung.guest, bursts: [hang], agent: { startsAfterSeconds: 0 } } },
      one: overflowedMachine({}, now),
      well: healthyMachine(),
    };
    const world = new SmallWorld({ machines, eventualConsistencyMs: 0 });
    const { deployment, wire, hub } = world.service;
    const restart = createRestart(deployment, SILENT, wire, undefined, tempo);
    let restartInvocations = 0;
    const runner = new LocalDurableTestRunner<CellResult>({
      handlerFunction: createCell(deployment, SILENT, wire, undefined, tempo),
    });
    runner.registerDurableFunction(deployment.restartFunctionArn ?? '', async (event, context) => {
      restartInvocations++;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, backAt + 2 * second - Date.now())));
      return restart(event, context);
    });
    const payload: CellInput = {
      runId: 'm-real-time',
      mode: 'apply',
      cell: HOME,
      policy: deployment.policy,
      instanceIds: null,
      tags: null,
      maxRestarts: null,
      planId: null,
      pastBreaker: false,
    };
    const execution = await runner.run({ payload });
    expect(execution.getStatus()).toBe('SUCCEEDED');
    // Suspended and replayed at every wait, in the cell and in its child.
    expect(execution.getInvocations().length).toBeGreaterThan(5);
    expect(restartInvocations).toBeGreaterThan(2);
    expect(execution.getResult()?.report).toMatchObject({
      status: 'done',
      instances: 3,
      affected: 2,
      errors: [],
      codes: { healthy: 1, resize: 1, restart: 1 },
    });
    const entries = await allEntries(hub.ledger, payload.runId);
    expect(
      entries.map(({ instanceId, action, outcome }) => [world.nameOf(instanceId), action, outcome?.result]),
    ).toEqual([
      ['hung', 'restart-then-resize', 'resized'],
      ['one', 'resize', 'resized'],
    ]);
    for (const name of ['hung', 'one']) {
      expect(world.truth(name)).toMatchObject({ effectiveLimit: 8192, configuredLimit: 8192, hung: false, boots: 1 });
    }
    // The child's and the cell's own: each sent once, whatever was replayed.
    expect(world.commands().map(({ instanceIds }) => instanceIds.map((id) => world.nameOf(id)))).toEqual([
      ['hung'],
      ['one'],
    ]);
    expect(world.deeds('StopInstances')).toEqual([]);
  }, 90_000);
});
