import fc from 'fast-check';
import { canonicalDocumentHash, DocumentContentError } from '../../../lambdas/runbook/document-hash.ts';

const content = {
  schemaVersion: '2.2',
  parameters: { Factor: { type: 'String', default: '2' } },
  mainSteps: [
    { action: 'aws:runShellScript', inputs: { timeoutSeconds: 120, runCommand: ['#!/bin/sh', '', 'echo "$x"'] } },
  ],
};

describe('canonicalDocumentHash', () => {
  it('is 64 hexadecimal digits, the same for the object, its text and its indented text', () => {
    const hash = canonicalDocumentHash(content);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(canonicalDocumentHash(JSON.stringify(content))).toBe(hash);
    expect(canonicalDocumentHash(`${JSON.stringify(content, null, 4)}\n`)).toBe(hash);
  });

  it('does not see the order of keys, nor a number that CloudFormation made a string', () => {
    const { mainSteps, ...rest } = content;
    const reordered = { mainSteps, ...rest };
    expect(JSON.stringify(reordered)).not.toBe(JSON.stringify(content));
    expect(canonicalDocumentHash(reordered)).toBe(canonicalDocumentHash(content));
    const spelled = JSON.stringify(content).replace('"timeoutSeconds":120', '"timeoutSeconds":"120"');
    expect(canonicalDocumentHash(spelled)).toBe(canonicalDocumentHash(content));
  });

  it('sees one changed character, one line more, and lines that changed places', () => {
    const hash = canonicalDocumentHash(content);
    const withLines = (lines: string[]) =>
      canonicalDocumentHash({
        ...content,
        mainSteps: [{ ...content.mainSteps[0], inputs: { timeoutSeconds: 120, runCommand: lines } }],
      });
    expect(withLines(['#!/bin/sh', '', 'echo "$x"'])).toBe(hash);
    expect(withLines(['#!/bin/sh', '', 'echo "$y"'])).not.toBe(hash);
    expect(withLines(['#!/bin/sh', '', '', 'echo "$x"'])).not.toBe(hash);
    expect(withLines(['', '#!/bin/sh', 'echo "$x"'])).not.toBe(hash);
  });

  it('tells any two contents apart that differ in a string', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.array(fc.string()), (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(canonicalDocumentHash({ a }) === canonicalDocumentHash({ a: b })).toBe(same);
      }),
    );
  });

  it('refuses what is not a JSON object, saying what to do', () => {
    for (const bad of ['', '{"schemaVersion":', '[]', 'null', '"text"']) {
      expect(() => canonicalDocumentHash(bad)).toThrow(DocumentContentError);
      expect(() => canonicalDocumentHash(bad)).toThrow(/deploy the cell again/);
    }
  });
});
