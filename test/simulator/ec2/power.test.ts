import {
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeInstancesCommand,
  type EC2Client,
  GetConsoleOutputCommand,
  type Instance,
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { EmbeddedCloud } from '../../../simulator/cloud.ts';
import { add, ec2Of, failure, fakeTime, HOME, live, makeCloud, pass, REGION, START } from '../support/cloud.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
let cloud: EmbeddedCloud;
let ec2: EC2Client;
beforeEach(() => {
  fakeTime();
  cloud = makeCloud();
  ec2 = ec2Of(cloud);
});
afterEach(() => jest.useRealTimers());

const stop = (id: string, more: object = {}) => ec2.send(new StopInstancesCommand({ InstanceIds: [id], ...more }));
const start = (id: string) => ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
const reboot = (id: string) => ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
async function shown(id: string): Promise<Instance | undefined> {
  const answer = await live(ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] })));
  return answer.Reservations?.[0]?.Instances?.[0];
}
/** When things happened to an instance, by word, in milliseconds since the test began. */
function power(id: string): Record<string, number> {
  const events = cloud.log.events.filter((event) => event.kind === 'power' && event.instanceId === id);
  return Object.fromEntries(events.map((event) => [event.what, event.at - START]));
}
const losses = (id: string) =>
  cloud.log.events.filter((e) => e.what === 'loss' && e.instanceId === id).map((e) => e.detail?.of);

