/** CloudWatch Logs of the embedded cloud: groups, streams and events, with the limits of PutLogEvents. */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from './core.ts';
import { messageFilter } from './logs/filter-pattern.ts';
import { Parameters } from './parameters.ts';

/** One line of a log. Times are epoch milliseconds. */
export interface LogEvent {
  readonly timestamp: number;
  readonly message: string;
  readonly ingestedAt: number;
  readonly id: string;
}

interface Stream {
  readonly name: string;
  readonly createdAt: number;
  readonly events: LogEvent[];
}

interface Group {
  readonly name: string;
  readonly createdAt: number;
  readonly arn: string;
  retentionDays: number | null;
  readonly streams: Map<string, Stream>;
}

const mostEvents = 10_000;
/** Of a request, each event with 26 bytes more; and of one event. Unit: bytes. */
const largestBatch = 1_048_576;
const perEvent = 26;
const hour = 3_600_000;
const day = 24 * hour;
const retentions = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const invalid = (message: string) => new ApiError('InvalidParameterException', message);

/** CloudWatch Logs as a service of the cloud. */
export class LogsService implements Service {
  readonly name = 'logs';
  readonly protocol = 'json-1.1';
  /** `account/region/group`. */
  readonly #groups = new Map<string, Group>();
  #events = 0;

  isMutating(action: string): boolean {
    return !/^(Describe|Get|Filter)/.test(action);
  }

  /** Makes a group as a deployment does. */
  createLogGroup(accountId: string, region: string, name: string): void {
    if (!/^[.\-_/#A-Za-z0-9]{1,512}$/.test(name)) throw invalid(`logGroupName ${name} is no valid name`);
    const key = `${accountId}/${region}/${name}`;
    if (this.#groups.has(key)) {
      throw new ApiError('ResourceAlreadyExistsException', 'The specified log group already exists');
    }
    const arn = `arn:aws:logs:${region}:${accountId}:log-group:${name}`;
    this.#groups.set(key, { name, arn, createdAt: Date.now(), retentionDays: null, streams: new Map() });
  }

  /** All messages of a group in order of time, for tests to read. */
  messages(accountId: string, region: string, name: string): readonly string[] {
    const group = this.#groups.get(`${accountId}/${region}/${name}`);
    return sorted([...(group?.streams.values() ?? [])].flatMap(({ events }) => events)).map(({ message }) => message);
  }

  handle(call: ApiCall): JsonObject {
    const parameters = new Parameters(call);
    switch (call.action) {
      case 'CreateLogGroup': {
        const name = parameters.required('logGroupName');
        parameters.done();
        this.createLogGroup(call.accountId, call.region, name);
        return {};
      }
      case 'PutRetentionPolicy':
        return this.#retain(call, parameters);
      case 'DescribeLogGroups':
        return this.#describeGroups(call, parameters);
      case 'CreateLogStream':
        return this.#createStream(call, parameters);
      case 'DescribeLogStreams':
        return this.#describeStreams(call, parameters);
      case 'PutLogEvents':
        return this.#put(call, parameters);
      case 'GetLogEvents':
        return this.#get(call, parameters);
      case 'FilterLogEvents':
        return this.#filter(call, parameters);
      default:
        return notModelled(call, 'the action');
    }
  }

  /** By name, or by ARN where the parameter is an identifier. */
  #group(call: ApiCall, parameters: Parameters): Group {
    const identifier = parameters.string('logGroupIdentifier');
    const name = identifier?.replace(/^.*:log-group:/, '').replace(/:\*$/, '') ?? parameters.required('logGroupName');
    const group = this.#groups.get(`${call.accountId}/${call.region}/${name}`);
    if (!group) throw new ApiError('ResourceNotFoundException', 'The specified log group does not exist.');
    return group;
  }

  #stream(group: Group, name: string): Stream {
    const stream = group.streams.get(name);
    if (!stream) throw new ApiError('ResourceNotFoundException', 'The specified log stream does not exist.');
    return stream;
  }

