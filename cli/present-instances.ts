/** The instances of a report: what is (to be) done to whom, the cures, and everything left alone with its reason. */
import { type ActionEntry, type Outcome, type RunReport, TRIAGE_CODES } from '../domain/contracts.ts';
import { bucketOf } from '../domain/totals.ts';
import { wrap } from './plain-text.ts';
import { style } from './style.ts';

/** Hundreds of entries stay readable: so many are shown of each kind. */
const MOST_SHOWN = 8;
/** What failed needs a person, so more of it is shown. */
const MOST_FAILURES = 40;

type Report = Pick<RunReport, 'actions' | 'mode' | 'cells' | 'complete'>;

/** The plan, and in apply mode the cures. */
export function actedOnSection(report: Report, width: number): string[][] {
  const acted = report.actions.filter((e) => e.action !== 'leave' && e.action !== 'defer');
  if (acted.length === 0) {
    const nothing = report.complete ? 'nothing to do' : 'nothing to do in what could be read';
    return [[style('bold', 'Plan'), `  ${nothing}`]];
  }
  const plan = [style('bold', 'Plan')];
  for (const action of ['restart-then-resize', 'resize', 'assess'] as const) {
    for (const [code, entries] of byCode(acted.filter((e) => e.action === action))) {
      plan.push(...entryBlock(`${action} ${entries.length} (${code})`, entries, report, width));
    }
  }
  return report.mode === 'plan' ? [plan] : [plan, curesSection(acted, report, width)];
}

function curesSection(acted: readonly ActionEntry[], report: Report, width: number): string[] {
  const lines = [style('bold', 'Cures')];
  const kinds = [
    { title: 'restarted, then proven', style: 'green', most: MOST_SHOWN, of: ['restarted'] },
    { title: 'resized', style: 'green', most: MOST_SHOWN, of: ['resized'] },
    { title: 'sufficient already', style: 'green', most: MOST_SHOWN, of: ['alreadyHandled'] },
    { title: 'assessed', style: 'green', most: MOST_SHOWN, of: ['assessed'] },
    { title: 'not cured, left', style: 'yellow', most: MOST_FAILURES, of: ['left', 'deferred'] },
    { title: 'failed', style: 'red', most: MOST_FAILURES, of: ['failed'] },
  ] as const;
  for (const kind of kinds) {
    const entries = acted.filter((e) => (kind.of as readonly (string | null)[]).includes(bucketOf(e, report.mode)));
    if (entries.length === 0) continue;
    lines.push(style(kind.style, `  ${kind.title} ${entries.length}`));
    for (const entry of entries.slice(0, kind.most)) {
      lines.push(...wrap(`${nameOf(entry, report)}: ${outcomeText(entry.outcome)}`, width, '    ', '      '));
    }
    lines.push(...more(entries.length, kind.most));
  }
  return lines;
}

function outcomeText(outcome: Outcome | null): string {
  if (outcome === null) return 'no outcome: the command was never delivered';
  const { limitBefore, limitAfter, restartedBy, result, proven, lostBefore, lostAfter, message, next } = outcome;
  const how = { 'stop-start': 'stopped and started', reboot: 'rebooted' } as const;
  const limit =
    limitBefore === null && limitAfter === null ? [] : [`limit ${limitBefore ?? '?'} -> ${limitAfter ?? '?'}`];
  const lost = lostBefore === null || lostAfter === null ? [] : [`lost ${lostBefore} -> ${lostAfter}`];
  const facts = [...limit, ...(restartedBy ? [how[restartedBy]] : []), result, ...(proven ? ['proven'] : []), ...lost];
  const why = proven ? '' : ` ${message}`;
  return `${facts.join(', ')}${why === '' ? '' : `.${why}`}${next === '' ? '' : ` Next: ${next}`}`;
}

/** Everything nothing was done to, by code in the table's order, with reason and next step. */
export function leftAloneSection(report: Report, width: number): string[] {
  const left = report.actions.filter((e) => e.action === 'leave' || e.action === 'defer');
  const healthy = left.filter((e) => e.code === 'healthy');
  const others = left.filter((e) => e.code !== 'healthy');
  if (left.length === 0) return [];
  const lines = [style('bold', 'Left alone')];
  for (const [code, entries] of byCode(others)) {
    const deferred = entries.every((e) => e.action === 'defer') ? ', deferred' : '';
    lines.push(...entryBlock(`${code} ${entries.length}${deferred}`, entries, report, width));
  }
  const undone = left.filter((e) => e.outcome?.result === 'reverted');
  if (undone.length > 0) lines.push(style('yellow', `  cured earlier, and set back ${undone.length}`));
  for (const entry of undone.slice(0, MOST_FAILURES)) {
    lines.push(...wrap(`${nameOf(entry, report)}: ${outcomeText(entry.outcome)}`, width, '    ', '      '));
  }
  lines.push(...more(undone.length, MOST_FAILURES));
  const held = healthy.filter((e) => e.outcome?.result === 'held');
  const read = held.filter((e) => e.outcome?.proven).length;
  const limits = read > 0 ? `, the limit read again and still there on ${read}` : '';
  if (held.length > 0) lines.push(`  healthy ${held.length}: cured earlier, no overflow since${limits}`);
  return lines;
}

/** In the order of the triage table. */
function byCode(entries: readonly ActionEntry[]): [ActionEntry['code'], ActionEntry[]][] {
  const groups = Map.groupBy(entries, (entry) => entry.code);
  return [...groups].sort(([a], [b]) => TRIAGE_CODES.indexOf(a) - TRIAGE_CODES.indexOf(b));
}

function entryBlock(title: string, entries: readonly ActionEntry[], report: Report, width: number): string[] {
  const lines = [style('cyan', `  ${title}`)];
  const reasons = new Set(entries.map((e) => e.reason));
  const nexts = new Set(entries.map((e) => e.next));
  const shown = entries.slice(0, MOST_SHOWN);
  const [oneReason] = reasons;
  const [oneNext] = nexts;
  if (reasons.size === 1 && entries.length > 1 && nexts.size === 1) {
    lines.push(...wrap(oneReason ?? '', width, '    '));
    lines.push(...wrap(shown.map((e) => nameOf(e, report)).join(', '), width, '      '));
  } else {
    for (const e of shown) {
      const next = nexts.size > 1 && e.next !== '' ? ` Next: ${e.next}` : '';
      lines.push(...wrap(`${nameOf(e, report)}: ${e.reason}${next}`, width, '    ', '      '));
    }
  }
  lines.push(...more(entries.length, MOST_SHOWN));
  if (nexts.size === 1 && oneNext) lines.push(...wrap(`Next: ${oneNext}`, width, '    ', '      '));
  return lines;
}

function more(there: number, shown: number): string[] {
  return there > shown ? [`    and ${there - shown} more: --json lists all`] : [];
}

/** The region where there are several, and the account where there are several. */
function nameOf({ instanceId, accountId, region }: ActionEntry, { cells }: Report): string {
  const regions = new Set(cells.map((c) => c.region)).size > 1;
  const accounts = new Set(cells.map((c) => c.accountId)).size > 1;
  const where = [...(accounts ? [accountId] : []), ...(regions ? [region] : [])].join('/');
  return where === '' ? instanceId : `${instanceId} (${where})`;
}
