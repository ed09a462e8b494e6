/** From a finding and a decision to the entry that plans and reports show. */
import type { ActionEntry, EvidenceSummary } from './contracts.ts';
import { type Evidence, evidenceKey } from './evidence.ts';
import type { Finding } from './finding.ts';
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

/** The entry of one instance before anything was done to it. */
export function entryOf(finding: Finding, decision: Decision): ActionEntry {
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
    outcome: null,
  };
}
