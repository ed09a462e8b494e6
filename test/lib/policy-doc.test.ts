import { readFileSync } from 'node:fs';
import { policySchema } from '../../domain/policy.ts';
import { POLICY_DOC, policyDocument } from '../../lib/policy-doc.ts';

const rows = policyDocument()
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(/(?<!\\)\|/).map((text) => text.trim()));

it('docs/policy.md is what `node lib/policy-doc.ts` writes', () => {
  expect(readFileSync(POLICY_DOC, 'utf8')).toBe(policyDocument());
});

it('names every field of the policy once, with values and a meaning', () => {
  const leaves = (value: unknown, path: string): string[] =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
      ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`))
      : [path];
  const named = rows.map(([, field]) => field?.replaceAll('`', '') ?? '');
  expect(named.filter((field) => !field.includes('[]')).sort()).toEqual(leaves(policySchema.parse({}), '').sort());
  expect(named).toEqual(expect.arrayContaining(['overrides[].regions', 'overrides[].accounts', 'overrides[].restart']));
  for (const [, field, , values, meaning] of rows)
    expect([field, values !== '', meaning !== '']).toEqual([field, true, true]);
});

it('says the defaults that hold', () => {
  const said = new Map(rows.map(([, field, value]) => [field, value]));
  expect(said.get('`mode`')).toBe('`"plan"`');
  expect(said.get('`restart.maxInFlight`')).toBe('`2`');
  expect(said.get('`restart.spread.tag`')).toBe('`null`');
});
