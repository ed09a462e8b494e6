import fc from 'fast-check';
import { policySchema } from '../../domain/policy.ts';
import { BUFFER_BYTES, costBytes, type SizingInput, targetLimit } from '../../domain/sizing.ts';

const DEFAULTS = policySchema.parse({}).sizing;
const GIB = 1024 * 1024;
const roomy = (overflowedAt: number): SizingInput => ({ overflowedAt, totalKiB: 64 * GIB, availableKiB: 60 * GIB });

describe('sizing', () => {
  it("does the article's arithmetic", () => {
    expect(costBytes(320)).toBe(2_870_400);
    expect(costBytes(8192)).toBe(73_482_240);
  });

  it.each([
    ['a small limit goes to the minimum', roomy(64), 8192, null],
    ['half the minimum does too', roomy(4096), 8192, null],
    ['beyond that it doubles', roomy(8192), 16_384, null],
    ['up to the maximum', roomy(32_768), 65_536, null],
    ['and no further', roomy(32_769), 65_536, 'maximum'],
    ['a tenth of 512 MiB', { overflowedAt: 64, totalKiB: 512 * 1024, availableKiB: 400 * 1024 }, 5985, 'memory'],
    ['half of 32 MiB available', { overflowedAt: 64, totalKiB: 8 * GIB, availableKiB: 32 * 1024 }, 1870, 'memory'],
    ['no memory at all', { overflowedAt: 64, totalKiB: 0, availableKiB: 0 }, 0, 'memory'],
  ] as const)('%s', (_what, given, target, cappedBy) => {
    expect(targetLimit(given, DEFAULTS)).toMatchObject({ target, cappedBy });
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s', (bad) => {
    expect(() => targetLimit(roomy(bad), DEFAULTS)).toThrow(/overflowedAt must be a whole number/);
  });

  it('is the largest limit that no rule forbids: against a naive search over whole numbers', () => {
    const policies = fc.record({
      factor: fc.integer({ min: 1, max: 16 }),
      minimum: fc.integer({ min: 64, max: 700 }),
      maximum: fc.integer({ min: 700, max: 2000 }),
      memoryPercent: fc.integer({ min: 1, max: 50 }),
      restartAuditd: fc.constant('needed' as const),
      bootLimit: fc.constant(false),
    });
    const inputs = fc.record({
      overflowedAt: fc.integer({ min: 0, max: 3000 }),
      totalKiB: fc.oneof(fc.integer({ min: 0, max: 300_000 }), fc.constant(64 * GIB)),
      availableKiB: fc.oneof(fc.integer({ min: 0, max: 40_000 }), fc.constant(64 * GIB)),
    });
    const reasons = new Set<string | null>();
    fc.assert(
      fc.property(inputs, policies, (given, sizing) => {
        const fits = (n: bigint) =>
          n * BigInt(BUFFER_BYTES) * 100n <= BigInt(given.totalKiB) * 1024n * BigInt(sizing.memoryPercent) &&
          n * BigInt(BUFFER_BYTES) * 2n <= BigInt(given.availableKiB) * 1024n;
        let naive = 0;
        for (let n = 1; n <= sizing.maximum; n += 1) {
          const asked = n <= sizing.minimum || n <= sizing.factor * given.overflowedAt;
          if (asked && fits(BigInt(n))) naive = n;
        }
        const { target, cappedBy, memoryCap } = targetLimit(given, sizing);
        expect(target).toBe(naive);
        expect(fits(BigInt(memoryCap))).toBe(true);
        expect(fits(BigInt(memoryCap) + 1n)).toBe(false);
        if (cappedBy === 'memory') expect(target).toBe(memoryCap);
        if (cappedBy === 'maximum') expect(target).toBe(sizing.maximum);
        if (cappedBy === null) expect(target).toBe(Math.max(sizing.minimum, sizing.factor * given.overflowedAt));
        reasons.add(cappedBy);
      }),
      { numRuns: 1500 },
    );
    expect(reasons).toEqual(new Set([null, 'memory', 'maximum']));
  });
});
