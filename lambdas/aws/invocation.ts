/** What SSM says of one invocation of a command. */
import type { CommandInvocation } from '@aws-sdk/client-ssm';
import type { CommandResult } from '../../domain/ports.ts';

/**
 * SSM's StatusDetails, written with or without blanks, by our states. Of a delivery that timed out it is only probable
 * that the command did not run: the runbook is idempotent and its effect is read back.
 */
const STATES: Readonly<Record<string, CommandResult['state']>> = {
  pending: 'waiting',
  delayed: 'waiting',
  inprogress: 'running',
  cancelling: 'running',
  success: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  terminated: 'cancelled',
  executiontimedout: 'stuck',
  deliverytimedout: 'undelivered',
  // Without details, which of the two it was is not known; the one that leads to no restart is assumed.
  timedout: 'undelivered',
  undeliverable: 'undelivered',
  invalidplatform: 'undelivered',
  accessdenied: 'undelivered',
};

/** @returns null for a status this version does not know */
export function invocationState(details: string): CommandResult['state'] | null {
  return STATES[details.replace(/\s+/g, '').toLowerCase()] ?? null;
}

/** From this length on the listing may have cut the output (2,400 to 2,500 characters; API reference of CommandPlugin). */
const CUT_FROM = 2400;

/**
 * The output as the listing shows it, where that is surely the whole stdout: one plugin, not cut, and its last line is
 * JSON. The listing joins stdout and stderr, so anything else has to be asked for by GetCommandInvocation.
 *
 * @returns null where it has to be asked for
 */
export function outputInListing(invocation: CommandInvocation): string | null {
  const plugins = invocation.CommandPlugins ?? [];
  const output = plugins[0]?.Output;
  if (plugins.length !== 1 || output === undefined || output.length >= CUT_FROM) return null;
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  try {
    return typeof JSON.parse(last) === 'object' ? output : null;
  } catch {
    return null;
  }
}
