/** One bad id must not fail a batch: AWS refuses the whole call, often naming the bad ones, sometimes not. */
import type { Called, Failed } from './call.ts';

/** What became of a batch: values of the calls that went through, and the ids that AWS would not take. */
export interface Isolated<T> {
  readonly values: readonly T[];
  readonly rejected: readonly string[];
}

/** Rounds in which the named ids are left out; after them, and where none is named, the batch is halved. */
const NAMED_ROUNDS = 3;

/**
 * Calls with all ids; where AWS refuses some, with the rest. Costs one call more where the message names the bad ids,
 * O(k log n) calls for k bad ones among n where it does not. Assumes that a refused call did nothing and that an id is
 * bad by itself, not by its company. A failure of another kind ends it.
 *
 * @param isRejection - whether a failure means "one or more of these ids", and not the call as such
 */
export async function isolateRejected<T>(
  ids: readonly string[],
  call: (ids: readonly string[]) => Promise<Called<T>>,
  isRejection: (failed: Failed) => boolean,
): Promise<{ readonly ok: true; readonly value: Isolated<T> } | (Failed & { readonly done: Isolated<T> })> {
  const values: T[] = [];
  const rejected: string[] = [];

  async function attempt(batch: readonly string[], namedRounds: number): Promise<Failed | null> {
    if (batch.length === 0) return null;
    const answer = await call(batch);
    if (answer.ok) {
      values.push(answer.value);
      return null;
    }
    if (!isRejection(answer)) return answer;
    if (batch.length === 1) {
      rejected.push(...batch);
      return null;
    }
    const named = namedRounds > 0 ? idsIn(answer.error.message, batch) : new Set<string>();
    if (named.size > 0) {
      rejected.push(...named);
      return attempt(
        batch.filter((id) => !named.has(id)),
        namedRounds - 1,
      );
    }
    const middle = Math.ceil(batch.length / 2);
    return (await attempt(batch.slice(0, middle), namedRounds)) ?? attempt(batch.slice(middle), namedRounds);
  }

  const failed = await attempt([...new Set(ids)], NAMED_ROUNDS);
  const done = { values, rejected };
  return failed ? { ...failed, done } : { ok: true, value: done };
}

function idsIn(message: string, batch: readonly string[]): Set<string> {
  const words = new Set(message.split(/[^A-Za-z0-9-]+/));
  return new Set(batch.filter((id) => words.has(id)));
}

/** Parts of at most `size`, in order. */
export function chunksOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const chunks: T[][] = [];
  for (let at = 0; at < items.length; at += size) chunks.push(items.slice(at, at + size));
  return chunks;
}
