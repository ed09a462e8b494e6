/**
 * docs/events.md: what the service tells other systems, with schemas made from the contracts. `node lib/events-doc.ts`
 * writes it; a test compares it, and what a simulated sweep really sends with the schemas.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import {
  actionEntrySchema,
  gateSchema,
  groupSchema,
  outcomeSchema,
  SCHEMA,
  totalsSchema,
} from '../domain/contracts.ts';
import { EVENT_SOURCE } from './hub-permissions.ts';

/** Where the document stands, from the package's root. */
export const EVENTS_DOC = join(import.meta.dirname, '..', 'docs', 'events.md');

const head = { schema: z.literal(SCHEMA), runId: z.string() };
const sweep = {
  ...head,
  mode: z.enum(['plan', 'apply']),
  complete: z.boolean(),
  totals: totalsSchema,
  groups: z.array(groupSchema).max(20),
  gate: gateSchema,
};
const instance = z.strictObject({
  ...head,
  ...actionEntrySchema.omit({ evidence: true }).shape,
  outcome: outcomeSchema,
});

/** By detail type: what `detail` holds. */
export const EVENT_DETAILS = {
  'Audit Backlog Sweep Completed': {
    when: 'A sweep came to its report, complete or not.',
    detail: z.strictObject(sweep),
  },
  'Audit Backlog Instance Remediated': {
    when: 'The runbook ran on an instance: to cure it, to read its limit again, or to assess it (`outcome.result` is `planned`: nothing was changed). No cure failed; what may be left to do says `next`.',
    detail: instance,
  },
  'Audit Backlog Instance Needs Attention': {
    when: 'Something was tried on an instance, or its limit was found set back; `outcome.next` says what a person has to do.',
    detail: instance,
  },
} as const;

/** By `type`: the JSON records of the service's log group. */
export const RECORDS = {
  finding: {
    when: 'An instance was judged: what it shows, what is to be done with it, why.',
    record: z.strictObject({ ...head, type: z.literal('finding'), ...actionEntrySchema.shape }),
  },
  outcome: {
    when: 'Something was done with it, and what came of that.',
    record: z.strictObject({ ...head, type: z.literal('outcome'), ...actionEntrySchema.shape }),
  },
  report: {
    when: 'A sweep came to its report.',
    record: z.strictObject({ type: z.literal('report'), ...sweep }),
  },
} as const;

/** The whole text. */
export function eventsDocument(): string {
  const events = Object.entries(EVENT_DETAILS).map(
    ([type, { when, detail }]) => `### ${type}\n\n${when}\n\n${fields(detail)}`,
  );
  const records = Object.entries(RECORDS).map(
    ([type, { when, record }]) => `### \`"type": "${type}"\`\n\n${when}\n\n${fields(record)}`,
  );
  return `${INTRODUCTION}\n${events.join('\n\n')}\n\n${RECORDS_INTRODUCTION}\n${records.join('\n\n')}\n`;
}

const INTRODUCTION = `# Events and records

<!-- Made from domain/contracts.ts by \`node lib/events-doc.ts\`; a test compares. Do not edit. -->

## Events

On the account's default event bus, where the service runs, whatever account and region the instance is in. \`source\` is
\`${EVENT_SOURCE}\`; nothing else may send under that name from the service's roles. Every \`detail\` bears
\`"schema": ${SCHEMA}\`: fields may be added under the same number, none changes its meaning or goes. Delivery is at least
once: \`runId\` and \`instanceId\` tell duplicates.

A rule for everything that needs a person:

\`\`\`json
{ "source": ["${EVENT_SOURCE}"], "detail-type": ["Audit Backlog Instance Needs Attention"] }
\`\`\`

\`null\` stands where nothing is known or nothing was done; no field is left out. Times are ISO 8601 in UTC.
`;

const RECORDS_INTRODUCTION = `## Records

One JSON line each in the service's log group (\`Records\` in the stack's outputs), in streams named
\`<run id>/<account>/<region>\`, and \`<run id>/report\`. No console text but the three sanitized lines of the evidence.
`;

interface JsonSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly format?: string;
  readonly maxLength?: number;
}

/** A table of every field by its path; enumerations in full. */
function fields(schema: z.ZodType): string {
  const rows = rowsOf('', z.toJSONSchema(schema, { io: 'output' }) as JsonSchema);
  return ['| field | values |', '|---|---|', ...rows].join('\n');
}

function rowsOf(path: string, schema: JsonSchema): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const at = path ? `${path}.${name}` : name;
    const parts = value.anyOf ?? [value];
    const nested = parts.flatMap((part) => [...rowsOf(at, part), ...(part.items ? rowsOf(`${at}[]`, part.items) : [])]);
    return [`| \`${at}\` | ${parts.map(valuesOf).join(' or ')} |`, ...nested];
  });
}

function valuesOf({ type, const: only, enum: values, format, items, maxLength }: JsonSchema): string {
  if (only !== undefined) return `\`${JSON.stringify(only)}\``;
  if (values) return values.map((one) => `\`${String(one)}\``).join(', ');
  if (items) return `list of ${valuesOf(items)}`;
  if (format) return format;
  return `${type ?? 'anything'}${maxLength ? ` of at most ${maxLength} characters` : ''}`;
}

if (import.meta.main) writeFileSync(EVENTS_DOC, eventsDocument());
