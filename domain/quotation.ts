/**
 * Tells a console from text that quotes one: documentation, scripts, cloud-init user data printed at boot.
 *
 * A quotation is what stands between fences, in a here-document or a preformatted block (if it ends within
 * {@link MAX_BLOCK} lines: an opening that is never closed must not hide the rest of a console), and the few lines that
 * follow one that introduces them, where nothing else in the text is the kernel's.
 */
import { consoleLines, kernelLine } from './console-lines.ts';
import { matchRule } from './evidence-rules.ts';

/** Lines after which an opened block counts as never closed. */
const MAX_BLOCK = 200;
/** Kernel messages that prose introduces at most; a storm after a legal notice is longer. */
const MAX_INTRODUCED = 12;

/** What the whole text says about its lines. */
export interface TextContext {
  /** some line is the kernel's beyond doubt: a prefix at its start, not quoted, not introduced by prose */
  readonly isConsole: boolean;
  /** closed blocks that hold kernel text, first and last line, ascending */
  readonly quoted: readonly (readonly [first: number, last: number])[];
}

interface Block {
  readonly first: number;
  readonly closes: (text: string) => boolean;
  holdsKernelText: boolean;
  /** would show that the text is a console if the block is never closed */
  holdsConsoleLine: boolean;
}

/** Alone on its line but for a language: a longer row of such characters is a divider of a banner. */
const FENCE = /^ {0,3}(?:`{3,4}|~{3,4}) ?[\w+-]{0,20}$/;
const HERE_DOCUMENT = /<<[-~]? ?(["']?)([A-Za-z_]\w{0,31})\1/;
const MENTIONS_KERNEL_TEXT = /audit|Linux version/;

function openedBy(text: string): ((text: string) => boolean) | null {
  if (FENCE.test(text)) return (line) => FENCE.test(line);
  const word = text.includes('<<') ? HERE_DOCUMENT.exec(text)?.[2] : undefined;
  if (word !== undefined) return (line) => line.trim() === word;
  if (text.includes('<') && /<pre\b/i.test(text) && !/<\/pre>/i.test(text)) return (line) => /<\/pre>/i.test(line);
  if (text.includes('"""') && text.split('"""').length % 2 === 0) return (line) => line.includes('"""');
  return null;
}

/** Looks over the whole text once. */
export function textContext(text: string): TextContext {
  const quoted: [number, number][] = [];
  let isConsole = false;
  let block: Block | null = null;
  let introduced = false;
  let following = 0;
  for (const line of consoleLines(text)) {
    const kernel = kernelLine(line.text);
    const own = kernel !== null && kernel.form !== 'prompted';
    if (block !== null && line.number - block.first > MAX_BLOCK) {
      isConsole ||= block.holdsConsoleLine;
      block = null;
    }
    if (!own) {
      if (block?.closes(line.text)) {
        if (block.holdsKernelText) quoted.push([block.first, line.number]);
        block = null;
      } else if (block === null) {
        const closes = openedBy(line.text);
        if (closes !== null) block = { first: line.number, closes, holdsKernelText: false, holdsConsoleLine: false };
      }
    }
    if (block !== null) block.holdsKernelText ||= own || MENTIONS_KERNEL_TEXT.test(line.text);
    const proves = own ? matchRule(kernel.message, true) !== null : matchRule(line.text, false) !== null;
    if (proves) following += 1;
    else following = 0;
    const maybeQuoted = kernel?.form === 'prefixed' && proves && introduced && following <= MAX_INTRODUCED;
    if (own && kernel.form !== 'indented' && !maybeQuoted) {
      if (block === null) isConsole = true;
      else block.holdsConsoleLine = true;
    }
    if (!proves) introduced = !own && introduces(line.text);
  }
  return { isConsole: isConsole || (block?.holdsConsoleLine ?? false), quoted };
}

const FOREIGN_LETTER = /[\p{L}--[\p{Script=Latin}\p{Script=Greek}]]/v;
const MARKUP = /^(?:#{1,6} |[-*+>|$] |\d{1,2}[.)] ?|<[a-zA-Z!/?]|\/\/|\/\*|;; ?)/;
const OF_A_PROGRAM = /^(?:\[|<\d{1,3}>|[\w.@/-]{1,64}\[\d{1,10}\]:|[\w.-]{1,255} login:)/;
const FUNCTION_WORDS = new Set(
  (
    'a an the this that these those is are was were be when where if how what why which see you your we our i my it its and ' +
    'or of for in on to with can will following below above example examples like such error errors message messages'
  ).split(' '),
);

/**
 * Whether a line introduces what follows it: prose, markup, a comment, a shell command, an opened quotation. Consoles
 * are ASCII sentences of programs; prose has function words.
 */
export function introduces(text: string): boolean {
  if (OF_A_PROGRAM.test(text)) return false;
  if (FENCE.test(text) || MARKUP.test(text) || HERE_DOCUMENT.test(text) || text.endsWith('\\')) return true;
  if (FOREIGN_LETTER.test(text) || isOdd(text, '"') || isOdd(text, '`')) return true;
  const words = text
    .toLowerCase()
    .slice(0, 1000)
    .split(/[^a-z']+/);
  const functionWords = words.filter((word) => FUNCTION_WORDS.has(word)).length;
  return functionWords >= 4 || (functionWords >= 2 && /[.:?!]$/.test(text));
}

function isOdd(text: string, mark: string): boolean {
  return text.includes(mark) && text.split(mark).length % 2 === 0;
}
