/** What goes wrong in a world, drawn from its seed: between the service and AWS, in AWS, and on the machines. */
import { type EventLog, Random } from '../../simulator/core.ts';
import type { EmbeddedInstance } from '../../simulator/ec2/instance.ts';
import { CrashPlan, type CrashPoint } from '../../simulator/engine/crash-plan.ts';
import { allFaults, type FaultRate, type Faults, idsOf, SeededFaults, type Strike } from '../../simulator/faults.ts';
import type { Answering } from '../../simulator/in-process.ts';
import type { WireRequest } from '../../simulator/protocols.ts';
import { MINUTE, WORKING_KEY } from './machines.ts';
import type { World } from './world.ts';

/** The tags that the design names. */
export const OPT_OUT = 'AuditBacklogRemediation';
export const CONSENT = 'AuditBacklogRestart';
export const STOPPED = 'AuditBacklogStopped';

/** A tag value that opts out, as IAM's StringNotEqualsIgnoreCase reads it. */
export function optedOut(tags: ReadonlyMap<string, string>): boolean {
  return tags.get(OPT_OUT)?.toLowerCase() === 'disabled';
}

/** Whether an owner lets this machine be restarted, as IAM's conditions read it. */
export function allowsRestart(tags: ReadonlyMap<string, string>, world: World): boolean {
  const value = tags.get(CONSENT);
  return value === 'allowed' || (value === undefined && world.policy.restart.policy === 'any');
}

/** Faults only within a window of time. */
function within(from: number, to: number, inner: Faults): Faults {
  return { strike: (call) => (Date.now() >= from && Date.now() < to ? inner.strike(call) : null) };
}

/** How bad the way to AWS is: each kind on some days not at all, on others often. */
function rates(random: Random): readonly FaultRate[] {
  const often = (most: number): number => (random.next() < 0.4 ? 0 : most * random.next());
  return [
    { name: 'throttled', kind: 'throttle', rate: often(0.06) },
    { name: 'internal error', kind: 'error-500', rate: often(0.04) },
    { name: 'lost before the effect', kind: 'lost-before', rate: often(0.04) },
    { name: 'lost after the effect', kind: 'lost-after', rate: often(0.04) },
    { name: 'slow answer', kind: 'slow', rate: often(0.03), milliseconds: 6000 },
    { name: 'answer after the time-out', kind: 'slow', rate: often(0.02), milliseconds: 20_000 },
    { name: 'power call lost after the effect', kind: 'lost-after', rate: often(0.4), calls: 'ec2:St*Instances' },
    { name: 'reboot lost after the effect', kind: 'lost-after', rate: often(0.4), calls: 'ec2:RebootInstances' },
    { name: 'power call lost before the effect', kind: 'lost-before', rate: often(0.3), calls: 'ec2:*tInstances' },
    { name: 'SendCommand lost after the effect', kind: 'lost-after', rate: often(0.4), calls: 'ssm:SendCommand' },
    { name: 'notification lost', kind: 'lost-before', rate: often(0.3), calls: 'sns:Publish' },
  ];
}

const DENIABLE = [
  'ssm:SendCommand',
  'ssm:DescribeInstanceInformation',
  'ssm:ListCommandInvocations',
  'ec2:StopInstances',
  'ec2:StartInstances',
  'ec2:RebootInstances',
  'ec2:CreateTags',
  'ec2:DeleteTags',
  'ec2:GetConsoleOutput',
  'ec2:DescribeInstances',
  'ec2:DescribeInstanceStatus',
  'ec2:DescribeVolumes',
  'elasticloadbalancing:DescribeTargetHealth',
  'kms:DescribeKey',
  'logs:PutLogEvents',
  'events:PutEvents',
] as const;

function denials(random: Random, world: World): Faults {
  const faults = Array.from({ length: random.pick([0, 0, 1, 2]) }, (): Faults => {
    const from = world.mainAt - 10 * MINUTE + random.between(0, 90) * MINUTE;
    const inner = new SeededFaults({
      seed: random.between(1, 1_000_000),
      rates: [{ name: 'denied', kind: 'denied', rate: random.pick([1, 1, 0.3]), calls: random.pick(DENIABLE) }],
    });
    return within(from, from + random.between(2, 60) * MINUTE, inner);
  });
  return allFaults(faults);
}

