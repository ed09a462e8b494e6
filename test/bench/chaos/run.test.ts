/** `npm run chaos` as a program: its JSON, its trace, its exit codes. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { FAULT_NAMES } from '../../../bench/chaos/fault-names.ts';

/** A few worlds each; more where the host is busy with other things. */
jest.setTimeout(300_000);

function chaos(...args: string[]) {
  const done = spawnSync(process.execPath, ['bench/chaos/run.ts', ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

it('answers with one JSON object that knows every fault', () => {
  const { status, stdout } = chaos('--runs', '2', '--seed', '3', '--json');
  const answer = JSON.parse(stdout) as Record<string, unknown> & { faults: Record<string, number> };
  expect(answer).toMatchObject({ runs: 2, seed: 3, violations: [] });
  expect(answer).toMatchObject({ planMutatingCalls: 0, killsInRestarts: 0 });
  expect(answer.seconds).toBeGreaterThan(0);
  expect(Object.keys(answer.faults).sort()).toEqual([...FAULT_NAMES].sort());
  expect(Math.max(...Object.values(answer.faults))).toBeGreaterThan(0);
  expect(status).toBe(0);
});

it('replays one seed event by event, the same each time', () => {
  const first = chaos('--seed', '6', '--trace');
  const second = chaos('--seed', '6', '--trace');
  const events = (text: string) => text.split('\n').filter((line) => /^\d{4}-\d\d-\d\dT/.test(line));
  expect(events(first.stdout).length).toBeGreaterThan(200);
  expect(events(second.stdout)).toEqual(events(first.stdout));
  expect(first.status).toBe(0);
});

it('refuses what it does not understand', () => {
  expect(chaos('--runs', '0').status).toBe(2);
  expect(chaos('--runs', '5', '--trace').status).toBe(2);
  expect(chaos('--seed', '4294967296').status).toBe(2);
  expect(chaos('--seed', '4294967295', '--runs', '2').status).toBe(2);
  expect(chaos('--runz', '5').status).toBe(2);
});

it('lives a world again whose process was killed', async () => {
  const campaign = started('--runs', '3', '--seed', '3', '--json');
  const [worker] = await workersOf(campaign.child.pid ?? 0);
  process.kill(worker ?? 0, 'SIGKILL');
  const [status] = await once(campaign.child, 'close');
  expect(campaign.text.stderr).toMatch(/ended with SIGKILL in the world of seed 3, which is lived again|seed 4, which/);
  expect(JSON.parse(campaign.text.stdout)).toMatchObject({ runs: 3, violations: [] });
  expect(status).toBe(0);
});

it('says what it saw when it is broken off, and leaves no process', async () => {
  const campaign = started('--runs', '500', '--seed', '3', '--json');
  const workers = await workersOf(campaign.child.pid ?? 0);
  campaign.child.kill('SIGINT');
  const [status] = await once(campaign.child, 'close');
  const answer = JSON.parse(campaign.text.stdout) as { runs: number };
  expect(answer).toMatchObject({ asked: 500, violations: [] });
  expect(answer.runs).toBeLessThan(500);
  expect(status).toBe(130);
  for (const worker of workers) expect(() => process.kill(worker, 0)).toThrow();
});

it('takes seeds beyond 31 bits', () => {
  const { status, stdout } = chaos('--seed', '4294967295', '--runs', '1', '--json');
  expect(JSON.parse(stdout)).toMatchObject({ runs: 1, seed: 4_294_967_295, violations: [] });
  expect(status).toBe(0);
});

function started(...args: string[]) {
  const child = spawn(process.execPath, ['bench/chaos/run.ts', ...args]);
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    text.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text.stderr += chunk;
  });
  return { child, text };
}

/** Processes that live worlds for a parent, as soon as there are any. */
async function workersOf(parent: number): Promise<readonly number[]> {
  for (;;) {
    const children = readdirSync('/proc').filter((name) => {
      try {
        return (
          /^\d+$/.test(name) && new RegExp(`\\) [A-Z] ${parent} `).test(readFileSync(`/proc/${name}/stat`, 'utf8'))
        );
      } catch {
        return false;
      }
    });
    if (children.length > 0) return children.map(Number);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
