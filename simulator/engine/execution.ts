import { createHash } from 'node:crypto';
import type { ErrorObject } from '@aws/durable-execution-sdk-js';
import type { Invocation } from '../core.ts';
import type { DeployedFunction } from './functions.ts';
import { type ChainedOutcome, Operations } from './operations.ts';

/** How far an execution is. */
export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'STOPPED';

/** What an execution has used. */
export interface ExecutionUse {
  /** Operations, each once. */
  readonly operations: number;
  /** Operations as they count against the limit of 3,000: with retries and the execution itself. */
  readonly metered: number;
  readonly checkpoints: number;
  readonly invocations: number;
  /** Written by checkpoints. Unit: bytes. */
  readonly bytes: number;
}

/** A durable execution as everyone may see it. */
export interface ExecutionView {
  readonly arn: string;
  readonly name: string;
  /** ARN of the function with the version it runs on. */
  readonly functionArn: string;
  readonly functionName: string;
  readonly version: string;
  readonly status: ExecutionStatus;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** As JSON text. */
  readonly input: string;
  /** As JSON text; null while it runs, where it failed, and where the handler returned nothing. */
  readonly result: string | null;
  readonly error: ErrorObject | null;
  readonly use: ExecutionUse;
}

/** One run of a handler for an execution. */
export interface DurableInvocation extends Invocation {
  readonly number: number;
  /** Ends it when the function's time is up. */
  timer: NodeJS.Timeout | null;
}

/** A durable execution as the engine holds it. */
export class Execution implements ExecutionView {
  readonly arn: string;
  readonly name: string;
  readonly functionArn: string;
  readonly functionName: string;
  readonly version: string;
  readonly deployed: DeployedFunction & { readonly kind: 'durable' };
  readonly input: string;
  readonly startedAt = Date.now();
  readonly operations: Operations;
  status: ExecutionStatus = 'RUNNING';
  endedAt: number | null = null;
  result: string | null = null;
  error: ErrorObject | null = null;
  /** The invocation that may checkpoint; null: suspended, or about to be resumed. */
  current: DurableInvocation | null = null;
  /** A resume is scheduled. */
  queued = false;
  /** Of the next checkpoint. */
  token = '';
  checkpoints = 0;
  invocations = 0;
  /** Invocations in a row that ended with an error of their own. */
  failures = 0;
  /** Ends it when its own time is up. */
  cancelTimeout: () => void = () => undefined;
  readonly onEnd: ((outcome: ChainedOutcome) => void)[] = [];

  constructor(start: {
    readonly deployed: DeployedFunction & { readonly kind: 'durable' };
    readonly functionArn: string;
    readonly version: string;
    readonly name: string;
    readonly input: string;
  }) {
    const id = createHash('sha256').update(`${start.functionArn}/${start.name}`).digest('hex').slice(0, 32);
    this.deployed = start.deployed;
    this.functionName = start.deployed.settings.name;
    this.functionArn = start.functionArn;
    this.version = start.version;
    this.name = start.name;
    this.input = start.input;
    this.arn = `${start.functionArn}/durable-execution/${start.name}/${id}`;
    this.operations = new Operations(id, start.input);
  }

  get use(): ExecutionUse {
    return {
      operations: this.operations.count,
      metered: this.operations.metered,
      checkpoints: this.checkpoints,
      invocations: this.invocations,
      bytes: this.operations.writtenBytes,
    };
  }
}
