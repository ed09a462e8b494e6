import { aftercareOf, heldUnread, knownUndone, limitIsDue, limitReading } from '../../domain/aftercare.ts';
import type { ActionEntry, RunbookOutput, TriageCode } from '../../domain/contracts.ts';
import type { InstanceHistory, Proof } from '../../domain/finding.ts';
import { policySchema } from '../../domain/policy.ts';
import { finding, history } from './findings.ts';

const policy = policySchema.parse({});
const CURED_AT = '2026-11-22T04:00:00.000Z';
const minutesLater = (minutes: number) => new Date(Date.parse(CURED_AT) + minutes * 60_000).toISOString();
const PROOF: Proof = { evidenceKey: 'k', target: 8192, at: CURED_AT };
const cured = (more: Partial<InstanceHistory> = {}) => finding({ history: history({ proven: PROOF, ...more }) });
const looked = (held: boolean): Proof => ({ ...PROOF, lookedAgain: { at: minutesLater(60), held } });

describe('a later sweep', () => {
  it.each<[TriageCode, number, string | null]>([
    ['healthy', 60, 'held'],
    ['already-handled', 60, 'held'],
    ['healthy', 59, null],
    ['already-handled', 59, null],
    ['resize', 90, null],
    ['opted-out', 90, null],
    ['console-unreadable', 90, null],
    ['limit-is-not-the-cause', 5, 'overflowed-again'],
    ['limit-is-not-the-cause', 500, 'overflowed-again'],
  ])('that finds %s %i minutes after the cure says %s, and proves nothing by the console', (code, minutes, result) => {
    const said = aftercareOf(cured(), code, policy, minutesLater(minutes));
    expect(said?.result ?? null).toBe(result);
    expect(said?.proven ?? null).toBe(result === null ? null : false);
  });

  it('names the cure, the target, that nobody read the limit, and what does not drain', () => {
    expect(aftercareOf(cured(), 'healthy', policy, minutesLater(60))).toMatchObject({
      target: 8192,
      at: minutesLater(60),
      message:
        'No overflow since the cure of 2026-11-22T04:00:00.000Z (limit 8192); the limit itself was not read again.',
    });
    const again = cured({ diagnosis: '0 % of the log disk is free' });
    expect(aftercareOf(again, 'limit-is-not-the-cause', policy, minutesLater(60))?.message).toMatch(
      /^It overflowed again after .* \(limit 8192\): 0 % of the log disk is free\.$/,
    );
    expect(heldUnread(PROOF, minutesLater(60), 'SSM does not list the command.').message).toMatch(
      /not read again\. SSM does not list the command\.$/,
    );
  });

  it('says when it was read, and of one that was found undone nothing that it held', () => {
    const held = aftercareOf(cured({ proven: looked(true) }), 'healthy', policy, minutesLater(120));
    expect(held).toMatchObject({ result: 'held', proven: false });
    expect(held?.message).toMatch(/its limit was read again at 2026-11-22T05:00:00.000Z and not since\.$/);
    const undone = cured({ proven: looked(false) });
    for (const code of ['healthy', 'already-handled'] as const) {
      expect(aftercareOf(undone, code, policy, minutesLater(120))).toBeNull();
      expect(knownUndone(undone.history, code)).toMatch(/found set back at 2026-11-22T05:00:00.000Z/);
      expect(knownUndone(history({ proven: looked(true) }), code)).toBeNull();
      expect(knownUndone(cured().history, code)).toBeNull();
    }
    expect(knownUndone(undone.history, 'resize')).toBeNull();
    expect(knownUndone(null, 'healthy')).toBeNull();
    expect(aftercareOf(undone, 'limit-is-not-the-cause', policy, minutesLater(120))?.result).toBe('overflowed-again');
  });

  it('says nothing of a machine that was never cured', () => {
    const never = finding({ history: history({ proven: null }) });
    for (const code of ['healthy', 'limit-is-not-the-cause'] as const) {
      expect(aftercareOf(never, code, policy, minutesLater(500))).toBeNull();
    }
    expect(aftercareOf(finding({ history: null }), 'healthy', policy, minutesLater(500))).toBeNull();
  });
});

