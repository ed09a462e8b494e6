/** Machines as they are found, what the runbook is told, and what must be true afterwards of the whole tree. */
import type { RunbookOutcome } from '../../../domain/contracts.ts';
import { AUDITD_CONF, type Files, type Kernel } from './machine.ts';

export interface Scenario {
  readonly name: string;
  readonly files: Files;
  readonly kernel?: Partial<Kernel>;
  readonly without?: readonly string[];
  readonly parameters?: Record<string, string>;
  readonly outcome: RunbookOutcome;
  readonly target?: number | null;
  /** The kernel's limit afterwards; left out: as before. */
  readonly limit?: number;
  /** New content of the files that change; every other path must be as it was, but for one backup of each of these. */
  readonly changes?: Record<string, string>;
  /** The backup stands beside this file (a link's target), not beside the changed path. */
  readonly noBackup?: boolean;
  readonly configured?: number | null;
  readonly managedBy?: string;
  readonly says?: RegExp;
  /** Calls that must, and that must not have been made. */
  readonly calls?: readonly string[];
  readonly never?: readonly RegExp[];
  readonly auditd?: 'runs' | 'stopped';
  readonly drain?: Record<string, unknown>;
  readonly os?: Record<string, unknown>;
}

const RULES = 'etc/audit/rules.d/audit.rules';
const DIRECT = 'etc/audit/audit.rules';
const TAIL = '-f 1\n-a always,exit -F arch=b64 -S adjtimex -k time-change\n-w /etc/passwd -p wa -k pw\n';
const rulesd = (text: string): Files => ({ [RULES]: text });
const NO_RESTART = [/^(systemctl|service) /, /^kill/];
const unit = (exec: string): Files => ({ 'usr/lib/systemd/system/auditd.service': `[Service]\n${exec}\n` });
const SYSVINIT: Files = { 'run/systemd/system': null, run: { folder: true } };
const low = { diskFree: 40_000 };
const big = (text: string, more: Partial<Scenario> = {}) => ({
  files: rulesd(text),
  outcome: 'resized' as const,
  limit: 8192,
  target: 8192,
  never: NO_RESTART,
  ...more,
});