  #retain(call: ApiCall, parameters: Parameters): JsonObject {
    const group = this.#group(call, parameters);
    const days = parameters.integer('retentionInDays', 1, 3653) ?? 0;
    parameters.done();
    if (!retentions.includes(days)) throw invalid(`retentionInDays ${days} is not one of ${retentions.join(', ')}`);
    group.retentionDays = days;
    return {};
  }

  #describeGroups(call: ApiCall, parameters: Parameters): JsonObject {
    const prefix = parameters.string('logGroupNamePrefix') ?? '';
    const most = parameters.integer('limit', 1, 50) ?? 50;
    const from = tokenOf(parameters);
    parameters.done();
    const at = `${call.accountId}/${call.region}/`;
    const found = [...this.#groups.entries()]
      .filter(([key, { name }]) => key === at + name && name.startsWith(prefix))
      .map(([, group]) => group)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return {
      logGroups: found.slice(from, from + most).map(({ name, arn, createdAt, retentionDays, streams }) => ({
        logGroupName: name,
        arn: `${arn}:*`,
        logGroupArn: arn,
        creationTime: createdAt,
        storedBytes: [...streams.values()].reduce((sum, { events }) => sum + bytesOf(events), 0),
        ...(retentionDays === null ? {} : { retentionInDays: retentionDays }),
      })),
      ...next(from + most, found.length),
    };
  }

  #createStream(call: ApiCall, parameters: Parameters): JsonObject {
    const group = this.#group(call, parameters);
    const name = parameters.required('logStreamName');
    parameters.done();
    if (name.length > 512 || /[:*]/.test(name)) throw invalid(`logStreamName ${name} is no valid name`);
    if (group.streams.has(name)) {
      throw new ApiError('ResourceAlreadyExistsException', 'The specified log stream already exists');
    }
    group.streams.set(name, { name, createdAt: Date.now(), events: [] });
    return {};
  }

  #describeStreams(call: ApiCall, parameters: Parameters): JsonObject {
    const group = this.#group(call, parameters);
    const prefix = parameters.string('logStreamNamePrefix') ?? '';
    const orderBy = parameters.string('orderBy') ?? 'LogStreamName';
    const descending = parameters.boolean('descending');
    const most = parameters.integer('limit', 1, 50) ?? 50;
    const from = tokenOf(parameters);
    parameters.done();
    if (prefix !== '' && orderBy === 'LastEventTime')
      throw invalid('Cannot order by LastEventTime with a logStreamNamePrefix.');
    const streams = [...group.streams.values()].filter(({ name }) => name.startsWith(prefix));
    const lastOf = ({ events }: Stream) => Math.max(0, ...events.map(({ timestamp }) => timestamp));
    streams.sort((a, b) => (orderBy === 'LastEventTime' ? lastOf(a) - lastOf(b) : a.name < b.name ? -1 : 1));
    if (descending) streams.reverse();
    return {
      logStreams: streams.slice(from, from + most).map((stream) => ({
        logStreamName: stream.name,
        creationTime: stream.createdAt,
        arn: `${group.arn}:log-stream:${stream.name}`,
        ...(stream.events.length === 0
          ? {}
          : {
              firstEventTimestamp: Math.min(...stream.events.map(({ timestamp }) => timestamp)),
              lastEventTimestamp: lastOf(stream),
              lastIngestionTime: stream.events.at(-1)?.ingestedAt,
            }),
      })),
      ...next(from + most, streams.length),
    };
  }

  #put(call: ApiCall, parameters: Parameters): JsonObject {
    const stream = this.#stream(this.#group(call, parameters), parameters.required('logStreamName'));
    const events = parameters.objects('logEvents').map((event) => ({
      timestamp: Number(event.timestamp),
      message: typeof event.message === 'string' ? event.message : '',
    }));
    // The service ignores it, and has accepted any since 2023.
    parameters.string('sequenceToken');
    parameters.done();
    checkBatch(events);
    const now = Date.now();
    const tooOld = events.filter(({ timestamp }) => timestamp < now - 14 * day).length;
    const tooNew = events.findIndex(({ timestamp }) => timestamp > now + 2 * hour);
    const accepted = events.slice(tooOld, tooNew === -1 ? undefined : tooNew);
    for (const event of accepted)
      stream.events.push({ ...event, ingestedAt: now, id: String(++this.#events).padStart(56, '0') });
    return {
      nextSequenceToken: String(this.#events),
      ...(tooOld > 0 || tooNew !== -1
        ? {
            rejectedLogEventsInfo: {
              ...(tooOld > 0 ? { tooOldLogEventEndIndex: tooOld } : {}),
              ...(tooNew !== -1 ? { tooNewLogEventStartIndex: tooNew } : {}),
            },
          }
        : {}),
    };
  }

  #get(call: ApiCall, parameters: Parameters): JsonObject {
    const stream = this.#stream(this.#group(call, parameters), parameters.required('logStreamName'));
    const within = timeRange(parameters, false);
    const most = parameters.integer('limit', 1, mostEvents) ?? mostEvents;
    const fromHead = parameters.boolean('startFromHead');
    const token = parameters.string('nextToken');
    parameters.done();
    const events = sorted(stream.events.filter(within));
    const [, side, at] = token === undefined ? [] : (/^([fb])\/(\d+)$/.exec(token) ?? refuseToken());
    const from =
      side === 'f'
        ? Number(at)
        : side === 'b'
          ? Math.max(0, Number(at) - most)
          : fromHead
            ? 0
            : Math.max(0, events.length - most);
    const to = side === 'b' ? Number(at) : Math.min(events.length, from + most);
    return {
      events: events
        .slice(from, to)
        .map(({ timestamp, message, ingestedAt }) => ({ timestamp, message, ingestionTime: ingestedAt })),
      nextForwardToken: `f/${to}`,
      nextBackwardToken: `b/${from}`,
    };
  }

  #filter(call: ApiCall, parameters: Parameters): JsonObject {
    const group = this.#group(call, parameters);
    const names = parameters.strings('logStreamNames');
    const prefix = parameters.string('logStreamNamePrefix');
    const within = timeRange(parameters, true);
    const matches = messageFilter(parameters.string('filterPattern') ?? '');
    const most = parameters.integer('limit', 1, mostEvents) ?? mostEvents;
    const from = tokenOf(parameters);
    parameters.boolean('interleaved');
    parameters.done();
    if (names.length > 0 && prefix !== undefined)
      throw invalid('logStreamNames and logStreamNamePrefix exclude each other.');
    for (const name of names) this.#stream(group, name);
    const found = [...group.streams.values()]
      .filter(({ name }) => (names.length === 0 || names.includes(name)) && name.startsWith(prefix ?? ''))
      .flatMap(({ name, events }) => events.filter(within).map((event) => ({ ...event, name })))
      .filter(({ message }) => matches(message))
      .toSorted((a, b) => a.timestamp - b.timestamp || (a.id < b.id ? -1 : 1));
    return {
      events: found.slice(from, from + most).map(({ name, timestamp, message, ingestedAt, id }) => ({
        logStreamName: name,
        timestamp,
        message,
        ingestionTime: ingestedAt,
        eventId: id,
      })),
      searchedLogStreams: [],
      ...next(from + most, found.length),
    };
  }
}

