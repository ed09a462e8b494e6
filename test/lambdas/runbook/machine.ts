/**
 * A Linux machine made of a folder: a file tree under AUDIT_BACKLOG_ROOT and small commands, first on PATH, that stand for
 * the kernel (`auditctl`), the service manager and what else the runbook asks. The real script runs against it.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type RunbookOutput, runbookOutputSchema } from '../../../domain/contracts.ts';
import { readRunbookScript } from '../../../lambdas/runbook/document.ts';

/** The script as the SSM document carries it. */
export const SCRIPT = readRunbookScript(join(__dirname, '../../../lambdas/runbook'));

/** What the fake commands know and change. All values are plain words: the file is read by `.` in sh. */
export interface Kernel {
  limit: number;
  enabled: number;
  failure: number;
  pid: number;
  lost: number;
  backlog: number;
  wait: number;
  /** How `auditctl -s` answers. */
  status: 'lines' | 'old' | 'empty' | 'audit0' | 'hang';
  /** `refuse`: EPERM; `ignore`: exit 0 and nothing done; `hang`: does not come back. */
  set: 'obey' | 'refuse' | 'ignore' | 'hang';
  /** Records lost by every read of the status. */
  losing: number;
  release: string;
  diskSize: number;
  diskFree: number;
  refuseStop: 'yes' | 'no';
  legacy: 'yes' | 'no';
  unit: 'enabled' | 'disabled' | 'masked';
  /** auditd comes up when it is started. */
  starts: 'yes' | 'no';
  /** The limit that loading the rules sets when auditd starts; empty: none. */
  loads: number | '';
  /** Command at whose first call the runbook is killed with SIGKILL, before or after the command did its work. */
  killAt: '' | 'cp' | 'mv' | 'awk-edit' | 'sync' | 'auditctl-b' | 'boot-config';
  killWhen: 'before' | 'after';
  /** Command that fails; `mv-late`: mv does its work and is then ended, as one that sleeps in the kernel at its end. */
  fails: string;
  /** Probe of `timeout` fails, so the runbook uses its own. */
  timeout: 'yes' | 'no';
  /** Rules that are loaded. */
  rules: number;
  /** What the boot loader's tools do: their work; nothing, with exit code 0; the first entry alone; fail; not come back; be ended while they write. */
  bootTool: 'works' | 'ignores' | 'half' | 'fails' | 'hangs' | 'cut';
}

const HEALTHY: Kernel = {
  limit: 320,
  enabled: 1,
  failure: 1,
  pid: 712,
  lost: 0,
  backlog: 3,
  wait: 60000,
  status: 'lines',
  set: 'obey',
  losing: 0,
  release: '6.1.0-99-cloud-amd64',
  diskSize: 1000000,
  diskFree: 630000,
  refuseStop: 'no',
  legacy: 'no',
  unit: 'enabled',
  starts: 'yes',
  loads: '',
  killAt: '',
  killWhen: 'before',
  fails: '',
  timeout: 'yes',
  rules: 0,
  bootTool: 'works',
};

const HEAD = `#!/bin/sh
. "$FAKE/state"
name=\${0##*/}
found() { (PATH=\${PATH#"$FAKE/bin:"}; command -v "$name"); }
real() { exec "$(found)" "$@"; }
put() { echo "$1=$2" >> "$FAKE/state"; }
die() { kill -9 "$(readlink "$AUDIT_BACKLOG_ROOT/run/audit-backlog.lock" | cut -d. -f1)"; }
strike() { # NAME ARGS...: kills the runbook around the real command
  case "$killAt,$killWhen" in
    "$1,before") put killAt ''; die; exit 1 ;;
    "$1,after") put killAt ''; shift; "$(found)" "$@"; die; exit 1 ;;
  esac
}
came_up() { if [ "$starts" = yes ]; then put pid "$((pid + 1000))"; [ -z "$loads" ] || put limit "$loads"; else put pid 0; fi; }
`;
const LOG = 'echo "$name $*" >> "$FAKE/calls"\n';

