/** What was stopped and forgotten comes back, whatever is left of the service. The deployed function in a small world. */
import type { Faults } from '../../../simulator/faults.ts';
import { FLEET_KEYS } from '../../../simulator/fleet.ts';
import {
  healthyMachine,
  hungMachine,
  inSmallWorld,
  NOW,
  overflowedMachine,
  type SmallWorld,
} from '../../support/small-world.ts';

const STOP_TAG = 'AuditBacklogStopped';
const minutesAfter = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString();

/** Nobody may use the ledger any more once the service is dead. */
class LedgerLost implements Faults {
  lost = false;
  strike(call: { readonly service: string }) {
    return this.lost && call.service === 'dynamodb' ? ({ name: 'no ledger', kind: 'denied' } as const) : null;
  }
}

/** Starts an apply run and ends all its executions for good as soon as it has stopped a machine. */
async function dieAfterTheStop(world: SmallWorld, name: string): Promise<number> {
  const id = world.id(name);
  const { engine } = world.service;
  let stoppedAt = 0;
  world.once(
    ({ kind, what, instanceId }) => kind === 'power' && what === 'stopping' && instanceId === id,
    () => {
      stoppedAt = Date.now();
      for (const { arn } of engine.executions()) engine.stop(arn);
    },
  );
  const started = await world.call({ mode: 'apply' });
  if (!started.ok) throw new Error(started.message);
  await engine.settled(String(started.value.executionArn));
  expect(engine.pending()).toEqual([]);
  return stoppedAt;
}

/** As the schedule does, every five minutes. */
async function rounds(world: SmallWorld, count: number): Promise<string[]> {
  const answers: string[] = [];
  for (let i = 0; i < count; i++) {
    await world.minutes(5);
    answers.push(await world.reconcile());
  }
  return answers;
}

