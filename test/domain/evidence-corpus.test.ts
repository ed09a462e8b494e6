import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEvidence } from '../../domain/evidence.ts';

/** A label of the corpus, as its score.mjs reads it. */
interface Case {
  file: string;
  positive: boolean;
  ambiguous: boolean;
  evidence: string;
  expected: { limit: number | null; lost: number | null; panic: boolean; current_boot?: boolean };
}

const corpus = join(__dirname, '../../../shared/corpus');
const index = join(corpus, 'index.json');
const cases: Case[] = existsSync(index) ? JSON.parse(readFileSync(index, 'utf8')) : [];
const judged = cases.filter((c) => !c.ambiguous);

if (judged.length === 0) {
  process.stderr.write('skipped: the labelled corpus (../shared/corpus) is not here\n');
  it.skip('labelled corpus', () => undefined);
} else {
  it.each(judged)('$file', ({ file, positive, evidence, expected }) => {
    const found = readEvidence(readFileSync(join(corpus, file)));
    const verdict = !positive ? 'none' : evidence === 'suppressed-only' ? 'suspected' : 'overflow';
    expect(found.verdict).toBe(verdict);
    if (!positive) return;
    expect(found).toMatchObject({ limit: expected.limit, lost: expected.lost, panic: expected.panic });
    if (expected.current_boot !== undefined) expect(found.currentBoot).toBe(expected.current_boot);
  });
}
