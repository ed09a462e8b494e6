import type { EvidenceSummary, TriageCode } from '../../domain/contracts.ts';
import { type GroupedEntry, groupsOf } from '../../domain/groups.ts';

function entry(
  imageId: string | null,
  launchTemplate: string | null,
  kernel: string | null,
  code: TriageCode = 'resize',
): GroupedEntry {
  const evidence: EvidenceSummary = {
    verdict: 'overflow',
    limit: 64,
    backlog: null,
    lost: null,
    suppressed: null,
    panic: false,
    kernel,
    currentBoot: true,
    key: 'k',
    lines: [],
  };
  return { code, imageId, launchTemplate, evidence };
}
const times = (n: number, of: GroupedEntry) => Array.from({ length: n }, () => of);

describe('groups', () => {
  it('name image, launch template and kernel, the largest first, then by value', () => {
    const entries = [
      ...times(40, entry('ami-x', 'lt-1:3', '6.1')),
      ...times(2, entry('ami-b', null, '5.10')),
      ...times(2, entry('ami-a', null, null)),
    ];
    const groups = groupsOf(entries, { 'ami-x': 42, 'ami-a': 2 }, { 'lt-1:3': 40 });
    expect(groups.map(({ by, value, affected, of }) => [by, value, affected, of])).toEqual([
      ['kernel', '6.1', 40, null],
      ['image', 'ami-x', 40, 42],
      ['launchTemplate', 'lt-1:3', 40, 40],
      ['kernel', '5.10', 2, null],
      ['image', 'ami-a', 2, 2],
      ['image', 'ami-b', 2, null],
    ]);
    expect(groups[1]?.next).toMatch(/^40 of 42 running ami-x overflow: .*image, or the next launch undoes the cure\.$/);
    expect(groups[5]?.next).toMatch(/^2 running ami-b overflow/);
  });

  it('are at most 200: thousands of small ones would not fit into the record of the run', () => {
    const entries = Array.from({ length: 1000 }, (_, i) => times(i < 5 ? 3 : 2, entry(`ami-${i}`, null, null))).flat();
    const groups = groupsOf(entries, {}, {});
    expect(groups).toHaveLength(200);
    expect(groups.slice(0, 6).map(({ affected }) => affected)).toEqual([3, 3, 3, 3, 3, 2]);
  });

  it('of a kernel that locks up with auditd ask for another kernel, not for a larger limit', () => {
    const [bad] = groupsOf(times(2, entry(null, null, '5.10.240-238.955.amzn2.x86_64')), {}, {});
    const [good] = groupsOf(times(2, entry(null, null, '5.10.245-241.978.amzn2.x86_64')), {}, {});
    expect(bad?.next).toMatch(/lock up with auditd: update the kernel\.$/);
    expect(good?.next).toMatch(/raise audit_backlog_limit/);
  });

  it('need two, and count the affected only', () => {
    const entries = [
      entry('ami-x', null, null),
      entry('ami-x', null, null, 'healthy'),
      entry('ami-x', null, null, 'opted-out'),
      entry('ami-x', null, null, 'console-empty'),
    ];
    expect(groupsOf(entries, {}, {})).toEqual([]);
    expect(groupsOf([...entries, entry('ami-x', null, null, 'already-handled')], {}, {})).toHaveLength(1);
  });

  it('tell no share where fewer were counted than are affected, nor from what every object has', () => {
    expect(groupsOf(times(3, entry('ami-x', null, null)), { 'ami-x': 2 }, {})[0]?.of).toBeNull();
    expect(groupsOf(times(2, entry('constructor', null, null)), {}, {})[0]?.of).toBeNull();
  });
});
