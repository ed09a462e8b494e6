/** What a stop would lose or meet, and signs of life: asked of EC2, KMS (volume-keys.ts) and load balancers
 * (target-health.ts). What cannot be read is said in the facts themselves. */
import {
  type _InstanceType,
  DescribeInstanceAttributeCommand,
  DescribeInstanceTypesCommand,
  DescribeSpotInstanceRequestsCommand,
} from '@aws-sdk/client-ec2';
import type { Cell, InstanceFacts, PreflightFacts } from '../../domain/finding.ts';
import type { SignOfLife } from '../../domain/policy.ts';
import type { Caller } from './call.ts';
import type { CellClients } from './clients.ts';
import type { CellKnowledge } from './knowledge.ts';
import { healthyTargetGroups } from './target-health.ts';
import { volumeKeys } from './volume-keys.ts';

export async function readPreflight(
  cell: Cell,
  instance: InstanceFacts,
  signsOfLife: readonly SignOfLife[],
  clients: CellClients,
  caller: Caller,
  knowledge: CellKnowledge,
): Promise<PreflightFacts> {
  const askTargets = signsOfLife.includes('healthy-target');
  return {
    instanceStore: await hasInstanceStore(instance, clients, caller, knowledge),
    macHost: instance.instanceType.startsWith('mac'),
    spotRequest: await spotRequest(instance, clients, caller),
    stopProtection: await stopProtection(instance, clients, caller),
    terminatesOnShutdown: await terminatesOnShutdown(instance, clients, caller),
    ...(await volumeKeys(cell, instance, clients, caller)),
    healthyTargetGroups: askTargets ? await healthyTargetGroups(instance.instanceId, clients, caller) : [],
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

async function terminatesOnShutdown(
  instance: InstanceFacts,
  { ec2 }: CellClients,
  caller: Caller,
): Promise<boolean | null> {
  const answer = await caller.call({
    call: 'ec2:DescribeInstanceAttribute',
    effect: 'read',
    instanceId: instance.instanceId,
    send: (options) =>
      ec2.send(
        new DescribeInstanceAttributeCommand({
          InstanceId: instance.instanceId,
          Attribute: 'instanceInitiatedShutdownBehavior',
        }),
        options,
      ),
  });
  const behaviour = answer.ok ? answer.value.InstanceInitiatedShutdownBehavior?.Value : undefined;
  return behaviour === undefined ? null : behaviour !== 'stop';
}
