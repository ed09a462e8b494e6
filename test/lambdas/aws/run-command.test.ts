import { createHash } from 'node:crypto';
import type { SendRequest } from '../../../domain/ports.ts';
import { canonicalDocumentHash } from '../../../lambdas/runbook/document-hash.ts';
import {
  brokenConnection,
  inVirtualTime,
  json,
  jsonError,
  type RecordedRequest,
  type Step,
} from '../../support/scripted-aws.ts';
import { errorOf, instanceId, mustHave, openCell } from './support.ts';

const A = instanceId(1);
const B = instanceId(2);
const CONTENT = JSON.stringify({ schemaVersion: '2.2', mainSteps: [] });
const HASH = createHash('sha256').update(CONTENT).digest('hex');

const request = (ids: readonly string[]): SendRequest => ({
  instanceIds: ids,
  document: { name: 'ResizeAuditBacklog', version: '7', hash: HASH },
  parameters: { Mode: 'apply', OverflowedAt: '320' },
  comment: 'run-0001 resize wave 1',
  maxConcurrency: 5,
  maxErrors: '10%',
  deliverySeconds: 60,
});
let sent = 0;
const taken = () => json({ Command: { CommandId: `command-${++sent}` } });
const sentIds = (r: RecordedRequest) => r.params.InstanceIds as string[];
const command = (CommandId: string, Comment: string, InstanceIds: string[]) => ({ CommandId, Comment, InstanceIds });
const send = (steps: Record<string, Step | readonly Step[]>, ids: readonly string[]) => {
  const cell = openCell(steps);
  return inVirtualTime(() => cell.ports.runCommand.send(request(ids))).then(({ value }) => ({
    ...cell,
    answer: value,
  }));
};

beforeEach(() => {
  sent = 0;
});

describe('resolveDocument', () => {
  const described = (changes: object = {}) =>
    json({
      Document: {
        Name: 'ResizeAuditBacklog',
        DocumentVersion: '7',
        Hash: HASH,
        HashType: 'Sha256',
        Status: 'Active',
        ...changes,
      },
    });
  const resolve = (steps: Record<string, Step>, documentHash = canonicalDocumentHash(CONTENT)) => {
    const cell = openCell(steps, { deployment: { documentHash } });
    return cell.ports.runCommand.resolveDocument().then((answer) => ({ ...cell, answer }));
  };

  test('pins the numeric version and the hash that SSM keeps of it', async () => {
    const { answer, aws } = await resolve({
      'ssm:DescribeDocument': described(),
      'ssm:GetDocument': json({ Content: CONTENT, DocumentVersion: '7' }),
    });
    expect(mustHave(answer)).toEqual({ name: 'ResizeAuditBacklog', version: '7', hash: HASH });
    expect(aws.of('ssm:DescribeDocument')[0]!.params).toEqual({ Name: 'ResizeAuditBacklog' });
    expect(aws.of('ssm:GetDocument')[0]!.params).toMatchObject({ DocumentVersion: '7' });
  });

  test.each([
    [
      'is absent',
      { 'ssm:DescribeDocument': jsonError('InvalidDocument', 'Document does not exist') },
      'InvalidDocument',
    ],
    [
      'holds something else',
      { 'ssm:DescribeDocument': described(), 'ssm:GetDocument': json({ Content: '{"schemaVersion":"2.2"}' }) },
      'DocumentDiffers',
    ],
    [
      'holds no JSON',
      { 'ssm:DescribeDocument': described(), 'ssm:GetDocument': json({ Content: 'schemaVersion: "2.2"' }) },
      'DocumentDiffers',
    ],
    [
      'has no numeric version',
      { 'ssm:DescribeDocument': described({ DocumentVersion: '$DEFAULT' }) },
      'UnexpectedAnswer',
    ],
    ['is being updated', { 'ssm:DescribeDocument': described({ Status: 'Updating' }) }, 'UnexpectedAnswer'],
  ])('a document that %s makes the cell not ready', async (_, steps, code) => {
    const { answer } = await resolve(steps as Record<string, Step>);
    expect(errorOf(answer)).toMatchObject({
      code,
      next: 'deploy the cell stack in this account and region',
      kind: 'failed',
    });
  });
});

