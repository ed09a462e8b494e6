/** The one entry: validate, ask the gate, start a sweep, answer at once. Or say how far a run is. */
import { createHash } from 'node:crypto';
import {
  type Gate,
  type RunReport,
  type RunRequest,
  runRequestSchema,
  SCHEMA,
  statusRequestSchema,
} from '../../domain/contracts.ts';
import type { Policy } from '../../domain/policy.ts';
import type { Answer, HubPorts, RunRecord } from '../../domain/ports.ts';
import { checkRequestAgainstPolicy, effectiveMode, gateVerdict } from '../../domain/safety.ts';
import { InvalidInputError, parseInput } from '../../domain/validation.ts';
import { CallFailedError, mustAnswer } from '../errors.ts';
import { allEntries, bounded } from '../sweep/report.ts';
import { targetCells } from '../sweep/targets.ts';
import type { SweepInput } from '../sweep/workflow.ts';

/** What `run` answers at once. */
export interface RunStarted {
  readonly schema: typeof SCHEMA;
  readonly runId: string;
  readonly mode: 'plan' | 'apply';
  readonly executionArn: string;
  readonly gate: Gate;
  /** How to see what becomes of it. */
  readonly where: string;
}

/** What `run` answers to `{ "status": "<runId>" }` while the run is not done. */
export interface RunStatus {
  readonly schema: typeof SCHEMA;
  readonly runId: string;
  readonly status: 'unknown' | 'started' | 'failed';
  readonly message: string;
}

/** A number that tells one policy from another. */
export function policyDigest(policy: Policy): string {
  return createHash('sha256').update(JSON.stringify(policy)).digest('hex').slice(0, 16);
}

/** Handles an event of `run`. @throws InvalidInputError in one clear line for whoever typed it. */
export async function handleRunEvent(hub: HubPorts, event: unknown): Promise<RunStarted | RunStatus | RunReport> {
  if (isObject(event) && 'status' in event) {
    return statusOf(hub, parseInput(statusRequestSchema, event, 'status request').status);
  }
  return startRun(hub, parseInput(runRequestSchema, event ?? {}, 'run request'));
}

async function startRun(hub: HubPorts, request: RunRequest): Promise<RunStarted> {
  checkRequestAgainstPolicy(request, withWholeScope(hub));
  const digest = policyDigest(hub.policy);
  const wanted = request.mode ?? hub.policy.mode;
  const planned = request.planId ? await applicablePlan(hub, request.planId, digest) : null;
  if (planned && wanted !== 'apply') {
    throw new InvalidInputError(
      'run request: planId asks to apply a plan, but the mode is plan; send mode apply as well',
    );
  }
  const gate = wanted === 'apply' ? await askGate(hub) : { open: true, reasons: [] };
  const mode = effectiveMode(request, hub.policy, gate);
  const runId = runIdOf(request, hub.clock.now());
  const targets = planned ? planned.request : { accounts: request.accounts, regions: request.regions };
  const input: SweepInput = {
    runId,
    mode,
    request,
    policy: hub.policy,
    policyDigest: digest,
    gate,
    cells: targetCells(targets as RunRequest, hub.policy, hub.home),
  };
  const started = await hub.startSweep(runId, input);
  return {
    schema: SCHEMA,
    runId,
    mode,
    executionArn: executionArnOf(started),
    gate,
    where: `Send {"status":"${runId}"} to this function.`,
  };
}

/** A scope that names no regions or accounts means the one the service runs in, for requests too. */
function withWholeScope({ policy, home }: HubPorts): Policy {
  const { regions, accounts } = policy.scope;
  const scope = {
    ...policy.scope,
    regions: regions.length > 0 ? regions : [home.region],
    accounts: accounts.length > 0 ? accounts : [home.accountId],
  };
  return { ...policy, scope };
}

/** The same scheduled time delivered twice meets its own execution: that is the same run, not an error. */
function executionArnOf(started: Answer<{ executionArn: string }>): string {
  if (started.ok) return started.value.executionArn;
  if (started.error.code === 'DurableExecutionAlreadyStartedException') return 'already started under this name';
  throw new CallFailedError(started.error);
}

async function askGate(hub: HubPorts): Promise<Gate> {
  const checks = [];
  for (const check of hub.gate) checks.push({ name: check.name, answer: await check.closedBecause() });
  return gateVerdict(checks);
}

/** A plan can be applied while it is fresh, done, and made under the policy that stands now. */
async function applicablePlan(hub: HubPorts, planId: string, digest: string): Promise<RunRecord> {
  const plan = mustAnswer(await hub.ledger.getRun(planId));
  const refuse = (why: string): never => {
    throw new InvalidInputError(`run request: planId: the plan ${planId} ${why}; make a new plan and apply that`);
  };
  if (!plan) return refuse('does not exist');
  if (plan.mode !== 'plan') return refuse('is not a plan but a run that applied');
  if (plan.status !== 'done' || plan.endedAt === null) return refuse('is not done');
  if (plan.policyDigest !== digest) return refuse('was made under another policy');
  const hours = (Date.parse(hub.clock.now()) - Date.parse(plan.endedAt)) / 3_600_000;
  if (hours > hub.policy.planExpiresHours) return refuse(`expired (older than ${hub.policy.planExpiresHours} hours)`);
  return plan;
}

/** From the scheduled time, so that duplicate deliveries are one run; else from now and four random letters. */
function runIdOf(request: RunRequest, now: string): string {
  const stamp = (iso: string) => new Date(iso).toISOString().replace(/[-:]|\.\d+/g, '');
  if (request.scheduledAt) return `s-${stamp(request.scheduledAt)}`;
  const letters = Math.floor(Math.random() * 36 ** 4)
    .toString(36)
    .padStart(4, '0');
  return `m-${stamp(now)}-${letters}`;
}

async function statusOf(hub: HubPorts, runId: string): Promise<RunStatus | RunReport> {
  const record = mustAnswer(await hub.ledger.getRun(runId));
  const answer = (status: RunStatus['status'], message: string): RunStatus => ({
    schema: SCHEMA,
    runId,
    status,
    message,
  });
  if (!record) return answer('unknown', 'No such run: it has not begun yet, or its records have expired.');
  if (record.status === 'failed')
    return answer('failed', record.failure ?? 'It failed; see the log of the sweep function.');
  if (record.status === 'started' || !record.report) return answer('started', `It runs since ${record.startedAt}.`);
  const report = { ...record.report, actions: await allEntries(hub.ledger, runId) };
  return bounded(report, 'the ledger and the log group have the actions');
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
