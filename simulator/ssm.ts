/**
 * AWS Systems Manager of the embedded region: managed nodes, documents, Run Command and Change Calendar, as documented.
 * Commands take virtual time, and each machine's script runs at its own instant of it.
 */
import {
  type ApiCall,
  ApiError,
  type EventLog,
  type JsonObject,
  notModelled,
  type Random,
  type Service,
} from './core.ts';
import { Parameters } from './parameters.ts';
import { CommandCenter } from './ssm/commands.ts';
import { DocumentStore, parseDocument, type ShellDocument } from './ssm/documents.ts';
import type { Runbook } from './ssm/execution.ts';
import { describeInstanceInformation, type InstanceDirectory, PingWatch } from './ssm/nodes.ts';

export type { Runbook } from './ssm/execution.ts';
export type { DirectoryInstance, InstanceDirectory } from './ssm/nodes.ts';

export interface SsmOptions {
  readonly directory: InstanceDirectory;
  /** A stream of its own. */
  readonly random: Random;
  readonly log: EventLog;
  /** Longest time until a new command shows in list and get calls; default 1500. Unit: milliseconds. */
  readonly eventualConsistencyMs?: number;
}

interface Cell {
  readonly documents: DocumentStore;
  readonly commands: CommandCenter;
  readonly watch: PingWatch;
  readonly calendars: Map<string, 'OPEN' | 'CLOSED'>;
}

const MUTATING: ReadonlySet<string> = new Set([
  'SendCommand',
  'CancelCommand',
  'CreateDocument',
  'UpdateDocument',
  'UpdateDocumentDefaultVersion',
]);

/** SSM as a service of the cloud. */
export class SsmService implements Service {
  readonly name = 'ssm';
  readonly protocol = 'json-1.1';
  readonly #options: SsmOptions;
  readonly #cells = new Map<string, Cell>();
  readonly #runbooks: ShellDocument[] = [];

  constructor(options: SsmOptions) {
    this.#options = options;
  }

  isMutating(action: string): boolean {
    return MUTATING.has(action);
  }

  /**
   * Lets machines run this runbook: a document is only ever executed when its script equals that of a registered one.
   * @throws RangeError when the document does not carry the script: the world would run something else than the file.
   */
  registerRunbook(runbook: Runbook): void {
    const parsed = parseDocument(runbook.content);
    const body = runbook.script.replace(/^#![^\n]*\n/, '').trimEnd();
    if (!parsed.runCommand.join('\n').includes(body)) {
      throw new RangeError(`the document ${runbook.name} does not carry the script it is registered with`);
    }
    this.#runbooks.push(parsed);
  }

  /** A Change Calendar of a cell, by name or ARN as the caller will ask for it. */
  setCalendar(accountId: string, region: string, name: string, state: 'OPEN' | 'CLOSED'): void {
    this.#cell(accountId, region).calendars.set(name, state);
  }

  handle(call: ApiCall): JsonObject {
    try {
      return this.#answer(call, this.#cell(call.accountId, call.region));
    } catch (error) {
      // The parameters are read by what all services share; SSM words the same refusals in its own way.
      if (error instanceof ApiError && (error.code === 'InvalidParameterValue' || error.code === 'MissingParameter')) {
        throw new ApiError('ValidationException', `1 validation error detected: ${error.message}`);
      }
      throw error;
    }
  }

  #answer(call: ApiCall, cell: Cell): JsonObject {
    const { Parameters: given, ...rest } = call.params;
    const parameters = new Parameters(call, call.action === 'SendCommand' ? rest : call.params);
    switch (call.action) {
      case 'DescribeInstanceInformation':
        return describeInstanceInformation(call, parameters, this.#options.directory, cell.watch);
      case 'SendCommand':
        return cell.commands.send(call, parameters, given);
      case 'ListCommands':
        return cell.commands.listCommands(call, parameters);
      case 'ListCommandInvocations':
        return cell.commands.listInvocations(call, parameters);
      case 'GetCommandInvocation':
        return cell.commands.getInvocation(parameters);
      case 'CancelCommand':
        return cell.commands.cancel(parameters);
      case 'CreateDocument':
        return cell.documents.create(call, parameters);
      case 'UpdateDocument':
        return cell.documents.update(call, parameters);
      case 'UpdateDocumentDefaultVersion':
        return cell.documents.updateDefault(parameters);
      case 'DescribeDocument':
        return cell.documents.describe(call, parameters);
      case 'GetDocument':
        return cell.documents.get(call, parameters);
      case 'GetCalendarState':
        return calendarState(call, parameters, cell.calendars);
      default:
        return notModelled(call, 'the action');
    }
  }

  #cell(accountId: string, region: string): Cell {
    const key = `${accountId}/${region}`;
    let cell = this.#cells.get(key);
    if (!cell) {
      const { directory, log } = this.#options;
      const random = this.#options.random.fork(key);
      const documents = new DocumentStore();
      const commands = new CommandCenter({
        accountId,
        region,
        directory,
        documents,
        random: random.fork('commands'),
        log,
        runbooks: () => this.#runbooks,
        eventualConsistencyMs: this.#options.eventualConsistencyMs ?? 1500,
      });
      cell = { documents, commands, watch: new PingWatch(), calendars: new Map() };
      this.#cells.set(key, cell);
    }
    return cell;
  }
}

/** OPEN only when all calendars are open. */
function calendarState(call: ApiCall, parameters: Parameters, calendars: Cell['calendars']): JsonObject {
  const names = parameters.strings('CalendarNames');
  if (parameters.string('AtTime') !== undefined) notModelled(call, 'AtTime');
  parameters.done();
  if (names.length === 0) throw new ApiError('ValidationException', 'CalendarNames must name at least one calendar.');
  const states = names.map((name) => {
    const state = calendars.get(name);
    if (!state) throw new ApiError('InvalidDocument', `The calendar ${name} does not exist.`);
    return state;
  });
  return {
    State: states.includes('CLOSED') ? 'CLOSED' : 'OPEN',
    AtTime: new Date(Date.now()).toISOString(),
  };
}