/** One instance whose console cannot be read, however often it is asked for. */
function blindSpot(random: Random, world: World): Faults {
  if (random.next() < 0.7) return { strike: () => null };
  const instanceId = random.pick(world.machines).planned.instanceProfile.instanceId ?? '';
  const strike: Strike = {
    name: 'console of one instance unreadable',
    kind: random.pick(['denied', 'error-500'] as const),
  };
  return {
    strike: (call) => (call.action === 'GetConsoleOutput' && idsOf(call).includes(instanceId) ? strike : null),
  };
}

/** All faults of the calls of a world, without crashes. */
export function faultsOf(world: World): Faults {
  const random = new Random(world.seed).fork('faults');
  if (!world.badWay) return { strike: () => null };
  return within(
    world.startsAt,
    world.calmAt,
    allFaults([
      denials(random, world),
      blindSpot(random, world),
      new SeededFaults({ seed: random.between(1, 1_000_000), rates: rates(random) }),
    ]),
  );
}

const PRECISE = [
  'ec2:StopInstances',
  'ec2:StartInstances',
  'ec2:RebootInstances',
  'ec2:CreateTags',
  'ec2:DeleteTags',
  'ssm:SendCommand',
  'ssm:ListCommandInvocations',
  'dynamodb:PutItem',
  'dynamodb:BatchWriteItem',
  'dynamodb:UpdateItem',
  'sns:Publish',
  'lambda:Invoke',
] as const;

/** Where functions die: at checkpoints, at any call, and at the calls that matter most. */
export function crashesOf(world: World): CrashPlan {
  if (world.kind === 'kill') return new CrashPlan();
  const random = new Random(world.seed).fork('crashes');
  const moment = () => random.pick(['before', 'after'] as const);
  const most = world.kind === 'twin' ? 4 : 8;
  const count = world.kind === 'twin' ? random.between(2, most) : random.between(0, most);
  const points = Array.from({ length: count }, (): CrashPoint => {
    const roll = random.next();
    if (roll < 0.4) return { at: 'checkpoint', number: random.between(1, 220), moment: moment() };
    if (roll < 0.6) return { at: 'call', call: '*', number: random.between(1, 700), moment: moment() };
    return { at: 'call', call: random.pick(PRECISE), number: random.between(1, 4), moment: moment() };
  });
  return new CrashPlan(points);
}

/** Pages that come shorter than they were asked for: allowed by every paged API of AWS. */
export function shortPages(world: World, log: EventLog): (cloud: Answering) => Answering {
  const random = new Random(world.seed).fork('pages');
  const share = !world.badWay || random.next() < 0.5 ? 0 : 0.2;
  return (cloud) => ({
    handle: (request) => {
      const shorter = share > 0 && random.next() < share ? shortened(request, random.between(5, 7)) : null;
      if (shorter === null) return cloud.handle(request);
      log.record({ kind: 'fault', what: 'short page' });
      return cloud.handle(shorter);
    },
  });
}

function shortened(request: WireRequest, size: number): WireRequest | null {
  const body = textOf(request.body);
  const query = /(?:^|&)MaxResults=(\d+)/.exec(body);
  const json = /"MaxResults":(\d+)/.exec(body);
  const asked = Number((query ?? json)?.[1] ?? 0);
  if (asked <= size) return null;
  const shorter = query
    ? body.replace(/((?:^|&)MaxResults=)\d+/, `$1${size}`)
    : body.replace(/"MaxResults":\d+/, `"MaxResults":${size}`);
  return {
    ...request,
    body: shorter,
    headers: { ...request.headers, 'content-length': `${Buffer.byteLength(shorter)}` },
  };
}

