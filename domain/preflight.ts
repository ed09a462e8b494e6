/** What a stop of an instance would lose, meet or risk (triage row 16). Unreadable facts count as a hit: the closed side. */
import type { InstanceFacts, PreflightFacts } from './finding.ts';

export type StopHazardCode = 'stop-would-lose' | 'stop-refused' | 'may-not-start';

/** One kind of hazard and, in words, everything of that kind. */
export interface StopHazard {
  readonly code: StopHazardCode;
  readonly what: readonly string[];
}

/** The facts of the instance itself that bear on a stop. */
export type StoppableFacts = Pick<InstanceFacts, 'publicAddress' | 'rootDeviceType' | 'lifecycle' | 'place'>;

/**
 * The hazards of a stop, in the order of the triage codes; empty when a stop loses nothing and the instance may be
 * expected to start again. A reboot meets none of them: it keeps host, address and instance store.
 * Sources: EC2 user guide, "Stop and start your instance" and "Enable stop protection"; EC2 lets only Spot Instances of
 * a persistent request stop; an instance whose root is in the instance store can never be stopped. A stop through the API
 * never terminates, but auditd on a full log disk may halt the machine as it boots, and then its shutdown behaviour counts.
 */
export function whatAStopLoses(instance: StoppableFacts, preflight: PreflightFacts): readonly StopHazard[] {
  const hazards: readonly StopHazard[] = [
    { code: 'stop-would-lose', what: losses(instance, preflight) },
    { code: 'stop-refused', what: refusals(instance, preflight) },
    { code: 'may-not-start', what: startRisks(instance, preflight) },
  ];
  return hazards.filter((hazard) => hazard.what.length > 0);
}

function losses(instance: StoppableFacts, preflight: PreflightFacts): string[] {
  const found: string[] = [];
  if (preflight.instanceStore === true) found.push('the data on its instance store volumes');
  if (preflight.instanceStore === null) found.push('perhaps instance store data (could not be read)');
  if (instance.publicAddress === 'auto') found.push('its auto-assigned public IPv4 address');
  if (preflight.terminatesOnShutdown === true) {
    found.push(
      'itself, should it power off from inside while it goes down or boots (its shutdown behaviour is terminate)',
    );
  }
  if (preflight.terminatesOnShutdown === null) found.push('perhaps itself (its shutdown behaviour could not be read)');
  if (preflight.macHost) found.push('hours of its Mac host being scrubbed');
  return found;
}

function refusals(instance: StoppableFacts, preflight: PreflightFacts): string[] {
  const found: string[] = [];
  if (instance.rootDeviceType === 'instance-store') found.push('its root volume is in the instance store');
  if (preflight.spotRequest === 'one-time') found.push('its Spot request is one-time');
  if (preflight.spotRequest === 'unreadable') found.push('its Spot request could not be read');
  if (preflight.spotRequest === 'none' && instance.lifecycle === 'spot') {
    found.push('it is a Spot Instance whose request is not known');
  }
  if (instance.lifecycle === 'other')
    found.push('it was bought in a way that may not be stopped (scheduled, capacity block)');
  if (preflight.stopProtection === true) found.push('it has stop protection');
  if (preflight.stopProtection === null) found.push('its stop protection could not be read');
  return found;
}

/** Others may take the place of a stopped instance: InsufficientHostCapacity, InsufficientInstanceCapacity and the like. */
const PLACES: Readonly<Record<StoppableFacts['place'], string | null>> = {
  any: null,
  'dedicated-host': 'its place on a Dedicated Host may be taken when it starts',
  'capacity-reservation': 'its place in a Capacity Reservation may be taken when it starts',
  'placement-group': 'its placement group may have no room when it starts',
};

function startRisks({ place }: StoppableFacts, { keys, key, spotRequest }: PreflightFacts): string[] {
  const found: string[] = [];
  const taken = PLACES[place];
  if (taken !== null) found.push(taken);
  if (spotRequest === 'persistent') found.push('it is a Spot Instance: a start needs Spot capacity at its price');
  const which = key === undefined ? 'a key of its encrypted volumes' : `the key ${key} of its encrypted volumes`;
  if (keys === 'disabled') found.push(`${which} is disabled`);
  if (keys === 'not-grantable') found.push(`a start needs a grant on ${which}, and kms:CreateGrant was refused to us`);
  if (keys === 'unreadable') found.push(`the state of ${which} could not be read`);
  return found;
}
