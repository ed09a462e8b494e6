/** `audit-backlog explain`: what a code means, from the very table that decides. */
import type { Command } from 'commander';
import { EVIDENCE_RULES, type EvidenceRule, explainRule } from '../../domain/evidence.ts';
import { TRIAGE_TABLE, type TriageRow } from '../../domain/triage.ts';
import { UsageError } from '../exit-codes.ts';
import { style } from '../style.ts';

/** Adds the command. Without a code it lists all. */
export function addExplain(program: Command): void {
  program
    .command('explain')
    .description('says what a triage code or an evidence rule means, why it is so, and what to do')
    .argument('[code]', 'a code from a report, or the kind of an evidence line; none lists all')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  audit-backlog explain\n  audit-backlog explain restart-not-allowed')
    .action((code: string | undefined, { json }: { json?: boolean }) => {
      if (code === undefined) {
        process.stdout.write(json ? `${JSON.stringify({ triage: TRIAGE_TABLE, evidence: EVIDENCE_RULES })}\n` : listing());
        return;
      }
      const row = TRIAGE_TABLE.find((one) => one.code === code);
      const rule = explainRule(code);
      if (!row && !rule) throw new UsageError(`there is no code "${code}"; \`audit-backlog explain\` lists all`);
      if (json) process.stdout.write(`${JSON.stringify(row ?? rule)}\n`);
      else process.stdout.write(row ? rowText(row) : ruleText(rule as EvidenceRule));
    });
}

function listing(): string {
  const rows = TRIAGE_TABLE.map((row) => `  ${row.code.padEnd(26)} ${row.when}`);
  const rules = EVIDENCE_RULES.map((rule) => `  ${rule.id.padEnd(26)} ${rule.explanation.split('. ')[0]}`);
  return `Triage codes, in the order in which they are asked (the first that holds decides):\n${rows.join('\n')}\n\nKinds of evidence lines:\n${rules.join('\n')}\n`;
}

function rowText(row: TriageRow): string {
  return [
    style('bold', row.code),
    `Row ${row.row} of the triage table. Action: ${row.actions.join(' or ')}.`,
    `When:  ${row.when}.`,
    `Why:   ${row.explanation}`,
    `Next:  ${row.next || 'nothing is needed.'}`,
    '',
  ].join('\n');
}

function ruleText(rule: EvidenceRule): string {
  return `${style('bold', rule.id)}\n${rule.explanation}\nSource: ${rule.source}\n`;
}
