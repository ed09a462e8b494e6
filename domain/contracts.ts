/** The public contracts: run request, run report, runbook output. All carry `"schema": 1`; documented in docs/contracts.md. */
import * as z from 'zod';
import { accountIdSchema, regionSchema, tagFilterSchema } from './policy.ts';

export const SCHEMA = 1 as const;

export const instanceIdSchema = z
  .string()
  .regex(/^i-([0-9a-f]{8}|[0-9a-f]{17})$/, 'an instance id is i- and 8 or 17 hexadecimal digits');

/** Names a run: short, sortable by time, safe in a tag, a key and an execution name. */
export const runIdSchema = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9-]{5,47}$/, 'a run id is 6 to 48 letters, digits, -');

/** SHA-256, as 64 hexadecimal digits. */
const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, 'a digest is 64 hexadecimal digits');

export const actionSchema = z.enum(['resize', 'restart-then-resize', 'assess', 'defer', 'leave']);
export type Action = z.infer<typeof actionSchema>;

/** Every code of the triage table, in the table's order. */
export const TRIAGE_CODES = [
  'out-of-scope',
  'opted-out',
  'not-running',
  'console-unreadable',
  'console-empty',
  'healthy',
  'already-handled',
  'older-boot',
  'weak-evidence',
  'limit-is-not-the-cause',
  'bad-kernel',
  'resize',
  'resize-budget',
  'not-managed',
  'agent-lost-machine-alive',
  'sign-of-life',
  'silent-too-short',
  'silent-too-long',
  'restart-not-allowed',
  'owned',
  'stop-would-lose',
  'stop-refused',
  'may-not-start',
  'restarted-before',
  'breaker-open',
  'restart-budget',
  'restart',
] as const;
export const triageCodeSchema = z.enum(TRIAGE_CODES);
export type TriageCode = z.infer<typeof triageCodeSchema>;

// ---------------------------------------------------------------- run request

/** Event of the `run` function. Every field is optional; `{}` does what the deployed policy says. */
export const runRequestSchema = z
  .strictObject({
    schema: z.literal(SCHEMA).optional(),
    mode: z.enum(['plan', 'apply']).optional(),
    scheduledAt: z.iso.datetime({ offset: true }).optional(),
    regions: z.array(regionSchema).min(1).max(40).optional(),
    accounts: z.array(accountIdSchema).min(1).max(500).optional(),
    instanceIds: z.array(instanceIdSchema).min(1).max(1000).optional(),
    tags: tagFilterSchema.optional(),
    /** Per cell, as the policy's own limit. */
    maxRestarts: z.number().int().min(0).max(200).optional(),
    planId: runIdSchema.optional(),
    /** Of the plan as somebody looked at it: another plan under this id is refused. */
    planDigest: digestSchema.optional(),
    reason: z.string().max(256).optional(),
  })
  .refine(
    (r) => !r.planId || (!r.regions && !r.accounts && !r.instanceIds && !r.tags),
    'planId excludes the filters regions, accounts, instanceIds and tags: a plan names its instances itself',
  )
  .refine((r) => !r.planDigest || r.planId, 'planDigest belongs to a planId: name the plan as well');
export type RunRequest = z.infer<typeof runRequestSchema>;

/**
 * `{ "status": "<runId>" }`: how far a run is, and its report when it is done. With `actionsAfter`: a page of its actions,
 * for a report that is too large to be returned whole; an empty text is the beginning.
 */
export const statusRequestSchema = z.strictObject({
  schema: z.literal(SCHEMA).optional(),
  status: runIdSchema,
  actionsAfter: z.string().max(1000).optional(),
});

// ---------------------------------------------------------------- runbook output

export const RUNBOOK_OUTCOMES = [
  'resized',
  'already-sufficient',
  'planned',
  'reverted',
  'pending-reboot',
  'no-auditd',
  'insufficient-memory',
  'unsafe-kernel',
  'rolled-back',
  'failed',
] as const;
export type RunbookOutcome = (typeof RUNBOOK_OUTCOMES)[number];

const wholeOrNull = z.number().int().nullable();
const readingSchema = z.object({
  effective: wholeOrNull,
  configured: wholeOrNull,
  lost: wholeOrNull,
  backlog: wholeOrNull,
  enabled: wholeOrNull,
  failure: wholeOrNull,
  backlogWaitTime: wholeOrNull,
  auditdPid: wholeOrNull,
});
const shortText = z.string().max(400).nullable();

