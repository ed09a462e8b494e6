import fc from 'fast-check';
import { runRequestSchema } from '../../domain/contracts.ts';
import { policySchema } from '../../domain/policy.ts';
import type { CellMemory } from '../../domain/ports.ts';
import {
  type BreakerCounts,
  breakerFor,
  canaryVerdict,
  checkRequestAgainstPolicy,
  effectiveMode,
  gateVerdict,
  mayPassBreaker,
  nextCellMemory,
  nextResizeWave,
  nextRestartWave,
  type Place,
  placeOf,
  resizeOrder,
  restartBudget,
} from '../../domain/safety.ts';
import { InvalidInputError } from '../../domain/validation.ts';
import { minutesAgo, NOW } from './findings.ts';

const POLICY = policySchema.parse({});
const OPEN = { open: true, reasons: [] };
const memory = (change: Partial<CellMemory> = {}): CellMemory => ({
  instances: 1000,
  silent: 20,
  breakerOpen: false,
  quietSweeps: 0,
  at: minutesAgo(60),
  ...change,
});
const counts = (change: Partial<BreakerCounts> = {}): BreakerCounts => ({
  instances: 100,
  suspects: 0,
  affected: 0,
  silent: 0,
  ...change,
});

describe('the gate', () => {
  const open = { name: 'pause', answer: { ok: true, value: null } } as const;
  const closed = { name: 'calendar freeze', answer: { ok: true, value: 'closed until Monday' } } as const;
  const error = {
    call: 'ssm:GetCalendarState',
    code: 'AccessDenied',
    message: 'no',
    next: 'Allow it.',
    kind: 'failed',
  } as const;

  it('is open when nothing closes it', () => {
    expect(gateVerdict([])).toEqual({ open: true, reasons: [] });
    expect(gateVerdict([open, open])).toEqual({ open: true, reasons: [] });
  });

  it('is closed by every reason, and says them all', () => {
    expect(gateVerdict([closed, open, closed])).toEqual({
      open: false,
      reasons: ['calendar freeze: closed until Monday', 'calendar freeze: closed until Monday'],
    });
  });

  it('is closed by what cannot be read, naming the call and the next step', () => {
    const gate = gateVerdict([open, { name: 'calendar', answer: { ok: false, error } }]);
    expect(gate.open).toBe(false);
    expect(gate.reasons[0]).toMatch(/^calendar could not be read.*ssm:GetCalendarState: AccessDenied: no.*Allow it\.$/);
  });
});

describe('the mode', () => {
  const apply = policySchema.parse({ mode: 'apply' });
  const closed = { open: false, reasons: ['paused'] };
  it.each([
    ['plan by default', {}, POLICY, OPEN, 'plan'],
    ['as the policy says', {}, apply, OPEN, 'apply'],
    ['less than the policy', { mode: 'plan' }, apply, OPEN, 'plan'],
    ['never more than the policy', { mode: 'apply' }, POLICY, OPEN, 'plan'],
    ['asked for and allowed', { mode: 'apply' }, apply, OPEN, 'apply'],
    ['asked for and allowed, gate closed', { mode: 'apply' }, apply, closed, 'plan'],
  ] as const)('%s', (_what, request, policy, gate, mode) => {
    expect(effectiveMode(request, policy, gate)).toBe(mode);
  });
});

