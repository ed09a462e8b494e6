/** Between two waves: may this run still act, and what becomes of those it may not act on any more. */
import type { CallError } from '../../domain/finding.ts';
import type { CellPorts, EntryRecord } from '../../domain/ports.ts';
import { mustAnswer } from '../errors.ts';
import type { CellInput } from './survey.ts';

/** Longer than any wave takes; renewed before each. */
export const CELL_LEASE_SECONDS = 3 * 3600;

export function cellLease(input: CellInput): string {
  return `cell#${input.cell.accountId}/${input.cell.region}`;
}

export type GoOn =
  /** `room`: how many machines may be down beside those that are down already. */
  { readonly go: true; readonly room: number } | { readonly go: false; readonly why: string };

/** Renews the cell's lease and asks whether acting was paused meanwhile. What cannot be read closes. */
export async function mayGoOn(ports: CellPorts, input: CellInput): Promise<GoOn> {
  const lease = mustAnswer(await ports.ledger.acquireLease(cellLease(input), input.runId, CELL_LEASE_SECONDS));
  if (!lease.held) return { go: false, why: `the run ${lease.holder} has taken over this cell` };
  const pause = await ports.ledger.getPause();
  if (!pause.ok) return { go: false, why: `whether acting is paused cannot be read (${says(pause.error)})` };
  if (pause.value) return { go: false, why: `acting was paused: ${pause.value.reason}` };
  return { go: true, room: input.policy.restart.maxInFlight };
}

/** As {@link mayGoOn}, and how many machines this service has down in the cell, whichever run stopped them. */
export async function mayRestart(ports: CellPorts, input: CellInput): Promise<GoOn> {
  const go = await mayGoOn(ports, input);
  if (!go.go) return go;
  const marked = await ports.power.listMarked();
  if (!marked.ok) return { go: false, why: `what we have stopped already cannot be listed (${says(marked.error)})` };
  const down = marked.value.filter(({ instance }) => instance.state !== 'running');
  const room = go.room - down.length;
  if (room > 0) return { go: true, room };
  const ids = down.map(({ instance }) => instance.instanceId).slice(0, 5);
  return { go: false, why: `${down.length} machines stopped by this service are not back yet (${ids.join(', ')})` };
}

function says({ call, code, message }: CallError): string {
  return `${call}: ${code}: ${message}`;
}

/** Puts off instances that were about to be acted on; the next run looks at them again. */
export async function deferEntries(
  ports: CellPorts,
  runId: string,
  instanceIds: readonly string[],
  code: 'resize-budget' | 'restart-budget',
  why: string,
): Promise<null> {
  const records = mustAnswer(await ports.ledger.getEntries(runId, ports.cell, instanceIds));
  const deferred = records.map((record): EntryRecord => {
    const { entry } = record;
    const next = 'Look at what stopped this run; the next run looks again.';
    return {
      ...record,
      entry: { ...entry, action: 'defer', code, method: null, reason: `Not in this run: ${why}.`, next },
    };
  });
  return mustAnswer(await ports.ledger.putEntries(runId, ports.cell, deferred));
}
