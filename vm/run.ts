/**
 * The proof on a real kernel: `node vm/run.ts [--json] [--kind systemd|sysvinit] [--only NAME]...`
 * Exit code 0 when nothing failed (skipped is said, and why), 1 when something did, 2 for a wrong option.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CACHE, ensureImages, type Image, Unavailable } from './images.ts';
import { AnotherRun, takeLock } from './lock.ts';
import { KINDS } from './machine.ts';
import { closingLine, type Result, resultLines } from './report.ts';
import { SCENARIOS } from './scenarios/index.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { Trial } from './trial.ts';

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** What to run where; usage errors as text. */
function chosen(): { json: boolean; runs: [Scenario, (typeof KINDS)[number]][] } | string {
  const options = {
    json: { type: 'boolean' },
    kind: { type: 'string' },
    only: { type: 'string', multiple: true },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    values = parseArgs({ options }).values;
  } catch (error) {
    return (error as Error).message;
  }
  const { json = false, kind, only = [] } = values;
  if (kind !== undefined && !KINDS.some((name) => name === kind)) return `--kind is one of ${KINDS.join(', ')}`;
  const names = SCENARIOS.map(({ name }) => name);
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) return `no scenario is named ${unknown}; there are: ${names.join(' ')}`;
  const runs = KINDS.filter((name) => kind === undefined || name === kind).flatMap((name) =>
    SCENARIOS.filter((s) => s.kinds.includes(name) && (only.length === 0 || only.includes(s.name))).map(
      (s) => [s, name] as [Scenario, typeof name],
    ),
  );
  return { json, runs };
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
  const choice = chosen();
  if (typeof choice === 'string') {
    say(choice);
    return 2;
  }
  const { json, runs } = choice;
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
