/** Kinds that are not looked into, or cannot be. */
import { first, type Kind, overflowed } from './kind.ts';

/** Machines of the first cell that are not looked into, or cannot be. */
export const NOT_LOOKED_INTO: readonly Kind[] = [
  {
    ...first,
    name: 'opted-out',
    expects: 'opted-out',
    what: 'its owner opted out of everything',
    make: (m) => ({ instance: { tags: { AuditBacklogRemediation: 'disabled' } }, guest: overflowed(m) }),
  },
  {
    ...first,
    name: 'windows',
    expects: 'out-of-scope',
    what: 'runs Windows',
    make: () => ({ instance: { platform: 'windows', instanceType: 'm5.large' }, guest: null }),
  },
  {
    ...first,
    name: 'sandbox',
    expects: 'out-of-scope',
    what: 'bears a tag that the policy excludes',
    make: (m) => ({ instance: { tags: { Environment: 'sandbox' } }, guest: overflowed(m) }),
  },
  {
    ...first,
    name: 'stopped',
    expects: 'not-running',
    what: 'is stopped',
    make: () => ({ instance: { state: 'stopped' }, guest: {} }),
  },
  {
    ...first,
    name: 'empty-console',
    expects: 'console-empty',
    what: 'has no serial console configured',
    make: () => ({ guest: { noSerialConsole: true } }),
  },
  {
    ...first,
    name: 'mac',
    expects: 'console-unreadable',
    what: 'a Mac host: EC2 gives no console of it',
    make: () => ({ instance: { instanceType: 'mac2.metal' }, guest: { noSerialConsole: true } }),
  },
];
