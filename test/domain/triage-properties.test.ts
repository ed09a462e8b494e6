/** Triage against an independent re-statement of the table, on findings of every kind. */
import fc from 'fast-check';
import { TRIAGE_CODES, type TriageCode } from '../../domain/contracts.ts';
import { type Evidence, evidenceKey } from '../../domain/evidence.ts';
import type { ConsoleReading } from '../../domain/finding.ts';
import {
  type Decision,
  needsPreflight,
  needsSecondReading,
  TRIAGE_TABLE,
  type TriageInput,
  triage,
} from '../../domain/triage.ts';
import { unsafeKernel } from '../../domain/unsafe-kernels.ts';
import {
  evidence,
  history,
  input,
  instance,
  minutesAgo,
  NOW,
  preflight,
  reading,
  stampMinutesAgo,
} from './findings.ts';

/** Mostly the value that lets the later rows decide, so that every row is reached. */
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: fc.constantFrom(...others) });
const ages = mostly(56, 0, 5, 6, 9, 10, 15, 16, 45, 75, 76, 1440, 1441);
const times = fc.constantFrom(1, 30, 60, 120, 1440, 1441, 2879, 2880, 2881, 10_080, 10_081).map(minutesAgo);
const KEY = evidenceKey(evidence());

const evidences: fc.Arbitrary<Evidence> = fc
  .record({
    verdict: mostly<Evidence['verdict']>('overflow', 'suspected', 'none'),
    currentBoot: mostly<boolean | null>(true, false, null),
    kernel: mostly<string | null>('6.1.0-18-cloud-amd64', null, '5.10.240-238.955.amzn2.x86_64'),
    stamp: mostly<number | null>(
      stampMinutesAgo(60),
      null,
      stampMinutesAgo(-5),
      stampMinutesAgo(10),
      stampMinutesAgo(1500),
    ),
    stormStamp: mostly<number | null>(null, stampMinutesAgo(60), stampMinutesAgo(300), stampMinutesAgo(1500)),
    panicEndsBoot: mostly(false, true),
    boots: mostly(1, 2, 3),
    limit: mostly<number | null>(64, null, 8192),
    empty: fc.constantFrom(...Array<boolean>(30).fill(false), true),
  })
  .map(evidence);

const consoles: fc.Arbitrary<ConsoleReading> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc
      .record({
        evidence: evidences,
        latest: mostly(true, false),
        updatedAt: mostly<string | null>(
          minutesAgo(1),
          null,
          minutesAgo(90),
          minutesAgo(2880),
          minutesAgo(2881),
          'garbled',
        ),
        newUserSpaceLines: mostly<number | null>(0, 3, null),
      })
      .map(reading),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<ConsoleReading>(
      { status: 'empty' },
      { status: 'unreadable', error: { call: 'c', code: 'x', message: 'm', next: 'n', kind: 'failed' } },
    ),
  },
);

const tagSets = mostly<Record<string, string>>(
  { AuditBacklogRestart: 'allowed' },
  {},
  { AuditBacklogRestart: 'no' },
  { 'aws:autoscaling:groupName': 'web' },
  { 'karpenter.sh/nodepool': '', AuditBacklogRestart: 'allowed' },
  { AuditBacklogRemediation: 'DISABLED', AuditBacklogRestart: 'allowed' },
);

