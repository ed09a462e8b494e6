/**
 * A virtual machine for callers that cannot wait: each call blocks the thread until the machine has answered. So the
 * embedded region, whose virtual clock stands still meanwhile, can have a real machine as a guest.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Ran } from './agent.ts';
import type { MachineOptions } from './machine.ts';

export type BridgeRequest =
  | { readonly what: 'start'; readonly options: MachineOptions }
  | {
      readonly what: 'run';
      readonly script: string;
      readonly environment: Readonly<Record<string, string>>;
      /** no answer within this time is an answer: `code` null */
      readonly seconds: number;
    }
  | { readonly what: 'console' | 'kill' };

export interface BridgeAnswer {
  readonly milliseconds?: number;
  readonly ran?: Ran;
  readonly console?: Uint8Array;
  readonly error?: string;
}

export class GuestBridge {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(new URL('guest-bridge-worker.ts', import.meta.url), {
      workerData: { port: port2, signal: this.#signal },
      transferList: [port2],
    });
  }

  /** @throws Error with what went wrong on the other thread. */
  call(request: BridgeRequest): BridgeAnswer {
    Atomics.store(this.#signal, 0, 0);
    this.#port.postMessage(request);
    Atomics.wait(this.#signal, 0, 0);
    const answer = receiveMessageOnPort(this.#port)?.message as BridgeAnswer | undefined;
    if (answer === undefined) throw new Error('the machine bridge woke without an answer');
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async end(): Promise<void> {
    this.call({ what: 'kill' });
    this.#port.close();
    await this.#worker.terminate();
  }
}
