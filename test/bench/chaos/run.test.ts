/** `npm run chaos` as a program: its JSON, its trace, its exit codes. */
import { spawnSync } from 'node:child_process';
import { FAULT_NAMES } from '../../../bench/chaos/fault-names.ts';

jest.setTimeout(120_000);

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
  expect(chaos('--runz', '5').status).toBe(2);
});
