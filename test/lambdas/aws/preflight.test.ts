import type { InstanceFacts } from '../../../domain/finding.ts';
import { ec2Error, json, jsonError, type Script, xml } from '../../support/scripted-aws.ts';
import { instanceId, openCell } from './support.ts';

const A = instanceId(1);
const facts = (changes: Partial<InstanceFacts> = {}): InstanceFacts => ({
  instanceId: A,
  state: 'running',
  stateReason: null,
  transitionAt: null,
  platform: 'linux',
  instanceType: 'm5.large',
  architecture: 'x86_64',
  imageId: 'ami-0a',
  launchTemplate: null,
  availabilityZone: 'eu-west-1a',
  launchTime: '2026-11-01T00:00:00.000Z',
  tags: {},
  lifecycle: 'on-demand',
  operatorManaged: false,
  rootDeviceType: 'ebs',
  publicAddress: 'none',
  spotRequestId: null,
  volumeIds: ['vol-1', 'vol-2'],
  ...changes,
});

const type = (name: string, storage: boolean) =>
  xml(
    'DescribeInstanceTypes',
    `<instanceTypeSet><item><instanceType>${name}</instanceType><instanceStorageSupported>${storage}</instanceStorageSupported></item></instanceTypeSet>`,
  );
const protection = (on: boolean) =>
  xml(
    'DescribeInstanceAttribute',
    `<instanceId>${A}</instanceId><disableApiStop><value>${on}</value></disableApiStop>`,
  );
const volumes = (...keys: (string | null)[]) =>
  xml(
    'DescribeVolumes',
    `<volumeSet>${keys
      .map(
        (key, n) =>
          `<item><volumeId>vol-${n + 1}</volumeId><encrypted>${key !== null}</encrypted>${key ? `<kmsKeyId>${key}</kmsKeyId>` : ''}</item>`,
      )
      .join('')}</volumeSet>`,
  );
const spot = (kind: string) =>
  xml(
    'DescribeSpotInstanceRequests',
    `<spotInstanceRequestSet><item><spotInstanceRequestId>sir-1</spotInstanceRequestId><type>${kind}</type></item></spotInstanceRequestSet>`,
  );
const key = (state: string) => json({ KeyMetadata: { KeyId: 'k', KeyState: state } });

const PLAIN: Script = {
  'ec2:DescribeInstanceTypes': type('m5.large', false),
  'ec2:DescribeInstanceAttribute': protection(false),
  'ec2:DescribeVolumes': volumes(null, null),
};
const ask = (script: Script, changes: Partial<InstanceFacts> = {}) =>
  openCell({ ...PLAIN, ...script }).ports.fleet.preflight(facts(changes));

test('an instance that loses nothing', async () => {
  expect(await ask({})).toEqual({
    instanceStore: false,
    macHost: false,
    spotRequest: 'none',
    stopProtection: false,
    keys: 'none-needed',
  });
});

test('a type with instance storage counts as losing it, and is asked about once', async () => {
  const { ports, aws } = openCell({ ...PLAIN, 'ec2:DescribeInstanceTypes': type('m5d.large', true) });
  const instance = facts({ instanceType: 'm5d.large' });
  expect(await ports.fleet.preflight(instance)).toMatchObject({ instanceStore: true });
  expect(await ports.fleet.preflight(instance)).toMatchObject({ instanceStore: true });
  expect(aws.of('ec2:DescribeInstanceTypes')).toHaveLength(1);
  expect(await ask({}, { rootDeviceType: 'instance-store' })).toMatchObject({ instanceStore: true });
});

test('a Mac host, a protected instance', async () => {
  expect(
    await ask({ 'ec2:DescribeInstanceTypes': type('mac2.metal', false) }, { instanceType: 'mac2.metal' }),
  ).toMatchObject({ macHost: true });
  expect(await ask({ 'ec2:DescribeInstanceAttribute': protection(true) })).toMatchObject({ stopProtection: true });
});

test.each(['one-time', 'persistent'])('a %s spot request', async (kind) => {
  const changes = { lifecycle: 'spot', spotRequestId: 'sir-1' } as const;
  expect(await ask({ 'ec2:DescribeSpotInstanceRequests': spot(kind) }, changes)).toMatchObject({ spotRequest: kind });
});

test('a spot instance whose request cannot be found is unreadable, not on demand', async () => {
  const empty = xml('DescribeSpotInstanceRequests', '<spotInstanceRequestSet/>');
  expect(
    await ask({ 'ec2:DescribeSpotInstanceRequests': empty }, { lifecycle: 'spot', spotRequestId: null }),
  ).toMatchObject({ spotRequest: 'unreadable' });
});

test.each([
  ['Enabled', 'enabled'],
  ['Disabled', 'disabled'],
  ['PendingDeletion', 'disabled'],
])('a key that is %s', async (state, expected) => {
  expect(await ask({ 'ec2:DescribeVolumes': volumes('k1', null), 'kms:DescribeKey': key(state) })).toMatchObject({
    keys: expected,
  });
});

test('one disabled key among several is enough, and one that is gone is disabled', async () => {
  const script = { 'ec2:DescribeVolumes': volumes('k1', 'k2') };
  expect(await ask({ ...script, 'kms:DescribeKey': [key('Enabled'), key('Disabled')] })).toMatchObject({
    keys: 'disabled',
  });
  expect(
    await ask({ ...script, 'kms:DescribeKey': [key('Enabled'), jsonError('NotFoundException', 'no key')] }),
  ).toMatchObject({ keys: 'disabled' });
});

test('what cannot be read is said as such', async () => {
  const denied = ec2Error('UnauthorizedOperation', 'no', 403);
  expect(
    await ask(
      {
        'ec2:DescribeInstanceTypes': denied,
        'ec2:DescribeInstanceAttribute': denied,
        'ec2:DescribeVolumes': denied,
        'ec2:DescribeSpotInstanceRequests': denied,
      },
      { lifecycle: 'spot', spotRequestId: 'sir-1' },
    ),
  ).toEqual({
    instanceStore: null,
    macHost: false,
    spotRequest: 'unreadable',
    stopProtection: null,
    keys: 'unreadable',
  });
});

test('a volume that EC2 does not name, or a key that may not be looked at, is unreadable', async () => {
  expect(await ask({ 'ec2:DescribeVolumes': volumes(null) })).toMatchObject({ keys: 'unreadable' });
  expect(
    await ask({ 'ec2:DescribeVolumes': volumes('k1', null), 'kms:DescribeKey': jsonError('AccessDeniedException') }),
  ).toMatchObject({ keys: 'unreadable' });
});
