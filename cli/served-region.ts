/** A simulated fleet on the wall clock, for AWS clients that were not written here. */

import type { EmbeddedCloud } from '../simulator/cloud.ts';
import { plannedFleet } from '../simulator/fleet.ts';
import { DEMO_CELLS, demoPolicy } from './demo-policy.ts';
import { populate } from './population.ts';
import { SimulatedService } from './simulated-service.ts';

/** The world as it stands when a sweep would begin. No earlier sweep ran in it. */
export function serveFleet(instances: number, seed: number): EmbeddedCloud {
  const service = new SimulatedService({ seed, policy: demoPolicy(instances), home: DEMO_CELLS[0] });
  populate(service, plannedFleet({ instances, seed, mainSweepAt: Date.now(), cells: DEMO_CELLS }), seed);
  return service.cloud;
}
