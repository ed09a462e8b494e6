/** Pages of SSM's list calls: an opaque token that names the last item given, so that new items shift nothing. */
import { type ApiCall, ApiError } from '../core.ts';

/** One page and, unless it is the last, the token of the next. */
export interface PageOf<T> {
  readonly items: readonly T[];
  readonly NextToken?: string;
}

/** @throws ApiError InvalidNextToken for a token this call did not give for this listing. */
export function page<T>(
  call: ApiCall,
  all: readonly T[],
  idOf: (item: T) => string,
  size: number,
  token?: string,
): PageOf<T> {
  let from = 0;
  if (token !== undefined) {
    const after = decode(call, token);
    const index = all.findIndex((item) => idOf(item) === after);
    if (index === -1) throw invalid();
    from = index + 1;
  }
  const items = all.slice(from, from + size);
  const last = items.at(-1);
  return last !== undefined && from + size < all.length ? { items, NextToken: encode(call, idOf(last)) } : { items };
}

function encode(call: ApiCall, id: string): string {
  return Buffer.from(JSON.stringify([call.action, call.accountId, call.region, id])).toString('base64url');
}

function decode(call: ApiCall, token: string): string {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (Array.isArray(value) && value[0] === call.action && value[1] === call.accountId && value[2] === call.region) {
      return String(value[3]);
    }
  } catch {
    // Not a token of ours: answered below.
  }
  throw invalid();
}

function invalid(): ApiError {
  return new ApiError('InvalidNextToken', 'The specified token is not valid.');
}
