import fc from 'fast-check';
import { outcomeSchema, RUNBOOK_OUTCOMES, type RunbookOutput } from '../../domain/contracts.ts';
import { diagnosisOf, outcomeOfRunbook, readRunbookOutput } from '../../domain/runbook-result.ts';
import { minutesAgo, NOW } from './findings.ts';

const BEFORE = {
  effective: 64,
  configured: 64,
  lost: 12,
  backlog: 70,
  enabled: 1,
  failure: 1,
  backlogWaitTime: 60_000,
  auditdPid: 500,
};
const AFTER = { ...BEFORE, effective: 8192, configured: 8192, backlog: 0, auditdPid: 501 };
const DRAIN = { auditd: 'running', logDirFreePercent: 60, suspended: false };
function output(change: Partial<RunbookOutput> = {}): RunbookOutput {
  return {
    schema: 1,
    outcome: 'resized',
    target: 8192,
    before: BEFORE,
    after: AFTER,
    memory: { totalKiB: 8_000_000, availableKiB: 6_000_000, costBytes: 73_482_240 },
    rulesFile: '/etc/audit/rules.d/zz-backlog.rules',
    managedBy: null,
    os: { id: 'debian', version: '12', kernel: '6.1.0', init: 'systemd' },
    drain: DRAIN,
    message: 'Raised from 64 to 8192.',
    ...change,
  };
}
const line = JSON.stringify(output());
const META = { at: NOW, commandId: 'c-1', restartedBy: null, backAt: null };

