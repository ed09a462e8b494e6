/** STS of the embedded cloud: GetCallerIdentity and AssumeRole. */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from './core.ts';
import { credentialsFor } from './credentials.ts';
import { Parameters } from './parameters.ts';

/** A role that may be assumed. */
export interface EmbeddedRole {
  readonly accountId: string;
  readonly name: string;
  /** Default: `/`. */
  readonly path?: string;
  /** Required of the caller where set. */
  readonly externalId?: string;
  /** Accounts that may assume it. */
  readonly trustedAccounts: readonly string[];
}

/** STS as a service of the cloud. */
export class StsService implements Service {
  readonly name = 'sts';
  readonly protocol = 'aws-query';
  readonly #roles = new Map<string, EmbeddedRole>();

  addRole(role: EmbeddedRole): void {
    this.#roles.set(`arn:aws:iam::${role.accountId}:role${role.path ?? '/'}${role.name}`, role);
  }

  isMutating(): boolean {
    return false;
  }

  handle(call: ApiCall): JsonObject {
    const parameters = new Parameters(call);
    if (call.action === 'GetCallerIdentity') {
      parameters.done();
      const isRoot = call.principal === 'root';
      return {
        UserId: isRoot ? call.accountId : `AROA0000${call.accountId}:session`,
        Account: call.accountId,
        Arn: arnOf(call),
      };
    }
    if (call.action === 'AssumeRole') return this.#assumeRole(call, parameters);
    return notModelled(call, 'the action');
  }

  #assumeRole(call: ApiCall, parameters: Parameters): JsonObject {
    const arn = parameters.required('RoleArn');
    const session = parameters.required('RoleSessionName');
    const externalId = parameters.string('ExternalId');
    const seconds = parameters.integer('DurationSeconds', 900, 43_200) ?? 3600;
    parameters.done();
    if (!/^[\w+=,.@-]{2,64}$/.test(session)) {
      throw new ApiError('ValidationError', `Value '${session}' at 'roleSessionName' failed to satisfy constraint`);
    }
    const role = this.#roles.get(arn);
    // One message for all: who may not assume a role learns nothing of why.
    if (
      role === undefined ||
      !role.trustedAccounts.includes(call.accountId) ||
      (role.externalId !== undefined && role.externalId !== externalId)
    ) {
      throw new ApiError(
        'AccessDenied',
        `User: ${arnOf(call)} is not authorized to perform: sts:AssumeRole on resource: ${arn}`,
        403,
      );
    }
    const expiresAt = Math.floor(Date.now() / 1000 + seconds) * 1000;
    const keys = credentialsFor(role.accountId, role.name, { name: session, expiresAt });
    return {
      Credentials: {
        AccessKeyId: keys.accessKeyId,
        SecretAccessKey: keys.secretAccessKey,
        SessionToken: keys.sessionToken,
        Expiration: new Date(expiresAt).toISOString(),
      },
      AssumedRoleUser: {
        AssumedRoleId: `AROA0000${role.accountId}:${session}`,
        Arn: `arn:aws:sts::${role.accountId}:assumed-role/${role.name}/${session}`,
      },
    };
  }
}

function arnOf(call: ApiCall): string {
  return call.principal === 'root'
    ? `arn:aws:iam::${call.accountId}:root`
    : `arn:aws:sts::${call.accountId}:assumed-role/${call.principal}/session`;
}
