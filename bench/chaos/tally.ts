/** What a campaign of worlds came to, world by world. */
import { FAULT_NAMES, KILLS_IN_RESTARTS } from './fault-names.ts';
import type { Violation } from './found.ts';
import type { Lived } from './life.ts';
import { WORLD_KINDS, type WorldKind } from './world.ts';

export class Tally {
  readonly violations: Violation[] = [];
  readonly faults: Record<string, number> = Object.fromEntries(FAULT_NAMES.map((name) => [name, 0]));
  readonly worlds = Object.fromEntries(WORLD_KINDS.map((kind) => [kind, 0])) as Record<WorldKind, number>;
  /** Mutating calls in worlds whose policy allows plans only. */
  planMutatingCalls = 0;

  get lived(): number {
    return Object.values(this.worlds).reduce((sum, count) => sum + count, 0);
  }

  /** How often the engine was killed while a restart was between its first call and its last. */
  get killsInRestarts(): number {
    return KILLS_IN_RESTARTS.reduce((sum, name) => sum + (this.faults[name] ?? 0), 0);
  }

  take({ kind, violations, faults, mutatingCalls }: Lived): void {
    this.worlds[kind]++;
    this.violations.push(...violations);
    this.violations.sort((a, b) => a.seed - b.seed);
    for (const [name, strikes] of Object.entries(faults)) this.faults[name] = (this.faults[name] ?? 0) + strikes;
    if (kind === 'plan') this.planMutatingCalls += mutatingCalls;
  }
}

/** The whole as a person reads it. */
export function summary(tally: Tally, seed: number, seconds: number): string {
  const { faults, worlds, violations, lived } = tally;
  const strikes = Object.entries(faults).sort(([, a], [, b]) => b - a);
  const widest = Math.max(...strikes.map(([name]) => name.length));
  const kinds = WORLD_KINDS.filter((kind) => worlds[kind] > 0).map((kind) => `${worlds[kind]} ${kind}`);
  const rate = Math.round((lived / Math.max(seconds, 0.1)) * 60);
  return [
    ...violations.map(violationText),
    ...strikes.map(([name, count]) => `  ${name.padEnd(widest)}  ${count}`),
    ...(worlds.plan > 0 ? [`mutating calls in ${worlds.plan} worlds of plans: ${tally.planMutatingCalls}`] : []),
    `engine killed in the middle of a restart: ${tally.killsInRestarts} times`,
    `${lived} worlds (${kinds.join(', ')}) from seed ${seed} in ${seconds} s (${rate} a minute): ${violations.length} violations`,
  ].join('\n');
}

export function violationText({ seed, invariant, instanceId, at, what }: Violation): string {
  return `seed ${seed}: invariant ${invariant}${instanceId ? `, ${instanceId}` : ''}, ${at}: ${what}`;
}
