/** Kinds that do not answer and are left alone. */
import type { TargetGroupProfile } from '../ec2/profile.ts';
import {
  burst,
  CONSENT,
  consenting,
  DAY,
  DISABLED_KEY,
  HOUR,
  hung,
  type Kind,
  MINUTE,
  overflowed,
  rules,
  second,
} from './kind.ts';

const WEB: TargetGroupProfile = { name: 'web', targetType: 'instance', healthCheck: 'HTTP' };

/** Silent machines of the second cell, where policy forbids to reboot and too many are silent at once. */
export const SILENT: readonly Kind[] = [
  {
    ...second,
    name: 'not-opted-in',
    expects: 'restart-not-allowed',
    what: 'hangs; its owner did not allow restarts',
    make: (m) => ({ guest: hung(m) }),
  },
  {
    ...second,
    name: 'karpenter',
    expects: 'owned',
    what: 'hangs; Karpenter owns it, and policy forbids to reboot it',
    make: (m) => ({
      instance: consenting({ tags: { ...CONSENT, 'karpenter.sh/nodepool': 'general' } }),
      guest: hung(m),
    }),
  },
  {
    ...second,
    name: 'agent-dead',
    expects: 'agent-lost-machine-alive',
    what: 'its agent died hours after an old overflow; the machine is well',
    make: (m) => ({
      instance: consenting(),
      guest: { files: rules(320), bursts: [burst(m - 9 * HOUR)], agent: { diesAt: m - 3 * HOUR } },
    }),
  },
  {
    ...second,
    name: 'instance-store',
    expects: 'stop-would-lose',
    what: 'hangs, with data that a stop would lose',
    make: (m) => ({ instance: consenting({ instanceType: 'm5d.large' }), guest: hung(m) }),
  },
  {
    ...second,
    name: 'restarted-before',
    expects: 'restarted-before',
    what: 'hangs again at every boot before its agent answers',
    make: (m) => ({
      instance: consenting(),
      guest: {
        files: rules(320),
        bursts: [
          burst(m - 22 * HOUR - 25 * MINUTE, { hangs: true, impairs: true }),
          { afterBootSeconds: 20, fromBoot: 2, needs: 1500, hangs: true, impairs: true },
        ],
      },
    }),
  },
  {
    ...second,
    name: 'sign-of-life',
    expects: 'sign-of-life',
    what: 'its agent died with the overflow; its programs go on writing to the console',
    make: (m) => ({
      instance: consenting(),
      guest: {
        files: rules(320),
        bursts: [burst(m - 45 * MINUTE)],
        agent: { diesAt: m - 44 * MINUTE },
        chatterMinutes: 0.5,
      },
    }),
  },
  {
    ...second,
    name: 'healthy-target',
    expects: 'sign-of-life',
    what: 'its agent died with the overflow; it says nothing more, and its load balancer has its answers',
    make: (m) => ({
      instance: consenting({ targetGroups: [WEB] }),
      guest: { files: rules(320), bursts: [burst(m - 45 * MINUTE)], agent: { diesAt: m - 44 * MINUTE } },
    }),
  },
  {
    ...second,
    name: 'silent-too-short',
    expects: 'silent-too-short',
    what: 'hangs since a few minutes',
    quicklyLost: true,
    make: (m) => ({
      // Its last ping is 6 min 40 s old in the main sweep: the pings come every 5 minutes from 30 s after the launch.
      instance: consenting({ launchTime: m - 30 * DAY - 130_000 }),
      guest: {
        files: rules(320),
        bursts: [burst(m - 4 * MINUTE, { hangs: true })],
        agent: { startsAfterSeconds: 30 },
      },
    }),
  },
  {
    ...second,
    name: 'silent-too-long',
    expects: 'silent-too-long',
    what: 'hangs since more than a day',
    make: (m) => ({ guest: { files: rules(320), bursts: [burst(m - 26 * HOUR, { hangs: true })] } }),
  },
  {
    ...second,
    name: 'protected',
    expects: 'stop-refused',
    what: 'hangs, with stop protection',
    make: (m) => ({ instance: consenting({ stopProtection: true }), guest: hung(m) }),
  },
  {
    ...second,
    name: 'disabled-key',
    expects: 'may-not-start',
    what: 'hangs; the key of its volumes is disabled, so it would not start',
    make: (m) => ({ instance: consenting({ kmsKeyId: DISABLED_KEY }), guest: hung(m) }),
  },
  {
    ...second,
    name: 'breaker',
    expects: 'breaker-open',
    what: 'hangs, together with too many others of its cell',
    count: 3,
    make: (m) => ({ instance: consenting(), guest: hung(m) }),
  },
];

export const UNMANAGED: Kind = {
  ...second,
  name: 'not-managed',
  expects: 'not-managed',
  what: 'has no SSM agent',
  make: (m) => ({ guest: { ...overflowed(m), agent: { installed: false } } }),
};
