/** Findings for tests: a hung machine that triage restarts, and changes of it. */
import type { Evidence } from '../../domain/evidence.ts';
import type {
  AgentFacts,
  ConsoleReading,
  Finding,
  InstanceFacts,
  InstanceHistory,
  PreflightFacts,
} from '../../domain/finding.ts';
import { type PolicyInput, policySchema } from '../../domain/policy.ts';
import type { TriageInput } from '../../domain/triage.ts';

export const NOW = '2026-11-22T12:00:00.000Z';

/** ISO time so many minutes before {@link NOW}. */
export function minutesAgo(minutes: number): string {
  return new Date(Date.parse(NOW) - minutes * 60_000).toISOString();
}

const LAUNCHED_MINUTES_AGO = 2 * 24 * 60;

/** The kernel stamp of a line printed so many minutes before {@link NOW}. Unit: seconds. */
export function stampMinutesAgo(minutes: number): number {
  return (LAUNCHED_MINUTES_AGO - minutes) * 60;
}

export function evidence(change: Partial<Evidence> = {}): Evidence {
  return {
    verdict: 'overflow',
    limit: 64,
    backlog: 70,
    lost: 12,
    suppressed: null,
    panic: false,
    kernel: '6.1.0-18-cloud-amd64',
    currentBoot: true,
    evidence: [{ line: 3, kind: 'backlog-over-limit', text: 'audit: audit_backlog=70 > audit_backlog_limit=64' }],
    stamp: stampMinutesAgo(60),
    stormStamp: null,
    panicEndsBoot: false,
    boots: 1,
    empty: false,
    ...change,
  };
}

export function reading(
  change: Partial<Omit<Extract<ConsoleReading, { status: 'read' }>, 'status'>> = {},
): Extract<ConsoleReading, { status: 'read' }> {
  return {
    status: 'read',
    evidence: evidence(),
    latest: true,
    updatedAt: minutesAgo(1),
    mark: 'mark',
    newUserSpaceLines: 0,
    ...change,
  };
}

export function instance(change: Partial<InstanceFacts> = {}): InstanceFacts {
  return {
    instanceId: 'i-0123456789abcdef0',
    state: 'running',
    stateReason: null,
    transitionAt: null,
    platform: 'linux',
    instanceType: 'm7g.large',
    architecture: 'arm64',
    imageId: 'ami-1',
    launchTemplate: null,
    availabilityZone: 'eu-west-1a',
    launchTime: minutesAgo(LAUNCHED_MINUTES_AGO),
    tags: { AuditBacklogRestart: 'allowed' },
    lifecycle: 'on-demand',
    operatorManaged: false,
    rootDeviceType: 'ebs',
    publicAddress: 'none',
    place: 'any',
    spotRequestId: null,
    volumeIds: ['vol-1'],
    ...change,
  };
}

export function preflight(change: Partial<PreflightFacts> = {}): PreflightFacts {
  return {
    instanceStore: false,
    macHost: false,
    spotRequest: 'none',
    stopProtection: false,
    terminatesOnShutdown: false,
    keys: 'none-needed',
    healthyTargetGroups: [],
    ...change,
  };
}

export function history(change: Partial<InstanceHistory> = {}): InstanceHistory {
  return {
    proven: null,
    cures: [],
    attempts: [],
    stuckSweeps: 0,
    assessed: null,
    lastActionAt: null,
    diagnosis: null,
    ...change,
  };
}

export const ONLINE: AgentFacts = { pingStatus: 'Online', lastPingAt: minutesAgo(2), agentVersion: '3.3.3000.0' };

export function lost(minutes: number): AgentFacts {
  return { pingStatus: 'ConnectionLost', lastPingAt: minutesAgo(minutes), agentVersion: '3.3.3000.0' };
}

export function finding(change: Partial<Finding> = {}): Finding {
  return {
    cell: { accountId: '111122223333', region: 'eu-west-1' },
    instance: instance(),
    outOfScope: null,
    statusCheck: 'ok',
    agent: lost(55),
    console: reading(),
    history: null,
    preflight: preflight(),
    ...change,
  };
}

/** Without changes: hung for this overflow, allowed to be restarted, so `restart`. */
export function input(
  change: Partial<Finding> = {},
  policy: PolicyInput = {},
  rest: Partial<TriageInput> = {},
): TriageInput {
  return {
    finding: finding(change),
    policy: policySchema.parse(policy),
    breaker: { open: false, reason: null },
    budget: { resizesLeft: 10, restartsLeft: 3 },
    now: NOW,
    ...rest,
  };
}
