/** KMS of the embedded cloud: DescribeKey, and the dry run of CreateGrant. */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from './core.ts';
import type { CloudCell } from './ec2/cell.ts';
import { Parameters } from './parameters.ts';
import { denied } from './quotas.ts';

/** KMS as a service of the cloud. */
export class KmsService implements Service {
  readonly name = 'kms';
  readonly protocol = 'json-1.1';
  readonly #cellOf: (accountId: string, region: string) => CloudCell;
  constructor(cellOf: (accountId: string, region: string) => CloudCell) {
    this.#cellOf = cellOf;
  }

  isMutating(): boolean {
    return false;
  }

  handle(call: ApiCall): JsonObject {
    switch (call.action) {
      case 'DescribeKey':
        return this.#describe(call);
      case 'CreateGrant':
        return this.#createGrant(call);
      default:
        return notModelled(call, 'the action');
    }
  }

  #describe(call: ApiCall): JsonObject {
    const parameters = new Parameters(call);
    const asked = parameters.required('KeyId');
    parameters.done();
    const { keyId, arn, state, manager } = this.#key(call, asked);
    return {
      KeyMetadata: {
        AWSAccountId: call.accountId,
        KeyId: keyId,
        Arn: arn,
        Enabled: state === 'Enabled',
        KeyState: state,
        KeyUsage: 'ENCRYPT_DECRYPT',
        KeyManager: manager,
        Origin: 'AWS_KMS',
        MultiRegion: false,
      },
    };
  }

  /** Only its dry run: "the request would have succeeded" is an error too. */
  #createGrant(call: ApiCall): never {
    const parameters = new Parameters(call);
    const asked = parameters.required('KeyId');
    const grantee = parameters.required('GranteePrincipal');
    const operations = parameters.strings('Operations');
    const dryRun = parameters.boolean('DryRun');
    parameters.done();
    if (!dryRun) notModelled(call, 'a grant that is not a dry run');
    if (!/^arn:[\w-]+:(iam|sts)::\d{12}:.+/.test(grantee)) {
      throw new ApiError('InvalidArnException', `ARN does not refer to a valid principal: ${grantee}`);
    }
    if (operations.length === 0) throw new ApiError('ValidationException', 'Operations must have at least one member');
    const { arn, state, grants } = this.#key(call, asked);
    if (grants !== 'anyone') throw denied(call, `arn:aws:iam::${call.accountId}:${call.principal}`);
    if (state === 'Disabled') throw new ApiError('DisabledException', `${arn} is disabled.`);
    if (state !== 'Enabled') throw new ApiError('KMSInvalidStateException', `${arn} is pending deletion.`);
    throw new ApiError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
  }

  #key(call: ApiCall, asked: string) {
    if (asked.includes('alias/')) return notModelled(call, 'an alias as KeyId');
    const prefix = `arn:aws:kms:${call.region}:${call.accountId}:key/`;
    const keyId = asked.startsWith(prefix) ? asked.slice(prefix.length) : asked;
    const arn = asked.startsWith('arn:') ? asked : `${prefix}${keyId}`;
    const cell = this.#cellOf(call.accountId, call.region);
    const state = cell.keyState(keyId);
    const rules = cell.keyRules(keyId);
    if (state === undefined || rules === undefined) {
      throw new ApiError('NotFoundException', `Key '${arn}' does not exist`);
    }
    if (state === 'denied') throw denied(call, `arn:aws:iam::${call.accountId}:${call.principal}`);
    return { keyId, arn, state, ...rules };
  }
}
