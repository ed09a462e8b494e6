/**
 * Who gets which permissions. The roles are made of these rows and of nothing else, and docs/permissions.md is generated
 * from them.
 */
import {
  bringBack,
  type Fleet,
  power,
  readDocument,
  readFleet,
  readMarked,
  readSignsOfLife,
  runCommand,
  statusTag,
} from './fleet-permissions.ts';
import {
  deadLetters,
  gate,
  type Hub,
  invoke,
  ledger,
  memberAccounts,
  notify,
  publishEvents,
  serviceLog,
} from './hub-permissions.ts';
import type { Permission } from './permission.ts';

export type { Permission } from './permission.ts';

/** The functions of the service; each has a role of its own. */
export const FUNCTION_NAMES = ['run', 'sweep', 'cell', 'restart', 'reconcile'] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];
/** Those that hold leases while they work. */
export const LEASE_HOLDERS: readonly FunctionName[] = ['cell', 'restart'];

/**
 * The rows of one function's role, without those that name the function itself ({@link ownLog}, {@link checkpoints})
 * or its neighbour ({@link invoke}).
 *
 * @param fleet null where the service's own account is not in scope.
 */
export function permissionsOf(name: FunctionName, hub: Hub, fleet: Fleet | null): Permission[] {
  const own = (rows: (fleet: Fleet) => Permission[]) => (fleet ? rows(fleet) : []);
  // A request to act under a policy of mode plan is refused, so nothing that acts is permitted either.
  const acting = (rows: (fleet: Fleet) => Permission[]) => (fleet?.policy.mode === 'apply' ? rows(fleet) : []);
  switch (name) {
    case 'run':
      return [...ledger(hub, 'read'), ...gate(hub), deadLetters(hub)];
    case 'sweep':
      return [...ledger(hub, 'runs'), serviceLog(hub), publishEvents(hub), notify(hub), deadLetters(hub)];
    case 'cell':
      return [
        ...own(readFleet),
        ...own(readSignsOfLife),
        ...own(readDocument),
        ...acting(runCommand),
        ...acting(statusTag),
        ...ledger(hub, 'instances'),
        ...gate(hub),
        serviceLog(hub),
        publishEvents(hub),
        ...memberAccounts(hub),
        deadLetters(hub),
      ];
    case 'restart':
      return [
        ...own(readFleet),
        ...own(readSignsOfLife),
        ...acting(power),
        ...acting(runCommand),
        ...acting(statusTag),
        ...ledger(hub, 'instances'),
        ...gate(hub),
        serviceLog(hub),
        publishEvents(hub),
        notify(hub),
        ...memberAccounts(hub),
        deadLetters(hub),
      ];
    case 'reconcile':
      return [...own(readMarked), ...own(bringBack), notify(hub), ...memberAccounts(hub), deadLetters(hub)];
    default:
      return name satisfies never;
  }
}

/** What a member account's role allows: the union of what `cell`, `restart` and `reconcile` do there. */
export function memberPermissions(fleet: Fleet): Permission[] {
  const rows = [
    ...readFleet(fleet),
    ...readSignsOfLife(fleet),
    ...readDocument(fleet),
    ...(fleet.policy.mode === 'apply' ? [...runCommand(fleet), ...statusTag(fleet), ...power(fleet)] : []),
    // Also where nothing else may act: what was stopped before the policy changed must come back.
    ...bringBack(fleet),
  ];
  return rows.filter((row, index) => rows.findIndex((other) => other.sid === row.sid) === index);
}

/** What a schedule may do: start its one function, and keep what it could not start. */
export function schedulePermissions(aliasArn: string, deadLetterArn: string): Permission[] {
  return [
    invoke('StartFunction', aliasArn, 'Starts this one function on schedule, by its alias.'),
    deadLetters({ deadLetterArn }),
  ];
}
