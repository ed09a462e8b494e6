/**
 * The whole service at work on a handful of machines, each chosen by a test, in virtual time: the handlers that Lambda
 * runs, the SDK's real clients, the runbook itself. What is checked comes from the region's own log and machines.
 */

import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { SimulatedService, type SimulatedServiceOptions } from '../../cli/simulated-service.ts';
import type { RunReport, RunRequest } from '../../domain/contracts.ts';
import type { PolicyInput } from '../../domain/policy.ts';
import type { CellMemory } from '../../domain/ports.ts';
import { createHomeClients } from '../../lambdas/aws/clients.ts';
import type { InstanceProfile } from '../../simulator/cloud.ts';
import { type Machine, type MachineTruth, Random, type WorldEvent } from '../../simulator/core.ts';
import type { CloudCell } from '../../simulator/ec2/cell.ts';
import type { EmbeddedInstance } from '../../simulator/ec2/instance.ts';
import { createLinuxMachine } from '../../simulator/guest/machine.ts';
import type { GuestProfile } from '../../simulator/guest/profile.ts';
import { consenting, DISABLED_KEY, HOUR, hung, MINUTE, overflowed, rules } from '../../simulator/kinds/kind.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';

export const HOME = { accountId: '111122223333', region: 'eu-west-1' };
/** When a small world begins. */
export const NOW = Date.UTC(2026, 10, 22, 4);
const SEED = 11;

/** One machine of a small world. */
export interface SmallMachine {
  readonly guest?: Partial<GuestProfile>;
  readonly instance?: Partial<InstanceProfile>;
  /** Default: the home region. */
  readonly region?: string;
}

/** Machines by a name that the test calls them by; their ids follow their order. */
export type SmallFleet = Readonly<Record<string, SmallMachine>>;

/** Hangs since 40 minutes ago, and may be restarted. */
export const hungMachine = (instance: Partial<InstanceProfile> = {}, now = NOW): SmallMachine => ({
  instance: consenting(instance),
  guest: hung(now),
});
/** Hangs, with data on its instance store: it can only be rebooted. */
export const rebootMachine = (): SmallMachine => hungMachine({ instanceType: 'm5d.large' });
/** Overflowed an hour ago, and answers. */
export const overflowedMachine = (instance: Partial<InstanceProfile> = {}, now = NOW): SmallMachine => ({
  instance,
  guest: overflowed(now),
});
export const healthyMachine = (): SmallMachine => ({ guest: { files: rules(8192) } });

/** Id, state and policy of a KMS key. */
export type Key = Parameters<CloudCell['addKey']>;

export interface SmallWorldOptions extends Partial<SimulatedServiceOptions> {
  readonly machines: SmallFleet;
  /** KMS keys of the home cell. */
  readonly keys?: readonly Key[];
  /** The home cell as an earlier sweep left it; null: there was none. Default: quiet, of 40 instances. */
  readonly memory?: Partial<CellMemory> | null;
}

/** Acts wherever an owner may let it act, without the caution that a handful of machines would set off. */
export const APPLY: PolicyInput = { mode: 'apply', restart: { maxPercent: 20 } };

/** A call or a power change, as the region itself noted it. */
export interface Deed {
  readonly at: number;
  readonly what: string;
  readonly instanceIds: readonly string[];
}

export class SmallWorld {
  readonly service: SimulatedService;
  readonly #ids = new Map<string, { readonly id: string; readonly region: string }>();

  constructor(options: SmallWorldOptions) {
    const { machines, memory: _memory, keys = [], ...rest } = options;
    this.service = new SimulatedService({ seed: SEED, policy: APPLY, home: HOME, ...rest });
    for (const key of keys) this.setKey(...key);
    for (const [i, [name, machine]] of Object.entries(machines).entries()) this.#add(name, i, machine);
  }

