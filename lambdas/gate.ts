/** Asking the gate: every check of the list, so that all reasons are said at once. */
import type { Gate } from '../domain/contracts.ts';
import type { GateCheck } from '../domain/ports.ts';
import { gateVerdict } from '../domain/safety.ts';

/** Open when every check says so; a check that cannot be read closes it. */
export async function askGate(checks: readonly GateCheck[]): Promise<Gate> {
  const asked = [];
  for (const check of checks) asked.push({ name: check.name, answer: await check.closedBecause() });
  return gateVerdict(asked);
}
