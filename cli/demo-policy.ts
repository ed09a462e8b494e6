/** The policy of the demo: as an owner would write it who lets the service act. */
import type { PolicyInput } from '../domain/policy.ts';
import { type FleetCell, fleetPolicy } from '../simulator/fleet.ts';

/** Account and regions of the embedded fleet. The first is where the service runs. */
export const DEMO_CELLS: readonly [FleetCell, FleetCell] = [
  { accountId: '111122223333', region: 'eu-west-1' },
  { accountId: '111122223333', region: 'us-east-1' },
];

/** Acts, in both regions; in the second one it never reboots. Everything else is the default or what the fleet suggests. */
export function demoPolicy(instances: number): PolicyInput {
  const { scope, ...rest } = fleetPolicy({ instances, cells: DEMO_CELLS });
  const accounts = [...new Set(DEMO_CELLS.map((cell) => cell.accountId))];
  const regions = DEMO_CELLS.map((cell) => cell.region);
  return { mode: 'apply', scope: { ...scope, accounts, regions }, ...rest };
}
