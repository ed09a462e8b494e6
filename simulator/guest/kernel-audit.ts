/**
 * The kernel's audit queue: what overflows, what is lost, and what printk says of it. Texts and the rate limit (10 lines
 * per 5 s) are those of kernel/audit.c as observed on a real machine.
 */
import { kernelAtLeast } from './distributions.ts';

/** A line printk would print. `err` reaches a console at loglevel 4, `warn` does not. */
export interface KernelLine {
  readonly afterMs: number;
  readonly level: 'err' | 'warn';
  readonly text: string;
}

/** What a burst of events did to the queue. */
export interface BurstResult {
  readonly overflowed: boolean;
  readonly lines: readonly KernelLine[];
  /** Failure mode 2: the machine is dead after the last line. */
  readonly panic: boolean;
}

/** Bytes that one queued buffer may take. */
export const BUFFER_BYTES = 8970;

const LINES_PER_WINDOW = 10;

/** The state that `auditctl -s` prints. */
export class KernelAudit {
  enabled: 0 | 1 | 2 = 1;
  failure: 0 | 1 | 2 = 1;
  /** 0: no auditd listens. */
  pid = 0;
  limit = 64;
  lost = 0;
  backlog = 0;
  waitTime: number | null;
  readonly #release: string;
  #suppressed = 0;
  #suppressedRecords = 0;

  constructor(release: string, bootLimit: number | null, waitTime: number | null) {
    this.#release = release;
    if (bootLimit !== null) this.limit = bootLimit;
    this.waitTime = waitTime;
  }

  /**
   * A burst that needs so many buffers, in rounds that come some seconds apart.
   * @param drains false: auditd does not read, so whatever the limit is, it fills.
   * @param gapsMs time before each round after the first; 5,000 or more, so that the rate limit opens again.
   */
  burst(needs: number, drains: boolean, gapsMs: readonly number[], epochMs: number): BurstResult {
    if (this.enabled === 0) return { overflowed: false, lines: [], panic: false };
    if (this.pid === 0) return this.#withoutDaemon(needs, epochMs);
    const tooMuch = drains ? needs - this.limit : needs;
    if (this.limit === 0 || tooMuch <= 0) return { overflowed: false, lines: [], panic: false };
    this.backlog = this.limit;
    if (this.failure === 2) return this.#panic();
    const lines: KernelLine[] = [];
    let afterMs = 0;
    const rounds = gapsMs.length + 1;
    for (let round = 0; round < rounds; round++) {
      if (round > 0) afterMs += gapsMs[round - 1] ?? 5000;
      const lostNow = Math.max(1, Math.floor(tooMuch / rounds) + (round === 0 ? tooMuch % rounds : 0));
      this.#round(lines, afterMs, lostNow);
    }
    this.backlog = 0;
    return { overflowed: true, lines, panic: false };
  }

  /** One window of the rate limit: the first lines are printed, the rest is counted and told with the next burst. */
  #round(lines: KernelLine[], startMs: number, lostNow: number): void {
    const perEvent = this.failure === 0 ? 2 : 3;
    let afterMs = startMs;
    const print = (level: KernelLine['level'], text: string) => {
      lines.push({ afterMs, level, text });
      afterMs += 0.19;
    };
    if (this.#suppressed > 0) {
      const who = this.#release.startsWith('2.6.') ? '__ratelimit' : 'audit_log_start';
      print('warn', `${who}: ${this.#suppressed} callbacks suppressed`);
      this.#suppressed = 0;
    }
    let printed = 0;
    const first = this.lost;
    for (let event = 1; event <= lostNow && printed < LINES_PER_WINDOW; event++) {
      const texts: readonly [KernelLine['level'], string][] = [
        ['warn', `audit: audit_backlog=${this.limit + 1} > audit_backlog_limit=${this.limit}`],
        ['warn', `audit: audit_lost=${first + event} audit_rate_limit=0 audit_backlog_limit=${this.limit}`],
        ['err', 'audit: backlog limit exceeded'],
      ];
      for (const [level, text] of texts.slice(0, perEvent)) {
        if (printed === LINES_PER_WINDOW) break;
        print(level, text);
        printed++;
      }
    }
    this.lost += lostNow;
    this.#suppressed = Math.max(0, lostNow * perEvent - printed);
  }

  #panic(): BurstResult {
    this.lost += 1;
    const text = [
      `audit: audit_backlog=${this.limit + 1} > audit_backlog_limit=${this.limit}`,
      `audit: audit_lost=${this.lost} audit_rate_limit=0 audit_backlog_limit=${this.limit}`,
      'Kernel panic - not syncing: audit: backlog limit exceeded',
      `CPU: 0 PID: 1403 Comm: java Not tainted ${this.#release} #1`,
      'Call Trace:',
      ' dump_stack_lvl+0x44/0x5c',
      ' panic+0x118/0x2f4',
      ' audit_panic.cold+0x1f/0x1f',
      ' audit_log_start+0x391/0x3a0',
      ' __audit_syscall_exit+0xac/0xe0',
      ' syscall_exit_to_user_mode+0x9/0x40',
      ' do_syscall_64+0x69/0x90',
      '---[ end Kernel panic - not syncing: audit: backlog limit exceeded ]---',
    ];
    const lines = text.map((line, i): KernelLine => ({ afterMs: i * 0.3, level: i < 2 ? 'warn' : 'err', text: line }));
    return { overflowed: true, lines, panic: true };
  }

  /** No auditd listens: records go to printk, and what the rate limit drops is counted. No "backlog limit exceeded". */
  #withoutDaemon(needs: number, epochMs: number): BurstResult {
    const modern = kernelAtLeast(this.#release, 4, 10);
    const lines: KernelLine[] = [];
    if (this.#suppressedRecords > 0) {
      const who = modern ? 'kauditd_printk_skb' : 'audit_printk_skb';
      lines.push({ afterMs: 0, level: 'warn', text: `${who}: ${this.#suppressedRecords} callbacks suppressed` });
    }
    const printed = Math.min(needs, LINES_PER_WINDOW);
    for (let i = 0; i < printed; i++) {
      const when = `${(epochMs / 1000).toFixed(3)}:${1000 + this.#suppressedRecords + i}`;
      lines.push({
        afterMs: 1 + i,
        level: 'warn',
        text: `${modern ? 'audit: ' : ''}type=1300 audit(${when}): arch=c000003e syscall=59 success=yes exit=0 comm="cron" exe="/usr/sbin/crond" key=(null)`,
      });
    }
    this.#suppressedRecords = needs - printed;
    if (modern && this.limit > 0 && needs > this.limit) {
      this.lost += needs - this.limit;
      lines.push(
        {
          afterMs: 20,
          level: 'warn',
          text: `audit: audit_lost=${this.lost} audit_rate_limit=0 audit_backlog_limit=${this.limit}`,
        },
        { afterMs: 20.2, level: 'err', text: 'audit: kauditd hold queue overflow' },
      );
    }
    return { overflowed: false, lines, panic: false };
  }
}
