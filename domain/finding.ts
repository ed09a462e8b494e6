/** What is known of one instance when it is judged: what the console proves, and facts of the world about it. */
import type { Evidence } from './evidence.ts';

/** The unit of quota, of client and of failure. */
export interface Cell {
  readonly accountId: string;
  readonly region: string;
}

/** `reachable` answers; `stuck` took a command and never finished it; `silent` is managed but does not answer. */
export type Reachability = 'reachable' | 'stuck' | 'silent' | 'never';

/** What DescribeInstances says of an instance, as far as a decision needs it. */
export interface InstanceFacts {
  readonly instanceId: string;
  /** EC2 state name: pending, running, shutting-down, terminated, stopping, stopped. */
  readonly state: string;
  /** Why the last transition happened, in EC2's words for people; null when it says nothing. */
  readonly stateReason: string | null;
  /** When the last transition was asked for, ISO 8601; null when EC2 does not say. */
  readonly transitionAt: string | null;
  readonly platform: 'linux' | 'windows';
  readonly instanceType: string;
  readonly architecture: string | null;
  readonly imageId: string;
  /** `lt-0abc:3`, from the tags EC2 sets; null when it was not launched from a template. */
  readonly launchTemplate: string | null;
  readonly availabilityZone: string;
  /** ISO 8601. Renewed by stop and start, not by a reboot. */
  readonly launchTime: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly lifecycle: 'on-demand' | 'spot' | 'other';
  /** EC2 says that a service manages it (`Operator.Managed`). */
  readonly operatorManaged: boolean;
  readonly rootDeviceType: 'ebs' | 'instance-store';
  /** `auto`: a public IPv4 address that a stop gives up; `elastic` is kept. */
  readonly publicAddress: 'none' | 'auto' | 'elastic';
  /** A place of its own that a stop gives back to others: where its like may have none when it starts again. */
  readonly place: 'any' | 'dedicated-host' | 'capacity-reservation' | 'placement-group';
  readonly spotRequestId: string | null;
  readonly volumeIds: readonly string[];
}

/** What SSM says of the agent; null fields of {@link InstanceFacts} are never guessed from it. */
export interface AgentFacts {
  readonly pingStatus: 'Online' | 'ConnectionLost' | 'Inactive';
  /** ISO 8601; null when SSM does not say. */
  readonly lastPingAt: string | null;
  readonly agentVersion: string | null;
}

/** Instance status check. `unknown`: EC2 gave none. */
export type StatusCheck = 'ok' | 'impaired' | 'initializing' | 'insufficient-data' | 'not-applicable' | 'unknown';

/** How the console was read. A failed read is a value: what cannot be read is unknown, never healthy. */
export type ConsoleReading =
  | {
      readonly status: 'read';
      readonly evidence: Evidence;
      /** Read with `Latest`: only then does the text reach to now. */
      readonly latest: boolean;
      /** When EC2 last updated the text, ISO 8601. */
      readonly updatedAt: string | null;
      /** A digest of the user-space lines, to see later whether new ones came. Holds no console text. */
      readonly mark: string;
      /** New user-space lines since an earlier reading in this run; null when it was read once only. */
      readonly newUserSpaceLines: number | null;
    }
  | { readonly status: 'empty' }
  | { readonly status: 'unreadable'; readonly error: CallError }
  /** Not read, because a row before the console decides (not running, opted out, out of scope). */
  | { readonly status: 'not-read' };

/** A call that failed for good: which, why, and what a person does next. */
export interface CallError {
  /** `service:Action`, like `ec2:GetConsoleOutput`. */
  readonly call: string;
  /** AWS's error code, or the client's name for the failure (`TimeoutError`, `ECONNREFUSED`). */
  readonly code: string;
  readonly message: string;
  readonly next: string;
  readonly instanceId?: string;
  /** `definitive`: AWS answered, and the answer will not change by asking again (the instance is gone, the type has no
   * console). `capacity`: AWS has no room now and may have later. `failed`: it was denied, throttled to the end or not
   * answered, so the run is incomplete. */
  readonly kind: 'definitive' | 'capacity' | 'failed';
}

