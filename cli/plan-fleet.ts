/**
 * A plan from a laptop: the very survey and triage of the service, as a plain loop, on any account, with nothing
 * deployed. It only reads; the ports that act exist and throw.
 */
import type { CellReport, RunReport } from '../domain/contracts.ts';
import type { CallError } from '../domain/finding.ts';
import { type Policy, policyForCell } from '../domain/policy.ts';
import type { CellPorts, GateCheck, NewsPort, PowerPort, RunCommandPort } from '../domain/ports.ts';
import { printable } from '../domain/printable.ts';
import { checkRequestAgainstPolicy } from '../domain/safety.ts';
import { countsByCode } from '../domain/totals.ts';
import { InvalidInputError } from '../domain/validation.ts';
import { sleep } from '../lambdas/aws/call.ts';
import type { Wire } from '../lambdas/aws/clients.ts';
import { createReadOnlyCell, readAccountId } from '../lambdas/aws/open-cell.ts';
import { finalCounts, freshState, passesOf, planPass, reportOf } from '../lambdas/cell/plan-pass.ts';
import type { CellInput } from '../lambdas/cell/survey.ts';
import type { CellResult } from '../lambdas/cell/workflow.ts';
import type { Runner } from '../lambdas/durable.ts';
import { policyDigest } from '../lambdas/run/start-run.ts';
import { allEntries, assembleReport } from '../lambdas/sweep/report.ts';
import type { Tempo } from '../lambdas/tempo.ts';
import { MemoryLedger } from './memory-ledger.ts';
import type { Progress } from './progress.ts';

export interface PlanRequest {
  /** One cell each, side by side. */
  readonly regions: readonly string[];
  /** Only these instances; null: all of each region. */
  readonly instanceIds: readonly string[] | null;
  readonly policy: Policy;
  readonly wire: Wire;
  readonly tempo: Tempo;
  readonly progress: Pick<Progress, 'update' | 'note'>;
}

/** The account where STS did not tell which it is. */
export const UNKNOWN_ACCOUNT = 'unknown';

/** A plan was about to change something: a mistake of this program, and nothing was changed. */
export class PlanMustNotActError extends Error {
  override readonly name = 'PlanMustNotActError';
  constructor(call: string) {
    super(`plan only reads, but ${call} was called; nothing was changed. Report this as a bug.`);
  }
}

/**
 * Surveys and judges every region and puts the report together.
 * @throws InvalidInputError when the policy's scope leaves the account or a region out.
 */
export async function planFleet(request: PlanRequest): Promise<RunReport> {
  const { policy, regions } = request;
  checkRequestAgainstPolicy({ regions: [...regions] }, policy);
  const startedAt = now();
  const runId = runIdAt(startedAt);
  const ledger = new MemoryLedger();
  const board = new Board(regions, request.progress);
  const results = await Promise.all(regions.map((region) => planCell(request, ledger, runId, region, board)));
  const lost = new Set(results.filter(({ report }) => report.status === 'failed').map(({ report }) => report.region));
  const entries = await allEntries(ledger, runId);
  return assembleReport({
    run: { runId, mode: 'plan', policyDigest: policyDigest(policy), startedAt, gate: { open: true, reasons: [] } },
    endedAt: now(),
    cells: results.map((r) => r.report),
    // A cell that failed as a whole has no counts, so what it had recorded would not add up.
    entries: entries.filter((entry) => !lost.has(entry.region)),
    images: addAll(results.map((r) => r.images)),
    launchTemplates: addAll(results.map((r) => r.launchTemplates)),
  });
}

