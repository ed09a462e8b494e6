/** CreateTags and DeleteTags, on instances. */
import { type ApiCall, ApiError, type JsonObject, notModelled } from '../core.ts';
import { Parameters } from '../parameters.ts';
import type { CloudCell } from './cell.ts';
import type { EmbeddedInstance } from './instance.ts';

/** User tags a resource can bear; those of AWS (`aws:`) do not count. */
const MAX_TAGS = 50;

interface Tag {
  readonly key: string;
  readonly value: string | undefined;
}

function read(
  cell: CloudCell,
  call: ApiCall,
  parameters: Parameters,
  dryRun: () => void,
): { readonly instances: readonly EmbeddedInstance[]; readonly tags: readonly Tag[] } {
  const ids = parameters.strings('ResourceId');
  const tags = parameters.objects('Tag').map((raw) => {
    const tag = new Parameters(call, raw);
    const read = { key: tag.required('Key'), value: tag.string('Value') };
    tag.done();
    if (/^aws:/i.test(read.key)) {
      throw new ApiError('InvalidParameterValue', "Tag keys starting with 'aws:' are reserved for internal use");
    }
    if (read.key.length > 127) throw new ApiError('InvalidParameterValue', 'Tag key exceeds the maximum length of 127');
    if ((read.value?.length ?? 0) > 256) {
      throw new ApiError('InvalidParameterValue', 'Tag value exceeds the maximum length of 256');
    }
    return read;
  });
  parameters.done();
  if (ids.length === 0) throw new ApiError('MissingParameter', 'The request must contain the parameter resourceIdSet');
  for (const id of ids)
    if (!id.startsWith('i-')) notModelled(call, `tags of ${id}: only of instances; a resource of its kind`);
  const instances = cell.require(ids);
  dryRun();
  return { instances, tags };
}

/** CreateTags: adds or overwrites. */
export function createTags(cell: CloudCell, call: ApiCall, parameters: Parameters, dryRun: () => void): JsonObject {
  const { instances, tags } = read(cell, call, parameters, dryRun);
  if (tags.length === 0) throw new ApiError('MissingParameter', 'The request must contain the parameter tagSet');
  const after = instances.map((instance) => {
    const map = new Map(instance.tags);
    for (const { key, value } of tags) map.set(key, value ?? '');
    if ([...map.keys()].filter((key) => !key.startsWith('aws:')).length > MAX_TAGS) {
      throw new ApiError(
        'TagLimitExceeded',
        `The maximum number of tags for a resource has been reached: ${instance.instanceId}`,
      );
    }
    return [instance, map] as const;
  });
  for (const [instance, map] of after) instance.setTags(map);
  return { return: true };
}

/** DeleteTags: a tag with another value than the one named stays; without tags all user tags go. */
export function deleteTags(cell: CloudCell, call: ApiCall, parameters: Parameters, dryRun: () => void): JsonObject {
  const { instances, tags } = read(cell, call, parameters, dryRun);
  for (const instance of instances) {
    const kept = [...instance.tags].filter(([key, value]) => {
      if (tags.length === 0) return key.startsWith('aws:');
      return !tags.some((tag) => tag.key === key && (tag.value === undefined || tag.value === value));
    });
    instance.setTags(new Map(kept));
  }
  return { return: true };
}
