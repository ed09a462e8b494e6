/** What a stop would lose or meet, asked of EC2 and KMS. What cannot be read is said in the facts themselves. */
import {
  type _InstanceType,
  DescribeInstanceAttributeCommand,
  DescribeInstanceTypesCommand,
  DescribeSpotInstanceRequestsCommand,
  DescribeVolumesCommand,
  type Volume,
} from '@aws-sdk/client-ec2';
import { DescribeKeyCommand } from '@aws-sdk/client-kms';
import type { InstanceFacts, PreflightFacts } from '../../domain/finding.ts';
import { answered, type Caller } from './call.ts';
import type { CellClients } from './clients.ts';
import type { CellKnowledge } from './knowledge.ts';
import { allPages } from './pages.ts';

export async function readPreflight(
  instance: InstanceFacts,
  clients: CellClients,
  caller: Caller,
  knowledge: CellKnowledge,
): Promise<PreflightFacts> {
  return {
    instanceStore: await hasInstanceStore(instance, clients, caller, knowledge),
    macHost: instance.instanceType.startsWith('mac'),
    spotRequest: await spotRequest(instance, clients, caller),
    stopProtection: await stopProtection(instance, clients, caller),
    keys: await volumeKeys(instance, clients, caller),
  };
}

/** A type that has instance storage counts as an instance that uses it: EC2 does not list NVMe instance store volumes. */
async function hasInstanceStore(
  instance: InstanceFacts,
  { ec2 }: CellClients,
  caller: Caller,
  knowledge: CellKnowledge,
): Promise<boolean | null> {
  if (instance.rootDeviceType === 'instance-store') return true;
  const known = knowledge.instanceStorage.get(instance.instanceType);
  if (known !== undefined) return known;
  const answer = await caller.call({
    call: 'ec2:DescribeInstanceTypes',
    effect: 'read',
    instanceId: instance.instanceId,
    send: (options) =>
      ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: [instance.instanceType as _InstanceType] }), options),
  });
  if (!answer.ok) return null;
  const type = answer.value.InstanceTypes?.find((t) => t.InstanceType === instance.instanceType);
  if (type?.InstanceStorageSupported === undefined) return null;
  knowledge.instanceStorage.set(instance.instanceType, type.InstanceStorageSupported);
  return type.InstanceStorageSupported;
}

async function spotRequest(
  instance: InstanceFacts,
  { ec2 }: CellClients,
  caller: Caller,
): Promise<PreflightFacts['spotRequest']> {
  if (instance.lifecycle !== 'spot' && instance.spotRequestId === null) return 'none';
  const answer = await caller.call({
    call: 'ec2:DescribeSpotInstanceRequests',
    effect: 'read',
    instanceId: instance.instanceId,
    send: (options) =>
      ec2.send(
        new DescribeSpotInstanceRequestsCommand(
          instance.spotRequestId === null
            ? { Filters: [{ Name: 'instance-id', Values: [instance.instanceId] }] }
            : { SpotInstanceRequestIds: [instance.spotRequestId] },
        ),
        options,
      ),
  });
  const type = answer.ok ? answer.value.SpotInstanceRequests?.[0]?.Type : undefined;
  return type === 'one-time' || type === 'persistent' ? type : 'unreadable';
}

async function stopProtection(instance: InstanceFacts, { ec2 }: CellClients, caller: Caller): Promise<boolean | null> {
  const answer = await caller.call({
    call: 'ec2:DescribeInstanceAttribute',
    effect: 'read',
    instanceId: instance.instanceId,
    send: (options) =>
      ec2.send(
        new DescribeInstanceAttributeCommand({ InstanceId: instance.instanceId, Attribute: 'disableApiStop' }),
        options,
      ),
  });
  return (answer.ok ? answer.value.DisableApiStop?.Value : undefined) ?? null;
}

async function volumeKeys(
  instance: InstanceFacts,
  clients: CellClients,
  caller: Caller,
): Promise<PreflightFacts['keys']> {
  if (instance.volumeIds.length === 0) return 'none-needed';
  const volumes = await allPages<Volume>('ec2:DescribeVolumes', async (token) => {
    const page = await caller.call({
      call: 'ec2:DescribeVolumes',
      effect: 'read',
      instanceId: instance.instanceId,
      send: (options) =>
        clients.ec2.send(
          new DescribeVolumesCommand({ VolumeIds: [...instance.volumeIds], ...(token ? { NextToken: token } : {}) }),
          options,
        ),
    });
    return page.ok ? answered({ items: page.value.Volumes ?? [], next: page.value.NextToken }) : page;
  });
  if (!volumes.ok) return 'unreadable';
  const found = new Map(volumes.value.map((volume) => [volume.VolumeId, volume]));
  const keys = new Set<string>();
  for (const id of instance.volumeIds) {
    const volume = found.get(id);
    if (volume?.Encrypted === undefined) return 'unreadable';
    if (!volume.Encrypted) continue;
    if (!volume.KmsKeyId) return 'unreadable';
    keys.add(volume.KmsKeyId);
  }
  if (keys.size === 0) return 'none-needed';
  const states = [];
  for (const key of keys) states.push(await keyState(key, instance, clients, caller));
  if (states.includes('disabled')) return 'disabled';
  return states.includes('unreadable') ? 'unreadable' : 'enabled';
}

async function keyState(
  keyId: string,
  instance: InstanceFacts,
  { kms }: CellClients,
  caller: Caller,
): Promise<'enabled' | 'disabled' | 'unreadable'> {
  const answer = await caller.call({
    call: 'kms:DescribeKey',
    effect: 'read',
    instanceId: instance.instanceId,
    send: (options) => kms.send(new DescribeKeyCommand({ KeyId: keyId }), options),
  });
  // A key that is not there any more opens no volume either.
  if (!answer.ok) return answer.error.code === 'NotFoundException' ? 'disabled' : 'unreadable';
  const state = answer.value.KeyMetadata?.KeyState;
  if (state === undefined) return 'unreadable';
  return state === 'Enabled' ? 'enabled' : 'disabled';
}
