/** `audit-backlog simulate`: the whole service at work on an embedded region, or that region served to any AWS client. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RunReport } from '../../domain/contracts.ts';
import { EXIT, type ExitCode, exitCodeOf, UsageError } from '../exit-codes.ts';
import { jsonLine } from '../plain-text.ts';
import { printReport } from '../present.ts';
import { createProgress } from '../progress.ts';
import { SimulationProgress } from '../simulation-progress.ts';

interface SimulateOptions {
  readonly instances: number;
  readonly seed: number;
  readonly mode: 'plan' | 'apply';
  readonly json?: boolean;
  readonly serve?: boolean;
  readonly port?: number;
}

const MOST_INSTANCES = 20_000;
const REPAINT_MS = 80;

function wholeNumber(low: number, high: number) {
  return (text: string): number => {
    const n = Number(text);
    if (!/^\d+$/.test(text) || n < low || n > high) {
      throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
    }
    return n;
  };
}

/** Adds the command. */
export function addSimulate(program: Command, done: (code: ExitCode) => void): void {
  program
    .command('simulate')
    .description('cures a simulated fleet with the real handlers, SDK clients and runbook; needs no AWS account')
    .option('--instances <n>', 'how many instances', wholeNumber(1, MOST_INSTANCES), 300)
    .option('--seed <n>', 'another seed is another fleet', wholeNumber(0, 2 ** 31 - 1), 7)
    .addOption(
      new Option('--mode <mode>', 'plan looks and touches nothing').choices(['plan', 'apply']).default('apply'),
    )
    .option('--json', 'print the run report as JSON, alone on stdout')
    .option('--serve', 'serve the region over HTTP on 127.0.0.1 instead, for any AWS client')
    .option('--port <n>', 'port for --serve; 0 takes a free one', wholeNumber(0, 65_535))
    .addHelpText(
      'after',
      `
Examples:
  audit-backlog simulate --instances 500 --seed 7 --json
  audit-backlog simulate --mode plan
  audit-backlog simulate --serve --port 4599 --instances 50
    aws --endpoint-url http://127.0.0.1:4599 --region eu-west-1 ec2 describe-instances`,
    )
    .action(async (options: SimulateOptions) => {
      if (options.port !== undefined && !options.serve) throw new UsageError('--port needs --serve; add --serve');
      done(options.serve ? await serveUntilStopped(options) : await runAndPrint(options));
    });
}

async function runAndPrint({ instances, seed, mode, json }: SimulateOptions): Promise<ExitCode> {
  // Loaded only here: the whole simulated world would make every other command slower.
  const { simulate } = await import('../simulation.ts');
  const progress = await createProgress({ stream: process.stderr });
  const shown = new SimulationProgress(progress, instances);
  let report: RunReport;
  try {
    report = await simulate({
      instances,
      seed,
      mode,
      onEvent: (event, main) => shown.see(event, main),
      paint: { everyMilliseconds: REPAINT_MS, draw: () => shown.draw() },
    });
  } finally {
    progress.done();
  }
  if (json) process.stdout.write(jsonLine(report));
  else printReport(report, (text) => process.stdout.write(text));
  return exitCodeOf(report);
}

async function serveUntilStopped({ instances, seed, port = 4599 }: SimulateOptions): Promise<ExitCode> {
  const { serveFleet } = await import('../served-region.ts');
  const { serve } = await import('../../simulator/server.ts');
  const cloud = serveFleet(instances, seed);
  const serving = await serve(cloud, port).catch((error: Error) => {
    throw new UsageError(`port ${port} cannot be opened (${error.message}); choose another with --port`);
  });
  process.stdout.write(
    `The embedded region answers on http://127.0.0.1:${serving.port} (eu-west-1 and us-east-1, any credentials). Ctrl-C ends it.\n`,
  );
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await serving.close();
  return EXIT.done;
}
