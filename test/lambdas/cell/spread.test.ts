/** Restarts spread over zones and over what belongs together: the bounds hold on the machines themselves. */
import type { PolicyInput } from '../../../domain/policy.ts';
import {
  actionOn,
  HOME,
  healthyMachine,
  hungMachine,
  inSmallWorld,
  type SmallFleet,
  type SmallWorld,
} from '../../support/small-world.ts';

const node = (cluster: string, zone = 'a') =>
  hungMachine({ tags: { cluster }, availabilityZone: `${HOME.region}${zone}` });
const machines: SmallFleet = {
  red1: node('red'),
  red2: node('red', 'b'),
  red3: node('red', 'c'),
  blue1: node('blue'),
  blue2: node('blue', 'b'),
  alone: hungMachine({ availabilityZone: `${HOME.region}b` }),
};
const policy = (spread: object): PolicyInput => ({
  mode: 'apply',
  restart: { maxPercent: 100, maxInFlight: 3, spread },
});

/** The most machines of a group that were down at once. */
function mostDown(world: SmallWorld, groupOf: (name: string) => string | null): () => number {
  let most = 0;
  world.service.log.onEvent(({ kind }) => {
    if (kind !== 'power') return;
    const down = world.names().filter((name) => world.instance(name).state !== 'running');
    const groups = down.flatMap((name) => groupOf(name) ?? []);
    most = Math.max(most, ...groups.map((one) => groups.filter((other) => other === one).length));
  });
  return () => most;
}
const clusterOf = (world: SmallWorld) => (name: string) => world.instance(name).tags.get('cluster') ?? null;
const zoneOf = (world: SmallWorld) => (name: string) => world.instance(name).availabilityZone;

test.each<[string, object, { cluster: number; zone: number; all: number }]>([
  ['without bounds', {}, { cluster: 2, zone: 2, all: 3 }],
  ['one of a cluster at once', { tag: 'cluster' }, { cluster: 1, zone: 2, all: 3 }],
  ['one of a zone at once', { maxPerZone: 1 }, { cluster: 2, zone: 1, all: 3 }],
  [
    'two of a cluster, one of a zone',
    { tag: 'cluster', maxPerTagValue: 2, maxPerZone: 1 },
    { cluster: 2, zone: 1, all: 3 },
  ],
])('%s: everybody is restarted', (_what, spread, most) =>
  inSmallWorld({ machines, policy: policy(spread) }, async (world) => {
    const cluster = mostDown(world, clusterOf(world));
    const zone = mostDown(world, zoneOf(world));
    const all = mostDown(world, () => 'all');
    const report = await world.run();
    expect(report.totals).toMatchObject({ affected: 6, restarted: 6 });
    expect({ cluster: cluster(), zone: zone(), all: all() }).toEqual(most);
  }),
);

test('what another run has in cure counts, and who waits for it is put off, naming the bound', () =>
  inSmallWorld(
    {
      machines: { ...machines, inCure: { ...healthyMachine(), instance: { tags: { cluster: 'red' } } } },
      policy: policy({ tag: 'cluster' }),
    },
    async (world) => {
      const lease = `instance#${HOME.accountId}/${HOME.region}/${world.id('inCure')}`;
      await world.service.hub.ledger.acquireLease(lease, 'm-another', 3600);
      const report = await world.run();
      expect(report.totals).toMatchObject({ affected: 6, restarted: 3, deferred: 3 });
      for (const name of ['red1', 'red2', 'red3']) {
        expect(actionOn(report, world, name)).toMatchObject({
          action: 'defer',
          code: 'restart-budget',
          reason: 'Not in this run: down with cluster=red already: 1, and restart.spread.maxPerTagValue is 1.',
        });
        expect(world.power(name)).toEqual([]);
      }
    },
  ));
