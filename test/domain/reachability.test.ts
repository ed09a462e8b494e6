import { reachabilityOf } from '../../domain/reachability.ts';
import { history, lost, minutesAgo, NOW, ONLINE } from './findings.ts';

const at = (agent: Parameters<typeof reachabilityOf>[0], stuckSweeps = 0) =>
  reachabilityOf(agent, history({ stuckSweeps }), NOW);
const online = (minutes: number) => ({ ...ONLINE, lastPingAt: minutesAgo(minutes) });

describe('reachability', () => {
  it.each([
    ['no agent', at(null), 'never', null],
    ['Online, pinged 15 min ago', at(online(15)), 'reachable', null],
    ['Online, pinged longer ago', at(online(15.1)), 'silent', 15.1],
    ['Online, ping not known', at({ ...ONLINE, lastPingAt: null }), 'reachable', null],
    ['Online, ping garbled', at({ ...ONLINE, lastPingAt: 'soon' }), 'reachable', null],
    ['Online, ping ahead of the clock', at(online(-3)), 'reachable', null],
    ['lost, pinged just now', at(lost(5.9)), 'reachable', null],
    ['lost, pinged 6 min ago', at(lost(6)), 'silent', 6],
    ['lost, ping not known', at({ ...lost(1), lastPingAt: null }), 'silent', null],
    ['inactive, as lost', at({ ...lost(20), pingStatus: 'Inactive' }), 'silent', 20],
    ['did not finish a command', at(ONLINE, 1), 'stuck', null],
    ['did not finish a command and is silent now', at(lost(30), 1), 'silent', 30],
  ] as const)('%s', (_what, { reachability, silentMinutes }, expected, minutes) => {
    expect(reachability).toBe(expected);
    if (minutes === null) expect(silentMinutes).toBeNull();
    else expect(silentMinutes).toBeCloseTo(minutes, 6);
  });

  it('does without a history', () => {
    expect(reachabilityOf(ONLINE, null, NOW).reachability).toBe('reachable');
  });
});