/** A view on the bytes: the SDK's bodies warn when they are asked for their value. */
function textOf(body: string | Uint8Array): string {
  return typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

/** What people and EC2 do to the machines meanwhile. */
export interface Doer {
  readonly log: EventLog;
  readonly instances: () => readonly EmbeddedInstance[];
  readonly setKey: (keyId: string, state: 'Enabled' | 'Disabled') => void;
  /** Holds the lease of a cell under a run that died long ago. */
  readonly ghostLease: (seconds: number) => void;
  /** Told just before the tags of an instance change. */
  readonly retag: (instance: EmbeddedInstance, tags: ReadonlyMap<string, string>) => void;
}

/** Sets the timers of a world's bad days. */
export function planEvents(world: World, doer: Doer): void {
  if (!world.badWay) return;
  const random = new Random(world.seed).fork('events');
  const { log } = doer;
  const told = (what: string, instance?: EmbeddedInstance) =>
    log.record({ kind: 'fault', what, ...(instance ? { instanceId: instance.instanceId } : {}) });
  const change = (instance: EmbeddedInstance) => {
    const tags = new Map(instance.tags);
    const roll = random.next();
    if (roll < 0.4) tags.set(OPT_OUT, 'disabled');
    else if (roll < 0.7) tags.delete(CONSENT);
    else if (roll < 0.8) tags.set(CONSENT, 'no');
    else if (roll < 0.9) tags.set('Environment', 'sandbox');
    else tags.set(CONSENT, 'allowed');
    doer.retag(instance, tags);
    told('tags changed in mid-flight', instance);
  };
  const at = (when: number, run: () => void) => setTimeout(run, Math.max(0, when - Date.now()));
  const whenever = () => world.mainAt + random.between(-10, 118) * MINUTE + random.between(0, 59_000);
  const someone = () => random.pick(doer.instances());
  const times = (most: number) => (random.next() < 0.5 ? 0 : random.between(1, most));
  for (let i = times(2); i > 0; i--) at(whenever(), () => change(someone()));
  for (let i = times(2); i > 0; i--) {
    at(whenever(), () => {
      const gone = someone();
      if (gone.state === 'terminated' || gone.state === 'shutting-down') return;
      gone.terminate('its owner');
      told('instance vanishes', gone);
    });
  }
  for (let i = times(1); i > 0; i--) {
    at(whenever(), () => {
      const stopped = someone();
      if (stopped.state !== 'running') return;
      stopped.stop({ force: false, skipOsShutdown: false });
      told('owner stops it', stopped);
    });
  }
  for (let i = times(1); i > 0; i--) {
    at(whenever(), () => {
      const rebooted = someone();
      if (rebooted.state !== 'running') return;
      rebooted.reboot();
      told('owner reboots it', rebooted);
    });
  }
  if (random.next() < 0.3) {
    at(whenever(), () => {
      doer.setKey(WORKING_KEY, 'Disabled');
      told('key disabled');
    });
  }
  // While a machine that needs it is down.
  const treacherous = random.next() < 0.5;
  log.onEvent(({ what, instanceId }) => {
    if (!treacherous || what !== 'stopping' || Date.now() >= world.calmAt) return;
    const stopping = doer.instances().find((each) => each.instanceId === instanceId);
    if (stopping?.profile.kmsKeyId !== WORKING_KEY) return;
    setTimeout(() => {
      doer.setKey(WORKING_KEY, 'Disabled');
      told('key disabled');
    }, 15_000);
  });
  if (random.next() < 0.2) at(whenever(), () => doer.ghostLease(random.between(5, 90) * 60));
  // Just after it was looked at, and just before it is acted on.
  const eager = random.next() < 0.4 ? random.between(1, 3) : 0;
  let reads = random.between(2, 40);
  let left = eager;
  log.onEvent((event) => {
    if (left === 0 || event.what !== 'GetConsoleOutput' || event.instanceId === undefined || --reads > 0) return;
    reads = random.between(2, 40);
    left--;
    const seen = doer.instances().find(({ instanceId }) => instanceId === event.instanceId);
    if (seen) setTimeout(() => change(seen), random.between(0, 90_000));
  });
}
