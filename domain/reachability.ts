/**
 * Whether an instance answers, and whether one that does not answer hangs. SSM's PingStatus lags by minutes both ways,
 * so it counts only together with the time of the last ping; guest clocks order nothing.
 */
import type { Evidence } from './evidence.ts';
import type {
  AgentFacts,
  ConsoleReading,
  InstanceFacts,
  InstanceHistory,
  Reachability,
  StatusCheck,
} from './finding.ts';
import { MINUTE_MS, millisOf } from './times.ts';

/** An agent that SSM calls Online is believed for this long after its last ping. Unit: minutes. */
export const ONLINE_BELIEVED_MINUTES = 15;
/** The agent pings every 5 minutes: ConnectionLost with a ping younger than this may be a blip. Unit: minutes. */
export const LOST_DOUBTED_MINUTES = 6;
/** A last ping this long before the overflows began or after the last one at most is a sign that they took the agent down. Unit: minutes. */
export const PING_NEAR_OVERFLOW_MINUTES = 15;
/** A command taken and not finished in this many sweeps is a sign of a hang. */
export const STUCK_SWEEPS_OF_A_HANG = 2;

export interface ReachabilityVerdict {
  readonly reachability: Reachability;
  /** Minutes since the last ping of a silent instance, not rounded; null where it is unknown or not silent. */
  readonly silentMinutes: number | null;
}

/**
 * `never` without an agent; `silent` where its last ping is too old (or, when SSM calls it lost, unknown); `stuck` where
 * it seems to answer but did not finish a command in an earlier sweep; otherwise `reachable`.
 */
export function reachabilityOf(
  agent: AgentFacts | null,
  history: Pick<InstanceHistory, 'stuckSweeps'> | null,
  now: string,
): ReachabilityVerdict {
  if (agent === null) return { reachability: 'never', silentMinutes: null };
  const age = minutesSince(agent.lastPingAt, now);
  if (!answers(agent.pingStatus, age)) return { reachability: 'silent', silentMinutes: age };
  return { reachability: (history?.stuckSweeps ?? 0) >= 1 ? 'stuck' : 'reachable', silentMinutes: null };
}

function answers(status: AgentFacts['pingStatus'], age: number | null): boolean {
  if (status === 'Online') return age === null || age <= ONLINE_BELIEVED_MINUTES;
  return age !== null && age < LOST_DOUBTED_MINUTES;
}

function minutesSince(iso: string | null, now: string): number | null {
  const then = millisOf(iso);
  const at = millisOf(now);
  return then === null || at === null ? null : Math.max(0, (at - then) / MINUTE_MS);
}

/** What tells of a hang. */
export interface HangInput {
  readonly instance: Pick<InstanceFacts, 'launchTime'>;
  readonly statusCheck: StatusCheck;
  readonly agent: AgentFacts | null;
  readonly history: Pick<InstanceHistory, 'stuckSweeps' | 'lastActionAt'> | null;
  readonly evidence: Evidence;
  readonly now: string;
}

/** The signs that the machine hangs (triage row 11), in words; empty when there is none. */
export function signsOfHang(input: HangInput): readonly string[] {
  const signs: string[] = [];
  if (input.statusCheck === 'impaired') signs.push('its instance status check is impaired');
  if (input.evidence.panicEndsBoot) signs.push('the overflow ended its boot in a kernel panic');
  const ping = lastPingBesideStorm(input);
  if (ping !== null && -ping.afterBegin <= PING_NEAR_OVERFLOW_MINUTES && ping.afterEnd <= PING_NEAR_OVERFLOW_MINUTES) {
    const side = ping.afterEnd < 0 ? 'before' : 'after';
    signs.push(`its agent pinged last ${Math.round(Math.abs(ping.afterEnd))} min ${side} the last overflow`);
  }
  const stuck = input.history?.stuckSweeps ?? 0;
  if (stuck >= STUCK_SWEEPS_OF_A_HANG) signs.push(`it took a command and did not finish it in ${stuck} sweeps`);
  return signs;
}

/**
 * Minutes from the first and from the last overflow of a storm to the last ping; null where their times are not known. A
 * machine that hangs overflows on for hours while its agent is long gone, so the whole storm counts. Kernel time counts
 * from the boot and LaunchTime is renewed by stop and start alone, so the two add up only as long as the text shows no
 * reboot since. A sum that lies in the future is not of this launch.
 */
function lastPingBesideStorm({
  instance,
  agent,
  evidence,
  now,
}: HangInput): { afterBegin: number; afterEnd: number } | null {
  const launched = millisOf(instance.launchTime);
  const pinged = millisOf(agent?.lastPingAt ?? null);
  const at = millisOf(now);
  if (launched === null || pinged === null || at === null || evidence.stamp === null || evidence.boots > 1) return null;
  const overflowed = launched + evidence.stamp * 1000;
  if (overflowed > at) return null;
  const began = launched + (evidence.stormStamp ?? evidence.stamp) * 1000;
  return { afterBegin: (pinged - began) / MINUTE_MS, afterEnd: (pinged - overflowed) / MINUTE_MS };
}

/**
 * Why the evidence is too uncertain to restart anything on (it may still lead to a resize); null when it is certain.
 * A text that says nothing of when it was updated cannot be placed in time either.
 */
export function whyUncertain(
  reading: Pick<Extract<ConsoleReading, { status: 'read' }>, 'evidence' | 'latest' | 'updatedAt'>,
  instance: Pick<InstanceFacts, 'launchTime'>,
  history: Pick<InstanceHistory, 'lastActionAt'> | null,
): string | null {
  if (reading.evidence.currentBoot === null) return 'the text does not show to which boot the overflow belongs';
  if (!reading.latest) return 'the console could not be read up to now (its instance type does not support Latest)';
  const updated = millisOf(reading.updatedAt);
  if (updated === null) return 'EC2 does not say when the console text was updated';
  const launched = millisOf(instance.launchTime);
  if (launched === null || updated < launched) return 'the console text is older than the launch of the instance';
  if (!history?.lastActionAt) return null;
  const acted = millisOf(history.lastActionAt);
  return acted === null || updated < acted ? 'the console text is older than what this service did last' : null;
}
