/**
 * Each kind of instance that `npm start` shows: what the service makes of it, what it truly does to it, and what it tells
 * a person. The expectations are written by hand: nothing here asks the domain or the simulator what is right.
 */
import { DEMO_CELLS } from '../../../cli/demo-policy.ts';
import { MAIN_SWEEP_AT, simulate } from '../../../cli/simulation.ts';
import type { ActionEntry, RunReport } from '../../../domain/contracts.ts';
import type { WorldEvent } from '../../../simulator/core.ts';
import { plannedFleet } from '../../../simulator/fleet.ts';
import { KINDS } from '../../../simulator/kinds.ts';

/** Large enough that policy allows as many restarts as there are kinds to restart. */
const WORLD = { instances: 150, seed: 7 } as const;

interface Expected {
  readonly action: ActionEntry['action'];
  readonly code: string;
  /** null: nothing came of it, since nothing was done. */
  readonly result: string | null;
  /** What the region saw: power changes, and the running limit after each runbook. */
  readonly done: string;
  /** What a person reads: reason, next step, outcome and its next step in one text holds each of these. */
  readonly says: readonly string[];
}
type Row = readonly [name: string, Expected];

const leave = (code: string, ...says: string[]): Expected => ({ action: 'leave', code, result: null, done: '', says });
const resize = (result: string, limits: string, ...says: string[]): Expected => ({
  action: 'resize',
  code: 'resize',
  result,
  done: limits,
  says,
});
const restart = (how: 'stop-start' | 'reboot', ...says: string[]): Expected => ({
  action: 'restart-then-resize',
  code: 'restart',
  result: 'resized',
  done: how === 'reboot' ? 'reboot 8192' : 'stopping stopped pending running 8192',
  says: [...says, 'Limit in the kernel: 320, now 8192; in /etc/audit/rules.d/audit.rules: 320, now 8192.'],
});

const HANGS = 'Its audit queue overflowed at its limit of 320 (321 queued), 593 events lost; it is silent for ';
const ANSWERS = 'Its audit queue overflowed at its limit of 320 (321 queued), 593 events lost and it answers.';
const NEVER_INSTEAD = 'A stop is out of the question and policy forbids to reboot instead: ';

const REACHABLE: readonly Row[] = [
  [
    'immutable',
    resize(
      'pending-reboot',
      '320',
      'Immutable rules (-e 2): /etc/audit/rules.d/audit.rules holds 8192, the kernel keeps 320 until a reboot.',
      'reboot it at a time that suits',
    ),
  ],
  ['already-handled', { ...leave('already-handled', 'This very overflow was handled and proven at'), result: 'held' }],
  ['cured-and-talkative', { ...leave('healthy', 'Its console shows no overflow.'), result: 'held' }],
  [
    'recurring',
    {
      ...leave(
        'limit-is-not-the-cause',
        'It overflowed again after 2 cures within 7 days.',
        'Find what does not drain (full or slow log disk, suspended or frozen auditd, too many rules) or sets the limit back.',
        '(limit 16384)',
      ),
      result: 'overflowed-again',
    },
  ],
  [
    'put-back',
    resize(
      'reverted',
      '8192',
      'The proven limit of 8192 was undone in /etc/audit/rules.d/audit.rules (it reads 320).',
      'Something sets the limit back (image, configuration management): raise it there as well.',
    ),
  ],
  ['xen', resize('resized', '8192', ANSWERS)],
  [
    'bad-kernel',
    {
      ...resize(
        'unsafe-kernel',
        '8192',
        'only its running limit is raised',
        'Raised the running limit from 320 to 8192.',
      ),
      code: 'bad-kernel',
    },
  ],
  [
    'older-boot',
    {
      action: 'assess',
      code: 'older-boot',
      result: 'resized',
      done: '320 8192',
      says: ['an older boot of the machine: its limit is read first, and raised if it is below the target.'],
    },
  ],
  [
    'weak-evidence',
    {
      action: 'assess',
      code: 'weak-evidence',
      result: 'planned',
      done: '64',
      says: [
        'The console only hints at an overflow, no line names one: its limit is read, and nothing is changed.',
        'auditd is not running: nothing drains the queue.',
      ],
    },
  ],
  [
    'no-auditd',
    resize(
      'no-auditd',
      '320',
      'The kernel audits, but auditd is not installed.',
      'install and start it, or switch auditing off',
    ),
  ],
  [
    'little-memory',
    resize(
      'insufficient-memory',
      '8192',
      'not above the 8192 that is there; 16384 is wanted.',
      'use a larger instance type or fewer audit rules.',
    ),
  ],
  [
    'full-log-disk',
    resize(
      'resized',
      '8192',
      'The log disk (0 % free) is at or below space_left: make room.',
      'auditd suspends logging',
    ),
  ],
  ['quiet-console', resize('resized', '320 8192', 'overflowed at a limit that no line names and it answers.')],
  [
    'kernel-default',
    resize(
      'resized',
      '8192',
      'at its limit of 64 (65 queued)',
      'set audit_backlog_limit=8192 on the kernel command line.',
    ),
  ],
  ['drop-in', resize('resized', '8192', 'in /etc/audit/rules.d/zz-site.rules: 400, now 8192.')],
  ['old-agent', resize('resized', '8192', ANSWERS)],
  ['sysv', resize('resized', '8192', 'in /etc/audit/audit.rules: 320, now 8192.')],
];

