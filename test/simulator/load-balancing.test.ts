import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { InstanceProfile, TargetGroupProfile } from '../../simulator/ec2/profile.ts';
import { clientOptions, HOME, makeCloud, REGION } from './support/cloud.ts';
import { FakeMachine } from './support/fake-machine.ts';

const web: TargetGroupProfile = { name: 'web', targetType: 'instance', healthCheck: 'HTTP' };

function world(profiles: readonly Partial<InstanceProfile>[], machine = new FakeMachine()) {
  const cloud = makeCloud();
  const cell = cloud.cell(HOME, REGION);
  const instances = profiles.map((profile) =>
    cell.addInstance({ instanceType: 'm5.large', imageId: 'ami-0a', launchTime: Date.now(), ...profile }, machine),
  );
  return { instances, machine, client: new ElasticLoadBalancingV2Client(clientOptions(cloud)) };
}

async function healthOf({ client }: ReturnType<typeof world>, name: string) {
  const { TargetGroups = [] } = await client.send(new DescribeTargetGroupsCommand({}));
  const group = TargetGroups.find(({ TargetGroupName }) => TargetGroupName === name);
  const health = await client.send(new DescribeTargetHealthCommand({ TargetGroupArn: group?.TargetGroupArn }));
  return (health.TargetHealthDescriptions ?? []).map(({ Target, TargetHealth }) => [Target?.Id, TargetHealth?.State]);
}

test('groups come a page at a time, each once however many instances are in it', async () => {
  const named = (n: number) => ({ ...web, name: `group-${n}` });
  const { client } = world([{ targetGroups: [named(1), named(2)] }, { targetGroups: [named(2), named(3)] }, {}]);
  const first = await client.send(new DescribeTargetGroupsCommand({ PageSize: 2 }));
  expect(first.TargetGroups?.map((g) => g.TargetGroupName)).toEqual(['group-1', 'group-2']);
  const rest = await client.send(new DescribeTargetGroupsCommand({ PageSize: 2, Marker: first.NextMarker }));
  expect([rest.TargetGroups?.map((g) => g.TargetGroupName), rest.NextMarker]).toEqual([['group-3'], undefined]);
});

test('programs that hang fail HTTP, not TCP; what does not run is not used', async () => {
  const tcp: TargetGroupProfile = { name: 'tcp', targetType: 'ip', healthCheck: 'TCP' };
  const there = world([{ targetGroups: [web, tcp] }, { targetGroups: [web], state: 'stopped' }]);
  const [first, second] = there.instances.map(({ instanceId }) => instanceId);
  expect(await healthOf(there, 'web')).toEqual([
    [first, 'healthy'],
    [second, 'unused'],
  ]);
  there.machine.clean = false;
  expect((await healthOf(there, 'web'))[0]).toEqual([first, 'unhealthy']);
  expect(await healthOf(there, 'tcp')).toEqual([[there.instances[0]?.privateIp, 'healthy']]);
});

test('without a load balancer nobody checks', async () => {
  const there = world([{ targetGroups: [{ ...web, attached: false }] }]);
  expect((await healthOf(there, 'web')).map(([, state]) => state)).toEqual(['unused']);
});

test.each<[string, (client: ElasticLoadBalancingV2Client) => Promise<unknown>, string]>([
  [
    'a group that does not exist',
    (client) => client.send(new DescribeTargetHealthCommand({ TargetGroupArn: 'arn:none' })),
    'TargetGroupNotFoundException',
  ],
  [
    'a page that is too large',
    (client) => client.send(new DescribeTargetGroupsCommand({ PageSize: 401 })),
    'InvalidParameterValue',
  ],
  [
    'a filter that is not modelled',
    (client) => client.send(new DescribeTargetGroupsCommand({ Names: ['web'] })),
    'NotModelledByTheEmbeddedRegion',
  ],
  [
    'an action that is not modelled',
    (client) => client.send(new DescribeLoadBalancersCommand({})),
    'NotModelledByTheEmbeddedRegion',
  ],
])('%s is an error', async (_what, ask, name) => {
  const { client } = world([{ targetGroups: [web] }]);
  await expect(ask(client)).rejects.toMatchObject({ name });
});
