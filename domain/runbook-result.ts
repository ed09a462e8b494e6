/**
 * From what the runbook printed on the machine to an outcome and to what the ledger remembers. What the machine says is
 * untrusted and may be cut, mixed with other text or missing; it can never raise more than its own outcome.
 */
import {
  type Outcome,
  type RestartMethod,
  type RunbookOutcome,
  type RunbookOutput,
  runbookOutputSchema,
} from './contracts.ts';
import { printable } from './printable.ts';

/** More than SSM ever hands over (24,000 characters): what comes beyond is not looked at. */
const LONGEST_OUTPUT = 64_000;
/** SSM joins stdout and stderr with a line of this kind. */
const LINE_END = /\r?\n|-{4,}ERROR-{4,}/;

export type RunbookReading =
  | { readonly ok: true; readonly output: RunbookOutput }
  | { readonly ok: false; readonly reason: string };

/**
 * The last line of stdout that is the runbook's JSON. Lines after it that are not (stderr that SSM appended) do not
 * matter; a line that is cut does not count.
 */
export function readRunbookOutput(stdout: string): RunbookReading {
  const lines = stdout
    .slice(-LONGEST_OUTPUT)
    .split(LINE_END)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0) return { ok: false, reason: 'the runbook printed nothing' };
  for (const line of lines.toReversed()) {
    const parsed = runbookOutputSchema.safeParse(jsonOf(line));
    if (parsed.success) return { ok: true, output: parsed.data };
  }
  return { ok: false, reason: whyUnreadable(lines, stdout.length) };
}

