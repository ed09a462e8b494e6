/** A command and its invocations. */
import type { ScriptResult } from '../core.ts';
import type { ResolvedDocument } from './documents.ts';
import type { Parameters as Values } from './execution.ts';

/** StatusDetails of an invocation. */
export type InvocationStatus =
  | 'Pending'
  | 'InProgress'
  | 'Success'
  | 'DeliveryTimedOut'
  | 'ExecutionTimedOut'
  | 'Failed'
  | 'Cancelled'
  | 'Terminated';

/** One command on one instance. Times are epoch milliseconds. */
export interface Invocation {
  readonly command: Command;
  readonly instanceId: string;
  readonly computerName: string;
  status: InvocationStatus;
  startedAt: number | null;
  endedAt: number | null;
  result: ScriptResult | null;
}

export interface Command {
  readonly id: string;
  readonly document: ResolvedDocument;
  readonly values: Values;
  readonly comment: string;
  readonly requestedAt: number;
  /** List and get calls show it from then on. */
  readonly visibleAt: number;
  /** To start within. Unit: seconds. */
  readonly timeoutSeconds: number;
  /** To run within. Unit: seconds. */
  readonly executionSeconds: number;
  readonly maxConcurrency: string;
  readonly maxErrors: string;
  readonly invocations: Invocation[];
  cancelled: boolean;
}