/** The runbook's one line of JSON, the last on stdout. What the machine says is untrusted: lengths are bounded here. */
export const runbookOutputSchema = z.object({
  schema: z.literal(SCHEMA),
  outcome: z.enum(RUNBOOK_OUTCOMES),
  target: wholeOrNull,
  before: readingSchema.nullable(),
  after: readingSchema.nullable(),
  memory: z.object({ totalKiB: wholeOrNull, availableKiB: wholeOrNull, costBytes: wholeOrNull }).nullable(),
  rulesFile: shortText,
  managedBy: shortText,
  os: z.object({ id: shortText, version: shortText, kernel: shortText, init: shortText }).nullable(),
  drain: z.object({ auditd: shortText, logDirFreePercent: wholeOrNull, suspended: z.boolean().nullable() }).nullable(),
  message: z.string().max(1000),
});
export type RunbookOutput = z.infer<typeof runbookOutputSchema>;

// ---------------------------------------------------------------- actions and outcomes

/** What the console proved, as it stands in plans and reports. No console text beyond three sanitized lines. */
export const evidenceSummarySchema = z.object({
  verdict: z.enum(['overflow', 'suspected', 'none']),
  limit: z.number().nullable(),
  backlog: z.number().nullable(),
  lost: z.number().nullable(),
  suppressed: z.number().nullable(),
  panic: z.boolean(),
  kernel: z.string().nullable(),
  currentBoot: z.boolean().nullable(),
  key: z.string(),
  lines: z.array(z.object({ line: z.number(), kind: z.string(), text: z.string().max(200) })).max(3),
});
export type EvidenceSummary = z.infer<typeof evidenceSummarySchema>;

/** `undelivered`: SSM never handed the command over. `stuck`: taken, not finished. `declined`: the second look said no. */
export const OUTCOME_RESULTS = [
  ...RUNBOOK_OUTCOMES,
  'undelivered',
  'stuck',
  'unreadable-output',
  'restart-failed',
  'awaiting-capacity',
  'declined',
  'held',
  'overflowed-again',
] as const;

export const restartMethodSchema = z.enum(['stop-start', 'reboot']);
export type RestartMethod = z.infer<typeof restartMethodSchema>;

/** What happened to one instance. */
export const outcomeSchema = z.object({
  result: z.enum(OUTCOME_RESULTS),
  /** The effective limit was read back and is at least the target. */
  proven: z.boolean(),
  at: z.iso.datetime(),
  restartedBy: restartMethodSchema.nullable(),
  backAt: z.iso.datetime().nullable(),
  target: wholeOrNull,
  limitBefore: wholeOrNull,
  limitAfter: wholeOrNull,
  lostBefore: wholeOrNull,
  lostAfter: wholeOrNull,
  commandId: z.string().nullable(),
  message: z.string().max(1000),
  /** What a person does next; empty when nothing is needed. */
  next: z.string().max(500),
});
export type Outcome = z.infer<typeof outcomeSchema>;

/** What an instance was when it was judged: read again before a plan is applied. */
const factsSchema = z.object({
  /** EC2's state of the instance. */
  state: z.string(),
  /** Renewed by a stop and start. */
  launchTime: z.string(),
  instanceType: z.string(),
  reachability: z.enum(['reachable', 'stuck', 'silent', 'never', 'unknown']),
  /** Only tags that a decision may hang on: consent, opt-out, owners, scope. */
  tags: z.record(z.string(), z.string()),
});

/** One instance's place in a plan and in a report: what is (to be) done, why, and what came of it. */
export const actionEntrySchema = z.object({
  instanceId: z.string(),
  accountId: z.string(),
  region: z.string(),
  action: actionSchema,
  code: triageCodeSchema,
  reason: z.string(),
  next: z.string(),
  method: restartMethodSchema.nullable(),
  imageId: z.string().nullable(),
  launchTemplate: z.string().nullable(),
  evidence: evidenceSummarySchema.nullable(),
  facts: factsSchema.optional(),
  outcome: outcomeSchema.nullable(),
});
export type ActionEntry = z.infer<typeof actionEntrySchema>;

