/** The service on the embedded region, every function under the policies that its role has in the synthesized template. */

import { DEMO_CELLS, demoPolicy } from '../../cli/demo-policy.ts';
import { populate } from '../../cli/population.ts';
import { SimulatedService } from '../../cli/simulated-service.ts';
import type { RunReport } from '../../domain/contracts.ts';
import type { PolicyInput } from '../../domain/policy.ts';
import { EARLIER_SWEEP_HOURS, FLEET_BEGINS_HOURS, plannedFleet } from '../../simulator/fleet.ts';
import { Iam } from '../../simulator/iam/authoriser.ts';
import type { Statement } from '../../simulator/iam/policy.ts';
import { rolesOf, type TemplateRole } from '../../simulator/iam/template.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';
import { appWith, templateOf } from '../lib/synth.ts';

const HOUR_MS = 3_600_000;
const SWEEP_AT = Date.UTC(2026, 10, 22, 4);
export const HOME = DEMO_CELLS[0];

/** What the embedded region calls the resources of the stack. */
const NAMES: Readonly<Record<string, string>> = {
  'AWS::DynamoDB::Table': 'audit-backlog-ledger',
  'AWS::SNS::Topic': 'audit-backlog-news',
};
const FUNCTION = /^Service(Run|Sweep|Cell|Restart|Reconcile)(Role|Function|Live|Log)/;

function physicalName(logicalId: string, type: string): string | undefined {
  const [, name, what] = FUNCTION.exec(logicalId) ?? [];
  if (what === 'Live') return 'live';
  if (what === 'Log') return `/aws/lambda/${name?.toLowerCase()}`;
  if (name) return name.toLowerCase();
  if (logicalId.startsWith('ServiceRecords')) return '/audit-backlog/records';
  return NAMES[type];
}

/** The settings under which the template and the embedded region are the same deployment. */
function settingsFor(policy: PolicyInput, more: object): object {
  const { accountId: account, region } = HOME;
  return { account, region, documentName: 'audit-backlog-resize', policy, ...more };
}

/** Roles of the synthesized stack for this policy, and other settings. */
export function synthesizedRoles(policy: PolicyInput, more: object = {}): readonly TemplateRole[] {
  const { accountId, region } = HOME;
  return rolesOf(templateOf(appWith(settingsFor(policy, more))).toJSON(), { accountId, region, physicalName });
}

export interface Deployed {
  readonly service: SimulatedService;
  readonly iam: Iam;
  readonly report: RunReport;
}

/** History and one sweep that acts, over a fleet with every kind of instance. */
export async function sweepUnder(
  roles: readonly { readonly name: string; readonly statements: readonly Statement[] }[],
  policy: PolicyInput,
  instances: number,
): Promise<Deployed> {
  const iam = new Iam();
  for (const { name, statements } of roles) iam.addRole(HOME.accountId, name, statements);
  const seed = 7;
  const time = VirtualTime.install({ seed, start: SWEEP_AT - FLEET_BEGINS_HOURS * HOUR_MS });
  try {
    const service = new SimulatedService({ seed, policy, home: HOME, authorise: iam.authorise });
    populate(service, plannedFleet({ instances, seed, mainSweepAt: SWEEP_AT, cells: DEMO_CELLS }), seed);
    const until = (at: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())));
    let ended = false;
    const world = (async () => {
      for (const hours of EARLIER_SWEEP_HOURS) {
        await until(SWEEP_AT - hours * HOUR_MS);
        await service.run({ scheduledAt: new Date().toISOString() });
      }
      await until(SWEEP_AT);
      return await service.run({ mode: 'apply', scheduledAt: new Date().toISOString() });
    })().finally(() => {
      ended = true;
    });
    world.catch(() => undefined);
    await time.drive(() => ended, { pending: () => service.engine.pending() });
    return { service, iam, report: await world };
  } finally {
    time.uninstall();
  }
}

export { demoPolicy };