  #add(name: string, index: number, { guest = {}, instance = {}, region = HOME.region }: SmallMachine): void {
    const id = instance.instanceId ?? `i-${(index + 1).toString(16).padStart(17, '0')}`;
    const launchTime = instance.launchTime ?? Date.now() - 30 * 24 * HOUR - 130_000;
    const random = new Random(SEED).fork(`machine ${id}`);
    const identity = { instanceId: id, accountId: HOME.accountId, region, hostname: `ip-10-0-0-${index + 4}` };
    const profile: GuestProfile = { distribution: 'al2023', memoryKiB: 8_000_000, ...guest };
    const machine = createLinuxMachine(profile, random, this.service.log, identity);
    if ((instance.state ?? 'running') === 'running') machine.powerOn(launchTime);
    const cell = this.service.cloud.cell(HOME.accountId, region);
    const { kmsKeyId } = instance;
    if (kmsKeyId !== undefined && cell.keyState(kmsKeyId) === undefined) {
      cell.addKey(kmsKeyId, kmsKeyId === DISABLED_KEY ? 'Disabled' : 'Enabled');
    }
    const whole: InstanceProfile = {
      instanceType: 'm5.large',
      imageId: 'ami-0a',
      ...instance,
      instanceId: id,
      launchTime,
    };
    this.service.cloud.addInstance(cell, { ...whole, tags: { Name: name, ...instance.tags } }, machine);
    this.#ids.set(name, { id, region });
  }

  run(request: RunRequest = {}): Promise<RunReport> {
    return this.service.run(request);
  }

  /** Calls the `run` function as the console's Test does. */
  async call(event: unknown): Promise<{ ok: true; value: Record<string, unknown> } | { ok: false; message: string }> {
    const answer = await this.service.engine.invokePlain('run:live', event);
    return answer.ok
      ? { ok: true, value: JSON.parse(answer.payload) as Record<string, unknown> }
      : { ok: false, message: `${answer.errorType}: ${answer.errorMessage}` };
  }

  /** One round of `reconcile`: what it answers, or the error that Lambda would report. */
  async reconcile(): Promise<string> {
    const answer = await this.service.engine.invokePlain('reconcile:live', {});
    return answer.ok ? answer.payload : `${answer.errorType}: ${answer.errorMessage}`;
  }

  /** Writes the pause switch as a person does, by hand. */
  async pause(reason: string, until?: string): Promise<void> {
    const { table } = createHomeClients(HOME.region, this.service.wire);
    const Item = { pk: 'pause', sk: 'pause', reason, ...(until === undefined ? {} : { until }) };
    await table.send(new PutCommand({ TableName: this.service.deployment.tableName, Item }));
  }

  /** Lets virtual time pass. */
  minutes(count: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, count * MINUTE));
  }

  id(name: string): string {
    return this.#of(name).id;
  }
  nameOf(instanceId: string): string {
    for (const [name, { id }] of this.#ids) if (id === instanceId) return name;
    throw new RangeError(`no machine has the id ${instanceId}`);
  }
  names(): readonly string[] {
    return [...this.#ids.keys()];
  }
  instance(name: string): EmbeddedInstance {
    const { id, region } = this.#of(name);
    const found = this.service.cloud.find(HOME.accountId, region, id);
    if (!found) throw new RangeError(`${name} (${id}) is gone`);
    return found;
  }
  machine(name: string): Machine {
    return this.instance(name).machine;
  }
  truth(name: string): MachineTruth {
    return this.machine(name).truth(Date.now());
  }
  setTag(name: string, key: string, value: string | null): void {
    const instance = this.instance(name);
    const tags = new Map(instance.tags);
    if (value === null) tags.delete(key);
    else tags.set(key, value);
    instance.setTags(tags);
  }

  /** Makes a KMS key of the home cell, or changes what is so of it. */
  setKey(...key: Key): void {
    this.service.cloud.cell(HOME.accountId, HOME.region).addKey(...key);
  }

  /** Calls back once, as soon as something happens in the world. */
  once(when: (event: WorldEvent) => boolean, then: () => void): void {
    const end = this.service.log.onEvent((event) => {
      if (!when(event)) return;
      end();
      then();
    });
  }

  /** Power changes of this machine that took effect: `stopping`, `pending` (a start), `reboot`. */
  power(name: string): readonly string[] {
    const id = this.id(name);
    const changes = ['stopping', 'pending', 'reboot'];
    return this.service.log.events
      .filter((event) => event.kind === 'power' && event.instanceId === id && changes.includes(event.what))
      .map((event) => event.what);
  }
  /** Calls of this action that the region carried out, whatever became of the answer. */
  deeds(what: string): readonly Deed[] {
    return this.service.log.events
      .filter((event) => event.kind === 'api' && event.what === what && event.detail?.error === null)
      .map(({ at, detail }) => ({ at, what, instanceIds: detail?.ids as readonly string[] }));
  }
  /** Every call that arrived, carried out or refused. */
  attempts(what: string): number {
    return this.service.log.events.filter((event) => event.kind === 'api' && event.what === what).length;
  }
  /** Commands that SSM took, by what they were for. */
  commands(): readonly { readonly comment: string; readonly instanceIds: readonly string[] }[] {
    return this.service.log.events
      .filter((event) => event.kind === 'ssm' && event.what === 'send')
      .map(({ detail }) => ({
        comment: String(detail?.comment),
        instanceIds: detail?.instanceIds as readonly string[],
      }));
  }
  /**
   * What was done to each machine, in order: every call on it that changed something. One that nothing was done to is not
   * named. A status tag, which says what was done, is a `CreateTags` like the stop tag.
   */
  touched(since = 0): Readonly<Record<string, readonly string[]>> {
    const done: Record<string, string[]> = {};
    for (const { at, kind, what, detail } of this.service.log.events) {
      const onFleet = detail?.service === 'ec2' || detail?.service === 'ssm';
      if (at < since || kind !== 'api' || !onFleet || !detail.mutating || detail.dryRun || detail.error !== null)
        continue;
      for (const [name, { id }] of this.#ids) {
        if ((detail.ids as readonly string[]).includes(id)) done[name] = [...(done[name] ?? []), what];
      }
    }
    return done;
  }
  /** What happened on a machine by itself or by others: `boot`, `overflow`, `hang`, `reverted`, `script`, ... */
  happened(name: string, what: string): readonly WorldEvent[] {
    const id = this.id(name);
    return this.service.log.events.filter((e) => e.kind === 'guest' && e.what === what && e.instanceId === id);
  }
  /** Process number of auditd on a machine that answers; another one after a restart of it. */
  auditdPid(name: string): number {
    const { stdout } = this.machine(name).runCommand(Date.now(), 'auditctl -s');
    const pid = /^pid (\d+)$/m.exec(stdout)?.[1];
    if (pid === undefined) throw new Error(`${name} does not say which process its auditd is: ${stdout}`);
    return Number(pid);
  }
  /** The console as it stands, as text. */
  console(name: string): string {
    return Buffer.from(this.machine(name).console(Date.now())).toString();
  }
  /** Messages to people: subject and text. */
  messages(): readonly string[] {
    return this.service.news.sns.messages.map(({ subject, message }) => `${subject}\n${message}`);
  }

  #of(name: string): { readonly id: string; readonly region: string } {
    const found = this.#ids.get(name);
    if (!found) throw new RangeError(`no machine is called ${name}`);
    return found;
  }
}