const inputs: fc.Arbitrary<TriageInput> = fc
  .record({
    tags: tagSets,
    facts: fc.record({
      state: fc.constantFrom(...Array<string>(20).fill('running'), 'stopped', 'pending'),
      platform: fc.constantFrom<'linux' | 'windows'>(...Array<'linux'>(20).fill('linux'), 'windows'),
      operatorManaged: mostly(false, true),
      rootDeviceType: mostly<'ebs' | 'instance-store'>('ebs', 'instance-store'),
      publicAddress: mostly<'none' | 'auto' | 'elastic'>('none', 'auto', 'elastic'),
      lifecycle: mostly<'on-demand' | 'spot' | 'other'>('on-demand', 'spot', 'other'),
      place: mostly<'any' | 'dedicated-host' | 'placement-group'>('any', 'dedicated-host', 'placement-group'),
    }),
    outOfScope: fc.constantFrom(...Array<null>(20).fill(null), 'filtered'),
    statusCheck: fc.constantFrom<'ok' | 'impaired' | 'unknown'>('ok', 'impaired', 'unknown'),
    agent: fc.oneof(
      { weight: 1, arbitrary: fc.constant(null) },
      {
        weight: 9,
        arbitrary: fc.record({
          pingStatus: mostly<'Online' | 'ConnectionLost' | 'Inactive'>('ConnectionLost', 'Online', 'Inactive'),
          lastPingAt: fc.oneof(
            { weight: 9, arbitrary: ages.map(minutesAgo) },
            { weight: 1, arbitrary: fc.constant(null) },
          ),
          agentVersion: fc.constant(null),
        }),
      },
    ),
    console: consoles,
    past: fc.option(
      fc
        .record({
          proven: fc.oneof(
            { weight: 4, arbitrary: fc.constant(null) },
            {
              weight: 1,
              arbitrary: fc.record({
                evidenceKey: fc.constantFrom(KEY, 'other'),
                target: fc.constant(8192),
                at: times,
              }),
            },
          ),
          cures: fc.array(times, { maxLength: 2 }),
          attempts: fc.array(fc.record({ at: times, evidenceKey: fc.constantFrom(KEY, 'a', 'b') }), { maxLength: 2 }),
          stuckSweeps: fc.constantFrom(0, 0, 1, 2, 3),
          lastActionAt: mostly<string | null>(null, minutesAgo(30), minutesAgo(0.5)),
        })
        .map(history),
      { freq: 2 },
    ),
    before: fc.oneof(
      { weight: 1, arbitrary: fc.constant(null) },
      {
        weight: 8,
        arbitrary: fc
          .record({
            instanceStore: mostly<boolean | null>(false, true, null),
            macHost: mostly(false, true),
            spotRequest: mostly<'none' | 'one-time' | 'persistent' | 'unreadable'>(
              'none',
              'one-time',
              'persistent',
              'unreadable',
            ),
            stopProtection: mostly<boolean | null>(false, true, null),
            keys: mostly<'none-needed' | 'enabled' | 'disabled' | 'unreadable'>(
              'none-needed',
              'enabled',
              'disabled',
              'unreadable',
            ),
          })
          .map(preflight),
      },
    ),
    restart: fc.record({
      policy: mostly<'tagged' | 'never' | 'any'>('tagged', 'never', 'any'),
      method: mostly<'stop-start' | 'reboot-first' | 'reboot-only'>('stop-start', 'reboot-first', 'reboot-only'),
      rebootWhereStopLoses: fc.boolean(),
    }),
    open: mostly(false, true),
    budget: fc.record({ resizesLeft: mostly(5, 0), restartsLeft: mostly(5, 0) }),
  })
  .map((r) =>
    input(
      {
        instance: instance({ ...r.facts, tags: r.tags }),
        outOfScope: r.outOfScope,
        statusCheck: r.statusCheck,
        agent: r.agent,
        console: r.console,
        history: r.past,
        preflight: r.before,
      },
      { restart: r.restart },
      { budget: r.budget, breaker: { open: r.open, reason: r.open ? 'storm' : null } },
    ),
  );

const age = (iso: string) => (Date.parse(NOW) - Date.parse(iso)) / 60_000;
const isRead = (c: ConsoleReading): c is Extract<ConsoleReading, { status: 'read' }> => c.status === 'read';

/** The same overflow, some of whose numbers the console may have lost since. */
function isKnownAs(known: string | undefined, e: Evidence): boolean {
  const [before, now] = [known ?? '', evidenceKey(e)].map((key) => key.split('|'));
  return now?.every((part, i) => part === before?.[i] || (i > 1 && part === 'x')) === true;
}

