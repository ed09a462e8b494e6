import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './program.ts';

const OVERFLOW = '[   12.000000] audit: audit_backlog=65 > audit_backlog_limit=64';
const KEYS = [
  'schema',
  'file',
  'verdict',
  'limit',
  'backlog',
  'lost',
  'suppressed',
  'panic',
  'kernel',
  'currentBoot',
  'evidence',
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'detect-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('prints one JSON line a file, keys in the order of the contract, files in the order given', async () => {
  const bad = file('bad.log', `${OVERFLOW}\n`);
  const good = file('good.log', '[    0.000000] Linux version 6.1.0 (x) #1 SMP\n');
  const { code, stdout, stderr } = await run(['detect', bad, good]);
  const reports = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(reports.map((r) => [r.file, r.verdict, r.limit])).toEqual([
    [bad, 'overflow', 64],
    [good, 'none', null],
  ]);
  for (const report of reports) expect(Object.keys(report)).toEqual(KEYS);
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test('reads stdin, lines ending in CRLF', async () => {
  const { code, stdout } = await run(['detect', '-'], { input: `boot\r\n${OVERFLOW}\r\n` });
  expect(JSON.parse(stdout)).toMatchObject({ file: '-', verdict: 'overflow', backlog: 65, evidence: [{ line: 2 }] });
  expect(code).toBe(0);
});

test('a file that cannot be read is named, the others are told all the same, and the exit code says so', async () => {
  const bad = file('bad.log', OVERFLOW);
  const { code, stdout, stderr } = await run(['detect', join(folder, 'absent\u001b[31m.log'), bad, folder]);
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  expect(JSON.parse(stdout).verdict).toBe('overflow');
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/absent.*cannot be read \(ENOENT.*check the path/);
  expect(lines[1]).toMatch(/cannot be read \(EISDIR/);
  expect(stderr).not.toContain('\u001b');
  expect(code).toBe(2);
});

test('what JSON leaves bare of the unprintable is escaped', async () => {
  const hostile = file('bad\u009b31m\u202e.log', OVERFLOW);
  const { stdout } = await run(['detect', hostile]);
  expect(stdout).not.toMatch(/[\u009b\u202e]/);
  expect(JSON.parse(stdout).file).toBe(hostile);
});
