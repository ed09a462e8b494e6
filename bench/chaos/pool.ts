/** Worlds side by side: a few processes, each living one world after another. */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
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

/** Guests' files are small and many: memory, where the host offers it as a folder. */
const FAST_FOLDER = '/dev/shm';

/**
 * Lives the worlds of these seeds and calls back for each, in no particular order.
 * @throws WorldFailed for the first world that broke down.
 */
export function liveAll(
  seeds: readonly number[],
  only: WorldKind | null,
  onLived: (seed: number, lived: Lived) => void,
): Promise<void> {
  const env = { ...process.env, TMPDIR: existsSync(FAST_FOLDER) ? FAST_FOLDER : tmpdir() };
  const waiting = [...seeds];
  const count = Math.min(availableParallelism(), seeds.length);
  return new Promise((resolve, reject) => {
    const workers = new Set<ChildProcess>();
    const fail = (seed: number, why: string) => {
      for (const each of workers) each.kill();
      reject(new WorldFailed(seed, why));
    };
    for (let i = 0; i < count; i++) {
      // Worlds make much short-lived rubbish: a large nursery halves what is spent on collecting it.
      const worker = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), {
        env,
        execArgv: ['--max-semi-space-size=64', '--no-warnings'],
      });
      workers.add(worker);
      let current = 0;
      const next = () => {
        const seed = waiting.shift();
        if (seed !== undefined) {
          current = seed;
          worker.send({ seed, only } satisfies Question);
          return;
        }
        workers.delete(worker);
        worker.disconnect();
        if (workers.size === 0) resolve();
      };
      worker.on('message', (answer: Answer) => {
        if ('failure' in answer) return fail(answer.seed, answer.failure);
        onLived(answer.seed, answer.lived);
        next();
      });
      worker.on('exit', (code, signal) => {
        if (workers.has(worker)) fail(current, `its process ended with ${signal ?? code}`);
      });
      next();
    }
  });
}
