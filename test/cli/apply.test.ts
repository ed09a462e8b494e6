/** Plan, look, apply exactly that, from the command line: the program as a child process, the deployed service over HTTP. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SimulatedServiceOptions } from '../../cli/simulated-service.ts';
import { type PlanFile, planFileSchema, type RunReport, runReportSchema } from '../../domain/contracts.ts';
import { planDigest } from '../../lambdas/plan-digest.ts';
import { TEMPO } from '../../lambdas/tempo.ts';
import { type Serving, serve } from '../../simulator/server.ts';
import { healthyMachine, overflowedMachine, SmallWorld } from '../support/small-world.ts';
import { healthyService, startEndpoint } from './endpoint.ts';
import { CREDENTIALS, type Ended, expectOneClearLine, run } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'apply-'));
const servings: Serving[] = [];
afterAll(async () => {
  for (const serving of servings) await serving.close();
  rmSync(folder, { recursive: true });
});

const FUNCTION = 'arn:aws:lambda:eu-west-1:111122223333:function:run:live';
/** Waits as short as the service allows: here a second is a second. */
const QUICK = { ...TEMPO, commandPollSeconds: 1, effectVisibleSeconds: 1, betweenReadingsSeconds: 1 };

interface Deployed {
  readonly world: SmallWorld;
  /** The program, against the served region. */
  readonly ask: (...args: string[]) => Promise<Ended>;
  readonly file: string;
}

let files = 0;
async function deployed(options: Partial<SimulatedServiceOptions> = {}): Promise<Deployed> {
  const now = Date.now();
  const machines = {
    sick: overflowedMachine({}, now),
    other: overflowedMachine({}, now),
    well: healthyMachine(),
  };
  const world = new SmallWorld({ machines, eventualConsistencyMs: 0, tempo: QUICK, ...options });
  const serving = await serve(world.service.cloud, 0);
  servings.push(serving);
  const endpoint = ['--endpoint-url', `http://127.0.0.1:${serving.port}`];
  return {
    world,
    ask: (...args) => run([...args, ...endpoint], { env: CREDENTIALS }),
    file: join(folder, `plan-${++files}.json`),
  };
}

const planIn = (file: string): PlanFile => planFileSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
const reportIn = ({ stdout }: Ended): RunReport => runReportSchema.parse(JSON.parse(stdout));
const applied = (world: SmallWorld) => world.commands().flatMap(({ instanceIds }) => instanceIds);

test('what was saved is applied, but for the machine that has drifted since', async () => {
  const { world, ask, file } = await deployed();
  const planned = await ask('plan', '--deployed', FUNCTION, '--save', file);
  expect(planned.stderr).toMatch(/the plan is saved in .*plan-\d+\.json, for apply/);
  expect(planned.stdout).toMatch(/resize 2 \(resize\)/);
  expect(planned.code).toBe(0);
  const plan = planIn(file);
  expect(plan).toMatchObject({ function: FUNCTION, totals: { affected: 2, resized: 2 } });
  expect(plan.entries.map(({ entry }) => [world.nameOf(entry.instanceId), entry.action])).toEqual([
    ['sick', 'resize'],
    ['other', 'resize'],
  ]);
  expect(world.service.cloud.mutatingCalls).toBe(0);

  world.setTag('other', 'AuditBacklogRestart', 'allowed');
  const ended = await ask('apply', file, '--reason', 'change 4711', '--json');
  expect(ended.code).toBe(0);
  const report = reportIn(ended);
  expect(report).toMatchObject({ mode: 'apply', complete: true, totals: { resized: 1, left: 1 } });
  expect(report.actions.find((action) => action.instanceId === world.id('other'))?.reason).toMatch(
    /drifted from the plan: its tag AuditBacklogRestart was absent, now "allowed"/,
  );
  expect(applied(world)).toEqual([world.id('sick')]);
  expect(world.truth('sick').effectiveLimit).toBe(8192);
  const record = await world.service.hub.ledger.getRun(report.runId);
  expect(record).toMatchObject({ value: { request: { planId: plan.planId, reason: 'change 4711' } } });
}, 60_000);

