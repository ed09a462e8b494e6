import { createHash } from 'node:crypto';
import type { WorldEvent } from '../core.ts';

/** One short text for all that happened in a world, in order: two runs of one seed have the same. */
export function digestOf(events: readonly WorldEvent[]): string {
  const hash = createHash('sha256');
  for (const event of events) hash.update(`${JSON.stringify(event)}\n`);
  return hash.digest('hex').slice(0, 16);
}