/** The design's table once more: every code whose own condition holds, whatever stands before it. */
function conditions({ finding: f, policy, breaker, budget }: TriageInput): Record<TriageCode, boolean> {
  const seen = isRead(f.console) ? f.console : null;
  const e = seen?.evidence ?? null;
  const h = f.history;
  const stuckSweeps = h?.stuckSweeps ?? 0;
  const ping = f.agent?.lastPingAt ?? null;
  const answers =
    f.agent !== null &&
    (f.agent.pingStatus === 'Online' ? ping === null || age(ping) <= 15 : ping !== null && age(ping) < 6);
  const mayResize = answers && stuckSweeps <= 1;
  const silent = f.agent !== null && !answers;
  const overflowAt = e?.stamp == null || e.boots > 1 ? null : Date.parse(f.instance.launchTime) + e.stamp * 1000;
  const pingNear =
    overflowAt !== null &&
    overflowAt <= Date.parse(NOW) &&
    ping !== null &&
    Date.parse(ping) - overflowAt <= 900_000 &&
    (overflowAt - Date.parse(ping) <= 900_000 ||
      (e?.stormStamp != null && Date.parse(f.instance.launchTime) + e.stormStamp * 1000 - Date.parse(ping) <= 900_000));
  const sign = f.statusCheck === 'impaired' || e?.panicEndsBoot === true || pingNear || stuckSweeps >= 2;
  const dated = Date.parse(seen?.updatedAt ?? '');
  const certain =
    e?.currentBoot === true &&
    seen?.latest === true &&
    dated >= Date.parse(f.instance.launchTime) &&
    (h?.lastActionAt == null || dated >= Date.parse(h.lastActionAt));
  const optedIn = f.instance.tags.AuditBacklogRestart === 'allowed';
  const r = policy.restart;
  const allowed = optedIn
    ? r.policy !== 'never'
    : r.policy === 'any' && f.instance.tags.AuditBacklogRestart === undefined;
  const ownedBy = policy.ownerTags.some((tag) => tag in f.instance.tags);
  const rebootAllowed = r.rebootWhereStopLoses || r.method !== 'stop-start';
  const attempts = h?.attempts ?? [];
  const recent = attempts.filter((a) => age(a.at) <= 1440);
  const wouldStop = !ownedBy && (r.method === 'stop-start' || (r.method === 'reboot-first' && recent.length > 0));
  const p = f.preflight;
  const i = f.instance;
  const noStop = wouldStop && !rebootAllowed && p !== null;
  return {
    'out-of-scope': i.platform !== 'linux' || f.outOfScope !== null,
    'opted-out': i.tags.AuditBacklogRemediation?.toLowerCase() === 'disabled',
    'not-running': i.state !== 'running',
    'console-unreadable': f.console.status === 'unreadable',
    'console-empty':
      f.console.status === 'empty' ||
      e?.empty === true ||
      (f.console.status === 'read' && !f.console.latest && e?.verdict === 'none'),
    healthy: e?.verdict === 'none',
    'already-handled':
      e !== null &&
      isKnownAs(h?.proven?.evidenceKey, e) &&
      h?.proven != null &&
      !(e.currentBoot === true && Date.parse(i.launchTime) > Date.parse(h.proven.at)),
    'older-boot': e?.currentBoot === false,
    'weak-evidence': e?.verdict === 'suspected',
    'limit-is-not-the-cause': (h?.cures ?? []).filter((at) => age(at) <= 7 * 1440).length >= 2,
    'bad-kernel': unsafeKernel(e?.kernel ?? null) !== null,
    resize: mayResize && budget.resizesLeft > 0,
    'resize-budget': mayResize,
    'not-managed': f.agent === null,
    'agent-lost-machine-alive': !sign || !certain,
    'sign-of-life': seen?.newUserSpaceLines !== 0,
    'silent-too-short': silent && ping !== null && age(ping) < 10,
    'silent-too-long': silent && (ping === null || age(ping) > 1440),
    'restart-not-allowed': !allowed,
    owned: i.operatorManaged || (ownedBy && (!optedIn || !rebootAllowed)),
    'stop-would-lose': noStop && (p.instanceStore !== false || i.publicAddress === 'auto' || p.macHost),
    'stop-refused':
      noStop &&
      (i.rootDeviceType === 'instance-store' ||
        p.stopProtection !== false ||
        i.lifecycle === 'other' ||
        ['one-time', 'unreadable'].includes(p.spotRequest) ||
        (i.lifecycle === 'spot' && p.spotRequest === 'none')),
    'may-not-start':
      p === null ||
      (noStop && (['disabled', 'unreadable'].includes(p.keys) || i.place !== 'any' || p.spotRequest === 'persistent')),
    'restarted-before': recent.length >= 2 || (e !== null && attempts.some((a) => isKnownAs(a.evidenceKey, e))),
    'breaker-open': breaker.open,
    'restart-budget': budget.restartsLeft <= 0,
    restart: true,
  };
}

