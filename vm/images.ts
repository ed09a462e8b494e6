/** Makes what the machines start from, from Debian's packages, and keeps it: one kernel, and per kind a disk and a saved state. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Kind, Machine, type MachineOptions } from './machine.ts';

/** Where everything is kept, not in git. About 750 MB for both kinds. */
export const CACHE = join(import.meta.dirname, '../.audit-backlog/vm');
/** What apt-get installs where it is missing: package, and a program that shows that it is there. */
const TOOLS = [
  ['qemu-system-x86', 'qemu-system-x86_64'],
  ['mmdebstrap', 'mmdebstrap'],
  ['zstd', 'zstd'],
  ['cpio', 'cpio'],
  ['xz-utils', 'xz'],
  ['e2fsprogs', 'mke2fs'],
] as const;
/** `sysexits.h`: try again later. The scripts end so where a package could not be fetched. */
const EX_TEMPFAIL = 75;
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** Something is missing here that the proof needs; nothing is wrong with the product. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** What a machine of one kind starts from. */
export interface Image {
  readonly kind: Kind;
  readonly cold: MachineOptions;
  readonly saved: MachineOptions;
}

/**
 * @throws {@link Unavailable} when this machine cannot make them (no root, no Debian, no packages).
 * @throws Error when the making itself fails.
 */
export async function ensureImages(kinds: readonly Kind[], say: (text: string) => void): Promise<Image[]> {
  requireDebian();
  installTools(say);
  const folder = join(CACHE, stamp());
  mkdirSync(folder, { recursive: true });
  for (const old of readdirSync(CACHE)) {
    if (/^[0-9a-f]{16}$/.test(old) && join(CACHE, old) !== folder)
      rmSync(join(CACHE, old), { recursive: true, force: true });
  }
  if (!existsSync(join(folder, 'kernel.done'))) {
    say('kernel: fetching');
    rmSync(join(folder, 'modules'), { recursive: true, force: true });
    await script('kernel.sh', folder);
    writeFileSync(join(folder, 'kernel.done'), '');
  }
  // The two file systems side by side, the first boots one after the other: at most one machine at a time.
  await Promise.all(
    kinds.filter((kind) => !existsSync(join(folder, `${kind}.done`))).map((kind) => install(kind, folder, say)),
  );
  const images: Image[] = [];
  for (const kind of kinds) images.push(await ensureImage(kind, folder, say));
  return images;
}

async function install(kind: Kind, images: string, say: (text: string) => void): Promise<void> {
  say(`${kind}: installing Debian`);
  await script('rootfs.sh', kind, images);
}

async function ensureImage(kind: Kind, images: string, say: (text: string) => void): Promise<Image> {
  const [disk, saved, memory, log, done] = ['rootfs-#.ext4', 'saved-#.ext4', 'saved-#.zst', 'console-#', '#.done'].map(
    (name) => join(images, name.replace('#', kind)),
  ) as [string, string, string, string, string];
  if (!existsSync(done)) {
    say(`${kind}: first boot`);
    command('cp', ['--sparse=always', disk, saved]);
    const machine = await Machine.start({ images, disk: saved, keepDisk: true });
    const { code, stdout } = await machine.run(SETTLED, {}, 120);
    if (code !== 0) throw new Error(`${kind}: auditd did not come up within 60 s of the boot\n${stdout}`);
    writeFileSync(log, machine.console());
    await machine.save(memory);
    writeFileSync(done, '');
  }
  return {
    kind,
    cold: { images, disk },
    saved: { images, disk: saved, memory, consoleBefore: readFileSync(log) },
  };
}

/** Until auditd runs with the limit of Debian's rules file. */
const SETTLED = `#!/bin/bash
for _ in {1..60}; do
  status=$(auditctl -s)
  case $status in *'pid 0'*) ;; *'backlog_limit 8192'*) sync; exit 0 ;; esac
  sleep 1
done
echo "$status"
exit 1
`;

function requireDebian(): void {
  if (process.platform !== 'linux') throw new Unavailable(`needs Linux, this is ${process.platform}`);
  if (process.getuid?.() !== 0) throw new Unavailable('needs root, to make a file system of Debian packages');
  if (spawnSync('apt-get', ['--version']).status !== 0) throw new Unavailable('needs apt-get');
  if (!readFileSync('/etc/os-release', 'utf8').includes('\nID=debian\n')) throw new Unavailable('needs Debian');
}

function installTools(say: (text: string) => void): void {
  const missing = TOOLS.filter(([, program]) => spawnSync('sh', ['-c', `command -v ${program}`], environment()).status);
  const names = missing.map(([name]) => name);
  if (names.length === 0) return;
  say(`installing ${names.join(' ')}`);
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...names],
  ]) {
    const run = spawnSync('apt-get', args, environment());
    if (run.status !== 0)
      throw new Unavailable(`apt-get ${args[0]} of ${names.join(' ')}: ${tail(String(run.stderr))}`);
  }
}

/** Names all that goes into the images: what changed is made anew. */
function stamp(): string {
  const hash = createHash('sha256');
  for (const file of [...globSync('{guest,images}/*', { cwd: import.meta.dirname }).sort(), 'machine.ts']) {
    hash.update(file).update(readFileSync(join(import.meta.dirname, file)));
  }
  hash.update(command('qemu-system-x86_64', ['--version']));
  hash.update(command('apt-cache', ['depends', 'linux-image-cloud-amd64']));
  return hash.digest('hex').slice(0, 16);
}

async function script(name: string, ...args: string[]): Promise<void> {
  const child = spawn('bash', [join(import.meta.dirname, 'images', name), ...args], {
    ...environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (text) => {
    complaint += String(text);
  });
  const [code] = await once(child, 'exit');
  if (code === 0) return;
  const problem = `images/${name} ${args[0]} ended with ${code}: ${tail(complaint)}`;
  throw code === EX_TEMPFAIL ? new Unavailable(`packages could not be fetched: ${problem}`) : new Error(problem);
}

function command(program: string, args: readonly string[]): string {
  const run = spawnSync(program, args, environment());
  if (run.status !== 0) throw new Error(`${program} ended with ${run.status}: ${tail(String(run.stderr))}`);
  return String(run.stdout);
}

function environment(): { env: NodeJS.ProcessEnv; maxBuffer: number } {
  return { env: { ...process.env, PATH, DEBIAN_FRONTEND: 'noninteractive' }, maxBuffer: 64 * 1024 * 1024 };
}

function tail(text: string): string {
  return text.trim().slice(-600);
}
