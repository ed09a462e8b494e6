/**
 * The pure decision: finding + policy + history -> action, code, reason, next step. The rules stand under the codes of
 * the design's table and are asked in its order ({@link TRIAGE_CODES}); the first that holds decides, the last always does.
 */
import { type Action, type RestartMethod, TRIAGE_CODES, type TriageCode } from './contracts.ts';
import { type Evidence, evidenceKey, isSameEvidence } from './evidence.ts';
import { type ConsoleReading, cellName, type Finding, type InstanceHistory, type PreflightFacts } from './finding.ts';
import { ownerTagsOf } from './owners.ts';
import type { Policy } from './policy.ts';
import { type StopHazard, whatAStopLoses } from './preflight.ts';
import { type ReachabilityVerdict, reachabilityOf, signsOfHang, whyUncertain } from './reachability.ts';
import { DAY_MS, HOUR_MS, isWithin, millisOf } from './times.ts';
import { triageRow } from './triage-table.ts';
import { howToPassBreaker, overflowed, REACHABILITY_WORDS, sentence, silence } from './triage-words.ts';
import { unsafeKernel } from './unsafe-kernels.ts';

export { reachabilityOf } from './reachability.ts';
export { TRIAGE_TABLE, type TriageRow, triageRow } from './triage-table.ts';

/** Silent for longer than this needs a person. Unit: minutes. */
export const SILENT_TOO_LONG_MINUTES = 24 * 60;

/** Whether restarts are forbidden in a cell for a storm (see safety.ts), and why. */
export interface Breaker {
  readonly open: boolean;
  readonly reason: string | null;
}

/** What this run may still do in the cell. */
export interface Budget {
  readonly resizesLeft: number;
  readonly restartsLeft: number;
}

export interface TriageInput {
  readonly finding: Finding;
  /** As it stands for the cell: what `policyForCell` gives. */
  readonly policy: Policy;
  readonly breaker: Breaker;
  readonly budget: Budget;
  /** ISO 8601. */
  readonly now: string;
}

export interface Decision {
  readonly action: Action;
  readonly code: TriageCode;
  /** One plain sentence with the numbers that decided. */
  readonly reason: string;
  /** What a person does next; empty when nothing is needed. */
  readonly next: string;
  /** How to restart; null unless the action restarts. */
  readonly method: RestartMethod | null;
}

/** The console of an instance that row 1 does not decide was not read: a mistake of the caller, never a finding. */
export class ConsoleNotReadError extends Error {
  override readonly name = 'ConsoleNotReadError';
  constructor(finding: Finding) {
    super(
      `${finding.instance.instanceId} in ${cellName(finding.cell)} was judged without ec2:GetConsoleOutput: ` +
        'read its console first, or pass the failed reading',
    );
  }
}

/** What a rule says: nothing when it does not hold. `next` defaults to that of the table. */
interface Verdict {
  readonly action: Action;
  readonly reason: string;
  readonly next?: string;
  readonly method?: RestartMethod;
}

/** What the rules from row 3 on judge: the input and what follows from it. */
interface Situation extends TriageInput {
  readonly reading: Extract<ConsoleReading, { status: 'read' }>;
  readonly evidence: Evidence;
  readonly key: string;
  readonly history: InstanceHistory | null;
  readonly reach: ReachabilityVerdict;
  /** The instance bears the opt-in tag. */
  readonly optedIn: boolean;
  readonly rebootAllowed: boolean;
  /** By what policy says and what owns the instance, before a stop's hazards. */
  readonly wishedMethod: RestartMethod;
  /** null: not looked at. */
  readonly hazards: readonly StopHazard[] | null;
}

type EarlyCode = 'out-of-scope' | 'opted-out' | 'not-running' | 'console-unreadable' | 'console-empty';
type LateCode = Exclude<TriageCode, EarlyCode | 'restart'>;

