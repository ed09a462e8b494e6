/**
 * The detector: one console text in, what it proves out. Pure, linear in the text, never throws.
 *
 * Limits of what a text can say: a program that writes a kernel message to /dev/kmsg cannot be told from the kernel; a
 * document that quotes whole console lines at the start of its lines is told by what surrounds them (`quotation.ts`).
 */
import { BootLog, bannerRelease } from './boots.ts';
import {
  type ConsoleLine,
  consoleLines,
  consoleText,
  cutMessage,
  type KernelLine,
  kernelLine,
  sanitize,
} from './console-lines.ts';
import { explainRule, matchRule, type RuleMatch } from './evidence-rules.ts';
import { fnv1a } from './fnv.ts';
import { introduces, type TextContext, textContext } from './quotation.ts';

export { EVIDENCE_RULES, type EvidenceRule, explainRule } from './evidence-rules.ts';
export { newUserSpaceLinesSince, userSpaceMark } from './sign-of-life.ts';

/** `overflow`: the kernel said so; `suspected`: a weaker sign; `none`: neither. */
export type Verdict = 'overflow' | 'suspected' | 'none';

/** A line of the console that the verdict stands on. */
export interface EvidenceLine {
  /** 1-based */
  line: number;
  /** id of the rule that took it */
  kind: string;
  /** without control characters, at most 200 characters; still untrusted */
  text: string;
}

/** What one console text proves. The verdict speaks of the whole text, the numbers of the newest boot that overflowed. */
export interface Evidence {
  verdict: Verdict;
  /** records; the last one that an overflow's message named */
  limit: number | null;
  /** records in the queue, the last one named */
  backlog: number | null;
  /** records lost since boot, the largest one named; negative where an old kernel's counter wrapped */
  lost: number | null;
  /** messages of the audit system that the kernel left out, the last number named; kept for every verdict */
  suppressed: number | null;
  /** the overflow made the kernel panic */
  panic: boolean;
  /** release that the `Linux version` line of that boot names (of the newest boot where none overflowed) */
  kernel: string | null;
  /** no boot begins after the last overflow (or weaker sign); null where kernel time and banner are missing, or verdict is none */
  currentBoot: boolean | null;
  /** in line order, at most 20: the first ten and the last ten; empty where the verdict is none */
  evidence: EvidenceLine[];
  /** kernel time in seconds of the last overflow line (or weaker sign) of that boot; null where lines carry none */
  stamp: number | null;
  /**
   * kernel time in seconds of the first line of the storm that ends with the line of `stamp`: since then no 3 minutes
   * passed without an overflow. Later than it truly was where the console has lost its head.
   */
  stormStamp: number | null;
  /** the overflow's panic ends its boot: after it only its trace stands, nothing of user space */
  panicEndsBoot: boolean;
  /** boots seen in the text; 0 where it is blank */
  boots: number;
  /** the text has no printable character: unknown, never healthy */
  empty: boolean;
}

/** Lines of evidence kept from the beginning, and as many from the end. */
const KEPT = 10;

/** Reads one console text: bytes as the console wrote them, or text. */
export function readEvidence(input: string | Uint8Array): Evidence {
  const text = consoleText(input);
  const context = textContext(text);
  const log = new BootLog();
  const lines = new KeptLines();
  for (const { line, kernel, match } of takenLines(text, context)) {
    if (match !== null && match.rule.proves !== 'other-cause') lines.add(line, match);
    log.read(line, kernel, match);
  }
  const { told, verdict, boots, current } = log.close();
  return {
    verdict,
    limit: verdict === 'overflow' ? told.limit : null,
    backlog: verdict === 'overflow' ? told.backlog : null,
    lost: verdict === 'overflow' ? told.lost : null,
    suppressed: told.suppressed,
    panic: told.panic,
    kernel: told.kernel,
    currentBoot: verdict === 'none' ? null : current,
    evidence: verdict === 'none' ? [] : lines.all(),
    stamp: told.stamp,
    stormStamp: told.stormStamp,
    panicEndsBoot: told.panic && told.onlyTraceSincePanic,
    boots,
    empty: boots === 0,
  };
}

interface TakenLine {
  readonly line: ConsoleLine;
  /** the line as the kernel's; null where user space wrote it */
  readonly kernel: Pick<KernelLine, 'stamp' | 'message'> | null;
  readonly match: RuleMatch | null;
}

/** The lines of a text, each with what the kernel said in it; quotations stand as user space's. */
function* takenLines(text: string, context: TextContext): Generator<TakenLine> {
  let block = 0;
  let introduced = false;
  let first = true;
  for (const line of consoleLines(text)) {
    while (line.number > (context.quoted[block]?.[1] ?? Number.POSITIVE_INFINITY)) block += 1;
    const isQuoted = line.number >= (context.quoted[block]?.[0] ?? Number.POSITIVE_INFINITY);
    const told = isQuoted ? null : interpret(line.text, first);
    first = false;
    if (told === null) {
      introduced = introduces(line.text);
    } else if (isTrusted(told, introduced, context)) {
      introduced = false;
      yield { line, kernel: told.kernel, match: told.match };
      continue;
    }
    yield { line, kernel: null, match: null };
  }
}

