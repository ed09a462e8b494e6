/**
 * What identifies the content of the runbook's SSM document, whatever hands made of its spelling on the way.
 *
 * Between this repository and what SSM's GetDocument answers stand the CDK, CloudFormation and SSM. None of them
 * promises to keep key order, white space, or the type of a scalar (CloudFormation is known to hand numbers and booleans
 * on as strings). So both sides hash the same canonical form: see docs/decisions/ssm-document-hash.md.
 */
import { createHash } from 'node:crypto';

/** The content of a document is not a JSON object: it is not ours, or it was cut. The message says what was found. */
export class DocumentContentError extends Error {
  override readonly name = 'DocumentContentError';
}

/**
 * SHA-256 of the canonical form of a document's content, as 64 hexadecimal digits.
 *
 * Canonical: keys sorted at every level, no white space, every number, boolean and null spelled as a string. Order of
 * arrays and every character of every string count: a changed script always changes the hash.
 *
 * @param content The object, or its JSON text as GetDocument returns it.
 * @throws {@link DocumentContentError} when the text is not a JSON object.
 */
export function canonicalDocumentHash(content: string | object): string {
  const value = typeof content === 'string' ? parse(content) : content;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DocumentContentError('the content of the SSM document is not a JSON object: deploy the cell again');
  }
  return createHash('sha256').update(canonical(value)).digest('hex');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DocumentContentError('the content of the SSM document is not JSON: deploy the cell again', { cause });
  }
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(String(value));
}