/** Rows 1 and 2: decided before there is evidence. */
const EARLY_RULES: { readonly [C in EarlyCode]: (input: TriageInput) => Verdict | null } = {
  'out-of-scope': ({ finding: { instance, outOfScope } }) => {
    if (instance.platform !== 'linux') return leave(`It runs ${instance.platform}, which has no audit queue.`);
    return outOfScope === null ? null : leave(sentence(`It is out of scope: ${outOfScope}`));
  },
  'opted-out': ({ finding: { instance }, policy }) => {
    const tag = policy.tags.optOut;
    // Whoever writes " Disabled" means it: the spelling is forgiven on the side that touches nothing.
    const value = tagOf(instance.tags, tag);
    return value?.trim().toLowerCase() === 'disabled' ? leave(`Its tag ${tag} says disabled.`) : null;
  },
  'not-running': ({ finding: { instance } }) => {
    if (instance.state === 'running') return null;
    const why = instance.stateReason ? ` (${instance.stateReason})` : '';
    return leave(sentence(`Its state is ${instance.state}${why}`));
  },
  'console-unreadable': ({ finding: { console } }) => {
    if (console.status !== 'unreadable') return null;
    const { call, code, message, next } = console.error;
    return leave(sentence(`Its console could not be read, ${call} failed with ${code}: ${message}`), next || undefined);
  },
  'console-empty': ({ finding: { console } }) => {
    if (console.status === 'empty' || (console.status === 'read' && console.evidence.empty)) {
      return leave('Its console has no text, so whether its queue overflowed is unknown.');
    }
    // Such a text ends soon after the boot: what it shows counts, what it does not show says nothing of now.
    const endsEarly = console.status === 'read' && !console.latest && console.evidence.verdict === 'none';
    return endsEarly
      ? leave(
          'Its instance type shows the console only as it was soon after the boot: whether its queue overflowed since is unknown.',
          'Move it to a Nitro type, whose console can be read up to now, or look on the machine: auditctl -s.',
        )
      : null;
  },
};

