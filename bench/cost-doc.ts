/** docs/cost.md: every figure from what was measured (bench/cost-measured.jsonl), the prices below and the stack itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AuditBacklogRemediation } from '../lib/audit-backlog-remediation.ts';
import { RECORD_COUNTS, RUN_COUNTS } from '../lib/metrics.ts';

const ROOT = join(import.meta.dirname, '..');
/** Where the document and the measurements stand. */
export const COST_DOC = join(ROOT, 'docs', 'cost.md');
const MEASURED = join(ROOT, 'bench', 'cost-measured.jsonl');

/** One line of `node bench/cost.ts`: what one sweep of one cell used. */
export interface Measured {
  readonly instances: number;
  readonly mode: 'plan' | 'apply';
  readonly affected: number;
  readonly resized: number;
  readonly restarted: number;
  readonly minutes: number;
  /** Durable operations of all executions, and of the cell's own. */
  readonly operations: number;
  readonly cellOperations: number;
  readonly writtenMB: number;
  readonly invocations: number;
  readonly gbSeconds: number;
  readonly restartOperations: readonly number[];
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly logMB: number;
  readonly events: number;
}

const LAMBDA = 'https://aws.amazon.com/lambda/pricing/';
const CLOUDWATCH = 'https://aws.amazon.com/cloudwatch/pricing/';
const DYNAMODB = 'https://aws.amazon.com/dynamodb/pricing/on-demand/';

/** USD in us-east-1, without free tiers, as remembered in November 2026: nobody read the pages for it. */
const PRICES = {
  gbSecond: { usd: 13.3334e-6, per: '1 million GB-seconds, arm64', times: 1e6, page: LAMBDA },
  request: { usd: 0.2e-6, per: '1 million requests', times: 1e6, page: LAMBDA },
  operation: { usd: 8e-6, per: '1 million durable operations', times: 1e6, page: LAMBDA },
  written: { usd: 0.25, per: 'GB written by executions', times: 1, page: LAMBDA },
  retained: { usd: 0.15, per: 'GB of executions kept, a month', times: 1, page: LAMBDA },
  writeUnit: { usd: 0.625e-6, per: '1 million write units', times: 1e6, page: DYNAMODB },
  readUnit: { usd: 0.125e-6, per: '1 million read units', times: 1e6, page: DYNAMODB },
  logs: { usd: 0.5, per: 'GB of logs taken in', times: 1, page: CLOUDWATCH },
  alarm: { usd: 0.1, per: 'metric of an alarm, a month', times: 1, page: CLOUDWATCH },
  metric: { usd: 0.3, per: 'metric of its own, a month', times: 1, page: CLOUDWATCH },
  dashboard: { usd: 3, per: 'dashboard, a month (the first three are free)', times: 1, page: CLOUDWATCH },
  event: { usd: 1e-6, per: '1 million events', times: 1e6, page: 'https://aws.amazon.com/eventbridge/pricing/' },
} as const;

/** What the arithmetic supposes. */
const SWEEPS = (30 * 24) / 4;
const AFFECTED = 0.01;
const RECONCILES = (30 * 24 * 60) / 5;
/** Of one call of reconcile. Units: seconds, GB. */
const RECONCILE_SECONDS = 0.3;
const RECONCILE_GB = 0.5;
/** What Lambda writes of one invocation into its log. Unit: KB. */
const LOG_KB = 1;
/** How long an execution is kept. Unit: days. */
const KEPT_DAYS = 14;

export const FLEETS = [100, 1_000, 10_000, 100_000] as const;

/** @throws when the file has no two sizes to draw a line through. */
export function measured(): readonly Measured[] {
  const lines = readFileSync(MEASURED, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Measured);
}

/** A straight line through the second smallest and the largest fleet: the smallest has too many odd machines. */
function line(
  rows: readonly Measured[],
  of: (row: Measured) => number,
): { readonly each: number; readonly fixed: number } {
  const plan = rows.filter(({ mode }) => mode === 'plan').sort((a, b) => a.instances - b.instances);
  const [, low] = plan;
  const high = plan.at(-1);
  if (!low || !high || low === high)
    throw new RangeError('measure at least three sizes: node bench/cost.ts 100 1000 4000');
  const each = (of(high) - of(low)) / (high.instances - low.instances);
  return { each, fixed: Math.max(0, of(low) - each * low.instances) };
}

interface Row {
  readonly name: string;
  readonly price: string;
  /** A month's use and its price in USD. */
  readonly of: (instances: number) => { readonly used: number; readonly usd: number };
}

