import type { InstanceFacts, PreflightFacts } from '../../domain/finding.ts';
import { type StopHazardCode, whatAStopLoses } from '../../domain/preflight.ts';
import { instance, preflight } from './findings.ts';

const cases: readonly [what: RegExp, code: StopHazardCode, i: Partial<InstanceFacts>, p: Partial<PreflightFacts>][] = [
  [/data on its instance store/, 'stop-would-lose', {}, { instanceStore: true }],
  [/perhaps instance store data/, 'stop-would-lose', {}, { instanceStore: null }],
  [/auto-assigned public IPv4/, 'stop-would-lose', { publicAddress: 'auto' }, {}],
  [/Mac host/, 'stop-would-lose', {}, { macHost: true }],
  [/root volume is in the instance store/, 'stop-refused', { rootDeviceType: 'instance-store' }, {}],
  [/one-time/, 'stop-refused', { lifecycle: 'spot' }, { spotRequest: 'one-time' }],
  [/could not be read/, 'stop-refused', { lifecycle: 'spot' }, { spotRequest: 'unreadable' }],
  [/request is not known/, 'stop-refused', { lifecycle: 'spot' }, { spotRequest: 'none' }],
  [/bought in a way/, 'stop-refused', { lifecycle: 'other' }, {}],
  [/has stop protection/, 'stop-refused', {}, { stopProtection: true }],
  [/stop protection could not be read/, 'stop-refused', {}, { stopProtection: null }],
  [/itself, .* shutdown behaviour is terminate/, 'stop-would-lose', {}, { terminatesOnShutdown: true }],
  [/perhaps itself/, 'stop-would-lose', {}, { terminatesOnShutdown: null }],
  [/^its place on a Dedicated Host/, 'may-not-start', { place: 'dedicated-host' }, {}],
  [/^its place in a Capacity Reservation/, 'may-not-start', { place: 'capacity-reservation' }, {}],
  [/^its placement group/, 'may-not-start', { place: 'placement-group' }, {}],
  [/^it is a Spot Instance: .* price$/, 'may-not-start', { lifecycle: 'spot' }, { spotRequest: 'persistent' }],
  [/^a key .* is disabled/, 'may-not-start', {}, { keys: 'disabled' }],
  [/^the key arn:k1 .* is disabled/, 'may-not-start', {}, { keys: 'disabled', key: 'arn:k1' }],
  [/grant on the key arn:k1 .*CreateGrant was refused/, 'may-not-start', {}, { keys: 'not-grantable', key: 'arn:k1' }],
  [/state of a key .* could not be read/, 'may-not-start', {}, { keys: 'unreadable' }],
];

describe('what a stop loses', () => {
  it.each(cases)('%s: %s', (what, code, i, p) => {
    const hazards = whatAStopLoses(instance(i), preflight(p));
    expect(hazards.map((hazard) => hazard.code)).toEqual([code]);
    expect(hazards[0]?.what).toEqual([expect.stringMatching(what)]);
  });

  it.each<[string, Partial<InstanceFacts>, Partial<PreflightFacts>]>([
    ['nothing special', {}, {}],
    ['an Elastic IP address', { publicAddress: 'elastic' }, {}],
    ['encrypted volumes with enabled keys', {}, { keys: 'enabled' }],
  ])('is nothing for %s', (_what, i, p) => {
    expect(whatAStopLoses(instance(i), preflight(p))).toEqual([]);
  });

  it('names everything, in the order of the codes', () => {
    const hazards = whatAStopLoses(
      instance({ publicAddress: 'auto' }),
      preflight({ keys: 'disabled', stopProtection: true, instanceStore: true }),
    );
    expect(hazards.map(({ code, what }) => [code, what.length])).toEqual([
      ['stop-would-lose', 2],
      ['stop-refused', 1],
      ['may-not-start', 1],
    ]);
  });
});
