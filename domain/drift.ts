/** Whether an instance is still what a plan says it is. Pure; what is read again is compared fact by fact. */
import type { ActionEntry } from './contracts.ts';

/** Kernel time may be printed a little late; less than this back is the same boot. Unit: seconds. */
const JITTER = 5;

/** Whether an entry says that something is to be done to the instance. */
export function acts(entry: Pick<ActionEntry, 'action'>): boolean {
  return entry.action !== 'leave' && entry.action !== 'defer';
}

/**
 * Why a planned entry is refused: everything that changed since the plan was made, in words; null when the facts are as
 * they were judged. A storm that goes on changes its numbers from minute to minute, so evidence is the same as long as it
 * is of the same kind, at the same limit and in the same boot.
 */
export function driftFrom(plan: ActionEntry | undefined, now: ActionEntry): string | null {
  if (!plan) return 'the plan does not name this instance';
  const changes = [...factChanges(plan, now), ...evidenceChanges(plan, now)];
  if (plan.method !== now.method) changes.push(`the method was ${plan.method ?? 'none'}, now ${now.method ?? 'none'}`);
  if (plan.action !== now.action || plan.code !== now.code) {
    changes.push(`the plan said ${plan.action} (${plan.code}), now it is ${now.action} (${now.code})`);
  }
  return changes.length > 0 ? changes.join('; ') : null;
}

function factChanges({ facts: before }: ActionEntry, { facts: after }: ActionEntry): string[] {
  if (!before || !after) return ['the plan does not say what its facts were'];
  const changes: string[] = [];
  for (const [field, name] of [
    ['state', 'its state'],
    ['launchTime', 'its launch time'],
    ['instanceType', 'its type'],
    ['reachability', 'its reachability'],
  ] as const) {
    // Whether SSM reaches it is asked only of what is looked at.
    if (before[field] === 'unknown' || after[field] === 'unknown') continue;
    if (before[field] !== after[field]) changes.push(`${name} was ${before[field]}, now ${after[field]}`);
  }
  for (const key of [...new Set([...Object.keys(before.tags), ...Object.keys(after.tags)])].sort()) {
    const [was, is] = [before.tags, after.tags].map((tags) => (Object.hasOwn(tags, key) ? `"${tags[key]}"` : 'absent'));
    if (was !== is) changes.push(`its tag ${key} was ${was}, now ${is}`);
  }
  return changes;
}

function evidenceChanges({ evidence: before }: ActionEntry, { evidence: after }: ActionEntry): string[] {
  const changes: string[] = [];
  for (const field of ['verdict', 'limit', 'panic', 'kernel', 'currentBoot'] as const) {
    const [was, is] = [before?.[field] ?? null, after?.[field] ?? null];
    if (was !== is) changes.push(`evidence.${field} was ${was}, now ${is}`);
  }
  const [was, is] = [stampOf(before), stampOf(after)];
  // Kernel time only grows within a boot.
  if (was !== null && is !== null && is < was - JITTER) {
    changes.push(`the overflow was seen ${was} s after boot, now one ${is} s after boot: it has booted since`);
  }
  return changes;
}

/** Kernel time of the last overflow, from the key of the evidence. Unit: seconds after boot. */
function stampOf(evidence: ActionEntry['evidence']): number | null {
  const text = evidence?.key.split('|')[1] ?? '';
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : null;
}

const REFUSED = 'Refused, since the facts have drifted from the plan: ';

/** Whether an entry says so already: what is judged again after a crash is refused once. */
export function isRefused(entry: Pick<ActionEntry, 'reason'>): boolean {
  return entry.reason.startsWith(REFUSED);
}

/** The entry of an instance that the plan names, or that would be acted on without it, when that is refused. */
export function refused(entry: ActionEntry, why: string): ActionEntry {
  return {
    ...entry,
    action: 'leave',
    method: null,
    reason: `${REFUSED}${why}. ${entry.reason}`,
    next: 'Make a new plan and apply that.',
  };
}

/** What differs between two policies: `restart.maxInFlight was 2, now 3`. At most five, in order of name. */
export function policyChanges(before: unknown, after: unknown): readonly string[] {
  const [was, is] = [leaves(before), leaves(after)];
  return [...new Set([...was.keys(), ...is.keys()])]
    .sort()
    .filter((path) => was.get(path) !== is.get(path))
    .slice(0, 5)
    .map((path) => `${path} was ${was.get(path) ?? 'absent'}, now ${is.get(path) ?? 'absent'}`);
}

function leaves(value: unknown, path = '', found = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, part] of Object.entries(value)) leaves(part, path === '' ? key : `${path}.${key}`, found);
  } else if (value !== undefined) found.set(path, JSON.stringify(value));
  return found;
}