/** What the deployed stack has, whatever it finds. */
function standing(): { readonly alarms: number; readonly alarmMetrics: number; readonly dashboards: number } {
  const app = new App({ context: { 'aws:cdk:bundling-stacks': [] }, analyticsReporting: false });
  const stack = new Stack(app, 'Cost');
  new AuditBacklogRemediation(stack, 'Service');
  const template = Template.fromStack(stack);
  const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
  const metrics = alarms.map(({ Properties }) =>
    Properties.Metrics ? Properties.Metrics.filter((one: { MetricStat?: unknown }) => one.MetricStat).length : 1,
  );
  return {
    alarms: alarms.length,
    alarmMetrics: metrics.reduce((sum: number, count: number) => sum + count, 0),
    dashboards: Object.keys(template.findResources('AWS::CloudWatch::Dashboard')).length,
  };
}

/** A month of sweeps that only look. */
export function monthly(rows: readonly Measured[]): readonly Row[] {
  const per = (of: (row: Measured) => number) => {
    const { each, fixed } = line(rows, of);
    return (instances: number) => SWEEPS * (fixed + each * instances);
  };
  /** Of what depends on the affected ones alone, the share that was measured and the share that is supposed. */
  const perAffected = (of: (row: Measured) => number) => {
    const largest = rows.filter(({ mode }) => mode === 'plan').sort((a, b) => b.instances - a.instances)[0];
    const each = largest ? of(largest) / largest.affected : 0;
    return (instances: number) => SWEEPS * each * AFFECTED * instances;
  };
  const priced = (name: string, key: keyof typeof PRICES, used: (instances: number) => number): Row => ({
    name,
    price: `${price(PRICES[key].usd * PRICES[key].times)} per ${PRICES[key].per}`,
    of: (instances) => ({ used: used(instances), usd: used(instances) * PRICES[key].usd }),
  });
  const largestShare = Math.max(
    ...rows.map(({ writtenMB, instances }) => (instances >= 1000 ? writtenMB / instances : 0)),
  );
  const data = (instances: number) => (SWEEPS * largestShare * instances) / 1000;
  const invocations = per((row) => row.invocations);
  const { alarmMetrics, dashboards } = standing();
  return [
    priced(
      'GB-seconds of sweeps',
      'gbSecond',
      per((row) => row.gbSeconds),
    ),
    priced(
      'durable operations',
      'operation',
      per((row) => row.operations),
    ),
    priced('data of executions, written (GB)', 'written', data),
    priced(`the same, kept for ${KEPT_DAYS} days (GB)`, 'retained', (instances) => (data(instances) * KEPT_DAYS) / 30),
    priced(
      'table, write units',
      'writeUnit',
      perAffected((row) => row.writeUnits),
    ),
    priced(
      'table, read units',
      'readUnit',
      perAffected((row) => row.readUnits),
    ),
    priced(
      'logs: records and functions (GB)',
      'logs',
      (instances) => perAffected((row) => row.logMB)(instances) / 1000 + (invocations(instances) * LOG_KB) / 1e6,
    ),
    priced(
      'events',
      'event',
      per((row) => row.events),
    ),
    priced('requests: sweeps and reconcile', 'request', (instances) => invocations(instances) + RECONCILES),
    priced('GB-seconds of reconcile', 'gbSecond', () => RECONCILES * RECONCILE_SECONDS * RECONCILE_GB),
    priced('metrics of alarms', 'alarm', () => alarmMetrics),
    priced('metrics of its own, at most', 'metric', () => RUN_COUNTS.length + Object.keys(RECORD_COUNTS).length),
    priced('dashboards', 'dashboard', () => dashboards),
  ];
}

