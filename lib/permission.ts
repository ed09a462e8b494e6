/**
 * One row of the service's permissions: a statement beside its reason.
 *
 * How the conditions work, for all rows:
 * - `StringEquals` on a tag that is not there is false: without the opt-in tag there is no permission.
 * - `StringNotEqualsIgnoreCase` on a tag that is not there is true: only the opt-out tag's own value, however it is
 *   spelled, takes the permission away.
 * - `StringEqualsIfExists` on a tag that is not there is true: under `restart.policy: any` an owner who wrote something
 *   else than `allowed` has still not allowed it.
 * - `ForAllValues` on a key that is not in the request is true; a `Null` guard beside it demands that the key is there.
 * - `Null: false` on a tag demands that the tag is there, whatever its value.
 */

/** One statement of a role, with what it is for. */
export interface Permission {
  /** Statement id, unique within a role. */
  readonly sid: string;
  /** What breaks without it, and why it is as broad as it is. One or two sentences, for docs/permissions.md. */
  readonly reason: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}