describe('stop and start', () => {
  test('go through the states in time, renew the launch time and the public address, and use the power button', async () => {
    const { id, machine } = add(cloud, { publicAddress: 'auto' });
    const address = (await shown(id))?.PublicIpAddress;
    const answer = await live(stop(id));
    expect(answer.StoppingInstances).toEqual([
      { InstanceId: id, PreviousState: { Code: 16, Name: 'running' }, CurrentState: { Code: 64, Name: 'stopping' } },
    ]);
    expect(machine.calls).toEqual([]);
    await pass(61 * SECOND);
    const stopped = await shown(id);
    expect(stopped).toMatchObject({
      State: { Name: 'stopped' },
      StateReason: { Code: 'Client.UserInitiatedShutdown' },
    });
    expect(stopped?.StateTransitionReason).toBe('User initiated (2026-11-22 04:00:00 GMT)');
    expect(stopped?.PublicIpAddress).toBeUndefined();
    expect(losses(id)).toEqual(['public-address']);
    await live(start(id));
    expect((await shown(id))?.State?.Name).toBe('pending');
    await pass(31 * SECOND);
    const running = await shown(id);
    expect(running?.State?.Name).toBe('running');
    expect(running?.StateReason).toBeUndefined();
    expect(running?.LaunchTime?.getTime()).toBeGreaterThanOrEqual(START + 61 * SECOND);
    expect(running?.PublicIpAddress).not.toBe(address);
    expect(machine.calls).toEqual(['powerOff', 'powerOn']);
    const { stopping = 0, stopped: at = 0 } = power(id);
    expect(at - stopping).toBeGreaterThanOrEqual(20 * SECOND);
  });

  test('a hung machine takes minutes until the hard shutdown', async () => {
    const { id, machine } = add(cloud);
    machine.clean = false;
    await live(stop(id));
    await pass(119 * SECOND);
    expect((await shown(id))?.State?.Name).toBe('stopping');
    await pass(2 * MINUTE + 2 * SECOND);
    expect((await shown(id))?.State?.Name).toBe('stopped');
  });

  test('are idempotent: a second one changes nothing', async () => {
    const { id, machine } = add(cloud);
    await live(start(id));
    await live(stop(id));
    await live(stop(id));
    await pass(MINUTE + SECOND);
    const again = await live(stop(id));
    expect(again.StoppingInstances?.[0]).toMatchObject({
      PreviousState: { Name: 'stopped' },
      CurrentState: { Name: 'stopped' },
    });
    expect(machine.calls).toEqual(['powerOff']);
  });

  test.each([
    ['instance store root', { rootDevice: 'instance-store' }, 'UnsupportedOperation'],
    ['one-time Spot', { spot: { kind: 'one-time' } }, 'UnsupportedOperation'],
    ['cancelled Spot', { spot: { kind: 'persistent', state: 'cancelled' } }, 'UnsupportedOperation'],
    ['stop protection', { stopProtection: true }, 'OperationNotPermitted'],
    ['a managing service', { operatorManaged: 'eks.amazonaws.com' }, 'OperationNotPermitted'],
  ] as const)('a stop is refused for %s, and the other instances of the call stay up', async (_why, profile, code) => {
    const bad = add(cloud, profile);
    const good = add(cloud);
    const error = await failure(ec2.send(new StopInstancesCommand({ InstanceIds: [good.id, bad.id] })));
    expect(error.name).toBe(code);
    expect(error.message).toContain(bad.id);
    expect([good.instance.state, bad.instance.state]).toEqual(['running', 'running']);
  });

  test('persistent Spot can be stopped', async () => {
    const { id, instance } = add(cloud, { spot: { kind: 'persistent' } });
    await live(stop(id));
    expect(instance.state).toBe('stopping');
  });

  test('IncorrectInstanceState: start while stopping, reboot while stopped, stop after the end', async () => {
    const { id, instance } = add(cloud);
    await live(stop(id));
    expect((await failure(start(id))).name).toBe('IncorrectInstanceState');
    await pass(MINUTE + SECOND);
    expect((await failure(reboot(id))).name).toBe('IncorrectInstanceState');
    instance.terminate('test');
    expect((await failure(stop(id))).name).toBe('IncorrectInstanceState');
  });

  test('DryRun answers 412 and changes nothing, but looks at the ids', async () => {
    const { id, instance } = add(cloud);
    const dry = await failure(stop(id, { DryRun: true }));
    expect([dry.name, dry.$metadata?.httpStatusCode]).toEqual(['DryRunOperation', 412]);
    expect((await failure(stop('i-01234567890abcdef', { DryRun: true }))).name).toBe('InvalidInstanceID.NotFound');
    expect(instance.state).toBe('running');
    expect(cloud.mutatingCalls).toBe(0);
  });

  test('capacity: so many starts fail, or all until a time', async () => {
    const counted = add(cloud, { state: 'stopped', capacityFailures: { count: 1 } });
    const timed = add(cloud, { state: 'stopped', capacityFailures: { until: START + MINUTE } });
    const error = await failure(start(counted.id));
    expect([error.name, error.$metadata?.httpStatusCode]).toEqual(['InsufficientInstanceCapacity', 500]);
    await live(start(counted.id));
    expect(counted.instance.state).toBe('pending');
    expect((await failure(start(timed.id))).name).toBe('InsufficientInstanceCapacity');
    await pass(MINUTE);
    await live(start(timed.id));
    expect(timed.instance.state).toBe('pending');
  });

  test('a disabled key: the start succeeds, and the instance falls back to stopped with a reason', async () => {
    cloud.cell(HOME, REGION).addKey('key-1', 'Disabled');
    const { id, machine } = add(cloud, { state: 'stopped', kmsKeyId: 'key-1' });
    expect((await live(start(id))).StartingInstances?.[0]?.CurrentState?.Name).toBe('pending');
    await pass(31 * SECOND);
    expect(await shown(id)).toMatchObject({
      State: { Name: 'stopped' },
      StateReason: { Code: 'Client.InternalError' },
    });
    expect(machine.calls).toEqual(['powerOff']);
  });

  test('instance store data is lost by a stop, and the world remembers', async () => {
    const { id } = add(cloud, { instanceType: 'm5d.large' });
    await live(stop(id));
    await pass(MINUTE);
    expect(losses(id)).toEqual(['instance-store']);
  });

  test('an Auto Scaling group terminates a stopped member; a rebooted one stays', async () => {
    const stopped = add(cloud, { autoScalingGroup: 'web' });
    const rebooted = add(cloud, { autoScalingGroup: 'web' });
    await live(stop(stopped.id));
    await live(reboot(rebooted.id));
    await pass(5 * MINUTE);
    expect(losses(stopped.id)).toContain('instance');
    expect([stopped.instance.state, rebooted.instance.state]).toEqual(['terminated', 'running']);
    expect((await failure(start(stopped.id))).name).toBe('IncorrectInstanceState');
  });

  test('a Mac takes a quarter of an hour to stop, and its host is not ready for long after', async () => {
    const { id, instance } = add(cloud, { instanceType: 'mac1.metal' });
    await live(stop(id));
    await pass(14 * MINUTE);
    expect(instance.state).toBe('stopping');
    await pass(MINUTE + SECOND);
    expect((await failure(start(id))).name).toBe('InsufficientHostCapacity');
    await pass(50 * MINUTE);
    await live(start(id));
    expect(instance.state).toBe('pending');
  });
});

describe('reboot', () => {
  test('keeps state, launch time and address, and is quick where the system goes down by itself', async () => {
    const { id, machine } = add(cloud, { publicAddress: 'auto' });
    const before = await shown(id);
    await live(reboot(id));
    expect((await shown(id))?.State?.Name).toBe('running');
    await pass(10 * SECOND);
    expect(machine.calls).toEqual(['reset']);
    expect(await shown(id)).toEqual(before);
    expect(losses(id)).toEqual([]);
  });

  test('is forced after about four minutes on a hung machine', async () => {
    const { id, machine } = add(cloud);
    machine.clean = false;
    await live(reboot(id));
    await pass(220 * SECOND);
    expect(machine.calls).toEqual([]);
    await pass(36 * SECOND);
    expect(machine.calls).toEqual(['reset']);
  });
});

