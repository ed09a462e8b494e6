import * as fc from 'fast-check';
import type { ActionEntry } from '../../domain/contracts.ts';
import { entryDigest, planDigest, sealPlan, whyAltered } from '../../lambdas/plan-digest.ts';

const entry = (n: number, changes: Partial<ActionEntry> = {}): ActionEntry => ({
  instanceId: `i-${String(n).padStart(17, '0')}`,
  accountId: '111122223333',
  region: 'eu-west-1',
  action: 'resize',
  code: 'resize',
  reason: 'It overflowed.',
  next: '',
  method: null,
  imageId: 'ami-0a',
  launchTemplate: null,
  evidence: null,
  facts: { state: 'running', launchTime: 't', instanceType: 'm5.large', reachability: 'reachable', tags: { a: 'b' } },
  outcome: null,
  ...changes,
});

const HEADER = { planId: 'm-plan', policyDigest: 'abc', expiresAt: '2026-11-23T04:00:00.000Z' };
const entries = [entry(1), entry(2), entry(3)];
const sealed = entries.map((one) => ({ entry: one, digest: entryDigest(one) }));
const seal = { digest: planDigest(HEADER, entries), entries: 3 };

test('the same plan has the same digest in whatever order it is read', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(entries, { minLength: 3 }),
      fc.shuffledSubarray(Object.keys(entry(1))),
      (some, keys) => {
        const reordered = some.map((one) => {
          const front = keys.map((key) => [key, one[key as keyof ActionEntry]]);
          return { ...Object.fromEntries(front), ...one };
        });
        expect(planDigest(HEADER, reordered)).toBe(seal.digest);
      },
    ),
    { numRuns: 50 },
  );
});

test('every field of an entry, down to a tag, and every field of the header counts', () => {
  const others: Partial<ActionEntry>[] = [
    { action: 'assess' },
    { code: 'bad-kernel' },
    { method: 'reboot' },
    { reason: 'It overflowed!' },
    { next: 'Wait.' },
    { facts: { ...(entry(2).facts ?? never()), tags: { a: 'c' } } },
    { accountId: '444455556666' },
    { region: 'us-east-1' },
  ];
  const digests = others.map((changes) => planDigest(HEADER, [entry(1), entry(2, changes), entry(3)]));
  const headers = (['planId', 'policyDigest', 'expiresAt'] as const).map((field) =>
    planDigest({ ...HEADER, [field]: 'x' }, entries),
  );
  const all = [seal.digest, ...digests, ...headers, planDigest(HEADER, entries.slice(1))];
  expect(new Set(all).size).toBe(all.length);
});

test('a plan that is whole is whole; one that is not says what can be told', () => {
  expect(whyAltered(HEADER, seal, sealed)).toBeNull();
  const changed = sealed.map((one, i) => (i === 1 ? { ...one, entry: entry(2, { reason: 'no' }) } : one));
  expect(whyAltered(HEADER, seal, changed)).toMatch(/: the entry of 111122223333\/eu-west-1\/i-00000000000000002$/);
  const unsealed = sealed.map(({ entry: one }) => ({ entry: one, digest: undefined }));
  expect(whyAltered(HEADER, seal, unsealed)).toMatch(/the entry of .*1, .*2, .*3$/);
  expect(whyAltered(HEADER, seal, sealed.slice(1))).toMatch(/has 2 entries and was made with 3/);
  expect(whyAltered({ ...HEADER, expiresAt: 'later' }, seal, sealed)).toMatch(/digest is not that of its contents/);
});

test('it expires so many hours after it was made', () => {
  const run = { runId: 'm-plan', policyDigest: 'abc', endedAt: '2026-11-22T04:00:00.000Z' };
  expect(sealPlan(run, 24, entries)).toEqual({ ...seal, expiresAt: '2026-11-23T04:00:00.000Z' });
});

function never(): never {
  throw new Error('the entry has facts');
}
