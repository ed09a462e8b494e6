/** One boot of a machine. */
import type { KernelAudit } from './kernel-audit.ts';

/** The processes of one boot: gone with it. */
export interface Boot {
  readonly number: number;
  readonly at: number;
  /** When user space stands. */
  readonly loginAt: number;
  readonly agentAt: number;
  readonly audit: KernelAudit;
  /** `audit_backlog_limit=` on the kernel command line of this boot. */
  readonly bootLimit: number | null;
  loaded: string;
  agentEndsAt: number;
  hungSince: number | null;
  hungImpairs: boolean;
  panicked: boolean;
}
