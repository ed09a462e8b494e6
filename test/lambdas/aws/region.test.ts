/** The ports of a cell on the embedded region, which was written from AWS's documentation by other hands. */

import { sleep } from '../../../lambdas/aws/call.ts';
import { createOpenCell } from '../../../lambdas/aws/open-cell.ts';
import { type CloudCell, EmbeddedCloud } from '../../../simulator/cloud.ts';
import { EventLog } from '../../../simulator/core.ts';
import { credentialsFor } from '../../../simulator/credentials.ts';
import { inProcessHandler } from '../../../simulator/in-process.ts';
import { FakeMachine } from '../../simulator/support/fake-machine.ts';
import { inVirtualTime } from '../../support/scripted-aws.ts';
import { CELL, deployment, errorOf, instanceId, mustHave } from './support.ts';

const LAUNCHED = Date.parse('2026-11-01T00:00:00Z');

/** A region with so many instances; machines say what `text` says. */
async function inRegion<T>(
  count: number,
  work: (ports: ReturnType<ReturnType<typeof createOpenCell>>, cell: CloudCell) => Promise<T>,
  profile: object = {},
): Promise<T> {
  const { value } = await inVirtualTime(async () => {
    const cloud = new EmbeddedCloud({ seed: 7, homeAccountId: CELL.accountId, log: new EventLog() });
    const cell = cloud.cell(CELL.accountId, CELL.region);
    for (let n = 0; n < count; n++) {
      const machine = new FakeMachine();
      machine.lines.push({ at: LAUNCHED, text: `[    ${n}.000000] audit: backlog limit exceeded\n` });
      cloud.addInstance(
        cell,
        { instanceId: instanceId(n), instanceType: 'm5.large', imageId: 'ami-0a', launchTime: LAUNCHED, ...profile },
        machine,
      );
    }
    const open = createOpenCell(deployment(), {
      requestHandler: inProcessHandler(cloud) as never,
      credentials: credentialsFor(CELL.accountId),
    });
    return work(open(CELL, 1), cell);
  });
  return value;
}

test('pages of the whole region hold every instance once', async () => {
  await inRegion(57, async ({ fleet }) => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { items: readonly { instanceId: string }[]; cursor: string | null } = mustHave(
        await fleet.listInstances(cursor, 10),
      );
      seen.push(...page.items.map((i) => i.instanceId));
      cursor = page.cursor;
    } while (cursor !== null);
    expect(seen.sort()).toEqual(Array.from({ length: 57 }, (_, n) => instanceId(n)));
  });
});

test('ids that do not exist are left out of a batch', async () => {
  await inRegion(3, async ({ fleet }) => {
    const ids = [instanceId(0), instanceId(900), instanceId(1), instanceId(901), instanceId(2)];
    expect(
      mustHave(await fleet.describeInstances(ids))
        .map((i) => i.instanceId)
        .sort(),
    ).toEqual([0, 1, 2].map(instanceId));
    expect(mustHave(await fleet.statusChecks(ids))).toEqual(
      new Map([
        [instanceId(0), 'ok'],
        [instanceId(900), 'unknown'],
        [instanceId(1), 'ok'],
        [instanceId(901), 'unknown'],
        [instanceId(2), 'ok'],
      ]),
    );
  });
});

test('at the whole quota nothing is throttled', async () => {
  await inRegion(260, async ({ fleet, console, tally }) => {
    mustHave(await fleet.listInstances(null, 1000));
    const start = Date.now();
    const readings = await Promise.all(Array.from({ length: 260 }, (_, n) => console.read(instanceId(n), null)));
    expect(readings.every((r) => r.status === 'read' && r.latest && r.evidence.verdict === 'overflow')).toBe(true);
    expect(Date.now() - start).toBeLessThan(9000);
    expect(tally.take()).toEqual({ calls: { 'ec2:DescribeInstances': 1, 'ec2:GetConsoleOutput': 260 }, throttled: 0 });
  });
});

test('a Xen type costs one failed call', async () => {
  await inRegion(
    4,
    async ({ fleet, console, tally }) => {
      mustHave(await fleet.listInstances(null, 50));
      for (let n = 0; n < 4; n++) expect((await console.read(instanceId(n), null)).status).not.toBe('unreadable');
      expect(tally.take().calls['ec2:GetConsoleOutput']).toBe(5);
    },
    { instanceType: 't2.micro' },
  );
});

test('marks, stops, starts and unmarks', async () => {
  await inRegion(2, async ({ fleet, power }) => {
    const id = instanceId(1);
    const state = async () => mustHave(await fleet.describeInstances([id]))[0]!.state;
    mustHave(await power.markStopped(id, 'run-0001'));
    expect(mustHave(await power.listMarked()).map((m) => [m.instance.instanceId, m.mark.split(' ')[0]])).toEqual([
      [id, 'run-0001'],
    ]);
    mustHave(await power.stop(id));
    await sleep(900_000);
    expect(await state()).toBe('stopped');
    expect(mustHave(await power.listMarked())).toHaveLength(1);
    mustHave(await power.start(id));
    await sleep(300_000);
    expect(await state()).toBe('running');
    mustHave(await power.unmarkStopped(id));
    expect(mustHave(await power.listMarked())).toEqual([]);
    expect(errorOf(await power.stop(instanceId(900)))).toMatchObject({ code: 'InvalidInstanceID.NotFound' });
  });
});

test('reads what a stop would lose', async () => {
  const ask = (profile: object, prepare: (cell: CloudCell) => void = () => undefined) =>
    inRegion(
      0,
      async ({ fleet }, cell) => {
        prepare(cell);
        cell.addInstance(
          { instanceId: instanceId(1), instanceType: 'm5.large', imageId: 'ami-0a', launchTime: LAUNCHED, ...profile },
          new FakeMachine(),
        );
        const [instance] = mustHave(await fleet.describeInstances([instanceId(1)]));
        return { instance: instance!, facts: await fleet.preflight(instance!, []) };
      },
      {},
    );
  expect((await ask({})).facts).toEqual({
    instanceStore: false,
    macHost: false,
    spotRequest: 'none',
    stopProtection: false,
    terminatesOnShutdown: false,
    keys: 'none-needed',
    healthyTargetGroups: [],
  });
  expect((await ask({ shutdownBehavior: 'terminate' })).facts.terminatesOnShutdown).toBe(true);
  expect((await ask({ instanceType: 'm5d.large' })).facts.instanceStore).toBe(true);
  expect((await ask({ stopProtection: true })).facts.stopProtection).toBe(true);
  expect((await ask({ spot: { kind: 'one-time' } })).facts.spotRequest).toBe('one-time');
  expect((await ask({ spot: { kind: 'persistent' } })).facts.spotRequest).toBe('persistent');
  expect((await ask({ publicAddress: 'auto' })).instance.publicAddress).toBe('auto');
  expect((await ask({ publicAddress: 'elastic' })).instance.publicAddress).toBe('elastic');
  expect((await ask({ operatorManaged: 'eks.amazonaws.com' })).instance.operatorManaged).toBe(true);
});