/** The whole text. */
export function costDocument(rows: readonly Measured[]): string {
  const months = monthly(rows);
  const total = (instances: number) => months.reduce((sum, row) => sum + row.of(instances).usd, 0);
  const standingUsd = months.slice(-3).reduce((sum, row) => sum + row.of(0).usd, 0);
  const { each, fixed } = line(rows, (row) => row.cellOperations);
  const seconds = line(rows, (row) => row.gbSeconds);
  const sizes = [...Map.groupBy(rows, ({ instances }) => instances)].map(([instances, [first, ...others]]) =>
    others.length > 0 ? String(instances) : `${instances}:${first?.mode}`,
  );
  const apply = rows.find(({ mode, restarted }) => mode === 'apply' && restarted > 0);
  const plan = rows.find(({ mode, instances }) => mode === 'plan' && instances === apply?.instances);
  if (!apply || !plan) throw new RangeError('no measured sweep restarted anything: measure 1000 instances');
  const restarts = rows.flatMap(({ restartOperations }) => restartOperations);
  const biggest = rows.reduce((a, b) => (b.instances > a.instances ? b : a));
  const cellOperations = Math.ceil((fixed + each * 100_000) / 10) * 10;
  const largest = FLEETS.at(-1) ?? 0;
  return `# What it costs

<!-- Made by \`node bench/cost.ts\` from bench/cost-measured.jsonl and the prices in bench/cost-doc.ts; a test compares. -->

At rest about ${money(standingUsd)} USD a month for alarms, metrics and the dashboard; then about ${money((total(largest) - total(100)) / (largest / 1000))} USD for every thousand
instances at the default of a sweep every four hours. EC2's and SSM's calls cost nothing, nor does Run Command on EC2
instances; KMS is asked about keys only before a restart.

## Measured

\`node bench/cost.ts ${sizes.join(' ')} > bench/cost-measured.jsonl\`: one cell of the embedded region, one sweep after three
earlier ones, the shipped quota share (10 consoles a second). Seconds are those of the virtual clock: answers of 20 to 80 ms, pacing and
waits as on AWS, no computing time; of the latter a page of 100 consoles takes well below a second. In plan mode nothing is
resized or restarted; the numbers say what would be.

${table(
  [
    'instances',
    'mode',
    'affected',
    'resized',
    'restarted',
    'minutes',
    'durable operations',
    'of the cell',
    'GB-seconds',
    'invocations',
    'table units written',
    'read',
    'records, MB',
  ],
  rows.map((row) => [
    count(row.instances),
    row.mode,
    count(row.affected),
    count(row.resized),
    count(row.restarted),
    String(row.minutes),
    count(row.operations),
    count(row.cellOperations),
    String(row.gbSeconds),
    count(row.invocations),
    count(row.writeUnits),
    count(row.readUnits),
    String(row.logMB),
  ]),
)}

A sweep that acts, beside one that only looks, at ${count(apply.instances)} instances: ${count(apply.operations - plan.operations)} operations, ${round(apply.gbSeconds - plan.gbSeconds)} GB-seconds and
${count(apply.writeUnits - plan.writeUnits)} units written for ${apply.resized} resizes and ${apply.restarted} restarts. A restart took ${Math.min(...restarts)} to ${Math.max(...restarts)} operations.

## Arithmetic

A month of 30 days has ${SWEEPS} sweeps. Supposed: ${AFFECTED * 100} % of the instances are affected; reconcile runs ${RECONCILE_SECONDS} s; Lambda logs ${LOG_KB} KB
of an invocation. What grows with the fleet is a line through the second smallest and the largest measured one (GB-seconds: ${round(seconds.each * 1000)} per
thousand instances and sweep); what grows with the affected ones, table units and records, is the largest one's share of each.
Each cell: used in a month, and USD.

${table(
  ['', 'price, USD', ...FLEETS.map((fleet) => `${count(fleet)} instances`)],
  [
    ...months.map(({ name, price, of }) => [
      name,
      price,
      ...FLEETS.map((fleet) => `${amount(of(fleet).used)}: ${money(of(fleet).usd)}`),
    ]),
    ['**a month, USD**', '', ...FLEETS.map((fleet) => `**${money(total(fleet))}**`)],
  ],
)}

**The prices are remembered, not looked up**: us-east-1, November 2026, without free tiers. Check them on AWS's pages, change
\`PRICES\` in \`bench/cost-doc.ts\` and run the command again:

${table(
  ['price', 'USD', 'page'],
  Object.values(PRICES).map(({ usd, per, times, page }) => [per, price(usd * times), page]),
)}

## Bounds

- **Time.** A cell reads 10 consoles a second: ${count(10_000)} instances in ${Math.round(10_000 / 10 / 60)} minutes, ${count(100_000)} in ${round(100_000 / 10 / 3600)} hours. Cells run side by side, so ${count(100_000)} in
  ten accounts or regions take ${Math.round(10_000 / 10 / 60)} minutes. More is a matter of \`quotaShare\` and of your quota.
- **Operations.** An execution has at most 3,000: a cell of 100,000 instances uses about ${count(cellOperations)} to look
  (${round(fixed)} and ${round(each * 100)} per hundred instances, of which here ${Math.round((100 * biggest.affected) / biggest.instances)} % are affected); acting adds to that.
- **Waiting costs nothing.** A restart takes minutes, at worst more than an hour, and its function is suspended meanwhile: ${apply.restarted} restarts made the sweep of
  ${count(apply.instances)} instances ${round(apply.minutes - plan.minutes)} minutes longer; all its GB-seconds beyond those of looking cost ${((apply.gbSeconds - plan.gbSeconds) * PRICES.gbSecond.usd).toFixed(4)} USD.
- **Cheaper.** \`"schedule": "rate(1 day)"\` divides what sweeps use by six. Alarms and metrics are what a small fleet pays for.
`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return lines.join('\n');
}
function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
function amount(value: number): string {
  return value < 10 ? String(Number(value.toPrecision(2))) : count(value);
}
function money(usd: number): string {
  return usd.toFixed(2);
}
/** Of a unit: as many digits as it has. */
function price(usd: number): string {
  return usd.toFixed(Math.abs(usd * 100 - Math.round(usd * 100)) < 0.2 ? 2 : 3);
}
function round(value: number): number {
  return Math.round(value * 10) / 10;
}
