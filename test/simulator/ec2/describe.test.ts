import {
  DescribeInstanceAttributeCommand,
  DescribeInstanceStatusCommand,
  type DescribeInstanceStatusCommandInput,
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  DescribeInstanceTypesCommand,
  DescribeSpotInstanceRequestsCommand,
  DescribeTagsCommand,
  DescribeVolumesCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2';
import type { EmbeddedCloud } from '../../../simulator/cloud.ts';
import { add, ec2Of, failure, fakeTime, HOME, live, makeCloud, START } from '../support/cloud.ts';

let cloud: EmbeddedCloud;
let ec2: EC2Client;
beforeEach(() => {
  fakeTime();
  cloud = makeCloud();
  ec2 = ec2Of(cloud);
});
afterEach(() => jest.useRealTimers());

async function ids(input: DescribeInstancesCommandInput): Promise<readonly (string | undefined)[]> {
  const answer = await live(ec2.send(new DescribeInstancesCommand(input)));
  return (answer.Reservations ?? []).flatMap((r) => (r.Instances ?? []).map((i) => i.InstanceId));
}

describe('DescribeInstances', () => {
  test('shows what a decision needs of an instance', async () => {
    const { id, instance } = add(cloud, {
      tags: { Name: 'web <1> & "co"' },
      publicAddress: 'auto',
      keyName: 'ops',
      spot: { kind: 'persistent' },
      operatorManaged: 'eks.amazonaws.com',
      launchTemplate: { id: 'lt-0abc', version: '3' },
      dataVolumes: 1,
    });
    const answer = await live(ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] })));
    const shown = answer.Reservations?.[0]?.Instances?.[0];
    expect(answer.Reservations?.[0]?.OwnerId).toBe(HOME);
    expect(shown).toMatchObject({
      InstanceId: id,
      State: { Name: 'running', Code: 16 },
      InstanceType: 'm5.large',
      Architecture: 'x86_64',
      Hypervisor: 'xen',
      PlatformDetails: 'Linux/UNIX',
      InstanceLifecycle: 'spot',
      SpotInstanceRequestId: instance.spotRequestId,
      Operator: { Managed: true, Principal: 'eks.amazonaws.com' },
      RootDeviceType: 'ebs',
      KeyName: 'ops',
      Placement: { AvailabilityZone: 'eu-west-1a' },
    });
    expect(shown?.Platform).toBeUndefined();
    expect(shown?.LaunchTime).toEqual(new Date(START - 86_400_000));
    expect(shown?.Tags).toEqual([
      { Key: 'Name', Value: 'web <1> & "co"' },
      { Key: 'aws:ec2launchtemplate:id', Value: 'lt-0abc' },
      { Key: 'aws:ec2launchtemplate:version', Value: '3' },
    ]);
    expect(shown?.NetworkInterfaces?.[0]?.Association).toEqual({
      IpOwnerId: 'amazon',
      PublicIp: shown?.PublicIpAddress,
    });
    expect(shown?.BlockDeviceMappings?.map((mapping) => mapping.Ebs?.VolumeId)).toEqual(
      instance.volumes.map((volume) => volume.volumeId),
    );
    expect(id).toMatch(/^i-0[0-9a-f]{16}$/);
  });

  test('an Elastic IP belongs to the account, and Windows is named', async () => {
    const { id } = add(cloud, { publicAddress: 'elastic', platform: 'windows' });
    const answer = await live(ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] })));
    const shown = answer.Reservations?.[0]?.Instances?.[0];
    expect(shown?.NetworkInterfaces?.[0]?.Association?.IpOwnerId).toBe(HOME);
    expect([shown?.Platform, shown?.PlatformDetails]).toEqual(['windows', 'Windows']);
  });

  test('filters: values are alternatives, filters are all required, wildcards and escapes', async () => {
    const a = add(cloud, { tags: { Team: 'db', Name: 'db-1' } }).id;
    const b = add(cloud, { tags: { Team: 'web', Name: 'web*' }, instanceType: 't2.micro' }).id;
    const c = add(cloud, { tags: { Name: 'webx' }, state: 'stopped', availabilityZone: 'eu-west-1b' }).id;
    const by = (Name: string, ...Values: string[]) => ids({ Filters: [{ Name, Values }] });
    expect(await by('tag:Team', 'db', 'web')).toEqual([a, b]);
    expect(await by('tag-key', 'Team')).toEqual([a, b]);
    expect(await by('tag:Name', 'web?')).toEqual([b, c]);
    expect(await by('tag:Name', 'web\\*')).toEqual([b]);
    expect(await by('tag:Name', 'WEB*')).toEqual([]);
    expect(await by('instance-state-name', 'stopped')).toEqual([c]);
    expect(await by('instance-type', 't2.*')).toEqual([b]);
    expect(await by('availability-zone', 'eu-west-1b')).toEqual([c]);
    expect(await by('instance-id', a, c)).toEqual([a, c]);
    const both = [
      { Name: 'tag:Team', Values: ['*'] },
      { Name: 'instance-type', Values: ['m5.large'] },
    ];
    expect(await ids({ Filters: both })).toEqual([a]);
  });

  test('pages by an opaque token that is good for the same call only, and loses nothing when an instance goes', async () => {
    const all = Array.from({ length: 12 }, (_, i) => add(cloud, { tags: { n: String(i) } }));
    const page = (NextToken?: string, MaxResults = 5) =>
      live(ec2.send(new DescribeInstancesCommand({ MaxResults, ...(NextToken ? { NextToken } : {}) })));
    const first = await page();
    expect(first.Reservations).toHaveLength(5);
    all[2]?.instance.terminate('test');
    await jest.advanceTimersByTimeAsync(2 * 3_600_000);
    const second = await page(first.NextToken, 6);
    expect(second.Reservations?.map((r) => r.Instances?.[0]?.InstanceId)).toEqual(all.slice(5, 11).map(({ id }) => id));
    const third = await page(second.NextToken);
    expect(third.Reservations?.map((r) => r.Instances?.[0]?.InstanceId)).toEqual([all[11]?.id]);
    expect(third.NextToken).toBeUndefined();
    const filtered = new DescribeInstancesCommand({
      MaxResults: 5,
      NextToken: first.NextToken,
      Filters: [{ Name: 'tag-key', Values: ['n'] }],
    });
    expect((await failure(ec2.send(filtered))).name).toBe('InvalidPaginationToken');
  });

  test.each([
    ['InvalidInstanceID.Malformed', { InstanceIds: ['i-0123'] }, 'Invalid id: "i-0123"'],
    ['InvalidInstanceID.Malformed', { InstanceIds: ['vol-1'] }, 'Invalid id: "vol-1" (expecting "i-...")'],
    [
      'InvalidInstanceID.NotFound',
      { InstanceIds: ['i-01234567890abcdef'] },
      "The instance ID 'i-01234567890abcdef' does not exist",
    ],
    [
      'InvalidInstanceID.NotFound',
      { InstanceIds: ['i-01234567890abcdef', 'i-01234567890abcdee'] },
      "The instance IDs 'i-01234567890abcdef, i-01234567890abcdee' do not exist",
    ],
    ['InvalidParameterValue', { MaxResults: 4 }, 'maxResults|MaxResults'],
    ['InvalidParameterValue', { MaxResults: 1001 }, 'maxResults|MaxResults'],
    ['NotModelledByTheEmbeddedRegion', { Filters: [{ Name: 'shoe-size', Values: ['1'] }] }, 'filter shoe-size'],
    ['NotModelledByTheEmbeddedRegion', { Filters: [{ Name: 'constructor', Values: ['1'] }] }, 'filter constructor'],
    ['FilterLimitExceeded', { Filters: [{ Name: 'tag-key', Values: Array(201).fill('x') }] }, '200'],
  ])('answers with the error that AWS gives: %#, %s', async (code, input: DescribeInstancesCommandInput, message) => {
    const error = await failure(ec2.send(new DescribeInstancesCommand(input)));
    expect(error.name).toBe(code);
    expect(error.message).toMatch(new RegExp(message.replace(/[()?.]/g, '\\$&')));
  });

  test('MaxResults and ids exclude each other', async () => {
    const { id } = add(cloud);
    const error = await failure(ec2.send(new DescribeInstancesCommand({ InstanceIds: [id], MaxResults: 5 })));
    expect(error.name).toBe('InvalidParameterCombination');
  });

  test('shows the old state and tags for a while after a change', async () => {
    cloud = makeCloud({ eventualConsistencyMs: 60_000 });
    ec2 = ec2Of(cloud);
    const { instance, id } = add(cloud);
    instance.setTags(new Map([['new', 'yes']]));
    instance.reboot();
    expect(await ids({ Filters: [{ Name: 'tag-key', Values: ['new'] }] })).toEqual([]);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(await ids({ Filters: [{ Name: 'tag-key', Values: ['new'] }] })).toEqual([id]);
  });

  test('a terminated instance is shown for an hour, then it never existed', async () => {
    const { id } = add(cloud, { vanishAt: START + 1000 });
    await jest.advanceTimersByTimeAsync(60_000);
    expect(await ids({ Filters: [{ Name: 'instance-state-name', Values: ['terminated'] }] })).toEqual([id]);
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(await ids({})).toEqual([]);
    expect((await failure(ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] })))).name).toBe(
      'InvalidInstanceID.NotFound',
    );
  });
});

