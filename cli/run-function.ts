/** The deployed `run` function, as the command line asks it: start a run, see how far it is, read its whole report. */
import { InvokeCommand } from '@aws-sdk/client-lambda';
import * as z from 'zod';
import {
  type ActionEntry,
  actionsPageSchema,
  gateSchema,
  type RunReport,
  type RunRequest,
  runReportSchema,
} from '../domain/contracts.ts';
import { says } from '../domain/finding.ts';
import { printable } from '../domain/printable.ts';
import { parseInput } from '../domain/validation.ts';
import { createCaller, sleep } from '../lambdas/aws/call.ts';
import { createHomeClients, type Wire } from '../lambdas/aws/clients.ts';
import { createPacer } from '../lambdas/aws/pacer.ts';
import { UsageError } from './exit-codes.ts';
import type { Progress } from './progress.ts';

/** The function did not answer, or not as `run` does. What it was asked for may go on. */
export class RunFunctionError extends Error {
  override readonly name = 'RunFunctionError';
}

const startedSchema = z.object({ runId: z.string(), mode: z.enum(['plan', 'apply']), gate: gateSchema });
/** What `run` answered to a request to start. */
export type Started = z.infer<typeof startedSchema>;

const statusSchema = z.object({ status: z.enum(['unknown', 'started', 'failed']), message: z.string() });
const failureSchema = z.object({ errorType: z.string().optional(), errorMessage: z.string().optional() });

/** Waits between two looks at a run that is under way. Unit: seconds; the last one is kept. */
const LOOKS = [0.3, 0.7, 1, 2, 3, 5] as const;
/** A run that is not known after so many looks has not begun and never will. */
const MOST_UNKNOWN = 30;

/** Where the function is: its name, or an ARN. A name needs a region. */
export interface RunFunctionOptions {
  readonly name: string;
  readonly region: string;
  readonly wire: Wire;
}

/** The region that an ARN of a function names; null of a mere name. */
export function regionOfFunction(name: string): string | null {
  return /^arn:[\w-]+:lambda:([a-z0-9-]+):\d{12}:function:/.exec(name)?.[1] ?? null;
}

export class RunFunction {
  readonly #options: RunFunctionOptions;
  readonly #caller: ReturnType<typeof createCaller>;

  constructor(options: RunFunctionOptions) {
    this.#options = options;
    const { timeoutMilliseconds, random } = options.wire;
    this.#caller = createCaller({
      pacer: createPacer(1),
      ...(timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds }),
      ...(random === undefined ? {} : { random }),
    });
  }

  /**
   * Starts a run. It is named by this second, so that an answer that was lost may be asked for again.
   * @throws UsageError when the function refuses the request, with its reason.
   */
  async start(request: RunRequest): Promise<Started> {
    const scheduledAt = new Date(Date.now()).toISOString();
    return this.#understood(startedSchema, await this.#invoke({ scheduledAt, ...request }));
  }

  /**
   * Waits until a run is done, and reads its whole report.
   * @throws RunFunctionError when the run failed or never began.
   */
  async report(runId: string, progress: Pick<Progress, 'update'>): Promise<RunReport> {
    const begun = Date.now();
    for (let look = 0, unknown = 0; ; look++) {
      const answer = await this.#invoke({ status: runId });
      const report = runReportSchema.safeParse(answer);
      if (report.success) return report.data.truncated ? this.#whole(report.data, progress) : report.data;
      const { status, message } = this.#understood(statusSchema, answer);
      if (status === 'failed') throw new RunFunctionError(`run ${runId} failed: ${message}`);
      if (status === 'unknown' && ++unknown >= MOST_UNKNOWN) {
        throw new RunFunctionError(`run ${runId} has not begun: look at the log of the sweep function`);
      }
      const seconds = Math.round((Date.now() - begun) / 1000);
      progress.update([printable(`run ${runId}: ${status === 'unknown' ? 'starting' : message} (${seconds} s)`)]);
      await sleep((LOOKS[Math.min(look, LOOKS.length - 1)] ?? 1) * 1000);
    }
  }

  async #whole(report: RunReport, progress: Pick<Progress, 'update'>): Promise<RunReport> {
    const actions: ActionEntry[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const page: z.infer<typeof actionsPageSchema> = this.#understood(
        actionsPageSchema,
        await this.#invoke({ status: report.runId, actionsAfter: after }),
      );
      actions.push(...page.actions);
      progress.update([printable(`run ${report.runId}: ${actions.length} entries read`)]);
      after = page.next;
    }
    const { truncated: _truncated, where: _where, ...rest } = report;
    // Groups and cells are left out only of a report that is too large without its actions.
    return report.cells.length > 0 ? { ...rest, actions } : { ...report, actions };
  }

  #understood<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
    try {
      return parseInput(schema, answer, 'its answer');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new RunFunctionError(`${this.#options.name} does not answer as the run function does: ${why}`);
    }
  }

  async #invoke(event: object): Promise<unknown> {
    const { name, region, wire } = this.#options;
    const { lambda } = createHomeClients(region, wire);
    const answer = await this.#caller.call({
      call: 'lambda:InvokeFunction',
      effect: 'repeatable',
      send: (options) =>
        lambda.send(new InvokeCommand({ FunctionName: name, Payload: Buffer.from(JSON.stringify(event)) }), options),
    });
    if (!answer.ok) {
      const unsure = answer.lost ? ' Whether it took effect is not known: look at the function’s log.' : '';
      throw new RunFunctionError(`${says(answer.error)} Next: ${answer.error.next}${unsure}`);
    }
    const text = Buffer.from(answer.value.Payload ?? []).toString();
    const value = jsonOf(text);
    if (answer.value.FunctionError === undefined) return value;
    const { errorType = 'an error', errorMessage = text } = failureSchema.safeParse(value).data ?? {};
    // The function's word for "you asked for something wrong": its message is one clear line.
    if (errorType === 'InvalidInputError') throw new UsageError(`refused: ${errorMessage}`);
    throw new RunFunctionError(`${name} failed with ${errorType}: ${errorMessage}`);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
