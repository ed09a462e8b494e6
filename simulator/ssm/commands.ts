/** Run Command of one cell: commands, their invocations, and their way through virtual time. */
import {
  type ApiCall,
  ApiError,
  type EventLog,
  type Json,
  type JsonObject,
  type Random,
  type ScriptResult,
} from '../core.ts';
import type { Parameters } from '../parameters.ts';
import type { Command, Invocation, InvocationStatus } from './command.ts';
import { describeCommand, describeInvocation, invocationDetails } from './describe.ts';
import { checkParameters, type DocumentStore, type ShellDocument } from './documents.ts';
import { execute, refuseForeignScript } from './execution.ts';
import { hasPower, type InstanceDirectory } from './nodes.ts';
import { page } from './paging.ts';
import { count, executionSeconds, later, matches, share, uuid, validation } from './values.ts';

const SECOND = 1000;
const DEFAULT_TIMEOUT_SECONDS = 3600;

/** What Run Command needs of the cell it works in. */
export interface CommandContext {
  readonly accountId: string;
  readonly region: string;
  readonly directory: InstanceDirectory;
  readonly documents: DocumentStore;
  readonly random: Random;
  readonly log: EventLog;
  readonly runbooks: () => readonly ShellDocument[];
  /** Longest time until a new command shows. Unit: milliseconds. */
  readonly eventualConsistencyMs: number;
}

const ACTIVE: ReadonlySet<InvocationStatus> = new Set(['Pending', 'InProgress']);
/** Delivery Timed Out does not count against MaxErrors. */
const ERRORS: ReadonlySet<InvocationStatus> = new Set(['Failed', 'ExecutionTimedOut']);

/** Run Command of one account and region. */
export class CommandCenter {
  readonly #context: CommandContext;
  /** Newest first. */
  readonly #commands: Command[] = [];
  /** Not yet handed to an agent, by command. */
  readonly #waiting = new Map<string, Invocation[]>();

  constructor(context: CommandContext) {
    this.#context = context;
  }

  // --- Sending --------------------------------------------------------------------------------------------------------