async function planCell(
  request: PlanRequest,
  ledger: MemoryLedger,
  runId: string,
  region: string,
  board: Board,
): Promise<CellResult> {
  const { policy, wire, instanceIds, tempo } = request;
  board.set(region, 'asking which account this is');
  const account = await readAccountId(region, wire);
  const accountId = account.ok ? account.value : UNKNOWN_ACCOUNT;
  if (account.ok) checkRequestAgainstPolicy({ accounts: [accountId] }, policy);
  const cell = { accountId, region };
  const input: CellInput = {
    runId,
    mode: 'plan',
    cell,
    policy: policyForCell(policy, cell),
    instanceIds,
    tags: null,
    maxRestarts: null,
    planId: null,
    pastBreaker: false,
  };
  const unknownAccount = account.ok ? [] : [accountError(account.error)];
  let state = { ...freshState(input), errors: unknownAccount };
  const result = (status: CellReport['status'] | null, counts = countsByCode({})): CellResult => ({
    report: reportOf(input, state, status, counts),
    images: state.seen.images,
    launchTemplates: state.seen.launchTemplates,
  });
  if (!account.ok && endsTheCell(account.error, policy)) {
    board.set(region, `could not be looked at: ${account.error.call} ${account.error.code}`);
    return result('failed');
  }
  const there = new Set<string>();
  const ports = readingPorts(createReadOnlyCell(cell, policy.quotaShare, wire), ledger, there, (consoles) =>
    board.set(region, `${consoles} consoles read`),
  );
  try {
    for (const pass of passesOf(input)) {
      board.set(region, pass === 'silent' ? 'looking for machines that went silent' : 'looking at the instances');
      const planned = await planPass(plainRunner(region, request), ports, input, pass, state, null, tempo);
      state = { ...planned.state, errors: [...planned.state.errors] };
    }
    const gone = (instanceIds ?? []).filter((id) => !there.has(id));
    // Where the listing itself failed, nobody knows what is there, and that failure is told already.
    if (gone.length > 0 && !state.errors.some((error) => error.call === DESCRIBE)) {
      state = { ...state, errors: [...state.errors, notFound(gone, region)] };
    }
    board.set(region, `${state.seen.consolesRead} consoles read, done`);
    return result(null, await finalCounts(ports, input, state));
  } catch (error) {
    if (error instanceof InvalidInputError || error instanceof PlanMustNotActError) throw error;
    // The cell is the unit of failure: the others are planned all the same, and this one is told as failed.
    if (process.env.DEBUG && error instanceof Error) request.progress.note(`${region}: ${error.stack}`);
    state = { ...freshState(input), errors: [...unknownAccount, crashed(error)] };
    board.set(region, 'failed');
    return result('failed');
  }
}

/** Waits in real time and says so; a step is done once, since nothing is kept that could be replayed. */
function plainRunner(region: string, { progress }: PlanRequest): Runner {
  return {
    step: (_name, work) => work(),
    async wait(name, seconds) {
      if (name.startsWith('second-reading')) {
        progress.note(
          `${region}: waiting ${seconds} s, then reading the consoles of restart candidates again: new lines are a sign of life`,
        );
      }
      await sleep(seconds * 1000);
    },
  };
}

function readingPorts(
  reading: Pick<CellPorts, 'cell' | 'clock' | 'tally' | 'fleet' | 'console'>,
  ledger: MemoryLedger,
  there: Set<string>,
  onConsole: (read: number) => void,
): CellPorts {
  let consoles = 0;
  return {
    ...reading,
    fleet: {
      ...reading.fleet,
      async describeInstances(instanceIds) {
        const answer = await reading.fleet.describeInstances(instanceIds);
        const found = answer.ok ? answer.value : [];
        for (const { instanceId, state } of found) if (state !== 'terminated') there.add(instanceId);
        return answer;
      },
    },
    console: {
      async read(instanceId, previousMark) {
        const answer = await reading.console.read(instanceId, previousMark);
        onConsole(++consoles);
        return answer;
      },
    },
    ledger,
    power: POWER,
    runCommand: RUN_COMMAND,
    news: NO_NEWS,
    gate: [MUST_NOT_ASK],
    breaker: MUST_NOT_ASK,
  };
}

function mustNotAct(call: string): () => Promise<never> {
  return async () => {
    throw new PlanMustNotActError(call);
  };
}

