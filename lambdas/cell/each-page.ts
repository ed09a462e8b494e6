/** Following a listing to its end, a page a durable step. */
import type { Runner } from '../durable.ts';
import type { Tempo } from '../tempo.ts';

/** So many pages are read before the function lets go of its machine for a moment. */
const PAGES_BEFORE_REST = 10;

/** Reads page after page and hands each to `take`; the steps are called `name-0`, `name-1`, ... */
export async function eachPage<P extends { readonly cursor: string | null }>(
  run: Runner,
  { restBetweenPagesSeconds }: Tempo,
  name: string,
  read: (cursor: string | null, n: number) => Promise<P>,
  take: (page: P) => void,
): Promise<void> {
  let cursor: string | null = null;
  for (let n = 0; ; n++) {
    const at: string | null = cursor;
    const page: P = await run.step(`${name}-${n}`, () => read(at, n));
    take(page);
    cursor = page.cursor;
    if (cursor === null) return;
    if (n % PAGES_BEFORE_REST === PAGES_BEFORE_REST - 1) await run.wait(`rest-${name}-${n}`, restBetweenPagesSeconds);
  }
}
