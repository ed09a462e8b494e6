/**
 * Lines of a console text, and which of them the kernel wrote.
 *
 * Everything here is linear in the text: lines are found by scanning, expressions are anchored or bounded, and at most
 * {@link MAX_LINE} characters of a line are looked at.
 */
import { UNPRINTABLE } from './printable.ts';

/** Characters of a line that are looked at, after controls are removed. A kernel record has at most about 1,000. */
const MAX_LINE = 4096;

/** One line of a console text. A bare carriage return parts a line too (spinners, sysvinit): its parts share the number. */
export interface ConsoleLine {
  /** 1-based, counted by line feeds */
  readonly number: number;
  /** without control characters and terminal sequences; never blank */
  readonly text: string;
  /** false for the end of a text that breaks off without a line end: its last word may be torn */
  readonly terminated: boolean;
}

/** How a kernel line was told from other text. */
type KernelForm =
  /** a prefix at the line's start: stamp, level, syslog or journal header */
  | 'prefixed'
  /** a prefix after a login prompt, a shell prompt or a service manager's status that had no line end */
  | 'glued'
  /** a prefix after blanks: torn from a status line, or an indented quotation */
  | 'indented'
  /** no prefix, right after a login prompt */
  | 'prompted';

/** A line of the kernel's. */
export interface KernelLine {
  readonly form: KernelForm;
  /** seconds since boot; null where the line carries none */
  readonly stamp: number | null;
  /** what the kernel said, without prefix */
  readonly message: string;
}

/** Bytes as text: UTF-8, each invalid byte a replacement character. Never throws. */
export function consoleText(input: string | Uint8Array): string {
  return typeof input === 'string' ? input : new TextDecoder().decode(input);
}

const CONTROLS = /[\0-\x1f\x7f-\x9f]/;
const TERMINAL_SEQUENCE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])/g;
const OTHER_CONTROL = /[\0-\x08\x0a-\x1f\x7f-\x9f]+/g;
/** Colour whose escape character was lost on the way. */
const BARE_COLOUR = /\[(?:\d{1,3}(?:;\d{1,3}){0,8})?m/g;

function clean(raw: string): string {
  const text = CONTROLS.test(raw)
    ? raw.replace(TERMINAL_SEQUENCE, '').replace(/\t/g, ' ').replace(OTHER_CONTROL, '')
    : raw;
  return text.slice(0, MAX_LINE).replace(BARE_COLOUR, '').trimEnd();
}

/** The lines of a text that are not blank, in order. */
export function* consoleLines(text: string): Generator<ConsoleLine> {
  let number = 0;
  let carriageReturn = -1;
  for (let start = text.startsWith('\ufeff') ? 1 : 0; start < text.length; ) {
    number += 1;
    const feed = text.indexOf('\n', start);
    const end = feed < 0 ? text.length : feed;
    for (let from = start; from < end; ) {
      // searched for again only once it is passed: otherwise each line would search the whole rest
      if (carriageReturn < from) carriageReturn = indexOrEnd(text, '\r', from);
      const to = Math.min(carriageReturn, end);
      const cleaned = from === to ? '' : clean(text.slice(from, to));
      if (cleaned !== '') yield { number, text: cleaned, terminated: to < text.length };
      from = to + 1;
    }
    start = end + 1;
  }
}

function indexOrEnd(text: string, what: string, from: number): number {
  const index = text.indexOf(what, from);
  return index < 0 ? text.length : index;
}

// [   26.427395]  [26.427395 <    0.000123>]  [   26.427395][  T123]  [   26.427395][    C1]  [  592.408543]  (1)[237:name]
const STAMP =
  /^\[ {0,12}(\d{1,10}\.\d{1,9})(?: {0,4}< {0,8}[+\d.]{1,16}>)?\](?:\[ {0,8}[TC]\d{1,10}\]| {0,2}-?\(\d{1,3}\)\[\d{1,10}:[^\]]{1,32}\])? ?/;
// dmesg -T
const DATED = /^\[(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}\] /;
// facility 0 is the kernel's: <12> or <14> is user space writing to /dev/kmsg
const LEVEL = /^(?:<[0-7]>|kern {0,4}:[a-z]{3,7} {0,4}: )/;
// journalctl -o short-monotonic has the host between stamp and tag
const TAG_AFTER_STAMP = /^[\w.-]{1,255} kernel: /;
const TAG = /^kernel(?:\[\d{1,7}\])?(?:: ?| - \S{1,64} -? ?)/;
const ISO = String.raw`(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?`;
const CLASSIC = String.raw`(?:\d{4} )?(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: \d{4})?`;
const TIME = String.raw`\d\d:\d\d:\d\d(?:[.,]\d{1,9})?`;
// date, then at most four words (host, address, facility, level); a word that ends in a colon is a program's tag
const HEADER = new RegExp(
  String.raw`^(?: |(?:<\d{1,3}>(?:\d )?)?(?:(?:${ISO}|${CLASSIC}|${TIME}) {1,2}(?:[\w.:@/%+-]{0,254}[\w.@/%+-] {1,2}){0,4})?)$`,
);
/** Where a header's `kernel` must stand at the latest. */
const MAX_HEADER = 400;

