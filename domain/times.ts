/** Arithmetic on ISO 8601 times. What cannot be read as a time is null, never zero. */

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Milliseconds since the epoch; null for null and for text that is no time. */
export function millisOf(iso: string | null): number | null {
  if (iso === null) return null;
  const millis = Date.parse(iso);
  return Number.isNaN(millis) ? null : millis;
}

/** Seconds from one time to another, not rounded; NaN where one cannot be read, which is within no bound. */
export function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

/**
 * Whether `iso` lies at most `windowMs` before `now`, the bound included. A time after `now`, or one that cannot be
 * read, counts as recent: these counts only ever forbid something, and forbidding is the closed side.
 */
export function isWithin(iso: string, now: string, windowMs: number): boolean {
  const then = millisOf(iso);
  const at = millisOf(now);
  return then === null || at === null || at - then <= windowMs;
}
