/**
 * How many machines of the whole cell are lost or impaired. A run on a part of a cell looks at that part only; without
 * this its breaker could not see the storm around it.
 */
import type { CallError, InstanceFacts } from '../../domain/finding.ts';
import type { CallTally, CellPorts } from '../../domain/ports.ts';
import { outOfScopeBecause } from '../../domain/scope.ts';
import { addTally, NO_CALLS, type Runner } from '../durable.ts';
import type { Tempo } from '../tempo.ts';
import { eachPage } from './each-page.ts';
import {
  type CellInput,
  decidedWithoutConsole,
  type FilteredSource,
  filteredInstances,
  mergeErrors,
} from './survey.ts';

/** What the filtered listings of a whole cell came to. */
export interface CellSuspects {
  /** Running instances in scope whose agent is lost or whose status check is impaired. */
  readonly suspects: number;
  /** Of them, those whose agent SSM calls lost; null when a listing failed, so that nobody knows. */
  readonly silent: number | null;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

interface SuspectsPage {
  readonly cursor: string | null;
  readonly found: number;
  readonly errors: readonly CallError[];
  readonly tally: CallTally;
}

const SOURCES: readonly FilteredSource[] = ['lost-agents', 'impaired'];

/** Counts the suspects of the whole cell, whatever part of it the run is on. Changes nothing. */
export async function countSuspects(
  run: Runner,
  ports: CellPorts,
  { policy }: CellInput,
  tempo: Tempo,
): Promise<CellSuspects> {
  const found: Record<FilteredSource, number> = { 'lost-agents': 0, impaired: 0 };
  let errors: readonly CallError[] = [];
  let tally = NO_CALLS;
  for (const source of SOURCES) {
    const read = (cursor: string | null) => suspectsPage(ports, policy, source, cursor);
    await eachPage(run, tempo, `suspects-${source}`, read, (page) => {
      found[source] += page.found;
      errors = mergeErrors(errors, page.errors);
      tally = addTally(tally, page.tally);
    });
  }
  const silent = errors.length === 0 ? found['lost-agents'] : null;
  return { suspects: found['lost-agents'] + found.impaired, silent, errors, tally };
}

async function suspectsPage(
  ports: CellPorts,
  policy: CellInput['policy'],
  source: FilteredSource,
  cursor: string | null,
): Promise<SuspectsPage> {
  const failed = (error: CallError): SuspectsPage => ({
    cursor: null,
    found: 0,
    errors: [{ ...error, kind: 'failed' }],
    tally: ports.tally.take(),
  });
  const page = await filteredInstances(ports, source, cursor);
  if (!page.ok) return failed(page.error);
  const inScope = page.value.items.filter(
    (instance) => !decidedWithoutConsole(instance, outOfScopeBecause(instance, policy.scope), policy),
  );
  const counted =
    source === 'impaired' ? await withoutLostAgents(ports, inScope) : { ok: true as const, value: inScope };
  if (!counted.ok) return failed(counted.error);
  return { cursor: page.value.cursor, found: counted.value.length, errors: [], tally: ports.tally.take() };
}

/** Those whose agent SSM calls lost are on the other list. */
async function withoutLostAgents(ports: CellPorts, impaired: readonly InstanceFacts[]) {
  if (impaired.length === 0) return { ok: true as const, value: impaired };
  const agents = await ports.fleet.agents(impaired.map(({ instanceId }) => instanceId));
  if (!agents.ok) return agents;
  const others = impaired.filter(({ instanceId }) => agents.value.get(instanceId)?.pingStatus !== 'ConnectionLost');
  return { ok: true as const, value: others };
}