describe('the breaker', () => {
  const next = (previous: CellMemory | null, sweep: BreakerCounts) =>
    nextCellMemory(previous, previous, sweep, POLICY, NOW);

  it.each<[string, Partial<BreakerCounts>, CellMemory | null, RegExp | null]>([
    ['nothing', {}, null, null],
    ['10 of 100 affected', { affected: 10 }, null, null],
    ['11 of 100 affected', { affected: 11 }, null, /^11 of 100 instances, more than 10, overflow at once$/],
    ['50 of 1000 affected', { instances: 1000, affected: 50 }, null, null],
    ['51 of 1000 affected', { instances: 1000, affected: 51 }, null, /51 of 1000/],
    [
      '11 suspects of an unknown number',
      { instances: null, suspects: 11 },
      null,
      /^11 instances, more than 10, .*lost or impaired/,
    ],
    ['50 suspects of 1000 in the last sweep', { instances: null, suspects: 50 }, memory({ silent: 50 }), null],
    ['51 suspects of 1000 in the last sweep', { instances: null, suspects: 51 }, memory({ silent: 50 }), /51 of 1000/],
    ['100 more silent than in the last sweep', { instances: 1000, silent: 120 }, memory(), null],
    [
      '101 more silent than in the last sweep',
      { instances: 1000, silent: 121 },
      memory(),
      /101 more .*SSM or the network/,
    ],
    ['11 more silent of 50', { silent: 13 }, memory({ instances: 50, silent: 2 }), /11 more/],
    ['10 more silent of 50', { silent: 12 }, memory({ instances: 50, silent: 2 }), null],
    ['60 more silent in a cell that shrank from 1000', { silent: 80 }, memory(), null],
    ['many silent, no last sweep', { silent: 90 }, null, null],
    ['silent unreadable', { silent: null }, memory(), /could not be read/],
    [
      'opened before, quiet once',
      {},
      memory({ breakerOpen: true, quietSweeps: 1 }),
      /closes after 2 quiet sweeps \(1 so far\)/,
    ],
  ])('%s', (_what, change, previous, reason) => {
    const breaker = breakerFor(counts(change), previous, POLICY);
    expect(breaker.open).toBe(reason !== null);
    if (reason) expect(breaker.reason).toMatch(reason);
    else expect(breaker.reason).toBeNull();
  });

  it('opens in a storm, closes after two quiet sweeps in a row, and a storm between starts the count again', () => {
    const storm = counts({ affected: 50 });
    const sweeps = [counts(), storm, counts(), storm, counts(), counts(), counts()];
    let kept: CellMemory | null = null;
    const told = sweeps.map((sweep) => {
      const { open } = breakerFor(sweep, kept, POLICY);
      kept = nextCellMemory(kept, kept, sweep, POLICY, NOW);
      return open;
    });
    expect(told).toEqual([false, true, true, true, true, true, false]);
  });

  it('keeps the counts of the sweep, and those from before where it has none', () => {
    expect(next(memory(), counts({ silent: 7 }))).toEqual({
      instances: 100,
      silent: 7,
      breakerOpen: false,
      quietSweeps: 0,
      at: NOW,
    });
  });

  it.each<[string, Partial<BreakerCounts>]>([
    ['the size', { instances: null }],
    ['the silent', { silent: null }],
    ['both', { instances: null, silent: null }],
  ])('a sweep that could not read %s is neither quiet nor a storm, and keeps what was known', (_what, unread) => {
    for (const before of [
      memory({ silent: 30, breakerOpen: true, quietSweeps: 1 }),
      memory({ silent: 30, breakerOpen: false }),
    ]) {
      expect(next(before, counts({ instances: 3, silent: 2, ...unread }))).toEqual({ ...before, at: NOW });
    }
    expect(next(memory(), counts({ ...unread, affected: 60 }))).toMatchObject({ breakerOpen: true, quietSweeps: 0 });
  });

  it('what another sweep found meanwhile stands; only a storm of this one is added to it', () => {
    const before = memory({ at: '2026-11-22T00:00:00.000Z' });
    const stormy = memory({ at: '2026-11-22T02:00:00.000Z', silent: 60, breakerOpen: true });
    const quiet = memory({ at: '2026-11-22T02:00:00.000Z', silent: 1 });
    expect(nextCellMemory(before, stormy, counts(), POLICY, NOW)).toEqual(stormy);
    expect(nextCellMemory(null, stormy, counts(), POLICY, NOW)).toEqual(stormy);
    expect(nextCellMemory(before, quiet, counts({ affected: 60 }), POLICY, NOW)).toMatchObject({ breakerOpen: true });
    // Asked again after a crash, its own words stand.
    const own = nextCellMemory(before, before, counts(), POLICY, NOW);
    expect(nextCellMemory(before, own, counts(), POLICY, '2026-11-22T09:00:00.000Z')).toEqual(own);
  });

  it('never opens for fewer, when it stays closed for more', () => {
    const any = fc.record({
      instances: fc.option(fc.nat(2000)),
      suspects: fc.nat(200),
      affected: fc.nat(200),
      silent: fc.nat(300),
    });
    const before = fc.option(
      fc.record({
        instances: fc.nat(2000),
        silent: fc.nat(300),
        breakerOpen: fc.constant(false),
        quietSweeps: fc.constant(0),
        at: fc.constant(NOW),
      }),
    );
    fc.assert(
      fc.property(any, before, (more, previous) => {
        const fewer = { ...more, suspects: more.suspects >> 1, affected: more.affected >> 1, silent: more.silent >> 1 };
        if (!breakerFor(more, previous, POLICY).open) expect(breakerFor(fewer, previous, POLICY).open).toBe(false);
      }),
    );
  });
});

