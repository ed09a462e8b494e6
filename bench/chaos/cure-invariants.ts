/** Invariants 6 and 7: what a runbook may do to a machine, from what the machine was before it and after it. */
import { fileDigest } from '../../simulator/guest/files.ts';
import type { Found } from './found.ts';
import type { ScriptRun } from './watched-machine.ts';
import type { World } from './world.ts';

/** Bytes that one buffer may take (MAX_AUDIT_MESSAGE_LENGTH), and what the design allows: half of what is available. */
const BUFFER_BYTES = 8970;

export function cureViolations(scripts: readonly ScriptRun[], world: World): readonly Found[] {
  return scripts.flatMap((run) => [...limits(run, world), ...rules(run)]);
}

/** The most that a machine of this world may be raised to. */
function most(instanceId: string, world: World): number {
  const guest = world.machines.find((m) => m.planned.instanceProfile.instanceId === instanceId)?.planned.guestProfile;
  if (!guest) return 0;
  const { memoryPercent, maximum } = world.policy.sizing;
  const available = guest.availableKiB ?? Math.floor(guest.memoryKiB * 0.7);
  const cap = Math.min((guest.memoryKiB * 1024 * memoryPercent) / 100, (available * 1024) / 2) / BUFFER_BYTES;
  return Math.min(maximum, Math.floor(cap));
}

/** 6: never lowered, never beyond the cap; a plan and a second run change nothing. */
function limits({ at, instanceId, before, after, environment, result }: ScriptRun, world: World): Found[] {
  const say = (what: string): Found => ({ invariant: 6, instanceId, at, what });
  const found: Found[] = [];
  const same = before.truth.boots === after.truth.boots;
  const sides = [
    ['effective', before.truth.effectiveLimit, after.truth.effectiveLimit, same],
    ['configured', before.truth.configuredLimit, after.truth.configuredLimit, true],
  ] as const;
  for (const [name, was, is, comparable] of sides) {
    if (!comparable || was === is || is === null) continue;
    const lowered = was === 0 || (was !== null && is !== 0 && is < was);
    if (lowered) found.push(say(`its ${name} limit was lowered from ${was} to ${is}`));
    const cap = most(instanceId, world);
    if (!lowered && (is === 0 || is > cap))
      found.push(say(`its ${name} limit was set to ${is}, above the cap of ${cap}`));
    if (environment.SSM_Mode === 'plan') found.push(say(`an assess changed its ${name} limit from ${was} to ${is}`));
  }
  if (result.exitCode === 0 && /"outcome":"already-sufficient"/.test(result.stdout) && changed(before, after)) {
    found.push(say('already sufficient, and its files changed'));
  }
  return found;
}

function changed(before: ScriptRun['before'], after: ScriptRun['after']): boolean {
  return JSON.stringify(before.truth.files) !== JSON.stringify(after.truth.files);
}

/** Modes that rules and other files of a guest have. */
const MODES = [0o640, 0o600, 0o644, 0o755, 0o777, 0o666, 0o400, 0o440];

/** What augenrules makes of rules.d. */
const JOINED = '/etc/audit/audit.rules';

/** The content of a rules file without what says the limit: `-b` is the only thing a cure may write. */
function withoutLimit(content: string): string {
  return content
    .split('\n')
    .map((line) => line.replace(/(^|\s)-b\s*\d+/g, '$1').trim())
    .filter((line) => line !== '')
    .join('\n');
}

/** 7: every rule but the limit, every mode and every other file as before; auditd runs if it ran. */
function rules({ at, instanceId, before, after }: ScriptRun): Found[] {
  const say = (what: string): Found => ({ invariant: 7, instanceId, at, what });
  const found: Found[] = [];
  if (before.truth.hung || after.truth.hung || before.truth.boots !== after.truth.boots) return found;
  if (before.truth.auditdRunning && !after.truth.auditdRunning)
    found.push(say('auditd ran before it and not after it'));
  if (before.loaded !== after.loaded) found.push(say('the rules in the kernel are others than before'));
  const [was, is] = [before.truth.files, after.truth.files];
  for (const path of new Set([...Object.keys(was), ...Object.keys(is)])) {
    if (was[path] === is[path]) continue;
    const [text, now] = [before.rules[path], after.rules[path]];
    // The start of auditd joins the rules anew (augenrules), which keeps the file of before.
    if (path === `${JOINED}.prev` && is[path] === was[JOINED]) continue;
    const ours = /\.audit-backlog\.(bak|tmp)$/.test(path);
    if (now === undefined) {
      if (!ours) found.push(say(`${path} is ${is[path] === undefined ? 'gone' : 'changed or new'}`));
      continue;
    }
    if (withoutLimit(text ?? '') !== withoutLimit(now)) found.push(say(`${path} says more than another limit`));
    const mode = MODES.find((each) => digest(text ?? '', each) === was[path]);
    if (text !== undefined && (mode === undefined || digest(now, mode) !== is[path])) {
      found.push(say(`the mode or owner of ${path} changed`));
    }
  }
  return found;
}

function digest(content: string, mode: number): string {
  return fileDigest({ content: Buffer.from(content, 'utf8').toString('latin1'), mode });
}
