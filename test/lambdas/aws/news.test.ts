import { inVirtualTime, json, jsonError, type RecordedRequest, type Script, xml } from '../../support/scripted-aws.ts';
import { errorOf, openCell } from './support.ts';

type LogEvents = { timestamp: number; message: string }[];
const eventsOf = (request: RecordedRequest) => request.params.logEvents as LogEvents;
const run = async (script: Script, work: (news: ReturnType<typeof openCell>['ports']['news']) => Promise<unknown>) => {
  const { ports, aws } = openCell(script);
  const { value } = await inVirtualTime(() => work(ports.news));
  return { answer: value as Awaited<ReturnType<typeof ports.news.notify>>, aws };
};

describe('record', () => {
  test('one JSON line a record, in order', async () => {
    const { answer, aws } = await run({ 'logs:PutLogEvents': json({}) }, (news) =>
      news.record('run:1*', [{ a: 1 }, { b: 2 }]),
    );
    expect(answer).toEqual({ ok: true, value: null });
    expect(aws.requests[0]!.params).toMatchObject({ logGroupName: '/audit-backlog', logStreamName: 'run_1_' });
    expect(eventsOf(aws.requests[0]!).map((e) => JSON.parse(e.message))).toEqual([{ a: 1 }, { b: 2 }]);
  });

  test('nothing to record is no call', async () => {
    const { aws } = await run({}, (news) => news.record('s', []));
    expect(aws.requests).toHaveLength(0);
  });

  test('batches stay within 10,000 events and 1,048,576 bytes with 26 bytes for each', async () => {
    const many = await run({ 'logs:PutLogEvents': json({}) }, (news) =>
      news.record(
        's',
        Array.from({ length: 10_001 }, (_, n) => ({ n })),
      ),
    );
    expect(many.aws.requests.map((r) => eventsOf(r).length)).toEqual([10_000, 1]);
    const large = Array.from({ length: 12 }, (_, n) => ({ n, text: 'é'.repeat(60_000) }));
    const heavy = await run({ 'logs:PutLogEvents': json({}) }, (news) => news.record('s', large));
    const sizes = heavy.aws.requests.map((r) =>
      eventsOf(r).reduce((sum, e) => sum + Buffer.byteLength(e.message) + 26, 0),
    );
    expect(sizes.length).toBe(2);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(1_048_576);
    const all = heavy.aws.requests.flatMap(eventsOf).map((e) => JSON.parse(e.message).n);
    expect(all).toEqual(large.map(({ n }) => n));
  });

  test('a record too large for an event says so in its place', async () => {
    const { aws } = await run({ 'logs:PutLogEvents': json({}) }, (news) =>
      news.record('s', [{ text: 'x'.repeat(300_000) }]),
    );
    const { message } = eventsOf(aws.requests[0]!)[0]!;
    expect(Buffer.byteLength(message)).toBeLessThan(256 * 1024);
    expect(JSON.parse(message)).toMatchObject({ truncated: true, bytes: 300_011 });
  });

  test('a stream that is not there is made, also when another made it meanwhile', async () => {
    const absent = jsonError('ResourceNotFoundException', 'The specified log stream does not exist.');
    for (const made of [json({}), jsonError('ResourceAlreadyExistsException', 'exists')]) {
      const { answer, aws } = await run(
        { 'logs:PutLogEvents': [absent, json({})], 'logs:CreateLogStream': made },
        (news) => news.record('s', [{ a: 1 }]),
      );
      expect(answer.ok).toBe(true);
      expect(aws.requests.map((r) => r.call)).toEqual([
        'logs:PutLogEvents',
        'logs:CreateLogStream',
        'logs:PutLogEvents',
      ]);
      expect(aws.of('logs:CreateLogStream')[0]!.params).toEqual({ logGroupName: '/audit-backlog', logStreamName: 's' });
    }
  });

  test('without the group it says what to deploy', async () => {
    const absent = jsonError('ResourceNotFoundException', 'The specified log group does not exist.');
    const { answer } = await run({ 'logs:PutLogEvents': absent, 'logs:CreateLogStream': absent }, (news) =>
      news.record('s', [{ a: 1 }]),
    );
    expect(errorOf(answer)).toMatchObject({ next: expect.stringContaining('/audit-backlog') });
  });

  test('events that were rejected are an error', async () => {
    const { answer } = await run(
      { 'logs:PutLogEvents': json({ rejectedLogEventsInfo: { tooOldLogEventEndIndex: 1 } }) },
      (news) => news.record('s', [{ a: 1 }]),
    );
    expect(errorOf(answer)).toMatchObject({ code: 'RejectedLogEvents' });
  });
});

