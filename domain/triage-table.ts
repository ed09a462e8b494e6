/**
 * The triage table in words: what `audit-backlog explain CODE` prints. One entry per code, in the order in which the
 * conditions are asked; the conditions themselves stand in triage.ts under the same codes.
 */
import { type Action, TRIAGE_CODES, type TriageCode } from './contracts.ts';

export interface TriageRow {
  readonly code: TriageCode;
  /** Row of the design's table, 1 to 19. Several codes may share one. */
  readonly row: number;
  /** The condition, given that no row before it holds. */
  readonly when: string;
  /** Every action this code can come with. */
  readonly actions: readonly Action[];
  /** Why it is so. */
  readonly explanation: string;
  /** What a person does next; empty when nothing is needed. */
  readonly next: string;
}

const ROWS: { readonly [C in TriageCode]: Omit<TriageRow, 'code'> } = {
  'out-of-scope': {
    row: 1,
    when: 'it is not a Linux instance, or the filters of policy or request leave it out',
    actions: ['leave'],
    explanation: 'Only Linux has the audit queue this is about, and nothing beyond the scope is touched.',
    next: '',
  },
  'opted-out': {
    row: 1,
    when: 'its opt-out tag (AuditBacklogRemediation) says disabled, in whatever spelling of case',
    actions: ['leave'],
    explanation: 'The owner of the instance wants it left alone; IAM forbids touching it as well.',
    next: 'Remove the tag to let the service look at it again.',
  },
  'not-running': {
    row: 1,
    when: 'its state is not running',
    actions: ['leave'],
    explanation: 'A machine that does not run has no queue, and a machine somebody stopped is not started by us.',
    next: '',
  },
  'console-unreadable': {
    row: 2,
    when: 'the call that reads its console failed for good',
    actions: ['leave'],
    explanation: 'What could not be read is unknown, never healthy.',
    next: 'Remove the cause that the reason names (permission, throttling, network) and run again.',
  },
  'console-empty': {
    row: 2,
    when: 'its console has no text, or none of now: an instance type without Latest shows it as it was soon after the boot',
    actions: ['leave'],
    explanation:
      'New instances and images without a serial console print nothing, types before Nitro show no overflow of later: unknown, never healthy.',
    next: 'Let the kernel log to the serial console (kernel parameter console=ttyS0) so that overflows can be seen.',
  },
  healthy: {
    row: 3,
    when: 'its console shows no overflow of the audit queue',
    actions: ['leave'],
    explanation: 'Nothing to cure.',
    next: '',
  },
  'already-handled': {
    row: 4,
    when: 'for exactly this evidence a proven outcome is on record, and no new boot has begun since',
    actions: ['leave'],
    explanation: 'The console keeps old lines for long; only a later overflow is new evidence.',
    next: '',
  },
  'older-boot': {
    row: 5,
    when: 'the overflow belongs to an older boot than the newest in the text',
    actions: ['assess', 'leave'],
    explanation:
      'The machine has booted since, so nothing hangs for this overflow: its limit is read, and raised where it is below ' +
      'the target. Never a restart.',
    next: 'Nothing now; if it overflows again in the running boot, it is cured then.',
  },
  'weak-evidence': {
    row: 6,
    when: 'there is only a weaker sign (suspected), no line that names an overflow',
    actions: ['assess', 'leave'],
    explanation: 'Weak signs may cost one look at the limit, never a change and never a restart.',
    next: 'Look at `auditctl -s` on the machine: a growing `lost` confirms the suspicion.',
  },
  'limit-is-not-the-cause': {
    row: 7,
    when: 'it was cured cures.max times within cures.windowDays and overflowed again',
    actions: ['leave'],
    explanation: 'A larger queue only delays the overflow where something does not drain it.',
    next: 'Find what does not drain (full or slow log disk, suspended or frozen auditd, too many rules) or sets the limit back.',
  },
  'bad-kernel': {
    row: 8,
    when: 'its kernel is known to lock up with auditd or when rules are reloaded',
    actions: ['resize', 'defer', 'leave'],
    explanation: 'Only the running limit is raised: no reload of rules, no restart of auditd or of the machine.',
    next: 'Update the kernel and reboot at a time that suits.',
  },
  resize: {
    row: 9,
    when: 'it answers, or took a command without finishing it in one sweep only',
    actions: ['resize'],
    explanation: 'The limit is raised through SSM Run Command and read back.',
    next: '',
  },
  'resize-budget': {
    row: 9,
    when: 'it would be resized, but this run has used up resize.maxPerRun',
    actions: ['defer'],
    explanation: 'A run changes only so many machines; the next one goes on.',
    next: 'Wait for the next run, or raise resize.maxPerRun.',
  },
  'not-managed': {
    row: 10,
    when: 'SSM does not manage it, or could not be asked whether it does',
    actions: ['leave'],
    explanation: 'A restart could not be followed by a cure, so it would only overflow again.',
    next: 'Make it a managed node (agent, instance profile or default host management, endpoints), or cure it by hand.',
  },
  'agent-lost-machine-alive': {
    row: 11,
    when: 'it does not answer, but nothing says that it hangs, or the evidence is too uncertain to restart on',
    actions: ['leave'],
    explanation:
      'Signs of a hang are: instance status check impaired; a panic by the overflow that ends the boot; the last ping ' +
      'within 15 minutes of the last overflow, or of the unbroken storm that it ends; two sweeps with a command not ' +
      'finished. A lost agent alone is none.',
    next: 'Restore the SSM agent (or the network to SSM); the next run then cures it without a restart.',
  },
  'sign-of-life': {
    row: 12,
    when: 'new user-space lines came between two reads of its console, a check that policy names says so (restart.signsOfLife), or it could not be excluded',
    actions: ['leave'],
    explanation:
      'A machine whose programs still write is alive, and a restart would hurt it. With healthy-target in ' +
      'restart.signsOfLife, so is one that passes the HTTP or HTTPS health check of a load balancer; a TCP check proves ' +
      'only its kernel.',
    next: 'Restore the SSM agent (or the network to SSM); the next run then cures it without a restart.',
  },
  'silent-too-short': {
    row: 13,
    when: 'it is silent for less than restart.afterMinutes',
    actions: ['defer'],
    explanation: 'PingStatus lags by minutes: a short silence may end by itself.',
    next: 'Wait for the next run.',
  },
  'silent-too-long': {
    row: 13,
    when: 'it is silent for more than a day, or for how long is unknown',
    actions: ['leave'],
    explanation: 'What nobody missed for a day needs a person, not a restart at night.',
    next: 'Look at the machine; if nobody needs it, stop it, otherwise restart it by hand.',
  },
  'restart-not-allowed': {
    row: 14,
    when: 'restart.policy is never; or tagged, and its tag (AuditBacklogRestart) does not say allowed; or it says otherwise',
    actions: ['leave'],
    explanation: 'Only its owner can know that the machine boots repeatably and may restart at any hour.',
    next: 'Set the tag AuditBacklogRestart=allowed if it may be restarted; otherwise restart it by hand.',
  },
  owned: {
    row: 15,
    when: 'something else replaces or manages it, and it has not opted in itself or may not be rebooted',
    actions: ['leave'],
    explanation:
      'An Auto Scaling group or the like replaces a machine that stops; what it bears by tag may be rebooted.',
    next: 'Let its owner replace it, and fix the image it is launched from.',
  },
  'stop-would-lose': {
    row: 16,
    when: 'a stop would lose instance store data, a public address or a Mac host, and a reboot is not allowed',
    actions: ['leave'],
    explanation: 'Nothing is stopped whose data, address or place would be lost by it; unreadable counts as lost.',
    next: 'Reboot it by hand, or allow restart.rebootWhereStopLoses.',
  },
  'stop-refused': {
    row: 16,
    when: 'EC2 would refuse the stop (one-time Spot, stop protection, instance store root), and a reboot is not allowed',
    actions: ['leave'],
    explanation: 'Stop protection is never removed by this service.',
    next: 'Reboot it by hand, or allow restart.rebootWhereStopLoses.',
  },
  'may-not-start': {
    row: 16,
    when: 'it might not start again (a key of a volume is disabled, unreadable or not to be granted), and a reboot is not allowed; or that was not looked at',
    actions: ['leave'],
    explanation: 'An instance whose volumes cannot be decrypted falls back to stopped without an error.',
    next: 'Enable the key, or let its policy give the service kms:DescribeKey and kms:CreateGrant; then run again.',
  },
  'restarted-before': {
    row: 17,
    when: 'it was restarted maxAttempts times within the cool-down, or once for exactly this evidence',
    actions: ['leave'],
    explanation: 'Nothing is restarted twice for the same evidence, nor again and again.',
    next: 'Look at the machine: a restart did not help it.',
  },
  'breaker-open': {
    row: 18,
    when: 'the breaker of its account and region is open',
    actions: ['leave'],
    explanation: 'So many at once are one cause (an image, SSM, the network), and restarts would make it worse.',
    next: 'Find the common cause; the breaker closes by itself after quiet sweeps. A person may plan named instances and apply that.',
  },
  'restart-budget': {
    row: 18,
    when: 'it would be restarted, but this run has used up its restarts',
    actions: ['defer'],
    explanation: 'A run restarts only so many machines (restart.maxPerRun, restart.maxPercent, maxRestarts).',
    next: 'Wait for the next run, or raise one of the limits that the reason names.',
  },
  restart: {
    row: 19,
    when: 'otherwise: it hangs for this overflow and may be restarted',
    actions: ['restart-then-resize'],
    explanation:
      'It is stopped and started (or rebooted), and when it answers again its limit is raised and read back.',
    next: '',
  },
};

/** One entry per code, in the order in which they are asked: the first that holds decides. */
export const TRIAGE_TABLE: readonly TriageRow[] = TRIAGE_CODES.map((code) => ({ code, ...ROWS[code] }));

/** The entry of one code. */
export function triageRow(code: TriageCode): TriageRow {
  return { code, ...ROWS[code] };
}
