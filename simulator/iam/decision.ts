/** What IAM says to one request of one role: an explicit deny wins, an allow is needed, nothing else counts. */
import { conditionsHold, type RequestContext } from './conditions.ts';
import { globMatches, type Statement } from './policy.ts';

/** One action on one resource. A call that names several resources is several of these, and each must be allowed. */
export interface AccessRequest {
  /** As policies write it: `ec2:StopInstances`. */
  readonly action: string;
  /** ARN; `*` where the action takes no resource, which only the pattern `*` matches. */
  readonly resource: string;
  readonly context: RequestContext;
  /** Condition keys of the action on this type of resource, in lower case; `aws:resourcetag/` stands for all of them. */
  readonly keys: ReadonlySet<string>;
}

/** The answer, and which statement gave it; `by` is null where none did. */
export interface AccessDecision {
  readonly allowed: boolean;
  readonly by: Statement | null;
}

/** @throws IamModelError where a statement that may decide holds something that is not modelled. */
export function decide(statements: readonly Statement[], request: AccessRequest): AccessDecision {
  const knows = (key: string): boolean => {
    const slash = key.indexOf('/');
    return request.keys.has(slash < 0 ? key : key.slice(0, slash + 1));
  };
  const matching = statements.filter(
    (statement) =>
      statement.actions.some((action) => globMatches(action, request.action, true)) &&
      statement.resources.some((resource) => globMatches(resource, request.resource)) &&
      conditionsHold(statement.conditions, request.context, knows),
  );
  const deny = matching.find((statement) => statement.effect === 'Deny');
  if (deny !== undefined) return { allowed: false, by: deny };
  const allow = matching.find((statement) => statement.effect === 'Allow');
  return { allowed: allow !== undefined, by: allow ?? null };
}