describe('send', () => {
  test('sends the pinned document with everything asked', async () => {
    const { answer, aws } = await send({ 'ssm:SendCommand': taken }, [A, B]);
    expect(mustHave(answer)).toEqual({ commandIds: ['command-1'], refused: [] });
    expect(aws.requests[0]!.params).toEqual({
      DocumentName: 'ResizeAuditBacklog',
      DocumentVersion: '7',
      DocumentHash: HASH,
      DocumentHashType: 'Sha256',
      InstanceIds: [A, B],
      Parameters: { Mode: ['apply'], OverflowedAt: ['320'] },
      Comment: 'run-0001 resize wave 1',
      TimeoutSeconds: 60,
      MaxConcurrency: '5',
      MaxErrors: '10%',
    });
  });

  test.each([
    ['names it', (id: string) => `Instances [[${id}]] not in a valid state for account 111122223333`, 2],
    ['does not name it', () => '', 13],
  ])('one bad id does not block fifty, when the refusal %s', async (_, message, calls) => {
    const ids = Array.from({ length: 50 }, (_x, n) => instanceId(n));
    const bad = ids[33]!;
    const { answer, aws } = await send(
      {
        'ssm:SendCommand': (r) => (sentIds(r).includes(bad) ? jsonError('InvalidInstanceId', message(bad)) : taken()),
      },
      ids,
    );
    const { commandIds, refused } = mustHave(answer);
    expect(refused).toEqual([bad]);
    const reached = aws.requests.filter((r) => !sentIds(r).includes(bad)).flatMap(sentIds);
    expect(reached.sort()).toEqual(ids.filter((id) => id !== bad));
    expect(commandIds).toHaveLength(aws.requests.filter((r) => !sentIds(r).includes(bad)).length);
    expect(aws.requests.length).toBeLessThanOrEqual(calls);
  });

  test('all refused is no error: nothing was sent', async () => {
    const { answer } = await send({ 'ssm:SendCommand': jsonError('InvalidInstanceId', '') }, [A, B]);
    expect(mustHave(answer)).toEqual({ commandIds: [], refused: [A, B] });
  });

  test('a throttle means not sent, and is asked again', async () => {
    const { answer, aws } = await send(
      { 'ssm:SendCommand': [jsonError('ThrottlingException', 'Rate exceeded'), taken] },
      [A],
    );
    expect(mustHave(answer).commandIds).toEqual(['command-1']);
    expect(aws.of('ssm:ListCommands')).toHaveLength(0);
  });

  describe.each([
    ['a broken connection', brokenConnection()],
    ['a 500', jsonError('InternalServerError', '', 500)],
    ['no answer', () => new Promise<never>(() => {})],
    ['an answer without an id', json({})],
  ])('after %s', (_, lost) => {
    test('what was sent is found by its comment and not sent again', async () => {
      const { answer, aws } = await send(
        {
          'ssm:SendCommand': [lost],
          'ssm:ListCommands': [
            json({ Commands: [command('other', 'run-0001 resize wave 11', [A, B])], NextToken: 'n' }),
            json({
              Commands: [
                command('part', 'run-0001 resize wave 1', [A]),
                command('ours', 'run-0001 resize wave 1', [B, A]),
              ],
            }),
          ],
        },
        [A, B],
      );
      expect(mustHave(answer)).toEqual({ commandIds: ['ours'], refused: [] });
      expect(aws.of('ssm:SendCommand')).toHaveLength(1);
      expect(aws.of('ssm:ListCommands')[1]!.params.NextToken).toBe('n');
    });

    test('what is found only at a second look was sent all the same', async () => {
      const { answer, aws } = await send(
        {
          'ssm:SendCommand': [lost],
          'ssm:ListCommands': [
            json({ Commands: [] }),
            json({ Commands: [command('ours', 'run-0001 resize wave 1', [A])] }),
          ],
        },
        [A],
      );
      expect(mustHave(answer).commandIds).toEqual(['ours']);
      expect(aws.of('ssm:SendCommand')).toHaveLength(1);
    });

    test('what is not found is sent once more', async () => {
      const { answer, aws } = await send(
        { 'ssm:SendCommand': [lost, taken], 'ssm:ListCommands': json({ Commands: [] }) },
        [A],
      );
      expect(mustHave(answer).commandIds).toEqual(['command-1']);
      expect(aws.of('ssm:SendCommand')).toHaveLength(2);
    });

    test('where it cannot be looked for, it is not sent again', async () => {
      const { answer, aws } = await send(
        { 'ssm:SendCommand': [lost], 'ssm:ListCommands': jsonError('AccessDeniedException', 'no') },
        [A],
      );
      expect(errorOf(answer)).toMatchObject({ call: 'ssm:ListCommands', kind: 'failed' });
      expect(aws.of('ssm:SendCommand')).toHaveLength(1);
    });
  });

  test('lost twice, it ends with the failure', async () => {
    const { answer, aws } = await send({ 'ssm:SendCommand': brokenConnection(), 'ssm:ListCommands': json({}) }, [A]);
    expect(errorOf(answer)).toMatchObject({ call: 'ssm:SendCommand', code: 'ECONNRESET' });
    expect(aws.of('ssm:SendCommand')).toHaveLength(2);
  });

  test('an error after a part was sent names what was sent', async () => {
    const { answer } = await send(
      {
        'ssm:SendCommand': [jsonError('InvalidInstanceId', ''), taken, jsonError('AccessDeniedException', 'no')],
      },
      [A, B],
    );
    expect(errorOf(answer).message).toContain('command-1');
  });
});

