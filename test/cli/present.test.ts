import { EXIT, exitCodeOf } from '../../cli/exit-codes.ts';
import { printReport } from '../../cli/present.ts';
import type { ActionEntry, CellReport, Outcome, RunReport, Totals } from '../../domain/contracts.ts';
import { countBuckets } from '../../domain/totals.ts';

const CELL: CellReport = {
  accountId: '111122223333',
  region: 'eu-west-1',
  status: 'done',
  errors: [],
  instances: 10,
  consolesRead: 10,
  unknown: 0,
  affected: 0,
  codes: {},
  breaker: { open: false, reason: null },
  apiCalls: {},
  throttled: 0,
};

const NO_TOTALS: Totals = {
  instances: 10,
  healthy: 0,
  affected: 0,
  unknown: 0,
  outOfScope: 0,
  resized: 0,
  restarted: 0,
  assessed: 0,
  alreadyHandled: 0,
  deferred: 0,
  left: 0,
  failed: 0,
};

const FAILED_CALL = {
  call: 'ec2:DescribeInstances',
  code: 'UnauthorizedOperation',
  message: 'You are not authorized.',
  next: 'grant ec2:DescribeInstances',
};

let made = 0;
function entry(change: Partial<ActionEntry>): ActionEntry {
  return {
    instanceId: `i-${(++made).toString(16).padStart(17, '0')}`,
    accountId: CELL.accountId,
    region: CELL.region,
    action: 'leave',
    code: 'not-managed',
    reason: 'SSM does not manage it.',
    next: 'Make it a managed node.',
    method: null,
    imageId: null,
    launchTemplate: null,
    evidence: null,
    outcome: null,
    ...change,
  };
}

function outcome(change: Partial<Outcome>): Outcome {
  return {
    result: 'resized',
    proven: true,
    at: '2026-11-22T04:01:00.000Z',
    restartedBy: null,
    backAt: null,
    target: 8192,
    limitBefore: 64,
    limitAfter: 8192,
    lostBefore: null,
    lostAfter: null,
    commandId: null,
    message: 'done',
    next: '',
    ...change,
  };
}

function report(change: Partial<RunReport> = {}): RunReport {
  const mode = change.mode ?? 'plan';
  const actions = change.actions ?? [];
  return {
    schema: 1,
    runId: 'p-20261122T040000Z-abcd',
    mode,
    policyDigest: '0123456789abcdef',
    startedAt: '2026-11-22T04:00:00.000Z',
    endedAt: '2026-11-22T04:00:30.000Z',
    complete: true,
    gate: { open: true, reasons: [] },
    cells: [CELL],
    actions,
    groups: [],
    totals: { ...NO_TOTALS, ...countBuckets(actions, mode), affected: actions.length },
    ...change,
  };
}

function printed(change: Partial<RunReport> = {}): string {
  let text = '';
  printReport(report(change), (part) => {
    text += part;
  });
  return text;
}

const words = (text: string) => text.replace(/\s+/g, ' ');

describe('what could not be looked at', () => {
  const incomplete = { ...CELL, status: 'incomplete' as const, errors: [FAILED_CALL] };

  test('names call, code, message and next step', () => {
    expect(words(printed({ complete: false, cells: [incomplete] }))).toContain(
      'ec2:DescribeInstances: UnauthorizedOperation: You are not authorized. Next: grant ec2:DescribeInstances',
    );
  });

  test.each([
    [0, 10, 'incomplete: 10 instances, no affected one seen so far'],
    [0, 0, 'incomplete: no instance could be looked at'],
    [3, 10, 'incomplete: 10 instances, at least 3 affected'],
  ])('%i affected of %i seen is never told as the whole truth', (affected, instances, said) => {
    const cells = [{ ...incomplete, affected, instances }];
    const text = words(
      printed({ complete: false, cells, totals: { ...NO_TOTALS, affected, instances, left: affected } }),
    );
    expect(text).toContain(said);
    expect(text).not.toMatch(/\b0 affected|none affected/);
    expect(text).not.toMatch(/(?<!at least )3 affected/);
    expect(text).not.toContain('nothing to do Totals');
  });

  test('a breaker that is open is told with its reason', () => {
    const breaker = { open: true, reason: '12 of 20 instances, more than 10, overflow at once' };
    expect(words(printed({ cells: [{ ...CELL, breaker }] }))).toContain(`no further restarts here: ${breaker.reason}`);
  });
});

