/** SNS of the embedded cloud: Publish, and what was published, for tests to read. */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from './core.ts';
import { Parameters } from './parameters.ts';

/** A message as its subscribers would get it. */
export interface PublishedMessage {
  readonly topicArn: string;
  readonly subject: string | null;
  readonly message: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Unit: bytes. */
const largestMessage = 256 * 1024;

/** SNS as a service of the cloud. */
export class SnsService implements Service {
  readonly name = 'sns';
  readonly protocol = 'aws-query';
  readonly messages: PublishedMessage[] = [];
  readonly #topics = new Set<string>();

  createTopic(arn: string): void {
    this.#topics.add(arn);
  }

  isMutating(): boolean {
    return true;
  }

  handle(call: ApiCall): JsonObject {
    if (call.action !== 'Publish') return notModelled(call, 'the action');
    const parameters = new Parameters(call);
    const topicArn = parameters.required('TopicArn');
    const message = parameters.string('Message') ?? '';
    const subject = parameters.string('Subject') ?? null;
    parameters.done();
    const refuse = (why: string) => new ApiError('InvalidParameter', `Invalid parameter: ${why}`);
    if (message === '') throw refuse('Empty message');
    if (Buffer.byteLength(message) > largestMessage) throw refuse('Message too long');
    // Documented as less than 100 characters.
    if (subject !== null && !/^[!-~][ -~]{0,98}$/.test(subject)) throw refuse('Subject');
    if (!this.#topics.has(topicArn)) throw new ApiError('NotFound', 'Topic does not exist', 404);
    this.messages.push({ topicArn, subject, message, at: Date.now() });
    return { MessageId: `message-${this.messages.length}` };
  }
}