/** What only a machine that would be restarted is asked about (triage rows 12, 15 and 16). */
export interface PreflightFacts {
  /** Instance store volumes attached or of its type; null: could not be read. */
  readonly instanceStore: boolean | null;
  readonly macHost: boolean;
  /** `one-time`: cannot be stopped. */
  readonly spotRequest: 'none' | 'one-time' | 'persistent' | 'unreadable';
  /** DisableApiStop; null: could not be read. */
  readonly stopProtection: boolean | null;
  /** It is terminated, not stopped, when it powers off from inside; null: could not be read. */
  readonly terminatesOnShutdown: boolean | null;
  /** The keys of its encrypted volumes. `not-grantable`: that EC2 may be granted one in our name could not be shown. */
  readonly keys: 'none-needed' | 'enabled' | 'disabled' | 'not-grantable' | 'unreadable';
  /** The key that {@link keys} is about, where it is about one. */
  readonly key?: string;
  /** A target group whose load balancer has an answer from its programs; empty: none has, or policy does not ask
   * (`restart.signsOfLife`); null: could not be read. */
  readonly healthyTargetGroups: readonly string[] | null;
}

/** A proven outcome: for which evidence, which target, and when (ISO 8601). */
export interface Proof {
  readonly evidenceKey: string;
  /** 0: the limit was unlimited and left alone. */
  readonly target: number;
  readonly at: string;
  /** When the limit was read once more, in a later sweep, and whether it was still there. Absent: not yet. */
  readonly lookedAgain?: { readonly at: string; readonly held: boolean } | undefined;
}

/** What the ledger remembers of one instance between sweeps. Times are ISO 8601. */
export interface InstanceHistory {
  /** The last proven outcome; null: none. */
  readonly proven: Proof | null;
  /** Times of proven cures, oldest first, within the longest window. */
  readonly cures: readonly string[];
  /** Restarts tried, oldest first, with the evidence they were for. */
  readonly attempts: readonly { readonly at: string; readonly evidenceKey: string }[];
  /** It took a command and did not finish it in this many sweeps, without an answer since. */
  readonly stuckSweeps: number;
  /** The effective limit an assess read for evidence that names none. */
  readonly assessed: { readonly evidenceKey: string; readonly limit: number } | null;
  /** When the service last changed something on it. */
  readonly lastActionAt: string | null;
  /** The last diagnosis of what does not drain, as the runbook said it. */
  readonly diagnosis: string | null;
}

/** Evidence plus facts: everything triage needs of one instance but policy, breaker and budget. */
export interface Finding {
  readonly cell: Cell;
  readonly instance: InstanceFacts;
  /** Why it is out of the run's scope; null when it is in scope. */
  readonly outOfScope: string | null;
  readonly statusCheck: StatusCheck;
  /** null: not managed by SSM, unless {@link agentError} says that SSM could not be asked. */
  readonly agent: AgentFacts | null;
  /** Why SSM could not be asked about this instance; then nobody knows whether it is reachable. */
  readonly agentError?: CallError;
  readonly console: ConsoleReading;
  readonly history: InstanceHistory | null;
  /** null until it is asked for, which is only for instances that nothing before row 15 decides. */
  readonly preflight: PreflightFacts | null;
}

/** `accountId/region`, as it stands in messages and keys. */
export function cellName(cell: Cell): string {
  return `${cell.accountId}/${cell.region}`;
}

/** `accountId/region/instanceId`: one instance among those of all cells. */
export function instanceName(entry: Cell & { readonly instanceId: string }): string {
  return `${cellName(entry)}/${entry.instanceId}`;
}

/** A failed call in one line, for whoever reads a reason. */
export function says({ call, code, message }: Pick<CallError, 'call' | 'code' | 'message'>): string {
  return `${call}: ${code}: ${message}`;
}
