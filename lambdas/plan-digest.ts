/** What holds a plan together: digests of its entries and of the whole, the same for the ledger and for a plan's file. */
import { createHash } from 'node:crypto';
import { type ActionEntry, type PlanFile, type PlanSeal, SCHEMA } from '../domain/contracts.ts';
import { instanceName } from '../domain/finding.ts';
import type { EntryRecord } from '../domain/ports.ts';

/** What a plan is about, beside its entries. */
export type PlanHeader = Pick<PlanFile, 'planId' | 'policyDigest' | 'expiresAt'>;

/** Digest of one entry: every field of it, in whatever order a reader put them. */
export function entryDigest(entry: ActionEntry): string {
  return sha256(entry);
}

/** The record with this entry, sealed as it stands. */
export function withEntry(record: EntryRecord, entry: ActionEntry): EntryRecord {
  return { ...record, entry, seal: entryDigest(entry) };
}

/** Digest of a whole plan: run, policy, expiry and every entry, in whatever order they come. */
export function planDigest({ planId, policyDigest, expiresAt }: PlanHeader, entries: readonly ActionEntry[]): string {
  const lines = entries.map((entry) => `${instanceName(entry)} ${entryDigest(entry)}`).sort();
  return sha256({ schema: SCHEMA, planId, policyDigest, expiresAt, lines });
}

/** Seals the plan of a run. @param endedAt ISO 8601; from then on it may be applied for so many hours. */
export function sealPlan(
  run: { readonly runId: string; readonly policyDigest: string; readonly endedAt: string },
  planExpiresHours: number,
  entries: readonly ActionEntry[],
): PlanSeal {
  const expiresAt = new Date(Date.parse(run.endedAt) + planExpiresHours * 3_600_000).toISOString();
  const header = { planId: run.runId, policyDigest: run.policyDigest, expiresAt };
  return { digest: planDigest(header, entries), entries: entries.length, expiresAt };
}

/** An entry and the digest that it had when the plan was made. */
export interface SealedEntry {
  readonly entry: ActionEntry;
  readonly digest: string | undefined;
}

const MOST_NAMED = 5;

/** Why a plan is not what was made, naming the entries that were altered where that can be told; null when it is whole. */
export function whyAltered(header: PlanHeader, seal: Omit<PlanSeal, 'expiresAt'>, sealed: readonly SealedEntry[]) {
  const altered = sealed
    .filter(({ entry, digest }) => digest !== entryDigest(entry))
    .map(({ entry }) => instanceName(entry));
  if (altered.length > 0) {
    const more = altered.length > MOST_NAMED ? ` and ${altered.length - MOST_NAMED} more` : '';
    return `was altered: the entry of ${altered.slice(0, MOST_NAMED).join(', ')}${more}`;
  }
  if (sealed.length !== seal.entries) {
    return `was altered: it has ${sealed.length} entries and was made with ${seal.entries}`;
  }
  const entries = sealed.map(({ entry }) => entry);
  return planDigest(header, entries) === seal.digest ? null : 'was altered: its digest is not that of its contents';
}

function sha256(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical(value)))
    .digest('hex');
}

/** The same value with its keys in order and without what JSON leaves out. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const parts = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(parts.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, part]) => [key, canonical(part)]));
}