/** Boot loaders. The runbook asks one only where the tree holds its program; see `grubby()` and `grub()` in boot-limit.test.ts. */
const GRUB = `${LOG}cd "$AUDIT_BACKLOG_ROOT" || exit 1
strike boot-config
case $bootTool in fails) exit 1 ;; ignores) exit 0 ;; hangs) exec /bin/sleep 60 ;; esac
. etc/default/grub
[ "$name" != update-grub ] || for each in etc/default/grub.d/*.cfg; do [ ! -f "$each" ] || . "./$each"; done
cfg=boot/grub/grub.cfg
[ "$name" != grub2-mkconfig ] || cfg=boot/grub2/grub.cfg
[ "$bootTool" != cut ] || { printf '%s\n' 'menuentry one {' > "$cfg"; exit 137; }
printf '%s\n' 'menuentry one {' "  linux /vmlinuz-2 root=UUID=x ro \${GRUB_CMDLINE_LINUX} \${GRUB_CMDLINE_LINUX_DEFAULT}" '  initrd /i' '}' \
  'menuentry two {' "  linux /vmlinuz-1 root=UUID=x ro single \${GRUB_CMDLINE_LINUX}" '}' 'menuentry mem {' '  linux /memtest86+' '}' > "$cfg"
`;
const BOOT_TOOLS: Record<string, string> = {
  grubby: `${LOG}cd "$AUDIT_BACKLOG_ROOT/boot/loader/entries" || exit 1
[ "$bootTool" != hangs ] || exec /bin/sleep 60
case $1 in
  --info=ALL) n=0
    for each in *.conf; do
      printf 'index=%s\nkernel="/boot/vmlinuz-%s"\nargs="%s"\nroot="UUID=x"\n' "$n" "$n" "$(cat "$each")"
      n=$((n + 1))
    done ;;
  --update-kernel=ALL)
    strike boot-config
    [ "$bootTool" != fails ] || exit 1
    [ "$bootTool" != ignores ] || exit 0
    for each in *.conf; do
      sed -i "s/ *audit_backlog_limit=[0-9]*//; s/$/ \${2#--args=}/" "$each"
      [ "$bootTool" != half ] || exit 0
    done ;;
esac`,
  'update-grub': GRUB,
  'grub2-mkconfig': GRUB,
};

const COMMANDS: Record<string, string> = {
  auditctl: `${LOG}case $1 in
  -s) put lost "$((lost + losing))"
    case $status in
      lines) printf 'enabled %s\\nfailure %s\\npid %s\\nrate_limit 0\\nbacklog_limit %s\\nlost %s\\nbacklog %s\\nbacklog_wait_time %s\\nbacklog_wait_time_actual 0\\nloginuid_immutable 0 unlocked\\n' "$enabled" "$failure" "$pid" "$limit" "$lost" "$backlog" "$wait" ;;
      old) echo "AUDIT_STATUS: enabled=$enabled flag=$failure pid=$pid rate_limit=0 backlog_limit=$limit lost=$lost backlog=$backlog" ;;
      empty) exit 0 ;;
      audit0) echo 'Error - audit support not in kernel' >&2; exit 1 ;;
      hang) exec /bin/sleep 60 ;;
    esac ;;
  -b) strike auditctl-b
    [ "$set" != hang ] || exec /bin/sleep 60
    [ "$enabled" != 2 ] && [ "$set" != refuse ] || { echo 'Error sending backlog limit request (Operation not permitted)' >&2; exit 255; }
    [ "$set" = ignore ] || put limit "$2"
    echo "backlog_limit $2" ;;
  -l) n=0
    while [ "$n" -lt "$rules" ]; do n=$((n + 1)); echo "-w /etc/$n -p wa -k $n"; done
    [ "$n" != 0 ] || echo 'No rules' ;;
  *) exit 255 ;;
esac`,
  systemctl: `${LOG}case $1 in
  show) echo "RefuseManualStop=$refuseStop"; echo "UnitFileState=$unit" ;;
  restart) [ "$refuseStop" = no ] || { echo 'Operation refused' >&2; exit 4; }
    [ "$unit" != masked ] || exit 1
    came_up ;;
  start) [ "$unit" != masked ] || exit 1
    came_up ;;
esac`,
  service: `${LOG}[ "$refuseStop,$legacy" != yes,no ] || exit 4
case $2 in restart | start) came_up ;; stop) put pid 0 ;; esac`,
  kill: `${LOG}put pid 0`,
  augenrules: `${LOG}exit 1`,
  uname: 'echo "$release"',
  df: `[ "$diskSize" = 0 ] && exit 1
printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/nvme0n1p1 %s %s %s 37%% /\\n' "$diskSize" "$((diskSize - diskFree))" "$diskFree"`,
  sleep: `case $1,$timeout in 1,yes | 3,yes | 5,yes) ;; *) exec /bin/sleep "$@" ;; esac`,
  chcon: LOG,
  ...BOOT_TOOLS,
  timeout: `[ "$timeout" = yes ] || exit 125
real "$@"`,
  sync: `${LOG}strike sync "$@"
real "$@"`,
  cp: `strike cp "$@"
[ "$fails" != cp ] || exit 1
real "$@"`,
  mv: `strike mv "$@"
[ "$fails" != mv ] || exit 1
case $fails,$3 in mv-late,*.rules) "$(found)" "$@"; exit 137 ;; esac
real "$@"`,
  awk: `case $2 in *etc/audit/* | /dev/null) strike awk-edit "$@"
  [ "$fails" != awk-full ] || { "$(found)" "$@" | head -c 20; exit 0; } ;;
esac
real "$@"`,
};

