/** EventBridge of the embedded cloud: PutEvents, and what was put, for tests to read. */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from './core.ts';
import { Parameters } from './parameters.ts';

/** An event that reached its bus. */
export interface BusEvent {
  readonly busName: string;
  readonly source: string;
  readonly detailType: string;
  readonly detail: JsonObject;
  readonly resources: readonly string[];
  /** Epoch milliseconds. */
  readonly at: number;
}

const mostEntries = 10;
/** Of all entries of a request. Unit: bytes. */
const largestRequest = 256 * 1024;

interface EntryError {
  readonly ErrorCode: string;
  readonly ErrorMessage: string;
}

/** EventBridge as a service of the cloud. */
export class EventBridgeService implements Service {
  readonly name = 'events';
  readonly protocol = 'json-1.1';
  readonly events: BusEvent[] = [];
  readonly #fails: (event: BusEvent) => boolean;

  /** @param fails Which events EventBridge itself drops with an internal error; default: none. */
  constructor(fails: (event: BusEvent) => boolean = () => false) {
    this.#fails = fails;
  }

  isMutating(): boolean {
    return true;
  }

  handle(call: ApiCall): JsonObject {
    if (call.action !== 'PutEvents') return notModelled(call, 'the action');
    const parameters = new Parameters(call);
    const entries = parameters.objects('Entries');
    parameters.done();
    if (entries.length === 0 || entries.length > mostEntries) {
      throw new ApiError(
        'ValidationException',
        `1 validation error detected: entries must have 1 to ${mostEntries} members`,
      );
    }
    if (entries.reduce((sum, entry) => sum + Buffer.byteLength(JSON.stringify(entry)), 0) > largestRequest) {
      throw new ApiError(
        'ValidationException',
        `Total size of the entries in the request is over the limit of ${largestRequest} bytes.`,
      );
    }
    const answers = entries.map((entry) => this.#put(call, entry));
    return {
      FailedEntryCount: answers.filter((answer) => 'ErrorCode' in answer).length,
      Entries: answers as readonly JsonObject[],
    };
  }

  /** One bad entry does not concern the others: it is answered where it stood. */
  #put(call: ApiCall, entry: JsonObject): EntryError | { readonly EventId: string } {
    const fields = new Parameters(call, entry);
    const source = fields.string('Source') ?? '';
    const detailType = fields.string('DetailType') ?? '';
    const text = fields.string('Detail') ?? '';
    const busName = fields.string('EventBusName') ?? 'default';
    const resources = fields.strings('Resources');
    fields.string('Time');
    fields.done();
    if (!source || !detailType || !text) {
      return { ErrorCode: 'InvalidArgument', ErrorMessage: 'Source, DetailType and Detail are required.' };
    }
    if (source.startsWith('aws.')) {
      return { ErrorCode: 'NotAuthorizedForSourceException', ErrorMessage: 'Not authorized for the source.' };
    }
    const detail = objectOf(text);
    if (!detail) return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };
    const event: BusEvent = { busName, source, detailType, detail, resources, at: Date.now() };
    if (this.#fails(event)) return { ErrorCode: 'InternalFailure', ErrorMessage: 'Internal failure.' };
    this.events.push(event);
    return { EventId: `event-${this.events.length}` };
  }
}

function objectOf(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
  } catch {
    return null;
  }
}
