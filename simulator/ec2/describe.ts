/** DescribeInstances, DescribeInstanceAttribute and DescribeTags. */
import { type ApiCall, ApiError, type JsonObject, notModelled } from '../core.ts';
import type { Parameters } from '../parameters.ts';
import type { CloudCell } from './cell.ts';
import { type FilterTable, readFilters } from './filters.ts';
import { type EmbeddedInstance, type InstanceView, STATE_CODES, type StateName, VPC } from './instance.ts';
import { page } from './paging.ts';

interface Shown {
  readonly instance: EmbeddedInstance;
  readonly view: InstanceView;
}

/** `{ code, name }` of a state. */
export function stateOf(name: StateName): JsonObject {
  return { code: STATE_CODES[name], name };
}

/** Tags as EC2 lists them. */
export function tagSet(tags: ReadonlyMap<string, string>): readonly JsonObject[] {
  return [...tags].map(([key, value]) => ({ key, value }));
}

/** InstanceLifecycle; undefined for on demand. */
function lifecycle(instance: EmbeddedInstance): string | undefined {
  return instance.profile.spot ? 'spot' : instance.profile.lifecycle;
}

const PLATFORM_DETAILS = { linux: 'Linux/UNIX', windows: 'Windows' } as const;

const INSTANCE_FILTERS: FilterTable<Shown> = {
  'instance-id': ({ instance }) => [instance.instanceId],
  'instance-state-name': ({ view }) => [view.state],
  'instance-state-code': ({ view }) => [String(STATE_CODES[view.state])],
  'instance-type': ({ instance }) => [instance.type.name],
  'instance-lifecycle': ({ instance }) => [lifecycle(instance) ?? ''].filter((value) => value !== ''),
  'image-id': ({ instance }) => [instance.profile.imageId],
  'availability-zone': ({ instance }) => [instance.availabilityZone],
  architecture: ({ instance }) => [instance.type.architecture],
  hypervisor: () => ['xen'],
  'key-name': ({ instance }) => (instance.profile.keyName === undefined ? [] : [instance.profile.keyName]),
  platform: ({ instance }) => (instance.profile.platform === 'windows' ? ['windows'] : []),
  'platform-details': ({ instance }) => [PLATFORM_DETAILS[instance.profile.platform ?? 'linux']],
  'private-ip-address': ({ instance }) => [instance.privateIp],
  'ip-address': ({ view }) => (view.publicIp === null ? [] : [view.publicIp]),
  'reservation-id': ({ instance }) => [instance.reservationId],
  'root-device-type': ({ instance }) => [instance.profile.rootDevice ?? 'ebs'],
  'spot-instance-request-id': ({ instance }) => (instance.spotRequestId === null ? [] : [instance.spotRequestId]),
  'launch-time': ({ view }) => [new Date(view.launchTime).toISOString()],
  'tag-key': ({ view }) => [...view.tags.keys()],
  'tag:': ({ view }, key) => [view.tags.get(key)].filter((value) => value !== undefined),
};

/** DescribeInstances. With neither ids nor MaxResults it answers with everything, as EC2 does. */
export function describeInstances(cell: CloudCell, call: ApiCall, parameters: Parameters): JsonObject {
  const ids = parameters.strings('InstanceId');
  const maxResults = parameters.integer('MaxResults', 5, 1000);
  const token = parameters.string('NextToken');
  // Resources that a service manages are described either way here: none of the modelled ones is hidden by default.
  parameters.boolean('IncludeManagedResources');
  const filters = readFilters(call, parameters, INSTANCE_FILTERS);
  parameters.done();
  if (ids.length > 0 && maxResults !== undefined) {
    throw new ApiError(
      'InvalidParameterCombination',
      'The parameter instancesSet cannot be used with the parameter maxResults',
    );
  }
  const instances = ids.length > 0 ? cell.require(ids) : cell.instances();
  const shown = instances.map((instance) => ({ instance, view: instance.view() })).filter(filters.matches);
  const { items, nextToken } = page(call, shown, ({ instance }) => instance.sequence, maxResults, token);
  return {
    reservationSet: items.map((item) => ({
      reservationId: item.instance.reservationId,
      ownerId: call.accountId,
      groupSet: [],
      instancesSet: [instanceItem(call, item)],
    })),
    nextToken,
  };
}