interface Interpretation {
  readonly kernel: Pick<KernelLine, 'stamp' | 'message'>;
  readonly match: RuleMatch | null;
  /**
   * `certain`: a line as only consoles show it; `plain`: believed unless something introduces it; `weak`: believed in
   * consoles only; `bare`: no prefix, believed unless something introduces it, even in a console
   */
  readonly strength: 'certain' | 'plain' | 'weak' | 'bare';
}

function interpret(text: string, isFirst: boolean): Interpretation | null {
  const kernel = kernelLine(text);
  if (kernel?.form === 'prefixed' || kernel?.form === 'glued') {
    const strength = kernel.form === 'glued' ? 'certain' : 'plain';
    return { kernel, match: matchRule(kernel.message, true), strength };
  }
  if (kernel?.form === 'indented') return { kernel, match: matchRule(kernel.message, false), strength: 'weak' };
  if (kernel?.form === 'prompted') {
    const match = matchRule(kernel.message, false);
    return match === null ? null : { kernel, match, strength: 'certain' };
  }
  const match = matchRule(text, false);
  const bare = { stamp: null, message: text };
  if (match !== null || (bannerRelease(text) !== null && / #\d/.test(text))) {
    return { kernel: bare, match, strength: 'bare' };
  }
  const cut = isFirst ? cutMessage(text) : null;
  const cutMatch = cut === null ? null : matchRule(cut, false);
  return cut === null || cutMatch === null
    ? null
    : { kernel: { stamp: null, message: cut }, match: cutMatch, strength: 'weak' };
}

function isTrusted({ strength, match }: Interpretation, introduced: boolean, context: TextContext): boolean {
  if (strength === 'bare') return !introduced;
  const isDoubtful = strength === 'weak' || (strength === 'plain' && match !== null && introduced);
  return context.isConsole || !isDoubtful;
}

/** The first and the last lines of evidence, whatever their number. */
class KeptLines {
  readonly #first: EvidenceLine[] = [];
  readonly #last: EvidenceLine[] = [];

  add(line: ConsoleLine, match: RuleMatch): void {
    const kept = { line: line.number, kind: match.rule.id, text: sanitize(line.text) };
    if (this.#first.length < KEPT) {
      this.#first.push(kept);
      return;
    }
    this.#last.push(kept);
    if (this.#last.length > KEPT) this.#last.shift();
  }

  all(): EvidenceLine[] {
    return [...this.#first, ...this.#last];
  }
}

/** What `audit-backlog detect` prints for one file. */
export type DetectReport = { schema: 1; file: string } & Pick<
  Evidence,
  'verdict' | 'limit' | 'backlog' | 'lost' | 'suppressed' | 'panic' | 'kernel' | 'currentBoot' | 'evidence'
>;

/** The contract's object, keys in the contract's order. */
export function detectReport(file: string, e: Evidence): DetectReport {
  const { verdict, limit, backlog, lost, suppressed, panic, kernel, currentBoot, evidence } = e;
  return { schema: 1, file, verdict, limit, backlog, lost, suppressed, panic, kernel, currentBoot, evidence };
}

/**
 * Identity of evidence: the same for two readings of the same overflow, however much else the console printed since;
 * where it lost its head, {@link isSameEvidence} tells. The stamp and numbers of the last overflow; where lines carry no
 * kernel time, the last such line's text (its syslog date) stands for the stamp. Only `A-Z a-z 0-9 . : | -`, at most 80
 * characters.
 */
export function evidenceKey(e: Evidence): string {
  const when = e.stamp === null ? `line:${lastProvingLineHash(e)}` : String(e.stamp);
  const numbers = e.verdict === 'suspected' ? [e.suppressed] : [e.limit, e.backlog, e.lost];
  return [e.verdict, when, ...numbers.map((n) => (n === null ? 'x' : String(n)))].join('|');
}

/**
 * Whether `now` is the key of the overflow that was known as `known`: the same last line, and no other numbers. Fewer may
 * be left, since the head that the console lost may have held them.
 */
export function isSameEvidence(known: string, now: string): boolean {
  const [verdict, when, ...numbers] = known.split('|');
  const [verdictNow, whenNow, ...numbersNow] = now.split('|');
  return verdict === verdictNow && when === whenNow && numbersNow.every((n, i) => n === 'x' || n === numbers[i]);
}

function lastProvingLineHash(e: Evidence): string {
  const proving = e.evidence.findLast(({ kind }) => explainRule(kind)?.proves === e.verdict);
  return proving === undefined ? 'x' : fnv1a(proving.text).toString(16);
}
