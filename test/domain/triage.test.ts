import type { Action, TriageCode } from '../../domain/contracts.ts';
import { TRIAGE_CODES } from '../../domain/contracts.ts';
import { evidenceKey } from '../../domain/evidence.ts';
import { policyForCell, policySchema } from '../../domain/policy.ts';
import {
  ConsoleNotReadError,
  needsPreflight,
  needsSecondReading,
  TRIAGE_TABLE,
  type TriageInput,
  triage,
  triageRow,
} from '../../domain/triage.ts';
import {
  evidence,
  history,
  input,
  instance,
  lost,
  minutesAgo,
  NOW,
  ONLINE,
  preflight,
  reading,
  stampMinutesAgo,
} from './findings.ts';

const KEY = evidenceKey(evidence());
const BAD_KERNEL = '5.10.240-238.955.amzn2.x86_64';
const LAUNCH = instance().launchTime;
const DAY = 24 * 60;
const READABLE = { console: reading(), agent: ONLINE };
const ALLOWED = { AuditBacklogRestart: 'allowed' };
const NO_REBOOT = { restart: { rebootWhereStopLoses: false } } as const;
const error = {
  call: 'ec2:GetConsoleOutput',
  code: 'UnauthorizedOperation',
  message: 'denied',
  next: 'Allow ec2:GetConsoleOutput.',
  kind: 'failed',
} as const;

type Row = readonly [what: string, code: TriageCode, action: Action, input: TriageInput];
const shown = (e: Parameters<typeof evidence>[0], rest: Parameters<typeof reading>[0] = {}) =>
  reading({ evidence: evidence(e), ...rest });

