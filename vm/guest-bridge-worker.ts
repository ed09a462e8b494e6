/** Runs the machine for {@link GuestBridge} on a thread of its own, on the wall clock. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Ran } from './agent.ts';
import type { BridgeAnswer, BridgeRequest } from './guest-bridge.ts';
import { Machine } from './machine.ts';

const { port, signal } = workerData as { port: MessagePort; signal: Int32Array };
const SILENT: Ran = { code: null, stdout: '', stderr: '', milliseconds: 0 };
let machine: Machine | undefined;

async function act(request: BridgeRequest): Promise<BridgeAnswer> {
  switch (request.what) {
    case 'start':
      machine = await Machine.start(request.options);
      return { milliseconds: machine.bootMilliseconds };
    case 'run': {
      if (!machine) throw new Error('the machine has no power');
      const { script, environment, seconds } = request;
      const late = sleep(seconds * 1000, SILENT, { ref: false });
      return { ran: await Promise.race([machine.run(script, environment, seconds), late]) };
    }
    case 'console':
      return { console: machine?.console() ?? new Uint8Array() };
    case 'kill':
      machine?.kill();
      machine = undefined;
      return {};
  }
}

port.on('message', async (request: BridgeRequest) => {
  let answer: BridgeAnswer;
  try {
    answer = await act(request);
  } catch (error) {
    answer = { error: (error as Error).message };
  }
  port.postMessage(answer);
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
});
parentPort?.once('close', () => machine?.kill());
