/** Sends the SSM document's script to a machine as the agent would, and reads what comes back as the service does. */
import type { RunbookOutput } from '../domain/contracts.ts';
import { readRunbookOutput } from '../domain/runbook-result.ts';
import {
  RUNBOOK_PARAMETERS,
  type RunbookParameterName,
  readRunbookScript,
  runbookDocument,
  runbookParameters,
} from '../lambdas/runbook/document.ts';
import type { Ran } from './agent.ts';
import type { Machine } from './machine.ts';

const { runCommand, timeoutSeconds } = runbookDocument(readRunbookScript()).mainSteps[0].inputs;
const SCRIPT = runCommand.join('\n');

export type Parameters = Readonly<Partial<Record<RunbookParameterName, string | number>>>;

/**
 * `current`: parameters come as SSM_* in the environment. `before-3.3.2746`: such an agent knows no environment variables
 * and pastes the values into the text.
 */
export type AgentVersion = 'current' | 'before-3.3.2746';

export interface RunbookRun {
  readonly ran: Ran;
  readonly output: RunbookOutput;
}

/** What the agent runs: the script, and what stands in its environment. */
export function runbookCommand(
  parameters: Parameters,
  version: AgentVersion = 'current',
): { script: string; environment: Record<string, string> } {
  const given = runbookParameters(parameters);
  const values = RUNBOOK_PARAMETERS.map(({ name, default: usual }) => [name, given[name]?.[0] ?? usual] as const);
  if (version === 'current') {
    return { script: SCRIPT, environment: Object.fromEntries(values.map(([name, value]) => [`SSM_${name}`, value])) };
  }
  return {
    script: values.reduce((text, [name, value]) => text.replaceAll(`{{${name}}}`, value), SCRIPT),
    environment: {},
  };
}

/** @throws Error when the answer is not the runbook's one line of JSON and nothing else. */
export async function sendRunbook(
  machine: Machine,
  parameters: Parameters,
  version?: AgentVersion,
  environment: Readonly<Record<string, string>> = {},
): Promise<RunbookRun> {
  const command = runbookCommand(parameters, version);
  const ran = await machine.run(command.script, { ...environment, ...command.environment }, Number(timeoutSeconds));
  return { ran, output: runbookAnswer(ran.stdout, ran.stderr) };
}

/** @throws Error when it is not the runbook's one line of JSON and nothing else. */
export function runbookAnswer(stdout: string, stderr: string): RunbookOutput {
  const reading = readRunbookOutput(stdout);
  const lines = stdout.split('\n').length - 1;
  if (reading.ok && lines === 1 && stderr === '') return reading.output;
  const why = reading.ok ? `${lines} lines, and on stderr "${stderr}"` : reading.reason;
  throw new Error(`the runbook's answer is not one line of JSON: ${why}: ${stdout.slice(-800)}`);
}
