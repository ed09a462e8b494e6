import type { Operation } from '@aws/durable-execution-sdk-js';

/** What an invocation is given at once; the SDK fetches the rest. The service's own bounds are not published. */
const firstPageItems = 100;
/** Lambda's events end at 6 MB. Unit: bytes. */
const pageBytes = 4 * 1024 * 1024;

/** A page of an execution's state, and where the next one begins. */
export interface StatePage {
  readonly operations: Operation[];
  readonly next: string | null;
}

/** The page of at most `items` operations from index `from`. */
export function pageFrom(operations: readonly Operation[], from: number, items: number): StatePage {
  let bytes = 0;
  let end = from;
  while (end < operations.length && end - from < items) {
    bytes += JSON.stringify(operations[end]).length;
    if (bytes > pageBytes && end > from) break;
    end++;
  }
  return { operations: operations.slice(from, end), next: end < operations.length ? String(end) : null };
}

/** The page that comes with the invocation. */
export function firstPage(operations: readonly Operation[]): StatePage {
  return pageFrom(operations, 0, firstPageItems);
}