export const LAYOUTS: readonly Scenario[] = [
  { name: 'one -b in rules.d', ...big(`-D\n-b 320\n${TAIL}`), changes: { [RULES]: `-D\n-b 8192\n${TAIL}` } },
  {
    name: 'the last -b in one file wins',
    ...big('-D\n-b 8192\n-f 1\n-b 128\n'),
    changes: { [RULES]: '-D\n-b 8192\n-f 1\n-b 8192\n' },
  },
  {
    name: '99-x.rules stands before audit.rules',
    ...big('-b 320\n'),
    files: { [RULES]: '-b 320\n', 'etc/audit/rules.d/99-backlog.rules': '-b 8192\n' },
    changes: { [RULES]: '-b 8192\n' },
  },
  {
    name: 'zz.rules stands after audit.rules; numbers go by value',
    ...big(''),
    files: {
      [RULES]: '-D\n-b 64\n',
      'etc/audit/rules.d/zz9.rules': '-b 1024\n',
      'etc/audit/rules.d/zz10.rules': '-b 512\n-w /x -k x\n',
    },
    changes: { 'etc/audit/rules.d/zz10.rules': '-b 8192\n-w /x -k x\n' },
  },
  {
    name: 'audit.rules stands before audit-x.rules, as in ls -v',
    ...big(''),
    files: {
      [RULES]: '-b 64\n',
      'etc/audit/rules.d/audit-x.rules': '-b 65\n',
      'etc/audit/rules.d/audit2.rules': '-b 66\n',
    },
    changes: { 'etc/audit/rules.d/audit-x.rules': '-b 8192\n' },
  },
  {
    name: 'hidden files, other suffixes, folders and names with blanks do not count',
    ...big(''),
    files: {
      [RULES]: '-b 320\n',
      'etc/audit/rules.d/.zz.rules': '-b 1\n',
      'etc/audit/rules.d/zz.rules.bak': '-b 2\n',
      'etc/audit/rules.d/zz.conf': '-b 3\n',
      'etc/audit/rules.d/zz zz.rules': '-b 4\n',
      'etc/audit/rules.d/zzz.rules/x': 'folder',
    },
    changes: { [RULES]: '-b 8192\n' },
  },
  { name: '-b320 without a blank', ...big('-D\n-b320\n'), changes: { [RULES]: '-D\n-b8192\n' } },
  { name: 'leading and several blanks', ...big('-D\n   -b   333   \n'), changes: { [RULES]: '-D\n   -b   8192   \n' } },
  { name: '-b with -f behind it', ...big('-D\n-b 4096 -f 1\n'), changes: { [RULES]: '-D\n-b 8192 -f 1\n' } },
  { name: '-b behind -f', ...big('-D\n-b 64\n-f 1 -b 4096\n'), changes: { [RULES]: '-D\n-b 64\n-f 1 -b 8192\n' } },
  {
    name: '-b with a comment behind it',
    ...big('-D\n-b 320 # small\n'),
    changes: { [RULES]: '-D\n-b 8192 # small\n' },
  },
  {
    name: '-b with a tab is no limit: a good line is put after it',
    ...big('-D\n-b\t320\n-f 1\n', { configured: null }),
    changes: { [RULES]: '-D\n-b\t320\n-b 8192\n-f 1\n' },
  },
  {
    name: 'commented -b, --backlog, -w with -b in its key: no -b, so one after -D',
    ...big('# -b 320\n  # -b 64\n-D\n--backlog 512\n--backlog_wait_time 0\n-w /x -k -b\n', { configured: null }),
    changes: { [RULES]: '# -b 320\n  # -b 64\n-D\n-b 8192\n--backlog 512\n--backlog_wait_time 0\n-w /x -k -b\n' },
  },
  { name: 'no -b and no -D: on top', ...big('-w /x -k x\n'), changes: { [RULES]: '-b 8192\n-w /x -k x\n' } },
  { name: 'an empty file', ...big(''), changes: { [RULES]: '-b 8192\n' } },
  {
    name: 'rules.d without audit.rules and without -b: it is made',
    ...big(''),
    files: { 'etc/audit/rules.d/10-x.rules': '-D\n-w /x -k x\n' },
    changes: { [RULES]: '-b 8192\n' },
    noBackup: true,
  },
  {
    name: 'where it would stand after a file without final newline, the last file takes it',
    ...big(''),
    files: { 'etc/audit/rules.d/10-x.rules': '-D\n-w /x -k x', 'etc/audit/rules.d/b.rules': '-b 64\n' },
    changes: { 'etc/audit/rules.d/b.rules': '-b 64\n-b 8192\n' },
  },
  { name: 'CRLF stays', ...big('-D\r\n-b 320\r\n-f 1\r\n'), changes: { [RULES]: '-D\r\n-b 8192\r\n-f 1\r\n' } },
  { name: 'no final newline stays so', ...big('-D\n-f 1\n-b 64'), changes: { [RULES]: '-D\n-f 1\n-b 8192' } },
  { name: '-D as the last line without newline', ...big('-w /x\n-D'), changes: { [RULES]: '-b 8192\n-w /x\n-D' } },
  {
    name: 'files run together where a newline is missing: 64-b 8192 is 64 to auditctl',
    ...big(''),
    files: { 'etc/audit/rules.d/10-x.rules': '-D\n-b 64', [RULES]: '-b 8192\n' },
    changes: { 'etc/audit/rules.d/10-x.rules': '-D\n-b 8192' },
  },
  {
    name: 'bytes that are not UTF-8 stay',
    ...big(''),
    files: { [RULES]: Buffer.from('# caf\xe9 \xff\xfe\n-b 320\n-w /\xe9\n', 'latin1') },
    changes: { [RULES]: '# caf\xe9 \xff\xfe\n-b 8192\n-w /\xe9\n' },
  },
  {
    name: 'a symbolic link stays one; its target is changed',
    ...big(''),
    files: {
      'opt/a/real.rules': { text: '-D\n-b 320\n', mode: 0o600 },
      [RULES]: { link: '../../../opt/a/real.rules' },
    },
    changes: { 'opt/a/real.rules': '-D\n-b 8192\n' },
  },
  {
    name: 'Amazon Linux 1 and RHEL 6: no systemd, audit.rules itself',
    ...big(''),
    files: {
      ...SYSVINIT,
      'etc/os-release': 'ID="amzn"\nVERSION_ID="2018.03"\n',
      'etc/sysconfig/auditd': '# x\nUSE_AUGENRULES="no"\n',
      [DIRECT]: `-D\n-b 320\n${TAIL}`,
      [RULES]: '-b 64\n',
    },
    kernel: { status: 'old' },
    changes: { [DIRECT]: `-D\n-b 8192\n${TAIL}` },
    os: { id: 'amzn', version: '2018.03', init: 'sysvinit' },
  },
  {
    name: 'no rules.d: audit.rules is loaded itself, in its order',
    ...big(''),
    files: { [DIRECT]: '-b 100\n-f 1 -b 200\n-w /x\n' },
    changes: { [DIRECT]: '-b 100\n-f 1 -b 8192\n-w /x\n' },
  },
  {
    name: 'no rules at all: audit.rules is made',
    ...big(''),
    files: {},
    changes: { [DIRECT]: '-b 8192\n' },
    noBackup: true,
  },
  {
    name: 'augenrules is not installed: audit.rules counts',
    ...big(''),
    files: { [RULES]: '-b 64\n', [DIRECT]: '-b 320\n' },
    without: ['augenrules'],
    changes: { [DIRECT]: '-b 8192\n' },
  },
  {
    name: 'an empty rules.d: audit.rules counts',
    ...big(''),
    files: { 'etc/audit/rules.d': { folder: true }, [DIRECT]: '-b 320\n' },
    changes: { [DIRECT]: '-b 8192\n' },
  },
  {
    name: 'an empty rules.d from which the unit generates audit.rules: audit.rules there is made',
    ...big(''),
    files: {
      ...unit('ExecStartPost=-/sbin/augenrules --load'),
      'etc/audit/rules.d': { folder: true },
      [DIRECT]: '-b 320\n',
    },
    changes: { [RULES]: '-b 8192\n' },
    noBackup: true,
    configured: null,
  },
  {
    name: 'sysvinit, an empty rules.d and USE_AUGENRULES=yes: the next boot blanks audit.rules, so audit.rules there is made',
    ...big(''),
    files: {
      ...SYSVINIT,
      'etc/default/auditd': 'EXTRAOPTIONS=""\nUSE_AUGENRULES="yes"\n',
      'etc/audit/rules.d': { folder: true },
      [DIRECT]: '-b 320\n',
    },
    changes: { [RULES]: '-b 8192\n' },
    noBackup: true,
    configured: null,
    os: { init: 'sysvinit' },
  },
  {
    name: 'sysvinit, an empty rules.d that nobody reads: audit.rules counts',
    ...big(''),
    files: {
      ...SYSVINIT,
      'etc/sysconfig/auditd': '# USE_AUGENRULES="yes"\nUSE_AUGENRULES="no"\n',
      'etc/audit/rules.d': { folder: true },
      [DIRECT]: '-b 320\n',
    },
    changes: { [DIRECT]: '-b 8192\n' },
    configured: 320,
    os: { init: 'sysvinit' },
  },
  {
    name: 'RHEL 6: no /run at all',
    ...big(''),
    files: {
      'run/systemd/system': null,
      'var/run': { folder: true },
      'etc/os-release': null,
      'etc/sysconfig/auditd': 'USE_AUGENRULES="no"\n',
      [DIRECT]: '-b 320\n',
    },
    kernel: { status: 'old', release: '2.6.32-754.35.1.el6.x86_64' },
    changes: { [DIRECT]: '-b 8192\n' },
    os: { id: null, version: null, kernel: '2.6.32-754.35.1.el6.x86_64', init: 'sysvinit' },
  },
  {
    name: 'audit 4: audit-rules.service generates audit.rules from an empty rules.d',
    ...big(''),
    files: {
      'usr/lib/systemd/system/auditd.service':
        '[Unit]\nWants=audit-rules.service\n[Service]\nExecStart=/usr/sbin/auditd\n',
      'usr/lib/systemd/system/audit-rules.service': '[Service]\nType=oneshot\nExecStart=/usr/sbin/augenrules --load\n',
      'etc/audit/rules.d': { folder: true },
      [DIRECT]: '-b 320\n',
    },
    changes: { [RULES]: '-b 8192\n' },
    noBackup: true,
    configured: null,
  },
  {
    name: 'audit 4: audit-rules.service loads audit.rules itself',
    ...big(''),
    files: {
      'etc/systemd/system/audit-rules.service': '[Service]\nExecStart=/usr/sbin/auditctl -R /etc/audit/audit.rules\n',
      [RULES]: '-b 64\n',
      [DIRECT]: '-b 320\n',
    },
    changes: { [DIRECT]: '-b 8192\n' },
    configured: 320,
  },
  {
    name: 'a drop-in that loads audit.rules directly',
    ...big(''),
    files: {
      ...unit('ExecStartPost=-/sbin/augenrules --load'),
      'etc/systemd/system/auditd.service.d/direct.conf':
        '[Service]\nExecStartPost=\nExecStartPost=-/sbin/auditctl -R /etc/audit/audit.rules\n',
      [RULES]: '-b 64\n',
      [DIRECT]: '-b 320\n',
    },
    changes: { [DIRECT]: '-b 8192\n' },
  },
  {
    name: 'SELinux: the context is taken over',
    ...big(`-b 320\n`),
    files: { [RULES]: '-b 320\n', 'sys/fs/selinux/enforce': '1' },
    changes: { [RULES]: '-b 8192\n' },
    calls: ['chcon --reference='],
  },
];

