/** Which instances a run is about. */
import type { InstanceFacts } from './finding.ts';
import type { Policy } from './policy.ts';

type TagFilter = Readonly<Record<string, readonly string[]>>;

function bears(tags: Readonly<Record<string, string>>, key: string, values: readonly string[]): boolean {
  const value = tags[key];
  return value !== undefined && (values.length === 0 || values.includes(value));
}

/** Whether an instance bears every tag of a filter. An empty filter asks for nothing, so everything matches. */
export function matchesTags(instance: InstanceFacts, filter: TagFilter): boolean {
  return Object.entries(filter).every(([key, values]) => bears(instance.tags, key, values));
}

/** Why the policy's scope leaves an instance out; null when it is in scope. */
export function outOfScopeBecause(instance: InstanceFacts, scope: Policy['scope']): string | null {
  for (const [key, values] of Object.entries(scope.excludeTags)) {
    if (bears(instance.tags, key, values)) return `its tag ${key} is excluded by the policy's scope`;
  }
  for (const [key, values] of Object.entries(scope.includeTags)) {
    if (!bears(instance.tags, key, values)) return `it does not bear the tag ${key} that the policy's scope asks for`;
  }
  return null;
}