/** Rows 3 to 18. */
const LATE_RULES: { readonly [C in LateCode]: (s: Situation) => Verdict | null } = {
  healthy: ({ evidence }) => (evidence.verdict === 'none' ? leave('Its console shows no overflow.') : null),
  'already-handled': ({ evidence, key, history, finding }) => {
    const proven = history?.proven;
    if (!proven || !isSameEvidence(proven.evidenceKey, key)) return null;
    // A boot since the proof that overflowed like the one before it, to the number: new evidence all the same.
    const newBoot = evidence.currentBoot === true && !isAtOrAfter(proven.at, finding.instance.launchTime);
    return newBoot
      ? null
      : leave(`This very overflow was handled and proven at ${proven.at}, target ${proven.target}.`);
  },
  'older-boot': (s) =>
    s.evidence.currentBoot === false
      ? assess(
          s,
          'The overflow belongs to an older boot of the machine',
          'its limit is read first, and raised if it is below the target',
        )
      : null,
  'weak-evidence': (s) => {
    if (s.evidence.verdict !== 'suspected') return null;
    const known = s.history?.assessed;
    return known && isSameEvidence(known.evidenceKey, s.key)
      ? leave(`The console only hints at an overflow, for which its limit of ${known.limit} was read already.`)
      : assess(
          s,
          'The console only hints at an overflow, no line names one',
          'its limit is read, and nothing is changed',
        );
  },
  'limit-is-not-the-cause': ({ history, policy: { cures }, now }) => {
    const count = (history?.cures ?? []).filter((at) => isWithin(at, now, cures.windowDays * DAY_MS)).length;
    if (count < cures.max) return null;
    const diagnosis = history?.diagnosis ? ` What its last cure saw: ${history.diagnosis}` : '';
    return leave(sentence(`It overflowed again after ${count} cures within ${cures.windowDays} days.${diagnosis}`));
  },
  'bad-kernel': (s) => {
    const bad = unsafeKernel(s.evidence.kernel);
    if (bad === null) return null;
    const what = `Kernel ${bad.release} (${bad.distribution}) is known to lock up: ${bad.why}`;
    if (s.reach.reachability !== 'reachable') return leave(sentence(`${what}; it is ${reachabilityWords(s)}`));
    if (s.budget.resizesLeft <= 0) return { action: 'defer', reason: sentence(`${what}; ${spentResizes(s)}`) };
    return { action: 'resize', reason: sentence(`${what}; only its running limit is raised`) };
  },
  resize: (s) => (mayBeResized(s) && s.budget.resizesLeft > 0 ? { action: 'resize', reason: resizeReason(s) } : null),
  'resize-budget': (s) =>
    mayBeResized(s) ? { action: 'defer', reason: sentence(`${overflowed(s.evidence)}; ${spentResizes(s)}`) } : null,
  'not-managed': ({ evidence, reach, finding: { agentError } }) => {
    if (reach.reachability !== 'never') return null;
    if (!agentError) return leave(`${overflowed(evidence)}, but SSM does not manage it.`);
    const { call, code, message, next } = agentError;
    return leave(
      sentence(`Whether SSM reaches it is unknown, ${call} failed with ${code}: ${message}`),
      next || undefined,
    );
  },
  'agent-lost-machine-alive': (s) => {
    const uncertain = whyUncertain(s.reading, s.finding.instance, s.history);
    if (uncertain !== null) return leave(sentence(`It is ${silence(s.reach)}, but ${uncertain}`));
    return hangSigns(s).length > 0
      ? null
      : leave(`It is ${silence(s.reach)}, but nothing says that the machine hangs.`);
  },
  'sign-of-life': ({ reading, finding: { preflight } }) => {
    if (reading.newUserSpaceLines === null) {
      return leave('Its console was read once only, so a sign of life cannot be excluded.');
    }
    if (reading.newUserSpaceLines > 0) {
      return leave(`Its programs wrote ${reading.newUserSpaceLines} new console lines between two reads: it is alive.`);
    }
    const groups = preflight === null ? [] : preflight.healthyTargetGroups;
    if (groups === null) {
      return leave(
        'Whether a load balancer has an answer from it could not be read, so a sign of life cannot be excluded.',
        'See that elasticloadbalancing:DescribeTargetGroups and DescribeTargetHealth may be called; the next run asks again.',
      );
    }
    const [group] = groups;
    return group === undefined
      ? null
      : leave(`Its programs answer the health checks of the target group ${group}: it is alive.`);
  },
  'silent-too-short': (s) => {
    const { silentMinutes } = s.reach;
    if (silentMinutes === null || silentMinutes >= s.policy.restart.afterMinutes) return null;
    return {
      action: 'defer',
      reason: `It is ${silence(s.reach)}, less than the ${s.policy.restart.afterMinutes} min to wait.`,
    };
  },
  'silent-too-long': (s) => {
    if (s.reach.reachability !== 'silent') return null;
    if (s.reach.silentMinutes === null) return leave('It is silent since an unknown time, which counts as too long.');
    return s.reach.silentMinutes > SILENT_TOO_LONG_MINUTES
      ? leave(`It is ${silence(s.reach)}, more than a day.`)
      : null;
  },
  'restart-not-allowed': ({ policy, finding, optedIn }) => {
    if (policy.restart.policy === 'never') return leave('Policy allows no restart at all (restart.policy never).');
    if (optedIn) return null;
    const tag = policy.tags.restart;
    const value = tagOf(finding.instance.tags, tag);
    // An owner who wrote anything but `allowed` has not allowed it, whatever policy says of those who wrote nothing.
    if (value !== undefined) return leave(`Its tag ${tag} does not say allowed.`);
    return policy.restart.policy === 'any' ? null : leave(`It does not bear the tag ${tag}=allowed.`);
  },
  owned: ({ finding: { instance }, policy, optedIn, rebootAllowed }) => {
    if (instance.operatorManaged)
      return leave('A service operates it (Operator.Managed), so EC2 refuses to restart it.');
    const [owner = null] = ownerTagsOf(instance.tags, policy.ownerTags);
    if (owner === null) return null;
    if (!optedIn) return leave(`Something else owns it (tag ${owner}), and it has not opted in to restarts itself.`);
    return rebootAllowed ? null : leave(`Something else owns it (tag ${owner}), and policy forbids to reboot it.`);
  },
  'stop-would-lose': (s) => refuseStop(s, 'stop-would-lose'),
  'stop-refused': (s) => refuseStop(s, 'stop-refused'),
  'may-not-start': (s) =>
    s.hazards === null ? leave('What a stop of it would lose was not looked at.') : refuseStop(s, 'may-not-start'),
  'restarted-before': ({ history, key, policy: { restart }, now }) => {
    const attempts = history?.attempts ?? [];
    // Whatever LaunchTime says: after a start the console may show the old text for a while.
    const same = attempts.findLast((attempt) => isSameEvidence(attempt.evidenceKey, key));
    if (same) return leave(`It was restarted for this very overflow at ${same.at}.`);
    const count = attempts.filter(({ at }) => isWithin(at, now, restart.coolDownHours * HOUR_MS)).length;
    if (count < restart.maxAttempts) return null;
    return leave(`It was restarted ${count} times within ${restart.coolDownHours} hours.`);
  },
  'breaker-open': ({ breaker, finding: { instance } }) =>
    breaker.open
      ? leave(
          sentence(`No restarts in this cell: ${breaker.reason ?? 'the breaker is open'}`),
          `Find the common cause. To restart it all the same: ${howToPassBreaker([instance.instanceId])}`,
        )
      : null,
  'restart-budget': ({ budget, policy: { restart } }) => {
    if (budget.restartsLeft > 0) return null;
    const limits = `restart.maxPerRun ${restart.maxPerRun}, restart.maxPercent ${restart.maxPercent}, maxRestarts of the request`;
    return { action: 'defer', reason: `This run may restart no more instances of the cell (${limits}).` };
  },
};

