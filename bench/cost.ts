/**
 * What a sweep uses, measured on the embedded region: `node bench/cost.ts 100 1000 4000 10000:plan` prints one line of JSON
 * per fleet and mode. Without arguments it writes docs/cost.md from the lines of bench/cost-measured.jsonl.
 */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { DEMO_CELLS, demoPolicy } from '../cli/demo-policy.ts';
import { populate } from '../cli/population.ts';
import { SimulatedService } from '../cli/simulated-service.ts';
import type { PolicyInput } from '../domain/policy.ts';
import { SHAPES } from '../lib/functions.ts';
import type { FunctionName } from '../lib/permissions.ts';
import type { WorldEvent } from '../simulator/core.ts';
import { EARLIER_SWEEP_HOURS, FLEET_BEGINS_HOURS, plannedFleet } from '../simulator/fleet.ts';
import type { Answering } from '../simulator/in-process.ts';
import type { WireAnswer, WireRequest } from '../simulator/protocols.ts';
import { VirtualTime } from '../simulator/virtual-time.ts';
import { COST_DOC, costDocument, type Measured, measured } from './cost-doc.ts';

const SWEEP_AT = Date.UTC(2026, 10, 22, 4);
const HOUR_MS = 3_600_000;
const CELL = DEMO_CELLS[0];
const SEED = 7;

/** The largest `resize.maxPerRun` that a policy may say. */
const MOST_RESIZES = 2000;

/** Units of DynamoDB: 1 KB written, 4 KB read consistently. An item counts by itself, rounded up. */
const WRITTEN_UNIT = 1024;
const READ_UNIT = 4096;

/** Counts what passes between the service and the cloud. */
class Meter {
  writeUnits = 0;
  readUnits = 0;
  logBytes = 0;
  events = 0;

  async handle(cloud: Answering, request: WireRequest): Promise<WireAnswer> {
    const answer = await cloud.handle(request);
    const { body } = request;
    const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
    this.#count(request.headers['x-amz-target'] ?? '', text, String(answer.body));
    return answer;
  }

  #count(target: string, body: string, answer: string): void {
    const [service = '', action = ''] = target.split('.');
    if (service.startsWith('DynamoDB')) {
      if (/^(PutItem|DeleteItem)$/.test(action)) this.writeUnits += units(body.length, WRITTEN_UNIT);
      if (action === 'BatchWriteItem') {
        const tables = Object.values((JSON.parse(body) as { RequestItems: object }).RequestItems) as object[][];
        for (const item of tables.flat()) this.writeUnits += units(JSON.stringify(item).length, WRITTEN_UNIT);
      }
      if (/^(GetItem|BatchGetItem|Query)$/.test(action)) this.readUnits += units(answer.length, READ_UNIT);
    }
    if (action === 'PutLogEvents') this.logBytes += body.length;
    if (action === 'PutEvents') this.events++;
  }
}

function units(bytes: number, unit: number): number {
  return Math.max(1, Math.ceil(bytes / unit));
}

/** Seconds that functions ran, by name: from each invocation to its suspension or end. Time of the virtual clock. */
function seconds(events: readonly WorldEvent[]): Map<FunctionName, { ran: number; invocations: number }> {
  const sums = new Map<FunctionName, { ran: number; invocations: number }>();
  const since = new Map<string, { readonly at: number; readonly name: FunctionName }>();
  for (const { kind, what, at, detail = {} } of events) {
    if (kind !== 'durable') continue;
    const key = String(detail.execution ?? detail.id);
    if (what === 'invoke') since.set(key, { at, name: detail.function as FunctionName });
    const begun = since.get(key);
    if (!begun || !['suspend', 'end', 'kill', 'error'].includes(what)) continue;
    since.delete(key);
    const sum = sums.get(begun.name) ?? { ran: 0, invocations: 0 };
    sums.set(begun.name, { ran: sum.ran + (at - begun.at) / 1000, invocations: sum.invocations + 1 });
  }
  return sums;
}

