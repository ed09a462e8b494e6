/** The one entry: validate, ask the gate, start a sweep, answer at once. Or say how far a run is. */
import { createHash } from 'node:crypto';
import {
  type ActionsPage,
  type Gate,
  type RunReport,
  type RunRequest,
  runRequestSchema,
  SCHEMA,
  statusRequestSchema,
} from '../../domain/contracts.ts';
import { policyChanges } from '../../domain/drift.ts';
import { says } from '../../domain/finding.ts';
import type { Policy } from '../../domain/policy.ts';
import type { Answer, EntryRecord, HubPorts, Page, RunRecord } from '../../domain/ports.ts';
import { checkRequestAgainstPolicy, effectiveMode, mayPassBreaker } from '../../domain/safety.ts';
import { InvalidInputError, parseInput } from '../../domain/validation.ts';
import { CallFailedError, mustAnswer } from '../errors.ts';
import { askGate } from '../gate.ts';
import { whyAltered } from '../plan-digest.ts';
import { allRecords, bounded, LARGEST_ANSWER, storedReport } from '../sweep/report.ts';
import { targetCells } from '../sweep/targets.ts';
import type { SweepInput } from '../sweep/workflow.ts';

/** A durable execution has at most 3,000 operations, and a cell takes two of its sweep's. */
const MOST_CELLS = 1400;

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
export async function handleRunEvent(
  hub: HubPorts,
  event: unknown,
): Promise<RunStarted | RunStatus | RunReport | ActionsPage> {
  if (isObject(event) && 'status' in event) {
    const { status, actionsAfter } = parseInput(statusRequestSchema, event, 'status request');
    return actionsAfter === undefined ? statusOf(hub, status) : actionsOf(hub, status, actionsAfter);
  }
  return startRun(hub, parseInput(runRequestSchema, event ?? {}, 'run request'));
}

