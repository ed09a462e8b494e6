/**
 * `npm run chaos`: lives seeded worlds full of bad days and holds the twelve invariants against what truly happened.
 * Exit code 0: none broke; 1: one did, and its seed is printed; 2: wrong usage; 3: the harness itself
 * broke down.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { WorldEvent } from '../../simulator/core.ts';
import { realNow } from '../../simulator/virtual-time.ts';
import { FAULT_NAMES } from './fault-names.ts';
import { iso, type Violation } from './invariants.ts';
import { type Lived, live } from './life.ts';
import { liveAll, WorldFailed } from './pool.ts';
import { WORLD_KINDS, type WorldKind } from './world.ts';

interface Options {
  readonly runs?: number;
  readonly seed: number;
  readonly kind?: WorldKind;
  readonly json?: true;
  readonly trace?: true;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('a whole number from 1 is needed.');
  return Number(text);
}

const program = new Command('chaos')
  .description('Lives seeded worlds full of bad days and checks the twelve invariants after each.')
  .option('--runs <n>', 'how many worlds (default: 100; with --trace 1)', wholeNumber)
  .option('--seed <s>', 'seed of the first; the others follow it', wholeNumber, 1)
  .addOption(new Option('--kind <kind>', 'only worlds of this kind (default: a mixture)').choices(WORLD_KINDS))
  .option('--json', 'one JSON object on stdout')
  .option('--trace', 'print every event of one world')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function lineOf({ at, kind, what, instanceId, region, detail }: WorldEvent): string {
  return `${iso(at)} ${kind} ${what}${instanceId ? ` ${instanceId}` : ''}${region ? ` ${region}` : ''}${detail ? ` ${JSON.stringify(detail)}` : ''}`;
}

function textOf({ seed, invariant, instanceId, at, what }: Violation): string {
  return `seed ${seed}: invariant ${invariant}${instanceId ? `, ${instanceId}` : ''}, ${at}: ${what}`;
}

async function main(): Promise<number> {
  const { runs: asked, seed, kind, json, trace } = program.parse().opts<Options>();
  const only = kind ?? null;
  const runs = asked ?? (trace ? 1 : 100);
  if (trace && runs !== 1) program.error('--trace replays one world: give --runs 1 and its --seed', { exitCode: 2 });
  const began = realNow();
  const violations: Violation[] = [];
  const faults: Record<string, number> = Object.fromEntries(FAULT_NAMES.map((name) => [name, 0]));
  let done = 0;
  const take = (_seed: number, lived: Lived) => {
    done++;
    violations.push(...lived.violations);
    for (const [name, strikes] of Object.entries(lived.faults)) faults[name] = (faults[name] ?? 0) + strikes;
    // At once, and on stderr: a long campaign that is broken off has said what it found.
    for (const violation of lived.violations) process.stderr.write(`${textOf(violation)}\n`);
    if (!trace && process.stderr.isTTY) process.stderr.write(`\r${done} of ${runs} worlds`);
  };
  if (trace) take(seed, await live(seed, { only, onEvent: (event) => say(lineOf(event)) }));
  else
    await liveAll(
      Array.from({ length: runs }, (_, i) => seed + i),
      only,
      take,
    );
  violations.sort((a, b) => a.seed - b.seed);
  const seconds = Math.round((realNow() - began) / 100) / 10;
  if (json) say(JSON.stringify({ runs, seed, violations, faults, seconds }));
  else print(runs, seed, violations, faults, seconds);
  return violations.length > 0 ? 1 : 0;
}

function print(
  runs: number,
  seed: number,
  violations: readonly Violation[],
  faults: Readonly<Record<string, number>>,
  seconds: number,
): void {
  if (process.stderr.isTTY) process.stderr.write('\r');
  for (const violation of violations) say(textOf(violation));
  const strikes = Object.entries(faults).sort(([, a], [, b]) => b - a);
  const widest = Math.max(...strikes.map(([name]) => name.length));
  for (const [name, count] of strikes) say(`  ${name.padEnd(widest)}  ${count}`);
  const rate = Math.round((runs / Math.max(seconds, 0.1)) * 60);
  say(`${runs} worlds from seed ${seed} in ${seconds} s (${rate} a minute): ${violations.length} violations`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof WorldFailed)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 3;
}
