/**
 * What the workflows need of the world. `lambdas/aws` answers these ports with AWS; nothing here knows AWS.
 * An expected failure is a value ({@link Answer}), so that no caller can mistake it for emptiness.
 */
import type { ActionEntry, CellReport, Gate, RunReport, RunRequest } from './contracts.ts';
import type {
  AgentFacts,
  CallError,
  Cell,
  ConsoleReading,
  InstanceFacts,
  InstanceHistory,
  PreflightFacts,
  StatusCheck,
} from './finding.ts';
import type { Policy, SignOfLife } from './policy.ts';

/** A value, or the call that failed for good with its next step. Throttles were already retried inside. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  /** `lost`: no answer came, so the call may have taken effect. `throttled`: AWS had no room for it, so it had none. */
  | { readonly ok: false; readonly error: CallError; readonly lost?: boolean; readonly throttled?: boolean };

/** One page and where the next begins; a null cursor is the end. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly cursor: string | null;
}

/** A clock is a port. ISO 8601 with milliseconds, UTC. Used inside durable steps only. */
export interface Clock {
  now(): string;
}

/** Calls made since the last `take`, by `service:Action`, and how many answers were throttles. */
export interface Tally {
  take(): CallTally;
}
export interface CallTally {
  readonly calls: Readonly<Record<string, number>>;
  readonly throttled: number;
}

/** Reading one cell. Nothing here changes anything. */
export interface FleetPort {
  /** All instances of the cell, a page at a time, in EC2's order. */
  listInstances(cursor: string | null, pageSize: number): Promise<Answer<Page<InstanceFacts>>>;
  /** These instances. One that does not exist (any more) is missing from the answer; it never fails the others. */
  describeInstances(instanceIds: readonly string[]): Promise<Answer<readonly InstanceFacts[]>>;
  /** Running instances whose instance status check is impaired, a page at a time. */
  listImpaired(cursor: string | null): Promise<Answer<Page<string>>>;
  /** Managed EC2 instances whose agent SSM calls lost, a page at a time. */
  listLostAgents(cursor: string | null): Promise<Answer<Page<string>>>;
  /** Instance status checks of these instances; EC2 not naming one gives `unknown`. */
  statusChecks(instanceIds: readonly string[]): Promise<Answer<ReadonlyMap<string, StatusCheck>>>;
  /** Agents of these instances; one that SSM does not name is not managed and missing from the map. */
  agents(instanceIds: readonly string[]): Promise<Answer<ReadonlyMap<string, AgentFacts>>>;
  /** What a stop would lose or meet, and the signs of life that policy names. What could not be read is said in the facts. */
  preflight(instance: InstanceFacts, signsOfLife: readonly SignOfLife[]): Promise<PreflightFacts>;
}

/** Reading consoles. */
export interface ConsolePort {
  /** With `Latest`, or without where the instance type does not support it. `previousMark`: of an earlier reading. */
  read(instanceId: string, previousMark: string | null): Promise<ConsoleReading>;
}

/** The cell's SSM document, pinned: a sweep resolves one version and sends exactly that. */
export interface RunbookDocument {
  readonly name: string;
  readonly version: string;
  readonly hash: string;
}

export interface SendRequest {
  /** 1 to 50. */
  readonly instanceIds: readonly string[];
  readonly document: RunbookDocument;
  readonly parameters: Readonly<Record<string, string>>;
  /** At most 100 characters, unique per purpose: a send whose answer was lost is found again by it. */
  readonly comment: string;
  readonly maxConcurrency: number;
  /** SSM's MaxErrors: a number or a percentage. */
  readonly maxErrors: string;
  /** Not started within this time: not run. Unit: seconds, 30 to 2,592,000. */
  readonly deliverySeconds: number;
}

/** `waiting` and `running` are not final. `undelivered`: it surely or probably did not run. `stuck`: started, then no end. */
export interface CommandResult {
  readonly instanceId: string;
  readonly state: 'waiting' | 'running' | 'succeeded' | 'failed' | 'undelivered' | 'stuck' | 'cancelled';
  /** SSM's StatusDetails, for the message. */
  readonly details: string;
  /** stdout as SSM gives it, at most 24,000 characters; null before the end. Untrusted. */
  readonly output: string | null;
}

