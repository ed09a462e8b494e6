/**
 * What the owner of a fleet allows. One schema for synth time (`cdk.json`), for run time (the functions' environment)
 * and for the CLI, so that a setting means the same wherever it is read.
 */
import * as z from 'zod';

export const accountIdSchema = z.string().regex(/^\d{12}$/, 'an AWS account id has 12 digits');
export const regionSchema = z
  .string()
  .regex(/^[a-z]{2}(-[a-z]+)+-\d{1,2}$/, 'a region is written like eu-west-1 or us-gov-west-1');

/** Tag key -> accepted values; an empty list accepts any value. */
export const tagFilterSchema = z.record(z.string().min(1).max(128), z.array(z.string().max(256)).max(50));

/** Key of a tag that people and this service set. AWS compares keys to the letter. */
const tagKey = z
  .string()
  .min(1)
  .max(127)
  .refine((key) => !/^aws:/i.test(key), 'nobody can set a tag whose key begins with aws:');

const percent = (text: string) => z.number().min(0).max(100).describe(text);

const scopeSchema = z.strictObject({
  regions: z
    .array(regionSchema)
    .max(40)
    .default([])
    .describe('Regions to look at; empty: the one the service runs in.'),
  accounts: z.array(accountIdSchema).max(500).default([]).describe('Accounts to look at; empty: the one it runs in.'),
  includeTags: tagFilterSchema.default({}).describe('Only instances that bear all of these tags; empty: all.'),
  excludeTags: tagFilterSchema.default({}).describe('Never instances that bear any of these tags.'),
});

const sizingSchema = z.strictObject({
  factor: z.number().int().min(1).max(16).default(2).describe('The target is so many times the limit that overflowed.'),
  minimum: z
    .number()
    .int()
    .min(64)
    .max(1_000_000)
    .default(8192)
    .describe('Least target. Unit: buffers of 8,970 bytes.'),
  maximum: z.number().int().min(64).max(1_000_000).default(65_536).describe('Largest target. Unit: buffers.'),
  memoryPercent: z
    .number()
    .int()
    .min(1)
    .max(50)
    .default(10)
    .describe('Share of MemTotal that a full queue may take. Unit: percent.'),
  restartAuditd: z
    .enum(['needed', 'always', 'never'])
    .default('needed')
    .describe('needed: only when the kernel does not show the new limit or auditd is dead.'),
  bootLimit: z
    .boolean()
    .default(false)
    .describe(
      'Also set audit_backlog_limit= on the kernel command line with grubby, update-grub or grub2-mkconfig, for what is audited before the rules are loaded.',
    ),
});

const spreadSchema = z.strictObject({
  maxPerZone: z
    .number()
    .int()
    .min(1)
    .max(50)
    .nullable()
    .default(null)
    .describe('Machines down at once in one Availability Zone; null: as many as maxInFlight.'),
  tag: z
    .string()
    .min(1)
    .max(128)
    .nullable()
    .default(null)
    .describe('Key of a tag whose value says what belongs together (the cluster of a node, say); null: none.'),
  maxPerTagValue: z
    .number()
    .int()
    .min(1)
    .max(50)
    .default(1)
    .describe('Machines down at once that have the same value of that tag; without the tag there is no such bound.'),
});

/** What policy may name as a sign of life beside new lines on the console (triage row 12). */
export const SIGNS_OF_LIFE = ['healthy-target'] as const;
export type SignOfLife = (typeof SIGNS_OF_LIFE)[number];

const restartFields = {
  policy: z
    .enum(['never', 'tagged', 'any'])
    .describe('Whose machines may be restarted: nobody, those with the opt-in tag, all in scope.'),
  method: z
    .enum(['stop-start', 'reboot-first', 'reboot-only'])
    .describe('How to restart. reboot-first: a reboot, and a stop and start where it was tried within the cool-down.'),
  rebootWhereStopLoses: z
    .boolean()
    .describe('Reboot instead where a stop would lose something, be refused, or might not start again.'),
  afterMinutes: z.number().int().min(5).max(1440).describe('Silent at least this long. Unit: minutes.'),
  maxInFlight: z.number().int().min(1).max(50).describe('Machines down at once, per cell.'),
  spread: spreadSchema.describe('Bounds below maxInFlight, so that what belongs together is not down together.'),
  maxPerRun: z.number().int().min(0).max(200).describe('Restarts per run and cell, by count.'),
  maxPercent: percent('Restarts per run, as a share of the running instances of the cell (at least one).'),
  maxAttempts: z.number().int().min(1).max(10).describe('Restarts of one instance within the cool-down.'),
  coolDownHours: z.number().int().min(1).max(720).describe('Cool-down. Unit: hours.'),
  signsOfLife: z
    .array(z.enum(SIGNS_OF_LIFE))
    .max(SIGNS_OF_LIFE.length)
    .describe(
      'Checks beside the console that forbid a restart when they say that the machine is alive, or cannot be read. healthy-target: an HTTP or HTTPS health check of a load balancer passes.',
    ),
};

const restartSchema = z.strictObject({
  policy: restartFields.policy.default('tagged'),
  method: restartFields.method.default('stop-start'),
  rebootWhereStopLoses: restartFields.rebootWhereStopLoses.default(true),
  afterMinutes: restartFields.afterMinutes.default(10),
  maxInFlight: restartFields.maxInFlight.default(2),
  spread: restartFields.spread.prefault({}),
  maxPerRun: restartFields.maxPerRun.default(10),
  maxPercent: restartFields.maxPercent.default(5),
  maxAttempts: restartFields.maxAttempts.default(2),
  coolDownHours: restartFields.coolDownHours.default(24),
  signsOfLife: restartFields.signsOfLife.default([]),
});