type Told = Omit<KernelLine, 'form'>;

function stamped(text: string): Told | null {
  if (!text.startsWith('[')) return null;
  const stamp = STAMP.exec(text);
  if (stamp !== null) {
    return { stamp: Number(stamp[1]), message: text.slice(stamp[0].length).replace(TAG_AFTER_STAMP, '') };
  }
  const dated = DATED.exec(text);
  return dated === null ? null : { stamp: null, message: text.slice(dated[0].length) };
}

function prefixed(text: string): Told | null {
  const level = text.startsWith('<') || text.startsWith('kern') ? (LEVEL.exec(text)?.[0] ?? '') : '';
  const rest = text.slice(level.length);
  return stamped(rest) ?? tagged(text) ?? (level === '' ? null : { stamp: null, message: rest });
}

function tagged(text: string): Told | null {
  // a host may be called kernel too: a few places are tried, never all
  for (let at = text.indexOf('kernel'), tries = 0; at >= 0 && at < MAX_HEADER && tries < 4; tries += 1) {
    const tag = TAG.exec(text.slice(at, at + 100));
    if (tag !== null && HEADER.test(text.slice(0, at))) {
      const rest = text.slice(at + tag[0].length);
      return stamped(rest) ?? { stamp: null, message: rest };
    }
    at = text.indexOf('kernel', at + 1);
  }
  return null;
}

const LOGIN = /^[\w.-]{1,255} login: ?/;
const TYPED_NAME = /^[\w.-]{1,32} ?(?=[[<])/;
const SHELL =
  /^(?:Password: ?|\[[\w.-]{1,64}@[\w.-]{1,255} [^\]]{1,255}\][#$] ?|[\w.-]{1,64}@[\w.-]{1,255}:[^\s#$]{1,255}[#$] ?|(?:ba)?sh-\d\.\d{1,2}[#$] ?)/;
const STATUS =
  /^(?:\[(?: {0,2}OK {0,2}|FAILED|DEPEND| INFO | WARN |[ *]{3,6})\] | {9}(?:Starting|Stopping|Mounting|Unmounting|Activating|Expecting) )/;
const FULL_STAMP = /\[ {0,4}\d{1,8}\.\d{6}\]/;

/** The kernel's part of a line, or null where the line is not the kernel's. Text before it must be of a known kind. */
export function kernelLine(text: string): KernelLine | null {
  const plain = prefixed(text);
  if (plain !== null) return { form: 'prefixed', ...plain };

  const login = text.includes(' login:') ? LOGIN.exec(text) : null;
  if (login !== null) {
    const rest = text.slice(login[0].length);
    const glued = prefixed(rest) ?? prefixed(rest.replace(TYPED_NAME, ''));
    if (glued !== null) return { form: 'glued', ...glued };
    return rest === '' ? null : { form: 'prompted', stamp: null, message: rest };
  }

  const shell = SHELL.exec(text);
  if (shell !== null) return glued(text.slice(shell[0].length));
  const first = text.charAt(0);
  if ((first === '[' || first === ' ') && STATUS.test(text)) {
    const at = text.search(FULL_STAMP);
    return at < 0 ? null : glued(text.slice(at));
  }
  if (first !== ' ') return null;
  const indented = prefixed(text.trimStart());
  return indented === null ? null : { form: 'indented', ...indented };
}

function glued(text: string): KernelLine | null {
  const found = prefixed(text);
  return found === null ? null : { form: 'glued', ...found };
}

/** Messages that a text's first line may be the end of, with the shortest end that nothing else shares. */
const CUT_MESSAGES: readonly (readonly [message: string, shortest: string])[] = [
  ['Kernel panic - not syncing: audit: backlog limit exceeded', 'syncing: audit: backlog limit exceeded'],
  ['audit: backlog limit exceeded', 'log limit exceeded'],
  ['audit: kauditd hold queue overflow', 'hold queue overflow'],
  ['audit: kauditd retry queue overflow', 'retry queue overflow'],
];
const CUT_STAMP = /^[ \d]{0,12}\.?\d{0,9}\](?:\[ {0,8}[TC]\d{1,10}\])? /;
const CUT_NUMBER = /^([a-z_: ]{0,20}=)(\d{1,10} > audit_backlog_limit=\d{1,10})$/;

/** What the kernel said in a first line whose beginning fell out of the console's buffer; null where that is not plain. */
export function cutMessage(text: string): string | null {
  const stamp = CUT_STAMP.exec(text);
  if (stamp !== null) return text.slice(stamp[0].length);
  const number = CUT_NUMBER.exec(text);
  if (number !== null && 'audit: audit_backlog='.endsWith(number[1] ?? '')) return `audit: audit_backlog=${number[2]}`;
  const whole = CUT_MESSAGES.find(([message, shortest]) => message.endsWith(text) && text.length >= shortest.length);
  return whole?.[0] ?? null;
}

/** Text that may be shown anywhere: no control, format or separator characters, at most 200 characters. */
export function sanitize(text: string): string {
  return text.slice(0, 400).replace(UNPRINTABLE, '').toWellFormed().trim().slice(0, 200).toWellFormed();
}