describe("the runbook's output", () => {
  it.each([
    ['alone', `${line}\n`],
    ['without a line end', line],
    ['with CRLF', `${line}\r\n`],
    ['after other text', `warning: x\n{"not":"it"}\n${line}\n\n`],
    ['before what SSM joins from stderr', `${line}\n----------ERROR-------\nfailed to run commands: exit status 1`],
    ['glued to what SSM joins from stderr', `${line}----------ERROR-------\nexit status 1`],
    ['before a line of JSON that is not its own', `${line}\n{"schema":1,"outcome":"pwned"}\n[]\nnull`],
    ['after an earlier line of its own', `${JSON.stringify(output({ outcome: 'planned' }))}\n${line}`],
  ])('is read %s', (_what, stdout) => {
    expect(readRunbookOutput(stdout)).toEqual({ ok: true, output: output() });
  });

  it.each<[string, string, RegExp]>([
    ['nothing', '', /printed nothing/],
    ['blanks', ' \r\n\n', /printed nothing/],
    ['no JSON', 'sh: 1: not found', /no line .* is JSON/],
    ['a cut line', line.slice(0, 200), /cut or torn \(200 characters/],
    ['a torn line', `${line.slice(0, 100)}\nlogin:${line.slice(100)}`, /cut or torn/],
    ['another schema', JSON.stringify({ ...output(), schema: 2 }), /not the runbook's: schema/],
    ['a word for a number', JSON.stringify({ ...output(), target: 'many' }), /not the runbook's: target/],
    ['a message without end', JSON.stringify(output({ message: 'x'.repeat(1001) })), /not the runbook's: message/],
  ])('is refused when it is %s', (_what, stdout, reason) => {
    const read = readRunbookOutput(stdout);
    expect(read).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
  });

  it('is an answer for any text, cut anywhere', () => {
    const noise = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(noise, noise, fc.nat(2500), (before, after, cut) => {
        const whole = readRunbookOutput(`${before}\n${line}\n${after}`);
        expect(whole).toEqual({ ok: true, output: output() });
        const some = readRunbookOutput(`${before}\n${line}`.slice(0, cut));
        expect(some.ok).toBe(cut >= before.length + 1 + line.length);
      }),
    );
  });
});

describe('the outcome', () => {
  it('says what was read back', () => {
    const outcome = outcomeOfRunbook(output(), { ...META, restartedBy: 'reboot', backAt: minutesAgo(1) });
    expect(outcomeSchema.parse(outcome)).toEqual({
      result: 'resized',
      proven: true,
      at: NOW,
      restartedBy: 'reboot',
      backAt: minutesAgo(1),
      target: 8192,
      limitBefore: 64,
      limitAfter: 8192,
      lostBefore: 12,
      lostAfter: 12,
      commandId: 'c-1',
      message: 'Raised from 64 to 8192.',
      next: '',
    });
  });

  const sufficient = { outcome: 'already-sufficient', before: AFTER } as const;
  it.each<[string, Partial<RunbookOutput>]>([
    ['resized', {}],
    ['above the target', { after: { ...AFTER, effective: 9000 } }],
    ['reverted', { outcome: 'reverted' }],
    ['sufficient, read again', { ...sufficient, after: AFTER }],
    ['sufficient, read once', { ...sufficient, after: null }],
    ['unlimited', { ...sufficient, before: { ...AFTER, effective: 0 }, after: null, target: null }],
    ['without auditd before and after', { before: { ...BEFORE, auditdPid: 0 }, after: { ...AFTER, auditdPid: 0 } }],
  ])('is proven: %s', (_what, change) => {
    const { proven, result } = outcomeOfRunbook(output(change), META);
    expect([proven, result]).toEqual([true, change.outcome ?? 'resized']);
  });

  it.each<[string, Partial<RunbookOutput>, RegExp]>([
    ['below the target', { after: { ...AFTER, effective: 8191 } }, /read back is 8191, below the target of 8192/],
    ['not read back', { after: null }, /not read back/],
    ['read back without a limit', { after: { ...AFTER, effective: null } }, /not read back/],
    ['without a target', { target: null }, /names no target/],
    ['with a target of nothing', { target: 0 }, /names no target/],
    ['resized to unlimited', { after: { ...AFTER, effective: 0 } }, /below the target/],
    ['auditd gone', { after: { ...AFTER, auditdPid: 0 } }, /does not run now/],
    ['sufficient below the target', { ...sufficient, target: 9000, after: null }, /below the target of 9000/],
  ])('is a failure when success is claimed %s', (_what, change, doubt) => {
    const outcome = outcomeOfRunbook(output(change), META);
    expect(outcome).toMatchObject({ result: 'failed', proven: false });
    expect(outcome.message).toMatch(doubt);
    expect(outcome.next).toMatch(/auditctl -s/);
  });

  it('is never proven by any other outcome, and those that need a person say what to do', () => {
    for (const result of RUNBOOK_OUTCOMES) {
      const outcome = outcomeOfRunbook(output({ outcome: result }), META);
      expect(outcome.result).toBe(result);
      expect(outcome.proven).toBe(['resized', 'reverted', 'already-sufficient'].includes(result));
      expect(outcome.next === '').toBe(['resized', 'already-sufficient', 'planned'].includes(result));
    }
  });

  it('shows no control characters of the machine, and fits the contract whatever it says', () => {
    const shown = outcomeOfRunbook(output({ message: 'a\u001b[31mb\u202ec\nd' }), META).message;
    expect(shown).toBe('a [31mb c d');
    const long = outcomeOfRunbook(output({ message: 'x'.repeat(1000), after: null }), META);
    expect(outcomeSchema.safeParse(long).success).toBe(true);
  });

  it('tells of events that were lost meanwhile', () => {
    expect(outcomeOfRunbook(output({ after: { ...AFTER, lost: 40 } }), META).next).toMatch(/lost 28 more events/);
  });
});

describe('the diagnosis', () => {
  it.each<[string, RunbookOutput['drain'], string | null]>([
    ['unread', null, null],
    ['all well', DRAIN, null],
    ['suspended', { ...DRAIN, suspended: true }, 'auditd has suspended writing'],
    ['log disk full', { ...DRAIN, logDirFreePercent: 4 }, '4 % of the log disk is free'],
    ['log disk just not scarce', { ...DRAIN, logDirFreePercent: 5 }, null],
    ['frozen', { ...DRAIN, auditd: 'frozen' }, 'auditd: frozen'],
    [
      'all of it',
      { auditd: 'stopped', logDirFreePercent: 0, suspended: true },
      'auditd has suspended writing; 0 % of the log disk is free; auditd: stopped',
    ],
  ])('%s', (_what, drain, diagnosis) => {
    expect(diagnosisOf(output({ drain }))).toBe(diagnosis);
  });

  it('names who set the limit back, and where', () => {
    const reverted = output({ outcome: 'reverted', managedBy: 'puppet', drain: { ...DRAIN, suspended: true } });
    expect(diagnosisOf(reverted)).toBe(
      'the limit was set back to 64 in /etc/audit/rules.d/zz-backlog.rules, which puppet manages; auditd has suspended writing',
    );
    const unknown = output({ outcome: 'reverted', before: null, rulesFile: null, drain: null });
    expect(diagnosisOf(unknown)).toBe('the limit was set back to none in its rules');
  });
});