function checkBatch(events: readonly { readonly timestamp: number; readonly message: string }[]): void {
  if (events.length === 0 || events.length > mostEvents)
    throw invalid(`logEvents must have 1 to ${mostEvents} members`);
  if (events.some(({ message }) => message === '')) throw invalid('Log event message must not be empty.');
  if (events.some(({ timestamp }) => !Number.isInteger(timestamp) || timestamp < 0))
    throw invalid('timestamp is not a time');
  if (bytesOf(events) > largestBatch)
    throw invalid(`Upload too large: ${bytesOf(events)} bytes exceeds limit of ${largestBatch}`);
  const times = events.map(({ timestamp }) => timestamp);
  if (times.some((time, index) => time < (times[index - 1] ?? 0))) {
    throw invalid('Log events in a single PutLogEvents request must be in chronological order.');
  }
  if ((times.at(-1) ?? 0) - (times[0] ?? 0) > day) {
    throw invalid('The batch of log events in a single PutLogEvents request cannot span more than 24 hours.');
  }
}

function bytesOf(events: readonly { readonly message: string }[]): number {
  return events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + perEvent, 0);
}

function sorted(events: readonly LogEvent[]): readonly LogEvent[] {
  return events.toSorted((a, b) => a.timestamp - b.timestamp || (a.id < b.id ? -1 : 1));
}

/** `startTime` is included; `endTime` is for FilterLogEvents and is not for GetLogEvents. */
function timeRange(parameters: Parameters, includesEnd: boolean): (event: LogEvent) => boolean {
  const from = parameters.integer('startTime', 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const to = parameters.integer('endTime', 0, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
  return ({ timestamp }) => timestamp >= from && (timestamp < to || (includesEnd && timestamp === to));
}

function tokenOf(parameters: Parameters): number {
  const token = parameters.string('nextToken') ?? '0';
  return /^\d+$/.test(token) ? Number(token) : refuseToken();
}

function refuseToken(): never {
  throw invalid('The specified nextToken is invalid.');
}

function next(to: number, length: number): JsonObject {
  return to < length ? { nextToken: String(to) } : {};
}