const RESTARTED: readonly Row[] = [
  ['hung', restart('stop-start', HANGS, 'min before the last overflow: it is stopped and started.')],
  ['hung-instance-store', restart('reboot', HANGS, 'rebooted (not stopped: the data on its instance store volumes).')],
  ['hung-capacity', { ...restart('stop-start', HANGS), done: 'stopping stopped start-refused pending running 8192' }],
  ['hung-auto-address', restart('reboot', 'rebooted (not stopped: its auto-assigned public IPv4 address).')],
  ['hung-elastic-address', restart('stop-start', 'its instance status check is impaired')],
  ['hung-spot', restart('reboot', 'rebooted (not stopped: its Spot request is one-time).')],
  [
    'hung-auto-scaling',
    restart('reboot', 'rebooted (not stopped: something else owns it, tag aws:autoscaling:groupName).'),
  ],
  [
    'panicked',
    restart(
      'stop-start',
      'the overflow ended its boot in a kernel panic',
      'Failure mode is 2: the next overflow panics',
    ),
  ],
  [
    'hung-one-too-many',
    {
      ...leave('restart-budget', 'This run may restart no more instances of the cell (restart.maxPerRun 8, '),
      action: 'defer',
    },
  ],
];

const SILENT: readonly Row[] = [
  ['not-opted-in', leave('restart-not-allowed', 'It does not bear the tag AuditBacklogRestart=allowed.')],
  ['karpenter', leave('owned', 'Something else owns it (tag karpenter.sh/nodepool), and policy forbids to reboot it.')],
  [
    'agent-dead',
    leave('agent-lost-machine-alive', 'but nothing says that the machine hangs.', 'Restore the SSM agent'),
  ],
  ['instance-store', leave('stop-would-lose', `${NEVER_INSTEAD}the data on its instance store volumes.`)],
  [
    'restarted-before',
    leave('restarted-before', 'It was restarted 2 times within 24 hours.', 'a restart did not help it.'),
  ],
  ['sign-of-life', leave('sign-of-life', 'new console lines between two reads: it is alive.')],
  [
    'healthy-target',
    leave('sign-of-life', 'Its programs answer the health checks of the target group web: it is alive.'),
  ],
  [
    'silent-too-short',
    { ...leave('silent-too-short', 'less than the 10 min to wait.', 'Wait for the next run.'), action: 'defer' },
  ],
  ['silent-too-long', leave('silent-too-long', 'It is silent for 1563 min, more than a day.')],
  ['protected', leave('stop-refused', `${NEVER_INSTEAD}it has stop protection.`, 'Reboot it by hand')],
  ['disabled-key', leave('may-not-start', ' of its encrypted volumes is disabled.', 'Enable the key')],
  [
    'breaker',
    leave('breaker-open', 'No restarts in this cell: 14 of 60 instances, more than 10, are lost or impaired at once'),
  ],
  ['not-managed', leave('not-managed', 'but SSM does not manage it.', 'Make it a managed node')],
];

