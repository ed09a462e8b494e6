/**
 * In which target groups a load balancer has an answer from an instance (`restart.signsOfLife`), asked of EC2 and Elastic
 * Load Balancing (version 2: Application, Network and Gateway Load Balancers).
 *
 * Only groups whose health checks speak HTTP or HTTPS count. A TCP check is answered by the kernel alone: it passes on a
 * machine all of whose programs sleep on a full audit queue.
 */
import { DescribeInstancesCommand, type Instance } from '@aws-sdk/client-ec2';
import {
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  type TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { answered, type Called, type Caller } from './call.ts';
import type { CellClients } from './clients.ts';
import { allPages } from './pages.ts';

/** The most that one page may hold (API reference of DescribeTargetGroups). */
const GROUPS_PER_PAGE = 400;
const ANSWERED_BY_PROGRAMS: ReadonlySet<string | undefined> = new Set(['HTTP', 'HTTPS']);

/** An instance as target groups name it: by its id, or by any private address of its network cards (pods' too). */
interface Target {
  readonly instanceId: string;
  readonly vpcId: string | undefined;
  readonly addresses: ReadonlySet<string>;
}

/**
 * Names of the target groups in which the instance is healthy, in their order. One that is found suffices, so the rest is
 * not asked; null where that could not be read to its end.
 */
export async function healthyTargetGroups(
  instanceId: string,
  clients: Pick<CellClients, 'ec2' | 'loadBalancers'>,
  caller: Caller,
): Promise<readonly string[] | null> {
  const target = await describeTarget(instanceId, clients, caller);
  if (!target.ok || target.value === null) return null;
  const groups = await listTargetGroups(instanceId, clients, caller);
  if (!groups.ok) return null;
  for (const group of groups.value) {
    if (!mayHold(group, target.value)) continue;
    const healthy = await isHealthyIn(group, target.value, clients, caller);
    if (!healthy.ok) return null;
    if (healthy.value) return [group.TargetGroupName ?? 'without a name'];
  }
  return [];
}

async function describeTarget(
  instanceId: string,
  { ec2 }: Pick<CellClients, 'ec2'>,
  caller: Caller,
): Promise<Called<Target | null>> {
  const answer = await caller.call({
    call: 'ec2:DescribeInstances',
    effect: 'read',
    quota: 'ec2:DescribeInstances by id',
    instanceId,
    send: (options) => ec2.send(new DescribeInstancesCommand({ InstanceIds: [instanceId] }), options),
  });
  if (!answer.ok) return answer;
  const found = (answer.value.Reservations ?? [])
    .flatMap((reservation) => reservation.Instances ?? [])
    .find((instance) => instance.InstanceId === instanceId);
  return answered(found ? { instanceId, vpcId: found.VpcId, addresses: new Set(privateAddresses(found)) } : null);
}

function privateAddresses(instance: Instance): string[] {
  const cards = (instance.NetworkInterfaces ?? []).flatMap((card) => [
    card.PrivateIpAddress,
    ...(card.PrivateIpAddresses ?? []).map((address) => address.PrivateIpAddress),
    ...(card.Ipv6Addresses ?? []).map((address) => address.Ipv6Address),
  ]);
  return [instance.PrivateIpAddress, ...cards].filter((address) => address !== undefined);
}

function listTargetGroups(
  instanceId: string,
  { loadBalancers }: Pick<CellClients, 'loadBalancers'>,
  caller: Caller,
): Promise<Called<readonly TargetGroup[]>> {
  const call = 'elasticloadbalancing:DescribeTargetGroups';
  return allPages<TargetGroup>(call, async (token) => {
    const page = await caller.call({
      call,
      effect: 'read',
      instanceId,
      send: (options) =>
        loadBalancers.send(
          new DescribeTargetGroupsCommand({ PageSize: GROUPS_PER_PAGE, ...(token ? { Marker: token } : {}) }),
          options,
        ),
    });
    return page.ok ? answered({ items: page.value.TargetGroups ?? [], next: page.value.NextMarker }) : page;
  });
}

/** Whether a group could hold the instance and its health would say something. Targets by id are of the group's own VPC. */
function mayHold({ TargetType, VpcId, HealthCheckProtocol, LoadBalancerArns }: TargetGroup, target: Target): boolean {
  // Without a load balancer nobody checks.
  if (!ANSWERED_BY_PROGRAMS.has(HealthCheckProtocol) || (LoadBalancerArns ?? []).length === 0) return false;
  return TargetType === 'ip' || (TargetType === 'instance' && (VpcId === undefined || VpcId === target.vpcId));
}

async function isHealthyIn(
  group: TargetGroup,
  { instanceId, addresses }: Target,
  { loadBalancers }: Pick<CellClients, 'loadBalancers'>,
  caller: Caller,
): Promise<Called<boolean>> {
  const answer = await caller.call({
    call: 'elasticloadbalancing:DescribeTargetHealth',
    effect: 'read',
    instanceId,
    send: (options) =>
      loadBalancers.send(new DescribeTargetHealthCommand({ TargetGroupArn: group.TargetGroupArn }), options),
  });
  if (!answer.ok) {
    // Deleted since it was listed: it holds nobody.
    return answer.error.code === 'TargetGroupNotFound' || answer.error.code === 'TargetGroupNotFoundException'
      ? answered(false)
      : answer;
  }
  const names = (id: string | undefined) => id !== undefined && (id === instanceId || addresses.has(id));
  return answered(
    (answer.value.TargetHealthDescriptions ?? []).some(
      ({ Target, TargetHealth }) => names(Target?.Id) && TargetHealth?.State === 'healthy',
    ),
  );
}
