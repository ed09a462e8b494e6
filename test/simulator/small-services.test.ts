import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { CloudWatchClient, DescribeAlarmsCommand, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import {
  GetDurableExecutionCommand,
  InvokeCommand,
  LambdaClient,
  ListDurableExecutionsByFunctionCommand,
  StopDurableExecutionCommand,
} from '@aws-sdk/client-lambda';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { EmbeddedCloud } from '../../simulator/cloud.ts';
import { EventLog } from '../../simulator/core.ts';
import { CrashPlan, type CrashPoint } from '../../simulator/engine/crash-plan.ts';
import { DurableEngine } from '../../simulator/engine/durable-engine.ts';
import { EventBridgeService } from '../../simulator/events.ts';
import { LambdaService } from '../../simulator/lambda.ts';
import { CloudWatchService } from '../../simulator/monitoring.ts';
import { SnsService } from '../../simulator/sns.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';
import { clientOptions, HOME, makeCloud, REGION } from './support/cloud.ts';

const silent = { info() {}, warn() {}, error() {}, debug() {}, log() {} };

describe('Lambda', () => {
  let time: VirtualTime;
  beforeEach(() => {
    time = VirtualTime.install({ seed: 1 });
  });
  afterEach(() => time.uninstall());

  function world(points: readonly CrashPoint[] = []) {
    const log = new EventLog();
    const engine = new DurableEngine({ accountId: HOME, region: REGION, log, crashPlan: new CrashPlan(points) });
    const cloud = new EmbeddedCloud({ seed: 1, homeAccountId: HOME, log, faults: engine.crashes() });
    const sns = new SnsService();
    sns.createTopic('arn:topic');
    cloud.register(sns);
    cloud.register(new LambdaService(engine));
    const client = new LambdaClient(clientOptions(cloud));
    const durable = (name: string, executionTimeoutSeconds: number) =>
      engine.registerDurable({ name, aliases: ['live'], executionTimeoutSeconds }, ({ durableExecutionClient }) =>
        withDurableExecution(
          async (event: { seconds: number }, context: DurableContext) => {
            context.configureLogger({ customLogger: silent });
            if (event.seconds < 0) throw new RangeError('no such time');
            await context.wait('nap', { seconds: event.seconds });
            return { slept: event.seconds };
          },
          { durableExecutionClient },
        ),
      );
    durable('long', 86_400);
    durable('short', 900);
    return { engine, cloud, client, sns, log };
  }

  async function finished<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const mark = () => {
      done = true;
    };
    promise.then(mark, mark);
    await time.drive(() => done);
    return promise;
  }

  const invoke = (input: Partial<InvokeCommand['input']>) =>
    new InvokeCommand({ FunctionName: 'long:live', Payload: Buffer.from('{"seconds":60}'), ...input });

  test('an execution is started by name, followed, listed and stopped', async () => {
    const { client } = world();
    const asked = { InvocationType: 'Event', DurableExecutionName: 'run-1' } as const;
    const started = await finished(client.send(invoke(asked)));
    expect([started.StatusCode, started.ExecutedVersion]).toEqual([202, '1']);
    const again = await finished(client.send(invoke(asked)));
    expect(again.DurableExecutionArn).toBe(started.DurableExecutionArn);
    const other = client.send(invoke({ ...asked, Payload: Buffer.from('{"seconds":61}') }));
    await expect(finished(other)).rejects.toMatchObject({ name: 'DurableExecutionAlreadyStartedException' });
    const get = new GetDurableExecutionCommand({ DurableExecutionArn: started.DurableExecutionArn });
    expect(await finished(client.send(get))).toMatchObject({ Status: 'RUNNING', InputPayload: '{"seconds":60}' });
    const until = Date.now() + 120_000;
    setTimeout(() => undefined, 120_000);
    await time.drive(() => Date.now() >= until);
    expect(await finished(client.send(get))).toMatchObject({
      Status: 'SUCCEEDED',
      Result: '{"slept":60}',
      StartTimestamp: expect.any(Date),
    });
    const short = new GetDurableExecutionCommand({ ...get.input, IncludeExecutionData: false });
    const metadata = await finished(client.send(short));
    expect(metadata).toMatchObject({ Status: 'SUCCEEDED', ExecutionDataIncluded: false });
    expect([metadata.InputPayload, metadata.Result]).toEqual([undefined, undefined]);
    const next = await finished(client.send(invoke({ InvocationType: 'Event', DurableExecutionName: 'run-2' })));
    await finished(client.send(new StopDurableExecutionCommand({ DurableExecutionArn: next.DurableExecutionArn })));
    const list = await finished(
      client.send(new ListDurableExecutionsByFunctionCommand({ FunctionName: 'long', Statuses: ['STOPPED'] })),
    );
    expect(list.DurableExecutions?.map((one) => one.DurableExecutionName)).toEqual(['run-2']);
  });

  test('a long durable function cannot be waited for, a short one can', async () => {
    const { client } = world();
    await expect(finished(client.send(invoke({})))).rejects.toMatchObject({
      name: 'InvalidParameterValueException',
      message: 'You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes',
    });
    const answer = await finished(client.send(invoke({ FunctionName: 'short', Qualifier: 'live' })));
    expect(Buffer.from(answer.Payload ?? []).toString()).toBe('{"slept":60}');
    const failed = await finished(
      client.send(invoke({ FunctionName: 'short:live', Payload: Buffer.from('{"seconds":-1}') })),
    );
    expect([failed.StatusCode, failed.FunctionError]).toEqual([200, 'Unhandled']);
    expect(JSON.parse(Buffer.from(failed.Payload ?? []).toString())).toMatchObject({ errorMessage: 'no such time' });
  });

  test.each([
    [
      'an unqualified durable function',
      { FunctionName: 'long', InvocationType: 'Event' },
      'InvalidParameterValueException',
    ],
    ['a function that does not exist', { FunctionName: 'nobody' }, 'ResourceNotFoundException'],
    ['an alias that does not exist', { FunctionName: 'long:dev' }, 'ResourceNotFoundException'],
    ['a payload that is no JSON', { Payload: Buffer.from('{') }, 'InvalidRequestContentException'],
    [
      'more than 1 MB for nobody to wait for',
      { InvocationType: 'Event', Payload: Buffer.from(`"${'x'.repeat(1024 * 1024)}"`) },
      'RequestTooLargeException',
    ],
  ] as const)('%s is refused', async (_what, input, name) => {
    await expect(finished(world().client.send(invoke(input)))).rejects.toMatchObject({ name });
  });

  test('an asynchronous ordinary function is tried three times, a crash at its call included', async () => {
    const { engine, cloud, client, sns, log } = world([
      { at: 'call', call: 'sns:Publish', number: 1, moment: 'after' },
    ]);
    const publisher = new SNSClient(clientOptions(cloud));
    let attempts = 0;
    engine.registerPlain({ name: 'plain' }, async () => {
      if (++attempts === 2) throw new Error('second time unlucky');
      await publisher.send(new PublishCommand({ TopicArn: 'arn:topic', Message: `attempt ${attempts}` }));
    });
    await finished(client.send(invoke({ FunctionName: 'plain', InvocationType: 'Event' })));
    await time.drive(() => sns.messages.length === 2);
    expect(attempts).toBe(3);
    expect(sns.messages.map(({ message }) => message)).toEqual(['attempt 1', 'attempt 3']);
    const [kill] = log.events.filter(({ what }) => what === 'kill');
    expect(kill?.detail).toMatchObject({ reason: expect.stringContaining('crash after sns:Publish') });
  });
});