// ---------------------------------------------------------------- report

export const callErrorSchema = z.object({
  call: z.string(),
  code: z.string(),
  message: z.string(),
  next: z.string(),
  instanceId: z.string().optional(),
});

const count = z.number().int().min(0);

export const totalsSchema = z.object({
  instances: count,
  healthy: count,
  affected: count,
  unknown: count,
  outOfScope: count,
  resized: count,
  restarted: count,
  assessed: count,
  alreadyHandled: count,
  deferred: count,
  left: count,
  failed: count,
});
export type Totals = z.infer<typeof totalsSchema>;

export const cellReportSchema = z.object({
  accountId: z.string(),
  region: z.string(),
  /** done: everything was looked at; incomplete: a call failed for good; not-ready: no SSM document; skipped: another
   * apply run holds the cell; failed: nothing could be looked at. */
  status: z.enum(['done', 'incomplete', 'not-ready', 'skipped', 'failed']),
  errors: z.array(callErrorSchema),
  instances: count,
  consolesRead: count,
  unknown: count,
  affected: count,
  /** How often each triage code was given, `healthy` included. */
  codes: z.partialRecord(triageCodeSchema, count),
  breaker: z.object({ open: z.boolean(), reason: z.string().nullable() }),
  apiCalls: z.record(z.string(), count),
  throttled: count,
});
export type CellReport = z.infer<typeof cellReportSchema>;

export const groupSchema = z.object({
  by: z.enum(['image', 'launchTemplate', 'kernel']),
  value: z.string(),
  affected: count,
  of: count.nullable(),
  next: z.string(),
});
export type Group = z.infer<typeof groupSchema>;

export const gateSchema = z.object({ open: z.boolean(), reasons: z.array(z.string()) });
export type Gate = z.infer<typeof gateSchema>;

/** The embedded region's own account of a run; on AWS there is none. */
export const simulatorTruthSchema = z.object({
  mutatingCalls: count,
  calls: z.record(z.string(), count),
  strikes: z.record(z.string(), count),
  agrees: z.boolean(),
  disagreements: z.array(z.string()).optional(),
});

/** What makes the plan of a plan run one that can be applied. */
const planSealSchema = z.object({
  /** Over run, policy, expiry and every entry. */
  digest: digestSchema,
  entries: count,
  expiresAt: z.iso.datetime(),
});
export type PlanSeal = z.infer<typeof planSealSchema>;

/** Returned by the sweep, answered by `run` for a status, printed by the CLI with `--json`. */
export const runReportSchema = z.object({
  schema: z.literal(SCHEMA),
  runId: z.string(),
  mode: z.enum(['plan', 'apply']),
  policyDigest: z.string(),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  complete: z.boolean(),
  gate: gateSchema,
  cells: z.array(cellReportSchema),
  actions: z.array(actionEntrySchema),
  groups: z.array(groupSchema),
  totals: totalsSchema,
  /** Of a plan run only. */
  plan: planSealSchema.optional(),
  truncated: z.boolean().optional(),
  where: z.string().optional(),
  simulator: simulatorTruthSchema.optional(),
});
export type RunReport = z.infer<typeof runReportSchema>;

/** Answered by `run` for a status with `actionsAfter`. */
export const actionsPageSchema = z.object({
  schema: z.literal(SCHEMA),
  runId: z.string(),
  actions: z.array(actionEntrySchema),
  /** Where the next page begins; null: that was the last. */
  next: z.string().nullable(),
});
export type ActionsPage = z.infer<typeof actionsPageSchema>;

// ---------------------------------------------------------------- plan file

/** A plan as `audit-backlog plan --save` writes it: to be read by people, and applied as it stands or not at all. */
export const planFileSchema = z.strictObject({
  schema: z.literal(SCHEMA),
  planId: runIdSchema,
  /** Function `run` that keeps the plan in its ledger; null: made from a laptop, so nobody can apply it. */
  function: z.string().nullable(),
  policyDigest: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  digest: digestSchema,
  totals: totalsSchema,
  /** Each with a digest of its own, so that one that was altered can be named. */
  entries: z.array(z.strictObject({ digest: digestSchema, entry: z.strictObject(actionEntrySchema.shape) })),
});
export type PlanFile = z.infer<typeof planFileSchema>;