const NOT_LOOKED_INTO: readonly Row[] = [
  ['opted-out', leave('opted-out', 'Its tag AuditBacklogRemediation says disabled.')],
  ['windows', leave('out-of-scope', 'It runs windows, which has no audit queue.')],
  ['sandbox', leave('out-of-scope', "its tag Environment is excluded by the policy's scope.")],
  ['stopped', leave('not-running', 'Its state is stopped (Client.UserInitiatedShutdown: User initiated shutdown).')],
  ['empty-console', leave('console-empty', 'so whether its queue overflowed is unknown.', 'console=ttyS0')],
  ['mac', leave('console-unreadable', 'ec2:GetConsoleOutput failed with UnsupportedOperation')],
];

const ROWS: readonly Row[] = [...REACHABLE, ...RESTARTED, ...SILENT, ...NOT_LOOKED_INTO];

/** What the region's log says that was done to one machine in the main sweep. */
function doneTo(events: readonly WorldEvent[], instanceId: string): string {
  return events
    .filter((event) => event.instanceId === instanceId)
    .flatMap(({ kind, what, detail }) => {
      if (kind === 'power' && what !== 'reset') return [what];
      return kind === 'guest' && what === 'script' ? [String(detail?.limit)] : [];
    })
    .join(' ');
}

describe('the fleet of npm start', () => {
  let report: RunReport;
  const events: WorldEvent[] = [];
  const idsOf = new Map<string, string[]>();

  beforeAll(async () => {
    report = await simulate({ ...WORLD, mode: 'apply', onEvent: (event, main) => main && events.push(event) });
    const fleet = plannedFleet({ ...WORLD, mainSweepAt: MAIN_SWEEP_AT, cells: DEMO_CELLS });
    for (const { kind, instanceProfile } of fleet) {
      idsOf.set(kind, [...(idsOf.get(kind) ?? []), instanceProfile.instanceId ?? '']);
    }
  }, 240_000);

  test('has a row here for every kind, and no other', () => {
    expect(ROWS.map(([name]) => name).sort()).toEqual(KINDS.map(({ name }) => name).sort());
    expect(report.simulator).toMatchObject({ agrees: true });
  });

  test.each(ROWS)('%s', (name, { action, code, result, done, says }) => {
    const ids = idsOf.get(name) ?? [];
    expect(ids).not.toEqual([]);
    for (const id of ids) {
      const entry = report.actions.find(({ instanceId }) => instanceId === id);
      const outcome = entry?.outcome ?? null;
      expect({ action: entry?.action, code: entry?.code, result: outcome?.result ?? null }).toEqual({
        action,
        code,
        result,
      });
      expect(doneTo(events, id)).toBe(done);
      const text = [entry?.reason, entry?.next, outcome?.message, outcome?.next].join('\n');
      for (const words of says) expect(text).toContain(words);
    }
  });

  test('ordinary machines that overflow are cured as far as the run may; healthy ones are not touched', () => {
    const ordinary = report.actions.filter(({ instanceId }) => idsOf.get('overflowed')?.includes(instanceId));
    const cured = ordinary.filter(({ code }) => code === 'resize');
    expect(ordinary).toHaveLength(18);
    expect(cured).toHaveLength(16);
    for (const { instanceId, outcome } of cured) {
      expect(outcome).toMatchObject({ result: 'resized', proven: true, limitAfter: 8192, restartedBy: null });
      expect(doneTo(events, instanceId)).toBe('8192');
    }
    for (const entry of ordinary.filter((each) => !cured.includes(each))) {
      expect(entry).toMatchObject({ action: 'defer', code: 'resize-budget', next: expect.stringMatching(/maxPerRun/) });
      expect(doneTo(events, entry.instanceId)).toBe('');
    }
    for (const id of idsOf.get('healthy') ?? []) expect(doneTo(events, id)).toBe('');
  });
});