export interface RunCommandPort {
  /** The numeric default version of the cell's document and its hash; an error when absent or of unexpected content. */
  resolveDocument(): Promise<Answer<RunbookDocument>>;
  /** Sends once. `refused`: ids that SSM would not take (gone, not managed), found by bisection; the others were sent. */
  send(request: SendRequest): Promise<Answer<{ commandIds: readonly string[]; refused: readonly string[] }>>;
  /** Commands sent with exactly this comment since then: what a lost answer of `send` did. */
  findSent(comment: string, since: string): Promise<Answer<readonly string[]>>;
  /** All invocations of a command, all pages, with the whole stdout of each finished one. */
  results(commandId: string): Promise<Answer<readonly CommandResult[]>>;
}

/** Changing the state of a machine. Each call is made once: the caller looks before it asks again. */
export interface PowerPort {
  /** Sets the tag that says we are stopping it. Value: `<runId> <ISO time>`. */
  markStopped(instanceId: string, runId: string): Promise<Answer<null>>;
  unmarkStopped(instanceId: string): Promise<Answer<null>>;
  stop(instanceId: string): Promise<Answer<null>>;
  /** A failure for lack of capacity has an error of kind `capacity`. */
  start(instanceId: string): Promise<Answer<null>>;
  reboot(instanceId: string): Promise<Answer<null>>;
  /** Instances that bear our tag, whatever their state, with the tag's value. */
  listMarked(): Promise<Answer<readonly { instance: InstanceFacts; mark: string }[]>>;
  /** Status tag for whoever looks at the instance; never fails a cure. */
  tagStatus(instanceId: string, status: string): Promise<Answer<null>>;
}

/** A run as the ledger holds it. */
export interface RunRecord {
  readonly runId: string;
  readonly mode: 'plan' | 'apply';
  readonly status: 'started' | 'done' | 'failed';
  readonly request: RunRequest;
  readonly policyDigest: string;
  /** The policy it ran under, to say later what changed. Absent in records of older versions. */
  readonly policy?: Readonly<Record<string, unknown>> | undefined;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly gate: Gate;
  /** The report without its actions and cells, which have items of their own; once done. */
  readonly report: Omit<RunReport, 'actions' | 'cells'> | null;
  readonly failure: string | null;
  /** Of `sweep`. Absent in records of older versions. */
  readonly executionArn?: string | undefined;
}

/** What is kept of a cell between sweeps, for the breaker. */
export interface CellMemory {
  readonly instances: number;
  readonly silent: number;
  readonly breakerOpen: boolean;
  /** Quiet sweeps in a row since it opened. */
  readonly quietSweeps: number;
  readonly at: string;
}

/** A finding as the ledger keeps it within a run: enough to judge again without reading again. */
export interface EntryRecord {
  readonly entry: ActionEntry;
  /** JSON of the {@link Finding}; bounded, holds no console text beyond the summary's lines. */
  readonly finding: string;
  readonly pass: 'silent' | 'rest';
  /** The page of the survey that wrote it: a page that is surveyed again, after a crash, counts its own entries again. */
  readonly page: string;
  /** Digest of the entry as it was planned, so that a plan's entry that was changed in the table can be named. */
  readonly seal?: string | undefined;
}

/** A lease below a name: the last part of its own name, and who holds it. */
export interface HeldLease {
  readonly part: string;
  readonly holder: string;
}

export interface LedgerPort {
  /**
   * Takes the lease if it is free, expired, already ours, or of a holder that is known to be dead. Conditional write.
   * @param name see lease.ts. @param seconds how long it holds unless it is taken again.
   * @param execution ARN of the durable execution that acts for the holder: by it others see when the holder is dead.
   */
  acquireLease(
    name: string,
    holder: string,
    seconds: number,
    execution?: string,
  ): Promise<Answer<{ held: boolean; holder: string }>>;
  /** Gives it back if it is still ours. */
  releaseLease(name: string, holder: string): Promise<Answer<null>>;
  /** Who holds it now; null when nobody does. */
  leaseHolder(name: string): Promise<Answer<string | null>>;
  /** Leases that stand directly below a name and are held: not expired, and their holder not known to be dead. */
  listLeases(below: string): Promise<Answer<readonly HeldLease[]>>;