const EARLY_CODES = TRIAGE_CODES.filter((code): code is EarlyCode => Object.hasOwn(EARLY_RULES, code));
const LATE_CODES = TRIAGE_CODES.filter((code): code is LateCode => Object.hasOwn(LATE_RULES, code));

/**
 * Judges one instance. Total: every input gets exactly one code. Pure: the same input gets the same answer, so the
 * second look before a restart is this very function on fresh facts.
 *
 * `restart-then-resize` is only ever given when the console was read twice ({@link needsSecondReading}) and what a stop
 * would lose, with the signs of life that policy names, was looked at ({@link needsPreflight}); without them the answer is `leave`.
 * @throws ConsoleNotReadError when row 1 does not decide and the console was not read.
 */
export function triage(input: TriageInput): Decision {
  for (const code of EARLY_CODES) {
    const verdict = EARLY_RULES[code](input);
    if (verdict) return decision(code, verdict);
  }
  const { console } = input.finding;
  if (console.status !== 'read') throw new ConsoleNotReadError(input.finding);
  const situation = situationOf(input, console);
  for (const code of LATE_CODES) {
    const verdict = LATE_RULES[code](situation);
    if (verdict) return decision(code, verdict);
  }
  return decision('restart', restart(situation));
}

/**
 * True when nothing before row 12 decides and the console was read once only: read it again after a while, then judge
 * again. Comes before {@link needsPreflight}, which is false as long as this is true.
 */
export function needsSecondReading(input: TriageInput): boolean {
  const { console } = input.finding;
  return triageRow(triage(input).code).row >= 12 && console.status === 'read' && console.newUserSpaceLines === null;
}

/** True when nothing before row 15 decides and {@link PreflightFacts} were not read: read them, then judge again. */
export function needsPreflight(input: TriageInput): boolean {
  return input.finding.preflight === null && triageRow(triage(input).code).row >= 15;
}

function situationOf(input: TriageInput, reading: Situation['reading']): Situation {
  const { finding, policy, now } = input;
  const { instance, history, preflight } = finding;
  const method = policyMethod(policy.restart, history, now);
  return {
    ...input,
    reading,
    evidence: reading.evidence,
    key: evidenceKey(reading.evidence),
    history,
    reach: reachabilityOf(finding.agent, history, now),
    optedIn: tagOf(instance.tags, policy.tags.restart) === 'allowed',
    rebootAllowed: policy.restart.rebootWhereStopLoses || policy.restart.method !== 'stop-start',
    wishedMethod: ownerTagsOf(instance.tags, policy.ownerTags).length === 0 ? method : 'reboot',
    hazards: preflight && whatAStopLoses(instance, preflight),
  };
}

