/** KMS of the embedded cloud: DescribeKey. */
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
    if (call.action !== 'DescribeKey') return notModelled(call, 'the action');
    const parameters = new Parameters(call);
    const asked = parameters.required('KeyId');
    parameters.done();
    if (asked.includes('alias/')) return notModelled(call, 'an alias as KeyId');
    const prefix = `arn:aws:kms:${call.region}:${call.accountId}:key/`;
    const keyId = asked.startsWith(prefix) ? asked.slice(prefix.length) : asked;
    const state = this.#cellOf(call.accountId, call.region).keyState(keyId);
    if (state === undefined) {
      const arn = asked.startsWith('arn:') ? asked : `${prefix}${keyId}`;
      throw new ApiError('NotFoundException', `Key '${arn}' does not exist`);
    }
    if (state === 'denied') throw denied(call, `arn:aws:iam::${call.accountId}:${call.principal}`);
    return {
      KeyMetadata: {
        AWSAccountId: call.accountId,
        KeyId: keyId,
        Arn: `${prefix}${keyId}`,
        Enabled: state === 'Enabled',
        KeyState: state,
        KeyUsage: 'ENCRYPT_DECRYPT',
        KeyManager: 'CUSTOMER',
        Origin: 'AWS_KMS',
        MultiRegion: false,
      },
    };
  }
}