/** Runs `body` in a small world, on virtual time, to its end. */
export async function inSmallWorld<T>(options: SmallWorldOptions, body: (world: SmallWorld) => Promise<T>): Promise<T> {
  const time = VirtualTime.install({ seed: SEED, start: NOW });
  try {
    const world = new SmallWorld(options);
    let ended = false;
    const life = (async () => {
      if (options.memory !== null) await remember(world.service, options.memory ?? {});
      return body(world);
    })().finally(() => {
      ended = true;
    });
    life.catch(() => undefined);
    await time.drive(() => ended, { pending: () => world.service.engine.pending() });
    return await life;
  } finally {
    time.uninstall();
  }
}

async function remember(service: SimulatedService, memory: Partial<CellMemory>): Promise<void> {
  const at = new Date(Date.now()).toISOString();
  const usual = { instances: 40, silent: 0, breakerOpen: false, quietSweeps: 0, at };
  const written = await service.hub.ledger.putCellMemory(HOME, { ...usual, ...memory });
  if (!written.ok) throw new Error(`the cell's memory was not written: ${written.error.message}`);
}

/** The action of a report on a machine of the world. */
export function actionOn(report: RunReport, world: SmallWorld, name: string) {
  const found = report.actions.find((action) => action.instanceId === world.id(name));
  if (!found) throw new Error(`the report does not speak of ${name}`);
  return found;
}

/** All that the report says of a machine to a person: reason, next step, outcome and what to do about that. */
export function saidOf(report: RunReport, world: SmallWorld, name: string): string {
  const { reason, next, outcome } = actionOn(report, world, name);
  return [reason, next, outcome?.message, outcome?.next].filter(Boolean).join('\n');
}
