/** Keeping a lease: taken again right before whatever changes a machine, so that a holder that lost it finds out. */
import type { CallError } from '../domain/finding.ts';
import { LEASE_SECONDS } from '../domain/lease.ts';
import type { Answer, LedgerPort } from '../domain/ports.ts';
import { CallFailedError } from './errors.ts';

/** Who takes a lease: the run, and the durable execution that acts for it. */
export interface Holder {
  readonly runId: string;
  readonly execution: string;
}

/** Takes a lease, or takes it again. An error that names the other holder when it is not ours. */
export async function takeLease(
  ledger: Pick<LedgerPort, 'acquireLease'>,
  name: string,
  { runId, execution }: Holder,
): Promise<Answer<null>> {
  const lease = await ledger.acquireLease(name, runId, LEASE_SECONDS, execution);
  if (!lease.ok) return lease;
  return lease.value.held ? { ok: true, value: null } : { ok: false, error: heldBy(lease.value.holder) };
}

/** What says that another run holds it; null: it is ours. @throws CallFailedError where that could not be read */
export function heldByAnother(lease: Answer<null>): CallError | null {
  if (lease.ok) return null;
  if (lease.error.call !== LEASE) throw new CallFailedError(lease.error);
  return lease.error;
}

const LEASE = 'lease';

/** What is said of a lease that another run holds. */
function heldBy(holder: string): CallError {
  return {
    call: LEASE,
    code: 'HeldByAnotherRun',
    message: `the run ${holder} is at work there`,
    next: 'Wait until that run is done, or until its lease expires; then run again.',
    kind: 'failed',
  };
}