/** A file's content; `{ link }` for a symbolic link; `{ text, mode }` for a mode other than 0640; null: not there. */
export type Entry = string | Buffer | { link: string } | { text: string; mode: number } | { folder: true } | null;
export type Files = Record<string, Entry>;

export const OS_RELEASE = 'NAME="Debian"\nID=debian\nVERSION_ID="12"\n';
export const MEMINFO = 'MemTotal:        8000000 kB\nMemFree:         1000000 kB\nMemAvailable:    6000000 kB\n';
export const AUDITD_CONF =
  'log_file = /var/log/audit/audit.log\nspace_left = 75\nspace_left_action = SYSLOG\nadmin_space_left = 50\nadmin_space_left_action = SUSPEND\ndisk_full_action = SUSPEND\n';

/** What every machine has: systemd, auditd.conf, memory. */
export const BASE: Files = {
  'run/systemd/system': { folder: true },
  'proc/meminfo': MEMINFO,
  'proc/cmdline': 'BOOT_IMAGE=/vmlinuz root=/dev/nvme0n1p1 ro\n',
  'etc/os-release': OS_RELEASE,
  'etc/audit/auditd.conf': AUDITD_CONF,
  'var/log/audit/audit.log': '',
};

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line, checked against the public contract. */
  readonly answer: RunbookOutput;
}

export interface Options {
  readonly shell?: readonly string[];
  readonly patience?: number;
}

export class Machine {
  readonly folder = mkdtempSync(join(tmpdir(), 'runbook-'));
  readonly root = join(this.folder, 'root');
  readonly fake = join(this.folder, 'fake');
  readonly script = join(this.folder, 'script.sh');

  constructor(files: Files, kernel: Partial<Kernel> = {}, without: readonly string[] = []) {
    mkdirSync(join(this.fake, 'bin'), { recursive: true });
    writeFileSync(this.script, SCRIPT);
    const state = { ...HEALTHY, ...kernel };
    const plain = [
      ...(state.timeout === 'yes' ? ['timeout'] : []),
      ...(state.killAt === '' && state.fails === '' ? ['cp', 'mv', 'awk', 'sync'] : []),
    ];
    for (const [name, body] of Object.entries(COMMANDS)) {
      if (!without.includes(name) && !plain.includes(name)) this.command(name, HEAD + body);
    }
    writeFileSync(join(this.fake, 'calls'), '');
    writeFileSync(join(this.fake, 'state'), '');
    this.set(state);
    for (const [path, entry] of Object.entries({ ...BASE, ...files })) this.write(path, entry);
  }

  command(name: string, text: string): void {
    writeFileSync(join(this.fake, 'bin', name), text, { mode: 0o755 });
  }

  set(kernel: Partial<Kernel>): void {
    const lines = Object.entries(kernel).map(([key, value]) => `${key}='${value}'\n`);
    appendFileSync(join(this.fake, 'state'), lines.join(''));
  }

