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
  place: 'any',
  spotRequestId: null,
  volumeIds: ['vol-1', 'vol-2'],
  ...changes,
});

const type = (name: string, storage: boolean) =>
  xml(
    'DescribeInstanceTypes',
    `<instanceTypeSet><item><instanceType>${name}</instanceType><instanceStorageSupported>${storage}</instanceStorageSupported></item></instanceTypeSet>`,
  );
/** Both attributes at once; EC2 gives the one that was asked for. */
const protection = (on: boolean, behaviour = 'stop') =>
  xml(
    'DescribeInstanceAttribute',
    `<instanceId>${A}</instanceId><disableApiStop><value>${on}</value></disableApiStop>` +
      `<instanceInitiatedShutdownBehavior><value>${behaviour}</value></instanceInitiatedShutdownBehavior>`,
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
const key = (state: string, KeyManager = 'CUSTOMER') =>
  json({ KeyMetadata: { KeyId: 'k', KeyState: state, KeyManager } });
const GRANTABLE = jsonError('DryRunOperationException', 'The request would have succeeded.');

const PLAIN: Script = {
  'ec2:DescribeInstanceTypes': type('m5.large', false),
  'ec2:DescribeInstanceAttribute': protection(false),
  'ec2:DescribeVolumes': volumes(null, null),
  'kms:CreateGrant': GRANTABLE,
};
const ask = (script: Script, changes: Partial<InstanceFacts> = {}) =>
  openCell({ ...PLAIN, ...script }).ports.fleet.preflight(facts(changes), []);

test('an instance that loses nothing', async () => {
  expect(await ask({})).toEqual({
    instanceStore: false,
    macHost: false,
    spotRequest: 'none',
    stopProtection: false,
    terminatesOnShutdown: false,
    keys: 'none-needed',
    healthyTargetGroups: [],
  });
});

test('a type with instance storage counts as losing it, and is asked about once', async () => {
  const { ports, aws } = openCell({ ...PLAIN, 'ec2:DescribeInstanceTypes': type('m5d.large', true) });
  const instance = facts({ instanceType: 'm5d.large' });
  expect(await ports.fleet.preflight(instance, [])).toMatchObject({ instanceStore: true });
  expect(await ports.fleet.preflight(instance, [])).toMatchObject({ instanceStore: true });
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

test('shutdown behaviour: anything but a plain stop counts as termination', async () => {
  expect(await ask({ 'ec2:DescribeInstanceAttribute': protection(false, 'terminate') })).toMatchObject({
    terminatesOnShutdown: true,
  });
  const none = xml('DescribeInstanceAttribute', '<disableApiStop><value>false</value></disableApiStop>');
  expect(await ask({ 'ec2:DescribeInstanceAttribute': none })).toMatchObject({
    stopProtection: false,
    terminatesOnShutdown: null,
  });
});

describe('keys', () => {
  const K1 = 'arn:aws:kms:eu-west-1:111122223333:key/k1';
  const K2 = 'arn:aws-cn:kms:cn-north-1:999999999999:key/k2';
  const ONE = { 'ec2:DescribeVolumes': volumes(K1, null) };

  test.each<[string, Script, object]>([
    ['that is enabled and can be granted', { 'kms:DescribeKey': key('Enabled') }, { keys: 'enabled' }],
    ['that is disabled', { 'kms:DescribeKey': key('Disabled') }, { keys: 'disabled', key: K1 }],
    ['that is to be deleted', { 'kms:DescribeKey': key('PendingDeletion') }, { keys: 'disabled', key: K1 }],
    ['that is gone', { 'kms:DescribeKey': jsonError('NotFoundException') }, { keys: 'disabled', key: K1 }],
    ['that may not be looked at', { 'kms:DescribeKey': jsonError('AccessDeniedException') }, { keys: 'unreadable' }],
    [
      'that may not be granted',
      { 'kms:DescribeKey': key('Enabled'), 'kms:CreateGrant': jsonError('AccessDeniedException') },
      { keys: 'not-grantable', key: K1 },
    ],
    [
      'that was disabled a moment ago',
      { 'kms:DescribeKey': key('Enabled'), 'kms:CreateGrant': jsonError('DisabledException') },
      { keys: 'disabled', key: K1 },
    ],
    [
      'of which KMS does not say whether it can be granted',
      { 'kms:DescribeKey': key('Enabled'), 'kms:CreateGrant': jsonError('InvalidArnException') },
      { keys: 'unreadable', key: K1 },
    ],
    [
      'that was granted in earnest, which a dry run never does',
      { 'kms:DescribeKey': key('Enabled'), 'kms:CreateGrant': json({ GrantId: 'g', GrantToken: 't' }) },
      { keys: 'unreadable', key: K1 },
    ],
  ])('one %s', async (_what, script, expected) => {
    expect(await ask({ ...ONE, ...script })).toMatchObject(expected);
  });

  test('what is asked for is a dry run of the least grant there is, to our own account', async () => {
    const { ports, aws } = openCell({
      ...PLAIN,
      'ec2:DescribeVolumes': volumes(K1, K2),
      'kms:DescribeKey': key('Enabled'),
    });
    expect(await ports.fleet.preflight(facts(), [])).toMatchObject({ keys: 'enabled' });
    const asked = aws.of('kms:CreateGrant').map(({ params }) => params);
    const grantee = (partition: string) => `arn:${partition}:iam::${ports.cell.accountId}:root`;
    expect(asked).toEqual([
      { KeyId: K1, GranteePrincipal: grantee('aws'), Operations: ['DescribeKey'], DryRun: true },
      { KeyId: K2, GranteePrincipal: grantee('aws-cn'), Operations: ['DescribeKey'], DryRun: true },
    ]);
  });

  test('aws/ebs is not asked for: its policy is kept by AWS and lets EBS grant it', async () => {
    const script = {
      ...ONE,
      'kms:DescribeKey': key('Enabled', 'AWS'),
      'kms:CreateGrant': jsonError('AccessDeniedException'),
    };
    expect(await ask(script)).toMatchObject({ keys: 'enabled' });
  });

  test('one bad key among several is enough, and is named; disabled outranks what is not known', async () => {
    const script = { 'ec2:DescribeVolumes': volumes(K1, K2) };
    expect(await ask({ ...script, 'kms:DescribeKey': [key('Enabled'), key('Disabled')] })).toMatchObject({
      keys: 'disabled',
      key: K2,
    });
    const answers = [jsonError('AccessDeniedException'), key('Disabled')];
    expect(await ask({ ...script, 'kms:DescribeKey': answers })).toMatchObject({ keys: 'disabled', key: K2 });
  });

  test('a volume that EC2 does not name is unreadable', async () => {
    expect(await ask({ 'ec2:DescribeVolumes': volumes(null) })).toMatchObject({ keys: 'unreadable' });
  });
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
    terminatesOnShutdown: null,
    keys: 'unreadable',
    healthyTargetGroups: [],
  });
});
