/** DescribeInstanceStatus and DescribeInstanceTypes. */
import { type ApiCall, ApiError, type JsonObject } from '../core.ts';
import type { Parameters } from '../parameters.ts';
import type { CloudCell } from './cell.ts';
import { stateOf } from './describe.ts';
import { type FilterTable, readFilters } from './filters.ts';
import type { EmbeddedInstance, InstanceView } from './instance.ts';
import { page } from './paging.ts';
import { INSTANCE_TYPES, type InstanceType, instanceTypeOf } from './types.ts';

interface ShownStatus {
  readonly instance: EmbeddedInstance;
  readonly view: InstanceView;
  /** SummaryStatus of the instance check, and of the system check. */
  readonly check: () => 'ok' | 'impaired' | 'initializing' | 'not-applicable';
  readonly system: 'ok' | 'not-applicable';
}

/** How the detail `reachability` is called for each summary. */
const REACHABILITY = {
  ok: 'passed',
  impaired: 'failed',
  initializing: 'initializing',
  'not-applicable': undefined,
} as const;

const STATUS_FILTERS: FilterTable<ShownStatus> = {
  'availability-zone': ({ instance }) => [instance.availabilityZone],
  'instance-state-name': ({ view }) => [view.state],
  'instance-state-code': ({ view }) => [String(stateOf(view.state).code)],
  'instance-status.status': ({ check }) => [check()],
  'instance-status.reachability': ({ check }) => [REACHABILITY[check()]].filter((value) => value !== undefined),
  'system-status.status': ({ system }) => [system],
  'system-status.reachability': ({ system }) => (system === 'ok' ? ['passed'] : []),
};

/** DescribeInstanceStatus: running instances only, unless IncludeAllInstances. */
export function describeInstanceStatus(cell: CloudCell, call: ApiCall, parameters: Parameters): JsonObject {
  const ids = parameters.strings('InstanceId');
  const all = parameters.boolean('IncludeAllInstances');
  const maxResults = parameters.integer('MaxResults', 5, 1000);
  const token = parameters.string('NextToken');
  parameters.boolean('IncludeManagedResources');
  const filters = readFilters(call, parameters, STATUS_FILTERS);
  parameters.done();
  if (ids.length > 0 && maxResults !== undefined) {
    throw new ApiError(
      'InvalidParameterCombination',
      'The parameter instancesSet cannot be used with the parameter maxResults',
    );
  }
  if (ids.length > 100) {
    throw new ApiError('InvalidParameterValue', 'The maximum number of instance IDs that can be specified is 100');
  }
  const instances = ids.length > 0 ? cell.require(ids) : cell.instances();
  const shown = instances
    .map((instance) => status(instance))
    .filter(({ view }) => all || view.state === 'running')
    .filter(filters.matches);
  const { items, nextToken } = page(call, shown, ({ instance }) => instance.sequence, maxResults, token);
  return { instanceStatusSet: items.map(statusItem), nextToken };
}

function status(instance: EmbeddedInstance): ShownStatus {
  const view = instance.view();
  const runs = view.state === 'running' && instance.state === 'running';
  // Asking the machine lets it live on until now, so it is asked only where the answer counts.
  let known: ReturnType<ShownStatus['check']> | undefined;
  const check = (): ReturnType<ShownStatus['check']> => {
    known ??= runs ? instance.machine.instanceCheck(Date.now()) : 'not-applicable';
    return known;
  };
  return { instance, view, check, system: runs ? 'ok' : 'not-applicable' };
}

function statusItem({ instance, view, check, system }: ShownStatus): JsonObject {
  const summary = (value: ReturnType<ShownStatus['check']>): JsonObject => ({
    status: value,
    details: value === 'not-applicable' ? undefined : [{ name: 'reachability', status: REACHABILITY[value] }],
  });
  return {
    instanceId: instance.instanceId,
    availabilityZone: instance.availabilityZone,
    instanceState: stateOf(view.state),
    systemStatus: summary(system),
    instanceStatus: summary(check()),
    attachedEbsStatus: summary(system),
  };
}

const TYPE_FILTERS: FilterTable<InstanceType> = {
  'instance-type': (type) => [type.name],
  hypervisor: (type) => (type.hypervisor === null ? [] : [type.hypervisor]),
  'bare-metal': (type) => [String(type.bareMetal)],
  'current-generation': (type) => [String(type.currentGeneration)],
  'instance-storage-supported': (type) => [String(type.instanceStoreGB > 0)],
  'processor-info.supported-architecture': (type) => [type.architecture],
};

/** DescribeInstanceTypes, of the table in `types.ts`. */
export function describeInstanceTypes(_cell: CloudCell, call: ApiCall, parameters: Parameters): JsonObject {
  const names = parameters.strings('InstanceType');
  const maxResults = parameters.integer('MaxResults', 5, 100);
  const token = parameters.string('NextToken');
  const filters = readFilters(call, parameters, TYPE_FILTERS);
  parameters.done();
  if (names.length > 100) {
    throw new ApiError('InvalidParameterValue', 'The maximum number of instance types that can be specified is 100');
  }
  const known = [...INSTANCE_TYPES.values()];
  const unknown = names.filter((name) => !INSTANCE_TYPES.has(name));
  if (unknown.length > 0) {
    throw new ApiError(
      'InvalidInstanceType',
      `The following supplied instance types do not exist: [${unknown.join(', ')}]`,
    );
  }
  const types = (names.length > 0 ? [...new Set(names)].map(instanceTypeOf) : known).filter(filters.matches);
  const order = new Map(types.map((type, i) => [type, i]));
  // 100 is the documented page size where none is asked for.
  const { items, nextToken } = page(call, types, (type) => order.get(type) ?? 0, maxResults ?? 100, token);
  return { instanceTypeSet: items.map(typeItem), nextToken };
}

function typeItem(type: InstanceType): JsonObject {
  return {
    instanceType: type.name,
    currentGeneration: type.currentGeneration,
    freeTierEligible: false,
    supportedUsageClasses: ['on-demand', 'spot'],
    supportedRootDeviceTypes: ['ebs'],
    supportedVirtualizationTypes: ['hvm'],
    bareMetal: type.bareMetal,
    hypervisor: type.hypervisor,
    processorInfo: { supportedArchitectures: [type.architecture] },
    vCpuInfo: { defaultVCpus: type.vCpus },
    memoryInfo: { sizeInMiB: type.memoryMiB },
    instanceStorageSupported: type.instanceStoreGB > 0,
    instanceStorageInfo: type.instanceStoreGB > 0 ? { totalSizeInGB: type.instanceStoreGB } : undefined,
  };
}