async function startRun(hub: HubPorts, request: RunRequest): Promise<RunStarted> {
  checkRequestAgainstPolicy(request, withWholeScope(hub));
  const digest = policyDigest(hub.policy);
  const wanted = request.mode ?? hub.policy.mode;
  const planned = request.planId ? await applicablePlan(hub, request.planId, request.planDigest, digest) : null;
  if (planned && wanted !== 'apply') {
    throw new InvalidInputError(
      'run request: planId asks to apply a plan, but the mode is plan; send mode apply as well',
    );
  }
  const gate = wanted === 'apply' ? await askGate(hub.gate) : { open: true, reasons: [] };
  const mode = effectiveMode(request, hub.policy, gate);
  const runId = runIdOf(request, hub.clock.now());
  const targets: Pick<RunRequest, 'accounts' | 'regions'> = planned ? planned.request : request;
  const cells = targetCells(targets, hub.policy, hub.home);
  if (cells.length > MOST_CELLS) {
    const asked = `${cells.length} cells (accounts x regions) are more than the ${MOST_CELLS} that one run can hold`;
    throw new InvalidInputError(`run request: ${asked}; ask for fewer regions or accounts`);
  }
  const input: SweepInput = {
    runId,
    mode,
    request,
    policy: hub.policy,
    policyDigest: digest,
    gate,
    cells,
    instanceIds: (planned ?? { request }).request.instanceIds ?? null,
    pastBreaker: mayPassBreaker(request, planned?.request ?? null),
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

/**
 * A plan can be applied while it is fresh, done, made under the policy that stands now, and exactly as it was made: an
 * entry that was changed, added or taken away in the table refuses it whole.
 */
async function applicablePlan(
  hub: HubPorts,
  planId: string,
  lookedAt: string | undefined,
  digest: string,
): Promise<RunRecord> {
  const plan = mustAnswer(await hub.ledger.getRun(planId));
  const refuse = (why: string): never => {
    throw new InvalidInputError(`run request: planId: the plan ${planId} ${why}; make a new plan and apply that`);
  };
  if (!plan) return refuse('does not exist');
  if (plan.mode !== 'plan') return refuse('is not a plan but a run that applied');
  const seal = plan.report?.plan;
  if (plan.status !== 'done') return refuse('is not done');
  if (!seal) return refuse('was made by an older version of this service');
  if (plan.policyDigest !== digest) {
    const changes = plan.policy ? policyChanges(plan.policy, hub.policy) : [];
    return refuse(`was made under another policy${changes.length > 0 ? ` (${changes.join('; ')})` : ''}`);
  }
  if (hub.clock.now() > seal.expiresAt) {
    return refuse(`expired (older than ${hub.policy.planExpiresHours} hours) at ${seal.expiresAt}`);
  }
  if (lookedAt !== undefined && lookedAt !== seal.digest) {
    return refuse(`is not the one that was looked at: its digest is ${seal.digest}, not ${lookedAt}`);
  }
  const records = await allRecords(hub.ledger, planId);
  const sealed = records.map(({ entry, seal: own }) => ({ entry, digest: own }));
  const { policyDigest } = plan;
  const altered = whyAltered({ planId, policyDigest, expiresAt: seal.expiresAt }, seal, sealed);
  return altered === null ? plan : refuse(altered);
}

/**
 * From the scheduled time and what is asked for, so that duplicate deliveries are one run and two schedules of the same
 * second are two; else from now and four random letters.
 */
function runIdOf(request: RunRequest, now: string): string {
  const stamp = (iso: string) => new Date(iso).toISOString().replace(/[-:]|\.\d+/g, '');
  if (request.scheduledAt) {
    const { reason: _reason, scheduledAt, schema: _schema, ...asked } = request;
    const digest = createHash('sha256').update(JSON.stringify(asked)).digest('hex').slice(0, 6);
    return `s-${stamp(scheduledAt)}-${digest}`;
  }
  const letters = Math.floor(Math.random() * 36 ** 4);
  return `m-${stamp(now)}-${letters.toString(36).padStart(4, '0')}`;
}

/** What is known of a run that has no report yet: its sweep is under way, or it was stopped or timed out on the way. */
async function withoutReport(hub: HubPorts, record: RunRecord): Promise<{ ended: boolean; message: string }> {
  const runs = `It runs since ${record.startedAt}.`;
  if (record.executionArn === undefined) return { ended: false, message: runs };
  const state = await hub.sweepState(record.executionArn);
  if (!state.ok) {
    const unknown = `Whether its sweep still runs could not be read (${says(state.error)}). ${state.error.next}`;
    return { ended: false, message: `${runs} ${unknown}` };
  }
  const { status, endedAt, error } = state.value;
  if (status === 'running') return { ended: false, message: runs };
  const how = `Its sweep ${status === 'succeeded' ? 'ended' : status} at ${endedAt}${error ? ` (${error})` : ''} without a report.`;
  const next =
    'Cells and restarts that it had begun go on to their end, and what it stopped is brought back. Look at its records in the log group, then run again: nothing is done twice.';
  return { ended: true, message: `${how} ${next}` };
}

async function statusOf(hub: HubPorts, runId: string, again = true): Promise<RunStatus | RunReport> {
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
  const report = await storedReport(hub.ledger, record);
  if (!report) {
    const { ended, message } = await withoutReport(hub, record);
    // It may have come to its report between the two looks.
    return ended && again ? statusOf(hub, runId, false) : answer(ended ? 'failed' : 'started', message);
  }
  return bounded(report, 'the ledger and the log group have the actions');
}

/** Actions of a run from a cursor on, as many as one answer holds: how a report that is too large is read whole. */
async function actionsOf(hub: HubPorts, runId: string, after: string): Promise<ActionsPage> {
  const actions: ActionsPage['actions'] = [];
  let next: string | null = after === '' ? null : after;
  let bytes = 0;
  do {
    const page: Page<EntryRecord> = mustAnswer(await hub.ledger.listEntries(runId, null, next));
    actions.push(...page.items.map((record) => record.entry));
    bytes += Buffer.byteLength(JSON.stringify(page.items.map((record) => record.entry)));
    next = page.cursor;
  } while (next !== null && bytes < LARGEST_ANSWER);
  return { schema: SCHEMA, runId, actions, next };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
