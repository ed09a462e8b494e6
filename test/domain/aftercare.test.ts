import { aftercareOf } from '../../domain/aftercare.ts';
import type { TriageCode } from '../../domain/contracts.ts';
import type { InstanceHistory } from '../../domain/finding.ts';
import { policySchema } from '../../domain/policy.ts';
import { finding, history } from './findings.ts';

const policy = policySchema.parse({});
const CURED_AT = '2026-11-22T04:00:00.000Z';
const minutesLater = (minutes: number) => new Date(Date.parse(CURED_AT) + minutes * 60_000).toISOString();
const cured = (more: Partial<InstanceHistory> = {}) =>
  finding({ history: history({ proven: { evidenceKey: 'k', target: 8192, at: CURED_AT }, ...more }) });

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
  ])('that finds %s %i minutes after the cure says %s', (code, minutes, result) => {
    const said = aftercareOf(cured(), code, policy, minutesLater(minutes));
    expect(said?.result ?? null).toBe(result);
    expect(said?.proven ?? null).toBe(result === null ? null : result === 'held');
  });

  it('names the cure, the target and what does not drain', () => {
    expect(aftercareOf(cured(), 'healthy', policy, minutesLater(60))).toMatchObject({
      target: 8192,
      at: minutesLater(60),
      message: expect.stringMatching(/^No overflow since the cure of 2026-11-22T04:00:00.000Z \(limit 8192\)/),
    });
    const again = cured({ diagnosis: '0 % of the log disk is free' });
    expect(aftercareOf(again, 'limit-is-not-the-cause', policy, minutesLater(60))?.message).toMatch(
      /^It overflowed again after .* \(limit 8192\): 0 % of the log disk is free\.$/,
    );
  });

  it('says nothing of a machine that was never cured', () => {
    const never = finding({ history: history({ proven: null }) });
    for (const code of ['healthy', 'limit-is-not-the-cause'] as const) {
      expect(aftercareOf(never, code, policy, minutesLater(500))).toBeNull();
    }
    expect(aftercareOf(finding({ history: null }), 'healthy', policy, minutesLater(500))).toBeNull();
  });
});
