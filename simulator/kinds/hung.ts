/** Kinds that hang and may be restarted. */
import { burst, consenting, first, hung, type Kind, MINUTE, RULES_FILE, restarted } from './kind.ts';

/** Hung machines of the first cell that may be restarted. */
export const RESTARTED: readonly Kind[] = [
  {
    ...restarted,
    name: 'hung',
    what: 'hangs; a stop loses nothing',
    make: (m) => ({ instance: consenting(), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-instance-store',
    what: 'hangs, with data on instance store: a reboot keeps it',
    make: (m) => ({ instance: consenting({ instanceType: 'm5d.large' }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-capacity',
    what: 'hangs; its start fails once for lack of capacity',
    make: (m) => ({ instance: consenting({ capacityFailures: { count: 1 } }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-auto-address',
    what: 'hangs, with a public address that a stop would give up',
    make: (m) => ({ instance: consenting({ publicAddress: 'auto' }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-elastic-address',
    what: 'hangs; its address is an Elastic IP, which a stop keeps',
    make: (m) => ({ instance: consenting({ publicAddress: 'elastic' }), guest: hung(m, { impairs: true }) }),
  },
  {
    ...restarted,
    name: 'hung-spot',
    what: 'hangs, as a one-time Spot Instance, which cannot be stopped',
    make: (m) => ({ instance: consenting({ spot: { kind: 'one-time' } }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'hung-auto-scaling',
    what: 'hangs in an Auto Scaling group, and opted in itself',
    make: (m) => ({ instance: consenting({ autoScalingGroup: 'web-asg' }), guest: hung(m) }),
  },
  {
    ...restarted,
    name: 'panicked',
    what: 'failure mode 2: the overflow was a kernel panic',
    make: (m) => ({
      instance: consenting(),
      guest: { files: { [RULES_FILE]: '-D\n-b 320\n-f 2\n' }, bursts: [burst(m - 40 * MINUTE)] },
    }),
  },
  {
    ...first,
    name: 'hung-one-too-many',
    expects: 'restart-budget',
    what: 'hangs, and the run may restart no more',
    order: 'last',
    make: (m) => ({ instance: consenting(), guest: hung(m) }),
  },
];