/** What the design forbids, said of the decision alone. */
function neverRestarts(i: TriageInput): boolean {
  const { finding: f, policy } = i;
  const seen = isRead(f.console) ? f.console : null;
  return (
    seen === null ||
    seen.evidence.verdict !== 'overflow' ||
    seen.evidence.currentBoot !== true ||
    !seen.latest ||
    seen.newUserSpaceLines !== 0 ||
    f.preflight === null ||
    f.agent === null ||
    f.instance.operatorManaged ||
    f.instance.state !== 'running' ||
    f.instance.tags.AuditBacklogRemediation !== undefined ||
    policy.restart.policy === 'never' ||
    i.breaker.open ||
    i.budget.restartsLeft <= 0
  );
}

const check = (property: (i: TriageInput, d: Decision) => void, numRuns = 4000) =>
  fc.assert(
    fc.property(inputs, (i) => property(i, triage(i))),
    { numRuns },
  );

describe('triage, by property', () => {
  it('gives the first code of the table whose condition holds', () => {
    const met = new Set<TriageCode>();
    check((i, { code }) => {
      const holds = conditions(i);
      expect(code).toBe(TRIAGE_CODES.find((c) => holds[c]));
      met.add(code);
    }, 20_000);
    expect([...met].sort()).toEqual([...TRIAGE_CODES].sort());
  });

  it('gives every finding exactly one code, with an action that the table names for it', () => {
    const rows = new Map(TRIAGE_TABLE.map((row) => [row.code, row.actions]));
    check((_i, { code, action, reason, method }) => {
      expect(rows.get(code)).toContain(action);
      expect(reason.length).toBeGreaterThan(10);
      expect(method !== null).toBe(action === 'restart-then-resize');
    });
  });

  it('never restarts what the design forbids to restart', () => {
    let forbidden = 0;
    let restarts = 0;
    check((i, { action }) => {
      if (action === 'restart-then-resize') restarts += 1;
      if (!neverRestarts(i)) return;
      forbidden += 1;
      expect(action).not.toBe('restart-then-resize');
    }, 10_000);
    expect(forbidden).toBeGreaterThan(100);
    expect(restarts).toBeGreaterThan(20);
  });

  it('never stops what a stop would lose, and never what is owned', () => {
    check(({ finding: f }, { method }) => {
      if (method !== 'stop-start') return;
      expect(f.preflight).toMatchObject({ instanceStore: false, macHost: false, stopProtection: false });
      expect(f.instance).toMatchObject({ rootDeviceType: 'ebs', operatorManaged: false });
      expect(f.instance.publicAddress).not.toBe('auto');
      expect(['none-needed', 'enabled']).toContain(f.preflight?.keys);
      expect(Object.keys(f.instance.tags)).toEqual(
        f.instance.tags.AuditBacklogRestart === undefined ? [] : ['AuditBacklogRestart'],
      );
    }, 10_000);
  });

  it('touches nothing that is opted out, out of scope, unknown or handled', () => {
    check(({ finding: f }, { action, code }) => {
      const untouched = [
        'out-of-scope',
        'opted-out',
        'not-running',
        'console-unreadable',
        'console-empty',
        'healthy',
        'already-handled',
      ];
      if (f.instance.tags.AuditBacklogRemediation !== undefined || untouched.includes(code))
        expect(action).toBe('leave');
    });
  });

  it('asks for what it lacks before it would restart: with it, the answer may only come later in the table', () => {
    check((i, { code }) => {
      if (!needsSecondReading(i) && !needsPreflight(i)) return;
      expect(code).not.toBe('restart');
      const f = i.finding;
      const console = isRead(f.console) ? { ...f.console, newUserSpaceLines: 0 } : f.console;
      const full = { ...i, finding: { ...f, console, preflight: f.preflight ?? preflight() } };
      expect(TRIAGE_CODES.indexOf(triage(full).code)).toBeGreaterThan(TRIAGE_CODES.indexOf('sign-of-life'));
      expect(needsSecondReading(full) || needsPreflight(full)).toBe(false);
    });
  });

  it('judges the same again: no clock, no memory', () => {
    check((i, d) => expect(triage(structuredClone(i))).toEqual(d), 500);
  });
});