  /** `given`: the call's structure Parameters, which holds the names that the document declares. */
  send(call: ApiCall, parameters: Parameters, given: Json | undefined): JsonObject {
    const { documents, random, log, accountId, region } = this.#context;
    const ids = parameters.strings('InstanceIds');
    const name = parameters.required('DocumentName');
    const document = documents.resolve(name, parameters.string('DocumentVersion'));
    const hash = parameters.string('DocumentHash');
    const hashType = parameters.string('DocumentHashType') ?? 'Sha256';
    const comment = parameters.string('Comment') ?? '';
    const timeoutSeconds = parameters.integer('TimeoutSeconds', 30, 2_592_000) ?? DEFAULT_TIMEOUT_SECONDS;
    const maxConcurrency = count(
      'MaxConcurrency',
      parameters.string('MaxConcurrency'),
      '50',
      /^([1-9][0-9]{0,6}|[1-9][0-9]%|[1-9]%|100%)$/,
    );
    const maxErrors = count(
      'MaxErrors',
      parameters.string('MaxErrors'),
      '0',
      /^([1-9][0-9]{0,6}|0|[1-9][0-9]%|[0-9]%|100%)$/,
    );
    parameters.done();
    if (ids.length === 0) throw new ApiError('InvalidInstanceId', 'InstanceIds must name at least one instance.');
    if (ids.length > 50) throw validation(`instanceIds: ${ids.length} values, at most 50 are allowed`);
    if (comment.length > 100) throw validation(`comment: ${comment.length} characters, at most 100 are allowed`);
    if (new Set(ids).size !== ids.length) throw new ApiError('DuplicateInstanceId', 'An instance id was given twice.');
    if (hash !== undefined && (hashType !== 'Sha256' || hash !== document.hash)) {
      throw new ApiError(
        'InvalidDocument',
        `The ${hashType} hash does not match version ${document.version} of ${document.name}.`,
      );
    }
    const values = checkParameters(document.parsed, given);
    const nodes = this.#requireNodes(call, ids);
    refuseForeignScript(document, values, this.#context.runbooks());
    const now = Date.now();
    const command: Command = {
      id: uuid(random),
      document,
      values,
      comment,
      requestedAt: now,
      visibleAt: now + random.between(0, this.#context.eventualConsistencyMs),
      timeoutSeconds,
      executionSeconds: executionSeconds(document.parsed, values),
      maxConcurrency,
      maxErrors,
      invocations: [],
      cancelled: false,
    };
    for (const { instanceId, computerName } of nodes) {
      command.invocations.push({
        command,
        instanceId,
        computerName,
        status: 'Pending',
        startedAt: null,
        endedAt: null,
        result: null,
      });
    }
    this.#commands.unshift(command);
    this.#waiting.set(command.id, [...command.invocations]);
    log.record({
      kind: 'ssm',
      what: 'send',
      accountId,
      region,
      detail: { commandId: command.id, document: document.name, comment, instanceIds: ids, values },
    });
    this.#fill(command);
    return { Command: describeCommand(command) };
  }

  /** Refuses the whole call where one id is not a managed node with power, as SSM does. */
  #requireNodes(call: ApiCall, ids: readonly string[]): { instanceId: string; computerName: string }[] {
    const now = Date.now();
    const nodes: { instanceId: string; computerName: string }[] = [];
    const wrong: string[] = [];
    for (const instanceId of ids) {
      const instance = this.#context.directory.find(call.accountId, call.region, instanceId);
      const agent = instance && hasPower(instance) ? instance.machine.agent(now) : null;
      if (!agent?.managed) wrong.push(instanceId);
      else if (agent.platformType !== 'Linux') {
        throw new ApiError('UnsupportedPlatformType', `The document does not support the platform of ${instanceId}.`);
      } else nodes.push({ instanceId, computerName: agent.computerName });
    }
    if (wrong.length > 0)
      throw new ApiError(
        'InvalidInstanceId',
        `Instances [[${wrong.join(', ')}]] not in a valid state for account ${call.accountId}`,
      );
    return nodes;
  }

  // --- Delivering and running -----------------------------------------------------------------------------------------

  #fill(command: Command): void {
    const waiting = this.#waiting.get(command.id) ?? [];
    const inFlight = command.invocations.filter((each) => ACTIVE.has(each.status) && !waiting.includes(each)).length;
    const errors = command.invocations.filter((each) => ERRORS.has(each.status)).length;
    if (errors > share(command.maxErrors, command.invocations.length)) {
      for (const each of waiting.splice(0)) this.#end(each, 'Terminated');
      return;
    }
    const most = Math.max(1, share(command.maxConcurrency, command.invocations.length));
    for (const each of waiting.splice(0, Math.max(0, most - inFlight))) {
      later(this.#context.random.between(500, 2500), () => this.#deliver(each));
    }
  }

  /** The agent fetches the command, or has not come when the time to start is over. */
  #deliver(invocation: Invocation): void {
    const { directory, accountId, region, random, log } = this.#context;
    const { command, instanceId } = invocation;
    if (invocation.status !== 'Pending') return;
    const now = Date.now();
    const expiresAt = command.requestedAt + command.timeoutSeconds * SECOND;
    if (now >= expiresAt) {
      this.#finish(invocation, 'DeliveryTimedOut');
      return;
    }
    const instance = directory.find(accountId, region, instanceId);
    const answering = instance?.state === 'running' && instance.machine.agent(now)?.answering === true;
    if (!instance || !answering) {
      later(Math.min(random.between(5 * SECOND, 15 * SECOND), expiresAt - now), () => this.#deliver(invocation));
      return;
    }
    invocation.status = 'InProgress';
    invocation.startedAt = now;
    log.record({
      kind: 'ssm',
      what: 'invocation-start',
      accountId,
      region,
      instanceId,
      detail: { commandId: command.id },
    });
    const result = execute(instance.machine, now, command.document, command.values);
    const allowedMs = command.executionSeconds * SECOND;
    if (result.hung) this.#stuck(invocation);
    else if (result.milliseconds > allowedMs) later(allowedMs, () => this.#finish(invocation, 'ExecutionTimedOut'));
    else later(result.milliseconds, () => this.#report(invocation, result));
  }

  /** The agent tells how it ended; one that went away meanwhile never does. */
  #report(invocation: Invocation, result: ScriptResult): void {
    const { directory, accountId, region } = this.#context;
    const instance = directory.find(accountId, region, invocation.instanceId);
    if (!instance?.machine.agent(Date.now())?.answering) {
      this.#stuck(invocation);
      return;
    }
    invocation.result = result;
    this.#finish(invocation, result.exitCode === 0 ? 'Success' : 'Failed');
  }

  /** No answer ever comes: SSM calls that Delivery Timed Out when the whole time is over, although it was delivered. */
  #stuck(invocation: Invocation): void {
    const { requestedAt, timeoutSeconds, executionSeconds } = invocation.command;
    const endsAt = requestedAt + (timeoutSeconds + executionSeconds) * SECOND;
    later(endsAt - Date.now(), () => this.#finish(invocation, 'DeliveryTimedOut'));
  }

  #finish(invocation: Invocation, status: InvocationStatus): void {
    if (!ACTIVE.has(invocation.status)) return;
    this.#end(invocation, status);
    this.#fill(invocation.command);
  }

  #end(invocation: Invocation, status: InvocationStatus): void {
    const { log, accountId, region } = this.#context;
    invocation.status = status;
    invocation.endedAt = Date.now();
    const { instanceId, command, result } = invocation;
    const detail = { commandId: command.id, status, exitCode: result?.exitCode ?? null };
    log.record({ kind: 'ssm', what: 'invocation-end', accountId, region, instanceId, detail });
  }

