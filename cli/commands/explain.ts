/** `audit-backlog explain`: what a code means, from the very table that decides. */
import type { Command } from 'commander';
import { EVIDENCE_RULES, type EvidenceRule, explainRule } from '../../domain/evidence.ts';
import { printable } from '../../domain/printable.ts';
import { TRIAGE_TABLE, type TriageRow } from '../../domain/triage.ts';
import { UsageError } from '../exit-codes.ts';
import { jsonLine, wrap } from '../plain-text.ts';
import { style } from '../style.ts';

const CODE_WIDTH = 26;
const WIDTH = 100;

/** Adds the command. Without a code it lists all. */
export function addExplain(program: Command): void {
  program
    .command('explain')
    .description('says what a triage code or an evidence rule means, why it is so, and what to do')
    .argument('[code]', 'a code from a report, or the kind of an evidence line; none lists all')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  audit-backlog explain\n  audit-backlog explain restart-not-allowed')
    .action((code: string | undefined, { json }: { json?: boolean }) => {
      process.stdout.write(code === undefined ? explainAll(json === true) : explainOne(code, json === true));
    });
}

function explainAll(json: boolean): string {
  if (json) return jsonLine({ triage: TRIAGE_TABLE, evidence: EVIDENCE_RULES.map(ruleData) });
  return [
    'Triage codes, in the order in which they are asked (the first that holds decides):',
    ...TRIAGE_TABLE.flatMap((row) => listed(row.code, row.when)),
    '',
    'Kinds of evidence lines:',
    ...EVIDENCE_RULES.flatMap((rule) => listed(rule.id, firstSentence(rule.explanation))),
    '',
  ].join('\n');
}

function explainOne(code: string, json: boolean): string {
  const row = TRIAGE_TABLE.find((one) => one.code === code);
  if (row) return json ? jsonLine(row) : rowText(row);
  const rule = explainRule(code);
  if (rule) return json ? jsonLine(ruleData(rule)) : ruleText(rule);
  throw new UsageError(`there is no code "${printable(code)}"; \`audit-backlog explain\` lists all`);
}

/** Regular expressions as text: JSON knows none. */
function ruleData({ message, torn, ...rule }: EvidenceRule): object {
  return { ...rule, message: message.source, torn: torn?.source ?? null };
}

function firstSentence(text: string): string {
  return text.split('. ')[0] ?? text;
}

function listed(code: string, text: string): string[] {
  return wrap(text, WIDTH, `  ${code.padEnd(CODE_WIDTH)} `, ' '.repeat(CODE_WIDTH + 3));
}

function labelled(label: string, text: string): string[] {
  return wrap(text, WIDTH, `${label}:`.padEnd(8), ' '.repeat(8));
}

function rowText(row: TriageRow): string {
  return [
    style('bold', row.code),
    `Row ${row.row} of the triage table. Action: ${row.actions.join(' or ')}.`,
    ...labelled('When', `${row.when}.`),
    ...labelled('Why', row.explanation),
    ...labelled('Next', row.next || 'Nothing is needed.'),
    '',
  ].join('\n');
}

function ruleText(rule: EvidenceRule): string {
  return [
    style('bold', rule.id),
    ...labelled('Proves', rule.proves),
    ...labelled('Why', rule.explanation),
    ...labelled('Kernels', rule.kernels),
    ...labelled('Source', rule.source),
    '',
  ].join('\n');
}
