/** Machines on which something stands in the way: what cannot be done is said, and nothing is left half done. */
import type { Pitfall } from './pitfall.ts';

const SYSTEMD = ['systemd'] as const;
const SYSVINIT = ['sysvinit'] as const;
const CURED = [64, 8192] as const;
const UNTOUCHED = [64, 64] as const;
/** Debian's unit, as Red Hat and upstream ship it. */
const REFUSE_STOP = `mkdir -p /etc/systemd/system/auditd.service.d
printf '[Unit]\\nRefuseManualStop=yes\\n' >/etc/systemd/system/auditd.service.d/refuse.conf
systemctl daemon-reload`;

export const HAZARDS: readonly Pitfall[] = [
  {
    name: 'plan-changes-nothing',
    prepare: 'limit 64',
    parameters: { Mode: 'plan' },
    expect: { outcome: 'planned', limit: UNTOUCHED, files: 'same' },
  },
  {
    name: 'already-sufficient',
    kinds: SYSTEMD,
    prepare: 'limit 9000',
    parameters: { RestartAuditd: 'always' },
    expect: { outcome: 'already-sufficient', limit: [9000, 9000], files: 'same' },
  },
  {
    name: 'zero-is-unlimited',
    kinds: SYSTEMD,
    prepare: 'limit 0',
    expect: { outcome: 'already-sufficient', limit: [0, 0], files: 'same' },
  },
  {
    name: 'undone-since',
    kinds: SYSTEMD,
    prepare: 'limit 64',
    parameters: { Expected: 8192 },
    again: true,
    expect: { outcome: 'reverted', limit: CURED, files: 'limit' },
  },
  {
    name: 'file-alone-is-low',
    kinds: SYSTEMD,
    prepare: 'limit 64; running 8192',
    again: true,
    expect: { outcome: 'resized', limit: [8192, 8192], files: 'limit' },
  },
  {
    name: 'memory-caps-the-limit',
    kinds: SYSTEMD,
    prepare: 'limit 64',
    parameters: { MemoryPercent: 1, Minimum: 64, Factor: 16, OverflowedAt: 64 },
    again: true,
    expect: { outcome: 'resized', limit: [64, 1024], files: 'limit' },
  },
  {
    name: 'agent-without-environment',
    kinds: SYSTEMD,
    prepare: 'limit 64',
    agent: 'before-3.3.2746',
    expect: { outcome: 'resized', limit: CURED, files: 'limit' },
  },
  {
    name: 'path-without-sbin',
    kinds: SYSTEMD,
    prepare: 'limit 64',
    environment: { PATH: '/usr/bin:/bin' },
    expect: { outcome: 'resized', limit: CURED, files: 'limit' },
  },
  {
    name: 'restart-always',
    prepare: 'limit 64',
    parameters: { RestartAuditd: 'always' },
    again: true,
    expect: { outcome: 'resized', limit: CURED, files: 'limit', auditd: 'new', says: /auditd was restarted/ },
  },
  {
    name: 'refuse-manual-stop',
    kinds: SYSTEMD,
    prepare: `limit 64; ${REFUSE_STOP}`,
    parameters: { RestartAuditd: 'always' },
    expect: { outcome: 'resized', limit: CURED, files: 'limit', auditd: 'new', says: /auditd was restarted/ },
  },
  {
    name: 'auditd-is-stopped',
    prepare: 'limit 64; auditd_do stop; sleep 1; running 64',
    again: true,
    expect: { outcome: 'resized', limit: CURED, files: 'limit', auditd: 'new', says: /auditd was started/ },
  },
  {
    name: 'unit-is-masked',
    kinds: SYSTEMD,
    prepare: 'limit 64; systemctl stop auditd; systemctl mask -q auditd; running 64',
    again: true,
    expect: {
      outcome: 'resized',
      limit: CURED,
      files: 'limit',
      auditd: 'none',
      says: /auditd is not running.*|its unit is disabled/,
    },
  },
  {
    name: 'masked-while-it-runs',
    kinds: SYSTEMD,
    prepare: 'limit 64; systemctl mask -q auditd',
    parameters: { RestartAuditd: 'always' },
    expect: { outcome: 'resized', limit: CURED, files: 'limit', auditd: 'same', says: /its unit is disabled/ },
  },
  {
    name: 'pid-file-is-gone',
    kinds: SYSVINIT,
    prepare: 'limit 64; rm -f /run/auditd.pid',
    parameters: { RestartAuditd: 'always' },
    expect: { outcome: 'resized', limit: CURED, files: 'limit', auditd: 'new' },
  },
  {
    name: 'broken-auditd.conf',
    kinds: SYSTEMD,
    prepare: `limit 64; echo 'max_log_file = banana' >>/etc/audit/auditd.conf`,
    expect: { outcome: 'resized', limit: CURED, files: 'limit' },
  },
  {
    name: 'kernel-does-not-audit',
    append: 'audit=0',
    prepare: 'true',
    expect: { outcome: 'no-auditd', limit: null, files: 'same' },
  },
  {
    name: 'auditctl-is-missing',
    kinds: SYSTEMD,
    prepare: 'limit 64; mv "$(command -v auditctl)" /root/',
    expect: { outcome: 'no-auditd', limit: null, files: 'same' },
  },
  {
    name: 'disk-is-full',
    kinds: SYSTEMD,
    prepare: `limit 64; dd if=/dev/zero of=/var/fill bs=1M 2>/dev/null; dd if=/dev/zero of=/var/fill2 bs=512 2>/dev/null; sync`,
    expect: { outcome: 'rolled-back', limit: UNTOUCHED, files: 'same', says: /full, read-only/ },
  },
  {
    name: 'log-disk-is-full',
    kinds: SYSTEMD,
    prepare: `limit 64; mount -t tmpfs -o size=1m tmpfs /var/log/audit
dd if=/dev/zero of=/var/log/audit/fill bs=64k 2>/dev/null || true`,
    parameters: { RestartAuditd: 'always' },
    expect: { outcome: 'resized', limit: CURED, files: 'limit', says: /not restarted.*log disk.*suspends logging/ },
  },
  {
    name: 'root-is-read-only',
    kinds: SYSTEMD,
    prepare: 'limit 64; echo u >/proc/sysrq-trigger; sleep 2; grep -q " / [^ ]* ro" /proc/mounts',
    expect: { outcome: 'rolled-back', limit: UNTOUCHED, files: 'same', says: /full, read-only/ },
  },
  {
    name: 'file-is-immutable',
    kinds: SYSTEMD,
    prepare: 'limit 64; chattr +i $R',
    expect: { outcome: 'rolled-back', limit: UNTOUCHED, files: 'same', says: /chattr \+i/ },
  },
  {
    name: 'folder-is-immutable',
    kinds: SYSTEMD,
    prepare: 'limit 64; chattr +i /etc/audit/rules.d',
    expect: { outcome: 'rolled-back', limit: UNTOUCHED, files: 'same' },
  },
  {
    name: 'failure-mode-2',
    kinds: SYSTEMD,
    prepare: 'limit 64; auditctl -f 2 >/dev/null',
    parameters: { RestartAuditd: 'always' },
    expect: {
      outcome: 'resized',
      limit: CURED,
      files: 'limit',
      loads: false,
      says: /not restarted.*panics the machine/,
    },
  },
];
