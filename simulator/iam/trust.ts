/** Who may assume a role: its trust policy, over the role that asks. */
import { conditionsHold } from './conditions.ts';
import { globMatches, IamModelError, parseTrustPolicy, type TrustStatement } from './policy.ts';

/** The role that asks, as a trust policy sees it. */
export interface TrustRequest {
  /** Of the role, not of its session. */
  readonly arn: string;
  readonly accountId: string;
  /** Organization of its account; undefined: none. */
  readonly organizationId: string | undefined;
  readonly externalId: string | undefined;
}

const KEYS = new Set(['aws:principalarn', 'aws:principalaccount', 'aws:principalorgid', 'sts:externalid']);

/**
 * Whether the trust policy lets the role in; an explicit deny wins.
 *
 * @throws IamModelError for what is not modelled: sessions, users and federation among the principals, other keys.
 */
export function trusts(document: unknown, request: TrustRequest): boolean {
  const { arn, accountId, organizationId, externalId } = request;
  const context = new Map(
    Object.entries({
      'aws:principalarn': arn,
      'aws:principalaccount': accountId,
      'aws:principalorgid': organizationId,
      'sts:externalid': externalId,
    }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const matching = parseTrustPolicy(document).filter(
    (statement) =>
      statement.actions.some((action) => globMatches(action, 'sts:AssumeRole', true)) &&
      names(statement, request) &&
      conditionsHold(statement.conditions, context, (key) => KEYS.has(key)),
  );
  return matching.length > 0 && matching.every(({ effect }) => effect === 'Allow');
}

/** An account's root stands for everybody in the account whom its own policies let. A service is no role. */
function names({ principals }: TrustStatement, { arn, accountId }: TrustRequest): boolean {
  return Object.entries(principals).some(([kind, who]) => {
    if (kind === 'Service') return false;
    if (kind !== 'AWS') throw new IamModelError(`principals of kind ${kind} are not modelled`);
    return who.some((one) => {
      if (/^arn:aws:iam::\d{12}:root$/.test(one)) return one === `arn:aws:iam::${accountId}:root`;
      if (/^arn:aws:iam::\d{12}:role\/[^*]+$/.test(one)) return one === arn;
      throw new IamModelError(`the principal ${one} is not modelled`);
    });
  });
}
