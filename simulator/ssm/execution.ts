/** What the agent of one machine does with a command. */
import { ApiError, type Machine, type ScriptResult } from '../core.ts';
import { type ResolvedDocument, SHELL_DOCUMENT, type ShellDocument } from './documents.ts';

/** A product's own runbook: the only document whose script a machine runs as shell. */
export interface Runbook {
  readonly name: string;
  /** JSON text of the document that carries it. */
  readonly content: string;
  /** The runbook's file as it stands in the project. */
  readonly script: string;
}

/** What may go into a script as text, for agents that know no environment variables: one plain word. */
const PLAIN_WORD = /^[A-Za-z0-9_.:-]*$/;

/** First agent that hands parameters over as environment variables. */
const ENV_VAR_SINCE = [3, 3, 2746, 0] as const;

export function knowsEnvVar(agentVersion: string): boolean {
  const parts = agentVersion.split('.').map(Number);
  for (const [i, since] of ENV_VAR_SINCE.entries()) {
    const part = parts[i] ?? 0;
    if (part !== since) return part > since;
  }
  return true;
}

export type Parameters = Readonly<Record<string, readonly string[]>>;

/** Throws before anything is sent where a machine would have to run shell text that is no product's runbook. */
export function refuseForeignScript(
  document: ResolvedDocument,
  values: Parameters,
  runbooks: readonly ShellDocument[],
): void {
  if (document.name === SHELL_DOCUMENT) return;
  for (const [name, texts] of Object.entries(values)) {
    if (texts.every((text) => PLAIN_WORD.test(text))) continue;
    throw new ApiError('NotModelledByTheEmbeddedRegion', `parameter ${name}: only plain words reach a machine`, 501);
  }
  const same = runbooks.some((runbook) => runbook.runCommand.join('\n') === document.parsed.runCommand.join('\n'));
  if (same) return;
  throw new ApiError(
    'NotModelledByTheEmbeddedRegion',
    `ssm:SendCommand: the script of ${document.name} version ${document.version} is not the product's runbook, and the ` +
      'embedded region runs no other: update the document, or use AWS-RunShellScript with one of the commands it knows',
    501,
  );
}

/** Runs the document on the machine now. The caller has seen that its agent answers. */
export function execute(machine: Machine, now: number, document: ResolvedDocument, values: Parameters): ScriptResult {
  if (document.name === SHELL_DOCUMENT) return runLines(machine, now, values.commands ?? []);
  const version = machine.agent(now)?.version ?? '0';
  const environment: Record<string, string> = {};
  let script = document.parsed.runCommand.join('\n');
  for (const [name, declared] of Object.entries(document.parsed.parameters)) {
    const value = values[name]?.join(',') ?? '';
    if (declared.envVar && knowsEnvVar(version)) {
      environment[`SSM_${name}`] = value;
      continue;
    }
    script = script.replaceAll(new RegExp(`\\{\\{ *${name} *\\}\\}`, 'g'), value);
  }
  return machine.runScript(now, `${script}\n`, environment);
}

/** Command lines one after the other, as one script: the exit code is that of the last. */
function runLines(machine: Machine, now: number, commands: readonly string[]): ScriptResult {
  let whole: ScriptResult = { exitCode: 0, stdout: '', stderr: '', milliseconds: 0, hung: false };
  for (const line of commands.flatMap((command) => command.split('\n'))) {
    if (line.trim() === '') continue;
    const one = machine.runCommand(now + whole.milliseconds, line);
    whole = {
      exitCode: one.exitCode,
      stdout: whole.stdout + one.stdout,
      stderr: whole.stderr + one.stderr,
      milliseconds: whole.milliseconds + one.milliseconds,
      hung: one.hung,
    };
    if (one.hung) break;
  }
  return whole;
}
