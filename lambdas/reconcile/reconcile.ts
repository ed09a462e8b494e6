/** Every few minutes: what we stopped and does not run is started and alarmed. Works without ledger and sweep. */
import { type CallError, type Cell, cellName } from '../../domain/finding.ts';
import type { CellPorts, HubPorts, OpenCell } from '../../domain/ports.ts';
import { failedStart, reconcileDecision } from '../../domain/reconcile.ts';
import { targetCells } from '../sweep/targets.ts';

/** So that cells that do not answer cannot starve the others of a round. */
const CELLS_AT_ONCE = 20;

/** What one round did, for the function's log and its answer. */
export interface Reconciled {
  readonly started: readonly string[];
  readonly unmarked: readonly string[];
  readonly left: readonly { readonly instanceId: string; readonly why: string }[];
  readonly errors: readonly (CallError & { readonly cell: string })[];
}

/** An error that lasts is told again after so long. Unit: milliseconds. */
const TOLD_AGAIN_MS = 60 * 60_000;

/** Which errors a person was told of, and when: epoch milliseconds. */
export type Told = Map<string, number>;

/**
 * Goes over all cells of the policy's scope; a cell that fails does not stop the others.
 * @param told kept by the caller between rounds: the same error is told once an hour. Where it is lost, the error is told
 *   once more, never less.
 */
export async function reconcile(hub: HubPorts, openCell: OpenCell, told: Told = new Map()): Promise<Reconciled> {
  const sum = {
    started: [] as string[],
    unmarked: [] as string[],
    left: [] as Reconciled['left'][number][],
    errors: [] as Reconciled['errors'][number][],
  };
  const cells = targetCells({}, hub.policy, hub.home);
  for (let i = 0; i < cells.length; i += CELLS_AT_ONCE) {
    const some = cells.slice(i, i + CELLS_AT_ONCE);
    await Promise.all(some.map((cell) => reconcileCell(hub, openCell(cell, hub.policy.quotaShare), cell, sum)));
  }
  await tell(hub, sum.errors, told);
  return sum;
}

/** What is new, or was last told an hour ago. An error that has gone is forgotten, so that its return is told at once. */
async function tell(hub: HubPorts, errors: Reconciled['errors'], told: Told): Promise<void> {
  const now = Date.parse(hub.clock.now());
  const keyOf = (e: Reconciled['errors'][number]) => `${e.cell} ${e.instanceId ?? ''} ${e.call} ${e.code}`;
  const standing = new Set(errors.map(keyOf));
  for (const key of told.keys()) if (!standing.has(key)) told.delete(key);
  const fresh = errors.filter((e) => now - (told.get(keyOf(e)) ?? Number.NEGATIVE_INFINITY) >= TOLD_AGAIN_MS);
  if (fresh.length === 0) return;
  const text = fresh
    .map((e) => `${e.cell} ${e.instanceId ?? ''} ${e.call}: ${e.code}: ${e.message} ${e.next}`)
    .join('\n');
  const answer = await hub.news.notify('Audit backlog: reconcile met errors', text);
  if (answer.ok) for (const e of fresh) told.set(keyOf(e), now);
}

async function reconcileCell(
  hub: HubPorts,
  ports: CellPorts,
  cell: Cell,
  sum: {
    started: string[];
    unmarked: string[];
    left: Reconciled['left'][number][];
    errors: Reconciled['errors'][number][];
  },
): Promise<void> {
  const where = cellName(cell);
  const marked = await ports.power.listMarked();
  if (!marked.ok) {
    sum.errors.push({ ...marked.error, cell: where });
    return;
  }
  for (const { instance, mark } of marked.value) {
    const { instanceId } = instance;
    // What was done stays done; that nobody was told of it fails the round, so that its alarm tells.
    const say = async (what: string, text: string): Promise<void> => {
      const said = await hub.news.notify(`Audit backlog: ${instanceId} ${what}`, text);
      if (!said.ok) sum.errors.push({ ...said.error, instanceId, cell: where });
    };
    const decision = reconcileDecision(instance, mark, ports.clock.now());
    if (decision.do === 'leave') {
      sum.left.push({ instanceId, why: decision.why });
      continue;
    }
    const answer =
      decision.do === 'start' ? await ports.power.start(instanceId) : await ports.power.unmarkStopped(instanceId);
    const failure = decision.do === 'start' ? failedStart(instance) : null;
    if (!answer.ok) sum.errors.push({ ...answer.error, instanceId, cell: where });
    else if (failure !== null) sum.errors.push({ ...startHadNoEffect(failure), instanceId, cell: where });
    else if (decision.do === 'unmark') {
      sum.unmarked.push(instanceId);
      // Whoever was told that it was stopped and did not start is told that it is over.
      await say(
        'is back',
        `${instanceId} in ${where} runs: our stop tag (${mark.slice(0, 80)}) was left on it and is taken off.`,
      );
    } else {
      sum.started.push(instanceId);
      await say('was started by reconcile', `${instanceId} in ${where}: ${decision.why}.`);
    }
  }
}

/** It is started again all the same; but nobody shall be told that it was started, and the function's alarm stays on. */
function startHadNoEffect(reason: string): CallError {
  return {
    call: 'ec2:StartInstances',
    code: 'StartHadNoEffect',
    message: `it was stopped by us, and the last start of it came to nothing (${reason})`,
    next: 'Check the keys of its volumes and kms:CreateGrant, then start it by hand; it is tried again in five minutes.',
    kind: 'failed',
  };
}
