import { failedStart, markTime, reconcileDecision } from '../../domain/reconcile.ts';

const NOW = '2026-11-22T05:00:00.000Z';
const ago = (minutes: number) => new Date(Date.parse(NOW) - minutes * 60_000).toISOString();
const mark = (minutes: number) => `s-20261122T040000Z ${ago(minutes)}`;

describe('what reconcile does with an instance that bears our stop tag', () => {
  it.each([
    ['stopped by us 21 minutes ago', 'stopped', 22, 21, 'start'],
    ['stopped by us 19 minutes ago: its restart may be under way', 'stopped', 20, 19, 'leave'],
    ['a stop 29 minutes after the tag is ours', 'stopped', 60, 31, 'start'],
    ['a stop 31 minutes after the tag is not ours', 'stopped', 70, 39, 'leave'],
    ['an owner stopped it hours after our tag', 'stopped', 300, 60, 'leave'],
    ['running, tag 61 minutes old', 'running', 61, null, 'unmark'],
    ['running, tag 59 minutes old', 'running', 59, null, 'leave'],
    ['stopping', 'stopping', 40, 40, 'leave'],
    ['stopped, EC2 does not say when, tag 21 minutes old', 'stopped', 21, null, 'start'],
    ['stopped, EC2 does not say when, tag 19 minutes old', 'stopped', 19, null, 'leave'],
  ] as const)('%s', (_what, state, markedAgo, stoppedAgo, expected) => {
    const instance = { state, transitionAt: stoppedAgo === null ? null : ago(stoppedAgo) };
    const decision = reconcileDecision(instance, mark(markedAgo), NOW);
    expect([decision.do, decision.why]).toEqual([expected, expect.stringMatching(/\w/)]);
  });

  it('leaves a tag that names no time: it may not be ours', () => {
    expect(reconcileDecision({ state: 'stopped', transitionAt: ago(60) }, 'by hand', NOW).do).toBe('leave');
    expect(markTime('by hand')).toBeNull();
  });
});

it.each([
  ['Client.InternalError: Client error on launch', true],
  ['Server.InsufficientInstanceCapacity: There was insufficient capacity', true],
  ['Client.UserInitiatedShutdown: User initiated shutdown', false],
  ['Client.InstanceInitiatedShutdown: Instance initiated shutdown', false],
  ['Server.ScheduledStop: The instance was stopped due to a scheduled retirement', false],
  [null, false],
])('a stopped instance with the reason %p: its last start failed: %p', (stateReason, failed) => {
  expect(failedStart({ stateReason })).toBe(failed ? stateReason : null);
});
