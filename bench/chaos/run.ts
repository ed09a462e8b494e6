/**
 * `npm run chaos`: lives seeded worlds full of bad days and holds the twelve invariants against what truly happened.
 * Exit code 0: none broke; 1: one did, and its seed is printed; 2: wrong usage; 3: the harness itself
 * broke down; 130: broken off before that, with what was lived so far.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { WorldEvent } from '../../simulator/core.ts';
import { realNow } from '../../simulator/virtual-time.ts';
import { iso } from './found.ts';
import type { Lived } from './life.ts';
import { liveAll, WorldFailed } from './pool.ts';
import { summary, Tally, violationText } from './tally.ts';
import { WORLD_KINDS, type WorldKind } from './world.ts';

interface Options {
  readonly runs?: number;
  readonly seed: number;
  readonly kind?: WorldKind;
  readonly json?: true;
  readonly trace?: true;
}

/** Seeds are 32 bits: of a larger one the simulator would see only the last 32. */
const LARGEST = 2 ** 32 - 1;

function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) < 1 || Number(text) > LARGEST) {
    throw new InvalidArgumentError(`a whole number from 1 to ${LARGEST} is needed.`);
  }
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

async function main(): Promise<number> {
  const { runs: asked, seed, kind, json, trace } = program.parse().opts<Options>();
  const only = kind ?? null;
  const runs = asked ?? (trace ? 1 : 100);
  if (trace && runs !== 1) program.error('--trace replays one world: give --runs 1 and its --seed', { exitCode: 2 });
  if (seed + runs - 1 > LARGEST) program.error(`the last seed would be beyond ${LARGEST}`, { exitCode: 2 });
  const began = realNow();
  const tally = new Tally();
  const take = (_seed: number, lived: Lived) => {
    tally.take(lived);
    // At once, and on stderr: a long campaign that is broken off has said what it found.
    for (const violation of lived.violations) process.stderr.write(`${violationText(violation)}\n`);
    if (!trace && process.stderr.isTTY) process.stderr.write(`\r${tally.lived} of ${runs} worlds`);
  };
  const broken = new AbortController();
  process.once('SIGINT', () => broken.abort()).once('SIGTERM', () => broken.abort());
  if (trace) {
    // Loaded only here: who hands out worlds need not be able to live them.
    const { live } = await import('./life.ts');
    take(seed, await live(seed, { only, onEvent: (event) => say(lineOf(event)) }));
  } else {
    const seeds = Array.from({ length: runs }, (_, i) => seed + i);
    const onNote = (text: string) => process.stderr.write(`${text}\n`);
    await liveAll({ seeds, only, onLived: take, onNote, signal: broken.signal });
    if (process.stderr.isTTY) process.stderr.write('\r');
  }
  const seconds = Math.round((realNow() - began) / 100) / 10;
  const { violations, faults, worlds, lived, planMutatingCalls, killsInRestarts } = tally;
  const cutShort = lived < runs;
  if (json) {
    const more = { worlds, planMutatingCalls, killsInRestarts, ...(cutShort ? { asked: runs } : {}) };
    say(JSON.stringify({ runs: lived, seed, violations, faults, seconds, ...more }));
  } else {
    say(summary(tally, seed, seconds));
    if (cutShort) say(`broken off: ${lived} of ${runs} worlds were lived`);
  }
  if (violations.length > 0) return 1;
  return cutShort ? 130 : 0;
}

// Somebody who has read enough of a trace closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof WorldFailed)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 3;
}
