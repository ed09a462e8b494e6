/** Rules files as they are found: each is cured, and only its limit changes. */
import type { Pitfall } from './pitfall.ts';

const RESIZED = { outcome: 'resized', files: 'limit' } as const;

/** Writes files below rules.d (the one of Debian goes), loads them, and sets the running limit to 64. */
function rules(files: Readonly<Record<string, string>>): string {
  const writes = Object.entries(files).map(([name, text]) => `printf '%b' '${text}' >/etc/audit/rules.d/${name}`);
  return ['rm -f /etc/audit/rules.d/*', ...writes, 'load', 'running 64'].join('\n');
}

const BOTH_LIMITS = [64, 8192] as const;

export const LAYOUTS: readonly Pitfall[] = [
  { name: 'debian-default', prepare: 'limit 64', again: true, expect: { ...RESIZED, limit: BOTH_LIMITS } },
  {
    name: 'several-files',
    kinds: ['systemd'],
    prepare: rules({
      '10-a.rules': '-D\\n-b 64\\n',
      '50-b.rules': '-b 320\\n-f 1\\n',
      'audit.rules': '-b 128\\n',
      'zz.rules': '-b 77\\n',
    }),
    again: true,
    expect: { ...RESIZED, limit: BOTH_LIMITS },
    afterwards: `grep -qx -- '-b 8192' /etc/audit/rules.d/zz.rules`,
  },
  {
    name: 'digits-before-letters',
    kinds: ['systemd'],
    prepare: rules({ '99-backlog.rules': '-b 8192\\n', 'audit.rules': '-D\\n-b 64\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
    afterwards: `grep -qx -- '-b 8192' /etc/audit/rules.d/audit.rules`,
  },
  {
    name: 'several-in-one-file',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n-b 8192\\n-f 1\\n-b 128\\n-w /etc/passwd -p wa -k pw\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'no-limit-named',
    prepare: rules({ 'audit.rules': '-D\\n-f 1\\n-w /etc/passwd -p wa -k pw\\n' }),
    again: true,
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'commented-out',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n# -b 320\\n#-b 64\\n-f 1\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'glued-and-indented',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n   -b320   \\n-f 1\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'with-other-options',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n-b 320 -f 1\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'tab-that-auditctl-refuses',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n-b\\t320\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'comment-behind-the-limit',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n-b 320 # small\\n-f 1\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'carriage-returns',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\r\\n-b 320\\r\\n-f 1\\r\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'no-final-line-end',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n-f 1\\n-b 64' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'files-glued-together',
    kinds: ['systemd'],
    prepare: rules({ '10-x.rules': '-D\\n-b 64', 'audit.rules': '-b 8192\\n' }),
    again: true,
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'backlog-spelled-out',
    kinds: ['systemd'],
    prepare: rules({ 'audit.rules': '-D\\n--backlog 320\\n' }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'a-bad-rule-elsewhere',
    kinds: ['systemd'],
    prepare: rules({
      'audit.rules': '-D\\n-w /nonexistent/x/y -p wa\\n-a always,exit -S nosuchcall\\n-b 64\\n-w /etc/passwd -p wa\\n',
    }),
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'other-endings-do-not-count',
    kinds: ['systemd'],
    prepare: `${rules({ 'audit.rules': '-D\\n-b 64\\n', 'zz.rules.bak': '-b 320\\n', '.zz.rules': '-b 500\\n' })}
mkdir /etc/audit/rules.d/zz.rules`,
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'rules.d-is-empty',
    prepare: `printf -- '-D\\n-b 64\\n-f 1\\n' >/etc/audit/audit.rules
rm -f /etc/audit/rules.d/*; running 64`,
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'rules.d-is-missing',
    prepare: `printf -- '-D\\n-b 64\\n-f 1\\n' >/etc/audit/audit.rules
rm -rf /etc/audit/rules.d; running 64`,
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'symbolic-link',
    kinds: ['systemd'],
    prepare: 'limit 64; mkdir -m 700 /opt/rules; mv $R /opt/rules/real.rules; ln -s /opt/rules/real.rules $R',
    folders: ['/opt/rules'],
    again: true,
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
  {
    name: 'other-owner-and-mode',
    kinds: ['systemd'],
    prepare: 'limit 64; chown daemon:adm $R; chmod 0604 $R',
    expect: { ...RESIZED, limit: BOTH_LIMITS },
  },
];
