/**
 * Runs a product's script for a guest: its files stand in a temporary folder, its own commands come first on PATH, and
 * what became of files and kernel state is read back. Synchronous, because virtual time must not wait for the host.
 * Results are kept: of hundreds of equal machines one really runs it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileTree, FOLDERS, fileDigest, type GuestFile, treeDigest } from './files.ts';

const COMMANDS = join(dirname(fileURLToPath(import.meta.url)), 'commands');
/** No script of a product takes as long on the host, however busy it is. Unit: milliseconds. */
const HOST_TIMEOUT_MS = 120_000;

/** Kernel and services as the guest's own commands see them; see `commands/lib/guest.sh`. */
export type GuestState = Readonly<Record<string, string>>;

export interface HostRun {
  readonly init: 'systemd' | 'sysv';
  /** Disk and what lives until the next boot, together. */
  readonly tree: FileTree;
  /** Files of `/proc`, by absolute path. */
  readonly proc: Readonly<Record<string, string>>;
  readonly state: GuestState;
  /** Rules in the kernel, one a line. */
  readonly loaded: string;
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface HostRunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly tree: FileTree;
  readonly state: GuestState;
  readonly loaded: string;
}

/** The host could not run a guest's script: no shell, no room, or it took minutes. Nothing is known of the guest then. */
export class GuestRunError extends Error {
  override readonly name = 'GuestRunError';
}

/** State keys that name this one machine or moment; a run that looked at them is not reused for another. */
const IDENTITY_KEYS = ['now', 'now_text', 'hostname'];
const memo = new Map<string, HostRunResult>();
let hostRuns = 0;

/** How often a script really ran on this host since the process started. */
export function hostRunCount(): number {
  return hostRuns;
}

let shared: string | null = null;

/** From now on, what equal runs answered is also kept in this folder, for all processes that were given the same. */
export function shareHostRuns(folder: string): void {
  shared = folder;
}

/** Runs it, or answers what an equal run answered. @throws GuestRunError */
export function runOnHost(run: HostRun): HostRunResult {
  const key = keyOf(run);
  const known = memo.get(key) ?? sharedResult(key);
  const result = known ?? runFresh(run);
  if (result.state.saw_identity === '1') return result;
  memo.set(key, result);
  if (!known) share(key, result);
  return result;
}

function sharedResult(key: string): HostRunResult | null {
  if (shared === null) return null;
  let text: string;
  try {
    text = readFileSync(join(shared, key), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const { tree, ...rest } = JSON.parse(text) as HostRunResult & { readonly tree: [string, GuestFile][] };
  return { ...rest, tree: new Map(tree) };
}

/** Under a name of its own first: others see all of it or nothing. */
function share(key: string, result: HostRunResult): void {
  if (shared === null) return;
  const path = join(shared, key);
  writeFileSync(`${path}.${process.pid}`, JSON.stringify({ ...result, tree: [...result.tree] }));
  renameSync(`${path}.${process.pid}`, path);
}

function keyOf(run: HostRun): string {
  const hash = createHash('sha256').update(`${run.init}\n${treeDigest(run.tree)}\n`);
  const state = Object.entries(run.state).filter(([name]) => !IDENTITY_KEYS.includes(name));
  hash.update(
    JSON.stringify([sorted(Object.fromEntries(state)), sorted(run.proc), sorted(run.environment), run.loaded]),
  );
  return hash.update(run.script).digest('hex');
}

function sorted(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}

function runFresh(run: HostRun): HostRunResult {
  hostRuns++;
  const folder = mkdtempSync(join(tmpdir(), 'audit-backlog-guest-'));
  try {
    const root = join(folder, 'root');
    const guest = join(folder, 'guest');
    for (const path of ['', ...FOLDERS]) mkdirSync(join(root, path), { recursive: true });
    if (run.init === 'systemd') mkdirSync(join(root, 'run/systemd/system'), { recursive: true });
    for (const path of ['guest', 'tmp']) mkdirSync(join(folder, path));
    for (const [path, file] of run.tree) place(join(root, path), file);
    for (const [path, content] of Object.entries(run.proc)) place(join(root, path), { content, mode: 0o644 });
    writeFileSync(join(guest, 'state'), Object.entries(run.state).map(stateLine).join(''));
    writeFileSync(join(guest, 'loaded'), run.loaded);
    const script = join(folder, 'script.sh');
    writeFileSync(script, run.script);
    const done = spawnSync('/bin/sh', [script], {
      cwd: root,
      env: {
        ...run.environment,
        PATH: `${join(COMMANDS, run.init)}:${join(COMMANDS, 'common')}:${process.env.PATH ?? '/usr/bin:/bin'}`,
        LC_ALL: 'C',
        TMPDIR: join(folder, 'tmp'),
        AUDIT_BACKLOG_ROOT: root,
        AUDIT_BACKLOG_GUEST: guest,
      },
      encoding: 'utf8',
      maxBuffer: 1_048_576,
      timeout: HOST_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    if (done.error || done.status === null) {
      const why = done.error?.message ?? `ended by ${done.signal}`;
      throw new GuestRunError(
        `a guest's script did not run on this host (/bin/sh: ${why}): see that sh, awk and sed work here`,
      );
    }
    return {
      exitCode: done.status,
      stdout: done.stdout,
      stderr: done.stderr,
      tree: readTree(root),
      state: readState(readFileSync(join(guest, 'state'), 'utf8')),
      loaded: readFileSync(join(guest, 'loaded'), 'utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function place(path: string, file: GuestFile): void {
  mkdirSync(dirname(path), { recursive: true });
  if (file.link !== undefined) {
    symlinkSync(file.link, path);
    return;
  }
  writeFileSync(path, file.content, 'latin1');
  chmodSync(path, file.mode);
}

function stateLine([name, value]: [string, string]): string {
  if (!/^[a-z_]+$/.test(name) || value.includes("'")) throw new RangeError(`not a guest's state: ${name}=${value}`);
  return `g_${name}='${value}'\n`;
}

function readState(text: string): GuestState {
  return Object.fromEntries([...text.matchAll(/^g_([a-z_]+)='([^']*)'$/gm)].map((m) => [m[1] ?? '', m[2] ?? '']));
}

function readTree(root: string): FileTree {
  const tree = new Map<string, GuestFile>();
  const walk = (path: string) => {
    for (const name of readdirSync(join(root, path)).sort()) {
      const inner = `${path}/${name}`;
      if (inner === '/proc' || inner === '/sys' || inner === '/run/auditd.pid') continue;
      const stat = lstatSync(join(root, inner));
      if (stat.isDirectory()) walk(inner);
      else if (stat.isSymbolicLink())
        tree.set(inner, { content: '', mode: 0o777, link: readlinkSync(join(root, inner)) });
      else if (stat.isFile())
        tree.set(inner, { content: readFileSync(join(root, inner), 'latin1'), mode: stat.mode & 0o7777 });
      else throw new GuestRunError(`a guest's script left something that is neither file, folder nor link: ${inner}`);
    }
  };
  walk('');
  return tree;
}

/** path -> digest of every file, as the world's own judgement compares them. */
export function digests(tree: FileTree): Record<string, string> {
  return Object.fromEntries([...tree].map(([path, file]) => [path, fileDigest(file)]));
}