function whyUnreadable(lines: readonly string[], length: number): string {
  const line = lines.findLast((text) => text.startsWith('{'));
  if (line === undefined) return `no line of its ${length} characters of output is JSON`;
  const value = jsonOf(line);
  if (value === undefined) return `its line of JSON is cut or torn (${length} characters of output)`;
  const issue = runbookOutputSchema.safeParse(value).error?.issues[0];
  return `its line of JSON is not the runbook's: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
}

function jsonOf(line: string): unknown {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // Any text may stand on a machine's stdout: not JSON is an expected answer here.
  }
}

/** What the output does not say itself. Times are ISO 8601, UTC. */
export interface OutcomeMeta {
  readonly at: string;
  readonly commandId: string | null;
  /** How the machine was restarted before the runbook ran; null when it was not. */
  readonly restartedBy: RestartMethod | null;
  /** When it answered again after that. */
  readonly backAt: string | null;
}

/** Results that claim that the machine has its target now. */
const CLAIMS_TARGET: ReadonlySet<RunbookOutcome> = new Set(['resized', 'reverted', 'already-sufficient']);

/**
 * The outcome of a runbook that answered. Proven only when it read back an effective limit of at least the target and
 * auditd runs if it ran before; a runbook that claims success without that has failed, whatever it says.
 */
export function outcomeOfRunbook(output: RunbookOutput, meta: OutcomeMeta): Outcome {
  const { before, after, target } = output;
  const unchanged = output.outcome === 'already-sufficient' && after === null;
  const final = unchanged ? before : after;
  const doubt = CLAIMS_TARGET.has(output.outcome) ? whyNotProven(output, final) : null;
  const said = printable(output.message).trim();
  const result = doubt === null ? output.outcome : 'failed';
  const lostBefore = before?.lost ?? null;
  const lostAfter = final?.lost ?? null;
  return {
    result,
    proven: CLAIMS_TARGET.has(result),
    at: meta.at,
    restartedBy: meta.restartedBy,
    backAt: meta.backAt,
    target,
    limitBefore: before?.effective ?? null,
    limitAfter: final?.effective ?? null,
    lostBefore,
    lostAfter,
    commandId: meta.commandId,
    message: (doubt === null ? said : `The runbook says ${output.outcome}, but ${doubt}. ${said}`).slice(0, 1000),
    next: nextStep(result, doubt !== null, lostBefore, lostAfter),
  };
}

function whyNotProven({ outcome, target, before }: RunbookOutput, final: RunbookOutput['after']): string | null {
  const effective = final?.effective ?? null;
  if (effective === null) return 'the limit was not read back';
  // 0 is unlimited; the runbook leaves it alone and never sets it.
  const unlimited = effective === 0 && outcome === 'already-sufficient';
  if (!unlimited && (target === null || target <= 0)) return 'it names no target';
  if (!unlimited && effective < (target ?? 0))
    return `the limit read back is ${effective}, below the target of ${target}`;
  if ((before?.auditdPid ?? 0) > 0 && !((final?.auditdPid ?? 0) > 0)) return 'auditd ran before and does not run now';
  return null;
}

/** What ends it that a limit is set back. */
export const RAISE_IT_THERE =
  'Something sets the limit back (image, configuration management): raise it there as well.';

const NEXT: { readonly [R in RunbookOutcome]: string } = {
  resized: '',
  'already-sufficient': '',
  planned: '',
  reverted: RAISE_IT_THERE,
  'pending-reboot':
    'Its audit rules are immutable (-e 2): reboot it at a time that suits, the new limit holds from then on.',
  'no-auditd': 'No auditd drains the queue: install and start it, or switch auditing off (audit=0).',
  'insufficient-memory':
    'It has too little memory for a larger queue: use a larger instance type or fewer audit rules.',
  'unsafe-kernel': 'Update its kernel and reboot it at a time that suits.',
  'rolled-back': 'Look at what the message names on the machine; everything is as it was before.',
  failed: 'Look at the machine and at the output of the command in Systems Manager.',
};

function nextStep(
  result: RunbookOutcome,
  doubted: boolean,
  lostBefore: number | null,
  lostAfter: number | null,
): string {
  if (doubted) return 'Check `auditctl -s` and `systemctl status auditd` on the machine by hand.';
  const losing = lostBefore !== null && lostAfter !== null && lostAfter > lostBefore;
  const drain = `It lost ${(lostAfter ?? 0) - (lostBefore ?? 0)} more events meanwhile: look at what does not drain (log disk, auditd).`;
  return [NEXT[result], ...(losing ? [drain] : [])].filter((text) => text !== '').join(' ');
}

/**
 * Why the limit may not be the cause, as the runbook saw it: what does not drain, or who sets the limit back; null when it
 * saw nothing wrong. Becomes `history.diagnosis`.
 */
export function diagnosisOf(output: RunbookOutput): string | null {
  const found = [...(output.outcome === 'reverted' ? [setBackIn(output)] : []), ...notDraining(output.drain)];
  return found.length === 0 ? null : found.join('; ');
}

/** Who sets the limit back, and where: the file, and the manager that its header names. */
export function setBackIn({ before, rulesFile, managedBy }: RunbookOutput): string {
  const by = managedBy === null ? '' : `, which ${printable(managedBy).slice(0, 40)} manages`;
  return `the limit was set back to ${before?.configured ?? 'none'} in ${fileIn(rulesFile)}${by}`;
}

/** The rules file as it may be shown. */
export function fileIn(rulesFile: string | null): string {
  return printable(rulesFile ?? 'its rules').slice(0, 200);
}

function notDraining(drain: RunbookOutput['drain']): string[] {
  if (drain === null) return [];
  const found: string[] = [];
  if (drain.suspended) found.push('auditd has suspended writing');
  if (drain.logDirFreePercent !== null && drain.logDirFreePercent < SCARCE_PERCENT) {
    found.push(`${drain.logDirFreePercent} % of the log disk is free`);
  }
  if (drain.auditd !== null && !/^(running|active)$/i.test(drain.auditd)) {
    found.push(`auditd: ${printable(drain.auditd).slice(0, 100)}`);
  }
  return found;
}

/** Below this auditd's space actions are near (Debian and Red Hat ship 25 to 75 MB on disks of GB). Unit: percent. */
const SCARCE_PERCENT = 5;