const rows: readonly Row[] = [
  // 1
  [
    'Windows',
    'out-of-scope',
    'leave',
    input({ instance: instance({ platform: 'windows' }), console: { status: 'not-read' } }),
  ],
  ['filtered out', 'out-of-scope', 'leave', input({ outOfScope: 'not in tag Team', console: { status: 'not-read' } })],
  [
    'opted out',
    'opted-out',
    'leave',
    input({ instance: instance({ tags: { AuditBacklogRemediation: 'disabled' } }), console: { status: 'not-read' } }),
  ],
  [
    'opted out in another spelling',
    'opted-out',
    'leave',
    input({ instance: instance({ tags: { AuditBacklogRemediation: ' Disabled ' } }) }),
  ],
  [
    'opted out by the tag that policy names',
    'opted-out',
    'leave',
    input({ instance: instance({ tags: { Hands: 'disabled' } }) }, { tags: { optOut: 'Hands' } }),
  ],
  [
    'the opt-out tag with another value',
    'restart',
    'restart-then-resize',
    input({ instance: instance({ tags: { AuditBacklogRemediation: 'enabled', ...ALLOWED } }) }),
  ],
  [
    'stopped',
    'not-running',
    'leave',
    input({ instance: instance({ state: 'stopped' }), console: { status: 'not-read' } }),
  ],
  [
    'opted out and stopped',
    'opted-out',
    'leave',
    input({ instance: instance({ state: 'stopped', tags: { AuditBacklogRemediation: 'disabled' } }) }),
  ],
  // 2
  ['console denied', 'console-unreadable', 'leave', input({ console: { status: 'unreadable', error } })],
  ['no console', 'console-empty', 'leave', input({ console: { status: 'empty' } })],
  [
    'no overflow on a console as it was soon after the boot',
    'console-empty',
    'leave',
    input({ console: shown({ verdict: 'none' }, { latest: false }) }),
  ],
  ['blank console', 'console-empty', 'leave', input({ console: shown({ verdict: 'none', empty: true, boots: 0 }) })],
  // 3
  ['no overflow', 'healthy', 'leave', input({ console: shown({ verdict: 'none', currentBoot: null }) })],
  // 4
  [
    'proven for this evidence',
    'already-handled',
    'leave',
    input({ ...READABLE, history: history({ proven: { evidenceKey: KEY, target: 8192, at: minutesAgo(30) } }) }),
  ],
  [
    'proven for other evidence',
    'resize',
    'resize',
    input({ ...READABLE, history: history({ proven: { evidenceKey: 'other', target: 8192, at: minutesAgo(30) } }) }),
  ],
  [
    'proven at the very launch',
    'already-handled',
    'leave',
    input({ ...READABLE, history: history({ proven: { evidenceKey: KEY, target: 8192, at: LAUNCH } }) }),
  ],
  [
    'proven, but for a boot before',
    'resize',
    'resize',
    input({
      ...READABLE,
      history: history({ proven: { evidenceKey: KEY, target: 8192, at: minutesAgo(2 * DAY + 1) } }),
    }),
  ],
  [
    'proven, launched since, boot unknown',
    'already-handled',
    'leave',
    input({
      console: shown({ currentBoot: null }),
      agent: ONLINE,
      history: history({ proven: { evidenceKey: KEY, target: 8192, at: minutesAgo(2 * DAY + 1) } }),
    }),
  ],
  // 5
  ['older boot, reachable', 'older-boot', 'assess', input({ console: shown({ currentBoot: false }), agent: ONLINE })],
  ['older boot, silent', 'older-boot', 'leave', input({ console: shown({ currentBoot: false }) })],
  [
    'older boot, stuck',
    'older-boot',
    'leave',
    input({ console: shown({ currentBoot: false }), agent: ONLINE, history: history({ stuckSweeps: 1 }) }),
  ],
  // 6
  [
    'suspected, reachable',
    'weak-evidence',
    'assess',
    input({ console: shown({ verdict: 'suspected' }), agent: ONLINE }),
  ],
  ['suspected, hung', 'weak-evidence', 'leave', input({ console: shown({ verdict: 'suspected' }) })],
  // 7
  [
    'cured twice in the window',
    'limit-is-not-the-cause',
    'leave',
    input({ ...READABLE, history: history({ cures: [minutesAgo(7 * DAY), minutesAgo(10)] }) }),
  ],
  [
    'cured twice, once before the window',
    'resize',
    'resize',
    input({ ...READABLE, history: history({ cures: [minutesAgo(7 * DAY + 1), minutesAgo(10)] }) }),
  ],
  // 8
  ['bad kernel, reachable', 'bad-kernel', 'resize', input({ console: shown({ kernel: BAD_KERNEL }), agent: ONLINE })],
  ['bad kernel, silent', 'bad-kernel', 'leave', input({ console: shown({ kernel: BAD_KERNEL }) })],
  [
    'bad kernel, budget spent',
    'bad-kernel',
    'defer',
    input(
      { console: shown({ kernel: BAD_KERNEL }), agent: ONLINE },
      {},
      { budget: { resizesLeft: 0, restartsLeft: 3 } },
    ),
  ],
  // 9
  ['reachable', 'resize', 'resize', input(READABLE)],
  [
    'reachable, no line names the limit',
    'resize',
    'resize',
    input({ console: shown({ limit: null, backlog: null, lost: null }), agent: ONLINE }),
  ],
  [
    'reachable, evidence uncertain',
    'resize',
    'resize',
    input({ console: shown({ currentBoot: null }, { latest: false, updatedAt: null }), agent: ONLINE }),
  ],
  ['stuck for the first time', 'resize', 'resize', input({ agent: ONLINE, history: history({ stuckSweeps: 1 }) })],
  [
    'the last resize of the run',
    'resize',
    'resize',
    input(READABLE, {}, { budget: { resizesLeft: 1, restartsLeft: 0 } }),
  ],
  ['no resize left', 'resize-budget', 'defer', input(READABLE, {}, { budget: { resizesLeft: 0, restartsLeft: 3 } })],
  ['lost for under 6 min', 'resize', 'resize', input({ agent: lost(5.9) })],
  // 10
  ['not managed', 'not-managed', 'leave', input({ agent: null, statusCheck: 'impaired' })],
  [
    'SSM could not be asked',
    'not-managed',
    'leave',
    input({ agent: null, agentError: error, statusCheck: 'impaired' }),
  ],
  [
    'SSM could not be asked, older boot',
    'older-boot',
    'leave',
    input({ agent: null, agentError: error, console: shown({ currentBoot: false }) }),
  ],
  // 11
  ['silent, pinged long after the overflow', 'agent-lost-machine-alive', 'leave', input({ agent: lost(44.9) })],
  ['silent, pinged 15 min after the overflow', 'restart', 'restart-then-resize', input({ agent: lost(45) })],
  ['silent, pinged 15 min before the overflow', 'restart', 'restart-then-resize', input({ agent: lost(75) })],
  ['silent, pinged long before the overflow', 'agent-lost-machine-alive', 'leave', input({ agent: lost(75.1) })],
  [
    'silent, pinged 15 min before the storm began that goes on',
    'restart',
    'restart-then-resize',
    input({ agent: lost(255), console: shown({ stamp: stampMinutesAgo(1), stormStamp: stampMinutesAgo(240) }) }),
  ],
  [
    'silent, pinged long before the storm began',
    'agent-lost-machine-alive',
    'leave',
    input({ agent: lost(255.1), console: shown({ stamp: stampMinutesAgo(1), stormStamp: stampMinutesAgo(240) }) }),
  ],
  [
    'silent, pinged long after the storm',
    'agent-lost-machine-alive',
    'leave',
    input({ agent: lost(44.9), console: shown({ stormStamp: stampMinutesAgo(240) }) }),
  ],
  [
    'the text shows a reboot since launch',
    'agent-lost-machine-alive',
    'leave',
    input({ console: shown({ boots: 2 }) }),
  ],
  ['no kernel stamp', 'agent-lost-machine-alive', 'leave', input({ console: shown({ stamp: null }) })],
  [
    'an overflow in the future is not of this launch',
    'agent-lost-machine-alive',
    'leave',
    input({ console: shown({ stamp: stampMinutesAgo(-1) }), agent: lost(12) }),
  ],
  ['status check impaired', 'restart', 'restart-then-resize', input({ agent: lost(30), statusCheck: 'impaired' })],
  [
    'status check without data is no sign',
    'agent-lost-machine-alive',
    'leave',
    input({ agent: lost(30), statusCheck: 'insufficient-data' }),
  ],
  [
    'a panic ends the boot',
    'restart',
    'restart-then-resize',
    input({ agent: lost(30), console: shown({ panic: true, panicEndsBoot: true }) }),
  ],
  [
    'a panic that did not end the boot',
    'agent-lost-machine-alive',
    'leave',
    input({ agent: lost(30), console: shown({ panic: true }) }),
  ],
  [
    'stuck in two sweeps',
    'restart',
    'restart-then-resize',
    input({ agent: ONLINE, history: history({ stuckSweeps: 2 }) }),
  ],
  [
    'stuck once, silent now',
    'agent-lost-machine-alive',
    'leave',
    input({ agent: lost(30), history: history({ stuckSweeps: 1 }) }),
  ],
  [
    'boot unknown',
    'agent-lost-machine-alive',
    'leave',
    input({ statusCheck: 'impaired', console: shown({ currentBoot: null }) }),
  ],
  [
    'read without Latest',
    'agent-lost-machine-alive',
    'leave',
    input({ statusCheck: 'impaired', console: reading({ latest: false }) }),
  ],
  [
    'text without a date',
    'agent-lost-machine-alive',
    'leave',
    input({ statusCheck: 'impaired', console: reading({ updatedAt: null }) }),
  ],
  [
    'text older than the launch',
    'agent-lost-machine-alive',
    'leave',
    input({ statusCheck: 'impaired', console: reading({ updatedAt: minutesAgo(2 * DAY + 1) }) }),
  ],
  [
    'text as old as the launch',
    'restart',
    'restart-then-resize',
    input({ statusCheck: 'impaired', console: reading({ updatedAt: LAUNCH }) }),
  ],
  [
    'text older than our last action',
    'agent-lost-machine-alive',
    'leave',
    input({ console: reading({ updatedAt: minutesAgo(21) }), history: history({ lastActionAt: minutesAgo(20) }) }),
  ],
  [
    'text as old as our last action',
    'restart',
    'restart-then-resize',
    input({ console: reading({ updatedAt: minutesAgo(20) }), history: history({ lastActionAt: minutesAgo(20) }) }),
  ],
  // 12
  ['new user-space lines', 'sign-of-life', 'leave', input({ console: reading({ newUserSpaceLines: 1 }) })],
  ['read once only', 'sign-of-life', 'leave', input({ console: reading({ newUserSpaceLines: null }) })],
  // 13
  ['silent for less than it takes', 'silent-too-short', 'defer', input({ agent: lost(9.9), statusCheck: 'impaired' })],
  [
    'silent for just long enough',
    'restart',
    'restart-then-resize',
    input({ agent: lost(10), statusCheck: 'impaired' }),
  ],
  ['silent for a day', 'restart', 'restart-then-resize', input({ agent: lost(DAY), statusCheck: 'impaired' })],
  ['silent for more than a day', 'silent-too-long', 'leave', input({ agent: lost(DAY + 1), statusCheck: 'impaired' })],
  [
    'silent since nobody knows when',
    'silent-too-long',
    'leave',
    input({ agent: { ...lost(1), lastPingAt: null }, statusCheck: 'impaired' }),
  ],
  // 14
  ['policy never', 'restart-not-allowed', 'leave', input({}, { restart: { policy: 'never' } })],
  ['policy tagged, no tag', 'restart-not-allowed', 'leave', input({ instance: instance({ tags: {} }) })],
  [
    'policy tagged, allowed misspelt',
    'restart-not-allowed',
    'leave',
    input({ instance: instance({ tags: { AuditBacklogRestart: 'Allowed' } }) }),
  ],
  [
    'policy any, no tag',
    'restart',
    'restart-then-resize',
    input({ instance: instance({ tags: {} }) }, { restart: { policy: 'any' } }),
  ],
  [
    'policy any, tag says otherwise',
    'restart-not-allowed',
    'leave',
    input({ instance: instance({ tags: { AuditBacklogRestart: 'denied' } }) }, { restart: { policy: 'any' } }),
  ],
  // 15
  ['operated by a service, opted in', 'owned', 'leave', input({ instance: instance({ operatorManaged: true }) })],
  [
    'in an Auto Scaling group, not opted in',
    'owned',
    'leave',
    input({ instance: instance({ tags: { 'aws:autoscaling:groupName': '' } }) }, { restart: { policy: 'any' } }),
  ],
  [
    'in an Auto Scaling group, opted in',
    'restart',
    'restart-then-resize',
    input({ instance: instance({ tags: { ...ALLOWED, 'aws:autoscaling:groupName': 'web' } }) }),
  ],
  [
    'in an Auto Scaling group, opted in, no reboot',
    'owned',
    'leave',
    input({ instance: instance({ tags: { ...ALLOWED, 'aws:autoscaling:groupName': 'web' } }) }, NO_REBOOT),
  ],
  // 16
  [
    'instance store, no reboot',
    'stop-would-lose',
    'leave',
    input({ preflight: preflight({ instanceStore: true, stopProtection: true }) }, NO_REBOOT),
  ],
  [
    'instance store, reboot',
    'restart',
    'restart-then-resize',
    input({ preflight: preflight({ instanceStore: true }) }),
  ],
  [
    'stop protection, no reboot',
    'stop-refused',
    'leave',
    input({ preflight: preflight({ stopProtection: true, keys: 'disabled' }) }, NO_REBOOT),
  ],
  [
    'key disabled, no reboot',
    'may-not-start',
    'leave',
    input({ preflight: preflight({ keys: 'disabled' }) }, NO_REBOOT),
  ],
  [
    'reboot-only has no stop to lose by',
    'restart',
    'restart-then-resize',
    input(
      { preflight: preflight({ instanceStore: true }) },
      { restart: { method: 'reboot-only', rebootWhereStopLoses: false } },
    ),
  ],
  ['not looked at', 'may-not-start', 'leave', input({ preflight: null })],
  [
    'not looked at, reboot-only',
    'may-not-start',
    'leave',
    input({ preflight: null }, { restart: { method: 'reboot-only' } }),
  ],
  // 17
  [
    'restarted twice in the cool-down',
    'restarted-before',
    'leave',
    input({
      history: history({
        attempts: [
          { at: minutesAgo(DAY), evidenceKey: 'a' },
          { at: minutesAgo(60), evidenceKey: 'b' },
        ],
      }),
    }),
  ],
  [
    'restarted twice, once before the cool-down',
    'restart',
    'restart-then-resize',
    input({
      history: history({
        attempts: [
          { at: minutesAgo(DAY + 1), evidenceKey: 'a' },
          { at: minutesAgo(60), evidenceKey: 'b' },
        ],
      }),
    }),
  ],
  [
    'restarted for this evidence',
    'restarted-before',
    'leave',
    input({ history: history({ attempts: [{ at: minutesAgo(30), evidenceKey: KEY }] }) }),
  ],
  [
    'restarted for this evidence, launched since',
    'restarted-before',
    'leave',
    input({ history: history({ attempts: [{ at: minutesAgo(3 * DAY), evidenceKey: KEY }] }) }),
  ],
  // 18
  [
    'breaker open',
    'breaker-open',
    'leave',
    input({}, {}, { breaker: { open: true, reason: '40 of 42 overflow at once' } }),
  ],
  ['no restart left', 'restart-budget', 'defer', input({}, {}, { budget: { resizesLeft: 5, restartsLeft: 0 } })],
  // 19
  ['hung', 'restart', 'restart-then-resize', input()],
];

