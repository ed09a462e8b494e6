/** `audit-backlog apply`: a plan that somebody looked at, and nothing else. The deployed service does it. */
import type { Command } from 'commander';
import { printable } from '../../domain/printable.ts';
import { EXIT, type ExitCode, exitCodeOf, UsageError } from '../exit-codes.ts';
import { readPlanFile } from '../plan-file.ts';
import { createProgress } from '../progress.ts';
import { addFunctionOptions, type FunctionOptions, openRunFunction, tell, untilInterrupted } from './deployed.ts';

interface ApplyOptions extends FunctionOptions {
  readonly deployed?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
A plan that was altered or has expired, or was made under another policy, is refused whole. Of a plan that is whole, each
entry's facts are read again just before acting; an entry whose facts have drifted is refused, saying what changed, and
the others are done. The deployed service works; ending this program does not end the run.

Examples:
  audit-backlog plan --deployed my-run-function --save plan.json
  audit-backlog apply plan.json
  audit-backlog apply plan.json --reason "change 4711" --json`;

/** Adds the command. */
export function addApply(program: Command, done: (code: ExitCode) => void): void {
  const command = program
    .command('apply')
    .description('applies exactly the plan of a file, by the deployed service')
    .argument('<file>', 'as `plan --deployed FUNCTION --save FILE` wrote it')
    .option('--deployed <function>', 'name or ARN of the deployed run function (default: the one that made the plan)')
    .option('--reason <text>', 'kept with the run');
  addFunctionOptions(command)
    .option('--json', 'print the run report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: ApplyOptions) => {
      const plan = readPlanFile(path, new Date(Date.now()).toISOString());
      const name = options.deployed ?? plan.function;
      if (name === null) {
        throw new UsageError(
          `the plan file ${printable(path)} was made from here, so no deployed service knows it; ` +
            'make one with `plan --deployed FUNCTION --save FILE`',
        );
      }
      const run = await openRunFunction(name, options);
      const progress = await createProgress({ stream: process.stderr });
      const { planId, digest } = plan;
      let goesOn = 'nothing was asked for yet';
      const ended = await untilInterrupted(
        progress,
        () => goesOn,
        async () => {
          goesOn = `whether ${planId} is being applied is not known: look at the function's log`;
          const { reason } = options;
          const started = await run.start({ mode: 'apply', planId, planDigest: digest, ...(reason ? { reason } : {}) });
          if (started.mode !== 'apply') return { started, report: null };
          goesOn = `run ${started.runId} goes on; {"status":"${started.runId}"} to the function says how far it is`;
          return { started, report: await run.report(started.runId, progress) };
        },
      );
      if (ended.report === null) {
        const why = ended.started.gate.reasons.map(printable).join('; ');
        process.stderr.write(`audit-backlog: nothing was applied, for the gate is closed: ${why}\n`);
        return done(EXIT.failed);
      }
      tell(ended.report, options.json === true);
      done(exitCodeOf(ended.report));
    });
}
