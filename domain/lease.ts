/** Names of leases, and when the holder of one counts as dead. Pure. */
import { type Cell, cellName } from './finding.ts';

/** Expiry of a lease that is not taken again: longer than any wave or restart takes. Unit: seconds. */
export const LEASE_SECONDS = 3 * 3600;

/**
 * So long after its execution ended nothing of a holder goes on: a command it just sent has two minutes to be delivered
 * and then ends by the document's own time-out, and a power change shows in the state. Unit: seconds.
 */
export const DEAD_AFTER_SECONDS = 900;

/** One run acts in a cell at a time. */
export function cellLease(cell: Cell): string {
  return `cell#${cellName(cell)}`;
}

/** What the leases of the machines in cure of a cell stand below. */
export function instanceLeases(cell: Cell): string {
  return `instance#${cellName(cell)}`;
}

/** One restart works on an instance at a time. */
export function instanceLease(cell: Cell, instanceId: string): string {
  return `${instanceLeases(cell)}/${instanceId}`;
}
