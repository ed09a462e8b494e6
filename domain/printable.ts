/** Text from outside (consoles, runbooks, error messages, tags, file names) as a terminal, a page or a message may show it. */

/** Runs of what could move a cursor, colour, reorder, hide or end a line: control, format and separator characters. */
export const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;

/** One well-formed line: each run of {@link UNPRINTABLE} characters becomes a space, half a surrogate pair U+FFFD. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, ' ').toWellFormed();
}
