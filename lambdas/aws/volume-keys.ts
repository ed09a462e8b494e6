/** Whether the keys of an instance's encrypted volumes would let it start again, asked of EC2 and KMS. */
import { DescribeVolumesCommand, type Volume } from '@aws-sdk/client-ec2';
import { CreateGrantCommand, DescribeKeyCommand } from '@aws-sdk/client-kms';
import type { Cell, InstanceFacts, PreflightFacts } from '../../domain/finding.ts';
import { answered, type Caller } from './call.ts';
import type { CellClients } from './clients.ts';
import { allPages } from './pages.ts';

type VolumeKeys = Pick<PreflightFacts, 'keys' | 'key'>;

/** The keys of its encrypted volumes: whether it could start again with them. */
export async function volumeKeys(
  cell: Cell,
  instance: InstanceFacts,
  clients: CellClients,
  caller: Caller,
): Promise<VolumeKeys> {
  if (instance.volumeIds.length === 0) return { keys: 'none-needed' };
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
  if (!volumes.ok) return { keys: 'unreadable' };
  const found = new Map(volumes.value.map((volume) => [volume.VolumeId, volume]));
  const keys = new Set<string>();
  for (const id of instance.volumeIds) {
    const volume = found.get(id);
    if (volume?.Encrypted === undefined) return { keys: 'unreadable' };
    if (!volume.Encrypted) continue;
    if (!volume.KmsKeyId) return { keys: 'unreadable' };
    keys.add(volume.KmsKeyId);
  }
  if (keys.size === 0) return { keys: 'none-needed' };
  const states: { key: string; state: KeyUse }[] = [];
  for (const key of keys) states.push({ key, state: await keyUse(key, cell, instance, clients, caller) });
  for (const state of ['disabled', 'not-grantable', 'unreadable'] as const) {
    const one = states.find((s) => s.state === state);
    if (one) return { keys: state, key: one.key };
  }
  return { keys: 'enabled' };
}

type KeyUse = 'enabled' | 'disabled' | 'not-grantable' | 'unreadable';

/** Whether EC2 could be granted a key in our name, as it asks when the instance starts. */
async function keyUse(
  key: string,
  cell: Cell,
  instance: InstanceFacts,
  { kms }: CellClients,
  caller: Caller,
): Promise<KeyUse> {
  const { instanceId } = instance;
  const described = await caller.call({
    call: 'kms:DescribeKey',
    effect: 'read',
    instanceId,
    send: (options) => kms.send(new DescribeKeyCommand({ KeyId: key }), options),
  });
  if (!described.ok) return isGone(described.error.code) ? 'disabled' : 'unreadable';
  const { KeyState, KeyManager } = described.value.KeyMetadata ?? {};
  if (KeyState === undefined) return 'unreadable';
  if (KeyState !== 'Enabled') return 'disabled';
  // The policy of aws/ebs lets whoever may use EBS in its account grant it, through EBS alone: nothing to ask for.
  if (KeyManager === 'AWS') return 'enabled';
  // A dry run: KMS looks at permissions and parameters and grants nothing ("Testing your permissions", KMS developer
  // guide). What would be granted is the least there is, to our own account. It is asked for directly, so a key whose
  // policy lets us grant through EC2 alone is refused here although a start would succeed: the closed side.
  const [, partition = 'aws'] = key.split(':');
  const granted = await caller.call({
    call: 'kms:CreateGrant',
    effect: 'read',
    instanceId,
    send: (options) =>
      kms.send(
        new CreateGrantCommand({
          KeyId: key,
          GranteePrincipal: `arn:${partition}:iam::${cell.accountId}:root`,
          Operations: ['DescribeKey'],
          DryRun: true,
        }),
        options,
      ),
  });
  // A dry run never succeeds: its good answer is an error of that name.
  const code = granted.ok ? 'granted' : granted.error.code;
  if (code === 'DryRunOperationException') return 'enabled';
  if (code === 'AccessDeniedException') return 'not-grantable';
  return isGone(code) || /^(Disabled|KMSInvalidState)Exception$/.test(code) ? 'disabled' : 'unreadable';
}

/** A key that is not there any more opens no volume either. */
function isGone(code: string): boolean {
  return code === 'NotFoundException';
}
