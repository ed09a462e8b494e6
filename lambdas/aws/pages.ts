/** Following a NextToken to its end. */
import type { Called } from './call.ts';
import { callError } from './errors.ts';

/** One page of an AWS listing. */
export interface TokenPage<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

/**
 * All pages of a listing. A page that fails fails the whole: half a list would read as "the rest is not there".
 *
 * @param call - `service:Action`, for the error of a listing that runs in a circle
 */
export async function allPages<T>(
  call: string,
  page: (token: string | undefined) => Promise<Called<TokenPage<T>>>,
): Promise<Called<readonly T[]>> {
  const items: T[] = [];
  const seen = new Set<string>();
  for (let token: string | undefined; ; ) {
    const answer = await page(token);
    if (!answer.ok) return answer;
    items.push(...answer.value.items);
    token = answer.value.next;
    if (!token) return { ok: true, value: items };
    if (seen.has(token)) {
      const message = 'the same NextToken came twice: the listing does not end';
      const next = 'run again; if it stays, report it';
      return { ok: false, lost: false, error: callError({ call, code: 'EndlessPaging', message, next }) };
    }
    seen.add(token);
  }
}