export const STATES: readonly Scenario[] = [
  {
    name: 'both enough',
    files: rulesd('-b 8192\n'),
    kernel: { limit: 8192 },
    outcome: 'already-sufficient',
    target: 8192,
  },
  {
    name: 'more than enough is never lowered',
    files: rulesd('-b 99999\n'),
    kernel: { limit: 99999 },
    outcome: 'already-sufficient',
  },
  {
    name: 'unlimited in the kernel',
    files: rulesd('-b 320\n'),
    kernel: { limit: 0 },
    outcome: 'already-sufficient',
    target: null,
  },
  { name: 'unlimited in the file', files: rulesd('-b 0\n'), outcome: 'resized', limit: 8192, configured: 0 },
  { name: 'the file has it, the kernel not', files: rulesd('-b 16384\n'), outcome: 'resized', limit: 8192 },
  {
    name: 'the kernel has it, the file not: the next boot keeps it',
    files: rulesd('-b 320\n'),
    kernel: { limit: 10000 },
    outcome: 'resized',
    changes: { [RULES]: '-b 8192\n' },
    never: [/auditctl -b/],
  },
  {
    name: 'factor times what overflowed',
    files: rulesd('-b 8192\n'),
    kernel: { limit: 8192 },
    parameters: { OverflowedAt: '8192', Factor: '3' },
    outcome: 'resized',
    target: 24576,
    limit: 24576,
    changes: { [RULES]: '-b 24576\n' },
  },
  {
    name: 'the maximum holds',
    files: rulesd('-b 60000\n'),
    kernel: { limit: 60000 },
    parameters: { OverflowedAt: '60000' },
    outcome: 'resized',
    target: 65536,
    limit: 65536,
    changes: { [RULES]: '-b 65536\n' },
  },
  {
    name: 'memory caps: a tenth of MemTotal',
    files: { ...rulesd('-b 320\n'), 'proc/meminfo': 'MemTotal: 500000 kB\nMemFree: 1 kB\nMemAvailable: 400000 kB\n' },
    outcome: 'resized',
    target: 5707,
    limit: 5707,
    changes: { [RULES]: '-b 5707\n' },
    says: /Memory caps the limit at 5707 instead of 8192/,
  },
  {
    name: 'memory caps: half of MemAvailable',
    files: { ...rulesd('-b 320\n'), 'proc/meminfo': 'MemTotal: 4000000 kB\nMemFree: 1 kB\nMemAvailable: 20000 kB\n' },
    outcome: 'resized',
    target: 1141,
    limit: 1141,
    changes: { [RULES]: '-b 1141\n' },
  },
  {
    name: 'kernels without MemAvailable',
    files: {
      ...rulesd('-b 320\n'),
      'proc/meminfo': 'MemTotal: 4000000 kB\nMemFree: 10000 kB\nBuffers: 4000 kB\nCached: 6000 kB\n',
    },
    outcome: 'resized',
    target: 1141,
    limit: 1141,
    changes: { [RULES]: '-b 1141\n' },
  },
  {
    name: 'too little memory',
    files: { ...rulesd('-b 320\n'), 'proc/meminfo': 'MemTotal: 20000 kB\nMemFree: 1 kB\nMemAvailable: 18000 kB\n' },
    outcome: 'insufficient-memory',
    target: 228,
  },
  {
    name: 'memory unreadable',
    files: { ...rulesd('-b 320\n'), 'proc/meminfo': 'nothing\n' },
    outcome: 'failed',
    says: /meminfo/,
  },
  {
    name: 'immutable rules: the file alone',
    files: rulesd('-D\n-b 320\n-e 2\n'),
    kernel: { enabled: 2 },
    outcome: 'pending-reboot',
    changes: { [RULES]: '-D\n-b 8192\n-e 2\n' },
    never: [/auditctl -b/, ...NO_RESTART],
    parameters: { RestartAuditd: 'always' },
  },
  {
    name: 'immutable, the file is right already',
    files: rulesd('-b 8192\n'),
    kernel: { enabled: 2 },
    outcome: 'pending-reboot',
  },
  {
    name: 'undone by a configuration manager',
    files: rulesd('# Ansible managed: do not edit\n-D\n-b 320\n'),
    parameters: { Expected: '8192' },
    outcome: 'reverted',
    limit: 8192,
    changes: { [RULES]: '# Ansible managed: do not edit\n-D\n-b 8192\n' },
    managedBy: 'ansible',
    says: /limit of 8192 was undone in \/etc\/audit\/rules.d\/audit.rules.*managed by ansible/,
  },
  {
    name: 'undone in the file while the kernel still has it',
    files: rulesd('-b 320\n'),
    kernel: { limit: 16384 },
    parameters: { Expected: '16384' },
    outcome: 'reverted',
    target: 16384,
    changes: { [RULES]: '-b 16384\n' },
  },
  {
    name: 'a header that only names a manager is none of its files',
    files: rulesd('# rules for the puppet agent\n-b 320\n'),
    outcome: 'resized',
    limit: 8192,
    changes: { [RULES]: '# rules for the puppet agent\n-b 8192\n' },
  },
  {
    name: 'no auditctl',
    files: rulesd('-b 320\n'),
    without: ['auditctl'],
    outcome: 'no-auditd',
    drain: { auditd: null },
  },
  {
    name: 'audit=0 by its words',
    files: rulesd('-b 320\n'),
    kernel: { status: 'audit0' },
    outcome: 'no-auditd',
    says: /does not audit/,
  },
  {
    name: 'audit=0 on the command line',
    files: { ...rulesd('-b 320\n'), 'proc/cmdline': 'ro audit=0 quiet\n' },
    kernel: { status: 'empty' },
    outcome: 'no-auditd',
  },
  {
    name: 'a user namespace answers nothing',
    files: rulesd('-b 320\n'),
    kernel: { status: 'empty' },
    outcome: 'failed',
    says: /no backlog_limit/,
  },
  {
    name: 'auditctl hangs',
    files: rulesd('-b 320\n'),
    kernel: { status: 'hang' },
    outcome: 'failed',
    says: /did not answer within 1 seconds/,
  },
  {
    name: 'the kernel audits, auditd is not installed',
    files: { ...rulesd('-b 320\n'), 'etc/audit/auditd.conf': { link: 'nowhere' } },
    kernel: { pid: 0 },
    outcome: 'no-auditd',
    says: /The kernel audits, but auditd is not installed/,
    drain: { auditd: 'absent' },
  },
  {
    name: 'unsafe kernel: the running limit alone',
    files: rulesd('-b 320\n'),
    kernel: { release: '5.10.240-238.955.amzn2.x86_64' },
    parameters: { RestartAuditd: 'always' },
    outcome: 'unsafe-kernel',
    limit: 8192,
    never: NO_RESTART,
  },
  {
    name: 'unsafe kernel of Amazon Linux 2023, the limit is there already: nothing is touched',
    files: rulesd('-b 320\n'),
    kernel: { release: '6.1.147-172.259.amzn2023.aarch64', limit: 8192 },
    outcome: 'unsafe-kernel',
    never: [/auditctl -b/, ...NO_RESTART],
  },
  {
    name: 'a kernel whose name only begins like an unsafe one',
    files: rulesd('-b 320\n'),
    kernel: { release: '6.1.147-172.259.amzn2023.1.x86_64' },
    outcome: 'resized',
    limit: 8192,
    changes: { [RULES]: '-b 8192\n' },
  },
  {
    name: 'memory gives no more, and it overflowed at what is there',
    files: { ...rulesd('-b 5707\n'), 'proc/meminfo': 'MemTotal: 500000 kB\nMemFree: 1 kB\nMemAvailable: 400000 kB\n' },
    kernel: { limit: 5707 },
    parameters: { OverflowedAt: '5707' },
    outcome: 'insufficient-memory',
  },
  {
    name: 'a hexadecimal limit is not edited but outdone',
    files: rulesd('-b 0x100\n-f 1\n'),
    outcome: 'resized',
    limit: 8192,
    configured: null,
    changes: { [RULES]: '-b 0x100\n-b 8192\n-f 1\n' },
  },
  {
    name: 'a link that leads out of the tree is not followed',
    files: { [RULES]: { link: '/etc/hostname' }, 'etc/audit/rules.d/1.rules': '-D\n' },
    outcome: 'rolled-back',
    says: /leads nowhere|cannot/,
  },
];

