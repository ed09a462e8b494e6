/** DescribeInstances' words for an instance, as the facts that decisions need. */
import type { Instance, InstanceNetworkInterface } from '@aws-sdk/client-ec2';
import type { InstanceFacts } from '../../domain/finding.ts';

/** @returns null for what AWS sent without id, state, type or launch time: not an instance anyone can judge. */
export function instanceFacts(instance: Instance): InstanceFacts | null {
  const { InstanceId, InstanceType, LaunchTime } = instance;
  const state = instance.State?.Name;
  if (!InstanceId || !InstanceType || !LaunchTime || !state) return null;
  const tags: Record<string, string> = {};
  for (const { Key, Value } of instance.Tags ?? []) if (Key !== undefined) tags[Key] = Value ?? '';
  return {
    instanceId: InstanceId,
    state,
    stateReason: instance.StateReason?.Message || instance.StateTransitionReason || null,
    transitionAt: transitionTime(instance.StateTransitionReason),
    platform: isWindows(instance) ? 'windows' : 'linux',
    instanceType: InstanceType,
    architecture: instance.Architecture ?? null,
    imageId: instance.ImageId ?? '',
    launchTemplate: launchTemplate(tags),
    availabilityZone: instance.Placement?.AvailabilityZone ?? '',
    launchTime: LaunchTime.toISOString(),
    tags,
    lifecycle: lifecycle(instance.InstanceLifecycle),
    operatorManaged: instance.Operator?.Managed === true,
    rootDeviceType: instance.RootDeviceType === 'instance-store' ? 'instance-store' : 'ebs',
    publicAddress: publicAddress(instance),
    place: placeOf(instance),
    spotRequestId: instance.SpotInstanceRequestId || null,
    volumeIds: (instance.BlockDeviceMappings ?? []).map((d) => d.Ebs?.VolumeId).filter((id) => id !== undefined),
  };
}

/** EC2 says when only inside a text, like `User initiated (2026-11-22 04:10:11 GMT)`. What AWS itself did, like
 * `Server.ScheduledStop (...)`, nobody asked for. */
function transitionTime(reason: string | undefined): string | null {
  const match = /^User initiated \((\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) (?:GMT|UTC)\)/.exec(reason ?? '');
  return match ? `${match[1]}T${match[2]}.000Z` : null;
}

function isWindows(instance: Instance): boolean {
  return instance.Platform?.toLowerCase() === 'windows' || /windows/i.test(instance.PlatformDetails ?? '');
}

function placeOf({ Placement, CapacityReservationSpecification }: Instance): InstanceFacts['place'] {
  if (Placement?.Tenancy === 'host') return 'dedicated-host';
  if (CapacityReservationSpecification?.CapacityReservationTarget) return 'capacity-reservation';
  return Placement?.GroupName || Placement?.GroupId ? 'placement-group' : 'any';
}

function lifecycle(value: Instance['InstanceLifecycle']): InstanceFacts['lifecycle'] {
  if (value === undefined) return 'on-demand';
  return value === 'spot' ? 'spot' : 'other';
}

function launchTemplate(tags: Readonly<Record<string, string>>): string | null {
  const id = tags['aws:ec2launchtemplate:id'];
  if (!id) return null;
  const version = tags['aws:ec2launchtemplate:version'];
  return version ? `${id}:${version}` : id;
}

/** EC2 names `amazon` as the owner of an address it assigned by itself, and the account as the owner of an elastic one.
 * An address whose owner is not told counts as one that a stop gives up. */
function publicAddress(instance: Instance): InstanceFacts['publicAddress'] {
  const owners = (instance.NetworkInterfaces ?? []).flatMap(ownersOf);
  if (owners.length === 0) return instance.PublicIpAddress ? 'auto' : 'none';
  return owners.some((owner) => owner === undefined || owner === 'amazon') ? 'auto' : 'elastic';
}

function ownersOf(card: InstanceNetworkInterface): (string | undefined)[] {
  return [card.Association, ...(card.PrivateIpAddresses ?? []).map((address) => address.Association)]
    .filter((association) => association?.PublicIp !== undefined)
    .map((association) => association?.IpOwnerId);
}
