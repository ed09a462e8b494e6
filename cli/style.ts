/** Colour where a person sees it: a terminal, and NO_COLOR not set. */
import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

/** Styled text; plain where the stream is no terminal or NO_COLOR is set. */
export function style(format: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(format, text, { stream });
}
