/** The chaos harness: true worlds are clean and repeatable, and each planted bug is found. Seeds are those that find. */
import { live } from '../../../bench/chaos/life.ts';
import { worldOf } from '../../../bench/chaos/world.ts';
import { PLANTED_BUGS } from './plants.ts';

/** Seed of a small world in which the planted bug of an invariant shows. */
const FINDS: Readonly<Record<number, number>> = {
  1: 12,
  2: 1,
  3: 1,
  4: 1,
  5: 5,
  6: 16,
  7: 1,
  8: 3,
  9: 25,
  10: 2,
  11: 9,
  12: 2,
};

/** A world takes a second or two; more where the host is busy with other things. */
jest.setTimeout(120_000);

describe('planted bugs', () => {
  it('are one for each invariant', () => {
    expect(PLANTED_BUGS.map(({ invariant }) => invariant)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  it.each(PLANTED_BUGS)('$invariant: $bug', async ({ invariant, plant }) => {
    const { violations } = await live(FINDS[invariant] ?? 0, { plant });
    expect(violations.map((violation) => violation.invariant)).toContain(invariant);
  });
});

describe('the service as it is', () => {
  it.each(Array.from({ length: 8 }, (_, i) => 1 + i))('breaks no invariant in the world of seed %i', async (seed) => {
    const { violations } = await live(seed);
    expect(violations).toEqual([]);
  });

  it('lives a seed twice the same', async () => {
    const first = await live(5);
    const second = await live(5);
    expect(second).toEqual(first);
  });

  it('makes other worlds of other seeds', () => {
    const kinds = new Set(Array.from({ length: 60 }, (_, i) => worldOf(i + 1).kind));
    expect([...kinds].sort()).toEqual(['plan', 'storm', 'twin']);
    expect(worldOf(3)).toEqual(worldOf(3));
    expect(worldOf(3).machines).not.toEqual(worldOf(4).machines);
  });
});