async function measure(instances: number, mode: 'plan' | 'apply'): Promise<Measured> {
  const time = VirtualTime.install({ seed: SEED, start: SWEEP_AT - FLEET_BEGINS_HOURS * HOUR_MS });
  try {
    const scope = { accounts: [CELL.accountId], regions: [CELL.region] };
    const demo = demoPolicy(instances);
    const resize = { maxPerRun: Math.min(MOST_RESIZES, demo.resize?.maxPerRun ?? MOST_RESIZES) };
    const policy: PolicyInput = { ...demo, overrides: [], scope, mode, resize };
    const between = (cloud: Answering): Answering => ({ handle: (request) => meter.handle(cloud, request) });
    const service = new SimulatedService({ seed: SEED, policy, home: CELL, between });
    const fleet = plannedFleet({ instances, seed: SEED, mainSweepAt: SWEEP_AT, cells: [CELL] });
    populate(service, fleet, SEED);
    const until = (at: number) => new Promise((resolve) => setTimeout(resolve, at - Date.now()));
    const sweep = () => service.run({ mode, scheduledAt: new Date().toISOString() });
    let ended = false;
    let meter = new Meter();
    let earlierEvents = 0;
    const swept = (async () => {
      for (const hours of EARLIER_SWEEP_HOURS) {
        await until(SWEEP_AT - hours * HOUR_MS);
        await sweep();
      }
      await until(SWEEP_AT);
      meter = new Meter();
      earlierEvents = service.log.events.length;
      return sweep();
    })().finally(() => {
      ended = true;
    });
    swept.catch(() => undefined);
    await time.drive(() => ended, { pending: () => service.engine.pending() });
    const { totals, startedAt, endedAt } = await swept;
    const ran = [...seconds(service.log.events.slice(earlierEvents))].filter(([name]) => name !== 'reconcile');
    const executions = service.engine.executions().filter(({ startedAt: at }) => at >= SWEEP_AT);
    const use = executions.map((execution) => execution.use);
    const sum = (of: (one: (typeof use)[number]) => number) => use.reduce((total, one) => total + of(one), 0);
    const metered = (name: FunctionName) =>
      executions.filter(({ functionName }) => functionName === name).map((execution) => execution.use.metered);
    return {
      instances,
      mode,
      affected: totals.affected,
      resized: totals.resized,
      restarted: totals.restarted,
      minutes: Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 6000) / 10,
      operations: sum((one) => one.metered),
      cellOperations: Math.max(...metered('cell')),
      writtenMB: round(sum((one) => one.bytes) / 1e6),
      invocations: ran.reduce((total, [, one]) => total + one.invocations, 0),
      gbSeconds: round(ran.reduce((total, [name, one]) => total + (one.ran * SHAPES[name].memorySize) / 1024, 0)),
      restartOperations: metered('restart'),
      writeUnits: meter.writeUnits,
      readUnits: meter.readUnits,
      logMB: round(meter.logBytes / 1e6),
      events: meter.events,
    };
  } finally {
    time.uninstall();
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

const MODES = ['plan', 'apply'] as const;
type Mode = (typeof MODES)[number];

/** `1000` is both modes. */
function fleetOf(text: string, before: readonly [number, Mode][] = []): readonly [number, Mode][] {
  const [, count = '', only] = /^([1-9]\d{0,5})(?::(plan|apply))?$/.exec(text) ?? [];
  if (count === '') throw new InvalidArgumentError('A fleet is written 1000, 1000:plan or 1000:apply.');
  const modes = MODES.filter((mode) => only === undefined || mode === only);
  return [...before, ...modes.map((mode): [number, Mode] => [Number(count), mode])];
}

const program = new Command('cost')
  .description('Measures what a sweep uses; without fleets it writes docs/cost.md from what was measured before.')
  .argument('[fleets...]', 'instances, with :plan or :apply for one mode alone', fleetOf)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse();
const fleets: readonly [number, Mode][] = program.processedArgs[0] ?? [];
if (fleets.length === 0) writeFileSync(COST_DOC, costDocument(measured()));
for (const [instances, mode] of fleets) process.stdout.write(`${JSON.stringify(await measure(instances, mode))}\n`);
