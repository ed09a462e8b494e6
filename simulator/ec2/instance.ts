/** One instance: its state machine, its addresses and tags, and what describe calls show of them. */
import type { EventLog, Machine, Random } from '../core.ts';
import { ConsoleBuffer } from './console-buffer.ts';
import type { InstanceProfile } from './profile.ts';
import { type InstanceType, instanceTypeOf, isMac } from './types.ts';

/** EC2's instance states with their documented codes. */
export const STATE_CODES = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
} as const;
export type StateName = keyof typeof STATE_CODES;

/** Every instance is in the one VPC of its cell. */
export const VPC = 'vpc-0a1b2c3d4e5f60718';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** What describe calls show of an instance; for a while after a change it may be the old one. */
export interface InstanceView {
  readonly state: StateName;
  readonly stateReason: { readonly code: string; readonly message: string } | null;
  /** StateTransitionReason: empty when nobody caused it. */
  readonly transitionReason: string;
  readonly launchTime: number;
  readonly publicIp: string | null;
  readonly tags: ReadonlyMap<string, string>;
}

/** What an instance needs of the cell it stands in. */
export interface InstanceContext {
  readonly accountId: string;
  readonly region: string;
  readonly log: EventLog;
  /** A stream of its own. */
  readonly random: Random;
  /** Longest time that describe calls may show what was before. Unit: milliseconds. */
  readonly eventualConsistencyMs: number;
  /** Whether a key can be used to start from encrypted volumes. */
  readonly keyUsable: (keyId: string) => boolean;
  /** Forgets an instance an hour after its termination. */
  readonly forget: (instance: EmbeddedInstance) => void;
}

/** An EBS volume of an instance. */
export interface Volume {
  readonly volumeId: string;
  readonly device: string;
  readonly sizeGiB: number;
  readonly kmsKeyId: string | null;
}

/** An instance of the embedded region. Its public members are the truth; API answers come from {@link EmbeddedInstance.view}. */
export class EmbeddedInstance {
  readonly instanceId: string;
  readonly profile: InstanceProfile;
  readonly type: InstanceType;
  readonly machine: Machine;
  /** Order of addition to the cell; describe calls page by it. */
  readonly sequence: number;
  readonly volumes: readonly Volume[];
  readonly spotRequestId: string | null;
  readonly privateIp: string;
  readonly reservationId: string;
  readonly networkInterfaceId: string;
  readonly availabilityZone: string;
  readonly console: ConsoleBuffer;
  readonly #context: InstanceContext;
  readonly #elasticIp: string | null;
  #now: InstanceView;
  #shown: { readonly view: InstanceView; readonly until: number } | null = null;
  #transition: NodeJS.Timeout | null = null;
  #starts = 0;
  /** A Mac host is scrubbed until then, and nothing starts on it. */
  #hostBusyUntil = 0;

