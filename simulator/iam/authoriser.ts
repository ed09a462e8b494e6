/** IAM in front of the embedded cloud: which calls of which role go through. */
import type { ApiCall } from '../core.ts';
import { decide } from './decision.ts';
import type { Statement } from './policy.ts';
import { accessRequests, type InstanceDirectory } from './requests.ts';
import { trusts } from './trust.ts';

/** Whether the caller may make the call; asked before it has any effect. @throws IamModelError for what is not modelled. */
export type Authorise = (call: ApiCall, directory: InstanceDirectory) => boolean;

/** A call, or what a call entails, that was refused. */
export interface Denial {
  readonly principal: string;
  readonly accountId: string;
  readonly region: string;
  readonly action: string;
  readonly resource: string;
  /** Sid of the statement that forbids it, or `trust`: the role does not trust the caller; null: none allows it. */
  readonly deniedBy: string | null;
}

/** What else is known of a role. */
export interface RoleOptions {
  /** By which trust policies know it; default: its name, without a path. */
  readonly arn?: string;
  /** Its trust policy; default: it trusts nobody in any account. */
  readonly trust?: unknown;
  /** Organization of its account; default: none. */
  readonly organizationId?: string;
}

interface Role extends RoleOptions {
  readonly arn: string;
  readonly accountId: string;
  readonly statements: readonly Statement[];
}

/** Holds the policies of roles, and remembers what it refused and what it used. */
export class Iam {
  readonly denials: Denial[] = [];
  /** What could not be decided. Nothing of it went through. */
  readonly errors: Error[] = [];
  readonly #roles = new Map<string, Role>();
  readonly #used = new Set<Statement>();

  /** Gives a role of an account its policies. Twice the same role is an error. */
  addRole(accountId: string, name: string, statements: readonly Statement[], options: RoleOptions = {}): void {
    const key = `${accountId}/${name}`;
    if (this.#roles.has(key)) throw new RangeError(`the role ${key} exists already`);
    this.#roles.set(key, { arn: `arn:aws:iam::${accountId}:role/${name}`, ...options, accountId, statements });
  }

  /** For `EmbeddedCloud`'s `authorise`. The root of an account may do anything in it; an unknown role nothing. */
  readonly authorise: Authorise = (call, directory) => {
    const { accountId, region, principal } = call;
    if (principal === 'root') return true;
    try {
      const refused = accessRequests(call, directory).flatMap((request): Denial[] => {
        const { allowed, by } = decide(this.#roles.get(`${accountId}/${principal}`)?.statements ?? [], request);
        if (by !== null) this.#used.add(by);
        const { action, resource } = request;
        const denial = { principal, accountId, region, action, resource };
        if (!allowed) return [{ ...denial, deniedBy: by?.sid ?? null }];
        return this.#isTrusted(call, resource) ? [] : [{ ...denial, deniedBy: 'trust' }];
      });
      this.denials.push(...refused);
      return refused.length === 0;
    } catch (error) {
      if (error instanceof Error) this.errors.push(error);
      throw error;
    }
  };

  /** A role is assumed only if it trusts the caller as well; every other call needs nobody's trust. */
  #isTrusted({ service, action, accountId, principal, params }: ApiCall, resource: string): boolean {
    if (`${service}:${action}` !== 'sts:AssumeRole') return true;
    const caller = this.#roles.get(`${accountId}/${principal}`);
    const assumed = [...this.#roles.values()].find(({ arn }) => arn === resource);
    if (caller === undefined || assumed?.trust === undefined) return false;
    const { arn, organizationId } = caller;
    const externalId = typeof params.ExternalId === 'string' ? params.ExternalId : undefined;
    return trusts(assumed.trust, { arn, accountId, organizationId, externalId });
  }

  /** Statements that have decided nothing so far, as `account/role/Sid`. */
  unused(): readonly string[] {
    return [...this.#roles].flatMap(([role, { statements }]) =>
      statements.filter((statement) => !this.#used.has(statement)).map((statement) => `${role}/${statement.sid}`),
    );
  }
}