describe('reconcile', () => {
  test('starts what a dead service stopped, within 25 minutes, tells a person, and needs no ledger', () => {
    const faults = new LedgerLost();
    return inSmallWorld({ machines: { hung: hungMachine(), well: healthyMachine() }, faults }, async (world) => {
      const stoppedAt = await dieAfterTheStop(world, 'hung');
      faults.lost = true;
      expect(world.instance('hung').tags.get(STOP_TAG)).toBeDefined();
      await rounds(world, 3);
      expect(world.instance('hung').state).toBe('stopped');
      await rounds(world, 3);
      expect(world.instance('hung').state).toBe('running');
      expect(world.power('hung')).toEqual(['stopping', 'pending']);
      const start = world.deeds('StartInstances')[0];
      expect(((start?.at ?? 0) - stoppedAt) / 60_000).toBeLessThanOrEqual(25);
      const told = world.messages().filter((text) => text.includes(world.id('hung')));
      expect(told).toHaveLength(1);
      expect(told[0]).toMatch(/was started by reconcile/);
      await rounds(world, 12);
      expect(world.instance('hung').tags.has(STOP_TAG)).toBe(false);
      expect(world.deeds('StartInstances')).toHaveLength(1);
      expect(world.service.cloud.strikes).toEqual({});
      expect(world.power('well')).toEqual([]);
    });
  });

  test('what nobody could be told of fails the round, and what was started stays started', () => {
    let mute = false;
    const faults: Faults = {
      strike: (call) => (mute && call.service === 'sns' ? { name: 'mute', kind: 'denied' } : null),
    };
    return inSmallWorld({ machines: { hung: hungMachine(), well: healthyMachine() }, faults }, async (world) => {
      await dieAfterTheStop(world, 'hung');
      mute = true;
      const failed = (await rounds(world, 6)).filter((answer) => answer.startsWith('ReconcileIncompleteError'));
      expect(failed).toHaveLength(1);
      expect(failed[0]).toMatch(/sns:Publish/);
      expect(failed[0]).toContain(world.id('hung'));
      expect(world.instance('hung').state).toBe('running');
    });
  });

  test('starts it also when its owner has opted out meanwhile: what we stopped, we start', () =>
    inSmallWorld({ machines: { hung: hungMachine() } }, async (world) => {
      await dieAfterTheStop(world, 'hung');
      world.setTag('hung', 'AuditBacklogRemediation', 'disabled');
      await rounds(world, 6);
      expect(world.instance('hung').state).toBe('running');
    }));

  test('a machine that falls back to stopped after each start is an error at every round, not a success', () => {
    const mark = { [STOP_TAG]: `m-20261122T040000Z-abcd ${minutesAfter(-10)}` };
    const instance = { state: 'stopped' as const, tags: mark, kmsKeyId: FLEET_KEYS[0]?.keyId ?? '' };
    return inSmallWorld({ machines: { locked: { instance } } }, async (world) => {
      const answers = await rounds(world, 5);
      expect(world.attempts('StartInstances')).toBeGreaterThan(1);
      expect(world.instance('locked').state).not.toBe('running');
      const [first, ...later] = answers.filter(
        (answer) => answer.includes(world.id('locked')) && !answer.includes('short time'),
      );
      expect(first).toMatch(/^\{"started":\["i-/);
      expect(later.length).toBeGreaterThan(0);
      for (const answer of later) {
        expect(answer).toMatch(/^ReconcileIncompleteError: .*StartHadNoEffect.*Client\.InternalError/);
      }
      const texts = world.messages().filter((text) => text.includes(world.id('locked')));
      expect(texts.at(-1)).toMatch(/reconcile met errors\n.*Client error on launch/);
    });
  });

  test('leaves stops that are not ours', () => {
    const stopped = (mark: string | null) => ({
      instance: { state: 'stopped' as const, tags: mark === null ? {} : { [STOP_TAG]: mark } },
    });
    const machines = {
      unmarked: stopped(null),
      markedLongBefore: stopped(`m-20261122T020000Z-abcd ${minutesAfter(-31)}`),
      markedWithoutTime: stopped('by hand'),
      ours: stopped(`m-20261122T040000Z-abcd ${minutesAfter(-29)}`),
    };
    return inSmallWorld({ machines }, async (world) => {
      await rounds(world, 12);
      const states = Object.fromEntries(world.names().map((name) => [name, world.instance(name).state]));
      expect(states).toEqual({
        unmarked: 'stopped',
        markedLongBefore: 'stopped',
        markedWithoutTime: 'stopped',
        ours: 'running',
      });
      expect(world.attempts('StartInstances')).toBe(1);
    });
  });

  test('removes a tag left on a running machine after an hour, not before, and touches nothing else', () => {
    const marked = { instance: { tags: { [STOP_TAG]: `m-20261122T040000Z-abcd ${minutesAfter(0)}` } } };
    return inSmallWorld({ machines: { marked, sick: overflowedMachine() } }, async (world) => {
      await rounds(world, 11);
      expect(world.instance('marked').tags.has(STOP_TAG)).toBe(true);
      await rounds(world, 2);
      expect(world.instance('marked').tags.has(STOP_TAG)).toBe(false);
      expect(world.service.cloud.mutatingCalls).toBe(1);
      expect(world.power('marked')).toEqual([]);
    });
  });

  test('an error that went and comes back is told at once, and so is another one', () => {
    let denied: readonly string[] = [];
    const faults: Faults = {
      strike: ({ service, region }) =>
        service === 'ec2' && denied.includes(region) ? { name: 'no', kind: 'denied' } : null,
    };
    const policy = { mode: 'apply' as const, scope: { regions: ['eu-west-1', 'us-east-1'] } };
    return inSmallWorld({ machines: { well: healthyMachine() }, faults, policy }, async (world) => {
      const told: number[] = [];
      for (const now of [['us-east-1'], ['us-east-1'], [], ['us-east-1'], ['eu-west-1', 'us-east-1'], ['eu-west-1']]) {
        denied = now;
        await rounds(world, 1);
        told.push(world.messages().length);
      }
      expect(told).toEqual([1, 1, 1, 2, 3, 3]);
      expect(world.messages()[2]).toMatch(/eu-west-1/);
      expect(world.messages()[2]).not.toMatch(/us-east-1/);
    });
  });

  test('a region that does not answer hides nothing of the others, fails the function and tells a person', () => {
    const mark = { [STOP_TAG]: `m-20261122T040000Z-abcd ${minutesAfter(0)}` };
    const faults: Faults = {
      strike: ({ service, region }) =>
        service === 'ec2' && region === 'us-east-1' ? { name: 'denied there', kind: 'denied' } : null,
    };
    const machines = {
      here: { instance: { state: 'stopped' as const, tags: mark } },
      there: { instance: { state: 'stopped' as const, tags: mark }, region: 'us-east-1' },
    };
    const policy = { mode: 'apply' as const, scope: { regions: ['eu-west-1', 'us-east-1'] } };
    return inSmallWorld({ machines, faults, policy }, async (world) => {
      const answers = await rounds(world, 5);
      expect(world.instance('here').state).not.toBe('stopped');
      expect(world.instance('there').state).toBe('stopped');
      for (const answer of answers) {
        expect(answer).toMatch(/^ReconcileIncompleteError: .*ec2:DescribeInstances.*UnauthorizedOperation.*us-east-1/);
      }
      // The alarm stands at every round; the message comes once an hour.
      const told = () => world.messages().filter((text) => /reconcile met errors\n.*us-east-1/.test(text)).length;
      expect(told()).toBe(1);
      await rounds(world, 7);
      expect(told()).toBe(1);
      await rounds(world, 2);
      expect(told()).toBe(2);
      await rounds(world, 5);
      expect(told()).toBe(2);
    });
  });
});
