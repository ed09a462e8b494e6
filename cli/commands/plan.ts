/** `audit-backlog plan`: what would be done to a fleet. Reads only. */
import type { Command } from 'commander';
import * as z from 'zod';
import { instanceIdSchema, type RunReport } from '../../domain/contracts.ts';
import { regionSchema } from '../../domain/policy.ts';
import { parseInput } from '../../domain/validation.ts';
import { type ExitCode, exitCodeOf, UsageError } from '../exit-codes.ts';
import { jsonLine } from '../plain-text.ts';
import { printReport } from '../present.ts';
import { createProgress, type Progress } from '../progress.ts';

interface PlanOptions {
  readonly region?: readonly string[];
  readonly profile?: string;
  readonly endpointUrl?: string;
  readonly instanceId?: readonly string[];
  readonly policy?: string;
  readonly timeout: string;
  readonly json?: boolean;
}

const EXAMPLES = `
It needs nothing deployed and changes nothing: it reads instances, their status, consoles and agents, and of restart
candidates what a stop would lose. Where a console has to be read twice it waits a minute in between.

Region: --region, else the policy's scope.regions, AWS_REGION, AWS_DEFAULT_REGION, or the profile's.

Examples:
  audit-backlog plan --region eu-west-1
  audit-backlog plan --profile production --region eu-west-1 us-east-1 --json > plan.json
  audit-backlog plan --instance-id i-0123456789abcdef0 --policy policy.json`;

/** Adds the command. */
export function addPlan(program: Command, done: (code: ExitCode) => void): void {
  program
    .command('plan')
    .description('says what would be done to your fleet, and why; reads only, nothing has to be deployed')
    .option('--region <region...>', 'regions to look at')
    .option('--profile <name>', 'profile of the AWS configuration files')
    .option('--endpoint-url <url>', 'base URL of all services, in place of those of AWS')
    .option('--instance-id <id...>', 'only these instances, all in one region')
    .option('--policy <file>', 'policy as JSON (default: the safe policy the service is deployed with)')
    .option('--timeout <seconds>', 'longest wait for one answer, 1 to 60', '10')
    .option('--json', 'print the run report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: PlanOptions) => {
      const regions = each(regionSchema, options.region, '--region');
      const instanceIds = each(instanceIdSchema, options.instanceId, '--instance-id');
      const [endpoint = null] =
        each(httpUrl, options.endpointUrl === undefined ? undefined : [options.endpointUrl], '--endpoint-url') ?? [];
      const timeout = parseInput(
        z.coerce.number().min(1, FROM_1_TO_60).max(60, FROM_1_TO_60),
        options.timeout,
        '--timeout',
      );
      // The SDK takes a second to load, which neither help nor a wrong option should cost.
      const { configuredRegion, policyFrom, usableCredentials } = await import('../surroundings.ts');
      const { planFleet } = await import('../plan-fleet.ts');
      const { TEMPO } = await import('../../lambdas/tempo.ts');
      const policy = policyFrom(options.policy);
      const named = regions ?? (policy.scope.regions.length > 0 ? policy.scope.regions : null);
      const wanted = [...new Set(named ?? [await configuredRegion(options.profile)])].sort();
      if (instanceIds !== null && wanted.length > 1) {
        throw new UsageError('--instance-id looks in one region; name the one that the instances are in with --region');
      }
      const credentials = await usableCredentials(options.profile);
      const progress = await createProgress({ stream: process.stderr });
      const report = await untilInterrupted(progress, () =>
        planFleet({
          regions: wanted,
          instanceIds,
          policy,
          wire: {
            credentials,
            random: Math.random,
            timeoutMilliseconds: timeout * 1000,
            ...(endpoint === null ? {} : { endpoint }),
          },
          tempo: TEMPO,
          progress,
        }),
      );
      tell(report, options.json === true);
      done(exitCodeOf(report));
    });
}

const FROM_1_TO_60 = 'give a number of seconds from 1 to 60';
const httpUrl = z.url({ protocol: /^https?$/, error: 'give a URL like https://host:port' });

/** The values of an option, each checked, each once; null where the option was not given. */
function each(schema: z.ZodType<string>, values: readonly string[] | undefined, what: string): string[] | null {
  return values ? [...new Set(values.map((value) => parseInput(schema, value, `${what} ${value}`)))] : null;
}

function tell(report: RunReport, json: boolean): void {
  const write = (text: string) => {
    process.stdout.write(text);
  };
  if (json) write(jsonLine(report));
  else printReport(report, write);
}

/** Ctrl-C gives the terminal back, says that nothing was changed, and ends the program as the signal does. */
async function untilInterrupted<T>(progress: Progress, work: () => Promise<T>): Promise<T> {
  const interrupt = (signal: NodeJS.Signals) => {
    progress.done();
    process.stderr.write('audit-backlog: interrupted; plan only reads, so nothing was changed\n');
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
