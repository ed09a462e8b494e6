/** What the commands share that ask a service: how to reach it, how its report is told, what Ctrl-C says. */
import type { Command } from 'commander';
import * as z from 'zod';
import type { RunReport } from '../../domain/contracts.ts';
import { parseInput } from '../../domain/validation.ts';
import { jsonLine } from '../plain-text.ts';
import { printReport } from '../present.ts';
import type { Progress } from '../progress.ts';
import type { RunFunction } from '../run-function.ts';

/** How to reach AWS, or what stands in its place. */
export interface FunctionOptions {
  readonly profile?: string;
  readonly endpointUrl?: string;
  readonly timeout: string;
}

/** Adds the options that say how to reach AWS. */
export function addFunctionOptions(command: Command, timeout = '60'): Command {
  return command
    .option('--profile <name>', 'profile of the AWS configuration files')
    .option('--endpoint-url <url>', 'base URL of all services, in place of those of AWS')
    .option('--timeout <seconds>', 'longest wait for one answer, 1 to 60', timeout);
}

const FROM_1_TO_60 = 'give a number of seconds from 1 to 60';
const httpUrl = z.url({ protocol: /^https?$/, error: 'give a URL like https://host:port' });

/** What the SDK's clients are told: endpoint, and how long to wait. @throws InvalidInputError naming the option. */
export function wireOptions({ endpointUrl, timeout }: FunctionOptions) {
  const seconds = parseInput(z.coerce.number().min(1, FROM_1_TO_60).max(60, FROM_1_TO_60), timeout, '--timeout');
  const endpoint =
    endpointUrl === undefined ? {} : { endpoint: parseInput(httpUrl, endpointUrl, `--endpoint-url ${endpointUrl}`) };
  return { random: Math.random, timeoutMilliseconds: seconds * 1000, ...endpoint };
}

/** Opens the deployed function: in the region its ARN names, else in that of the surroundings. */
export async function openRunFunction(name: string, options: FunctionOptions): Promise<RunFunction> {
  const wire = wireOptions(options);
  // The SDK takes a second to load, which neither help nor a wrong option should cost.
  const { configuredRegion, usableCredentials } = await import('../surroundings.ts');
  const { RunFunction: Deployed, regionOfFunction } = await import('../run-function.ts');
  const region = regionOfFunction(name) ?? (await configuredRegion(options.profile));
  const credentials = await usableCredentials(options.profile);
  return new Deployed({ name, region, wire: { ...wire, credentials } });
}

/** A report on stdout, for a program or for a person. */
export function tell(report: RunReport, json: boolean): void {
  const write = (text: string) => {
    process.stdout.write(text);
  };
  if (json) write(jsonLine(report));
  else printReport(report, write);
}

/** Ctrl-C gives the terminal back, says what is so, and ends the program as the signal does. */
export async function untilInterrupted<T>(
  progress: Progress,
  whatIsSo: () => string,
  work: () => Promise<T>,
): Promise<T> {
  const interrupt = (signal: NodeJS.Signals) => {
    progress.done();
    process.stderr.write(`audit-backlog: interrupted; ${whatIsSo()}\n`);
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    process.kill(process.pid, signal);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    return await work();
  } finally {
    progress.done();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}