describe('DescribeInstanceStatus', () => {
  test('shows running instances with their checks, filters by them, and others only on demand', async () => {
    const well = add(cloud).id;
    const sick = add(cloud);
    sick.machine.check = 'impaired';
    const off = add(cloud, { state: 'stopped' }).id;
    const ask = async (input: DescribeInstanceStatusCommandInput) =>
      (await live(ec2.send(new DescribeInstanceStatusCommand(input)))).InstanceStatuses ?? [];
    expect((await ask({})).map((s) => [s.InstanceId, s.InstanceStatus?.Status])).toEqual([
      [well, 'ok'],
      [sick.id, 'impaired'],
    ]);
    const impaired = await ask({ Filters: [{ Name: 'instance-status.status', Values: ['impaired'] }] });
    expect(impaired.map((s) => [s.InstanceId, s.InstanceStatus?.Details, s.SystemStatus?.Status])).toEqual([
      [sick.id, [{ Name: 'reachability', Status: 'failed' }], 'ok'],
    ]);
    const failed = await ask({ Filters: [{ Name: 'instance-status.reachability', Values: ['failed'] }] });
    expect(failed.map((s) => s.InstanceId)).toEqual([sick.id]);
    const all = await ask({ IncludeAllInstances: true, InstanceIds: [off] });
    expect(all.map((s) => [s.InstanceState?.Name, s.InstanceStatus?.Status])).toEqual([['stopped', 'not-applicable']]);
  });

  test('refuses more than 100 ids, and ids with MaxResults', async () => {
    const many = Array.from({ length: 101 }, () => add(cloud).id);
    const tooMany = await failure(ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: many })));
    expect(tooMany.name).toBe('InvalidParameterValue');
    const both = new DescribeInstanceStatusCommand({ InstanceIds: many.slice(0, 1), MaxResults: 5 });
    expect((await failure(ec2.send(both))).name).toBe('InvalidParameterCombination');
  });
});

