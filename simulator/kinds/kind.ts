/** What a kind of instance is, and the pieces that scenarios are made of. */
import type { InstanceProfile } from '../ec2/profile.ts';
import { rulesWithLimit } from '../guest/files.ts';
import type { Burst, GuestProfile } from '../guest/profile.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const RULES_FILE = '/etc/audit/rules.d/audit.rules';
/** The owner's consent to restarts, and the opt-out of everything: the tags that the design names. */
export const CONSENT = { AuditBacklogRestart: 'allowed' } as const;
/** A key that was disabled after the instance's volumes were encrypted with it; every cell of a fleet has it. */
export const DISABLED_KEY = '1f6d0a52-93c4-4b0e-8f0e-6a2f5f3f7c11';

/** What one machine of a kind is. `guest` null: Windows. */
export interface Made {
  readonly instance?: Partial<InstanceProfile>;
  readonly guest: Partial<GuestProfile> | null;
}

export interface Kind {
  readonly name: string;
  readonly cell: 'first' | 'second';
  /** The code of the triage table in the main sweep. */
  readonly expects: string;
  /** One line for people. */
  readonly what: string;
  /** How many a full fleet has. */
  readonly count: number;
  /** Sorts before the others of its cell, or after them, by instance id. */
  readonly order?: 'last';
  /** SSM must call its agent lost within six minutes of the last ping. */
  readonly quicklyLost?: boolean;
  readonly make: (mainSweepAt: number) => Made;
}

export const rules = (limit: number, more = '') => ({ [RULES_FILE]: rulesWithLimit(limit, more) });
export const burst = (at: number, more: Partial<Burst> = {}): Burst => ({ at, needs: 1500, ...more });
/** Overflowed 40 minutes ago, and user space stands still since. */
export const hung = (main: number, more: Partial<Burst> = {}): Partial<GuestProfile> => ({
  files: rules(320),
  bursts: [burst(main - 40 * MINUTE, { hangs: true, ...more })],
});
/** Overflowed an hour ago, and answers. */
export const overflowed = (main: number, limit = 320): Partial<GuestProfile> => ({
  files: rules(limit),
  bursts: [burst(main - HOUR)],
});
export const consenting = (more: Partial<InstanceProfile> = {}): Partial<InstanceProfile> => ({
  ...more,
  tags: { ...CONSENT, ...more.tags },
});

export const first = { cell: 'first', count: 1 } as const;
export const second = { cell: 'second', count: 1 } as const;
export const restarted = { ...first, expects: 'restart' } as const;
export const resized = { ...first, expects: 'resize' } as const;