  putRun(record: RunRecord): Promise<Answer<null>>;
  getRun(runId: string): Promise<Answer<RunRecord | null>>;
  putCellReport(runId: string, report: CellReport): Promise<Answer<null>>;
  /** In order of account and region. */
  getCellReports(runId: string): Promise<Answer<readonly CellReport[]>>;

  /** Writes entries, one item each; writing the same again changes nothing. */
  putEntries(runId: string, cell: Cell, records: readonly EntryRecord[]): Promise<Answer<null>>;
  getEntries(runId: string, cell: Cell, instanceIds: readonly string[]): Promise<Answer<readonly EntryRecord[]>>;
  /** Entries of a run in order of cell and instance id, a page at a time. */
  listEntries(runId: string, cell: Cell | null, cursor: string | null): Promise<Answer<Page<EntryRecord>>>;

  getHistories(cell: Cell, instanceIds: readonly string[]): Promise<Answer<ReadonlyMap<string, InstanceHistory>>>;
  putHistory(cell: Cell, instanceId: string, history: InstanceHistory): Promise<Answer<null>>;

  getCellMemory(cell: Cell): Promise<Answer<CellMemory | null>>;
  putCellMemory(cell: Cell, memory: CellMemory): Promise<Answer<null>>;

  /** The pause switch: null when acting is not paused. */
  getPause(): Promise<Answer<{ reason: string; until: string | null } | null>>;
}

/** How far a durable execution is. */
export interface ExecutionState {
  readonly status: 'running' | 'succeeded' | 'failed' | 'timed out' | 'stopped';
  /** ISO 8601; null while it runs. */
  readonly endedAt: string | null;
  /** Why it failed, as Lambda says it; null when it does not. */
  readonly error: string | null;
}

/** One check of the gate. Closed, or unreadable (an error), forbids acting. */
export interface GateCheck {
  readonly name: string;
  /** null: open. Otherwise the reason. */
  closedBecause(): Promise<Answer<string | null>>;
}

/** Telling people and machines what happened. A failure is an answer that the report carries; it never undoes a cure. */
export interface NewsPort {
  /** One JSON record per finding and outcome in the service's log group. */
  record(stream: string, records: readonly object[]): Promise<Answer<null>>;
  publish(detailType: NewsType, detail: object): Promise<Answer<null>>;
  /** For a person: alarm-like messages and the summary. */
  notify(subject: string, text: string): Promise<Answer<null>>;
}
export type NewsType =
  | 'Audit Backlog Sweep Completed'
  | 'Audit Backlog Instance Remediated'
  | 'Audit Backlog Instance Needs Attention';

/** Everything a workflow of one cell needs. */
export interface CellPorts {
  readonly cell: Cell;
  readonly clock: Clock;
  readonly tally: Tally;
  readonly fleet: FleetPort;
  readonly console: ConsolePort;
  readonly runCommand: RunCommandPort;
  readonly power: PowerPort;
  readonly ledger: LedgerPort;
  readonly news: NewsPort;
  /** What can forbid acting at all. Of the service's own account, whichever account the cell is in. */
  readonly gate: readonly GateCheck[];
  /** What can forbid restarts: the breaker of this cell, as the last sweep left it. */
  readonly breaker: GateCheck;
}

/** Everything `run`, `sweep` and `reconcile` need beside the cells. */
export interface HubPorts {
  readonly clock: Clock;
  readonly tally: Tally;
  readonly ledger: LedgerPort;
  readonly news: NewsPort;
  readonly gate: readonly GateCheck[];
  /** Account and region the service runs in: the default cell. */
  readonly home: Cell;
  readonly policy: Policy;
  /** Starts a sweep asynchronously under a name: the same name and payload twice is one execution. */
  startSweep(name: string, payload: object): Promise<Answer<{ executionArn: string }>>;
  /** How far an execution of `sweep` is. */
  sweepState(executionArn: string): Promise<Answer<ExecutionState>>;
}

/** Opens the ports of a cell. Opening never fails; the first call does, with its reason. */
export type OpenCell = (cell: Cell, quotaShare: number) => CellPorts;