test('a complete run says that none is affected', () => {
  expect(words(printed({ totals: { ...NO_TOTALS, healthy: 10 } }))).toContain(
    '10 instances, none affected, 10 healthy',
  );
});

describe('what is left alone', () => {
  test('one reason of many is said once, eight are named, the others counted', () => {
    const text = printed({ actions: Array.from({ length: 20 }, () => entry({})) });
    expect(text).toContain('not-managed 20');
    expect(text.match(/SSM does not manage it\./g)).toHaveLength(1);
    expect(text.match(/i-[0-9a-f]{17}/g)).toHaveLength(8);
    expect(text).toContain('and 12 more: --json lists all');
    expect(text.match(/Next: Make it a managed node\./g)).toHaveLength(1);
  });

  test('each reason stands beside its instance, and each next step where they differ', () => {
    const a = entry({ code: 'silent-too-long', reason: 'It is silent for 2 days.', next: 'Look at it.' });
    const b = entry({ code: 'silent-too-long', reason: 'It is silent for 3 days.', next: 'Ask its owner.' });
    const text = words(printed({ actions: [a, b] }));
    expect(text).toContain(`${a.instanceId}: It is silent for 2 days. Next: Look at it.`);
    expect(text).toContain(`${b.instanceId}: It is silent for 3 days. Next: Ask its owner.`);
  });

  test('codes come in the order of the triage table', () => {
    const text = printed({ actions: [entry({ code: 'breaker-open' }), entry({ code: 'older-boot' }), entry({})] });
    const order = ['older-boot 1', 'not-managed 1', 'breaker-open 1'].map((title) => text.indexOf(title));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
  });

  test('of what was cured earlier: how many held and were read, and each that was set back, by whom', () => {
    const healthy = { code: 'healthy', reason: 'Its console shows no overflow.', next: '' } as const;
    const held = outcome({ result: 'held', proven: true });
    const undone = outcome({
      result: 'reverted',
      proven: false,
      limitBefore: 320,
      limitAfter: 320,
      message: 'It was set back in audit.rules, which puppet manages.',
      next: 'Raise it there.',
    });
    const actions = [
      entry({ ...healthy, outcome: held }),
      entry({ ...healthy, outcome: { ...held, proven: false } }),
      entry({ ...healthy, outcome: undone }),
      entry({ ...healthy, code: 'already-handled', outcome: undone }),
    ];
    const text = words(printed({ mode: 'apply', actions }));
    expect(text).toContain('healthy 2: cured earlier, no overflow since, the limit read again and still there on 1');
    expect(text).toContain('cured earlier, and set back 2');
    for (const { instanceId } of actions.slice(2)) {
      expect(text).toContain(
        `${instanceId}: limit 320 -> 320, reverted. It was set back in audit.rules, which puppet manages. Next: Raise it there.`,
      );
    }
    expect(words(printed({ mode: 'plan', actions: actions.slice(1, 2) }))).toMatch(/no overflow since(?!,)/);
  });

  test('the region is named where there are several', () => {
    const e = entry({ region: 'us-east-1' });
    expect(printed({ actions: [e], cells: [CELL, { ...CELL, region: 'us-east-1' }] })).toContain(
      `${e.instanceId} (us-east-1): SSM`,
    );
  });
});

