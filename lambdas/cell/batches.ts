/** Which command each instance gets: the runbook's parameters from evidence, history and policy, grouped for SendCommand. */
import type { ActionEntry } from '../../domain/contracts.ts';
import { isSameEvidence } from '../../domain/evidence.ts';
import type { InstanceHistory } from '../../domain/finding.ts';
import type { Policy } from '../../domain/policy.ts';
import type { CellPorts } from '../../domain/ports.ts';
import { mustAnswer } from '../errors.ts';

/** SendCommand takes at most 50 instance ids. */
export const SEND_AT_ONCE = 50;

/** Instances that get the same command. */
export interface Batch {
  readonly instanceIds: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
}

/** The limit that overflowed: as the evidence names it, else as an assess read it for that evidence; 0 is unknown. */
export function overflowedAt(entry: ActionEntry, history: InstanceHistory | null): number {
  const { evidence } = entry;
  if (!evidence) return 0;
  if (evidence.limit !== null) return Math.max(0, evidence.limit);
  const assessed = history?.assessed;
  return assessed && isSameEvidence(assessed.evidenceKey, evidence.key) ? assessed.limit : 0;
}

/** A count as the runbook takes it: a console may name any number. */
const count = (n: number) => String(Math.min(9_999_999, Math.max(0, n)));

/** The runbook's parameters for one instance. On a kernel known to lock up auditd is never touched. */
export function parametersFor(
  mode: 'plan' | 'apply',
  entry: ActionEntry,
  history: InstanceHistory | null,
  { sizing }: Policy,
): Record<string, string> {
  return {
    Mode: mode,
    OverflowedAt: count(overflowedAt(entry, history)),
    Factor: String(sizing.factor),
    Minimum: String(sizing.minimum),
    Maximum: String(sizing.maximum),
    MemoryPercent: String(sizing.memoryPercent),
    Expected: count(history?.proven?.target ?? 0),
    RestartAuditd: entry.code === 'bad-kernel' ? 'never' : sizing.restartAuditd,
    BootLimit: sizing.bootLimit ? 'yes' : 'no',
  };
}

/** Groups these instances (at most {@link SEND_AT_ONCE}) by the command they get, in a stable order. */
export async function batchesFor(
  ports: CellPorts,
  runId: string,
  policy: Policy,
  mode: 'plan' | 'apply',
  instanceIds: readonly string[],
): Promise<readonly Batch[]> {
  const records = mustAnswer(await ports.ledger.getEntries(runId, ports.cell, instanceIds));
  const histories = mustAnswer(await ports.ledger.getHistories(ports.cell, instanceIds));
  const groups = new Map<string, { instanceIds: string[]; parameters: Record<string, string> }>();
  for (const { entry } of [...records].sort((a, b) => (a.entry.instanceId < b.entry.instanceId ? -1 : 1))) {
    const parameters = parametersFor(mode, entry, histories.get(entry.instanceId) ?? null, policy);
    const key = JSON.stringify(parameters);
    const group = groups.get(key) ?? { instanceIds: [], parameters };
    group.instanceIds.push(entry.instanceId);
    groups.set(key, group);
  }
  return [...groups.values()];
}