const policyOverrideSchema = z.strictObject({
  regions: z.array(regionSchema).max(40).default([]).describe('Cells of these regions; empty: all.'),
  accounts: z.array(accountIdSchema).max(500).default([]).describe('Cells of these accounts; empty: all.'),
  restart: z.strictObject(restartFields).partial().describe('The fields of `restart` that differ there.'),
});

/** The policy's schema. Every field has a default: `{}` is the safe policy (looks, touches nothing). */
export const policySchema = z
  .strictObject({
    mode: z.enum(['plan', 'apply']).default('plan').describe('plan looks and touches nothing; apply cures.'),
    scope: scopeSchema.prefault({}),
    sizing: sizingSchema.prefault({}),
    restart: restartSchema.prefault({}),
    resize: z
      .strictObject({
        maxPerRun: z.number().int().min(0).max(2000).default(500).describe('Resizes per run and cell.'),
        canary: z.number().int().min(1).max(50).default(5).describe('Instances of the first wave.'),
        maxErrors: z
          .string()
          .regex(/^(0|[1-9]\d{0,3}|(\d|[1-9]\d|100)%)$/, 'a number, or a percentage like 10%, without leading zeros')
          .default('10%')
          .describe(
            'A number, or a percentage like 10%: after so many errors SSM stops sending; the canary wave obeys it too.',
          ),
      })
      .prefault({}),
    cures: z
      .strictObject({
        max: z.number().int().min(1).max(10).default(2).describe('Cures of one instance within the window.'),
        windowDays: z.number().int().min(1).max(90).default(7).describe('The window in which cures count. Unit: days.'),
        provenAfterMinutes: z
          .number()
          .int()
          .min(5)
          .max(1440)
          .default(60)
          .describe('So long after a cure its limit is read again: `held` or `reverted`. Unit: minutes.'),
      })
      .prefault({}),
    breaker: z
      .strictObject({
        affectedCount: z
          .number()
          .int()
          .min(1)
          .max(100_000)
          .default(10)
          .describe('Affected instances of a cell, or lost or impaired ones, by count.'),
        affectedPercent: percent(
          'Affected instances as a share of a cell; the larger of this and affectedCount is the bound.',
        ).default(5),
        newlySilentPercent: percent(
          'More silent than in the last sweep, as a share of its instances; the larger of this and affectedCount is the bound.',
        ).default(10),
        quietSweeps: z.number().int().min(1).max(20).default(2).describe('Quiet sweeps until the breaker closes.'),
      })
      .prefault({}),
    overrides: z
      .array(policyOverrideSchema)
      .max(50)
      .default([])
      .describe('Restart settings that differ in some cells, the first match wins (say, no reboot in production).'),
    quotaShare: z.number().min(0.05).max(1).default(0.5).describe("Share of the account's API quota to use."),
    calendars: z.array(z.string().min(1)).max(10).default([]).describe('SSM Change Calendars that must be open.'),
    blockingAlarms: z.array(z.string().min(1)).max(50).default([]).describe('CloudWatch alarms that forbid acting.'),
    planExpiresHours: z.number().int().min(1).max(168).default(24).describe('How long a plan may be applied.'),
    ownerTags: z
      .array(z.string().min(1))
      .max(50)
      .default([
        'AWSRDSCustom',
        'aws:autoscaling:groupName',
        'aws:ec2:fleet-id',
        'aws:ec2spot:fleet-request-id',
        'aws:eks:cluster-name',
        'aws:elasticmapreduce:job-flow-id',
        'eks:nodegroup-name',
        'elasticbeanstalk:environment-id',
        'karpenter.sh/nodepool',
        'karpenter.sh/provisioner-name',
        'kubernetes.io/cluster/*',
        'parallelcluster:cluster-name',
      ])
      .describe('Tag keys that say: something else replaces or manages this instance. `*` at the end: any ending.'),
    tags: z
      .strictObject({
        optOut: tagKey.default('AuditBacklogRemediation').describe('Value `disabled` opts out.'),
        restart: tagKey.default('AuditBacklogRestart').describe('Value `allowed` opts in.'),
        stopped: tagKey.default('AuditBacklogStopped').describe('Stands from before our stop.'),
        status: tagKey.default('AuditBacklogStatus').describe('The last outcome.'),
      })
      .refine(
        (tags) => new Set(Object.values(tags)).size === Object.keys(tags).length,
        'two tags have one name: each means something else',
      )
      .prefault({}),
  })
  .refine((p) => p.sizing.minimum <= p.sizing.maximum, {
    path: ['sizing', 'minimum'],
    message: 'sizing.minimum is above sizing.maximum',
  });

/** A complete policy: every default filled in. */
export type Policy = z.infer<typeof policySchema>;
/** What a person writes: any part may be left out. */
export type PolicyInput = z.input<typeof policySchema>;

/** The policy as it stands for one cell: the first override that names the cell is merged into `restart`. */
export function policyForCell(policy: Policy, cell: { accountId: string; region: string }): Policy {
  const match = policy.overrides.find(
    (o) =>
      (o.regions.length === 0 || o.regions.includes(cell.region)) &&
      (o.accounts.length === 0 || o.accounts.includes(cell.accountId)),
  );
  if (!match) return policy;
  const named = Object.fromEntries(Object.entries(match.restart).filter(([, value]) => value !== undefined));
  return { ...policy, restart: { ...policy.restart, ...named } };
}