test('findSent asks for our document since then, and takes the exact comment alone', async () => {
  const { ports, aws } = openCell({
    'ssm:ListCommands': [
      json({ Commands: [command('a', 'purpose', [A]), command('b', 'purpose 2', [A])], NextToken: 'n' }),
      json({ Commands: [command('c', 'purpose', [B])] }),
    ],
  });
  expect(mustHave(await ports.runCommand.findSent('purpose', '2026-11-22T10:00:00.500Z'))).toEqual(['a', 'c']);
  expect(aws.requests[0]!.params).toEqual({
    Filters: [
      { key: 'InvokedAfter', value: '2026-11-22T09:59:00Z' },
      { key: 'DocumentName', value: 'ResizeAuditBacklog' },
    ],
    MaxResults: 50,
  });
  expect(aws.requests[1]!.params.NextToken).toBe('n');
});

describe('results', () => {
  const LINE = '{"schema":1,"outcome":"resized"}';
  const invocation = (id: string, details: string, output?: string) => ({
    InstanceId: id,
    StatusDetails: details,
    CommandPlugins: output === undefined ? [] : [{ Name: 'resize', Output: output }],
  });
  const results = async (steps: Record<string, Step | readonly Step[]>) => {
    const cell = openCell(steps);
    const { value } = await inVirtualTime(() => cell.ports.runCommand.results('command-1'));
    return { ...cell, answer: value };
  };

  test.each([
    ['Pending', 'waiting'],
    ['Delayed', 'waiting'],
    ['In Progress', 'running'],
    ['InProgress', 'running'],
    ['Cancelling', 'running'],
    ['Delivery Timed Out', 'undelivered'],
    ['DeliveryTimedOut', 'undelivered'],
    ['Undeliverable', 'undelivered'],
    ['Invalid Platform', 'undelivered'],
    ['AccessDenied', 'undelivered'],
    ['Execution Timed Out', 'stuck'],
    ['ExecutionTimedOut', 'stuck'],
    ['Terminated', 'cancelled'],
    ['Cancelled', 'cancelled'],
  ])('%s is %s, without a further call', async (details, state) => {
    const { answer, aws } = await results({
      'ssm:ListCommandInvocations': json({ CommandInvocations: [invocation(A, details)] }),
    });
    const open = state === 'waiting' || state === 'running';
    expect(mustHave(answer)).toEqual([{ instanceId: A, state, details, output: open ? null : '' }]);
    expect(aws.requests).toHaveLength(1);
  });

  test('takes all pages, and the output of the listing where it is whole', async () => {
    const { answer, aws } = await results({
      'ssm:ListCommandInvocations': [
        json({ CommandInvocations: [invocation(A, 'Success', `${LINE}\n`)], NextToken: 'n' }),
        json({ CommandInvocations: [invocation(B, 'Failed', `noise\n${LINE}`)] }),
      ],
    });
    expect(mustHave(answer)).toEqual([
      { instanceId: A, state: 'succeeded', details: 'Success', output: `${LINE}\n` },
      { instanceId: B, state: 'failed', details: 'Failed', output: `noise\n${LINE}` },
    ]);
    expect(aws.requests.map((r) => r.params)).toEqual([
      { CommandId: 'command-1', Details: true, MaxResults: 50 },
      { CommandId: 'command-1', Details: true, MaxResults: 50, NextToken: 'n' },
    ]);
  });

  test.each([
    ['was cut', `${'x'.repeat(2400)}\n${LINE}`],
    ['was cut within its last line', LINE.slice(0, -4)],
    ['has stderr after it', `${LINE}\n----------ERROR-------\nwarning`],
    ['is not there', undefined],
  ])('asks for the whole stdout where the listed output %s', async (_, output) => {
    const { answer, aws } = await results({
      'ssm:ListCommandInvocations': json({ CommandInvocations: [invocation(A, 'Success', output)] }),
      'ssm:GetCommandInvocation': json({ StandardOutputContent: LINE }),
    });
    expect(mustHave(answer)[0]!.output).toBe(LINE);
    expect(aws.of('ssm:GetCommandInvocation')[0]!.params).toEqual({ CommandId: 'command-1', InstanceId: A });
  });

  test('asks again where the invocation is not there yet, a bounded number of times', async () => {
    const listed = json({ CommandInvocations: [invocation(A, 'Success')] });
    const absent = jsonError('InvocationDoesNotExist', '');
    const late = await results({
      'ssm:ListCommandInvocations': listed,
      'ssm:GetCommandInvocation': [absent, absent, json({ StandardOutputContent: LINE })],
    });
    expect(mustHave(late.answer)[0]!.output).toBe(LINE);
    const never = await results({ 'ssm:ListCommandInvocations': listed, 'ssm:GetCommandInvocation': absent });
    expect(errorOf(never.answer)).toMatchObject({ code: 'InvocationDoesNotExist', instanceId: A });
    expect(never.aws.of('ssm:GetCommandInvocation')).toHaveLength(4);
  });

  test('a status this version does not know is an error, not an end', async () => {
    const { answer } = await results({
      'ssm:ListCommandInvocations': json({ CommandInvocations: [invocation(A, 'Somehow New')] }),
    });
    expect(errorOf(answer)).toMatchObject({
      code: 'UnexpectedAnswer',
      message: expect.stringContaining('Somehow New'),
    });
  });
});