  cancel(parameters: Parameters): JsonObject {
    const command = this.#require(parameters.required('CommandId'));
    const ids = parameters.strings('InstanceIds');
    parameters.done();
    const unknown = ids.find((id) => !command.invocations.some((each) => each.instanceId === id));
    if (unknown !== undefined)
      throw new ApiError('InvalidInstanceId', `${unknown} is no target of command ${command.id}.`);
    const waiting = this.#waiting.get(command.id) ?? [];
    for (const each of command.invocations) {
      if (ids.length > 0 && !ids.includes(each.instanceId)) continue;
      // What runs already runs on: cancelling is best effort.
      if (each.status !== 'Pending') continue;
      const index = waiting.indexOf(each);
      if (index !== -1) waiting.splice(index, 1);
      this.#end(each, 'Cancelled');
    }
    if (ids.length === 0) command.cancelled = true;
    this.#fill(command);
    return {};
  }

  // --- Reading --------------------------------------------------------------------------------------------------------

  #visible(): readonly Command[] {
    const now = Date.now();
    return this.#commands.filter((command) => command.visibleAt <= now);
  }

  #require(commandId: string): Command {
    const command = this.#commands.find((each) => each.id === commandId);
    if (!command) throw new ApiError('InvalidCommandId', `The command ${commandId} does not exist.`);
    return command;
  }

  listCommands(call: ApiCall, parameters: Parameters): JsonObject {
    const chosen = this.#chosen(call, parameters);
    const size = parameters.integer('MaxResults', 1, 50) ?? 50;
    const token = parameters.string('NextToken');
    parameters.done();
    const commands = this.#visible().filter(
      (command) => chosen.command(command) && command.invocations.some(chosen.invocation),
    );
    const { items, NextToken } = page(call, commands, (command) => command.id, size, token);
    return { Commands: items.map(describeCommand), ...(NextToken === undefined ? {} : { NextToken }) };
  }

  listInvocations(call: ApiCall, parameters: Parameters): JsonObject {
    const chosen = this.#chosen(call, parameters);
    const details = parameters.boolean('Details');
    const size = parameters.integer('MaxResults', 1, 50) ?? 50;
    const token = parameters.string('NextToken');
    parameters.done();
    const invocations = this.#visible()
      .filter(chosen.command)
      .flatMap((command) => command.invocations)
      .filter(chosen.invocation);
    const idOf = (each: Invocation) => `${each.command.id} ${each.instanceId}`;
    const { items, NextToken } = page(call, invocations, idOf, size, token);
    return {
      CommandInvocations: items.map((each) => describeInvocation(each, details)),
      ...(NextToken === undefined ? {} : { NextToken }),
    };
  }

  /** What ListCommands and ListCommandInvocations are asked for. */
  #chosen(call: ApiCall, parameters: Parameters) {
    const commandId = parameters.string('CommandId');
    const instanceId = parameters.string('InstanceId');
    const filters = parameters.objects('Filters').map(({ key, value, ...rest }) => {
      if (Object.keys(rest).length > 0 || typeof key !== 'string' || typeof value !== 'string') {
        throw new ApiError('InvalidFilterKey', 'A filter needs a key and a value.');
      }
      return { key, value };
    });
    if (commandId !== undefined) this.#require(commandId);
    return {
      command: (command: Command) =>
        (commandId === undefined || command.id === commandId) &&
        filters.every((filter) => matches(call, command, filter)),
      invocation: (each: Invocation) => instanceId === undefined || each.instanceId === instanceId,
    };
  }

  getInvocation(parameters: Parameters): JsonObject {
    const commandId = parameters.required('CommandId');
    const instanceId = parameters.required('InstanceId');
    parameters.string('PluginName');
    parameters.done();
    const command = this.#require(commandId);
    const invocation = command.invocations.find((each) => each.instanceId === instanceId);
    if (!invocation || command.visibleAt > Date.now()) {
      throw new ApiError('InvocationDoesNotExist', `No invocation of ${commandId} on ${instanceId}.`);
    }
    return invocationDetails(invocation);
  }
}
