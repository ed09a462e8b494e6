import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AnotherRun, takeLock } from '../../vm/lock.ts';

describe('the lock of the real machine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vm-lock-'));
  const path = join(folder, 'cache', 'run.lock');
  afterEach(() => rmSync(path, { force: true }));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is taken once, and the second is told who has it', () => {
    takeLock(path);
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}`);
    expect(() => takeLock(path)).toThrow(AnotherRun);
    expect(() => takeLock(path)).toThrow(`another run (pid ${process.pid}) is at work here`);
  });

  it.each([
    ['of a process that is no more', () => `${spawnSync('true').pid}`],
    ['that holds nothing', () => ''],
  ])('%s is taken over', (_, holder) => {
    takeLock(path);
    writeFileSync(path, holder());
    takeLock(path);
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}`);
  });
});
