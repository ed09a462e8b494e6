/** docs/policy.md, made from the policy's schema. `node lib/policy-doc.ts` writes it; a test compares. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { policySchema } from '../domain/policy.ts';

/** Where the document stands, from the package's root. */
export const POLICY_DOC = join(import.meta.dirname, '..', 'docs', 'policy.md');

/** A part of the schema, as JSON Schema says it. */
interface Node {
  readonly type?: string;
  readonly anyOf?: readonly Node[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly default?: unknown;
  readonly description?: string;
}

/** The whole text. */
export function policyDocument(): string {
  const schema = z.toJSONSchema(policySchema, { io: 'input' }) as Node;
  const defaults: unknown = policySchema.parse({});
  const rows = fieldsOf(schema, defaults).map(
    ({ path, node, value }) =>
      `| \`${path}\` | ${value === undefined ? '' : `\`${cell(JSON.stringify(value))}\``} | ${cell(rangeOf(node))} | ${cell(node.description ?? '')} |`,
  );
  return `# Policy

<!-- Made from domain/policy.ts by \`node lib/policy-doc.ts\`; a test compares. Do not edit. -->

What the service may do. It stands under \`auditBacklogRemediation.policy\` in the context of \`cdk.json\`; the CLI takes the same
as a file (\`--policy\`). Every field may be left out; \`{}\` looks and touches nothing. An unknown field or a wrong value fails
\`cdk synth\` with one line that names it.

| field | default | values | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
}

interface Field {
  readonly path: string;
  readonly node: Node;
  /** What it is where nobody sets it; undefined: nothing. */
  readonly value: unknown;
}

function fieldsOf(node: Node, defaults: unknown, path = ''): readonly Field[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, inner]): readonly Field[] => {
    const at = path === '' ? name : `${path}.${name}`;
    const value = (defaults as Readonly<Record<string, unknown>> | undefined)?.[name];
    if (inner.properties) return fieldsOf(inner, value, at);
    const ofItems = Object.entries(inner.items?.properties ?? {});
    return [
      { path: at, node: inner, value },
      ...ofItems.map(([key, part]) => ({ path: `${at}[].${key}`, node: part, value: undefined })),
    ];
  });
}

function rangeOf(node: Node): string {
  if (node.enum) return node.enum.map((value) => `\`${value}\``).join(', ');
  if (node.anyOf) return node.anyOf.map(rangeOf).join(' or ');
  const atMost = (most: number | undefined, unit: string) => (most === undefined ? '' : ` of at most ${most}${unit}`);
  switch (node.type) {
    case 'integer':
    case 'number':
      return `${node.minimum} to ${node.maximum}`;
    case 'array':
      return `a list${atMost(node.maxItems, '')}${node.items?.enum ? `: ${rangeOf(node.items)}` : ''}`;
    case 'string':
      return `a text${atMost(node.maxLength, ' characters')}`;
    case 'object':
      return node.properties ? 'any of its fields' : 'tag keys, each with a list of values; an empty list: any';
    default:
      return node.type ?? '';
  }
}

/** As it may stand in a cell of a table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (import.meta.main) writeFileSync(POLICY_DOC, policyDocument());
