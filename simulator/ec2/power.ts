/** StopInstances, StartInstances, RebootInstances: the whole call is refused where one instance cannot. */
import { type ApiCall, ApiError, type JsonObject } from '../core.ts';
import type { Parameters } from '../parameters.ts';
import type { CloudCell } from './cell.ts';
import { stateOf } from './describe.ts';
import type { EmbeddedInstance, StateName } from './instance.ts';

/** Reads the ids, and only then answers a DryRun: EC2 looks at ids and permissions, not at states. */
function instancesOf(cell: CloudCell, parameters: Parameters, dryRun: () => void): readonly EmbeddedInstance[] {
  const ids = parameters.strings('InstanceId');
  parameters.done();
  if (ids.length === 0) throw new ApiError('MissingParameter', 'The request must contain the parameter InstanceId');
  const instances = cell.require(ids);
  dryRun();
  return instances;
}

function changes(instances: readonly EmbeddedInstance[], before: ReadonlyMap<EmbeddedInstance, StateName>): JsonObject {
  return {
    instancesSet: instances.map((instance) => ({
      instanceId: instance.instanceId,
      currentState: stateOf(instance.state),
      previousState: stateOf(before.get(instance) ?? instance.state),
    })),
  };
}

function statesOf(instances: readonly EmbeddedInstance[]): ReadonlyMap<EmbeddedInstance, StateName> {
  return new Map(instances.map((instance) => [instance, instance.state]));
}

/** StopInstances. */
export function stopInstances(cell: CloudCell, _call: ApiCall, parameters: Parameters, dryRun: () => void): JsonObject {
  const force = parameters.boolean('Force');
  const skipOsShutdown = parameters.boolean('SkipOsShutdown');
  if (parameters.boolean('Hibernate')) {
    throw new ApiError('UnsupportedHibernationConfiguration', 'The instance is not configured for hibernation.');
  }
  const instances = instancesOf(cell, parameters, dryRun);
  for (const instance of instances) refuseStop(instance, force);
  const before = statesOf(instances);
  for (const instance of instances) {
    const again = instance.state === 'stopping' && force;
    if (instance.state === 'running' || instance.state === 'pending' || again) instance.stop({ force, skipOsShutdown });
  }
  return changes(instances, before);
}

function refuseStop(instance: EmbeddedInstance, force: boolean): void {
  const { instanceId, profile, state } = instance;
  if (profile.rootDevice === 'instance-store') {
    throw new ApiError(
      'UnsupportedOperation',
      `The instance '${instanceId}' does not have an 'ebs' root device type and cannot be stopped.`,
    );
  }
  if (profile.spot && (profile.spot.kind === 'one-time' || (profile.spot.state ?? 'active') !== 'active')) {
    throw new ApiError(
      'UnsupportedOperation',
      `You can't stop the Spot Instance '${instanceId}' because it is associated with a one-time Spot Instance ` +
        'request. You can only stop Spot Instances associated with persistent Spot Instance requests.',
    );
  }
  if (profile.operatorManaged !== undefined) {
    throw new ApiError(
      'OperationNotPermitted',
      `The instance '${instanceId}' is managed by ${profile.operatorManaged} and cannot be modified.`,
    );
  }
  if (profile.stopProtection === true) {
    throw new ApiError(
      'OperationNotPermitted',
      `The instance '${instanceId}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.`,
    );
  }
  if (state === 'terminated' || state === 'shutting-down' || (state === 'pending' && !force)) {
    throw new ApiError(
      'IncorrectInstanceState',
      `The instance '${instanceId}' is not in a state from which it can be stopped.`,
    );
  }
}

/** StartInstances. A start that fails for a key fails later, without an error of the call. */
export function startInstances(
  cell: CloudCell,
  _call: ApiCall,
  parameters: Parameters,
  dryRun: () => void,
): JsonObject {
  const instances = instancesOf(cell, parameters, dryRun);
  for (const { instanceId, state, profile } of instances) {
    if (profile.operatorManaged !== undefined) {
      throw new ApiError(
        'OperationNotPermitted',
        `The instance '${instanceId}' is managed by ${profile.operatorManaged} and cannot be modified.`,
      );
    }
    if (state !== 'stopped' && state !== 'running' && state !== 'pending') {
      throw new ApiError(
        'IncorrectInstanceState',
        `The instance '${instanceId}' is not in a state from which it can be started.`,
      );
    }
  }
  const stopped = instances.filter((instance) => instance.state === 'stopped');
  for (const instance of stopped) {
    const failure = instance.startFailure();
    // Listed among EC2's server errors.
    if (failure !== null) throw new ApiError(failure.code, failure.message, 500);
  }
  const before = statesOf(instances);
  for (const instance of stopped) instance.start();
  return changes(instances, before);
}

/** RebootInstances: asynchronous; "succeeds if the instances are valid and belong to you". */
export function rebootInstances(
  cell: CloudCell,
  _call: ApiCall,
  parameters: Parameters,
  dryRun: () => void,
): JsonObject {
  const instances = instancesOf(cell, parameters, dryRun);
  for (const { instanceId, state } of instances) {
    if (state !== 'running') {
      throw new ApiError(
        'IncorrectInstanceState',
        `The instance '${instanceId}' is not in a state from which it can be rebooted.`,
      );
    }
  }
  for (const instance of instances) instance.reboot();
  return { return: true };
}