describe('GetConsoleOutput', () => {
  const read = async (InstanceId: string, Latest?: boolean) => {
    const command = new GetConsoleOutputCommand({ InstanceId, ...(Latest === undefined ? {} : { Latest }) });
    const answer = await live(ec2.send(command));
    const text = answer.Output === undefined ? undefined : Buffer.from(answer.Output, 'base64').toString();
    return { text, at: answer.Timestamp?.getTime() };
  };

  test('with Latest shows all until now; without it what was posted minutes after the launch', async () => {
    const { id, machine } = add(cloud, { instanceId: 'i-00000000000000002', launchTime: START - 60 * MINUTE });
    machine.lines.push({ at: START - 60 * MINUTE, text: 'boot\n' }, { at: START - MINUTE, text: 'storm\n' });
    expect(await read(id, true)).toEqual({ text: 'boot\nstorm\n', at: START - MINUTE });
    const posted = await read(id);
    expect(posted.text).toBe('boot\n');
    expect(posted.at).toBeLessThan(START - 54 * MINUTE);
    await live(reboot(id));
    await pass(3 * MINUTE);
    expect((await read(id)).text).toBe('boot\n');
    await pass(2 * MINUTE);
    expect((await read(id)).text).toBe('boot\nstorm\n');
  });

  test('of every other instance carries the time of the call, with Latest', async () => {
    const { id, machine } = add(cloud, { instanceId: 'i-00000000000000003' });
    machine.lines.push({ at: START - MINUTE, text: 'storm\n' });
    expect(await read(id, true)).toEqual({ text: 'storm\n', at: START });
  });

  test('has no Output where nothing was written or posted', async () => {
    const silent = add(cloud).id;
    const unposted = add(cloud, { consoleNeverPosted: true });
    unposted.machine.lines.push({ at: START - MINUTE, text: 'x' });
    const fresh = add(cloud, { launchTime: START - MINUTE });
    fresh.machine.lines.push({ at: START - MINUTE, text: 'x' });
    expect((await read(silent, true)).text).toBeUndefined();
    expect((await read(unposted.id)).text).toBeUndefined();
    expect((await read(fresh.id)).text).toBeUndefined();
    expect((await read(fresh.id, true)).text).toBe('x');
  });

  test('keeps the last 64 KB, as bytes', async () => {
    const { id, machine } = add(cloud);
    machine.lines.push({ at: START - MINUTE, text: `first${'x'.repeat(65_536 - 4)}last` });
    const { text } = await read(id, true);
    expect(text).toHaveLength(65_536);
    expect(text?.endsWith('last')).toBe(true);
  });

  test.each(['m4.large', 'i3.large'])('%s does not know Latest', async (instanceType) => {
    const { id, machine } = add(cloud, { instanceType });
    machine.lines.push({ at: START - 1439 * MINUTE, text: 'boot\n' });
    const error = await failure(ec2.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true })));
    expect(error.name).toBe('UnsupportedOperation');
    expect(error.message).toBe('This instance type does not support retrieving the latest console logs');
    expect((await read(id)).text).toBe('boot\n');
  });

  test('a Mac host has no console, with or without Latest', async () => {
    const { id } = add(cloud, { instanceType: 'mac1.metal' });
    for (const Latest of [true, false]) {
      const error = await failure(ec2.send(new GetConsoleOutputCommand({ InstanceId: id, Latest })));
      expect(error.name).toBe('UnsupportedOperation');
    }
  });
});

describe('tags', () => {
  const tag = (id: string, Key: string, Value?: string) =>
    new CreateTagsCommand({ Resources: [id], Tags: [{ Key, ...(Value === undefined ? {} : { Value }) }] });
  const untag = (id: string, Key: string, Value?: string) =>
    new DeleteTagsCommand({ Resources: [id], Tags: [{ Key, ...(Value === undefined ? {} : { Value }) }] });

  test('are added, overwritten, and removed only where the value agrees', async () => {
    const { id, instance } = add(cloud, { tags: { a: '1' } });
    await live(ec2.send(tag(id, 'a', '2')));
    await live(ec2.send(tag(id, 'b', 'x')));
    await live(ec2.send(untag(id, 'a', '1')));
    expect(Object.fromEntries(instance.tags)).toEqual({ a: '2', b: 'x' });
    await live(ec2.send(untag(id, 'a', '2')));
    await live(ec2.send(untag(id, 'b')));
    expect(instance.tags.size).toBe(0);
  });

  test('may be as long as documented, and no longer', async () => {
    const { id, instance } = add(cloud);
    await live(ec2.send(tag(id, 'k'.repeat(127), 'v'.repeat(256))));
    expect(instance.tags.get('k'.repeat(127))).toHaveLength(256);
    expect((await failure(ec2.send(tag(id, 'k'.repeat(128), 'v')))).name).toBe('InvalidParameterValue');
    expect((await failure(ec2.send(tag(id, 'k', 'v'.repeat(257))))).name).toBe('InvalidParameterValue');
  });

  test('are refused beyond 50 and in the name of aws:', async () => {
    const tags = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, '']));
    const { id, instance } = add(cloud, { tags, autoScalingGroup: 'g' });
    await live(ec2.send(tag(id, 'k0', 'new')));
    expect((await failure(ec2.send(tag(id, 'k50', '')))).name).toBe('TagLimitExceeded');
    expect((await failure(ec2.send(tag(id, 'aws:x', '')))).name).toBe('InvalidParameterValue');
    expect(instance.tags.has('k50')).toBe(false);
  });
});
