/** Which backlog limit a machine should have. The runbook computes the same on the machine, from what it reads there. */
import type { Policy } from './policy.ts';

/**
 * Kernel memory that one queued audit record may take: MAX_AUDIT_MESSAGE_LENGTH (8,970 bytes). The re:Post article
 * "troubleshoot audit backlog errors" reckons with it: 320 buffers x 8,970 = 2,870,400 bytes (2.7 MiB) and
 * 8,192 x 8,970 = 73,482,240 bytes (70.1 MiB).
 */
export const BUFFER_BYTES = 8970;

export interface SizingInput {
  /** The limit that overflowed, in buffers: a whole number of at least 0. */
  readonly overflowedAt: number;
  /** MemTotal of /proc/meminfo. Unit: KiB, a whole number of at least 0. */
  readonly totalKiB: number;
  /** MemAvailable of /proc/meminfo. Unit: KiB, a whole number of at least 0. */
  readonly availableKiB: number;
}

export interface SizedLimit {
  /** Unit: buffers. May be 0 on a machine without memory to spare: then nothing is to be raised. */
  readonly target: number;
  /** What kept the target below what the overflow asks for; null when nothing did. */
  readonly cappedBy: 'memory' | 'maximum' | null;
  /** Buffers that the memory allows. */
  readonly memoryCap: number;
}

/** How many bytes a full queue of so many buffers takes. */
export function costBytes(buffers: number): number {
  return buffers * BUFFER_BYTES;
}

/**
 * target = min(memory cap, maximum, max(minimum, factor x overflowedAt)), the memory cap being `memoryPercent` of
 * MemTotal and at most half of MemAvailable. Whether the machine's own limit is already above it, or 0 (unlimited), is
 * for the caller to see: a limit is never lowered.
 * @throws RangeError when an input is no whole number of at least 0.
 */
export function targetLimit(input: SizingInput, sizing: Policy['sizing']): SizedLimit {
  for (const [name, value] of Object.entries(input)) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${name} must be a whole number >= 0: ${value}`);
  }
  const byTotal = Math.floor((input.totalKiB * 1024 * sizing.memoryPercent) / (100 * BUFFER_BYTES));
  const byAvailable = Math.floor((input.availableKiB * 1024) / (2 * BUFFER_BYTES));
  const memoryCap = Math.min(byTotal, byAvailable);
  const wanted = Math.max(sizing.minimum, sizing.factor * input.overflowedAt);
  const target = Math.min(memoryCap, sizing.maximum, wanted);
  if (target === wanted) return { target, cappedBy: null, memoryCap };
  return { target, cappedBy: memoryCap < sizing.maximum ? 'memory' : 'maximum', memoryCap };
}
