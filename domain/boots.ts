/** Folds the lines of a console text into its boots, and finds the one that the evidence belongs to. */
import type { ConsoleLine, KernelLine } from './console-lines.ts';
import type { RuleMatch } from './evidence-rules.ts';

/** Seconds that kernel time may step back within a boot: processors stamp their lines, and print them a little later. */
const JITTER = 0.1;
/** Seconds into a boot at which its banner has long been printed. Some kernels print a few lines before it. */
const BANNER_DUE = 1;
/**
 * Seconds between two overflow lines of one storm, at most. Whoever sleeps on a full queue wakes after backlog_wait_time
 * (60 s by default, kernel/audit.c audit_log_start), says so again and sleeps again: a machine that hangs goes on printing.
 */
const STORM_GAP = 180;
/** Seconds within which other processors may still report the overflow that a panic is about. */
const PANIC_ECHO = 5;

const BANNER = /^Linux version (\d[\w.+~-]{0,127}) \(/;

/** The release in the kernel's banner; null where the message is another. */
export function bannerRelease(message: string): string | null {
  return BANNER.exec(message)?.[1] ?? null;
}

const TRACE_LABEL =
  'CPU|CPU features|Hardware name|Call [Tt]race|R[A-Z0-9]{2}|E[A-Z]{2}|EFLAGS|Code|[CDEF]S|CR\\d|DR\\d|PKRU|ORIG_RAX|Stack|' +
  'Modules linked in|Kernel Offset|Memory Limit|PHYS_OFFSET|Workqueue|Process|Task|Tainted|pc|lr|sp|pstate|x\\d{1,2}|SMP|Pid';
const TRACE = new RegExp(
  `^ {0,8}(?:(?:${TRACE_LABEL}) ?:|</?[A-Z_]{2,16}>|(?:\\? )?[\\w.]{1,128}\\+0x[\\da-f]{1,16}/0x|\\[<[\\da-f]{8,16}>\\]|---\\[ |` +
    'Rebooting in \\d|Shutting down cpus|Dumping ftrace|Starting crashdump|Bye!|[\\da-f]{8,16}(?: [\\da-f]{8,16}){0,15}$|' +
    'drm_kms_helper: panic)',
);

/** Whether a line is part of what the kernel prints after a panic: registers, stack, modules, the end mark. */
function isTrace(message: string): boolean {
  return TRACE.test(message);
}

/** What the lines of one boot say. */
export interface BootFacts {
  readonly limit: number | null;
  readonly backlog: number | null;
  readonly lost: number | null;
  readonly suppressed: number | null;
  readonly panic: boolean;
  readonly onlyTraceSincePanic: boolean;
  readonly kernel: string | null;
  /** of the last overflow line, else of the last weaker sign */
  readonly stamp: number | null;
  /** of the first line of the storm that the line of `stamp` belongs to */
  readonly stormStamp: number | null;
}

class Boot {
  limit: number | null = null;
  backlog: number | null = null;
  lost: number | null = null;
  suppressed: number | null = null;
  kernel: string | null = null;
  overflowed = false;
  suspected = false;
  panic = false;
  onlyTraceSincePanic = true;
  latestStamp: number | null = null;
  #overflowStamp: number | null = null;
  #stormStamp: number | null = null;
  #suspectedStamp: number | null = null;
  #panicStamp: number | null = null;
  /** named by a loss whose cause the next line tells */
  #limitInDoubt: number | null = null;
  #matched = false;

  get stamp(): number | null {
    return this.overflowed ? this.#overflowStamp : this.#suspectedStamp;
  }

  get stormStamp(): number | null {
    return this.overflowed ? this.#stormStamp : this.#suspectedStamp;
  }

  /** A boot without banner in which nothing happened yet that is later than a banner. */
  get awaitsBanner(): boolean {
    return this.kernel === null && !this.#matched && (this.latestStamp ?? 0) < BANNER_DUE;
  }

  take(line: ConsoleLine, stamp: number | null, match: RuleMatch): void {
    this.#matched = true;
    const { rule, numbers } = match;
    if (rule.proves === 'other-cause') this.#limitInDoubt = null;
    else this.settle();
    if (rule.proves === 'overflow') {
      this.overflowed = true;
      if (stamp !== null && stamp - (this.#overflowStamp ?? Number.NEGATIVE_INFINITY) > STORM_GAP)
        this.#stormStamp = stamp;
      this.#overflowStamp = stamp ?? this.#overflowStamp;
    }
    if (rule.proves === 'suspected') {
      this.suspected = true;
      this.#suspectedStamp = stamp ?? this.#suspectedStamp;
    }
    if (rule.id === 'overflow-panic') {
      this.panic = true;
      this.#panicStamp ??= stamp;
    }
    const limit = isLimitComplete(line, match) ? (numbers.limit ?? null) : null;
    if (rule.proves === 'overflow') this.limit = limit ?? this.limit;
    else this.#limitInDoubt = limit;
    this.backlog = numbers.backlog ?? this.backlog;
    this.suppressed = numbers.suppressed ?? this.suppressed;
    if (numbers.lost !== undefined) this.lost = Math.max(this.lost ?? numbers.lost, numbers.lost);
    if (this.panic && !this.#isEcho(stamp)) this.onlyTraceSincePanic = false;
  }

  pass(line: ConsoleLine, kernel: Pick<KernelLine, 'stamp' | 'message'> | null): void {
    if (!this.panic || isTrace(kernel?.message ?? line.text)) return;
    // a text that breaks off within the trace shows half a line of it
    const isTorn = kernel !== null && !line.terminated && this.#isEcho(kernel.stamp);
    if (!isTorn) this.onlyTraceSincePanic = false;
  }

  /** Printed with the panic, as far as stamps tell. */
  #isEcho(stamp: number | null): boolean {
    return this.#panicStamp === null || stamp === null || stamp <= this.#panicStamp + PANIC_ECHO;
  }

  /** No line told another cause for the last loss: its limit counts. */
  settle(): void {
    this.limit = this.#limitInDoubt ?? this.limit;
    this.#limitInDoubt = null;
  }
}

/**
 * A number at the very end of a text that breaks off may lack digits. It is whole where a longer one could not be: the
 * queue is longer than the limit, and one more digit would make the limit ten times larger.
 */
function isLimitComplete(line: ConsoleLine, match: RuleMatch): boolean {
  if (line.terminated) return true;
  const { limit, backlog } = match.numbers;
  return limit !== undefined && backlog !== undefined && limit > 0 && limit * 10 >= backlog;
}

/** What all lines together say. */
export interface BootSummary {
  readonly verdict: 'overflow' | 'suspected' | 'none';
  /** the newest boot that overflowed, else that shows a weaker sign, else the newest */
  readonly told: BootFacts;
  /** no boot begins after that evidence; null where nothing tells boots apart */
  readonly current: boolean | null;
  readonly boots: number;
}

/** Takes the lines of a text in order, then closes. */
export class BootLog {
  #boot = new Boot();
  #overflowed: Boot | null = null;
  #suspected: Boot | null = null;
  #suppressed: number | null = null;
  #boots = 0;
  #banners = 0;

  /**
   * @param kernel the line as the kernel's; null where user space wrote it
   * @param match the rule that took its message
   */
  read(line: ConsoleLine, kernel: Pick<KernelLine, 'stamp' | 'message'> | null, match: RuleMatch | null): void {
    if (this.#boots === 0) this.#boots = 1;
    if (kernel !== null) this.#begins(kernel);
    const boot = this.#boot;
    if (kernel === null || match === null) {
      boot.pass(line, kernel);
      return;
    }
    boot.take(line, kernel.stamp, match);
    if (boot.overflowed) this.#overflowed = boot;
    if (boot.suspected) this.#suspected = boot;
    this.#suppressed = match.numbers.suppressed ?? this.#suppressed;
  }

  #begins({ stamp, message }: Pick<KernelLine, 'stamp' | 'message'>): void {
    const release = bannerRelease(message);
    const back = stamp !== null && this.#boot.latestStamp !== null && stamp < this.#boot.latestStamp - JITTER;
    if (back || (release !== null && !this.#boot.awaitsBanner)) {
      this.#boot.settle();
      this.#boot = new Boot();
      this.#boots += 1;
    }
    if (release !== null) {
      this.#boot.kernel = release;
      this.#banners += 1;
    }
    if (stamp !== null) this.#boot.latestStamp = Math.max(this.#boot.latestStamp ?? stamp, stamp);
  }

  close(): BootSummary {
    this.#boot.settle();
    const boots = this.#boots;
    const found = this.#overflowed ?? this.#suspected;
    if (found === null) {
      const told = { ...facts(this.#boot), suppressed: this.#suppressed };
      return { verdict: 'none', told, current: null, boots };
    }
    const verdict = found.overflowed ? 'overflow' : 'suspected';
    const tellsBootsApart = found.stamp !== null || this.#banners > 0;
    return { verdict, told: facts(found), current: found === this.#boot ? tellsBootsApart || null : false, boots };
  }
}

function facts(boot: Boot): BootFacts {
  const { limit, backlog, lost, suppressed, panic, onlyTraceSincePanic, kernel, stamp, stormStamp } = boot;
  return { limit, backlog, lost, suppressed, panic, onlyTraceSincePanic, kernel, stamp, stormStamp };
}
