/** Worlds side by side: a few processes, each living one world after another. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lived } from './life.ts';
import type { Answer, Question } from './worker.ts';
import type { WorldKind } from './world.ts';

/** A world could not be lived to its end: a mistake of the harness or the simulator, never a violation. */
export class WorldFailed extends Error {
  override readonly name = 'WorldFailed';
  constructor(seed: number, why: string) {
    super(`the world of seed ${seed} broke down; replay it with --seed ${seed} --runs 1 --trace: ${why}`);
  }
}

/** What {@link liveAll} is to do. */
export interface Campaign {
  readonly seeds: readonly number[];
  /** null: each as its seed has it. */
  readonly only: WorldKind | null;
  /** In no particular order. */
  readonly onLived: (seed: number, lived: Lived) => void;
  /** Something that a person should know of, and that harms no result. */
  readonly onNote: (text: string) => void;
  /** Ends it early: worlds that are not lived to their end do not count. */
  readonly signal: AbortSignal;
}

/** Guests' files are small and many: memory, where the host offers it as a folder. */
const FAST_FOLDER = '/dev/shm';
/** A process that dies is the host's affair (out of memory, somebody's kill); that often with one world, the world's. */
const DEATHS = 3;

/**
 * Lives worlds, and once more where a process died over one.
 * @throws WorldFailed for the first world that broke down.
 */
export async function liveAll(campaign: Campaign): Promise<void> {
  const folder = mkdtempSync(join(existsSync(FAST_FOLDER) ? FAST_FOLDER : tmpdir(), 'audit-backlog-chaos-'));
  const shared = join(folder, 'runs');
  mkdirSync(shared);
  const workers = new Set<ChildProcess>();
  const waiting = [...campaign.seeds];
  const over = new AbortController();
  const signal = AbortSignal.any([campaign.signal, over.signal]);
  const start = () => started(folder, shared, workers);
  try {
    const count = Math.min(availableParallelism(), waiting.length);
    await Promise.all(Array.from({ length: count }, () => keepLiving({ ...campaign, signal }, waiting, start)));
    // One that has nothing left to do ends by itself, and keeps what it compiled for the next campaign.
    if (!signal.aborted) for (const worker of workers) if (worker.connected) worker.disconnect();
  } finally {
    over.abort();
    await Promise.all([...workers].map(ended));
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** One worker after another, for as long as seeds wait. */
async function keepLiving(campaign: Campaign, waiting: number[], start: () => ChildProcess): Promise<void> {
  const { only, onLived, onNote, signal } = campaign;
  let worker: ChildProcess | null = null;
  let deaths = 0;
  for (let seed = waiting.shift(); seed !== undefined && !signal.aborted; ) {
    worker ??= start();
    const answer = await asked(worker, { seed, only }, signal);
    if (answer === null) return;
    if ('lived' in answer) {
      onLived(seed, answer.lived);
      deaths = 0;
      seed = waiting.shift();
    } else if ('failure' in answer) {
      throw new WorldFailed(seed, answer.failure);
    } else {
      worker = null;
      if (++deaths === DEATHS)
        throw new WorldFailed(seed, `${DEATHS} processes ended over it, the last with ${answer.died}`);
      onNote(`a process ended with ${answer.died} in the world of seed ${seed}, which is lived again`);
    }
  }
}

/** What a worker says of a seed, or how it died over it; null: nobody waits any longer. */
function asked(
  worker: ChildProcess,
  question: Question,
  signal: AbortSignal,
): Promise<Answer | { readonly died: string } | null> {
  return new Promise((resolve) => {
    const settle = (answer: Answer | { readonly died: string } | null) => {
      worker.off('message', settle).off('exit', onExit).off('error', onError);
      signal.removeEventListener('abort', onAbort);
      resolve(answer);
    };
    const onExit = (code: number | null, by: string | null) => settle({ died: by ?? `exit code ${code}` });
    // A channel breaks when its process dies, sometimes before the exit is told; what it died of, only that says.
    const onError = (error: Error) => {
      if (worker.pid === undefined) settle({ died: error.message });
      else worker.kill('SIGKILL');
    };
    const onAbort = () => settle(null);
    if (worker.exitCode !== null || worker.signalCode !== null) return onExit(worker.exitCode, worker.signalCode);
    worker.on('message', settle).on('exit', onExit).on('error', onError);
    signal.addEventListener('abort', onAbort);
    worker.send(question, (error) => {
      if (error) onError(error);
    });
  });
}

function started(folder: string, shared: string, workers: Set<ChildProcess>): ChildProcess {
  const worker = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), [shared], {
    env: { ...process.env, TMPDIR: folder, NODE_COMPILE_CACHE: join(tmpdir(), 'audit-backlog-compile-cache') },
    // Worlds make much short-lived rubbish: a large nursery halves what is spent on collecting it.
    execArgv: ['--max-semi-space-size=64', '--no-warnings'],
  });
  // Who asks it something hears of it as well; without a listener it would end the parent.
  worker.on('error', () => undefined);
  workers.add(worker);
  return worker;
}

/** Sees a worker off; one that is still in a world is not waited for. */
async function ended(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null || worker.pid === undefined) return;
  const gone = once(worker, 'exit');
  if (worker.connected) worker.kill('SIGKILL');
  await gone;
}