export const RESTARTS: readonly Scenario[] = [
  {
    name: 'always: systemctl',
    ...big('-b 320\n'),
    never: [],
    parameters: { RestartAuditd: 'always' },
    calls: ['systemctl restart auditd'],
    changes: { [RULES]: '-b 8192\n' },
    auditd: 'runs',
  },
  {
    name: 'always, refused by the unit: legacy action',
    ...big('-b 320\n'),
    kernel: { refuseStop: 'yes', legacy: 'yes' },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    calls: ['service auditd restart'],
    never: [/systemctl restart/, /^kill/],
    auditd: 'runs',
  },
  {
    name: 'always, refused by unit and service: by signal, then start',
    ...big('-b 320\n'),
    files: { ...rulesd('-b 320\n'), 'proc/712/comm': 'auditd\n' },
    kernel: { refuseStop: 'yes' },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    calls: ['service auditd restart', 'kill -TERM 712', 'systemctl start auditd'],
    never: [],
    auditd: 'runs',
  },
  {
    name: 'a pid that is no auditd is never signalled',
    ...big('-b 320\n'),
    files: { ...rulesd('-b 320\n'), 'proc/712/comm': 'postgres\n' },
    kernel: { refuseStop: 'yes' },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    never: [/^kill/],
    auditd: 'runs',
  },
  {
    name: 'always without systemd: service',
    ...big(''),
    files: { ...rulesd('-b 320\n'), ...SYSVINIT },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    calls: ['service auditd restart'],
    never: [/systemctl/],
    auditd: 'runs',
  },
  {
    name: 'always, but failure mode 2',
    ...big('-b 320\n'),
    kernel: { failure: 2 },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    never: [/systemctl (re)?start/],
    says: /not restarted: the failure mode is 2/,
  },
  {
    name: 'always, but a full log disk',
    ...big('-b 320\n'),
    kernel: low,
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    never: [/systemctl (re)?start/],
    says: /at or below space_left/,
    drain: { logDirFreePercent: 4, suspended: true },
  },
  {
    name: 'always, but the disk is unknown',
    ...big('-b 320\n'),
    kernel: { diskSize: 0 },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    never: [/systemctl (re)?start/],
    says: /not known/,
    drain: { logDirFreePercent: null, suspended: null },
  },
  {
    name: 'always, but a threshold in percent is reached',
    ...big('-b 320\n'),
    files: { ...rulesd('-b 320\n'), 'etc/audit/auditd.conf': AUDITD_CONF.replace('space_left = 75', 'space_left=70%') },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    never: [/systemctl (re)?start/],
    drain: { logDirFreePercent: 63, suspended: false },
  },
  {
    name: 'always, but masked',
    ...big('-b 320\n'),
    kernel: { unit: 'masked' },
    parameters: { RestartAuditd: 'always' },
    changes: { [RULES]: '-b 8192\n' },
    never: [/systemctl (re)?start/],
  },
  {
    name: 'needed, auditd dead: started',
    ...big('-b 320\n'),
    kernel: { pid: 0 },
    changes: { [RULES]: '-b 8192\n' },
    never: [],
    calls: ['systemctl start auditd'],
    auditd: 'runs',
  },
  {
    name: 'needed, auditd dead and does not start: the limit stays',
    ...big('-b 320\n'),
    kernel: { pid: 0, starts: 'no' },
    changes: { [RULES]: '-b 8192\n' },
    never: [],
    says: /did not start/,
    drain: { auditd: 'stopped' },
  },
  {
    name: 'needed, auditd disabled on purpose',
    ...big('-b 320\n'),
    kernel: { pid: 0, unit: 'disabled' },
    changes: { [RULES]: '-b 8192\n' },
    never: [/systemctl start/],
  },
  {
    name: 'never, auditd dead',
    ...big('-b 320\n'),
    kernel: { pid: 0 },
    parameters: { RestartAuditd: 'never' },
    changes: { [RULES]: '-b 8192\n' },
  },
  {
    name: 'needed, the kernel ignores auditctl -b: a restart brings it',
    ...big('-b 320\n'),
    kernel: { set: 'ignore', loads: 8192 },
    changes: { [RULES]: '-b 8192\n' },
    never: [],
    calls: ['systemctl restart auditd'],
    auditd: 'runs',
  },
  {
    name: 'frozen auditd is named',
    ...big('-b 320\n'),
    files: { ...rulesd('-b 320\n'), 'proc/712/stat': '712 (a b) c) T 1 2\n' },
    changes: { [RULES]: '-b 8192\n' },
    drain: { auditd: 'frozen' },
    says: /kill -CONT 712/,
  },
];

