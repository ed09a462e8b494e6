/** What a scenario chooses about the machine behind an instance. Everything else follows from the seed. */
import type { DistributionId } from './distributions.ts';

/** A burst of audit events. Give `at` or `afterBootSeconds` (then it comes at every boot). */
export interface Burst {
  /** Epoch milliseconds of the world's clock. */
  readonly at?: number;
  readonly afterBootSeconds?: number;
  /** With `afterBootSeconds`: only from this boot on; default 1, the first. */
  readonly fromBoot?: number;
  /** Buffers that the queue would need to take it whole. */
  readonly needs: number;
  /** Where it overflows, user space stops: every process that is audited sleeps in the kernel. */
  readonly hangs?: boolean;
  /** A hang ends after this time by itself. Milliseconds. */
  readonly recoversAfterMs?: number;
  /** Where it hangs, the instance status check fails too (a stuck user space often still answers ARP). */
  readonly impairs?: boolean;
  /** How often the storm comes round, seconds apart; default 2. */
  readonly rounds?: number;
}

/** A configuration manager that puts a file back as it knows it. */
export interface ConfigurationManager {
  readonly everyMinutes: number;
  readonly path: string;
  readonly content: string;
}

/** User data that cloud-init runs at every boot: it writes a file as it knows it and loads the rules. */
export interface UserData {
  readonly afterBootSeconds: number;
  readonly path: string;
  readonly content: string;
}

/** The machine as a scenario wants it. Rules files decide what the kernel is told at boot (`-b`, `-f`, `-e`). */
export interface GuestProfile {
  readonly distribution: DistributionId;
  /** Default: the distribution's. */
  readonly kernel?: string;
  readonly memoryKiB: number;
  /** MemAvailable; default: 70 % of the memory. */
  readonly availableKiB?: number;
  /** Absolute path -> content, over the distribution's own files. `null` removes one. */
  readonly files?: Readonly<Record<string, string | null>>;
  /** `audit_backlog_limit=` on the kernel command line; null: the kernel's default of 64. */
  readonly bootLimit?: number | null;
  /** Default `running`. `stopped`: installed, and does not run. */
  readonly auditd?: 'running' | 'stopped' | 'absent';
  /** auditd ends at this time and does not come back before the next boot. Epoch milliseconds. */
  readonly auditdEndsAt?: number;
  /** auditd reads the queue too slowly for any limit: default true, it drains. */
  readonly drains?: boolean;
  /** Console loglevel 4 (`quiet`): only errors and worse reach the console. */
  readonly quietConsole?: boolean;
  /** Kernel lines begin with the time since the boot: default true; false is `printk.time=0`. */
  readonly kernelTime?: boolean;
  /** The guest has no serial console configured: nothing is ever printed there. */
  readonly noSerialConsole?: boolean;
  /** Free space of the file system of the audit log. Percent; default 62. */
  readonly logDirFreePercent?: number;
  readonly agent?: {
    /** Default true. */
    readonly installed?: boolean;
    /** Default 3.3.3050.0. Before 3.3.2746.0 the agent ignores `interpolationType`. */
    readonly version?: string;
    /** The agent ends then, until the next boot. Epoch milliseconds. */
    readonly diesAt?: number;
    /** From power-on to its first ping; default 24 to 45 by the seed. Seconds. */
    readonly startsAfterSeconds?: number;
  };
  readonly bursts?: readonly Burst[];
  /** Somebody reboots it from inside then. Epoch milliseconds. */
  readonly rebootsAt?: number;
  /** How far its own clock is off, ahead where positive. Milliseconds; default 0. Kernel time since the boot is right. */
  readonly clockSkewMs?: number;
  /** User space writes a line on the console so often. Minutes. */
  readonly chatterMinutes?: number;
  readonly configurationManager?: ConfigurationManager;
  readonly userData?: UserData;
}

/** Who the machine is, for its prompt, its agent and the log of events. */
export interface GuestIdentity {
  readonly instanceId: string;
  readonly accountId: string;
  readonly region: string;
  /** As in the prompt: `ip-10-0-1-23`. */
  readonly hostname: string;
}
