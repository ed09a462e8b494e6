/** Runs the real program as a child process, in an environment that names no account, region or profile. */
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..', '..');
export const PROGRAM = join(ROOT, 'cli', 'audit-backlog.js');
/** The program starts a hundred times: what it was compiled to is kept, as for the worlds of `npm run chaos`. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'audit-backlog-compile-cache');
const NODE = join(ROOT, 'node_modules', '.bin', 'node');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly node?: string;
  readonly nodeOptions?: readonly string[];
  /** Nobody reads stdout: its pipe is closed before anything is written. */
  readonly unread?: boolean;
  /** Sees stderr as it comes. */
  readonly onStderr?: (text: string, child: ChildProcess) => void;
}

export const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' };

export function run(args: readonly string[], around: Surroundings = {}): Promise<Ended> {
  const env = {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    NODE_OPTIONS: process.env.NODE_OPTIONS,
    NODE_COMPILE_CACHE,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...around.env,
  };
  const child = spawn(around.node ?? NODE, [...(around.nodeOptions ?? []), PROGRAM, ...args], { cwd: ROOT, env });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    around.onStderr?.(stderr, child);
  });
  if (around.unread) child.stdout.destroy();
  child.stdin.end(around.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** What bad input has to be answered with: exit 2, one line on stderr, nothing on stdout. */
export function expectOneClearLine(ended: Ended, text: RegExp): void {
  expect(ended.stderr).toMatch(text);
  expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(ended.stderr).toMatch(/^audit-backlog: /);
  expect(ended.stdout).toBe('');
  expect(ended.code).toBe(2);
}