  constructor(
    instanceId: string,
    sequence: number,
    profile: InstanceProfile,
    machine: Machine,
    context: InstanceContext,
  ) {
    const { random } = context;
    this.instanceId = instanceId;
    this.sequence = sequence;
    this.profile = profile;
    this.machine = machine;
    this.type = instanceTypeOf(profile.instanceType);
    this.#context = context;
    this.availabilityZone = profile.availabilityZone ?? `${context.region}a`;
    this.reservationId = `r-0${hex(random, 16)}`;
    this.networkInterfaceId = `eni-0${hex(random, 16)}`;
    this.spotRequestId = profile.spot ? `sir-${hex(random, 8)}` : null;
    this.privateIp = `10.${random.between(0, 255)}.${random.between(0, 255)}.${random.between(4, 254)}`;
    this.#elasticIp = profile.publicAddress === 'elastic' ? publicIp(random) : null;
    const rootIsEbs = (profile.rootDevice ?? 'ebs') === 'ebs';
    this.volumes = Array.from({ length: (rootIsEbs ? 1 : 0) + (profile.dataVolumes ?? 0) }, (_, i) => ({
      volumeId: `vol-0${hex(random, 16)}`,
      device: rootIsEbs && i === 0 ? this.rootDeviceName : `/dev/sd${String.fromCharCode(102 + i)}`,
      sizeGiB: rootIsEbs && i === 0 ? 30 : 100,
      kmsKeyId: profile.kmsKeyId ?? null,
    }));
    const state = profile.state ?? 'running';
    this.#now = {
      state,
      stateReason:
        state === 'stopped'
          ? { code: 'Client.UserInitiatedShutdown', message: 'Client.UserInitiatedShutdown: User initiated shutdown' }
          : null,
      transitionReason: state === 'stopped' ? `User initiated (${gmt(Date.now())})` : '',
      // EC2 gives launch times in whole seconds.
      launchTime: Math.floor(profile.launchTime / SECOND) * SECOND,
      publicIp: this.#elasticIp ?? (profile.publicAddress === 'auto' && state === 'running' ? publicIp(random) : null),
      tags: new Map(Object.entries(tagsOf(profile))),
    };
    if (state === 'stopped') machine.powerOff(Date.now());
    const datedByCall = /[13579bdf]$/.test(this.instanceId);
    const neverPosted = profile.consoleNeverPosted ?? false;
    this.console = new ConsoleBuffer(machine, random, profile.launchTime, neverPosted, datedByCall);
    if (profile.vanishAt !== undefined) later(profile.vanishAt - Date.now(), () => this.terminate('someone else'));
  }

  /** The true state, whatever describe calls still show. */
  get state(): StateName {
    return this.#now.state;
  }
  get tags(): ReadonlyMap<string, string> {
    return this.#now.tags;
  }
  get launchTime(): number {
    return this.#now.launchTime;
  }
  get rootDeviceName(): string {
    return this.profile.platform === 'windows' ? '/dev/sda1' : '/dev/xvda';
  }
  /** Whether a stop gives up data that no volume keeps. */
  get hasInstanceStore(): boolean {
    return this.type.instanceStoreGB > 0 || this.profile.rootDevice === 'instance-store';
  }

  /** What describe calls show now. */
  view(): InstanceView {
    if (this.#shown !== null && Date.now() >= this.#shown.until) this.#shown = null;
    return this.#shown?.view ?? this.#now;
  }

  #change(change: Partial<InstanceView>): void {
    const { eventualConsistencyMs, random } = this.#context;
    if (eventualConsistencyMs > 0) {
      this.#shown = { view: this.view(), until: Date.now() + random.between(0, eventualConsistencyMs) };
    }
    this.#now = { ...this.#now, ...change };
  }

  #record(what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    const { log, accountId, region } = this.#context;
    log.record({ kind: 'power', what, accountId, region, instanceId: this.instanceId, detail });
  }

  #after(milliseconds: number, then: () => void): void {
    if (this.#transition !== null) clearTimeout(this.#transition);
    this.#transition = later(milliseconds, () => {
      this.#transition = null;
      then();
    });
  }

  setTags(tags: ReadonlyMap<string, string>): void {
    this.#change({ tags: new Map(tags) });
  }

  /** Stops it; the caller checked that EC2 would accept that. `hard`: without a chance for the system to go down. */
  stop(options: { readonly force: boolean; readonly skipOsShutdown: boolean }): void {
    const { random } = this.#context;
    const clean = !options.skipOsShutdown && this.machine.shutsDownCleanly(Date.now());
    this.#change({
      state: 'stopping',
      stateReason: {
        code: 'Client.UserInitiatedShutdown',
        message: 'Client.UserInitiatedShutdown: User initiated shutdown',
      },
      transitionReason: `User initiated (${gmt(Date.now())})`,
    });
    this.#record('stopping', { clean, ...options });
    let milliseconds = clean ? random.between(20 * SECOND, 60 * SECOND) : random.between(2 * MINUTE, 4 * MINUTE);
    if (options.skipOsShutdown) milliseconds = random.between(5 * SECOND, 20 * SECOND);
    else if (options.force && !clean) milliseconds = random.between(60 * SECOND, 120 * SECOND);
    if (isMac(this.type)) milliseconds = 15 * MINUTE;
    if (this.profile.stopNeverEnds !== true) this.#after(milliseconds, () => this.#stopped());
    this.#replacedByItsOwner();
  }

  #stopped(): void {
    const { random } = this.#context;
    this.machine.powerOff(Date.now());
    if (isMac(this.type)) this.#hostBusyUntil = Date.now() + random.between(30 * MINUTE, 50 * MINUTE);
    if (this.hasInstanceStore) this.#record('loss', { of: 'instance-store' });
    if (this.#now.publicIp !== null && this.#elasticIp === null) {
      this.#record('loss', { of: 'public-address', address: this.#now.publicIp });
    }
    this.#change({ state: 'stopped', publicIp: this.#elasticIp });
    this.#record('stopped');
    this.console.transition();
  }

  /** Auto Scaling, Karpenter and fleets replace a member that does not run: the instance and what is on it are lost. */
  #replacedByItsOwner(): void {
    const owner = ['aws:autoscaling:groupName', 'karpenter.sh/nodepool', 'aws:ec2:fleet-id'].find((key) =>
      this.tags.has(key),
    );
    if (owner === undefined) return;
    later(this.#context.random.between(60 * SECOND, 120 * SECOND), () => {
      if (this.state !== 'stopping' && this.state !== 'stopped') return;
      this.#record('loss', { of: 'instance', replacedBy: owner, owner: this.tags.get(owner) });
      this.terminate(owner);
    });
  }

  /** Why a start fails at once, or null. Counts as an attempt. */
  startFailure(): { readonly code: string; readonly message: string } | null {
    const failures = this.profile.capacityFailures;
    const attempt = ++this.#starts;
    const short = attempt <= (failures?.count ?? 0) || Date.now() < (failures?.until ?? 0);
    if (short) {
      this.#record('start-refused', { for: 'capacity', attempt });
      return {
        code: 'InsufficientInstanceCapacity',
        message:
          `We currently do not have sufficient ${this.type.name} capacity in the Availability Zone you requested ` +
          `(${this.availabilityZone}). Our system will be working on provisioning additional capacity.`,
      };
    }
    if (Date.now() < this.#hostBusyUntil) {
      this.#record('start-refused', { for: 'host', attempt });
      return {
        code: 'InsufficientHostCapacity',
        message: 'There is not enough capacity on the Dedicated Host: it is pending.',
      };
    }
    return null;
  }

  /** Starts it; the caller checked its state and {@link EmbeddedInstance.startFailure}. */
  start(): void {
    const { random, keyUsable } = this.#context;
    const unusable = this.volumes.find((volume) => volume.kmsKeyId !== null && !keyUsable(volume.kmsKeyId));
    this.#change({
      state: 'pending',
      stateReason: null,
      transitionReason: '',
      launchTime: Math.floor(Date.now() / SECOND) * SECOND,
      publicIp: this.#elasticIp ?? (this.profile.publicAddress === 'auto' ? publicIp(random) : null),
    });
    this.#record('pending');
    this.#after(random.between(10 * SECOND, 30 * SECOND), () => {
      if (unusable !== undefined) {
        this.#change({
          state: 'stopped',
          publicIp: this.#elasticIp,
          stateReason: { code: 'Client.InternalError', message: 'Client.InternalError: Client error on launch' },
          transitionReason: 'Server.InternalError',
        });
        this.#record('start-failed', { key: unusable.kmsKeyId });
        return;
      }
      this.machine.powerOn(Date.now());
      this.#change({ state: 'running' });
      this.#record('running');
      this.console.transition();
    });
  }

  /** Reboots it: at once where the system goes down by itself, else EC2 resets it after about four minutes. */
  reboot(): void {
    const { random } = this.#context;
    const clean = this.machine.shutsDownCleanly(Date.now());
    this.#record('reboot', { clean });
    this.#after(clean ? random.between(2 * SECOND, 10 * SECOND) : random.between(225 * SECOND, 255 * SECOND), () => {
      this.machine.reset(Date.now());
      this.#record('reset', { clean });
      this.console.transition();
    });
  }

  /** Ends it for good, as its owner or someone else would. It is still described for an hour. */
  terminate(by: string): void {
    if (this.state === 'terminated' || this.state === 'shutting-down') return;
    this.#change({
      state: 'shutting-down',
      stateReason: {
        code: 'Client.UserInitiatedShutdown',
        message: 'Client.UserInitiatedShutdown: User initiated shutdown',
      },
      transitionReason: `User initiated (${gmt(Date.now())})`,
    });
    this.#record('shutting-down', { by });
    this.#after(30 * SECOND, () => {
      this.machine.powerOff(Date.now());
      this.#change({ state: 'terminated', publicIp: null });
      this.#record('terminated', { by });
      later(60 * MINUTE, () => this.#context.forget(this));
    });
  }
}

/** A timer of the world's clock that does not keep a process alive. */
function later(milliseconds: number, then: () => void): NodeJS.Timeout {
  const timer = setTimeout(then, Math.max(0, milliseconds));
  timer.unref();
  return timer;
}

/** So many hex digits of a stream. */
export function hex(random: Random, digits: number): string {
  let text = '';
  while (text.length < digits) text += random.between(0, 15).toString(16);
  return text;
}

function publicIp(random: Random): string {
  return `203.0.113.${random.between(1, 254)}`;
}

/** `2026-11-22 04:00:00 GMT`, as it stands in StateTransitionReason. */
function gmt(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} GMT`;
}

function tagsOf(profile: InstanceProfile): Record<string, string> {
  const tags: Record<string, string> = { ...profile.tags };
  if (profile.autoScalingGroup !== undefined) tags['aws:autoscaling:groupName'] = profile.autoScalingGroup;
  if (profile.launchTemplate !== undefined) {
    tags['aws:ec2launchtemplate:id'] = profile.launchTemplate.id;
    tags['aws:ec2launchtemplate:version'] = profile.launchTemplate.version;
  }
  return tags;
}