describe('triage, row by row', () => {
  it.each(rows)('%s: %s, %s', (_what, code, action, given) => {
    expect(triage(given)).toMatchObject({ code, action });
  });

  it('has an example of every code', () => {
    expect(new Set(rows.map(([, code]) => code))).toEqual(new Set(TRIAGE_CODES));
  });

  it('gives a reason of one line, the next step where the table has one, and an action that the table names', () => {
    for (const [, code, , given] of rows) {
      const decision = triage(given);
      expect(decision.reason).toMatch(/^[A-Z].*[.!?]$/);
      expect(triageRow(code).actions).toContain(decision.action);
      if (triageRow(code).next !== '') expect(decision.next).not.toBe('');
      expect(decision.method === null).toBe(decision.action !== 'restart-then-resize');
    }
  });
});

describe('triage, what it says', () => {
  it.each<[RegExp, TriageInput]>([
    [
      /overflowed at its limit of 64 \(70 queued\), 12 events lost; it is silent for 55 min, and its agent pinged last 5 min after the last overflow: it is stopped and started\.$/,
      input(),
    ],
    [
      /rebooted \(not stopped: its auto-assigned public IPv4 address; its stop protection could not be read\)\.$/,
      input({ instance: instance({ publicAddress: 'auto' }), preflight: preflight({ stopProtection: null }) }),
    ],
    [
      /instance store volumes; it has stop protection\.$/,
      input({ preflight: preflight({ instanceStore: true, stopProtection: true }) }, NO_REBOOT),
    ],
    [
      /after 2 cures within 7 days\. What its last cure saw: log disk full\.$/,
      input({ history: history({ cures: [minutesAgo(9), minutesAgo(8)], diagnosis: 'log disk full' }) }),
    ],
    [
      /no more instances of the cell \(restart\.maxPerRun 10, restart\.maxPercent 5, maxRestarts of the request\)\.$/,
      input({}, {}, { budget: { resizesLeft: 5, restartsLeft: 0 } }),
    ],
    [/silent for 7 min, less than the 10 min/, input({ agent: lost(7), statusCheck: 'impaired' })],
    [/silent for 1441 min, more than a day/, input({ agent: lost(DAY + 1), statusCheck: 'impaired' })],
    [
      /it is stuck, and it took a command and did not finish it in 2 sweeps/,
      input({ agent: ONLINE, history: history({ stuckSweeps: 2 }) }),
    ],
    [
      /^Its console could not be read, ec2:GetConsoleOutput failed with UnauthorizedOperation: denied\.$/,
      input({ console: { status: 'unreadable', error } }),
    ],
    [
      /^No restarts in this cell: 40 of 42 overflow at once\.$/,
      input({}, {}, { breaker: { open: true, reason: '40 of 42 overflow at once' } }),
    ],
  ])('%s', (text, given) => {
    expect(triage(given).reason).toMatch(text);
  });

  it('does not say of what SSM could not be asked about that SSM does not manage it', () => {
    const unasked = { agent: null, agentError: error };
    for (const currentBoot of [true, false]) {
      const { reason } = triage(input({ ...unasked, console: shown({ currentBoot }) }));
      expect(reason).not.toContain('manage');
      expect(reason).toMatch(/unknown|not known/);
    }
    expect(triage(input(unasked)).next).toBe(error.next);
  });

  it('passes on the next step of a failed call', () => {
    expect(triage(input({ console: { status: 'unreadable', error } })).next).toBe('Allow ec2:GetConsoleOutput.');
  });
});

