/** Pages of a describe call. A token is opaque, and good only for the call that it came from. */
import { createHash } from 'node:crypto';
import { type ApiCall, ApiError } from '../core.ts';

/** A page and the token of the next; null at the end. */
export interface PageOf<T> {
  readonly items: readonly T[];
  readonly nextToken: string | null;
}

/**
 * Cuts a page out of what matches.
 * @param sequenceOf rising in the order of `items`; a token remembers the last one, so that items that vanish between
 * two pages shift nothing.
 */
export function page<T>(
  call: ApiCall,
  items: readonly T[],
  sequenceOf: (item: T) => number,
  maxResults: number | undefined,
  token: string | undefined,
): PageOf<T> {
  const after = token === undefined ? -1 : readToken(call, token);
  const rest = items.filter((item) => sequenceOf(item) > after);
  const cut = rest.slice(0, maxResults ?? rest.length);
  const last = cut.at(-1);
  return {
    items: cut,
    nextToken: last !== undefined && cut.length < rest.length ? makeToken(call, sequenceOf(last)) : null,
  };
}

/** What must not change between pages: everything but page size and token. */
function fingerprint(call: ApiCall): string {
  const { NextToken, MaxResults, DryRun, ...rest } = call.params;
  void [NextToken, MaxResults, DryRun];
  const text = JSON.stringify([call.action, call.accountId, call.region, rest]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 16);
}

function makeToken(call: ApiCall, after: number): string {
  return Buffer.from(`${fingerprint(call)}.${after}`).toString('base64url');
}

function readToken(call: ApiCall, token: string): number {
  const [print, after] = Buffer.from(token, 'base64url').toString().split('.');
  if (print !== fingerprint(call) || after === undefined || !/^\d+$/.test(after)) {
    throw new ApiError('InvalidPaginationToken', 'The specified pagination token is not valid or is expired.');
  }
  return Number(after);
}