describe('publish', () => {
  const TYPE = 'Audit Backlog Sweep Completed';

  test('one entry on the bus', async () => {
    const { aws } = await run(
      { 'events:PutEvents': json({ FailedEntryCount: 0, Entries: [{ EventId: 'e' }] }) },
      (news) => news.publish(TYPE, { runId: 'r' }),
    );
    expect(aws.requests[0]!.params).toEqual({
      Entries: [
        { EventBusName: 'default', Source: 'audit-backlog-remediation', DetailType: TYPE, Detail: '{"runId":"r"}' },
      ],
    });
  });

  test('an entry that was not taken is an error although the call succeeded', async () => {
    const { answer } = await run(
      {
        'events:PutEvents': json({
          FailedEntryCount: 1,
          Entries: [{ ErrorCode: 'NotAuthorizedForSource', ErrorMessage: 'no' }],
        }),
      },
      (news) => news.publish(TYPE, {}),
    );
    expect(errorOf(answer)).toMatchObject({ call: 'events:PutEvents', code: 'NotAuthorizedForSource', message: 'no' });
  });

  test('a detail that is too large is refused before it is sent', async () => {
    const { answer, aws } = await run({}, (news) => news.publish(TYPE, { text: 'x'.repeat(260_000) }));
    expect(errorOf(answer)).toMatchObject({ code: 'EventTooLarge' });
    expect(aws.requests).toHaveLength(0);
  });
});

describe('notify', () => {
  const published = xml('Publish', '<PublishResult><MessageId>m</MessageId></PublishResult>');

  test('the subject is what SNS takes', async () => {
    const { aws } = await run({ 'sns:Publish': published }, (news) =>
      news.notify(`Ärger:\n${'lang '.repeat(50)}`, 'Grüße'),
    );
    const { Subject, Message, TopicArn } = aws.requests[0]!.params as Record<string, string>;
    expect(Subject).toMatch(/^\?rger: lang [\x20-\x7e]*$/);
    expect(Subject!.length).toBeLessThan(100);
    expect(Message).toBe('Grüße');
    expect(TopicArn).toBe('arn:aws:sns:eu-west-1:111122223333:news');
  });

  test('a text that is too long is cut between characters', async () => {
    const { aws } = await run({ 'sns:Publish': published }, (news) => news.notify('s', 'é'.repeat(200_000)));
    const message = String(aws.requests[0]!.params.Message);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(256 * 1024);
    expect(message).toMatch(/^é+$/);
  });

  test('without a topic nobody is called', async () => {
    const { ports, aws } = openCell({}, { deployment: { topicArn: null } });
    expect(await ports.news.notify('s', 't')).toEqual({ ok: true, value: null });
    expect(aws.requests).toHaveLength(0);
  });

  test('a refusal is an answer', async () => {
    const { answer } = await run(
      {
        'sns:Publish': {
          status: 403,
          contentType: 'text/xml',
          body: '<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>',
        },
      },
      (news) => news.notify('s', 't'),
    );
    expect(errorOf(answer)).toMatchObject({
      code: 'AuthorizationErrorException',
      next: expect.stringContaining('grant sns:Publish'),
    });
  });
});
