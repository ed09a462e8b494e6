/**
 * The proof on a real kernel: `npm run test:vm -- --help`.
 * Exit code 0 when nothing failed (skipped is said, and why), 1 when something did, 2 for a wrong option.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CACHE, ensureImages, type Image, Unavailable } from './images.ts';
import { AnotherRun, takeLock } from './lock.ts';
import { KINDS, type Kind } from './machine.ts';
import { closingLine, type Result, resultLines } from './report.ts';
import { SCENARIOS } from './scenarios/index.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { Trial } from './trial.ts';

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

const NAMES = SCENARIOS.map(({ name }) => name);

function scenarioName(name: string, before: readonly string[]): readonly string[] {
  if (!NAMES.includes(name)) throw new InvalidArgumentError(`There are: ${NAMES.join(' ')}.`);
  return [...before, name];
}

interface Options {
  readonly json?: true;
  readonly kind?: Kind;
  readonly only: readonly string[];
}

const program = new Command('test:vm')
  .description('Proves the runbook on a real kernel, in QEMU. What it cannot run here it skips, and says why.')
  .addOption(new Option('--kind <kind>', 'machines of this kind alone').choices(KINDS))
  .option('--only <name>', 'this scenario alone; may be given several times', scenarioName, [])
  .option('--json', 'times and findings of every step, as one JSON object')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

function chosen({ kind, only }: Options): [Scenario, Kind][] {
  return KINDS.filter((name) => kind === undefined || name === kind).flatMap((name) =>
    SCENARIOS.filter((s) => s.kinds.includes(name) && (only.length === 0 || only.includes(s.name))).map(
      (s): [Scenario, Kind] => [s, name],
    ),
  );
}

async function runScenario(scenario: Scenario, image: Image): Promise<Result> {
  const trial = new Trial(image);
  const started = Date.now();
  const result = { scenario: scenario.name, kind: image.kind };
  try {
    await scenario.run(trial);
    return { ...result, status: 'passed', milliseconds: Date.now() - started, steps: trial.steps, reason: null };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...result, status: 'failed', milliseconds: Date.now() - started, steps: trial.steps, reason };
  } finally {
    trial.end();
  }
}

async function main(): Promise<number> {
  const options = program.parse().opts<Options>();
  const { json } = options;
  const runs = chosen(options);
  try {
    takeLock(join(CACHE, 'run.lock'));
  } catch (error) {
    if (!(error instanceof AnotherRun)) throw error;
    say(error.message);
    return 1;
  }
  const started = Date.now();
  const results: Result[] = [];
  const tell = (result: Result): void => {
    results.push(result);
    if (!json) process.stdout.write(`${resultLines(result)}\n`);
  };
  try {
    const kinds = KINDS.filter((kind) => runs.some(([, of]) => of === kind));
    const images = await ensureImages(kinds, say);
    for (const [scenario, kind] of runs) {
      const image = images.find((each) => each.kind === kind);
      if (image) tell(await runScenario(scenario, image));
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    for (const [scenario, kind] of runs) {
      tell({ scenario: scenario.name, kind, status: 'skipped', milliseconds: 0, steps: [], reason: error.message });
    }
  }
  const milliseconds = Date.now() - started;
  const record = `${JSON.stringify({ schema: 1, milliseconds, results }, null, 2)}\n`;
  if (json) process.stdout.write(record);
  else process.stdout.write(`${closingLine(results)} (${Math.round(milliseconds / 1000)} s)\n`);
  if (results.some(({ status }) => status !== 'skipped')) writeFileSync(join(CACHE, 'last-run.json'), record);
  return results.some(({ status }) => status === 'failed') ? 1 : 0;
}

process.exit(await main());
