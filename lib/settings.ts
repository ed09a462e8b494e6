/** Settings of a deployment: the policy and what only the infrastructure needs. Read from `cdk.json`, checked at synth. */
import * as z from 'zod';
import { accountIdSchema, policySchema, regionSchema } from '../domain/policy.ts';
import { InvalidInputError, parseInput } from '../domain/validation.ts';

/** The context key of `cdk.json` under which the settings stand. */
export const CONTEXT_KEY = 'auditBacklogRemediation';

/** Lambda takes at most 4 KB of environment; this much of it is left to the policy. Unit: bytes. */
const POLICY_BYTES = 2_800;

/** Day of the month and day of the week of a cron expression. */
function daysOf(cron: string): readonly (string | undefined)[] {
  const [, , dayOfMonth, , dayOfWeek] = cron.slice('cron('.length, -1).split(' ');
  return [dayOfMonth, dayOfWeek];
}

/** Bounds of minutes, hours, days of the month, months, days of the week, years. */
const CRON_FIELDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [1, 7],
  [1970, 2199],
] as const;

/** Whether every number of a cron expression lies within its field; steps (after a slash) count from 1. */
function withinFields(cron: string): boolean {
  const fields = cron.slice('cron('.length, -1).split(' ');
  return CRON_FIELDS.every(([low, high], i) =>
    [...(fields[i] ?? '').matchAll(/(\/?)(\d+)/g)].every(
      ([, step, digits]) => Number(digits) >= (step ? 1 : low) && Number(digits) <= high,
    ),
  );
}

const timezoneSchema = z.string().refine((zone) => {
  // Intl takes offsets as well, EventBridge Scheduler names alone.
  if (/^[+-]/.test(zone)) return false;
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}, 'not a time zone: write a name of the IANA database, like Europe/Dublin');

const rolePathSchema = z
  .string()
  .regex(/^\/([\w+=,.@-]+\/)*$/, 'begins and ends with a slash')
  .max(512)
  .default('/');

