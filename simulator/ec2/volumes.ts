/** DescribeVolumes and DescribeSpotInstanceRequests: what stands behind an instance. */
import { type ApiCall, ApiError, type JsonObject } from '../core.ts';
import type { Parameters } from '../parameters.ts';
import type { CloudCell } from './cell.ts';
import { type FilterTable, readFilters } from './filters.ts';
import type { EmbeddedInstance, Volume } from './instance.ts';
import { page } from './paging.ts';

interface ShownVolume {
  readonly instance: EmbeddedInstance;
  readonly volume: Volume;
  readonly sequence: number;
}

const VOLUME_FILTERS: FilterTable<ShownVolume> = {
  'volume-id': ({ volume }) => [volume.volumeId],
  'attachment.instance-id': ({ instance }) => [instance.instanceId],
  'attachment.device': ({ volume }) => [volume.device],
  encrypted: ({ volume }) => [String(volume.kmsKeyId !== null)],
};

/** Refuses the whole call where one id is unknown. */
function requireAll<T>(
  ids: readonly string[],
  items: readonly T[],
  idOf: (item: T) => string,
  code: string,
  what: string,
): readonly T[] {
  if (ids.length === 0) return items;
  const byId = new Map(items.map((item) => [idOf(item), item]));
  return [...new Set(ids)].map((id) => {
    const item = byId.get(id);
    if (item === undefined) throw new ApiError(code, `The ${what} '${id}' does not exist`);
    return item;
  });
}

/** DescribeVolumes. */
export function describeVolumes(cell: CloudCell, call: ApiCall, parameters: Parameters): JsonObject {
  const ids = parameters.strings('VolumeId');
  const maxResults = parameters.integer('MaxResults', 5, 1000);
  const token = parameters.string('NextToken');
  parameters.boolean('IncludeManagedResources');
  const filters = readFilters(call, parameters, VOLUME_FILTERS);
  parameters.done();
  if (ids.length > 0 && maxResults !== undefined) {
    throw new ApiError(
      'InvalidParameterCombination',
      'The parameter volumeSet cannot be used with the parameter maxResults',
    );
  }
  const malformed = ids.find((id) => !/^vol-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id));
  if (malformed !== undefined)
    throw new ApiError('InvalidParameterValue', `Value (${malformed}) for parameter volumeId is invalid.`);
  const all = cell
    .instances()
    .filter((instance) => instance.state !== 'terminated')
    .flatMap((instance) =>
      instance.volumes.map((volume, i) => ({ instance, volume, sequence: instance.sequence * 64 + i })),
    );
  const found = requireAll(ids, all, ({ volume }) => volume.volumeId, 'InvalidVolume.NotFound', 'volume');
  const { items, nextToken } = page(call, found.filter(filters.matches), ({ sequence }) => sequence, maxResults, token);
  return {
    volumeSet: items.map(({ instance, volume }) => ({
      volumeId: volume.volumeId,
      size: volume.sizeGiB,
      availabilityZone: instance.availabilityZone,
      status: 'in-use',
      createTime: new Date(instance.profile.launchTime).toISOString(),
      attachmentSet: [
        {
          volumeId: volume.volumeId,
          instanceId: instance.instanceId,
          device: volume.device,
          status: 'attached',
          deleteOnTermination: volume.device === instance.rootDeviceName,
        },
      ],
      volumeType: 'gp3',
      encrypted: volume.kmsKeyId !== null,
      kmsKeyId:
        volume.kmsKeyId === null ? undefined : `arn:aws:kms:${call.region}:${call.accountId}:key/${volume.kmsKeyId}`,
    })),
    nextToken,
  };
}

const SPOT_FILTERS: FilterTable<EmbeddedInstance> = {
  'instance-id': (instance) => [instance.instanceId],
  'spot-instance-request-id': (instance) => [instance.spotRequestId ?? ''],
  state: (instance) => [instance.profile.spot?.state ?? 'active'],
  type: (instance) => [instance.profile.spot?.kind ?? 'one-time'],
};

/** DescribeSpotInstanceRequests. */
export function describeSpotInstanceRequests(cell: CloudCell, call: ApiCall, parameters: Parameters): JsonObject {
  const ids = parameters.strings('SpotInstanceRequestId');
  const maxResults = parameters.integer('MaxResults', 5, 1000);
  const token = parameters.string('NextToken');
  const filters = readFilters(call, parameters, SPOT_FILTERS);
  parameters.done();
  const all = cell.instances().filter((instance) => instance.spotRequestId !== null);
  const found = requireAll(
    ids,
    all,
    (instance) => instance.spotRequestId ?? '',
    'InvalidSpotInstanceRequestID.NotFound',
    'spot instance request ID',
  );
  const { items, nextToken } = page(call, found.filter(filters.matches), ({ sequence }) => sequence, maxResults, token);
  return {
    spotInstanceRequestSet: items.map((instance) => ({
      spotInstanceRequestId: instance.spotRequestId,
      type: instance.profile.spot?.kind,
      state: instance.profile.spot?.state ?? 'active',
      status: { code: 'fulfilled', message: 'Your Spot request is fulfilled.' },
      instanceId: instance.instanceId,
      createTime: new Date(instance.profile.launchTime).toISOString(),
      productDescription: 'Linux/UNIX',
      instanceInterruptionBehavior: 'terminate',
    })),
    nextToken,
  };
}