describe('triage, by which method', () => {
  const owned = { instance: instance({ tags: { ...ALLOWED, 'karpenter.sh/nodepool': 'x' } }) };
  const tried = { history: history({ attempts: [{ at: minutesAgo(120), evidenceKey: 'older' }] }) };
  it.each([
    ['stop-start', input()],
    ['reboot', input({}, { restart: { method: 'reboot-only' } })],
    ['reboot', input({}, { restart: { method: 'reboot-first' } })],
    ['stop-start', input(tried, { restart: { method: 'reboot-first' } })],
    [
      'reboot',
      input({ ...tried, preflight: preflight({ keys: 'unreadable' }) }, { restart: { method: 'reboot-first' } }),
    ],
    ['stop-start', input(tried)],
    ['reboot', input(owned)],
    ['reboot', input({ preflight: preflight({ spotRequest: 'one-time' }) })],
    ['reboot', input({ instance: instance({ rootDeviceType: 'instance-store' }) })],
  ] as const)('%s', (method, given) => {
    expect(triage(given)).toMatchObject({ code: 'restart', method });
  });

  it('obeys what an override says of the cell', () => {
    const given = input({ preflight: preflight({ instanceStore: true }) });
    const policy = policySchema.parse({
      overrides: [{ regions: ['eu-west-1'], restart: { rebootWhereStopLoses: false } }],
    });
    expect(triage({ ...given, policy: policyForCell(policy, given.finding.cell) }).code).toBe('stop-would-lose');
    expect(
      triage({ ...given, policy: policyForCell(policy, { accountId: '111122223333', region: 'eu-west-2' }) }).code,
    ).toBe('restart');
  });
});

