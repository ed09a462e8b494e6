/** The few commands a machine understands when they come over the network. Nothing of them reaches a shell. */
import type { ScriptResult } from '../core.ts';
import type { Distribution } from './distributions.ts';
import type { FileTree } from './files.ts';
import type { KernelAudit } from './kernel-audit.ts';

export interface CommandFacts {
  readonly distribution: Distribution;
  readonly kernel: string;
  readonly audit: KernelAudit;
  /** Rules in the kernel, one a line. */
  readonly loaded: string;
  readonly auditd: 'running' | 'stopped' | 'absent';
  readonly files: FileTree;
  readonly memoryKiB: number;
  readonly availableKiB: number;
  readonly uptimeMs: number;
  /** `HH:MM:SS` of the machine's clock. */
  readonly clock: string;
}

type Answer = Pick<ScriptResult, 'exitCode' | 'stdout' | 'stderr'>;

const UNDERSTOOD =
  'auditctl -s, auditctl -l, cat of a file under /etc/audit or of /etc/os-release, uname -r, uptime, free -k, systemctl is-active auditd, service auditd status';

function ok(stdout: string): Answer {
  return { exitCode: 0, stdout, stderr: '' };
}

/** Answers one command line; 127 for everything that is not in the list. */
export function ownCommand(line: string, facts: CommandFacts): Answer {
  const words = line.trim().split(/\s+/);
  switch (words.slice(0, 2).join(' ')) {
    case 'auditctl -s':
    case 'auditctl -l':
      if (words.length !== 2) break;
      if (facts.auditd === 'absent') return { exitCode: 127, stdout: '', stderr: 'sh: auditctl: command not found\n' };
      return ok(words[1] === '-s' ? auditStatus(facts) : facts.loaded === '' ? 'No rules\n' : facts.loaded);
    case 'uname -r':
      if (words.length === 2) return ok(`${facts.kernel}\n`);
      break;
    case 'uptime':
      return ok(
        ` ${facts.clock} up ${Math.floor(facts.uptimeMs / 60_000)} min,  0 users,  load average: 0.08, 0.03, 0.01\n`,
      );
    case 'free -k':
      if (words.length === 2) return ok(freeOf(facts));
      break;
    case 'systemctl is-active': {
      if (words.length !== 3 || !/^auditd(\.service)?$/.test(words[2] ?? '')) break;
      if (facts.distribution.init !== 'systemd') {
        return { exitCode: 127, stdout: '', stderr: 'sh: systemctl: command not found\n' };
      }
      return facts.audit.pid === 0 ? { exitCode: 3, stdout: 'inactive\n', stderr: '' } : ok('active\n');
    }
    case 'service auditd':
      if (words.length !== 3 || words[2] !== 'status') break;
      if (facts.audit.pid === 0) return { exitCode: 3, stdout: 'auditd is stopped\n', stderr: '' };
      return ok(`auditd (pid  ${facts.audit.pid}) is running...\n`);
    default:
      if (words[0] === 'cat' && words.length === 2) return cat(words[1] ?? '', facts.files);
  }
  return {
    exitCode: 127,
    stdout: '',
    stderr: `${words[0]}: the embedded machine does not run this. It understands: ${UNDERSTOOD}\n`,
  };
}

function cat(path: string, files: FileTree): Answer {
  if (!/^\/etc\/(audit\/|os-release$)/.test(path) || path.includes('..')) {
    return {
      exitCode: 127,
      stdout: '',
      stderr: `cat: ${path}: the embedded machine shows only /etc/audit and /etc/os-release\n`,
    };
  }
  const file = files.get(path);
  if (!file) return { exitCode: 1, stdout: '', stderr: `cat: ${path}: No such file or directory\n` };
  return ok(Buffer.from(file.content, 'latin1').toString('utf8'));
}

function auditStatus({ audit, distribution }: CommandFacts): string {
  const { enabled, failure, pid, limit, lost, backlog, waitTime } = audit;
  if (distribution.statusFormat === 'line') {
    return `AUDIT_STATUS: enabled=${enabled} flag=${failure} pid=${pid} rate_limit=0 backlog_limit=${limit} lost=${lost} backlog=${backlog}\n`;
  }
  const lines = [
    `enabled ${enabled}`,
    `failure ${failure}`,
    `pid ${pid}`,
    'rate_limit 0',
    `backlog_limit ${limit}`,
    `lost ${lost}`,
    `backlog ${backlog}`,
    ...(waitTime === null ? [] : [`backlog_wait_time ${waitTime}`]),
    ...(Number.parseInt(distribution.auditdVersion, 10) >= 3
      ? ['backlog_wait_time_actual 0', 'loginuid_immutable 0 unlocked']
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function freeOf({ memoryKiB, availableKiB }: CommandFacts): string {
  const cells = [
    memoryKiB,
    memoryKiB - availableKiB,
    Math.floor(availableKiB / 2),
    0,
    Math.ceil(availableKiB / 2),
    availableKiB,
  ];
  const row = (label: string, values: readonly (string | number)[]) =>
    `${label.padEnd(7)}${values.map((value) => `${value}`.padStart(12)).join('')}\n`;
  return (
    row('', ['total', 'used', 'free', 'shared', 'buff/cache', 'available']) +
    row('Mem:', cells) +
    row('Swap:', [0, 0, 0])
  );
}
