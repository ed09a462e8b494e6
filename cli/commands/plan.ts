/** `audit-backlog plan`: what would be done to a fleet. Reads only. */
import type { Command } from 'commander';
import type * as z from 'zod';
import { instanceIdSchema, type RunReport } from '../../domain/contracts.ts';
import { regionSchema } from '../../domain/policy.ts';
import { printable } from '../../domain/printable.ts';
import { parseInput } from '../../domain/validation.ts';
import { type ExitCode, exitCodeOf, UsageError } from '../exit-codes.ts';
import { checkWritable, planFileOf, writePlanFile } from '../plan-file.ts';
import { createProgress, type Progress } from '../progress.ts';
import {
  addFunctionOptions,
  type FunctionOptions,
  openRunFunction,
  tell,
  untilInterrupted,
  wireOptions,
} from './deployed.ts';

interface PlanOptions extends FunctionOptions {
  readonly region?: readonly string[];
  readonly instanceId?: readonly string[];
  readonly policy?: string;
  readonly deployed?: string;
  readonly save?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Without --deployed it needs nothing deployed and changes nothing: it reads instances, their status, consoles and agents,
and of restart candidates what a stop would lose. Where a console has to be read twice it waits a minute in between.
With --deployed the service makes the plan, by its own policy, and keeps it: such a plan can be applied.

Region: --region, else the policy's scope.regions, AWS_REGION, AWS_DEFAULT_REGION, or the profile's. With --deployed,
--region narrows what the service looks at; the function is in the region of its ARN, or of the environment.

Examples:
  audit-backlog plan --region eu-west-1
  audit-backlog plan --profile production --region eu-west-1 us-east-1 --json > plan.json
  audit-backlog plan --instance-id i-0123456789abcdef0 --policy policy.json
  audit-backlog plan --deployed my-run-function --save plan.json`;

/** Adds the command. */
export function addPlan(program: Command, done: (code: ExitCode) => void): void {
  const command = program
    .command('plan')
    .description('says what would be done to your fleet, and why; reads only, nothing has to be deployed')
    .option('--region <region...>', 'regions to look at')
    .option('--instance-id <id...>', 'only these instances, all in one region')
    .option('--policy <file>', 'policy as JSON (default: the safe policy the service is deployed with)')
    .option('--deployed <function>', 'name or ARN of the deployed run function, which then makes and keeps the plan')
    .option('--save <file>', 'write the plan to a file, for `audit-backlog apply`');
  addFunctionOptions(command, '10')
    .option('--json', 'print the run report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: PlanOptions) => {
      const regions = each(regionSchema, options.region, '--region');
      const instanceIds = each(instanceIdSchema, options.instanceId, '--instance-id');
      const { deployed, save } = options;
      if (save !== undefined) checkWritable(save);
      if (deployed !== undefined && options.policy !== undefined) {
        throw new UsageError('--policy does not go with --deployed: the deployed service plans by its own policy');
      }
      const { report, planExpiresHours } =
        deployed === undefined
          ? await planFromHere(options, regions, instanceIds)
          : await planDeployed(deployed, options, regions, instanceIds);
      tell(report, options.json === true);
      if (save !== undefined) {
        writePlanFile(save, planFileOf(report, deployed ?? null, { planExpiresHours }));
        const how = deployed === undefined ? 'to be read only: apply needs one made with --deployed' : 'for apply';
        process.stderr.write(`audit-backlog: the plan is saved in ${printable(save)}, ${how}\n`);
      }
      done(exitCodeOf(report));
    });
}

interface Planned {
  readonly report: RunReport;
  readonly planExpiresHours: number;
}

async function planFromHere(
  options: PlanOptions,
  regions: readonly string[] | null,
  instanceIds: readonly string[] | null,
): Promise<Planned> {
  const wire = wireOptions(options);
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
  const report = await reading((progress) =>
    planFleet({ regions: wanted, instanceIds, policy, wire: { credentials, ...wire }, tempo: TEMPO, progress }),
  );
  return { report, planExpiresHours: policy.planExpiresHours };
}

async function planDeployed(
  name: string,
  options: PlanOptions,
  regions: readonly string[] | null,
  instanceIds: readonly string[] | null,
): Promise<Planned> {
  const run = await openRunFunction(name, options);
  const report = await reading(async (progress) => {
    const { runId } = await run.start({
      mode: 'plan',
      ...(regions === null ? {} : { regions: [...regions] }),
      ...(instanceIds === null ? {} : { instanceIds: [...instanceIds] }),
    });
    return run.report(runId, progress);
  });
  // The service has sealed it with the hours of its own policy.
  return { report, planExpiresHours: 0 };
}

async function reading<T>(work: (progress: Progress) => Promise<T>): Promise<T> {
  const progress = await createProgress({ stream: process.stderr });
  return untilInterrupted(
    progress,
    () => 'plan only reads, so nothing was changed',
    () => work(progress),
  );
}

/** The values of an option, each checked, each once; null where the option was not given. */
function each(schema: z.ZodType<string>, values: readonly string[] | undefined, what: string): string[] | null {
  return values ? [...new Set(values.map((value) => parseInput(schema, value, `${what} ${value}`)))] : null;
}