function instanceItem(call: ApiCall, { instance, view }: Shown): JsonObject {
  const { profile, type } = instance;
  const gone = view.state === 'terminated';
  const dashed = instance.privateIp.replaceAll('.', '-');
  return {
    instanceId: instance.instanceId,
    imageId: profile.imageId,
    instanceState: stateOf(view.state),
    privateDnsName: gone ? '' : `ip-${dashed}.${call.region}.compute.internal`,
    dnsName:
      view.publicIp === null ? '' : `ec2-${view.publicIp.replaceAll('.', '-')}.${call.region}.compute.amazonaws.com`,
    reason: view.transitionReason,
    keyName: profile.keyName,
    amiLaunchIndex: 0,
    instanceType: type.name,
    launchTime: new Date(view.launchTime).toISOString(),
    placement: {
      availabilityZone: instance.availabilityZone,
      groupName: profile.placementGroup ?? '',
      tenancy: profile.dedicatedHost || type.architecture.endsWith('_mac') ? 'host' : 'default',
    },
    capacityReservationSpecification:
      profile.capacityReservationId === undefined
        ? { capacityReservationPreference: 'open' }
        : { capacityReservationTarget: { capacityReservationId: profile.capacityReservationId } },
    platform: profile.platform === 'windows' ? 'windows' : undefined,
    platformDetails: PLATFORM_DETAILS[profile.platform ?? 'linux'],
    monitoring: { state: 'disabled' },
    vpcId: gone ? undefined : VPC,
    privateIpAddress: gone ? undefined : instance.privateIp,
    ipAddress: view.publicIp,
    stateReason: view.stateReason === null ? undefined : { ...view.stateReason },
    // EC2 says x86_64_mac and arm64_mac of Mac instances.
    architecture: type.architecture,
    rootDeviceType: profile.rootDevice ?? 'ebs',
    rootDeviceName: instance.rootDeviceName,
    blockDeviceMapping: gone
      ? []
      : instance.volumes.map((volume) => ({
          deviceName: volume.device,
          ebs: {
            volumeId: volume.volumeId,
            status: 'attached',
            attachTime: new Date(profile.launchTime).toISOString(),
            deleteOnTermination: volume.device === instance.rootDeviceName,
          },
        })),
    virtualizationType: 'hvm',
    instanceLifecycle: lifecycle(instance),
    spotInstanceRequestId: instance.spotRequestId,
    tagSet: tagSet(view.tags),
    // "The value xen is used for both Xen and Nitro hypervisors."
    hypervisor: 'xen',
    networkInterfaceSet: gone ? [] : [networkInterface(call, { instance, view })],
    iamInstanceProfile:
      profile.iamInstanceProfile === undefined
        ? undefined
        : { arn: `arn:aws:iam::${call.accountId}:instance-profile/${profile.iamInstanceProfile}` },
    operator:
      profile.operatorManaged === undefined
        ? { managed: false }
        : { managed: true, principal: profile.operatorManaged },
  };
}

function networkInterface(call: ApiCall, { instance, view }: Shown): JsonObject {
  const association =
    view.publicIp === null
      ? undefined
      : {
          publicIp: view.publicIp,
          // An address that EC2 assigned belongs to Amazon, an Elastic IP to the account.
          ipOwnerId: instance.profile.publicAddress === 'elastic' ? call.accountId : 'amazon',
        };
  return {
    networkInterfaceId: instance.networkInterfaceId,
    ownerId: call.accountId,
    status: 'in-use',
    privateIpAddress: instance.privateIp,
    association,
    attachment: { deviceIndex: 0, status: 'attached', deleteOnTermination: true },
    privateIpAddressesSet: [{ privateIpAddress: instance.privateIp, primary: true, association }],
  };
}

/** DescribeInstanceAttribute: one attribute of one instance. */
export function describeInstanceAttribute(cell: CloudCell, call: ApiCall, parameters: Parameters): JsonObject {
  const id = parameters.required('InstanceId');
  const attribute = parameters.required('Attribute');
  parameters.done();
  const [instance] = cell.require([id]);
  if (instance === undefined) return notModelled(call, 'no instance');
  if (attribute === 'disableApiStop') {
    return { instanceId: id, disableApiStop: { value: instance.profile.stopProtection ?? false } };
  }
  if (attribute === 'instanceInitiatedShutdownBehavior') {
    return {
      instanceId: id,
      instanceInitiatedShutdownBehavior: { value: instance.profile.shutdownBehavior ?? 'stop' },
    };
  }
  if (attribute === 'instanceType') return { instanceId: id, instanceType: { value: instance.type.name } };
  return notModelled(call, `attribute ${attribute}`);
}

interface ShownTag {
  readonly instance: EmbeddedInstance;
  readonly key: string;
  readonly value: string;
  readonly sequence: number;
}

const TAG_FILTERS: FilterTable<ShownTag> = {
  key: ({ key }) => [key],
  value: ({ value }) => [value],
  'resource-id': ({ instance }) => [instance.instanceId],
  'resource-type': () => ['instance'],
  'tag:': (tag, key) => (tag.key === key ? [tag.value] : []),
};

/** DescribeTags, of instances. */
export function describeTags(cell: CloudCell, call: ApiCall, parameters: Parameters): JsonObject {
  const maxResults = parameters.integer('MaxResults', 5, 1000);
  const token = parameters.string('NextToken');
  const filters = readFilters(call, parameters, TAG_FILTERS);
  parameters.done();
  const tags = cell.instances().flatMap((instance) =>
    [...instance.view().tags].map(([key, value], i) => ({
      instance,
      key,
      value,
      sequence: instance.sequence * 64 + i,
    })),
  );
  const { items, nextToken } = page(call, tags.filter(filters.matches), (tag) => tag.sequence, maxResults, token);
  return {
    tagSet: items.map(({ instance, key, value }) => ({
      resourceId: instance.instanceId,
      resourceType: 'instance',
      key,
      value,
    })),
    nextToken,
  };
}