describe('the restart budget', () => {
  const { restart } = POLICY;
  it.each([
    ['5 % of 100', restart, 100, undefined, 5],
    ['5 % of 39, rounded down', restart, 39, undefined, 1],
    ['at least one', restart, 3, undefined, 1],
    ['one when the number is unknown', restart, null, undefined, 1],
    ['none at 0 %', { ...restart, maxPercent: 0 }, 1000, undefined, 0],
    ['maxPerRun of many', restart, 10_000, undefined, 10],
    ['none when maxPerRun is 0', { ...restart, maxPerRun: 0 }, 100, undefined, 0],
    ['what the request says', restart, 10_000, 3, 3],
    ['none by request', restart, 10_000, 0, 0],
    ['no more than policy by request', restart, 100, 9, 5],
  ] as const)('%s', (_what, policy, running, asked, budget) => {
    expect(restartBudget({ ...policy, signsOfLife: [] }, running, asked)).toBe(budget);
  });
});

describe('waves', () => {
  const wavesOf = (order: readonly string[], canary: number) => {
    const waves: (readonly string[])[] = [];
    for (let left = order; left.length > 0; left = left.slice(waves.at(-1)?.length)) {
      waves.push(nextResizeWave(left, canary, waves.length > 0));
    }
    return waves;
  };

  it('hold every id once, a canary and then batches, the same whatever order the ids come in', () => {
    const ids = fc.uniqueArray(fc.stringMatching(/^i-[0-9a-f]{8}$/), { maxLength: 140 });
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 50 }), (given, canary) => {
        const order = resizeOrder([...given, ...given], 'm-1');
        expect([...order].sort()).toEqual([...given].sort());
        expect(resizeOrder(given.toReversed(), 'm-1')).toEqual(order);
        const waves = wavesOf(order, canary);
        expect(waves.flat()).toEqual(order);
        expect(waves[0]?.length ?? 0).toBe(Math.min(canary, given.length));
        expect(waves.every((wave) => wave.length > 0 && wave.length <= 50)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('have another canary in another run, so that a few broken machines cannot hold up a cell for good', () => {
    const ids = Array.from({ length: 20 }, (_, i) => `i-${i}`);
    const canaries = Array.from({ length: 30 }, (_, run) => resizeOrder(ids, `m-${run}`).slice(0, 5));
    const broken = new Set(ids.slice(0, 5));
    expect(canaries.some((canary) => !canary.some((id) => broken.has(id)))).toBe(true);
    expect(new Set(canaries.flat()).size).toBe(20);
  });

  it('stay small until a canary ran', () => {
    expect(nextResizeWave(['a', 'b', 'c'], 1, false)).toEqual(['a']);
    expect(nextResizeWave(['b', 'c'], 1, false)).toEqual(['b']);
    expect(nextResizeWave(['b', 'c'], 1, true)).toEqual(['b', 'c']);
  });
});

describe('the canary', () => {
  type Result = Parameters<typeof canaryVerdict>[0][number]['result'];
  const ran = (...results: Result[]) => results.map((result, n) => ({ instanceId: `i-${n}`, result }));
  it.each([
    ['all well', ran('resized', 'already-sufficient', 'no-auditd', 'pending-reboot', 'planned'), '10%', true],
    ['one of five at 10 %', ran('resized', 'resized', 'resized', 'resized', 'failed'), '10%', false],
    ['one of five at 20 %', ran('resized', 'resized', 'resized', 'resized', 'rolled-back'), '20%', true],
    ['two of five at 20 %', ran('stuck', 'resized', 'resized', 'resized', 'rolled-back'), '20%', false],
    ['two, two are allowed', ran('stuck', 'unreadable-output', 'resized'), '2', true],
    ['three, two are allowed', ran('stuck', 'unreadable-output', 'failed'), '2', false],
    ['one, none is allowed', ran('failed', 'resized'), '0', false],
    ['one was not delivered', ran('undelivered', 'resized'), '0', true],
    ['none was delivered', ran('undelivered', 'declined'), '100%', false],
    ['nobody', [], '100%', false],
  ] as const)('%s', (_what, results, maxErrors, goOn) => {
    expect(canaryVerdict(results, maxErrors).goOn).toBe(goOn);
  });

  it('names who went wrong', () => {
    expect(canaryVerdict(ran('resized', 'stuck'), '10%').reason).toBe(
      '1 of 2 canaries went wrong, 0 are allowed: i-1 stuck',
    );
  });
});

describe('a request', () => {
  const policy = policySchema.parse({ mode: 'apply', scope: { regions: ['eu-west-1'], accounts: ['111122223333'] } });
  const check =
    (request: object, by = policy) =>
    () =>
      checkRequestAgainstPolicy(runRequestSchema.parse(request), by);

  it.each<[string, object]>([
    ['nothing', {}],
    ['all that is allowed', { mode: 'apply', maxRestarts: 10, regions: ['eu-west-1'], accounts: ['111122223333'] }],
    ['less', { mode: 'plan', maxRestarts: 0 }],
  ])('may ask for %s', (_what, request) => {
    expect(check(request)).not.toThrow();
  });

  it('may name any region where the scope lists none', () => {
    expect(check({ regions: ['us-east-1'], accounts: ['999999999999'] }, POLICY)).not.toThrow();
  });

  it('may ask for what an override allows some cell', () => {
    const wide = policySchema.parse({ overrides: [{ regions: ['eu-west-1'], restart: { maxPerRun: 40 } }] });
    expect(check({ maxRestarts: 40 }, wide)).not.toThrow();
    expect(check({ maxRestarts: 41 }, wide)).toThrow('restart.maxPerRun of 40');
  });

  it.each<[string, object, RegExp, typeof policy]>([
    ['apply', { mode: 'apply' }, /the deployed policy allows plan only/, POLICY],
    ['more restarts', { maxRestarts: 11 }, /maxRestarts: 11 is above the policy's restart\.maxPerRun of 10/, policy],
    [
      'another region',
      { regions: ['eu-west-1', 'us-east-1'] },
      /regions: us-east-1 outside .*scope\.regions \(eu-west-1\)/,
      policy,
    ],
    ['another account', { accounts: ['999999999999'] }, /accounts: 999999999999 outside/, policy],
  ])('may not ask for %s, and is told the limit', (_what, request, text, by) => {
    expect(check(request, by)).toThrow(InvalidInputError);
    expect(check(request, by)).toThrow(text);
  });
});

describe('the next wave of restarts', () => {
  const place = (n: number, zone = 'a', tagValue: string | null = null): Place => ({
    instanceId: `i-${String(n).padStart(3, '0')}`,
    zone: `eu-west-1${zone}`,
    tagValue,
  });
  const restart = (more: object = {}, spread: object = {}) =>
    policySchema.parse({ restart: { maxInFlight: 3, spread, ...more } }).restart;

  it('is one machine first, then as many as may be down, in order of id', () => {
    const all = [place(4), place(2), place(3), place(1)];
    expect(nextRestartWave(all, [], restart(), true)).toEqual({ wave: ['i-001'], bound: null });
    expect(nextRestartWave(all, [], restart(), false).wave).toEqual(['i-001', 'i-002', 'i-003']);
    expect(nextRestartWave(all, [place(9)], restart(), false).wave).toEqual(['i-001', 'i-002']);
    expect(nextRestartWave(all, [place(9)], restart(), true).wave).toEqual(['i-001']);
    expect(nextRestartWave([], [], restart(), true)).toEqual({ wave: [], bound: null });
  });

  it('changes nothing by default, whatever zone and tags', () => {
    expect(policySchema.parse({}).restart.spread).toEqual({ maxPerZone: null, tag: null, maxPerTagValue: 1 });
    const all = [place(1, 'a', null), place(2, 'a', null), place(3, 'a', null)];
    expect(nextRestartWave(all, [], restart(), false).wave).toHaveLength(3);
  });

  it('takes down no more of a zone, counting what is down there already', () => {
    const all = [place(1), place(2), place(3, 'b')];
    expect(nextRestartWave(all, [], restart({}, { maxPerZone: 1 }), false).wave).toEqual(['i-001', 'i-003']);
    expect(nextRestartWave(all, [place(9)], restart({}, { maxPerZone: 1 }), false).wave).toEqual(['i-003']);
  });

  it('takes down no more of what belongs together; one without the tag belongs to nothing', () => {
    const spread = { tag: 'cluster', maxPerTagValue: 1 };
    const all = [place(1, 'a', 'x'), place(2, 'a', 'x'), place(3, 'a', 'y'), place(4)];
    expect(nextRestartWave(all, [], restart({}, spread), false).wave).toEqual(['i-001', 'i-003', 'i-004']);
    expect(nextRestartWave(all, [place(9, 'a', 'x')], restart({}, spread), false).wave).toEqual(['i-003', 'i-004']);
  });

  it('says which bound is in the way when nobody can go', () => {
    expect(nextRestartWave([place(1)], [place(8), place(9)], restart({ maxInFlight: 2 }), false)).toEqual({
      wave: [],
      bound: 'taken down by this service and not back yet: 2 (i-008, i-009), and restart.maxInFlight is 2',
    });
    expect(nextRestartWave([place(1)], [place(9)], restart({}, { maxPerZone: 1 }), false).bound).toBe(
      'down in eu-west-1a already: 1, and restart.spread.maxPerZone is 1',
    );
    const spread = { tag: 'cluster' };
    expect(nextRestartWave([place(1, 'a', 'x')], [place(9, 'b', 'x')], restart({}, spread), true).bound).toBe(
      'down with cluster=x already: 1, and restart.spread.maxPerTagValue is 1',
    );
  });

  it('keeps every bound, and in the end everybody was in exactly one wave', () => {
    const bound = fc.integer({ min: 1, max: 4 });
    const places = fc
      .array(fc.record({ zone: fc.constantFrom('a', 'b', 'c'), tag: fc.constantFrom(null, 'x', 'y', 'z') }), {
        maxLength: 30,
      })
      .map((drawn) => drawn.map(({ zone, tag }, n) => place(n, zone, tag)));
    fc.assert(
      fc.property(
        places.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        fc.record({ maxInFlight: bound, maxPerZone: fc.option(bound), maxPerTagValue: bound }),
        ([inOrder, shuffled], { maxInFlight, maxPerZone, maxPerTagValue }) => {
          const policy = restart({ maxInFlight }, { maxPerZone, tag: 'cluster', maxPerTagValue });
          const most = (counted: readonly (string | null)[]) =>
            Math.max(0, ...[...new Set(counted)].map((one) => counted.filter((other) => other === one).length));
          const waves: (readonly string[])[] = [];
          let waiting: readonly Place[] = shuffled;
          while (waiting.length > 0) {
            const canary = waves.length === 0;
            const { wave, bound: why } = nextRestartWave(waiting, [], policy, canary);
            expect(why).toBeNull();
            expect(nextRestartWave(waiting.toReversed(), [], policy, canary).wave).toEqual(wave);
            const down = waiting.filter(({ instanceId }) => wave.includes(instanceId));
            expect(wave.length).toBeGreaterThan(0);
            expect(wave.length).toBeLessThanOrEqual(canary ? 1 : maxInFlight);
            expect(most(down.map(({ zone }) => zone))).toBeLessThanOrEqual(maxPerZone ?? maxInFlight);
            const tagged = down.flatMap(({ tagValue }) => tagValue ?? []);
            expect(most(tagged)).toBeLessThanOrEqual(maxPerTagValue);
            waves.push(wave);
            waiting = waiting.filter(({ instanceId }) => !wave.includes(instanceId));
          }
          expect(waves.flat().sort()).toEqual(inOrder.map(({ instanceId }) => instanceId).sort());
        },
      ),
    );
  });

  it('reads zone and tag of an instance', () => {
    const instance = { instanceId: 'i-1', availabilityZone: 'eu-west-1c', tags: { cluster: 'x', other: 'y' } };
    const spread = (tag: string | null) => restart({}, { tag }).spread;
    expect(placeOf(instance, spread('cluster'))).toEqual({ instanceId: 'i-1', zone: 'eu-west-1c', tagValue: 'x' });
    expect(placeOf(instance, spread('toString')).tagValue).toBeNull();
    expect(placeOf(instance, spread(null)).tagValue).toBeNull();
  });
});

describe('who may pass an open breaker', () => {
  const named = { mode: 'plan' as const, instanceIds: ['i-00000000000000001'] };
  const scheduledAt = '2026-11-22T04:00:00Z';

  it('a person who plans named machines, and who applies that plan', () => {
    expect(mayPassBreaker(named, null)).toBe(true);
    expect(mayPassBreaker({ planId: 'm-20261122T040000Z-abcd' }, named)).toBe(true);
    // As the command line asks, whose runs are named by the second.
    expect(mayPassBreaker({ ...named, scheduledAt }, null)).toBe(true);
    expect(mayPassBreaker({ planId: 's-20261122T040000Z-abcdef', scheduledAt }, { ...named, scheduledAt })).toBe(true);
  });

  it('nobody else', () => {
    const planId = 'm-20261122T040000Z-abcd';
    expect(mayPassBreaker({}, null)).toBe(false);
    expect(mayPassBreaker({ mode: 'plan' }, null)).toBe(false);
    expect(mayPassBreaker({ ...named, mode: 'apply' }, null)).toBe(false);
    expect(mayPassBreaker({ instanceIds: named.instanceIds }, null)).toBe(false);
    expect(mayPassBreaker({ scheduledAt }, null)).toBe(false);
    expect(mayPassBreaker({ scheduledAt, instanceIds: named.instanceIds }, null)).toBe(false);
    expect(mayPassBreaker({ planId }, { mode: 'plan' })).toBe(false);
    expect(mayPassBreaker({ planId, scheduledAt }, { mode: 'plan', scheduledAt })).toBe(false);
    expect(mayPassBreaker({ planId }, { ...named, mode: 'apply' })).toBe(false);
  });
});
