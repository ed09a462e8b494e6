import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  DescribeLogGroupsCommand,
  DescribeLogStreamsCommand,
  FilterLogEventsCommand,
  GetLogEventsCommand,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { messageFilter } from '../../simulator/logs/filter-pattern.ts';
import { LogsService } from '../../simulator/logs.ts';
import { clientOptions, HOME, makeCloud, REGION } from './support/cloud.ts';

const logGroupName = '/audit-backlog/records';
const logStreamName = 'run-1';
const hour = 3_600_000;

async function world() {
  const cloud = makeCloud();
  const service = new LogsService();
  cloud.register(service);
  const client = new CloudWatchLogsClient(clientOptions(cloud));
  await client.send(new CreateLogGroupCommand({ logGroupName }));
  await client.send(new CreateLogStreamCommand({ logGroupName, logStreamName }));
  const put = (events: readonly [timestamp: number, message: string][], stream = logStreamName) =>
    client.send(
      new PutLogEventsCommand({
        logGroupName,
        logStreamName: stream,
        logEvents: events.map(([timestamp, message]) => ({ timestamp, message })),
      }),
    );
  return { client, service, put };
}

test('groups and streams exist once, and are listed in pages', async () => {
  const { client } = await world();
  const again = client.send(new CreateLogGroupCommand({ logGroupName }));
  await expect(again).rejects.toMatchObject({ name: 'ResourceAlreadyExistsException' });
  const stream = client.send(new CreateLogStreamCommand({ logGroupName, logStreamName }));
  await expect(stream).rejects.toMatchObject({ name: 'ResourceAlreadyExistsException' });
  await client.send(new CreateLogGroupCommand({ logGroupName: '/a' }));
  const first = await client.send(new DescribeLogGroupsCommand({ limit: 1 }));
  const second = await client.send(new DescribeLogGroupsCommand({ limit: 1, nextToken: first.nextToken }));
  expect([first.logGroups?.[0]?.logGroupName, second.logGroups?.[0]?.logGroupName, second.nextToken]).toEqual([
    '/a',
    logGroupName,
    undefined,
  ]);
  const streams = await client.send(new DescribeLogStreamsCommand({ logGroupName, logStreamNamePrefix: 'run' }));
  expect(streams.logStreams?.map((one) => one.logStreamName)).toEqual([logStreamName]);
});

test('what is not there is an error, not an empty answer', async () => {
  const { client, put } = await world();
  await expect(put([[Date.now(), 'x']], 'nowhere')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  const filter = client.send(new FilterLogEventsCommand({ logGroupName: '/nowhere' }));
  await expect(filter).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
});

test('events are put, filtered by time and pattern in pages, and read from either end', async () => {
  const { client, service, put } = await world();
  const t = Date.now() - hour;
  await put([
    [t, '{"code":"healthy","n":1}'],
    [t + 1, '{"code":"restart","n":2}'],
    [t + 2, '{"code":"restart","n":30}'],
    [t + 3, 'plain text of a restart'],
  ]);
  const filter = async (input: Partial<FilterLogEventsCommand['input']>) =>
    (await client.send(new FilterLogEventsCommand({ logGroupName, ...input }))).events?.map(
      (e) => (e.timestamp ?? 0) - t,
    );
  expect(await filter({})).toEqual([0, 1, 2, 3]);
  expect(await filter({ filterPattern: 'restart' })).toEqual([1, 2, 3]);
  expect(await filter({ filterPattern: '{ $.code = "restart" }', startTime: t + 2 })).toEqual([2]);
  expect(await filter({ startTime: t + 1, endTime: t + 2 })).toEqual([1, 2]);
  const first = await client.send(new FilterLogEventsCommand({ logGroupName, limit: 3 }));
  expect(await filter({ limit: 3, nextToken: first.nextToken })).toEqual([3]);
  const get = (input: Partial<GetLogEventsCommand['input']>) =>
    client.send(new GetLogEventsCommand({ logGroupName, logStreamName, limit: 3, ...input }));
  const tail = await get({});
  expect(tail.events?.map((e) => (e.timestamp ?? 0) - t)).toEqual([1, 2, 3]);
  const head = await get({ nextToken: tail.nextBackwardToken });
  expect(head.events?.map((e) => (e.timestamp ?? 0) - t)).toEqual([0]);
  const end = await get({ nextToken: tail.nextForwardToken });
  expect([end.events, end.nextForwardToken]).toEqual([[], tail.nextForwardToken]);
  expect(service.messages(HOME, REGION, logGroupName)).toHaveLength(4);
});

test('events too old and too new are rejected, and the answer says which', async () => {
  const { client, put } = await world();
  const now = Date.now();
  const old = await put([
    [now - 14 * 24 * hour - 1000, 'old'],
    [now - 14 * 24 * hour + 60_000, 'kept'],
  ]);
  expect(old.rejectedLogEventsInfo).toEqual({ tooOldLogEventEndIndex: 1 });
  const early = await put([
    [now, 'kept'],
    [now + 3 * hour, 'early'],
  ]);
  expect(early.rejectedLogEventsInfo).toEqual({ tooNewLogEventStartIndex: 1 });
  const found = await client.send(new FilterLogEventsCommand({ logGroupName }));
  expect(found.events?.map(({ message }) => message)).toEqual(['kept', 'kept']);
});

test.each([
  [
    'out of order',
    (t: number) => [
      [t, 'b'],
      [t - 1, 'a'],
    ],
    /chronological order/,
  ],
  [
    'over more than a day',
    (t: number) => [
      [t - 25 * hour, 'a'],
      [t, 'b'],
    ],
    /24 hours/,
  ],
  [
    'too large',
    (t: number) => [
      [t, 'x'.repeat(600_000)],
      [t, 'x'.repeat(600_000)],
    ],
    /Upload too large/,
  ],
  ['empty', (t: number) => [[t, '']], /must not be empty/],
  ['nothing', () => [], /1 to 10000 members/],
] as const)('a batch %s is refused whole', async (_what, events, message) => {
  const { put } = await world();
  const refused = put(events(Date.now()) as unknown as [number, string][]);
  await expect(refused).rejects.toMatchObject({
    name: 'InvalidParameterException',
    message: expect.stringMatching(message),
  });
});

test.each([
  ['', 'anything', true],
  ['error', 'an error here', true],
  ['error fatal', 'an error here', false],
  ['"backlog limit"', 'audit: backlog limit exceeded', true],
  ['"backlog limit"', 'limit of the backlog', false],
  ['error -benign', 'benign error', false],
  ['?warn ?error', 'an error', true],
  ['?warn ?error', 'fine', false],
  ['{ $.outcome.limit >= 8192 }', '{"outcome":{"limit":8192}}', true],
  ['{ $.outcome.limit > 8192 }', '{"outcome":{"limit":8192}}', false],
  ['{ $.code != "healthy" }', '{"code":"restart"}', true],
  ['{ $.code = "a" }', 'no json', false],
])('pattern %s on %s: %s', (pattern, message, expected) => {
  expect(messageFilter(pattern)(message)).toBe(expected);
});

test.each(['{ $.a = 1 && $.b = 2 }', '[ip, user]', '%regex%', '{ $.a = "x*" }'])('pattern %s is refused', (pattern) => {
  expect(() => messageFilter(pattern)).toThrow(/not modelled/);
});