/** `reboot-first` reboots, and stops and starts when there was an attempt within the cool-down already. */
function policyMethod(restart: Policy['restart'], history: InstanceHistory | null, now: string): RestartMethod {
  if (restart.method === 'reboot-only') return 'reboot';
  if (restart.method === 'stop-start') return 'stop-start';
  const tried = (history?.attempts ?? []).some(({ at }) => isWithin(at, now, restart.coolDownHours * HOUR_MS));
  return tried ? 'stop-start' : 'reboot';
}

function refuseStop(s: Situation, code: StopHazard['code']): Verdict | null {
  if (s.hazards === null || s.rebootAllowed) return null;
  if (!s.hazards.some((hazard) => hazard.code === code)) return null;
  return leave(`A stop is out of the question and policy forbids to reboot instead: ${hazardText(s.hazards)}.`);
}

function restart(s: Situation): Verdict {
  const hazards = s.hazards ?? [];
  const method = hazards.length > 0 ? 'reboot' : s.wishedMethod;
  const how = method === 'reboot' ? 'rebooted' : 'stopped and started';
  const because = method === 'reboot' ? whyNotStopped(s, hazards) : '';
  const reason = `${overflowed(s.evidence)}; it is ${silence(s.reach)}, and ${hangSigns(s).join(', and ')}`;
  return { action: 'restart-then-resize', reason: `${reason}: it is ${how}${because}.`, method };
}

/** Why a machine that policy would stop is rebooted instead; empty where policy wants the reboot. */
function whyNotStopped({ finding, policy, history, now }: Situation, hazards: readonly StopHazard[]): string {
  if (policyMethod(policy.restart, history, now) === 'reboot') return '';
  const [owner = null] = ownerTagsOf(finding.instance.tags, policy.ownerTags);
  const owned = owner === null ? [] : [`something else owns it, tag ${owner}`];
  return ` (not stopped: ${[...owned, ...hazards.flatMap(({ what }) => what)].join('; ')})`;
}

function hazardText(hazards: readonly StopHazard[]): string {
  return hazards.flatMap((hazard) => hazard.what).join('; ');
}

function hangSigns(s: Situation): readonly string[] {
  const { instance, statusCheck, agent } = s.finding;
  return signsOfHang({ instance, statusCheck, agent, history: s.history, evidence: s.evidence, now: s.now });
}

/** A first command that was not finished may have been bad luck; a second is a sign of a hang. */
function mayBeResized({ reach, history }: Situation): boolean {
  return reach.reachability === 'reachable' || (reach.reachability === 'stuck' && history?.stuckSweeps === 1);
}

function assess(s: Situation, what: string, then: string): Verdict {
  const { reachability } = s.reach;
  if (reachability !== 'reachable') return leave(`${what}, and it is ${reachabilityWords(s)}.`);
  return { action: 'assess', reason: `${what}: ${then}.` };
}

function reachabilityWords({ finding, reach }: Situation): string {
  const unknown = finding.agent === null && finding.agentError !== undefined;
  return unknown ? 'not known whether SSM reaches it' : REACHABILITY_WORDS[reach.reachability];
}

function resizeReason(s: Situation): string {
  const stuck =
    s.reach.reachability === 'stuck' ? '; it did not finish a command in the last sweep and gets one more' : '';
  return sentence(`${overflowed(s.evidence)} and it answers${stuck}`);
}

function spentResizes({ policy }: Situation): string {
  return `this run has used up its ${policy.resize.maxPerRun} resizes`;
}

function tagOf(tags: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(tags, key) ? tags[key] : undefined;
}

function isAtOrAfter(iso: string, other: string): boolean {
  const a = millisOf(iso);
  const b = millisOf(other);
  return a !== null && b !== null && a >= b;
}

function leave(reason: string, next?: string): Verdict {
  return next === undefined ? { action: 'leave', reason } : { action: 'leave', reason, next };
}

function decision(code: TriageCode, verdict: Verdict): Decision {
  const { action, reason, next = triageRow(code).next, method = null } = verdict;
  return { action, code, reason, next, method };
}
