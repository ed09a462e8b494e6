/** The embedded cloud: accounts and regions with their instances, and one front for every AWS client. */
import { type EventLog, type Machine, Random, type Service } from './core.ts';
import { Dispatcher, type Traffic } from './dispatch.ts';
import { CloudCell } from './ec2/cell.ts';
import type { EmbeddedInstance } from './ec2/instance.ts';
import type { InstanceProfile } from './ec2/profile.ts';
import { Ec2Service } from './ec2/service.ts';
import type { Faults } from './faults.ts';
import type { Authorise } from './iam/authoriser.ts';
import { KmsService } from './kms.ts';
import { LoadBalancingService } from './load-balancing.ts';
import type { WireAnswer, WireRequest } from './protocols.ts';
import { DOCUMENTED_QUOTAS, type QuotaTable } from './quotas.ts';
import { type EmbeddedRole, StsService } from './sts.ts';

export { credentialsFor } from './credentials.ts';
export type { Traffic } from './dispatch.ts';
export { CloudCell } from './ec2/cell.ts';
export { EmbeddedInstance } from './ec2/instance.ts';
export type { InstanceProfile } from './ec2/profile.ts';
export type { WireAnswer, WireRequest } from './protocols.ts';

/** How a cloud is set up. */
export interface CloudOptions {
  /** Same seed, same calls: same answers. */
  readonly seed: number;
  /** Account of callers whose keys say nothing. */
  readonly homeAccountId: string;
  readonly log: EventLog;
  /** Bounds of the time that an answer takes; default 20 to 80. Unit: milliseconds. */
  readonly latencyMs?: readonly [low: number, high: number];
  /** Longest time that describe calls may show what was before a change; default 0. Unit: milliseconds. */
  readonly eventualConsistencyMs?: number;
  /** Default: as AWS documents them. */
  readonly quotas?: QuotaTable;
  /** Default: none. */
  readonly faults?: Faults;
  /** Which calls IAM lets through; default: all. */
  readonly authorise?: Authorise;
}

/**
 * Holds cells (account x region) with EC2, KMS, load balancing and STS; other services are registered.
 *
 * @example
 * const cloud = new EmbeddedCloud({ seed: 7, homeAccountId: '111122223333', log: new EventLog() });
 * cloud.addInstance(cloud.cell('111122223333', 'eu-west-1'), profile, machine);
 * const ec2 = new EC2Client({ region: 'eu-west-1', credentials: credentialsFor('111122223333'), requestHandler: inProcessHandler(cloud) });
 */
export class EmbeddedCloud {
  readonly homeAccountId: string;
  readonly log: EventLog;
  readonly #options: CloudOptions;
  readonly #random: Random;
  readonly #cells = new Map<string, CloudCell>();
  readonly #dispatcher: Dispatcher;
  readonly #sts = new StsService();

  constructor(options: CloudOptions) {
    this.#options = options;
    this.homeAccountId = options.homeAccountId;
    this.log = options.log;
    this.#random = new Random(options.seed);
    this.#dispatcher = new Dispatcher({
      random: this.#random.fork('dispatch'),
      homeAccountId: options.homeAccountId,
      log: options.log,
      latencyMs: options.latencyMs ?? [20, 80],
      quotas: options.quotas ?? DOCUMENTED_QUOTAS,
      faults: options.faults ?? null,
      authorise: options.authorise ? (call) => options.authorise?.(call, this) === true : null,
    });
    const cellOf = (accountId: string, region: string): CloudCell => this.cell(accountId, region);
    this.register(new Ec2Service(cellOf));
    this.register(new KmsService(cellOf));
    this.register(new LoadBalancingService(cellOf));
    this.register(this.#sts);
  }

  /** The cell of an account and region; an empty one where nothing was put there yet. */
  cell(accountId: string, region: string): CloudCell {
    const name = `${accountId}/${region}`;
    const known = this.#cells.get(name);
    if (known !== undefined) return known;
    const { log, eventualConsistencyMs = 0 } = this.#options;
    const cell = new CloudCell(accountId, region, this.#random.fork(`cell ${name}`), log, eventualConsistencyMs);
    this.#cells.set(name, cell);
    return cell;
  }
  cells(): readonly CloudCell[] {
    return [...this.#cells.values()];
  }

  /** An instance as it truly is, whatever describe calls show; for services that look at the same machines. */
  find(accountId: string, region: string, instanceId: string): EmbeddedInstance | undefined {
    return this.cell(accountId, region).instance(instanceId);
  }
  list(accountId: string, region: string): readonly EmbeddedInstance[] {
    return this.cell(accountId, region).instances();
  }

  /** Puts an instance into a cell. */
  addInstance(cell: CloudCell, profile: InstanceProfile, machine: Machine): EmbeddedInstance {
    return cell.addInstance(profile, machine);
  }

  /** A role that AssumeRole gives keys of. */
  addRole(role: EmbeddedRole): void {
    this.#sts.addRole(role);
  }

  /** Adds a service; its name is the signing name. */
  register(service: Service): void {
    this.#dispatcher.register(service);
  }

  /** Answers one HTTP request. @throws ConnectionLost where a fault breaks the connection. */
  handle(request: WireRequest): Promise<WireAnswer> {
    return this.#dispatcher.handle(request);
  }

  /** What went through so far. */
  traffic(): Traffic {
    return this.#dispatcher.traffic();
  }
  get calls(): Traffic['calls'] {
    return this.traffic().calls;
  }
  get strikes(): Traffic['strikes'] {
    return this.traffic().strikes;
  }
  get mutatingCalls(): number {
    return this.traffic().mutatingCalls;
  }
}
