/** Puts a planned fleet into a simulated service's world. */
import { createMachine, FLEET_KEYS, type PlannedInstance } from '../simulator/fleet.ts';
import type { SimulatedService } from './simulated-service.ts';

/** Adds every instance, powered on since its launch, in the fleet's own order. */
export function populate(service: SimulatedService, fleet: readonly PlannedInstance[], seed: number): void {
  for (const { cell } of fleet) {
    const there = service.cloud.cell(cell.accountId, cell.region);
    for (const { keyId, state } of FLEET_KEYS) if (there.keyState(keyId) === undefined) there.addKey(keyId, state);
  }
  for (const planned of fleet) {
    const { cell, instanceProfile } = planned;
    const machine = createMachine(planned, seed, service.log);
    service.cloud.addInstance(service.cloud.cell(cell.accountId, cell.region), instanceProfile, machine);
  }
}