/** Everything `cdk.json` may say. `{}` deploys the safe defaults: every four hours, looking, touching nothing. */
export const settingsSchema = z
  .strictObject({
    policy: policySchema.prefault({}).describe('What the owner of the fleet allows.'),
    schedule: z
      .string()
      .regex(/^(rate\([1-9]\d* (minute|hour|day)s?\)|cron\([\dA-Z,*?/LW#-]+( [\dA-Z,*?/LW#-]+){5}\))$/, {
        error: 'write it like rate(4 hours) or cron(0 2 * * ? *)',
        abort: true,
      })
      .refine(
        (text) => text.startsWith('rate') || daysOf(text).filter((days) => days === '?').length === 1,
        'of day of the month and day of the week exactly one has to be ?, as in cron(0 2 * * ? *)',
      )
      .refine(
        (text) => text.startsWith('rate') || withinFields(text),
        'a number is out of range: minutes 0-59, hours 0-23, days 1-31, months 1-12, days of the week 1-7, years 1970-2199',
      )
      .default('rate(4 hours)')
      .describe('When to sweep, as EventBridge Scheduler writes it.'),
    timezone: timezoneSchema.default('UTC').describe('Of a cron schedule; IANA name.'),
    flexibleWindowMinutes: z
      .number()
      .int()
      .min(0)
      .max(1440)
      .default(0)
      .describe('The sweep may start this much later; 0: at once. Unit: minutes.'),
    notificationEmails: z
      .array(z.email())
      .max(20)
      .refine((emails) => new Set(emails).size === emails.length, 'an address stands there twice')
      .default([])
      .describe('Subscribed to the notification topic.'),
    account: accountIdSchema.optional().describe('Where the service itself runs; needed with policy.scope.accounts.'),
    region: regionSchema.optional().describe('Where the service itself runs; needed with policy.scope.regions.'),
    documentName: z
      .string()
      .regex(/^[a-zA-Z0-9_.-]{3,128}$/, '3 to 128 letters, digits, _ . -')
      .refine((name) => !/^(aws|amazon|amzn)/i.test(name), 'names that begin with aws, amazon or amzn are reserved')
      .default('AuditBacklogRemediation-Resize')
      .describe('Of the SSM document, the same in every cell.'),
    memberRole: z
      .strictObject({
        name: z
          .string()
          .regex(/^[\w+=,.@-]{1,64}$/, 'a role name has 1 to 64 letters, digits and _+=,.@-')
          .default('AuditBacklogRemediationMember')
          .describe('Of the role in each other account.'),
        path: rolePathSchema.describe('Of that role; a change of it needs another name as well.'),
        externalId: z
          .string()
          .regex(/^[\w+=,.@:/-]{2,1224}$/, '2 to 1,224 letters, digits and _+=,.@:/-')
          .optional()
          .describe('Asked for by the member role when it is assumed.'),
        organizationId: z
          .string()
          .regex(/^o-[a-z0-9]{10,32}$/, 'write the id of an organization, like o-a1b2c3d4e5')
          .optional()
          .describe('The member role trusts the service only while its account belongs to this organization.'),
      })
      .prefault({})
      .describe('The role that the service assumes in other accounts.'),
    alarms: z
      .strictObject({
        missedSweepHours: z
          .number()
          .int()
          .min(1)
          .max(168)
          .optional()
          .describe('Alarm when no sweep was finished for so long. Unit: hours; default: as the schedule says.'),
        unknownPercent: z
          .number()
          .min(1)
          .max(100)
          .default(10)
          .describe('Alarm from so many instances with an unknown console. Unit: percent of all.'),
        throttledCalls: z
          .number()
          .int()
          .min(1)
          .default(500)
          .describe('Alarm from so many throttled calls of one sweep.'),
      })
      .prefault({})
      .describe('When to wake a person.'),
    logKeyArn: z
      .string()
      .regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/, 'write the ARN of a KMS key')
      .optional()
      .describe("Key for all log groups; default: CloudWatch Logs' own."),
    testEvents: z
      .enum(['create-if-absent', 'use-registry', 'none'])
      .default('create-if-absent')
      .describe('Shareable test events of the run function, and whether their registry may be made.'),
    roles: z
      .strictObject({
        path: rolePathSchema.describe("Of the roles in the service's own account."),
        permissionsBoundary: z
          .string()
          .regex(/^[\w+=,.@/-]{1,128}$/, 'write the name of a managed policy, with its path if it has one')
          .optional()
          .describe('Name of a managed policy that bounds every role; it must exist in every account.'),
      })
      .prefault({})
      .describe('How roles have to look in your organization.'),
  })
  .superRefine((settings, context) => {
    const { accounts, regions } = settings.policy.scope;
    const need = (path: 'account' | 'region', because: string) =>
      context.addIssue({ code: 'custom', path: [path], message: `say where the service itself runs: ${because}` });
    if (regions.length > 0 && !settings.region) need('region', 'policy.scope.regions names regions');
    if (accounts.length > 0 && !settings.account) need('account', 'policy.scope.accounts names accounts');
  });

const HOURS_OF = { minute: 1 / 60, hour: 1, day: 24 } as const;
/** CloudWatch looks back at most a week. Unit: hours. */
const LONGEST_EVALUATION = 168;
/** A week less the day that a late sweep needs. Unit: hours. */
const LONGEST_WATCHED_GAP = 144;
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/**
 * After how long without a finished sweep one is missed: half as long again as the longest time between two, and as late
 * as the flexible window lets one begin. Unit: hours, 1 to 168.
 *
 * @returns null where the schedule leaves more than six days between two sweeps, or does not say how many.
 */
export function missedSweepHours({ alarms, schedule, flexibleWindowMinutes }: Settings): number | null {
  if (alarms.missedSweepHours !== undefined) return alarms.missedSweepHours;
  const gap = longestGapHours(schedule);
  if (gap === null || gap > LONGEST_WATCHED_GAP) return null;
  return Math.min(LONGEST_EVALUATION, Math.max(1, 1.5 * gap + flexibleWindowMinutes / 60));
}

/** Between two sweeps; null: the expression restricts days of the month, months or years. */
function longestGapHours(schedule: string): number | null {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(schedule) ?? [];
  if (count && unit) return Number(count) * HOURS_OF[unit as keyof typeof HOURS_OF];
  const [, , dayOfMonth = '', month = '', dayOfWeek = '', year = ''] = schedule.slice('cron('.length, -1).split(' ');
  const any = (field: string) => field === '*' || field === '?';
  if (![dayOfMonth, month, year].every(any)) return null;
  if (any(dayOfWeek)) return HOURS_OF.day;
  const days = daysOfWeek(dayOfWeek);
  if (days === null) return null;
  const gaps = days.map((day, index) => ((days[index + 1] ?? (days[0] ?? 0) + 7) - day) * HOURS_OF.day);
  return Math.max(...gaps);
}

/** Days named by `MON-FRI`, `2,4`, `SUN`, in order, Sunday 0; null: something else, like the last Friday. */
function daysOfWeek(field: string): number[] | null {
  const dayOf = (text: string) => (/^[1-7]$/.test(text) ? Number(text) - 1 : DAYS.indexOf(text));
  const parts = field.split(',').map((part) => part.split('-').map(dayOf));
  if (parts.some((ends) => ends.length > 2 || ends.includes(-1))) return null;
  const days = parts.flatMap(([from = 0, to = from]) =>
    Array.from({ length: ((to - from + 7) % 7) + 1 }, (_, index) => (from + index) % 7),
  );
  return [...new Set(days)].sort((a, b) => a - b);
}

/** Complete settings: every default filled in. */
export type Settings = z.infer<typeof settingsSchema>;
/** What a person writes: any part may be left out. */
export type SettingsInput = z.input<typeof settingsSchema>;

/**
 * Reads the context value: an object from `cdk.json`, or JSON text from `cdk synth -c`. Nothing at all is `{}`.
 *
 * @throws InvalidInputError with one line naming every wrong setting.
 */
export function readSettings(contextValue: unknown): SettingsInput {
  const value = typeof contextValue === 'string' ? parseText(contextValue) : (contextValue ?? {});
  parseInput(settingsSchema, value, CONTEXT_KEY);
  return value as SettingsInput;
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidInputError(`${CONTEXT_KEY}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * The policy as the functions get it: what was written, without the defaults (the functions fill in the same ones).
 *
 * @throws InvalidInputError when it is too long for a function's environment.
 */
export function policyText(written: SettingsInput['policy']): string {
  const text = JSON.stringify(written ?? {});
  const bytes = Buffer.byteLength(text);
  if (bytes <= POLICY_BYTES) return text;
  throw new InvalidInputError(
    `${CONTEXT_KEY}: policy: ${bytes} bytes as JSON, and a function's environment holds ${POLICY_BYTES} of it: shorten its lists`,
  );
}
