/** Commands and invocations as SSM's answers show them. */
import type { JsonObject } from '../core.ts';
import type { Command, Invocation, InvocationStatus } from './command.ts';

/** The coarser Status of an invocation. */
const STATUS: Readonly<Record<InvocationStatus, string>> = {
  Pending: 'Pending',
  InProgress: 'InProgress',
  Success: 'Success',
  DeliveryTimedOut: 'TimedOut',
  ExecutionTimedOut: 'TimedOut',
  Failed: 'Failed',
  Cancelled: 'Cancelled',
  Terminated: 'Cancelled',
};

/** Most characters of CommandPlugin.Output, GetCommandInvocation's stdout and its stderr. */
const LISTED_OUTPUT = 2500;
const WHOLE_STDOUT = 24_000;
const WHOLE_STDERR = 8000;

function isActive(status: InvocationStatus): boolean {
  return status === 'Pending' || status === 'InProgress';
}

/** Status and StatusDetails of a whole command, from its invocations. */
function commandStatus(command: Command): { Status: string; StatusDetails: string } {
  const all = command.invocations.map((each) => each.status);
  if (all.some(isActive)) {
    const status = all.every((each) => each === 'Pending') ? 'Pending' : 'InProgress';
    return {
      Status: command.cancelled ? 'Cancelling' : status,
      StatusDetails: command.cancelled ? 'Cancelling' : status,
    };
  }
  if (all.includes('Terminated')) return { Status: 'Failed', StatusDetails: 'RateExceeded' };
  if (all.includes('Failed')) return { Status: 'Failed', StatusDetails: 'Failed' };
  if (all.includes('ExecutionTimedOut')) return { Status: 'TimedOut', StatusDetails: 'ExecutionTimedOut' };
  if (all.includes('DeliveryTimedOut')) return { Status: 'TimedOut', StatusDetails: 'DeliveryTimedOut' };
  if (all.includes('Cancelled')) return { Status: 'Cancelled', StatusDetails: 'Cancelled' };
  return { Status: 'Success', StatusDetails: 'Success' };
}

export function describeCommand(command: Command): JsonObject {
  const count = (...statuses: InvocationStatus[]) =>
    command.invocations.filter((each) => statuses.includes(each.status)).length;
  return {
    CommandId: command.id,
    DocumentName: command.document.name,
    DocumentVersion: command.document.version,
    Comment: command.comment,
    ExpiresAfter: (command.requestedAt + (command.timeoutSeconds + command.executionSeconds) * 1000) / 1000,
    Parameters: { ...command.values },
    InstanceIds: command.invocations.map((each) => each.instanceId),
    Targets: [],
    RequestedDateTime: command.requestedAt / 1000,
    ...commandStatus(command),
    MaxConcurrency: command.maxConcurrency,
    MaxErrors: command.maxErrors,
    TargetCount: command.invocations.length,
    CompletedCount: command.invocations.filter((each) => !isActive(each.status)).length,
    ErrorCount: count('Failed', 'ExecutionTimedOut'),
    DeliveryTimedOutCount: count('DeliveryTimedOut'),
    TimeoutSeconds: command.timeoutSeconds,
    ServiceRole: '',
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
  };
}

/** The agent adds its own line to stderr where a script failed. */
function stderrOf(invocation: Invocation): string {
  const { result } = invocation;
  if (!result) return '';
  return result.exitCode === 0
    ? result.stderr
    : `${result.stderr}failed to run commands: exit status ${result.exitCode}`;
}

/** One text of both streams, as it stands in listings; a long one is cut and says so. */
function listedOutput(invocation: Invocation): string {
  const stdout = invocation.result?.stdout ?? '';
  const stderr = stderrOf(invocation);
  const whole = stderr === '' ? stdout : `${stdout}\n----------ERROR-------\n${stderr}`;
  if (whole.length <= LISTED_OUTPUT) return whole;
  const note = '\n---Output truncated---';
  return whole.slice(0, LISTED_OUTPUT - note.length) + note;
}

export function describeInvocation(invocation: Invocation, details: boolean): JsonObject {
  const { command, status, result } = invocation;
  const plugin = {
    Name: 'aws:runShellScript',
    Status: STATUS[status],
    StatusDetails: status,
    ResponseCode: result?.exitCode ?? -1,
    ...(invocation.startedAt === null ? {} : { ResponseStartDateTime: invocation.startedAt / 1000 }),
    ...(invocation.endedAt === null ? {} : { ResponseFinishDateTime: invocation.endedAt / 1000 }),
    Output: listedOutput(invocation),
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    OutputS3Region: '',
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
  };
  return {
    CommandId: command.id,
    InstanceId: invocation.instanceId,
    InstanceName: invocation.computerName,
    Comment: command.comment,
    DocumentName: command.document.name,
    DocumentVersion: command.document.version,
    RequestedDateTime: command.requestedAt / 1000,
    Status: STATUS[status],
    StatusDetails: status,
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    CommandPlugins: details && invocation.startedAt !== null ? [plugin] : [],
    ServiceRole: '',
  };
}

/** GetCommandInvocation's answer. */
export function invocationDetails(invocation: Invocation): JsonObject {
  const { command, status, startedAt, endedAt, result } = invocation;
  return {
    CommandId: command.id,
    InstanceId: invocation.instanceId,
    Comment: command.comment,
    DocumentName: command.document.name,
    DocumentVersion: command.document.version,
    PluginName: 'aws:runShellScript',
    ResponseCode: result?.exitCode ?? -1,
    ExecutionStartDateTime: startedAt === null ? '' : new Date(startedAt).toISOString(),
    ExecutionElapsedTime: startedAt === null || endedAt === null ? '' : `PT${(endedAt - startedAt) / 1000}S`,
    ExecutionEndDateTime: endedAt === null || startedAt === null ? '' : new Date(endedAt).toISOString(),
    Status: STATUS[status],
    StatusDetails: status,
    StandardOutputContent: (result?.stdout ?? '').slice(0, WHOLE_STDOUT),
    StandardOutputUrl: '',
    StandardErrorContent: stderrOf(invocation).slice(0, WHOLE_STDERR),
    StandardErrorUrl: '',
  };
}