  write(path: string, entry: Entry): void {
    if (entry === null) return;
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    if (typeof entry === 'string' || Buffer.isBuffer(entry)) writeFileSync(full, entry, { mode: 0o640 });
    else if ('link' in entry) symlinkSync(entry.link, full);
    else if ('folder' in entry) mkdirSync(full, { recursive: true });
    else {
      writeFileSync(full, entry.text);
      chmodSync(full, entry.mode);
    }
    // An old time, so that a rewritten file shows.
    if (existsSync(full)) utimesSync(full, 1_600_000_000, 1_600_000_000);
  }

  /** What the kernel has in force now. */
  get(key: keyof Kernel): string {
    const lines = readFileSync(join(this.fake, 'state'), 'utf8').split('\n');
    const last = lines.filter((line) => line.startsWith(`${key}=`)).at(-1) ?? '';
    return last.slice(key.length + 1).replaceAll("'", '');
  }

  calls(): string[] {
    return readFileSync(join(this.fake, 'calls'), 'utf8').split('\n').filter(Boolean);
  }

  environment(parameters: Record<string, string>, options: Options): NodeJS.ProcessEnv {
    const env: NodeJS.ProcessEnv = {
      PATH: `${join(this.fake, 'bin')}:${process.env.PATH}`,
      FAKE: this.fake,
      AUDIT_BACKLOG_ROOT: this.root,
      AUDIT_BACKLOG_PATIENCE: String(options.patience ?? 20),
    };
    const all = { Mode: 'apply', OverflowedAt: '320', ...parameters };
    for (const [name, value] of Object.entries(all)) env[`SSM_${name}`] = value;
    return env;
  }

  run(parameters: Record<string, string> = {}, options: Options = {}): Run {
    const [shell = 'sh', ...rest] = options.shell ?? ['sh'];
    const env = this.environment(parameters, options);
    const result = spawnSync(shell, [...rest, this.script], { env, encoding: 'utf8', timeout: 60_000 });
    return { status: result.status, stdout: result.stdout, stderr: result.stderr, answer: parse(result.stdout) };
  }

  /** Runs without waiting and without asking for an answer, for runs that are killed or meet another one. */
  start(parameters: Record<string, string> = {}): Promise<{ status: number | null; stdout: string }> {
    return new Promise((resolve) => {
      const child = spawn('sh', [this.script], {
        env: this.environment(parameters, {}),
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let stdout = '';
      child.stdout.on('data', (data: Buffer) => {
        stdout += data.toString();
      });
      child.on('close', (status) => resolve({ status, stdout }));
    });
  }

  /** The whole tree: one line a path with type, mode, time and content. */
  tree(times = true): Record<string, string> {
    const lines: Record<string, string> = {};
    const walk = (folder: string): void => {
      for (const name of readdirSync(join(this.root, folder)).sort()) {
        const path = join(folder, name);
        const stat = lstatSync(join(this.root, path));
        const time = times ? ` ${stat.mtimeMs}` : '';
        if (stat.isSymbolicLink()) lines[path] = `link ${readlinkSync(join(this.root, path))}`;
        else if (stat.isDirectory()) {
          lines[path] = `folder ${(stat.mode & 0o7777).toString(8)}${time}`;
          walk(path);
        } else {
          const content = readFileSync(join(this.root, path)).toString('latin1');
          lines[path] = `file ${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}${time}\n${content}`;
        }
      }
    };
    walk('');
    return lines;
  }

  read(path: string): string | null {
    const full = join(this.root, path);
    return existsSync(full) ? readFileSync(full).toString('latin1') : null;
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The runbook's answer by its contract: one line, JSON, known keys, at most 2,000 characters. */
export function parse(stdout: string): RunbookOutput {
  const lines = stdout.split('\n');
  if (lines.length !== 2 || lines[1] !== '') throw new Error(`not one line on stdout: ${JSON.stringify(stdout)}`);
  if ((lines[0] ?? '').length > 2000) throw new Error('the answer is longer than 2,000 characters');
  return runbookOutputSchema.strict().parse(JSON.parse(lines[0] ?? ''));
}

/** Makes a machine, hands it over, and removes it whatever happens. */
export function withMachine<T>(
  files: Files,
  kernel: Partial<Kernel>,
  use: (machine: Machine) => T,
  without: readonly string[] = [],
): T {
  const machine = new Machine(files, kernel, without);
  try {
    return use(machine);
  } finally {
    machine.dispose();
  }
}
