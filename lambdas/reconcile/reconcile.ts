/** Every few minutes: what we stopped and does not run is started and alarmed. Works without ledger and sweep. */
import { type CallError, type Cell, cellName } from '../../domain/finding.ts';
import type { CellPorts, HubPorts, OpenCell } from '../../domain/ports.ts';
import { reconcileDecision } from '../../domain/reconcile.ts';
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

/** Goes over all cells of the policy's scope; a cell that fails does not stop the others. */
export async function reconcile(hub: HubPorts, openCell: OpenCell): Promise<Reconciled> {
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
  if (sum.errors.length > 0) {
    const text = sum.errors
      .map((e) => `${e.cell} ${e.instanceId ?? ''} ${e.call}: ${e.code}: ${e.message} ${e.next}`)
      .join('\n');
    await hub.news.notify('Audit backlog: reconcile met errors', text);
  }
  return sum;
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
    const decision = reconcileDecision(instance, mark, ports.clock.now());
    if (decision.do === 'leave') {
      sum.left.push({ instanceId, why: decision.why });
      continue;
    }
    const answer =
      decision.do === 'start' ? await ports.power.start(instanceId) : await ports.power.unmarkStopped(instanceId);
    if (!answer.ok) sum.errors.push({ ...answer.error, instanceId, cell: where });
    else if (decision.do === 'unmark') sum.unmarked.push(instanceId);
    else {
      sum.started.push(instanceId);
      await hub.news.notify(
        `Audit backlog: ${instanceId} was started by reconcile`,
        `${instanceId} in ${where}: ${decision.why}.`,
      );
    }
  }
}