export const ROLLBACKS: readonly Scenario[] = [
  {
    name: 'the kernel refuses, no restart',
    files: rulesd('-b 320\n'),
    kernel: { set: 'refuse' },
    parameters: { RestartAuditd: 'never' },
    outcome: 'rolled-back',
    says: /did not take the limit/,
  },
  {
    name: 'auditctl -b hangs',
    files: rulesd('-b 320\n'),
    kernel: { set: 'hang' },
    parameters: { RestartAuditd: 'never' },
    outcome: 'rolled-back',
  },
  {
    name: 'the kernel refuses, a restart does not help',
    files: rulesd('-b 320\n'),
    kernel: { set: 'ignore' },
    outcome: 'rolled-back',
    auditd: 'runs',
  },
  {
    name: 'the file cannot be replaced',
    files: rulesd('-b 320\n'),
    kernel: { fails: 'mv' },
    outcome: 'rolled-back',
    says: /cannot replace/,
  },
  {
    name: 'the file system takes no copy',
    files: rulesd('-b 320\n'),
    kernel: { fails: 'cp' },
    outcome: 'rolled-back',
    says: /cannot write/,
  },
  {
    name: 'a full disk cuts the new file in silence',
    files: rulesd(`-b 320\n${TAIL}`),
    kernel: { fails: 'awk-full' },
    outcome: 'rolled-back',
    says: /cannot write/,
  },
  {
    name: 'immutable rules and a file that cannot be replaced',
    files: rulesd('-b 320\n'),
    kernel: { enabled: 2, fails: 'mv' },
    outcome: 'failed',
    says: /Nothing was changed/,
  },
  {
    name: 'auditd does not come back',
    files: rulesd('-b 320\n'),
    kernel: { starts: 'no' },
    parameters: { RestartAuditd: 'always' },
    outcome: 'failed',
    says: /did not come back.*does not start/,
    auditd: 'stopped',
  },
  {
    name: 'a restart that loads another limit',
    files: rulesd('-b 320\n'),
    kernel: { loads: 100 },
    parameters: { RestartAuditd: 'always' },
    outcome: 'rolled-back',
    says: /did not keep/,
    auditd: 'runs',
  },
];
