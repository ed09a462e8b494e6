/** A run in the words of a person: the text of the notification. */
import type { ActionEntry, CellReport, RunReport } from '../../domain/contracts.ts';
import { type Policy, policyForCell } from '../../domain/policy.ts';
import { howToPassBreaker } from '../../domain/triage-words.ts';

const MOST_LINES = 30;

/** Something set the limit back after a proven cure, or it did not help: only a person can end that. */
export function isUndone({ outcome }: ActionEntry): boolean {
  return outcome?.result === 'reverted' || outcome?.result === 'overflowed-again';
}

/** What an open breaker means in one cell, and what a person sends to restart machines all the same. */
function stormLines({ accountId, region, breaker }: CellReport, report: RunReport, policy: Policy): string[] {
  const where = `${accountId}/${region}`;
  const waiting = report.actions.filter(
    (a) => a.accountId === accountId && a.region === region && a.code === 'breaker-open',
  );
  const { restart } = policyForCell(policy, { accountId, region });
  const { quietSweeps } = policy.breaker;
  const lines = [
    `${where}: no restarts, the breaker is open: ${breaker.reason ?? ''}. Resizes go on. Find the common cause (image, agent update, network). It closes by itself after ${quietSweeps} quiet ${quietSweeps === 1 ? 'sweep' : 'sweeps'}.`,
  ];
  const ids = waiting.map(({ instanceId }) => instanceId).slice(0, Math.max(1, restart.maxPerRun));
  if (ids.length > 0) {
    lines.push(
      `${where}: ${waiting.length} of its machines hang and are not restarted. To restart ${ids.length === 1 ? 'this one' : `these ${ids.length}`} all the same: ${howToPassBreaker(ids)} The first goes alone, and one that does not come back ends it; restart.maxPercent may put some off.`,
    );
  }
  return lines;
}

/** Plain text, at most a screen long, most urgent first. Holds no console text. */
export function summaryText(report: RunReport, policy: Policy): string {
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
    if (cell.breaker.open) lines.push(...stormLines(cell, report, policy));
  }
  const failed = actions.filter(
    (a) => a.outcome !== null && ((a.outcome.next !== '' && !a.outcome.proven) || isUndone(a)),
  );
  for (const { instanceId, region, outcome } of failed) {
    lines.push(`${instanceId} (${region}): ${outcome?.result}: ${outcome?.message} ${outcome?.next}`);
  }
  for (const group of groups) lines.push(group.next);
  const shown = lines.slice(0, MOST_LINES);
  if (shown.length < lines.length) shown.push(`and ${lines.length - shown.length} lines more in the report`);
  return shown.join('\n');
}