test('SNS keeps what is published, and refuses what it cannot deliver', async () => {
  const cloud = makeCloud();
  const sns = new SnsService();
  sns.createTopic('arn:aws:sns:eu-west-1:1:news');
  cloud.register(sns);
  const client = new SNSClient(clientOptions(cloud));
  const publish = (input: Partial<PublishCommand['input']>) =>
    client.send(new PublishCommand({ TopicArn: 'arn:aws:sns:eu-west-1:1:news', Message: 'hello', ...input }));
  expect((await publish({ Subject: 'a subject' })).MessageId).toBeTruthy();
  expect(sns.messages).toMatchObject([{ subject: 'a subject', message: 'hello' }]);
  await expect(publish({ TopicArn: 'arn:other' })).rejects.toMatchObject({ name: 'NotFoundException' });
  await expect(publish({ Subject: 'two\nlines' })).rejects.toMatchObject({ name: 'InvalidParameterException' });
  await expect(publish({ Subject: 'x'.repeat(100) })).rejects.toMatchObject({ name: 'InvalidParameterException' });
  await expect(publish({ MessageStructure: 'json' })).rejects.toThrow(/not modelled/);
  expect(sns.messages).toHaveLength(1);
});

test('EventBridge answers each entry where it stood', async () => {
  const cloud = makeCloud();
  const events = new EventBridgeService(({ detailType }) => detailType === 'lost');
  cloud.register(events);
  const client = new EventBridgeClient(clientOptions(cloud));
  const entry = { Source: 'audit-backlog', DetailType: 'outcome', Detail: '{"n":1}' };
  const answer = await client.send(
    new PutEventsCommand({
      Entries: [entry, { ...entry, Detail: '[1]' }, { ...entry, DetailType: 'lost' }, { ...entry, Source: 'aws.ec2' }],
    }),
  );
  expect(answer.FailedEntryCount).toBe(3);
  expect(answer.Entries?.map(({ ErrorCode }) => ErrorCode)).toEqual([
    undefined,
    'MalformedDetail',
    'InternalFailure',
    'NotAuthorizedForSourceException',
  ]);
  expect(events.events).toMatchObject([{ busName: 'default', detail: { n: 1 } }]);
  const eleven = client.send(new PutEventsCommand({ Entries: Array.from({ length: 11 }, () => entry) }));
  await expect(eleven).rejects.toMatchObject({ name: 'ValidationException' });
});

test('CloudWatch tells the alarms of its cell: composite ones only where asked for', async () => {
  const cloud = makeCloud();
  const monitoring = new CloudWatchService();
  monitoring.setAlarm(HOME, REGION, { name: 'busy', type: 'MetricAlarm', state: 'ALARM' });
  monitoring.setAlarm(HOME, REGION, { name: 'all', type: 'CompositeAlarm', state: 'OK' });
  monitoring.setAlarm(HOME, 'us-east-1', { name: 'elsewhere', type: 'MetricAlarm', state: 'ALARM' });
  cloud.register(monitoring);
  const client = new CloudWatchClient(clientOptions(cloud));
  const plain = await client.send(new DescribeAlarmsCommand({}));
  expect([plain.MetricAlarms?.map((a) => [a.AlarmName, a.StateValue]), plain.CompositeAlarms]).toEqual([
    [['busy', 'ALARM']],
    [],
  ]);
  const both = await client.send(
    new DescribeAlarmsCommand({ AlarmNames: ['all', 'busy'], AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] }),
  );
  expect([both.MetricAlarms?.length, both.CompositeAlarms?.length]).toEqual([1, 1]);
  await client.send(
    new PutMetricDataCommand({ Namespace: 'AuditBacklog', MetricData: [{ MetricName: 'affected', Value: 3 }] }),
  );
  expect(monitoring.metrics).toMatchObject([
    { namespace: 'AuditBacklog', data: [{ MetricName: 'affected', Value: 3 }] },
  ]);
});
