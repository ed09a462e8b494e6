/** One clear line for a person from what a schema found wrong. */
import type * as z from 'zod';

/** A value from outside does not fit its schema. `message` is one line that names the field and says what is expected. */
export class InvalidInputError extends Error {
  override readonly name = 'InvalidInputError';
}

/** Parses a value from outside, or throws {@link InvalidInputError} naming every wrong field in one line. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidInputError(`${what}: ${parsed.error.issues.map(describeIssue).join('; ')}`);
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const where = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => (where ? `${where}.${key}` : key)).join(', ');
    return `unknown field ${names}`;
  }
  return where ? `${where}: ${issue.message}` : issue.message;
}
