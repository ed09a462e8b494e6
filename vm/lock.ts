/** One run at a time: two would share the machine's cores and write the same disks. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Another run is at work. The message says which, and what to do. */
export class AnotherRun extends Error {
  override readonly name = 'AnotherRun';
}

/**
 * Takes the lock for this process; it ends with the process. A lock that a dead process left is taken over.
 * @throws {@link AnotherRun} when a living process holds it.
 */
export function takeLock(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  for (;;) {
    try {
      writeFileSync(path, `${process.pid}`, { flag: 'wx' });
      process.once('exit', () => rmSync(path, { force: true }));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = Number(readHolder(path));
    if (pid > 0 && lives(pid)) {
      throw new AnotherRun(`another run (pid ${pid}) is at work here: wait for it, or end it and remove ${path}`);
    }
    rmSync(path, { force: true });
  }
}

/** What the lock holds; empty when it went away meanwhile. */
function readHolder(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
