/**
 * What the kernel prints about its audit queue, as data. Messages without their prefix (stamp, level, syslog header):
 * `console-lines.ts` takes that off and lets only kernel lines through.
 */

/** What a rule's message proves. */
export type Proof =
  /** the audit queue (main, hold or retry) overflowed */
  | 'overflow'
  /** a weaker sign of it */
  | 'suspected'
  /** nothing by itself; its numbers are kept */
  | 'context'
  /** nothing; the loss reported just before it had another cause */
  | 'other-cause';

/** One message of the kernel. */
export interface EvidenceRule {
  /** stable; the `kind` of an evidence line and the argument of `explain` */
  readonly id: string;
  readonly proves: Proof;
  /** the whole message. Groups: `limit`, `backlog`, `lost`, `suppressed` */
  readonly message: RegExp;
  /** the message cut off or run into by other output; believed only after a kernel prefix */
  readonly torn?: RegExp;
  /** kernel versions that print it */
  readonly kernels: string;
  /** where the kernel prints it */
  readonly source: string;
  /** one paragraph for a person */
  readonly explanation: string;
  /** console lines that the rule must take */
  readonly for: readonly string[];
  /** console lines that the rule must leave */
  readonly against: readonly string[];
}

/** Every rule; the first that takes a message wins. */
export const EVIDENCE_RULES: readonly EvidenceRule[] = [
  {
    id: 'backlog-over-limit',
    proves: 'overflow',
    message: /^audit: audit_backlog=(?<backlog>\d{1,10}) > audit_backlog_limit=(?<limit>\d{1,10})$/,
    torn: /^audit: audit_backlog=(?:\d{0,10}$|(?<backlog>\d{1,10}) >)/,
    kernels: '2.6.6 to now',
    source: 'kernel/audit.c audit_log_start',
    explanation:
      'The audit queue held more records than its limit allows, and the record at hand was dropped. The line names the length of the queue and the limit in effect. It is a warning, so a console at loglevel 4 (quiet) does not show it. The length may be far above the limit.',
    for: [
      '[   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64',
      '[12.3] audit: audit_backlog=65 > audit_backlog_limit=64',
      '[   12.345678][  T123] audit: audit_backlog=2152694 > audit_backlog_limit=64',
      '[   12.345678][    C1] audit: audit_backlog=65 > audit_backlog_limit=64',
      '<4>[   12.300000] audit: audit_backlog=321 > audit_backlog_limit=320',
      '<4>audit: audit_backlog=321 > audit_backlog_limit=320',
      'audit: audit_backlog=321 > audit_backlog_limit=320',
      'Nov 22 04:05:06 ip-10-0-1-23 kernel: audit: audit_backlog=321 > audit_backlog_limit=320',
      'Nov 22 04:05:06 ip-10-0-1-23 kernel: [86412.113000] audit: audit_backlog=321 > audit_backlog_limit=320',
      '2026-11-22T04:05:06.123456+00:00 ip-10-0-1-23 kernel: audit: audit_backlog=321 > audit_backlog_limit=320',
      '04:05:06,123 WARNING kernel:audit: audit_backlog=321 > audit_backlog_limit=320',
      '[   26.427395] ip-10-0-1-23 kernel: audit: audit_backlog=65 > audit_backlog_limit=64',
      '[Sun Nov 22 04:05:06 2026] audit: audit_backlog=65 > audit_backlog_limit=64',
      'kern  :warn  : [   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64',
      'ip-10-0-1-23 login: [   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64',
      'ip-10-0-1-23 login: root[   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64',
      '[root@ip-10-0-1-23 ~]# [   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64',
      '[  OK  ] Started Console Getty.[   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64',
      '[   26.427395] audit: audit_backlog=65 > audit_back',
      '[   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64[   26.427400] audit: backlog li',
    ],
    against: [
      '[    0.000000] Command line: root=/dev/xvda ro audit=1 audit_backlog_limit=8192',
      '[    0.071788] audit: audit_backlog_limit: 8192',
      'type=CONFIG_CHANGE msg=audit(1795357172.451:5): op=set audit_backlog_limit=8192 old=64 res=1',
      '[   14.536254] audit: type=1305 audit(1795359020.247:16): op=set audit_backlog_limit=8192 old=64 res=1',
      'backlog_limit 8192',
      '# audit: audit_backlog=321 > audit_backlog_limit=320',
      'echo "audit: audit_backlog=321 > audit_backlog_limit=320"',
      'cloud-init[1311]: audit: audit_backlog=321 > audit_backlog_limit=320',
      '[  121.677939] cloud-init[1401]: audit: audit_backlog=321 > audit_backlog_limit=320',
      'Nov 22 04:05:06 ip-10-0-1-23 watchdog[77]: kernel: audit: audit_backlog=321 > audit_backlog_limit=320',
      'Nov 22 04:05:06 ip-10-0-1-23 logger: audit: audit_backlog=321 > audit_backlog_limit=320',
      'audit: audit_backlog=321 > audit_backlog_limit=320 is what the console shows',
    ],
  },
  {
    id: 'backlog-limit-exceeded',
    proves: 'overflow',
    message: /^audit: backlog limit exceeded$/,
    torn: /^audit: backlog(?: (?:l\w{0,4}|limit (?:e\w{0,7}|exceeded[[\w].*))?)?$/,
    kernels: '2.6.6 to now, at failure mode 1',
    source: 'kernel/audit.c audit_log_lost, audit_panic',
    explanation:
      'A record was lost because the audit queue was full. It is an error, so it reaches the console even with quiet, and may then stand alone: no limit can be read. At failure mode 0 it is not printed, at failure mode 2 the kernel panics instead.',
    for: [
      '[   26.432718] audit: backlog limit exceeded',
      '<3>[   26.432718] audit: backlog limit exceeded',
      'audit: backlog limit exceeded',
      ' kernel:audit: backlog limit exceeded',
      'ip-10-0-0-1 login: audit: backlog limit exceeded',
      '2026 Nov 22 04:05:06.171558 switch ERR kernel: [   14.369882] audit: backlog limit exceeded',
      '[   26.432718] audit: backlog lim',
    ],
    against: [
      '[    8.945067] audit: rate limit exceeded',
      'grep -q "audit: backlog limit exceeded" /var/log/messages',
      "+ echo 'audit: backlog limit exceeded'",
      '    audit: backlog limit exceeded',
      '> [   26.432718] audit: backlog limit exceeded',
      '[   26.432718] audit: backlog limit exceeded" >> /etc/motd',
      'Subject: kernel panic: audit: backlog limit exceeded',
    ],
  },
  {
    id: 'hold-queue-overflow',
    proves: 'overflow',
    message: /^audit: kauditd hold queue overflow$/,
    torn: /^audit: kauditd hold(?: q\w{0,4}| queue o\w{0,7})?$/,
    kernels: '4.10 to now',
    source: 'kernel/audit.c kauditd_hold_skb',
    explanation:
      'No audit daemon reads, and the queue that keeps records for one is full at the same limit. The cure is the same limit and a daemon that runs.',
    for: ['[   25.277572] audit: kauditd hold queue overflow', 'audit: kauditd hold queue overflow'],
    against: ['kauditd: hold queue is empty', '# audit: kauditd hold queue overflow'],
  },
  {
    id: 'retry-queue-overflow',
    proves: 'overflow',
    message: /^audit: kauditd retry queue overflow$/,
    torn: /^audit: kauditd retry(?: q\w{0,4}| queue o\w{0,7})?$/,
    kernels: '5.17 to now, and stable kernels that took the change',
    source: 'kernel/audit.c kauditd_retry_skb',
    explanation:
      'The audit daemon is connected but does not take its records, and the queue of those to be sent again is full at the same limit.',
    for: ['[   25.277572] audit: kauditd retry queue overflow'],
    against: ['echo audit: kauditd retry queue overflow'],
  },
  {
    id: 'overflow-panic',
    proves: 'overflow',
    message:
      /^(?:---\[ end )?Kernel panic(?: - not syncing)?: (?:audit: )?(?:backlog limit exceeded|kauditd (?:hold|retry) queue overflow)(?: ?\]---)?$/,
    kernels: '2.6.6 to now, at failure mode 2; without "audit: " before 2005',
    source: 'kernel/audit.c audit_panic',
    explanation:
      'The audit queue overflowed and failure mode 2 (auditctl -f 2) turns that into a kernel panic. The machine stands still or reboots, as kernel.panic says. Panics by other audit errors are not this.',
    for: [
      '[   19.647739] Kernel panic - not syncing: audit: backlog limit exceeded',
      'Kernel panic - not syncing: backlog limit exceeded',
      '[   19.660827] ---[ end Kernel panic - not syncing: audit: backlog limit exceeded ]---',
      ' kernel:Kernel panic - not syncing: audit: backlog limit exceeded',
    ],
    against: [
      '[   19.647739] Kernel panic - not syncing: audit: rate limit exceeded',
      '[   19.647739] Kernel panic - not syncing: audit: audit_pid=612 reset',
      '[   19.647739] Kernel panic - not syncing: Fatal exception',
    ],
  },
  {
    id: 'log-start-suppressed',
    proves: 'overflow',
    message: /^audit_log_start: (?<suppressed>\d{1,10}) callbacks suppressed$/,
    kernels: '2.6.38 to now',
    source: 'kernel/audit.c audit_log_start, lib/ratelimit.c',
    explanation:
      'So many overflow warnings were due that the kernel left some out. audit_log_start limits the rate of no other message, so this alone proves an overflow.',
    for: ['[   38.755769] audit_log_start: 715577 callbacks suppressed'],
    against: ['[   48.598974] show_signal: 23 callbacks suppressed', 'audit_log_start suppressed 3 callbacks'],
  },
  {
    id: 'printk-skb-suppressed',
    proves: 'suspected',
    message: /^audit_printk_skb: (?<suppressed>\d{1,10}) callbacks suppressed$/,
    kernels: '2.6.38 to 4.9',
    source: 'kernel/audit.c audit_printk_skb, lib/ratelimit.c',
    explanation:
      'Audit records went to the console, because no audit daemon took them, faster than the kernel prints. It accompanies overflows but does not prove one: every boot without an audit daemon can print it. The limit in effect has to be read on the machine.',
    for: [
      '[   60.139310] audit_printk_skb: 6 callbacks suppressed',
      'Nov 22 04:05:06 host kernel: audit_printk_skb: 153 callbacks suppressed',
      '04:05:06,757 WARNING kernel:audit_printk_skb: 27 callbacks suppressed',
    ],
    against: [
      '[   12.000000] __ratelimit: 5 callbacks suppressed',
      'printk: 5 messages suppressed.',
      'journal: Suppressed 914 messages from /system.slice/auditd.service',
      '- audit_printk_skb: 153 callbacks suppressed',
    ],
  },
  {
    id: 'kauditd-printk-suppressed',
    proves: 'context',
    message: /^kauditd_printk_skb: (?<suppressed>\d{1,10}) callbacks suppressed$/,
    kernels: '4.10 to now',
    source: 'kernel/audit.c kauditd_printk_skb, lib/ratelimit.c',
    explanation:
      'Audit records went to the console faster than the kernel prints, because no audit daemon was connected. Every boot without one prints it: it proves nothing, only its number is kept.',
    for: ['[    8.760326] kauditd_printk_skb: 3 callbacks suppressed'],
    against: ['[   39.896158] print_req_error: 2 callbacks suppressed'],
  },
  {
    id: 'audit-error-suppressed',
    proves: 'context',
    message: /^audit_(?:panic|log_lost): (?<suppressed>\d{1,10}) callbacks suppressed$/,
    kernels: '2.6.38 to now',
    source: 'kernel/audit.c audit_panic, audit_log_lost, lib/ratelimit.c',
    explanation:
      'The kernel left out messages about lost audit records. They may have been lost for any reason, so this proves nothing by itself.',
    for: [
      '[   38.755769] audit_panic: 12 callbacks suppressed',
      '[   38.755769] audit_log_lost: 12 callbacks suppressed',
    ],
    against: ['audit_panic.cold+0x1f/0x1f'],
  },
  {
    id: 'records-lost',
    proves: 'context',
    message:
      /^audit: audit_lost=(?<lost>-?\d{1,10}) audit_rate_limit=-?\d{1,10} audit_backlog_limit=(?<limit>\d{1,10})$/,
    torn: /^audit: audit_lost=(?<lost>-?\d{1,10}) audit_r/,
    kernels: 'about 2005 to now',
    source: 'kernel/audit.c audit_log_lost',
    explanation:
      'The number of audit records lost since boot, for whatever reason, with both limits. It is printed for a rate limit, lack of memory and a vanished daemon as well: the line after it says why. The counter is negative on old kernels once it has wrapped.',
    for: ['[   26.432388] audit: audit_lost=1 audit_rate_limit=0 audit_backlog_limit=64'],
    against: ['lost 0', 'audit_lost=1', '[   26.432388] audit: audit_lost=1'],
  },
  {
    id: 'lost-for-another-reason',
    proves: 'other-cause',
    message:
      /^audit: (?:rate limit exceeded|printk limit exceeded|out of memory in \w{1,40}|auditd disappeared|auditd dead|audit_pid=-?\d{1,10} reset|error in \w{1,40})$/,
    kernels: '2.6.6 to now',
    source: 'kernel/audit.c audit_log_lost, audit_panic',
    explanation:
      'Audit records were lost, but not because the queue was full: a rate limit, lack of memory, or a daemon that went away. Raising the backlog limit would not help.',
    for: ['[    8.945067] audit: rate limit exceeded', '[    8.945067] audit: out of memory in audit_log_start'],
    against: ['[   26.432718] audit: backlog limit exceeded'],
  },
];

/** A message that a rule took. */
export interface RuleMatch {
  readonly rule: EvidenceRule;
  /** the message was whole, not torn */
  readonly whole: boolean;
  /** numbers that stand complete in the message, by name */
  readonly numbers: Readonly<Partial<Record<'limit' | 'backlog' | 'lost' | 'suppressed', number>>>;
}

const OPENINGS = /^(?:audit|kauditd_|Kernel panic|---\[ end Kernel panic)/;

/**
 * The rule that takes a message, or null.
 * @param allowTorn believe a message that is cut off or run into: only for one that bears a kernel prefix
 */
export function matchRule(message: string, allowTorn: boolean): RuleMatch | null {
  if (!OPENINGS.test(message)) return null;
  for (const rule of EVIDENCE_RULES) {
    const whole = rule.message.exec(message);
    const found = whole ?? (allowTorn ? rule.torn?.exec(message) : null);
    if (!found) continue;
    const numbers: Record<string, number> = {};
    for (const [name, digits] of Object.entries(found.groups ?? {})) {
      const value = Number(digits);
      // the kernel's counters have 32 bits: anything beyond is torn
      if (digits !== undefined && value <= 0xffff_ffff && value >= -0x8000_0000) numbers[name] = value;
    }
    return { rule, whole: whole !== null, numbers };
  }
  return null;
}

/** The rule of that id, for `explain`; null where there is none. */
export function explainRule(id: string): EvidenceRule | null {
  return EVIDENCE_RULES.find((rule) => rule.id === id) ?? null;
}