describe('the limit is read again', () => {
  const facts = { state: 'running', launchTime: CURED_AT, instanceType: 'm5.large', tags: {} };
  const entry = (
    change: Partial<ActionEntry> = {},
    reachability: 'reachable' | 'silent' | 'stuck' | 'never' | 'unknown' = 'reachable',
  ) =>
    ({
      action: 'leave',
      code: 'healthy',
      outcome: heldUnread(PROOF, minutesLater(60)),
      facts: { ...facts, reachability },
      ...change,
    }) as ActionEntry;
  const proven = (proof: Proof) => history({ proven: proof });

  it('of one that is left alone, answers and held', () => {
    expect(limitIsDue(entry(), proven(PROOF))).toBe(true);
    expect(limitIsDue(entry({ code: 'already-handled' }), proven(PROOF))).toBe(true);
  });

  it.each(['silent', 'stuck', 'never', 'unknown'] as const)('not of one that is %s', (reachability) => {
    expect(limitIsDue(entry({}, reachability), proven(PROOF))).toBe(false);
  });

  it('not too early, not of others, not twice for one proof, and not where nothing was set', () => {
    expect(limitIsDue(entry({ outcome: null }), proven(PROOF))).toBe(false);
    expect(limitIsDue(entry({ action: 'resize', code: 'resize' }), proven(PROOF))).toBe(false);
    expect(limitIsDue(entry({ code: 'limit-is-not-the-cause' }), proven(PROOF))).toBe(false);
    expect(limitIsDue(entry(), proven(looked(true)))).toBe(false);
    expect(limitIsDue(entry(), proven(looked(false)))).toBe(false);
    expect(limitIsDue(entry(), proven({ ...PROOF, target: 0 }))).toBe(false);
    expect(limitIsDue(entry(), null)).toBe(false);
  });
});

describe('what was read', () => {
  const meta = { at: minutesLater(61), commandId: 'c', restartedBy: null, backAt: null };
  const reading = (effective: number | null, configured: number | null): RunbookOutput['before'] => ({
    effective,
    configured,
    lost: 5,
    backlog: 0,
    enabled: 1,
    failure: 1,
    backlogWaitTime: 0,
    auditdPid: 900,
  });
  const output = (effective: number | null, configured: number | null, more: Partial<RunbookOutput> = {}) =>
    ({
      schema: 1,
      outcome: 'planned',
      target: 16_384,
      before: reading(effective, configured),
      after: null,
      memory: null,
      rulesFile: '/etc/audit/rules.d/audit.rules',
      managedBy: 'puppet',
      os: null,
      drain: null,
      message: '',
      ...more,
    }) satisfies RunbookOutput;

  // Whether the runbook would set another one, for which it has its own measure, says nothing of the proof.
  it.each([
    [8192, 8192],
    [8192, 16_384],
    [0, 8192],
    [8192, 0],
  ])('%i in the kernel and %i in the file: held', (effective, configured) => {
    expect(limitReading(PROOF, output(effective, configured), meta)).toEqual({
      outcome: {
        ...meta,
        result: 'held',
        proven: true,
        target: 8192,
        limitBefore: effective,
        limitAfter: effective,
        lostBefore: 5,
        lostAfter: 5,
        message: `No overflow since the cure of ${CURED_AT} (limit 8192), and the limit is still there: ${effective} in the kernel, ${configured} in /etc/audit/rules.d/audit.rules.`,
        next: '',
      },
      event: { kind: 'looked-again', at: meta.at, provenAt: CURED_AT, held: true, diagnosis: null },
    });
  });

  it.each([
    [320, 320, 'the limit was set back to 320 in /etc/audit/rules.d/audit.rules, which puppet manages'],
    [8192, 8191, 'the limit was set back to 8191 in /etc/audit/rules.d/audit.rules, which puppet manages'],
    [8192, null, 'the limit was set back to none in /etc/audit/rules.d/audit.rules, which puppet manages'],
    [0, 320, 'the limit was set back to 320 in /etc/audit/rules.d/audit.rules, which puppet manages'],
    [8191, 8192, 'the limit in force was set back to 8191, although /etc/audit/rules.d/audit.rules has 8192'],
  ])('%s in the kernel and %s in the file: reverted, and who did it', (effective, configured, what) => {
    const look = limitReading(PROOF, output(effective, configured), meta);
    expect(look?.outcome).toMatchObject({
      result: 'reverted',
      proven: false,
      limitAfter: effective,
      message: `After the cure of ${CURED_AT} (limit 8192) ${what}; the kernel has ${effective}.`,
      next: expect.stringMatching(/raise it there as well\. .* when it overflows again\.$/),
    });
    expect(look?.event).toMatchObject({ held: false, diagnosis: what });
  });

  it('keeps what does not drain, and shows no control characters', () => {
    const drain = { auditd: 'frozen', logDirFreePercent: 0, suspended: false };
    expect(limitReading(PROOF, output(8192, 8192, { drain }), meta)?.event).toMatchObject({
      diagnosis: '0 % of the log disk is free; auditd: frozen',
    });
    const hostile = output(320, 320, { rulesFile: '/etc/\u001b[2Jx', managedBy: 'pup\u202epet' });
    expect(limitReading(PROOF, hostile, meta)?.outcome.message).toMatch(/in \/etc\/ \[2Jx, which pup pet manages/);
  });

  it.each([
    ['the runbook failed', output(8192, 320, { outcome: 'failed' })],
    ['there is no auditd to read the rules of', output(8192, null, { outcome: 'no-auditd' })],
    ['the kernel did not say', output(null, 8192)],
    ['nothing was read', output(null, null, { before: null })],
  ])('is nothing where %s', (_why, read) => {
    expect(limitReading(PROOF, read, meta)).toBeNull();
  });
});
