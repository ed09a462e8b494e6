/** A run in the words of a person: the text of the notification. */
import type { RunReport } from '../../domain/contracts.ts';

const MOST_LINES = 30;

/** Plain text, at most a screen long, most urgent first. Holds no console text. */
export function summaryText(report: RunReport): string {
  const { totals: t, cells, actions, groups } = report;
  const lines = [
    `Run ${report.runId} (${report.mode}), ${report.startedAt} to ${report.endedAt}`,
    `${t.instances} instances: ${t.affected} affected, ${t.healthy} healthy, ${t.unknown} unknown, ${t.outOfScope} out of scope`,
    `${t.resized} resized, ${t.restarted} restarted, ${t.alreadyHandled} already handled, ${t.deferred} deferred, ${t.left} left, ${t.failed} failed`,
  ];
  for (const cell of cells) {
    for (const error of cell.errors) {
      lines.push(
        `${cell.accountId}/${cell.region} ${cell.status}: ${error.call} ${error.code}: ${error.message} ${error.next}`,
      );
    }
    if (cell.breaker.open) lines.push(`${cell.accountId}/${cell.region}: no restarts: ${cell.breaker.reason ?? ''}`);
  }
  const failed = actions.filter((a) => a.outcome !== null && a.outcome.next !== '' && !a.outcome.proven);
  for (const { instanceId, region, outcome } of failed) {
    lines.push(`${instanceId} (${region}): ${outcome?.result}: ${outcome?.message} ${outcome?.next}`);
  }
  for (const group of groups) lines.push(group.next);
  const shown = lines.slice(0, MOST_LINES);
  if (shown.length < lines.length) shown.push(`and ${lines.length - shown.length} lines more in the report`);
  return shown.join('\n');
}
