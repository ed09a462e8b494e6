/** A guest's file tree, in memory: its disk (kept over power cycles) and what lives until the next boot (`/run`). */
import { createHash } from 'node:crypto';
import type { Distribution } from './distributions.ts';
import type { GuestProfile } from './profile.ts';

/** A regular file, or a symbolic link where `link` is set. `content` holds bytes as latin1, so any bytes survive. */
export interface GuestFile {
  readonly content: string;
  /** Permission bits. */
  readonly mode: number;
  readonly link?: string;
}

/** Absolute path -> file. Folders exist as far as a path or {@link FOLDERS} names them. */
export type FileTree = ReadonlyMap<string, GuestFile>;

/** Folders that every guest has, even without a file in them. */
export const FOLDERS = ['/etc/audit', '/run', '/tmp', '/var/log/audit', '/proc', '/sys', '/usr/lib/systemd/system'];

/** Where nothing outlives a boot. */
export function isVolatile(path: string): boolean {
  return /^\/(run|tmp)\//.test(path);
}

const HEADER = '## First rule - delete all\n-D\n\n';

/** The stock rules of a distribution: no `-b`, so the kernel's own limit stays. */
const BASE_RULES = `${HEADER}## This determine how long to wait in burst of events\n--backlog_wait_time 60000\n\n## Set failure mode to syslog\n-f 1\n`;

/** rules.d/audit.rules as the fleets of this world have it, with this limit. */
export function rulesWithLimit(limit: number, more = ''): string {
  return `${HEADER}## Increase the buffers to survive stress events.\n-b ${limit}\n\n## Set failure mode to syslog\n-f 1\n${more}`;
}

const AUDITD_CONF = `log_file = /var/log/audit/audit.log
log_format = ENRICHED
flush = INCREMENTAL_ASYNC
freq = 50
num_logs = 5
max_log_file = 8
max_log_file_action = ROTATE
space_left = 75
space_left_action = SYSLOG
admin_space_left = 50
admin_space_left_action = SUSPEND
disk_full_action = SUSPEND
disk_error_action = SUSPEND
`;

/** The files a fresh machine of this profile has. */
export function initialFiles(
  distribution: Distribution,
  profile: GuestProfile,
  bootLoader: Readonly<Record<string, GuestFile>>,
): Map<string, GuestFile> {
  const files = new Map<string, GuestFile>(Object.entries(bootLoader));
  const put = (path: string, content: string, mode = 0o644) => {
    files.set(path, { content: Buffer.from(content, 'utf8').toString('latin1'), mode });
  };
  if (distribution.osRelease !== '') put('/etc/os-release', distribution.osRelease);
  if (distribution.id.startsWith('rhel')) put('/etc/redhat-release', `${distribution.banner}\n`);
  if (distribution.id.startsWith('al')) put('/etc/system-release', `${distribution.banner}\n`);
  if (profile.auditd !== 'absent') {
    put('/etc/audit/auditd.conf', AUDITD_CONF, 0o640);
    if (distribution.augenrules) put('/etc/audit/rules.d/audit.rules', BASE_RULES, 0o640);
    put('/etc/audit/audit.rules', BASE_RULES, 0o640);
    if (distribution.init === 'systemd') put('/usr/lib/systemd/system/auditd.service', unit(distribution));
    if (distribution.legacyActions) {
      put(
        '/usr/libexec/initscripts/legacy-actions/auditd/restart',
        '#!/bin/sh\n# Helper script: stops auditd by signal.\n',
        0o755,
      );
    }
  }
  for (const [path, content] of Object.entries(profile.files ?? {})) {
    if (!path.startsWith('/')) throw new RangeError(`a guest's file needs an absolute path: ${path}`);
    if (content === null) files.delete(path);
    else put(path, content, path.startsWith('/etc/audit/') ? 0o640 : 0o644);
  }
  return files;
}

