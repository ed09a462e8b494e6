/** Which cells a run is about. */
import type { RunRequest } from '../../domain/contracts.ts';
import type { Cell } from '../../domain/finding.ts';
import type { Policy } from '../../domain/policy.ts';

/** The request's accounts and regions, else the policy's scope, else where the service runs; in a stable order. */
export function targetCells(request: Pick<RunRequest, 'accounts' | 'regions'>, policy: Policy, home: Cell): Cell[] {
  const accounts = firstNamed(request.accounts, policy.scope.accounts, [home.accountId]);
  const regions = firstNamed(request.regions, policy.scope.regions, [home.region]);
  return accounts.flatMap((accountId) => regions.map((region) => ({ accountId, region })));
}

function firstNamed(...lists: (readonly string[] | undefined)[]): string[] {
  const named = lists.find((list) => list !== undefined && list.length > 0) ?? [];
  return [...new Set(named)].sort();
}
