/** A plan as a file: written for people to read, applied as it stands or not at all. */
import { accessSync, constants, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type PlanFile, planFileSchema, type RunReport, SCHEMA } from '../domain/contracts.ts';
import { printable } from '../domain/printable.ts';
import { parseInput } from '../domain/validation.ts';
import { entryDigest, sealPlan, whyAltered } from '../lambdas/plan-digest.ts';
import { UsageError } from './exit-codes.ts';

/**
 * What is written of a plan run.
 * @param functionName the function whose ledger keeps the plan; null: made here, and kept nowhere.
 * @throws UsageError when the run made no plan, or its entries are not those it was sealed with.
 */
export function planFileOf(
  report: RunReport,
  functionName: string | null,
  { planExpiresHours }: { readonly planExpiresHours: number },
): PlanFile {
  const seal = functionName === null ? sealPlan(report, planExpiresHours, report.actions) : report.plan;
  if (!seal) throw new UsageError(`run ${report.runId} made no plan that could be saved; deploy the present version`);
  const entries = report.actions.map((entry) => ({ digest: entryDigest(entry), entry }));
  const file: PlanFile = {
    schema: SCHEMA,
    planId: report.runId,
    function: functionName,
    policyDigest: report.policyDigest,
    createdAt: report.endedAt,
    expiresAt: seal.expiresAt,
    digest: seal.digest,
    totals: report.totals,
    entries,
  };
  const altered = whyAltered(file, seal, entries);
  if (altered !== null) throw new UsageError(`the plan ${report.runId} ${altered}; make a new plan`);
  return file;
}

/** Says now, and not after a long plan, that a file cannot be written. @throws UsageError */
export function checkWritable(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw notWritten(path, error);
  }
}

/** Writes the file whole or not at all. @throws UsageError */
export function writePlanFile(path: string, file: PlanFile): void {
  const part = `${path}.part`;
  try {
    writeFileSync(part, `${JSON.stringify(file, null, 2)}\n`);
    renameSync(part, path);
  } catch (error) {
    throw notWritten(path, error);
  }
}

/**
 * Reads a plan that may be applied: whole, unaltered, not expired, and kept by a deployed function.
 * @param now ISO 8601.
 * @throws UsageError, InvalidInputError in one line that says what is wrong with it.
 */
export function readPlanFile(path: string, now: string): PlanFile {
  const name = `the plan file ${printable(path)}`;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${name} cannot be read (${messageOf(error)}); check the path and its permissions`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${name} is no JSON (${messageOf(error)}); make a new plan`);
  }
  const file = parseInput(planFileSchema, value, name);
  const altered = whyAltered(file, { digest: file.digest, entries: file.entries.length }, file.entries);
  if (altered !== null) throw new UsageError(`${name} ${altered}; nothing was done: make a new plan`);
  if (now > file.expiresAt) {
    throw new UsageError(`${name} expired at ${file.expiresAt}; nothing was done: make a new plan`);
  }
  return file;
}

function notWritten(path: string, error: unknown): UsageError {
  return new UsageError(`${printable(path)} cannot be written (${messageOf(error)}); choose another place with --save`);
}

function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}
