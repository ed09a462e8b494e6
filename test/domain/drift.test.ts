import type { ActionEntry } from '../../domain/contracts.ts';
import { acts, driftFrom, policyChanges, refused } from '../../domain/drift.ts';
import { policySchema } from '../../domain/policy.ts';

type Changes = Partial<Omit<ActionEntry, 'facts' | 'evidence'>> & {
  readonly facts?: Partial<NonNullable<ActionEntry['facts']>>;
  readonly evidence?: Partial<NonNullable<ActionEntry['evidence']>>;
};
const entry = ({ facts, evidence, ...changes }: Changes = {}): ActionEntry => ({
  instanceId: 'i-00000000000000001',
  accountId: '111122223333',
  region: 'eu-west-1',
  action: 'restart-then-resize',
  code: 'restart',
  reason: 'It hangs.',
  next: '',
  method: 'stop-start',
  imageId: 'ami-0a',
  launchTemplate: null,
  evidence: {
    verdict: 'overflow',
    limit: 320,
    backlog: 321,
    lost: 7,
    suppressed: null,
    panic: false,
    kernel: '6.1.0',
    currentBoot: true,
    key: 'overflow|5000.25|320|321|7',
    lines: [],
    ...evidence,
  },
  facts: {
    state: 'running',
    launchTime: '2026-11-01T00:00:00.000Z',
    instanceType: 'm5.large',
    reachability: 'silent',
    tags: { AuditBacklogRestart: 'allowed' },
    ...facts,
  },
  outcome: null,
  ...changes,
});

describe('drift', () => {
  it.each<[string, Changes, string]>([
    ['state', { facts: { state: 'stopping' } }, 'its state was running, now stopping'],
    [
      'a stop and start',
      { facts: { launchTime: '2026-11-02T00:00:00.000Z' } },
      'its launch time was 2026-11-01T00:00:00.000Z, now 2026-11-02T00:00:00.000Z',
    ],
    ['its type', { facts: { instanceType: 'm5d.large' } }, 'its type was m5.large, now m5d.large'],
    ['reachability', { facts: { reachability: 'stuck' } }, 'its reachability was silent, now stuck'],
    ['a tag less', { facts: { tags: {} } }, 'its tag AuditBacklogRestart was "allowed", now absent'],
    [
      'a tag more',
      { facts: { tags: { AuditBacklogRestart: 'allowed', Team: '' } } },
      'its tag Team was absent, now ""',
    ],
    ['the verdict', { evidence: { verdict: 'suspected' } }, 'evidence.verdict was overflow, now suspected'],
    ['the limit', { evidence: { limit: 640 } }, 'evidence.limit was 320, now 640'],
    ['a panic', { evidence: { panic: true } }, 'evidence.panic was false, now true'],
    ['the kernel', { evidence: { kernel: '6.2.0' } }, 'evidence.kernel was 6.1.0, now 6.2.0'],
    ['the boot', { evidence: { currentBoot: null } }, 'evidence.currentBoot was true, now null'],
    [
      'another boot with an overflow like it',
      { evidence: { key: 'overflow|4000.5|320|321|7' } },
      'the overflow was seen 5000.25 s after boot, now one 4000.5 s after boot: it has booted since',
    ],
    ['the method', { method: 'reboot' }, 'the method was stop-start, now reboot'],
    [
      'the action',
      { action: 'leave', code: 'breaker-open', method: null },
      'the method was stop-start, now none; the plan said restart-then-resize (restart), now it is leave (breaker-open)',
    ],
  ])('of %s is said', (_what, changes, says) => {
    expect(driftFrom(entry(), entry(changes))).toBe(says);
  });

  it.each<[string, Changes]>([
    ['nothing changed', {}],
    ['a storm goes on', { evidence: { backlog: 900, lost: 88, key: 'overflow|5600|320|900|88' } }],
    ['the words changed', { reason: 'It hangs for longer.', next: 'Wait.' }],
    ['nobody asked SSM', { facts: { reachability: 'unknown' } }],
    ['kernel time was printed late', { evidence: { key: 'overflow|4999|320|321|7' } }],
  ])('is none where %s', (_what, changes) => {
    expect(driftFrom(entry(), entry(changes))).toBeNull();
  });

  it('is certain where the plan does not name the instance, or does not say what its facts were', () => {
    expect(driftFrom(undefined, entry())).toBe('the plan does not name this instance');
    const { facts: _facts, ...old } = entry();
    expect(driftFrom(old, entry())).toMatch(/does not say what its facts were/);
  });

  it('names tags of any name as they are', () => {
    const tags = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
    const says = driftFrom(entry({ facts: { tags: {} } }), entry({ facts: { tags } }));
    expect(says).toBe('its tag __proto__ was absent, now "x"; its tag constructor was absent, now "y"');
  });
});

it('a refused entry does nothing and keeps its evidence', () => {
  const it = refused(entry(), 'its state was running, now stopped');
  expect(acts(it)).toBe(false);
  expect(it).toMatchObject({ method: null, code: 'restart', evidence: entry().evidence });
  expect(it.reason).toBe(
    'Refused, since the facts have drifted from the plan: its state was running, now stopped. It hangs.',
  );
});

it('what differs between policies is said by the names of the settings, at most five', () => {
  const policy = policySchema.parse({});
  expect(policyChanges(policy, policy)).toEqual([]);
  const other = policySchema.parse({ ownerTags: ['a'], scope: { includeTags: { Team: ['db'] } } });
  expect(policyChanges(policy, other)).toEqual([
    expect.stringMatching(/^ownerTags was \[.*\], now \["a"\]$/),
    'scope.includeTags.Team was absent, now ["db"]',
  ]);
  expect(policyChanges({}, policy)).toHaveLength(5);
});
