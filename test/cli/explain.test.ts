import { Command } from 'commander';
import { addExplain } from '../../cli/commands/explain.ts';
import { TRIAGE_CODES } from '../../domain/contracts.ts';
import { EVIDENCE_RULES } from '../../domain/evidence.ts';
import { triageRow } from '../../domain/triage.ts';
import { expectOneClearLine, run } from './program.ts';

async function explained(...args: string[]): Promise<string> {
  let text = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    const program = new Command();
    addExplain(program);
    await program.parseAsync(['explain', ...args], { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return text;
}

const words = (text: string) => text.replace(/\s+/g, ' ');

test.each(TRIAGE_CODES)('%s: when, why and what next', async (code) => {
  const row = triageRow(code);
  const text = words(await explained(code));
  expect(text).toContain(`Row ${row.row} `);
  for (const said of [row.when, row.explanation, row.next]) expect(text).toContain(words(said));
  expect(row.when.length * row.explanation.length).toBeGreaterThan(0);
});

test.each(EVIDENCE_RULES)('$id: what it proves and where it comes from', async (rule) => {
  const text = words(await explained(rule.id));
  for (const said of [rule.proves, rule.explanation, rule.source]) expect(text).toContain(words(said));
  expect(JSON.parse(await explained(rule.id, '--json'))).toMatchObject({ id: rule.id, message: rule.message.source });
});

test('without a code the program lists all of them', async () => {
  const { code, stdout } = await run(['explain']);
  for (const known of [...TRIAGE_CODES, ...EVIDENCE_RULES.map((r) => r.id)]) {
    expect(stdout).toMatch(new RegExp(`^  ${known} +\\S`, 'm'));
  }
  expect(code).toBe(0);
});

test('a code that does not exist is a usage error', async () => {
  expectOneClearLine(await run(['explain', 'no-such-code']), /no-such-code.*explain` lists all/);
});