describe('triage, what it asks for', () => {
  const once = { console: reading({ newUserSpaceLines: null }) };
  it.each([
    ['read once, hung', input(once), true],
    ['read twice', input(), false],
    ['read once, reachable', input({ ...once, agent: ONLINE }), false],
    ['read once, not hung', input({ ...once, agent: lost(30) }), false],
    ['out of scope, not read', input({ outOfScope: 'x', console: { status: 'not-read' } }), false],
  ])('a second reading: %s', (_what, given, asked) => {
    expect(needsSecondReading(given)).toBe(asked);
  });

  it.each([
    ['hung and allowed', input({ preflight: null }), true],
    ['looked at', input(), false],
    ['not allowed', input({ preflight: null, instance: instance({ tags: {} }) }), false],
    ['reachable', input({ preflight: null, agent: ONLINE }), false],
    ['read once only', input({ ...once, preflight: null }), false],
    ['breaker open', input({ preflight: null }, {}, { breaker: { open: true, reason: null } }), true],
  ])('a preflight: %s', (_what, given, asked) => {
    expect(needsPreflight(given)).toBe(asked);
  });

  it('refuses to judge what was not read', () => {
    const given = input({ console: { status: 'not-read' } });
    expect(() => triage(given)).toThrow(ConsoleNotReadError);
    expect(() => triage(given)).toThrow(/i-0123456789abcdef0 in 111122223333\/eu-west-1 .*ec2:GetConsoleOutput/);
  });
});

describe('the table', () => {
  it('has every code once, in the order of the contract, by rising row, up to a last row that always holds', () => {
    expect(TRIAGE_TABLE.map((row) => row.code)).toEqual([...TRIAGE_CODES]);
    const numbers = TRIAGE_TABLE.map((row) => row.row);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(numbers).size).toBe(19);
    expect(TRIAGE_TABLE.at(-1)).toMatchObject({ code: 'restart', row: 19, actions: ['restart-then-resize'] });
  });

  it('restarts by one code only', () => {
    expect(TRIAGE_TABLE.filter((row) => row.actions.includes('restart-then-resize'))).toHaveLength(1);
  });
});

it('is judged at a time that the fixtures know', () => expect(minutesAgo(0)).toBe(NOW));
