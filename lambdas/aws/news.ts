/** Telling people and machines: log records, events, notifications. */
import {
  type CloudWatchLogsClient,
  CreateLogStreamCommand,
  type InputLogEvent,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import type { Answer, NewsPort } from '../../domain/ports.ts';
import { answered, type Called, type Caller, mapAnswer, refused } from './call.ts';
import type { Deployment } from './deployment.ts';
import { callError, oneLine } from './errors.ts';

/** PutLogEvents: at most so many events and bytes a batch, each event counting 26 bytes more, and bytes an event. */
const EVENTS_PER_BATCH = 10_000;
const BYTES_PER_BATCH = 1_048_576;
const EVENT_OVERHEAD = 26;
const BYTES_PER_EVENT = 256 * 1024 - EVENT_OVERHEAD;
/** An EventBridge entry and an SNS message. Some room is left for the rest of the entry. */
const BYTES_PER_MESSAGE = 250_000;
/** Characters of an SNS subject are fewer than 100. */
const SUBJECT = 99;

/** Source of the service's events on the bus. */
export const EVENT_SOURCE = 'audit-backlog-remediation';

export interface NewsClients {
  readonly logs: CloudWatchLogsClient;
  readonly events: EventBridgeClient;
  readonly sns: SNSClient;
}

export function createNews(
  { logs, events, sns }: NewsClients,
  caller: Caller,
  { logGroupName, eventBusName, topicArn }: Pick<Deployment, 'logGroupName' | 'eventBusName' | 'topicArn'>,
): NewsPort {
  async function putBatch(logStreamName: string, logEvents: InputLogEvent[]): Promise<Called<null>> {
    const answer = await caller.call({
      call: 'logs:PutLogEvents',
      // A record that stands there twice does less harm than one that is missing.
      effect: 'repeatable',
      send: (options) => logs.send(new PutLogEventsCommand({ logGroupName, logStreamName, logEvents }), options),
    });
    if (!answer.ok) return answer;
    const rejected = answer.value.rejectedLogEventsInfo;
    if (!rejected) return answered(null);
    const message = `events were rejected: ${JSON.stringify(rejected)}`;
    return problem(
      'logs:PutLogEvents',
      'RejectedLogEvents',
      message,
      "check the retention of the log group and the function's clock",
    );
  }

  async function createStream(logStreamName: string): Promise<Called<null>> {
    const answer = await caller.call({
      call: 'logs:CreateLogStream',
      effect: 'repeatable',
      send: (options) => logs.send(new CreateLogStreamCommand({ logGroupName, logStreamName }), options),
    });
    if (answer.ok || answer.error.code === 'ResourceAlreadyExistsException') return answered(null);
    if (answer.error.code !== 'ResourceNotFoundException') return answer;
    return problem(
      'logs:CreateLogStream',
      answer.error.code,
      answer.error.message,
      `deploy the stack: there is no log group ${logGroupName}`,
    );
  }

  return {
    async record(stream, records): Promise<Answer<null>> {
      const streamName = stream.replace(/[:*]/g, '_').slice(0, 512);
      const timestamp = Date.now();
      for (const batch of batchesOf(records.map((record) => ({ timestamp, message: messageOf(record) })))) {
        let answer = await putBatch(streamName, batch);
        if (!answer.ok && answer.error.code === 'ResourceNotFoundException') {
          const created = await createStream(streamName);
          if (!created.ok) return created;
          answer = await putBatch(streamName, batch);
        }
        if (!answer.ok) return answer;
      }
      return answered(null);
    },

    async publish(detailType, detail): Promise<Answer<null>> {
      const text = JSON.stringify(detail);
      const bytes = Buffer.byteLength(text);
      if (bytes > BYTES_PER_MESSAGE) {
        const message = `the event "${detailType}" has ${bytes} bytes; EventBridge takes 256 KB`;
        return problem('events:PutEvents', 'EventTooLarge', message, 'report it: an event holds totals and no lists');
      }
      const answer = await caller.call({
        call: 'events:PutEvents',
        effect: 'repeatable',
        send: (options) =>
          events.send(
            new PutEventsCommand({
              Entries: [{ EventBusName: eventBusName, Source: EVENT_SOURCE, DetailType: detailType, Detail: text }],
            }),
            options,
          ),
      });
      if (!answer.ok) return answer;
      if (!answer.value.FailedEntryCount) return answered(null);
      const entry = answer.value.Entries?.[0];
      const next = `check the event bus ${eventBusName} and the permission events:PutEvents on it`;
      return problem(
        'events:PutEvents',
        entry?.ErrorCode ?? 'FailedEntry',
        entry?.ErrorMessage ?? 'it was not taken',
        next,
      );
    },

    async notify(subject, text): Promise<Answer<null>> {
      if (topicArn === null) return answered(null);
      const answer = await caller.call({
        call: 'sns:Publish',
        effect: 'repeatable',
        send: (options) =>
          sns.send(
            new PublishCommand({ TopicArn: topicArn, Subject: subjectOf(subject), Message: cutToBytes(text) }),
            options,
          ),
      });
      return mapAnswer(answer, () => null);
    },
  };
}

function problem(call: string, code: string, message: string, next: string) {
  return refused(callError({ call, code, message: oneLine(message, 400), next }));
}

/** A record as one line; one that is too large for a log event says so in its place. */
function messageOf(record: object): string {
  const message = JSON.stringify(record);
  const bytes = Buffer.byteLength(message);
  if (bytes <= BYTES_PER_EVENT) return message;
  return JSON.stringify({ schema: 1, truncated: true, bytes, head: message.slice(0, 2000) });
}

function* batchesOf(events: readonly (InputLogEvent & { message: string })[]): Generator<InputLogEvent[]> {
  let batch: InputLogEvent[] = [];
  let size = 0;
  for (const event of events) {
    const bytes = Buffer.byteLength(event.message) + EVENT_OVERHEAD;
    if (batch.length === EVENTS_PER_BATCH || size + bytes > BYTES_PER_BATCH) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(event);
    size += bytes;
  }
  if (batch.length > 0) yield batch;
}

/** An SNS subject: printable ASCII on one line that begins with a letter, a number or a punctuation mark. */
function subjectOf(subject: string): string {
  const ascii = oneLine(subject, 1000)
    .replace(/[^\x20-\x7e]/g, '?')
    .trim();
  return (ascii === '' ? 'Audit backlog' : ascii).slice(0, SUBJECT).trim();
}

/** The beginning of a text that fits a message, cut between characters. */
function cutToBytes(text: string): string {
  const bytes = Buffer.from(text === '' ? ' ' : text);
  if (bytes.length <= BYTES_PER_MESSAGE) return bytes.toString();
  return new TextDecoder().decode(bytes.subarray(0, BYTES_PER_MESSAGE), { stream: true });
}
