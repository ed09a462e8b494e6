/** What a guest's scripts and commands see of it on the host: the files of /proc, and the state behind its commands. */
import { type Distribution, kernelAtLeast } from './distributions.ts';
import type { KernelAudit } from './kernel-audit.ts';
import type { GuestProfile } from './profile.ts';
import type { GuestState } from './run-on-host.ts';

/** A running machine at one instant. */
export interface HostView {
  readonly profile: GuestProfile;
  readonly distribution: Distribution;
  readonly kernel: string;
  readonly audit: KernelAudit;
  /** `audit_backlog_limit=` that it booted with. */
  readonly bootLimit: number | null;
  readonly availableKiB: number;
  readonly hostname: string;
  readonly nextPid: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Files of /proc, and the pid file that goes with them. */
export function procFiles(view: HostView): Record<string, string> {
  const { bootLimit } = view;
  const { memoryKiB } = view.profile;
  const available = view.availableKiB;
  const tellsAvailable = kernelAtLeast(view.kernel, 3, 14) || view.kernel.includes('.el7');
  const limit = bootLimit === null ? '' : ` audit_backlog_limit=${bootLimit}`;
  const proc: Record<string, string> = {
    '/proc/meminfo': `MemTotal:       ${memoryKiB} kB\nMemFree:        ${Math.floor(available / 2)} kB\n${
      tellsAvailable ? `MemAvailable:   ${available} kB\n` : ''
    }Buffers:        0 kB\nCached:         ${Math.floor(available / 2)} kB\nSwapTotal:      0 kB\n`,
    '/proc/cmdline': `BOOT_IMAGE=/boot/vmlinuz-${view.kernel} root=/dev/nvme0n1p1 ro console=ttyS0,115200n8${limit}\n`,
    '/proc/sys/kernel/osrelease': `${view.kernel}\n`,
    '/proc/1/comm': view.distribution.init === 'systemd' ? 'systemd\n' : 'init\n',
  };
  const { pid } = view.audit;
  if (pid !== 0) {
    proc[`/proc/${pid}/comm`] = 'auditd\n';
    proc[`/proc/${pid}/cmdline`] = '/sbin/auditd\0';
    proc[`/proc/${pid}/stat`] = `${pid} (auditd) S 1 ${pid} ${pid} 0 -1 1077936384 0 0 0 0 1 1 0 0 16 -4 2 0 900 0 0\n`;
    proc[`/proc/${pid}/status`] = `Name:\tauditd\nState:\tS (sleeping)\nPid:\t${pid}\n`;
    proc['/run/auditd.pid'] = `${pid}\n`;
  }
  return proc;
}

/** Kernel and services, as `commands/lib/guest.sh` reads them. */
export function hostState(view: HostView): GuestState {
  const { audit } = view;
  const facts = view.distribution;
  const yes = (value: boolean) => (value ? 'yes' : 'no');
  return {
    enabled: `${audit.enabled}`,
    failure: `${audit.failure}`,
    pid: `${audit.pid}`,
    next_pid: `${view.nextPid}`,
    backlog_limit: `${audit.limit}`,
    lost: `${audit.lost}`,
    backlog: `${audit.backlog}`,
    backlog_wait_time: audit.waitTime === null ? '-' : `${audit.waitTime}`,
    auditd: view.profile.auditd === 'absent' ? 'absent' : 'installed',
    auditd_version: facts.auditdVersion,
    auditd_major: facts.auditdVersion.split('.')[0] ?? '0',
    status_format: facts.statusFormat,
    augenrules: yes(facts.augenrules),
    unit: view.profile.auditd === 'stopped' ? 'disabled' : 'enabled',
    refuse_manual_stop: yes(facts.refuseManualStop),
    legacy_actions: yes(facts.legacyActions),
    log_free: `${view.profile.logDirFreePercent ?? 62}`,
    kernel: view.kernel,
    machine: 'x86_64',
    hostname: view.hostname,
    now: `${Math.floor(view.at / 1000)}`,
    now_text: new Date(view.at).toISOString(),
    elapsed: '0',
    halted: '0',
    suspended: '0',
    saw_identity: '0',
  };
}
