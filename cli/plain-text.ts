/** Whole values and JSON as a terminal may show them, and lines broken to its width. */
import { printable, UNPRINTABLE } from '../domain/printable.ts';

/** The same value with every text in it, keys too, {@link printable}. */
export function printableDeep<T>(value: T): T {
  if (typeof value === 'string') return printable(value) as T;
  if (Array.isArray(value)) return value.map(printableDeep) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [printable(key), printableDeep(v)])) as T;
}

/** JSON of one line that is safe to look at on a terminal: what JSON leaves bare of the unprintable is escaped. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value).replace(UNPRINTABLE, (run) =>
    [...run]
      .flatMap((c) => c.split(''))
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
  return `${text}\n`;
}

/**
 * Breaks a text at spaces into lines of at most `width` characters; a longer word stands alone.
 * @param indent in front of every line; counts.
 * @param hanging in front of every line but the first, in place of `indent`.
 */
export function wrap(text: string, width: number, indent = '', hanging = indent): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').filter((w) => w !== '')) {
    const before = lines.length === 0 ? indent : hanging;
    if (line !== '' && before.length + line.length + 1 + word.length > width) {
      lines.push(before + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') lines.push((lines.length === 0 ? indent : hanging) + line);
  return lines;
}
