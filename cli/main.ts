/** `audit-backlog`: the command line. Parses, hands over to a command, and turns what went wrong into one clear line. */
import { Command, CommanderError } from 'commander';
import { printable } from '../domain/printable.ts';
import { InvalidInputError } from '../domain/validation.ts';
import { addApply } from './commands/apply.ts';
import { addDetect } from './commands/detect.ts';
import { addExplain } from './commands/explain.ts';
import { addPlan } from './commands/plan.ts';
import { addSimulate } from './commands/simulate.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';

const EXAMPLES = `
Examples:
  audit-backlog detect console.log                 what one console text proves
  aws ec2 get-console-output ... | audit-backlog detect -
  audit-backlog plan --region eu-west-1            what would be done to your fleet; touches nothing
  audit-backlog apply plan.json                    exactly a plan that the deployed service made and you looked at
  audit-backlog simulate                           a fleet cured before your eyes, without an AWS account
  audit-backlog explain stop-would-lose            why an instance was left alone

Exit codes: 0 done, 1 failed, 2 usage, 3 incomplete (something could not be looked at).
NO_COLOR is honoured.`;

/** Runs the program. @param args what follows the program's name. Never throws: it returns the exit code. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  const done = (result: ExitCode) => {
    code = result;
  };
  process.stdout.on('error', endWhereNobodyReads);
  // Commands inherit what stands here before they are added.
  const program = new Command('audit-backlog')
    .description('Finds and cures EC2 Linux instances whose kernel audit queue overflows.')
    .addHelpText('after', EXAMPLES)
    .configureOutput({
      outputError: (text, write) => write(`audit-backlog: ${oneClearLine(text)} (--help lists what there is)\n`),
    })
    .exitOverride();
  addDetect(program, done);
  addPlan(program, done);
  addApply(program, done);
  addSimulate(program, done);
  addExplain(program);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    return codeOfFailure(error);
  }
}

function oneClearLine(text: string): string {
  return printable(text)
    .trim()
    .replace(/^error: /, '');
}

function codeOfFailure(error: unknown): ExitCode {
  // Commander has said what it had to say (help, or the wrong option) itself.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof UsageError || error instanceof InvalidInputError) {
    process.stderr.write(`audit-backlog: ${printable(error.message)}\n`);
    return EXIT.usage;
  }
  const stack = process.env.DEBUG && error instanceof Error ? error.stack : undefined;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  process.stderr.write(`audit-backlog: ${stack ?? `${printable(text)} (set DEBUG=1 for where it happened)`}\n`);
  return EXIT.failed;
}

/** `audit-backlog ... | head`: that a reader has seen enough is no failure, and changes nothing of how it ends. */
function endWhereNobodyReads(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