const POWER: PowerPort = {
  markStopped: mustNotAct('power.markStopped'),
  unmarkStopped: mustNotAct('power.unmarkStopped'),
  stop: mustNotAct('power.stop'),
  start: mustNotAct('power.start'),
  reboot: mustNotAct('power.reboot'),
  listMarked: mustNotAct('power.listMarked'),
  tagStatus: mustNotAct('power.tagStatus'),
};
const RUN_COMMAND: RunCommandPort = {
  resolveDocument: mustNotAct('runCommand.resolveDocument'),
  send: mustNotAct('runCommand.send'),
  findSent: mustNotAct('runCommand.findSent'),
  results: mustNotAct('runCommand.results'),
};
/** Whoever does not act asks nobody whether they may. */
const MUST_NOT_ASK: GateCheck = { name: 'gate', closedBecause: mustNotAct('gate') };
/** Nobody but whoever sits at the terminal is told. */
const NO_NEWS: NewsPort = {
  record: async () => ({ ok: true, value: null }),
  publish: async () => ({ ok: true, value: null }),
  notify: async () => ({ ok: true, value: null }),
};

/** Node's own names for a connection that failed, or the SDK's for an answer that never came. AWS's codes are CamelCase. */
const NO_CONNECTION = /^[A-Z][A-Z0-9_]+$|^(TimeoutError|AbortError|NetworkingError|RequestTimeout(Exception)?)$/;
/** The account or its credentials are refused as such: no other call would fare better. */
const REFUSED_CREDENTIALS =
  /^(AuthFailure|CredentialsProviderError|TokenProviderError|ExpiredToken(Exception)?|InvalidAccessKeyId|InvalidClientTokenId|InvalidSignatureException|SignatureDoesNotMatch|UnrecognizedClientException|OptInRequired)$/;

/** Whether it is no use to go on without knowing the account, or not allowed by a policy that speaks of accounts. */
function endsTheCell({ code }: CallError, policy: Policy): boolean {
  const policyNamesAccounts = policy.scope.accounts.length > 0 || policy.overrides.some((o) => o.accounts.length > 0);
  return NO_CONNECTION.test(code) || REFUSED_CREDENTIALS.test(code) || policyNamesAccounts;
}

function accountError(error: CallError): CallError {
  return { ...error, message: `which account this is, is not known: ${error.message}` };
}

const DESCRIBE = 'ec2:DescribeInstances';

function notFound(gone: readonly string[], region: string): CallError {
  const [first = '', ...others] = gone;
  return {
    call: DESCRIBE,
    code: 'InvalidInstanceID.NotFound',
    message: `${gone.join(', ')} ${others.length > 0 ? 'do' : 'does'} not exist in ${region} (any more)`,
    next: 'Check the id, the account and the region; it was not looked at.',
    ...(others.length > 0 ? {} : { instanceId: first }),
    kind: 'failed',
  };
}

function crashed(error: unknown): CallError {
  const { name, message } = error instanceof Error ? error : { name: 'UnknownError', message: String(error) };
  return {
    call: 'audit-backlog plan',
    code: name,
    message: printable(message),
    next: 'Run again with DEBUG=1; if it stays, report it as a bug.',
    kind: 'failed',
  };
}

/** One line of progress a region. */
class Board {
  readonly #lines: Map<string, string>;
  readonly #progress: Pick<Progress, 'update'>;

  constructor(regions: readonly string[], progress: Pick<Progress, 'update'>) {
    this.#lines = new Map(regions.map((region) => [region, 'waiting']));
    this.#progress = progress;
  }

  set(region: string, text: string): void {
    this.#lines.set(region, printable(text));
    this.#progress.update([...this.#lines].map(([name, line]) => `${name}: ${line}`));
  }
}

function now(): string {
  return new Date(Date.now()).toISOString();
}

function runIdAt(iso: string): string {
  const letters = Math.floor(Math.random() * 36 ** 4)
    .toString(36)
    .padStart(4, '0');
  return `p-${iso.replace(/[-:]|\.\d+/g, '')}-${letters}`;
}

function addAll(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const one of counts) for (const [key, n] of Object.entries(one)) sum[key] = (sum[key] ?? 0) + n;
  return sum;
}