test('DescribeInstanceTypes tells Nitro from Xen from bare metal, and instance store', async () => {
  const InstanceTypes = ['m5d.large', 'm4.large', 'm5.metal', 'm7g.large'] as const;
  const answer = await live(ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: [...InstanceTypes] })));
  expect(
    answer.InstanceTypes?.map((t) => [t.InstanceType, t.Hypervisor, t.BareMetal, t.InstanceStorageSupported]),
  ).toEqual([
    ['m5d.large', 'nitro', false, true],
    ['m4.large', 'xen', false, false],
    ['m5.metal', undefined, true, false],
    ['m7g.large', 'nitro', false, false],
  ]);
  expect(answer.InstanceTypes?.[0]?.MemoryInfo?.SizeInMiB).toBe(8192);
  const unknown = new DescribeInstanceTypesCommand({ InstanceTypes: ['m5.large', 'x9.huge' as 'm5.large'] });
  expect((await failure(ec2.send(unknown))).message).toContain('[x9.huge]');
});

test('DescribeInstanceAttribute reads stop protection', async () => {
  const guarded = add(cloud, { stopProtection: true }).id;
  const open = add(cloud).id;
  const read = async (InstanceId: string) =>
    (await live(ec2.send(new DescribeInstanceAttributeCommand({ InstanceId, Attribute: 'disableApiStop' }))))
      .DisableApiStop?.Value;
  expect([await read(guarded), await read(open)]).toEqual([true, false]);
  const other = new DescribeInstanceAttributeCommand({ InstanceId: open, Attribute: 'userData' });
  expect((await failure(ec2.send(other))).message).toContain('attribute userData is not modelled');
});

test('DescribeVolumes and DescribeSpotInstanceRequests show what a preflight asks for', async () => {
  cloud.cell(HOME, 'eu-west-1').addKey('key-1', 'Enabled');
  const sealed = add(cloud, { kmsKeyId: 'key-1' }).instance;
  const spot = add(cloud, { spot: { kind: 'one-time' } }).instance;
  const volumeId = sealed.volumes[0]?.volumeId ?? '';
  const volumes = await live(ec2.send(new DescribeVolumesCommand({ VolumeIds: [volumeId] })));
  expect(volumes.Volumes).toMatchObject([
    { VolumeId: volumeId, Encrypted: true, KmsKeyId: `arn:aws:kms:eu-west-1:${HOME}:key/key-1` },
  ]);
  const none = new DescribeVolumesCommand({ VolumeIds: [volumeId, 'vol-00000000000000000'] });
  expect((await failure(ec2.send(none))).name).toBe('InvalidVolume.NotFound');
  const requests = new DescribeSpotInstanceRequestsCommand({ SpotInstanceRequestIds: [spot.spotRequestId ?? ''] });
  expect((await live(ec2.send(requests))).SpotInstanceRequests).toMatchObject([
    { InstanceId: spot.instanceId, Type: 'one-time', State: 'active' },
  ]);
});

test('DescribeTags lists tags of instances by filter', async () => {
  const { id } = add(cloud, { tags: { AuditBacklogStopped: 'run-1', Name: 'x' } });
  add(cloud, { tags: { Name: 'y' } });
  const command = new DescribeTagsCommand({ Filters: [{ Name: 'key', Values: ['AuditBacklogStopped'] }] });
  expect((await live(ec2.send(command))).Tags).toEqual([
    { ResourceId: id, ResourceType: 'instance', Key: 'AuditBacklogStopped', Value: 'run-1' },
  ]);
});
