/** IAM in front of the embedded cloud: which calls of which role go through. */
import type { ApiCall } from '../core.ts';
import { decide } from './decision.ts';
import type { Statement } from './policy.ts';
import { accessRequests, type InstanceDirectory } from './requests.ts';

/** Whether the caller may make the call; asked before it has any effect. @throws IamModelError for what is not modelled. */
export type Authorise = (call: ApiCall, directory: InstanceDirectory) => boolean;

/** A call, or what a call entails, that was refused. */
export interface Denial {
  readonly principal: string;
  readonly accountId: string;
  readonly region: string;
  readonly action: string;
  readonly resource: string;
  /** Sid of the statement that forbids it; null: none allows it. */
  readonly deniedBy: string | null;
}

/** Holds the policies of roles, and remembers what it refused and what it used. */
export class Iam {
  readonly denials: Denial[] = [];
  /** What could not be decided. Nothing of it went through. */
  readonly errors: Error[] = [];
  readonly #roles = new Map<string, readonly Statement[]>();
  readonly #used = new Set<Statement>();

  /** Gives a role of an account its policies. Twice the same role is an error. */
  addRole(accountId: string, name: string, statements: readonly Statement[]): void {
    const key = `${accountId}/${name}`;
    if (this.#roles.has(key)) throw new RangeError(`the role ${key} exists already`);
    this.#roles.set(key, statements);
  }

  /** For `EmbeddedCloud`'s `authorise`. The root of an account may do anything in it; an unknown role nothing. */
  readonly authorise: Authorise = (call, directory) => {
    const { accountId, region, principal } = call;
    if (principal === 'root') return true;
    try {
      const refused = accessRequests(call, directory).flatMap((request): Denial[] => {
        const { allowed, by } = decide(this.#roles.get(`${accountId}/${principal}`) ?? [], request);
        if (by !== null) this.#used.add(by);
        if (allowed) return [];
        const { action, resource } = request;
        return [{ principal, accountId, region, action, resource, deniedBy: by?.sid ?? null }];
      });
      this.denials.push(...refused);
      return refused.length === 0;
    } catch (error) {
      if (error instanceof Error) this.errors.push(error);
      throw error;
    }
  };

  /** Statements that have decided nothing so far, as `account/role/Sid`. */
  unused(): readonly string[] {
    return [...this.#roles].flatMap(([role, statements]) =>
      statements.filter((statement) => !this.#used.has(statement)).map((statement) => `${role}/${statement.sid}`),
    );
  }
}
