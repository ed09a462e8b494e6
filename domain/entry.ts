/** From a finding and a decision to the entry that plans and reports show. */
import type { ActionEntry, EvidenceSummary } from './contracts.ts';
import { type Evidence, evidenceKey } from './evidence.ts';
import type { Finding } from './finding.ts';
import { ownerTagsOf } from './owners.ts';
import type { Policy } from './policy.ts';
import { reachabilityOf } from './reachability.ts';
import type { Decision } from './triage.ts';

const SHOWN_LINES = 3;

/** What of the evidence stands in plans and reports: numbers, and at most three sanitized lines. */
export function summarizeEvidence(evidence: Evidence): EvidenceSummary {
  return {
    verdict: evidence.verdict,
    limit: evidence.limit,
    backlog: evidence.backlog,
    lost: evidence.lost,
    suppressed: evidence.suppressed,
    panic: evidence.panic,
    kernel: evidence.kernel,
    currentBoot: evidence.currentBoot,
    key: evidenceKey(evidence),
    lines: evidence.evidence.slice(0, SHOWN_LINES).map(({ line, kind, text }) => ({ line, kind, text })),
  };
}

/** What a plan shows of the instance beside its console, and what is compared when the plan is applied. */
function factsOf(finding: Finding, policy: Policy, now: string): ActionEntry['facts'] {
  const { instance, agent, agentError, history } = finding;
  const { optOut, restart, stopped } = policy.tags;
  const { includeTags, excludeTags } = policy.scope;
  const keys = [
    optOut,
    restart,
    stopped,
    ...ownerTagsOf(instance.tags, policy.ownerTags),
    ...Object.keys(includeTags),
    ...Object.keys(excludeTags),
  ];
  const tags = [...new Set(keys)].sort().flatMap((key) => {
    const value = Object.hasOwn(instance.tags, key) ? instance.tags[key] : undefined;
    return value === undefined ? [] : [[key, value] as const];
  });
  return {
    state: instance.state,
    launchTime: instance.launchTime,
    instanceType: instance.instanceType,
    reachability:
      agentError || finding.console.status === 'not-read'
        ? 'unknown'
        : reachabilityOf(agent, history, now).reachability,
    tags: Object.fromEntries(tags),
  };
}

/**
 * The entry of one instance before anything was done to it.
 * @param now ISO 8601.
 */
export function entryOf(finding: Finding, decision: Decision, policy: Policy, now: string): ActionEntry {
  const { instance, cell, console } = finding;
  return {
    instanceId: instance.instanceId,
    accountId: cell.accountId,
    region: cell.region,
    action: decision.action,
    code: decision.code,
    reason: decision.reason,
    next: decision.next,
    method: decision.method,
    imageId: instance.imageId,
    launchTemplate: instance.launchTemplate,
    evidence: console.status === 'read' ? summarizeEvidence(console.evidence) : null,
    facts: factsOf(finding, policy, now),
    outcome: null,
  };
}
