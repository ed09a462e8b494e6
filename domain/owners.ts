/** Whose an instance is, as far as its tags tell. */

/**
 * The tag keys of an instance that name an owner, sorted.
 * @param patterns `ownerTags` of the policy: a key, or the beginning of one with `*` at its end.
 */
export function ownerTagsOf(tags: Readonly<Record<string, string>>, patterns: readonly string[]): readonly string[] {
  const isOwner = (key: string) =>
    patterns.some((pattern) => (pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern));
  return Object.keys(tags).filter(isOwner).sort();
}
