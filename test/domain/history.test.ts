import { type HistoryEvent, NO_HISTORY, nextHistory } from '../../domain/history.ts';
import { history, minutesAgo, NOW } from './findings.ts';

const DAY = 24 * 60;
const events: Record<HistoryEvent['kind'], HistoryEvent> = {
  proven: { kind: 'proven', at: NOW, evidenceKey: 'k', target: 8192, cured: true, diagnosis: null },
  'restart-attempt': { kind: 'restart-attempt', at: NOW, evidenceKey: 'k' },
  'restart-refused': {
    kind: 'restart-refused',
    at: NOW,
    attemptAt: NOW,
    lastActionBefore: minutesAgo(60),
  },
  stuck: { kind: 'stuck', at: NOW },
  assessed: { kind: 'assessed', at: NOW, evidenceKey: 'k', limit: 320 },
  'looked-again': { kind: 'looked-again', at: NOW, provenAt: minutesAgo(90), held: false, diagnosis: 'set back' },
  answered: { kind: 'answered', at: NOW, changed: true, diagnosis: 'log disk full' },
};

describe('the history after', () => {
  it('a power call that was refused: the attempt was none, earlier ones stay', () => {
    const earlier = { at: minutesAgo(DAY), evidenceKey: 'k' };
    const before = history({ attempts: [earlier], lastActionAt: minutesAgo(60) });
    const tried = nextHistory(before, events['restart-attempt']);
    expect(tried.attempts).toHaveLength(2);
    expect(nextHistory(tried, events['restart-refused'])).toEqual(before);
    // What has happened since stays.
    const since = { ...tried, lastActionAt: minutesAgo(-1) };
    expect(nextHistory(since, events['restart-refused']).lastActionAt).toBe(minutesAgo(-1));
  });

  it('a proven cure', () => {
    const old = history({ cures: [minutesAgo(DAY)], stuckSweeps: 2, diagnosis: 'old' });
    expect(nextHistory(old, events.proven)).toEqual(
      history({
        proven: { evidenceKey: 'k', target: 8192, at: NOW },
        cures: [minutesAgo(DAY), NOW],
        lastActionAt: NOW,
      }),
    );
  });

  it('a proof that nothing had to be done: no cure, no action', () => {
    const sufficient = { ...events.proven, cured: false } as HistoryEvent;
    expect(nextHistory(history({ stuckSweeps: 1 }), sufficient)).toEqual(
      history({ proven: { evidenceKey: 'k', target: 8192, at: NOW } }),
    );
  });

  it('a restart', () => {
    const old = history({ attempts: [{ at: minutesAgo(10), evidenceKey: 'a' }], stuckSweeps: 2 });
    expect(nextHistory(old, events['restart-attempt'])).toEqual(
      history({
        attempts: [
          { at: minutesAgo(10), evidenceKey: 'a' },
          { at: NOW, evidenceKey: 'k' },
        ],
        stuckSweeps: 2,
        lastActionAt: NOW,
      }),
    );
  });

  it('a command that got stuck, again', () => {
    const once = nextHistory(null, { kind: 'stuck', at: minutesAgo(60) });
    expect(once).toEqual(history({ stuckSweeps: 1, lastActionAt: minutesAgo(60) }));
    expect(nextHistory(once, events.stuck)).toEqual(history({ stuckSweeps: 2, lastActionAt: NOW }));
  });

  it('an assess', () => {
    expect(nextHistory(history({ stuckSweeps: 1 }), events.assessed)).toEqual(
      history({ assessed: { evidenceKey: 'k', limit: 320 } }),
    );
  });

  it('a second look at a proof: at that one alone, and the next proof is a new one', () => {
    const proven = { evidenceKey: 'k', target: 8192, at: minutesAgo(90) };
    const cured = history({ proven, stuckSweeps: 1, lastActionAt: proven.at, diagnosis: 'old' });
    const looked = nextHistory(cured, events['looked-again']);
    expect(looked).toEqual({
      ...cured,
      proven: { ...proven, lookedAgain: { at: NOW, held: false } },
      stuckSweeps: 0,
      diagnosis: 'set back',
    });
    const held = { ...events['looked-again'], held: true, diagnosis: null } as HistoryEvent;
    expect(nextHistory(cured, held)).toMatchObject({ proven: { lookedAgain: { held: true } }, diagnosis: 'old' });
    const another = history({ proven: { ...proven, at: minutesAgo(30) } });
    expect(nextHistory(another, events['looked-again']).proven).toEqual(another.proven);
    expect(nextHistory(looked, events.proven).proven).toEqual({ evidenceKey: 'k', target: 8192, at: NOW });
  });

  it('a plain answer', () => {
    expect(nextHistory(history({ stuckSweeps: 1 }), events.answered)).toEqual(
      history({ lastActionAt: NOW, diagnosis: 'log disk full' }),
    );
    const unchanged: HistoryEvent = { kind: 'answered', at: NOW, changed: false, diagnosis: null };
    expect(nextHistory(history({ lastActionAt: minutesAgo(9), diagnosis: 'old' }), unchanged)).toEqual(
      history({ lastActionAt: minutesAgo(9), diagnosis: 'old' }),
    );
  });

  it.each(Object.values(events))('the same event twice is that after one: $kind', (event) => {
    const once = nextHistory(null, event);
    expect(nextHistory(once, event)).toEqual(once);
    // A refusal takes back what only an attempt before it had added.
    if (event.kind !== 'restart-refused') expect(once).not.toEqual(NO_HISTORY);
  });

  it('forgets what is older than 90 days, and changes nothing it was given', () => {
    const old = history({
      cures: [minutesAgo(90 * DAY + 1), minutesAgo(90 * DAY)],
      attempts: [
        { at: minutesAgo(90 * DAY + 1), evidenceKey: 'a' },
        { at: minutesAgo(90 * DAY), evidenceKey: 'b' },
      ],
    });
    const before = structuredClone(old);
    const next = nextHistory(old, events.answered);
    expect(next.cures).toEqual([minutesAgo(90 * DAY)]);
    expect(next.attempts.map((a) => a.evidenceKey)).toEqual(['b']);
    expect(old).toEqual(before);
  });
});
