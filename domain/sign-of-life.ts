/**
 * A sign of life: user space wrote to the console between two reads of it.
 *
 * The console is a ring. A later read is the earlier one plus what came since, with more or less of its head lost. The
 * mark keeps no console text: length and hash of the whole earlier text (nothing lost yet: the later one begins with
 * it), and of its last complete lines (head lost: the later one holds them somewhere).
 *
 * What counts: a line that is not the kernel's, not blank, not a login prompt, a password prompt, or the banner right
 * before a prompt: getty prints those again by itself, also on a machine whose users cannot log in any more. What
 * systemd and others write to the kernel's log (`[ 12.3] systemd[1]: ...`) is not counted either: watchdog messages
 * about a hung service look like that. Where it cannot be told, lines count: the error is then to leave a machine alone,
 * never to restart one that lives. So on a kernel without time stamps its own lines may count.
 */
import { consoleLines, consoleText, kernelLine } from './console-lines.ts';
import { matchRule } from './evidence-rules.ts';
import { fnv1a } from './fnv.ts';

/** Complete lines at the end of the earlier text that the later one is searched for. */
const ANCHOR_LINES = 6;
/** Lines that a getty prints before its prompt, at most. */
const BANNER_LINES = 6;

const hex = (n: number): string => n.toString(16);

/**
 * What has to be remembered of a console text to see later what is new: at most 64 characters of `0-9 a-f .`, no text
 * of the console.
 */
export function userSpaceMark(input: string | Uint8Array): string {
  const text = consoleText(input);
  const complete = text.lastIndexOf('\n') + 1;
  const anchor = anchorStart(text, complete);
  return [
    hex(complete),
    hex(fnv1a(text, 0, complete)),
    hex(complete - anchor),
    hex(fnv1a(text, anchor, complete)),
    hex(text.length - complete),
    hex(fnv1a(text, complete)),
  ].join('.');
}

/** Where the last lines before `end` begin. */
function anchorStart(text: string, end: number): number {
  let at = end;
  for (let lines = 0; lines < ANCHOR_LINES && at > 0; lines += 1) at = at < 2 ? 0 : text.lastIndexOf('\n', at - 2) + 1;
  return at;
}

/**
 * How many user-space lines `after` holds that the marked text had not; null where that cannot be told (the marked text
 * was empty, the mark is none): unknown, never "no sign of life".
 */
export function newUserSpaceLinesSince(mark: string, after: string | Uint8Array): number | null {
  if (!/^[\da-f]{1,12}(?:\.[\da-f]{1,12}){5}$/.test(mark)) return null;
  const [complete = 0, whole = 0, anchorLength = 0, anchorHash = 0, restLength = 0, restHash = 0] = mark
    .split('.')
    .map((part) => Number.parseInt(part, 16));
  if (complete + restLength === 0) return null;
  const text = consoleText(after);
  if (text.length >= complete && fnv1a(text, 0, complete) === whole) {
    return countNew(text, continued(text, complete, restLength, restHash));
  }
  const end = findAnchor(text, anchorLength, anchorHash);
  if (end !== null) return countNew(text, continued(text, end, restLength, restHash));
  // everything the mark knew is gone: all is new but the first line, which may be the end of a kernel line
  const firstEnd = text.indexOf('\n') + 1;
  return countNew(text, firstEnd === 0 ? text.length : firstEnd);
}

/** Past the incomplete last line of the earlier text, if the later one goes on with it. */
function continued(text: string, from: number, length: number, hash: number): number {
  return length > 0 && fnv1a(text, from, from + length) === hash && from + length <= text.length ? from + length : from;
}

/**
 * The end of the first run of lines with that length and hash. The first, not the last: where lines repeat, too many
 * count as new rather than too few.
 */
function findAnchor(text: string, length: number, hash: number): number | null {
  if (length === 0) return null;
  const starts: number[] = [0];
  for (let feed = text.indexOf('\n'); feed >= 0; feed = text.indexOf('\n', feed + 1)) {
    const end = feed + 1;
    // the run has at most ANCHOR_LINES lines, so its start is one of the last few
    if (starts.includes(end - length) && fnv1a(text, end - length, end) === hash) return end;
    starts.push(end);
    if (starts.length > ANCHOR_LINES) starts.shift();
  }
  return null;
}

const PROMPT = /^(?:[\w.-]{1,255} login:|Password:|Login (?:incorrect|timed out))/;
/** What no getty prints before its prompt: a program's tag, a service manager's status. */
const NOT_A_BANNER =
  /^(?:\[|<\d|[\w.@/-]{1,64}(?:\[\d{1,10}\])?: |[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:| {4,}\S|(?:Starting|Stopping|Mounting|INIT:) )/;

function countNew(text: string, from: number): number {
  let counted = 0;
  let banner = 0;
  for (const { text: line } of consoleLines(text.slice(from))) {
    const kernel = kernelLine(line);
    const isKernel = (kernel !== null && kernel.form !== 'prompted') || matchRule(line, false) !== null;
    if (PROMPT.test(line)) {
      counted -= banner;
      banner = 0;
    } else if (!isKernel) {
      counted += 1;
      banner = NOT_A_BANNER.test(line) ? 0 : Math.min(banner + 1, BANNER_LINES);
    } else {
      banner = 0;
    }
  }
  return counted;
}
