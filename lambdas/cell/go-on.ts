/** Between two waves: may this run still act, and what becomes of those it may not act on any more. */
import { says } from '../../domain/finding.ts';
import { cellLease, instanceLeases } from '../../domain/lease.ts';
import type { CellPorts, EntryRecord, HeldLease } from '../../domain/ports.ts';
import { type Place, placeOf } from '../../domain/safety.ts';
import { mustAnswer } from '../errors.ts';
import { askGate } from '../gate.ts';
import { takeLease } from '../lease.ts';
import type { CellInput } from './survey.ts';

interface Closed {
  readonly go: false;
  readonly why: string;
}

/** `busy`: machines that a restart of another run is at work on, and must be left to it. */
export type GoOn = { readonly go: true; readonly busy: readonly { instanceId: string; holder: string }[] } | Closed;
/** `down`: machines of the cell that this service has down or in cure, whichever run took them down. */
export type MayRestart = { readonly go: true; readonly down: readonly Place[] } | Closed;

/**
 * Takes the cell's lease again, asks the whole gate, and looks which machines others are at work on. What cannot be read
 * closes.
 */
export async function mayGoOn(ports: CellPorts, input: CellInput, execution: string): Promise<GoOn> {
  const lease = await takeLease(ports.ledger, cellLease(input.cell), { runId: input.runId, execution });
  if (!lease.ok) return closed(`the lease of this cell is not ours any more (${says(lease.error)})`);
  const gate = await askGate(ports.gate);
  if (!gate.open) return closed(gate.reasons.join('; '));
  const leases = await ports.ledger.listLeases(instanceLeases(input.cell));
  if (!leases.ok) return closed(`which machines other runs are at work on cannot be read (${says(leases.error)})`);
  const others = leases.value.filter(({ holder }: HeldLease) => holder !== input.runId);
  return { go: true, busy: others.map(({ part, holder }) => ({ instanceId: part, holder })) };
}

/** States in which what bears our stop tag is not ours to bring back: it runs, or its owner has terminated it. */
const NOT_DOWN: ReadonlySet<string> = new Set(['running', 'shutting-down', 'terminated']);

/** As {@link mayGoOn}, and the breaker; and what is down already. */
export async function mayRestart(ports: CellPorts, input: CellInput, execution: string): Promise<MayRestart> {
  const go = await mayGoOn(ports, input, execution);
  if (!go.go) return go;
  const breaker = await askGate(input.pastBreaker ? [] : [ports.breaker]);
  if (!breaker.open) return closed(breaker.reasons.join('; '));
  const marked = await ports.power.listMarked();
  if (!marked.ok) return closed(`what we have stopped already cannot be listed (${says(marked.error)})`);
  const stopped = marked.value.map(({ instance }) => instance).filter(({ state }) => !NOT_DOWN.has(state));
  const known = new Set(stopped.map(({ instanceId }) => instanceId));
  const others = go.busy.map(({ instanceId }) => instanceId).filter((id) => !known.has(id));
  const inCure = others.length > 0 ? await ports.fleet.describeInstances(others) : { ok: true as const, value: [] };
  if (!inCure.ok) return closed(`the machines that other runs are at work on cannot be read (${says(inCure.error)})`);
  const { spread } = input.policy.restart;
  return { go: true, down: [...stopped, ...inCure.value].map((instance) => placeOf(instance, spread)) };
}

function closed(why: string): Closed {
  return { go: false, why };
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
