/** What came out, as a table for people and as JSON. */
import type { Kind } from './machine.ts';
import type { Step } from './trial.ts';

export interface Result {
  readonly scenario: string;
  readonly kind: Kind;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly milliseconds: number;
  readonly steps: readonly Step[];
  /** why it failed or was skipped; null where it passed */
  readonly reason: string | null;
}

/** One scenario: its line, the times of its steps, and what was found out in them. */
export function resultLines(result: Result): string {
  const head = `${result.status.padEnd(8)}${result.kind.padEnd(9)}${result.scenario.padEnd(28)}`;
  if (result.status === 'skipped') return `${head}${result.reason}`;
  const steps = result.steps.map(
    ({ name, milliseconds, note }) => `${seconds(milliseconds)}  ${name}${note === undefined ? '' : `: ${note}`}`,
  );
  const reason = result.reason === null ? [] : ['', ...result.reason.split('\n')];
  return [
    `${head}${seconds(result.milliseconds)}`,
    ...[...steps, ...reason].map((line) => `        ${line}`.trimEnd()),
  ].join('\n');
}

export function closingLine(results: readonly Result[]): string {
  const count = (status: Result['status']): number => results.filter((result) => result.status === status).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1).padStart(5)} s`;
}
