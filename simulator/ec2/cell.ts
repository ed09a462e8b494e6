/** One account in one region: its instances and keys. */
import { ApiError, type EventLog, type Machine, type Random } from '../core.ts';
import { EmbeddedInstance, hex } from './instance.ts';
import type { InstanceProfile } from './profile.ts';

/** State of a KMS key; `denied`: the caller may not describe it. */
export type KeyState = 'Enabled' | 'Disabled' | 'PendingDeletion' | 'denied';

/** What a key's policy says, as far as it bears on instances. */
export interface KeyRules {
  /** `AWS`: `aws/ebs`, whose policy AWS keeps. Default `CUSTOMER`. */
  readonly manager?: 'AWS' | 'CUSTOMER';
  /** Who may grant it, of those whom IAM lets: anyone, EC2 in somebody's name alone, nobody. Default `anyone`. */
  readonly grants?: 'anyone' | 'through-ec2' | 'nobody';
}

/** One account x one region of the embedded cloud. */
export class CloudCell {
  readonly accountId: string;
  readonly region: string;
  readonly #random: Random;
  readonly #log: EventLog;
  readonly #eventualConsistencyMs: number;
  readonly #instances = new Map<string, EmbeddedInstance>();
  readonly #keys = new Map<string, { readonly state: KeyState } & Required<KeyRules>>();
  #sequence = 0;

  constructor(accountId: string, region: string, random: Random, log: EventLog, eventualConsistencyMs: number) {
    this.accountId = accountId;
    this.region = region;
    this.#random = random;
    this.#log = log;
    this.#eventualConsistencyMs = eventualConsistencyMs;
  }

  /** A key of this cell, by its id (a UUID). */
  addKey(keyId: string, state: KeyState, { manager = 'CUSTOMER', grants = 'anyone' }: KeyRules = {}): void {
    this.#keys.set(keyId, { state, manager, grants: manager === 'AWS' ? 'through-ec2' : grants });
  }
  /** undefined: there is no such key. */
  keyState(keyId: string): KeyState | undefined {
    return this.#keys.get(keyId)?.state;
  }
  /** undefined: there is no such key. */
  keyRules(keyId: string): Required<KeyRules> | undefined {
    return this.#keys.get(keyId);
  }

  /** Puts an instance into the cell; its id is the profile's, or follows from the seed. */
  addInstance(profile: InstanceProfile, machine: Machine): EmbeddedInstance {
    const sequence = this.#sequence++;
    const random = this.#random.fork(`instance ${sequence}`);
    const instanceId = profile.instanceId ?? `i-0${hex(random, 16)}`;
    if (this.#instances.has(instanceId))
      throw new RangeError(`${instanceId} is already in ${this.accountId}/${this.region}`);
    const { kmsKeyId } = profile;
    if (kmsKeyId !== undefined && !this.#keys.has(kmsKeyId)) {
      throw new RangeError(`${instanceId}: no key ${kmsKeyId} in ${this.accountId}/${this.region}: call addKey first`);
    }
    const instance = new EmbeddedInstance(instanceId, sequence, profile, machine, {
      accountId: this.accountId,
      region: this.region,
      log: this.#log,
      random,
      eventualConsistencyMs: this.#eventualConsistencyMs,
      keyUsable: (keyId) => {
        const key = this.#keys.get(keyId);
        return key?.state === 'Enabled' && key.grants !== 'nobody';
      },
      forget: (gone) => this.#instances.delete(gone.instanceId),
    });
    this.#instances.set(instanceId, instance);
    return instance;
  }

  /** In EC2's order. */
  instances(): readonly EmbeddedInstance[] {
    return [...this.#instances.values()];
  }
  instance(instanceId: string): EmbeddedInstance | undefined {
    return this.#instances.get(instanceId);
  }

  /** These instances, each once; the whole call is refused where one id is malformed or unknown, as EC2 does. */
  require(instanceIds: readonly string[]): readonly EmbeddedInstance[] {
    for (const id of instanceIds) {
      if (!id.startsWith('i-'))
        throw new ApiError('InvalidInstanceID.Malformed', `Invalid id: "${id}" (expecting "i-...")`);
      if (!/^i-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id)) {
        throw new ApiError('InvalidInstanceID.Malformed', `Invalid id: "${id}"`);
      }
    }
    const unknown = [...new Set(instanceIds)].filter((id) => !this.#instances.has(id));
    if (unknown.length > 0) {
      throw new ApiError(
        'InvalidInstanceID.NotFound',
        unknown.length === 1
          ? `The instance ID '${unknown[0]}' does not exist`
          : `The instance IDs '${unknown.join(', ')}' do not exist`,
      );
    }
    return [...new Set(instanceIds)].flatMap((id) => this.#instances.get(id) ?? []);
  }
}