describe('cures', () => {
  const resize = { action: 'resize', code: 'resize' } as const;

  test('limits before and after and how it was done', () => {
    const stopped = entry({
      action: 'restart-then-resize',
      code: 'restart',
      outcome: outcome({ restartedBy: 'stop-start', lostBefore: 5, lostAfter: 0 }),
    });
    const rebooted = entry({
      ...stopped,
      instanceId: 'i-0000000000000beef',
      outcome: outcome({ restartedBy: 'reboot' }),
    });
    const resized = entry({ ...resize, outcome: outcome({ limitBefore: 320 }) });
    const text = words(printed({ mode: 'apply', actions: [stopped, rebooted, resized] }));
    expect(text).toContain(
      `${stopped.instanceId}: limit 64 -> 8192, stopped and started, resized, proven, lost 5 -> 0`,
    );
    expect(text).toContain(`${rebooted.instanceId}: limit 64 -> 8192, rebooted, resized, proven`);
    expect(text).toContain(`${resized.instanceId}: limit 320 -> 8192, resized, proven`);
    expect(text).toContain('Of the affected: 2 restarted and proven, 1 resized');
  });

  test('a failure is told with its message and next step, and one without an outcome as well', () => {
    const failed = entry({
      ...resize,
      outcome: outcome({ result: 'rolled-back', proven: false, message: 'auditd died', next: 'Look at auditd.' }),
    });
    const lost = entry(resize);
    const text = words(printed({ mode: 'apply', actions: [failed, lost] }));
    expect(text).toContain(`${failed.instanceId}: limit 64 -> 8192, rolled-back. auditd died Next: Look at auditd.`);
    expect(text).toContain(`${lost.instanceId}: no outcome`);
    expect(text).toContain('2 failed');
  });

  test('a plan has none', () => {
    const text = printed({ actions: [entry(resize)] });
    expect(text).not.toContain('Cures');
    expect(text).toContain('nothing was changed');
    expect(text).toContain('1 to resize');
  });
});

test('hostile text reaches the terminal without control characters, wherever it stands', () => {
  const evil = '\u001b]0;pwned\u0007\u009b31m\r\n\u202ered\ud800';
  const text = printed({
    mode: 'apply',
    complete: false,
    runId: evil,
    gate: { open: false, reasons: [evil] },
    truncated: true,
    where: evil,
    cells: [
      {
        ...CELL,
        accountId: evil,
        errors: [{ ...FAILED_CALL, message: evil, code: evil, instanceId: evil }],
        breaker: { open: true, reason: evil },
      },
    ],
    actions: [
      entry({ reason: evil, next: evil, instanceId: evil }),
      entry({
        action: 'resize',
        code: 'resize',
        outcome: outcome({ proven: false, result: 'failed', message: evil, next: evil }),
      }),
    ],
    groups: [{ by: 'image', value: evil, affected: 2, of: null, next: evil }],
    simulator: { mutatingCalls: 1, calls: { [evil]: 1 }, strikes: { [evil]: 1 }, agrees: false, disagreements: [evil] },
  });
  expect(text).toContain('pwned');
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  expect(text.isWellFormed()).toBe(true);
  expect(words(text)).toContain('DISAGREES');
});

test('no line is wider than the terminal', () => {
  const columns = process.stdout.columns;
  process.stdout.columns = 60;
  try {
    const reason =
      'its queue of 64 overflowed and 1,234 records were lost, which is more than anybody would like. '.repeat(3);
    const text = printed({ actions: [entry({ reason }), entry({ reason: `${reason}!` })] });
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(60);
  } finally {
    process.stdout.columns = columns;
  }
});

test.each([
  [{}, EXIT.done],
  [{ totals: { ...NO_TOTALS, failed: 1 } }, EXIT.failed],
  [{ simulator: { mutatingCalls: 0, calls: {}, strikes: {}, agrees: true } }, EXIT.done],
  [{ simulator: { mutatingCalls: 0, calls: {}, strikes: {}, agrees: false } }, EXIT.failed],
  [{ complete: false, totals: { ...NO_TOTALS, failed: 1 } }, EXIT.incomplete],
] satisfies [Partial<RunReport>, number][])('the exit code of %j is %i', (change, code) => {
  expect(exitCodeOf(report(change))).toBe(code);
});