function unit(distribution: Distribution): string {
  return [
    '[Unit]',
    'Description=Security Auditing Service',
    'DefaultDependencies=no',
    ...(distribution.refuseManualStop ? ['RefuseManualStop=yes'] : []),
    'ConditionKernelCommandLine=!audit=0',
    '[Service]',
    'Type=forking',
    'PIDFile=/run/auditd.pid',
    'ExecStart=/sbin/auditd',
    'ExecStartPost=-/sbin/augenrules --load',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
}

/** One digest a file, over content, mode and owner (always the guest's root). */
export function fileDigest(file: GuestFile): string {
  return createHash('sha256')
    .update(`${file.mode} 0 0 ${file.link ?? ''}\n`)
    .update(file.content, 'latin1')
    .digest('hex');
}

/** One digest for a whole tree. */
export function treeDigest(tree: FileTree): string {
  const hash = createHash('sha256');
  for (const path of [...tree.keys()].sort()) {
    const file = tree.get(path);
    if (file) hash.update(`${path} ${fileDigest(file)}\n`);
  }
  return hash.digest('hex');
}

/** What the rules tell the kernel when they are loaded; null where no rule says it. */
export interface LoadedRules {
  readonly limit: number | null;
  readonly failure: 0 | 1 | 2 | null;
  readonly enabled: 0 | 1 | 2 | null;
  readonly rules: readonly string[];
}

const JOINED = '/etc/audit/audit.rules';

/** The files of rules.d in the order in which augenrules reads them. */
function rulesInFolder(tree: FileTree): string[] {
  const paths = [...tree.keys()].filter((path) => /^\/etc\/audit\/rules\.d\/[^./][^/]*\.rules$/.test(path));
  return paths.sort(naturalOrder);
}

/** As augenrules: joins rules.d into audit.rules, the last of each control line, and keeps what was there beside it. */
export function joinRules(tree: Map<string, GuestFile>): void {
  const paths = rulesInFolder(tree);
  if (paths.length === 0) return;
  const last: Record<string, string> = {};
  const rules: string[] = [];
  for (const line of paths.flatMap((path) => (tree.get(path)?.content ?? '').split('\n'))) {
    const control = /^[ \t]*-([eDfb])/.exec(line)?.[1];
    if (/^[ \t]*(#|$)/.test(line)) continue;
    if (control === undefined) rules.push(line);
    else last[control] = line;
  }
  const { D = '', b = '', f = '', e } = last;
  const header = '## This file is automatically generated from /etc/audit/rules.d';
  const content = `${[header, D, b, f, '', ...rules, ...(e === undefined ? [] : [e])].join('\n')}\n`;
  const old = tree.get(JOINED);
  if (old?.content === content) return;
  if (old) tree.set(`${JOINED}.prev`, old);
  tree.set(JOINED, { content, mode: 0o640 });
}

/** Loads the rules as the machine does at boot: joined in natural order where it has augenrules, the last `-b` wins. */
export function loadRules(tree: FileTree, augenrules: boolean): LoadedRules {
  const inFolder = augenrules ? rulesInFolder(tree) : [];
  const paths = inFolder.length > 0 ? inFolder : [JOINED];
  let limit: number | null = null;
  let failure: LoadedRules['failure'] = null;
  let enabled: LoadedRules['enabled'] = null;
  const rules: string[] = [];
  for (const line of paths.flatMap((path) => (tree.get(path)?.content ?? '').split('\n'))) {
    const number = /^ *-([bfe]) *(\d+)/.exec(line);
    const value = Number(number?.[2]);
    if (number?.[1] === 'b') limit = value % 4_294_967_296;
    else if (number?.[1] === 'f' && (value === 0 || value === 1 || value === 2)) failure = value;
    else if (number?.[1] === 'e' && (value === 0 || value === 1 || value === 2)) enabled = value;
    else if (/^ *-[aAw] /.test(line)) rules.push(line.trim());
  }
  return { limit, failure, enabled, rules };
}

/** As `sort -V` orders file names: runs of digits by their number, everything else by its bytes. */
function naturalOrder(a: string, b: string): number {
  const [x, y] = [a.split(/(\d+)/), b.split(/(\d+)/)];
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const [p, q] = [x[i] ?? '', y[i] ?? ''];
    if (p === q) continue;
    if (i % 2 === 1 && Number(p) !== Number(q)) return Number(p) - Number(q);
    return p < q ? -1 : 1;
  }
  return x.length - y.length;
}
