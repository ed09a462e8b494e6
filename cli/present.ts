/** A run report as a person reads it on a terminal. All its text is treated as hostile. */
import type { RunReport } from '../domain/contracts.ts';
import { printableDeep, wrap } from './plain-text.ts';
import { actedOnSection, leftAloneSection } from './present-instances.ts';
import { style } from './style.ts';

const DEFAULT_WIDTH = 100;
const NARROWEST = 40;

/** Prints the report. @param write takes text as it is to appear; lines end in `\n`. */
export function printReport(report: RunReport, write: (text: string) => void): void {
  const width = Math.max(NARROWEST, process.stdout.columns || DEFAULT_WIDTH);
  // Once, for all of it: nothing below can forget it.
  const safe = printableDeep(report);
  const sections = [
    heading(safe, width),
    cellsSection(safe, width),
    ...actedOnSection(safe, width),
    leftAloneSection(safe, width),
    groupsSection(safe, width),
    simulatorSection(safe, width),
    totalsSection(safe, width),
  ];
  for (const lines of sections) if (lines.length > 0) write(`${lines.join('\n')}\n\n`);
}

function heading({ runId, mode, startedAt, endedAt, gate, truncated, where }: RunReport, width: number): string[] {
  const seconds = Math.max(0, Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 1000));
  const what = mode === 'plan' ? 'nothing was changed' : 'applied';
  const lines = [style('bold', `Run ${runId}: ${mode}, ${what}`), `  ${startedAt}, took ${durationOf(seconds)}`];
  if (!gate.open) {
    for (const reason of gate.reasons) lines.push(...wrap(`Gate closed: ${reason}`, width, '  ', '    '));
  }
  if (truncated) lines.push(...wrap(`The actions are not in this report: ${where ?? ''}`, width, '  ', '    '));
  return lines;
}

function durationOf(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function cellsSection({ cells }: RunReport, width: number): string[] {
  const lines = [style('bold', 'Cells')];
  for (const cell of cells) {
    const { accountId, region, status, instances, consolesRead, unknown, affected, breaker, throttled } = cell;
    const name = `${accountId === 'unknown' ? 'account unknown' : accountId}/${region}`;
    const done = status === 'done';
    const counts = [
      status === 'failed' || status === 'skipped' || status === 'not-ready'
        ? 'not looked at'
        : `${counted(instances, 'instance')}, ${counted(consolesRead, 'console')} read, ${affectedText(affected, done)}`,
      ...(unknown > 0 ? [`${unknown} unknown`] : []),
      ...(throttled > 0 ? [`${counted(throttled, 'throttle')}`] : []),
    ].join(', ');
    const [first = '', ...more] = wrap(`${name} ${status}: ${counts}`, width, '  ', '    ');
    lines.push(style(done ? 'green' : 'yellow', first), ...more);
    for (const error of cell.errors) {
      const whose = error.instanceId === undefined ? '' : ` (${error.instanceId})`;
      lines.push(...wrap(`${error.call}: ${error.code}${whose}: ${error.message}`, width, '    ', '      '));
      if (error.next !== '') lines.push(...wrap(`Next: ${error.next}`, width, '      '));
    }
    if (breaker.open) {
      lines.push(...wrap(`Breaker open, no further restarts here: ${breaker.reason ?? ''}`, width, '    ', '      '));
    }
  }
  return lines;
}

function groupsSection({ groups }: RunReport, width: number): string[] {
  if (groups.length === 0) return [];
  return [
    style('bold', 'What the affected have in common'),
    ...groups.flatMap((g) => wrap(g.next, width, '  ', '    ')),
  ];
}

function simulatorSection({ simulator }: RunReport, width: number): string[] {
  if (!simulator) return [];
  const strikes = Object.entries(simulator.strikes).map(([name, n]) => `${name} ${n}`);
  const calls = Object.values(simulator.calls).reduce((sum, n) => sum + n, 0);
  const truth = simulator.agrees ? 'agrees with every outcome' : 'DISAGREES with the outcomes';
  return [
    style('bold', 'Embedded region'),
    ...wrap(`${calls} API calls, ${simulator.mutatingCalls} of them change something`, width, '  ', '    '),
    ...wrap(`Faults that struck: ${strikes.length > 0 ? strikes.join(', ') : 'none'}`, width, '  ', '    '),
    ...wrap(`Its own truth ${truth}`, width, '  ', '    '),
    ...(simulator.disagreements ?? []).flatMap((line) => wrap(line, width, '    ', '      ')),
  ];
}

/** Not "0": whether it is none or none that could be seen is what matters. */
function affectedText(affected: number, complete: boolean): string {
  if (complete) return affected === 0 ? 'none affected' : `${affected} affected`;
  return affected === 0 ? 'no affected one seen so far' : `at least ${affected} affected`;
}

function totalsSection({ totals: t, complete, mode }: RunReport, width: number): string[] {
  const found = [
    ...(complete ? [] : ['incomplete']),
    ...(complete || t.instances > 0 ? [counted(t.instances, 'instance')] : ['no instance could be looked at']),
    ...(t.instances > 0 || complete ? [affectedText(t.affected, complete)] : []),
    ...(t.healthy > 0 ? [`${t.healthy} healthy`] : []),
    ...(t.unknown > 0 ? [`${t.unknown} unknown`] : []),
    ...(t.outOfScope > 0 ? [`${t.outOfScope} out of scope`] : []),
  ];
  const plan = mode === 'plan';
  const done = (
    [
      [t.restarted, plan ? 'to restart and then resize' : 'restarted and proven'],
      [t.resized, plan ? 'to resize' : 'resized'],
      [t.assessed, plan ? 'to assess' : 'assessed'],
      [t.alreadyHandled, 'already handled'],
      [t.deferred, 'deferred'],
      [t.left, 'left'],
      [t.failed, 'failed'],
    ] as const
  )
    .filter(([n]) => n > 0)
    .map(([n, what]) => `${n} ${what}`);
  const [first, ...rest] = found;
  const text = complete ? found.join(', ') : `${first}: ${rest.join(', ')}`;
  const style1 = complete && t.failed === 0 ? 'green' : 'yellow';
  return [
    style('bold', 'Totals'),
    ...wrap(text, width, '  ', '    ').map((line) => style(style1, line)),
    ...(done.length > 0 ? wrap(`Of the affected: ${done.join(', ')}`, width, '  ', '    ') : []),
    ...(complete
      ? []
      : wrap('Not everything could be looked at: see the errors of the cells above, and run again.', width, '  ')),
  ];
}

function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