test('a file that is not as it was saved is refused whole, by the program or by the service', async () => {
  const { world, ask, file } = await deployed();
  await ask('plan', '--deployed', FUNCTION, '--save', file);
  const plan = planIn(file);
  const write = (value: object) => writeFileSync(file, JSON.stringify(value));
  const [first, ...others] = plan.entries;
  if (!first) throw new Error('the plan is empty');

  const name = `111122223333/eu-west-1/${first.entry.instanceId}`;
  write({ ...plan, entries: [{ ...first, entry: { ...first.entry, method: 'reboot' } }, ...others] });
  expectOneClearLine(await ask('apply', file), new RegExp(`was altered: the entry of ${name}; nothing was done`));
  write({ ...plan, entries: others });
  expectOneClearLine(await ask('apply', file), /was altered: its digest is not that of its contents/);
  write({ ...plan, expiresAt: '2126-01-01T00:00:00.000Z' });
  expectOneClearLine(await ask('apply', file), /was altered: its digest is not that of its contents/);
  write({ ...plan, colour: 'green' });
  expectOneClearLine(await ask('apply', file), /plan file .*: unknown field colour/);

  // Made anew with all its digests, as only somebody who wants to would: the service knows what it planned.
  const forged = { ...plan, entries: others };
  write({
    ...forged,
    digest: planDigest(
      plan,
      others.map(({ entry }) => entry),
    ),
  });
  expectOneClearLine(await ask('apply', file), /refused: run request: planId: .* is not the one that was looked at/);
  expect(applied(world)).toEqual([]);
}, 60_000);

test('an expired one, one of another policy, and one that nobody keeps', async () => {
  const { ask, file } = await deployed();
  await ask('plan', '--deployed', FUNCTION, '--save', file);
  const plan = planIn(file);
  const entries = plan.entries.map(({ entry }) => entry);
  const sealedAs = (header: Pick<PlanFile, 'planId' | 'expiresAt' | 'policyDigest' | 'function'>) =>
    writeFileSync(file, JSON.stringify({ ...plan, ...header, digest: planDigest(header, entries) }));
  sealedAs({ ...plan, expiresAt: '2026-01-01T00:00:00.000Z' });
  expectOneClearLine(await ask('apply', file), /expired at 2026-01-01T00:00:00.000Z; nothing was done/);
  sealedAs({ ...plan, function: null });
  expectOneClearLine(await ask('apply', file), /was made from here, so no deployed service knows it/);
  sealedAs({ ...plan, planId: 'm-20261122T040000Z-none' });
  expectOneClearLine(await ask('apply', file), /the plan m-20261122T040000Z-none does not exist/);

  const other = await deployed({ policy: { mode: 'apply', sizing: { maximum: 16_384 } } });
  const record = await other.world.service.hub.ledger.getRun(plan.planId);
  expect(record).toMatchObject({ ok: true, value: null });
  expectOneClearLine(await other.ask('plan', '--deployed', FUNCTION, '--policy', file), /--policy does not go with/);
}, 60_000);

test('a closed gate: nothing is applied, and the program says why and fails', async () => {
  const { world, ask, file } = await deployed();
  await ask('plan', '--deployed', FUNCTION, '--save', file);
  await world.pause('ask Ann first');
  const ended = await ask('apply', file);
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(/^audit-backlog: nothing was applied, for the gate is closed: pause: .*ask Ann first$/m);
  expect(applied(world)).toEqual([]);
}, 60_000);

test('a function that is not there, or is another one, is an error in one line', async () => {
  const { ask, world } = await deployed();
  const missing = await ask('plan', '--deployed', FUNCTION.replace('run:live', 'ran'));
  expect(missing).toMatchObject({ code: 1, stdout: '' });
  expect(missing.stderr).toMatch(/^audit-backlog: RunFunctionError: lambda:InvokeFunction: ResourceNotFound.* Next: /m);
  const other = await ask('plan', '--deployed', FUNCTION.replace('run:live', 'reconcile:live'));
  expect(other.stderr).toMatch(/reconcile:live does not answer as the run function does/);
  expect(other.code).toBe(1);
  expect(world.commands()).toEqual([]);
}, 60_000);

test('a plan from a laptop can be saved and read, not applied; a place that cannot be written is said before', async () => {
  const endpoint = await startEndpoint(healthyService());
  try {
    const file = join(folder, 'laptop.json');
    const here = ['plan', '--region', 'eu-west-1', '--endpoint-url', endpoint.url];
    const ended = await run([...here, '--save', file], { env: CREDENTIALS });
    expect(ended.stderr).toMatch(/laptop\.json, to be read only/);
    expect(planIn(file)).toMatchObject({ function: null, entries: [{ entry: { action: 'resize' } }] });
    expectOneClearLine(await run(['apply', file]), /made from here/);
    const before = endpoint.calls.length;
    const nowhere = join(folder, 'nowhere', 'plan.json');
    expectOneClearLine(
      await run([...here, '--save', nowhere], { env: CREDENTIALS }),
      /cannot be written \(ENOENT.*--save/,
    );
    expect(endpoint.calls).toHaveLength(before);
  } finally {
    await endpoint.close();
  }
}, 60_000);
