/** Load balancers' answers, as the API reference of Elastic Load Balancing (2015-12-01) writes them. */

import { createCaller } from '../../../lambdas/aws/call.ts';
import { createCellClients } from '../../../lambdas/aws/clients.ts';
import { createPacer } from '../../../lambdas/aws/pacer.ts';
import { healthyTargetGroups } from '../../../lambdas/aws/target-health.ts';
import { ec2Error, inVirtualTime, type Reply, type Script, scriptedAws, xml } from '../../support/scripted-aws.ts';
import { CELL, instanceId, instanceXml } from './support.ts';

const A = instanceId(1);
const VPC = 'vpc-1';
const described = (extra: string) =>
  xml('DescribeInstances', `<reservationSet>${instanceXml(A, `<vpcId>${VPC}</vpcId>${extra}`)}</reservationSet>`);

interface Group {
  readonly name: string;
  readonly type?: string;
  readonly check?: string;
  readonly vpc?: string;
  readonly loadBalancers?: number;
}
const list = (items: readonly string[]) => items.map((item) => `<member>${item}</member>`).join('');
const groups = (all: readonly Group[], marker = ''): Reply =>
  xml(
    'DescribeTargetGroups',
    `<DescribeTargetGroupsResult><TargetGroups>${list(
      all.map(
        ({ name, type = 'instance', check = 'HTTP', vpc = VPC, loadBalancers = 1 }) =>
          `<TargetGroupArn>arn:${name}</TargetGroupArn><TargetGroupName>${name}</TargetGroupName>` +
          `<TargetType>${type}</TargetType><HealthCheckProtocol>${check}</HealthCheckProtocol><VpcId>${vpc}</VpcId>` +
          `<LoadBalancerArns>${list(Array.from({ length: loadBalancers }, (_, n) => `arn:lb-${n}`))}</LoadBalancerArns>`,
      ),
    )}</TargetGroups>${marker === '' ? '' : `<NextMarker>${marker}</NextMarker>`}</DescribeTargetGroupsResult>`,
  );
const health = (...targets: (readonly [id: string, state: string])[]): Reply =>
  xml(
    'DescribeTargetHealth',
    `<DescribeTargetHealthResult><TargetHealthDescriptions>${list(
      targets.map(
        ([id, state]) => `<Target><Id>${id}</Id></Target><TargetHealth><State>${state}</State></TargetHealth>`,
      ),
    )}</TargetHealthDescriptions></DescribeTargetHealthResult>`,
  );
const refusal = (code: string): Reply => {
  const error = `<Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error>`;
  return { ...ec2Error(code, 'no'), body: `<ErrorResponse>${error}<RequestId>r</RequestId></ErrorResponse>` };
};

const GROUPS = 'elasticloadbalancing:DescribeTargetGroups';
const HEALTH = 'elasticloadbalancing:DescribeTargetHealth';

async function ask(script: Script, instance: Reply = described('')) {
  const aws = scriptedAws({ 'ec2:DescribeInstances': instance, ...script });
  const caller = createCaller({ pacer: createPacer(1) });
  const clients = createCellClients(CELL, null, aws.wire);
  const { value } = await inVirtualTime(() => healthyTargetGroups(A, clients, caller));
  return { value, asked: aws.of(HEALTH).map(({ params }) => params.TargetGroupArn), aws };
}

test('healthy in the last group of the last page: every page and group is asked', async () => {
  const answers = [health(), health([instanceId(2), 'healthy'], [A, 'unhealthy']), health([A, 'healthy'])];
  const pages = [groups([{ name: 'a' }, { name: 'b' }], 'more'), groups([{ name: 'c' }])];
  const { value, asked, aws } = await ask({ [GROUPS]: pages, [HEALTH]: answers });
  expect(value).toEqual(['c']);
  expect(asked).toEqual(['arn:a', 'arn:b', 'arn:c']);
  expect(aws.of(GROUPS).map(({ params }) => [params.PageSize, params.Marker])).toEqual([
    ['400', undefined],
    ['400', 'more'],
  ]);
});

test.each(['unhealthy', 'draining', 'initial', 'unused', 'unavailable'])(
  '%s is no answer of its programs',
  async (state) => {
    const { value } = await ask({ [GROUPS]: groups([{ name: 'a' }]), [HEALTH]: health([A, state]) });
    expect(value).toEqual([]);
  },
);

test('only groups that could hold it, and whose checks its programs answer, are asked', async () => {
  const all: readonly Group[] = [
    { name: 'tcp', check: 'TCP' },
    { name: 'elsewhere', vpc: 'vpc-2' },
    { name: 'unattached', loadBalancers: 0 },
    { name: 'function', type: 'lambda' },
    { name: 'balancer', type: 'alb' },
    { name: 'peer', type: 'ip', vpc: 'vpc-2', check: 'HTTPS' },
  ];
  const { value, asked } = await ask({ [GROUPS]: groups(all), [HEALTH]: health(['10.0.0.9', 'healthy']) });
  expect([value, asked]).toEqual([[], ['arn:peer']]);
});

test.each([
  ['its first address', '<privateIpAddress>10.0.0.4</privateIpAddress>', '10.0.0.4'],
  [
    'a further address, as of a pod',
    '<networkInterfaceSet><item><privateIpAddressesSet><item><privateIpAddress>10.0.0.77</privateIpAddress></item></privateIpAddressesSet></item></networkInterfaceSet>',
    '10.0.0.77',
  ],
  [
    'an IPv6 address',
    '<networkInterfaceSet><item><ipv6AddressesSet><item><ipv6Address>2001:db8::4</ipv6Address></item></ipv6AddressesSet></item></networkInterfaceSet>',
    '2001:db8::4',
  ],
])('registered by %s', async (_what, extra, address) => {
  const script = { [GROUPS]: groups([{ name: 'a', type: 'ip' }]), [HEALTH]: health([address, 'healthy']) };
  expect((await ask(script, described(extra))).value).toEqual(['a']);
  expect((await ask(script)).value).toEqual([]);
});

test('a group that was deleted since it was listed holds nobody', async () => {
  const answers = [refusal('TargetGroupNotFound'), health([A, 'healthy'])];
  expect((await ask({ [GROUPS]: groups([{ name: 'a' }, { name: 'b' }]), [HEALTH]: answers })).value).toEqual(['b']);
});

test.each<[string, Script, Reply]>([
  ['the groups', { [GROUPS]: refusal('AccessDenied') }, described('')],
  ['the health', { [GROUPS]: groups([{ name: 'a' }]), [HEALTH]: refusal('AccessDenied') }, described('')],
  ['the second page', { [GROUPS]: [groups([], 'more'), refusal('AccessDenied')] }, described('')],
  ['the instance', {}, ec2Error('UnauthorizedOperation', 'no', 403)],
  ['an instance that is gone', {}, xml('DescribeInstances', '<reservationSet/>')],
])('%s could not be read: unknown, never "no answer"', async (_what, script, instance) => {
  expect((await ask(script, instance)).value).toBeNull();
});
