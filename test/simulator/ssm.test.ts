/** SSM of the embedded region, asked by the real SDK client. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CancelCommandCommand,
  CreateDocumentCommand,
  DescribeDocumentCommand,
  DescribeInstanceInformationCommand,
  type DescribeInstanceInformationCommandInput,
  GetCalendarStateCommand,
  GetCommandInvocationCommand,
  GetDocumentCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  SendCommandCommand,
  SSMClient,
  UpdateDocumentCommand,
  UpdateDocumentDefaultVersionCommand,
} from '@aws-sdk/client-ssm';
import { ApiError, EventLog, type JsonObject, Random } from '../../simulator/core.ts';
import { rulesWithLimit } from '../../simulator/guest/files.ts';
import { createLinuxMachine } from '../../simulator/guest/machine.ts';
import type { GuestProfile } from '../../simulator/guest/profile.ts';
import { createWindowsMachine } from '../../simulator/guest/windows.ts';
import { type DirectoryInstance, SsmService } from '../../simulator/ssm.ts';
import { MINUTE, RULES } from './guest-support.ts';

const ACCOUNT = '111122223333';
const REGION = 'eu-west-1';
const START = Date.parse('2026-11-20T00:00:00Z');
const SCRIPT = readFileSync(join(__dirname, '../../lambdas/runbook/resize-audit-backlog.sh'), 'utf8');

/** A small document of the shape the product deploys, around a script. */
function documentFor(script: string): string {
  return JSON.stringify({
    schemaVersion: '2.2',
    description: 'test',
    parameters: {
      Mode: { type: 'String', default: 'plan', allowedPattern: '^(plan|apply)$', interpolationType: 'ENV_VAR' },
      OverflowedAt: { type: 'String', default: '0', allowedPattern: '^[0-9]{1,7}$', interpolationType: 'ENV_VAR' },
    },
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'resize',
        inputs: {
          timeoutSeconds: '600',
          runCommand: [
            `if [ -z "\${SSM_Mode+x}" ]; then export SSM_Mode="{{Mode}}"; fi`,
            `if [ -z "\${SSM_OverflowedAt+x}" ]; then export SSM_OverflowedAt="{{ OverflowedAt }}"; fi`,
            ...script.trimEnd().split('\n').slice(1),
          ],
        },
      },
    ],
  });
}

class World {
  readonly instances = new Map<string, DirectoryInstance & { state: string }>();
  readonly log = new EventLog();
  readonly service = new SsmService({
    directory: {
      find: (_account, region, id) => (region === REGION ? this.instances.get(id) : undefined),
      list: (_account, region) => (region === REGION ? [...this.instances.values()] : []),
    },
    random: new Random(11),
    log: this.log,
  });
  readonly client = new SSMClient({
    region: REGION,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
    requestHandler: { handle: async (request: SentRequest) => ({ response: this.#answer(request) }) },
  });

  #answer(request: SentRequest) {
    const action = request.headers['x-amz-target']?.split('.')[1] ?? '';
    const params = JSON.parse(new TextDecoder().decode(request.body as Uint8Array)) as JsonObject;
    const respond = (statusCode: number, body: object) => ({
      statusCode,
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: Buffer.from(JSON.stringify(body)),
    });
    try {
      const call = { service: 'ssm', action, accountId: ACCOUNT, region: REGION, params, principal: 'root' };
      return respond(200, this.service.handle(call));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return respond(error.status, { __type: error.code, message: error.message });
    }
  }

  /** A machine that has run since an hour before the tests begin. */
  add(instanceId: string, profile: Partial<GuestProfile> = {}): DirectoryInstance & { state: string } {
    const identity = { instanceId, accountId: ACCOUNT, region: REGION, hostname: `host-${instanceId}` };
    const machine = createLinuxMachine(
      { distribution: 'al2023', memoryKiB: 4_000_000, files: { [RULES]: rulesWithLimit(320) }, ...profile },
      new Random(5),
      this.log,
      identity,
    );
    machine.powerOn(START - 60 * MINUTE);
    const instance = { instanceId, state: 'running', machine, privateIp: '10.0.0.4' };
    this.instances.set(instanceId, instance);
    return instance;
  }
}

interface SentRequest {
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

let world: World;
const id = (n: number) => `i-${n.toString(16).padStart(17, '0')}`;
const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => id(from + i));

beforeEach(() => {
  jest.useFakeTimers({ now: START, doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  world = new World();
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (milliseconds: number) => jest.advanceTimersByTime(milliseconds);
const code = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    return (error as Error).name;
  }
  return 'no error';
};

async function deploy(content = documentFor(SCRIPT), script = SCRIPT): Promise<void> {
  world.service.registerRunbook({ name: 'runbook', content, script });
  await world.client.send(new CreateDocumentCommand({ Name: 'runbook', Content: content, DocumentType: 'Command' }));
}

async function send(
  instanceIds: string[],
  more: Partial<ConstructorParameters<typeof SendCommandCommand>[0]> = {},
): Promise<string> {
  const answer = await world.client.send(
    new SendCommandCommand({
      DocumentName: 'runbook',
      InstanceIds: instanceIds,
      Parameters: { Mode: ['apply'], OverflowedAt: ['320'] },
      ...more,
    }),
  );
  return answer.Command?.CommandId ?? '';
}

async function invocations(commandId: string) {
  const answer = await world.client.send(new ListCommandInvocationsCommand({ CommandId: commandId, Details: true }));
  return answer.CommandInvocations ?? [];
}

describe('DescribeInstanceInformation', () => {
  it('gives all managed nodes with power, in pages', async () => {
    for (const each of ids(1, 23)) world.add(each);
    world.add(id(30), { agent: { installed: false } });
    world.add(id(31)).state = 'stopped';
    const found: string[] = [];
    let token: string | undefined;
    let pages = 0;
    do {
      const answer = await world.client.send(
        new DescribeInstanceInformationCommand({ MaxResults: 5, ...(token ? { NextToken: token } : {}) }),
      );
      for (const node of answer.InstanceInformationList ?? []) found.push(node.InstanceId ?? '');
      token = answer.NextToken;
      pages++;
    } while (token);
    expect(found).toEqual(ids(1, 23));
    expect(pages).toBe(5);
    const first = await world.client.send(new DescribeInstanceInformationCommand({}));
    expect(first.InstanceInformationList).toHaveLength(10);
  });

  it('filters, by either kind of filter, and refuses what it does not know', async () => {
    world.add(id(1));
    world.add(id(2), { agent: { diesAt: START - 50 * MINUTE } });
    world.instances.set(id(3), {
      ...world.add(id(3)),
      machine: createWindowsMachine(new Random(1), {
        instanceId: id(3),
        accountId: ACCOUNT,
        region: REGION,
        hostname: 'w',
      }),
    });
    world.instances.get(id(3))?.machine.powerOn(START - 60 * MINUTE);
    const named = async (input: DescribeInstanceInformationCommandInput) =>
      (await world.client.send(new DescribeInstanceInformationCommand(input))).InstanceInformationList?.map(
        (node) => node.InstanceId,
      );
    expect(await named({ Filters: [{ Key: 'InstanceIds', Values: [id(2), id(9)] }] })).toEqual([id(2)]);
    expect(await named({ Filters: [{ Key: 'PingStatus', Values: ['ConnectionLost'] }] })).toEqual([id(2)]);
    expect(await named({ InstanceInformationFilterList: [{ key: 'PlatformTypes', valueSet: ['Windows'] }] })).toEqual([
      id(3),
    ]);
    expect(await code(named({ Filters: [{ Key: 'Weather', Values: ['fine'] }] }))).toBe(
      'NotModelledByTheEmbeddedRegion',
    );
    expect(await code(named({ Filters: [{ Key: 'PingStatus', Values: ['online'] }] }))).toBe(
      'InvalidInstanceInformationFilterValue',
    );
    expect(await code(named({ MaxResults: 51 }))).toBe('ValidationException');
    expect(await code(named({ NextToken: 'mine' }))).toBe('InvalidNextToken');
  });

  it('lags behind the agent: lost minutes after the ping that did not come', async () => {
    world.add(id(1), { agent: { diesAt: START } });
    const status = async () => {
      const node = (await world.client.send(new DescribeInstanceInformationCommand({}))).InstanceInformationList?.[0];
      return [node?.PingStatus, Math.round((Date.now() - (node?.LastPingDateTime?.getTime() ?? 0)) / MINUTE)];
    };
    expect((await status())[0]).toBe('Online');
    pass(60_000);
    expect((await status())[0]).toBe('Online');
    pass(10 * MINUTE);
    const [ping, minutes] = await status();
    expect(ping).toBe('ConnectionLost');
    expect(minutes).toBeGreaterThanOrEqual(11);
  });
});

describe('documents', () => {
  it('have versions, a default among them, and hashes', async () => {
    await deploy();
    const other = documentFor('#!/bin/sh\necho other\n');
    await world.client.send(new UpdateDocumentCommand({ Name: 'runbook', Content: other, DocumentVersion: '$LATEST' }));
    const described = await world.client.send(new DescribeDocumentCommand({ Name: 'runbook' }));
    expect(described.Document).toMatchObject({
      DocumentVersion: '1',
      LatestVersion: '2',
      DefaultVersion: '1',
      HashType: 'Sha256',
    });
    const got = await world.client.send(new GetDocumentCommand({ Name: 'runbook', DocumentVersion: '2' }));
    expect(got.Content).toBe(other);
    await world.client.send(new UpdateDocumentDefaultVersionCommand({ Name: 'runbook', DocumentVersion: '2' }));
    const now = await world.client.send(new DescribeDocumentCommand({ Name: 'runbook', DocumentVersion: '$DEFAULT' }));
    expect(now.Document?.DocumentVersion).toBe('2');
    expect(now.Document?.Hash).not.toBe(described.Document?.Hash);
  });

  it('are refused with the documented codes', async () => {
    await deploy();
    const { client } = world;
    const content = documentFor('#!/bin/sh\necho x\n');
    expect(await code(client.send(new CreateDocumentCommand({ Name: 'runbook', Content: content })))).toBe(
      'DocumentAlreadyExists',
    );
    expect(await code(client.send(new UpdateDocumentCommand({ Name: 'runbook', Content: documentFor(SCRIPT) })))).toBe(
      'DuplicateDocumentContent',
    );
    expect(await code(client.send(new CreateDocumentCommand({ Name: 'x', Content: '{' })))).toBe('ValidationException');
    expect(await code(client.send(new CreateDocumentCommand({ Name: 'bad-content', Content: '{' })))).toBe(
      'InvalidDocumentContent',
    );
    expect(await code(client.send(new GetDocumentCommand({ Name: 'none' })))).toBe('InvalidDocument');
    expect(await code(client.send(new GetDocumentCommand({ Name: 'runbook', DocumentVersion: '7' })))).toBe(
      'InvalidDocumentVersion',
    );
    const huge = JSON.stringify({ ...JSON.parse(content), description: 'x'.repeat(65_536) });
    expect(await code(client.send(new CreateDocumentCommand({ Name: 'huge', Content: huge })))).toBe(
      'MaxDocumentSizeExceeded',
    );
  });
});

describe('SendCommand', () => {
  it('runs the project’s runbook on each machine at its own time', async () => {
    await deploy();
    const targets = ids(1, 4).map((each) => world.add(each));
    const started: number[] = [];
    world.log.onEvent((event) => {
      if (event.what === 'invocation-start') started.push(event.at);
    });
    const commandId = await send(ids(1, 4));
    expect(targets.map((each) => each.machine.truth(Date.now()).effectiveLimit)).toEqual([320, 320, 320, 320]);
    pass(30_000);
    const done = await invocations(commandId);
    expect(done.map((each) => each.StatusDetails)).toEqual(['Success', 'Success', 'Success', 'Success']);
    expect(JSON.parse(done[0]?.CommandPlugins?.[0]?.Output ?? '')).toMatchObject({ outcome: 'resized', target: 8192 });
    expect(targets.map((each) => each.machine.truth(Date.now()).effectiveLimit)).toEqual([8192, 8192, 8192, 8192]);
    expect(new Set(started).size).toBe(4);
  });

  it('hands parameters to old agents by the fallback in the document', async () => {
    await deploy();
    const old = world.add(id(1), { agent: { version: '3.2.582.0' } });
    await send([id(1)]);
    pass(30_000);
    expect(old.machine.truth(Date.now()).effectiveLimit).toBe(8192);
  });

  it('refuses the whole call with the documented codes', async () => {
    await deploy();
    world.add(id(1));
    world.add(id(2)).state = 'stopped';
    world.add(id(3), { agent: { installed: false } });
    for (const wrong of [id(2), id(3), id(99)]) expect(await code(send([id(1), wrong]))).toBe('InvalidInstanceId');
    expect(await code(send(ids(1, 51)))).toBe('ValidationException');
    expect(await code(send([id(1), id(1)]))).toBe('DuplicateInstanceId');
    expect(await code(send([id(1)], { DocumentName: 'none' }))).toBe('InvalidDocument');
    expect(await code(send([id(1)], { DocumentVersion: '9' }))).toBe('InvalidDocumentVersion');
    expect(await code(send([id(1)], { DocumentHash: 'ab', DocumentHashType: 'Sha256' }))).toBe('InvalidDocument');
    expect(await code(send([id(1)], { Parameters: { Mode: ['apply; reboot'] } }))).toBe('InvalidParameters');
    expect(await code(send([id(1)], { Parameters: { Speed: ['1'] } }))).toBe('InvalidParameters');
    expect(await code(send([id(1)], { Comment: 'x'.repeat(101) }))).toBe('ValidationException');
    expect(await code(send([id(1)], { TimeoutSeconds: 29 }))).toBe('ValidationException');
    expect(await code(send([id(1)], { OutputS3BucketName: 'b' }))).toBe('NotModelledByTheEmbeddedRegion');
    expect((await world.client.send(new ListCommandsCommand({}))).Commands).toEqual([]);
  });

  it('runs no script but a registered one', async () => {
    await deploy();
    world.add(id(1));
    const foreign = documentFor('#!/bin/sh\ntouch /tmp/owned\n');
    await world.client.send(new CreateDocumentCommand({ Name: 'foreign', Content: foreign }));
    expect(await code(send([id(1)], { DocumentName: 'foreign' }))).toBe('NotModelledByTheEmbeddedRegion');
    expect(() => world.service.registerRunbook({ name: 'x', content: foreign, script: SCRIPT })).toThrow(RangeError);
  });

  it('runs AWS-RunShellScript only as far as a machine understands it', async () => {
    world.add(id(1));
    const shell = { DocumentName: 'AWS-RunShellScript', DocumentVersion: '1' };
    const good = await send([id(1)], { ...shell, Parameters: { commands: ['auditctl -s'] } });
    const bad = await send([id(1)], { ...shell, Parameters: { commands: ['curl example.com | sh'] } });
    pass(10_000);
    const [done] = await invocations(good);
    expect(done?.CommandPlugins?.[0]?.Output).toContain('backlog_limit 320\n');
    const [failed] = await invocations(bad);
    expect(failed?.StatusDetails).toBe('Failed');
    expect(failed?.CommandPlugins?.[0]).toMatchObject({ ResponseCode: 127 });
    expect(failed?.CommandPlugins?.[0]?.Output).toContain('failed to run commands: exit status 127');
  });

  it('times out where no agent comes for it, and delivers late where one comes back', async () => {
    await deploy();
    world.add(id(1), { agent: { diesAt: START - MINUTE } });
    const late = world.add(id(2), {
      bursts: [{ at: START - MINUTE, needs: 5000, hangs: true, recoversAfterMs: 3 * MINUTE }],
    });
    const commandId = await send([id(1), id(2)], { TimeoutSeconds: 300 });
    pass(60_000);
    expect((await invocations(commandId)).map((each) => each.StatusDetails)).toEqual(['Pending', 'Pending']);
    pass(5 * MINUTE);
    expect((await invocations(commandId)).map((each) => each.StatusDetails)).toEqual(['DeliveryTimedOut', 'Success']);
    expect((await invocations(commandId)).map((each) => each.Status)).toEqual(['TimedOut', 'Success']);
    expect(late.machine.truth(Date.now()).effectiveLimit).toBe(8192);
  });

  it('never ends on a machine that hangs in the middle before its whole time is over', async () => {
    await deploy();
    world.add(id(1), { bursts: [{ at: START + 2600, needs: 999_999, hangs: true }] });
    const commandId = await send([id(1)], { TimeoutSeconds: 60 });
    pass(120_000);
    expect((await invocations(commandId))[0]?.StatusDetails).toBe('InProgress');
    pass(10 * MINUTE);
    expect((await invocations(commandId))[0]?.StatusDetails).toBe('DeliveryTimedOut');
  });

  it('obeys MaxConcurrency, and stops after MaxErrors', async () => {
    const failing = '#!/bin/sh\nexit 3\n';
    await deploy(documentFor(failing), failing);
    for (const each of ids(1, 10)) world.add(each);
    const details = async (commandId: string) => (await invocations(commandId)).map((each) => each.StatusDetails);
    const first = await send(ids(1, 10), { MaxConcurrency: '1' });
    pass(60_000);
    expect(await details(first)).toEqual(['Failed', ...Array.from({ length: 9 }, () => 'Terminated')]);
    const some = await send(ids(1, 10), { MaxConcurrency: '1', MaxErrors: '20%' });
    pass(60_000);
    expect((await details(some)).filter((each) => each === 'Failed')).toHaveLength(3);
    const listed = await world.client.send(new ListCommandsCommand({ CommandId: some }));
    expect(listed.Commands?.[0]).toMatchObject({
      Status: 'Failed',
      TargetCount: 10,
      CompletedCount: 10,
      ErrorCount: 3,
    });
  });

  it('cancels what was not handed over yet', async () => {
    await deploy();
    for (const each of ids(1, 3)) world.add(each);
    const commandId = await send(ids(1, 3), { MaxConcurrency: '1' });
    pass(2600);
    await world.client.send(new CancelCommandCommand({ CommandId: commandId }));
    pass(60_000);
    expect((await invocations(commandId)).map((each) => each.StatusDetails)).toEqual([
      'Success',
      'Cancelled',
      'Cancelled',
    ]);
  });
});

describe('reading commands back', () => {
  it('is eventually consistent, and pages', async () => {
    await deploy();
    for (const each of ids(1, 7)) world.add(each);
    const commandId = await send(ids(1, 7));
    const get = () => world.client.send(new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: id(1) }));
    expect(await code(get())).toBe('InvocationDoesNotExist');
    expect((await world.client.send(new ListCommandsCommand({}))).Commands).toEqual([]);
    pass(1600);
    expect(await get()).toMatchObject({ StatusDetails: 'Pending', ResponseCode: -1, StandardOutputContent: '' });
    pass(60_000);
    expect(await get()).toMatchObject({ StatusDetails: 'Success', ResponseCode: 0 });
    const list = (token?: string) =>
      world.client.send(
        new ListCommandInvocationsCommand({
          CommandId: commandId,
          MaxResults: 3,
          ...(token ? { NextToken: token } : {}),
        }),
      );
    const first = await list();
    const second = await list(first.NextToken);
    const third = await list(second.NextToken);
    const seen = [first, second, third].map((page) => page.CommandInvocations?.map((each) => each.InstanceId));
    expect(seen).toEqual([ids(1, 3), ids(4, 6), ids(7, 7)]);
    expect(third.NextToken).toBeUndefined();
    expect(await code(world.client.send(new ListCommandInvocationsCommand({ CommandId: 'f'.repeat(36) })))).toBe(
      'InvalidCommandId',
    );
  });

  it('cuts the listed output at 2,500 characters and the whole one at 24,000', async () => {
    const loud = '#!/bin/sh\nawk \'BEGIN { for (i = 0; i < 30000; i++) printf "x" }\'\n';
    await deploy(documentFor(loud), loud);
    world.add(id(1));
    const commandId = await send([id(1)]);
    pass(60_000);
    const [listed] = await invocations(commandId);
    expect(listed?.CommandPlugins?.[0]?.Output).toHaveLength(2500);
    const whole = await world.client.send(new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: id(1) }));
    expect(whole.StandardOutputContent).toHaveLength(24_000);
  });

  it('finds commands by time, document and status', async () => {
    await deploy();
    world.add(id(1));
    await send([id(1)], { Comment: 'first' });
    pass(MINUTE);
    await send([id(1)], { Comment: 'second' });
    pass(1600);
    const comments = async (key: 'InvokedAfter' | 'DocumentName' | 'Status', value: string) =>
      (await world.client.send(new ListCommandsCommand({ Filters: [{ key, value }] }))).Commands?.map(
        (each) => each.Comment,
      );
    expect(await comments('DocumentName', 'runbook')).toEqual(['second', 'first']);
    expect(await comments('DocumentName', 'other')).toEqual([]);
    expect(await comments('InvokedAfter', new Date(START + 1000).toISOString())).toEqual(['second']);
    expect(await comments('Status', 'Success')).toEqual(['first']);
  });
});

it('GetCalendarState is open only when every calendar is', async () => {
  const state = async (...names: string[]) =>
    (await world.client.send(new GetCalendarStateCommand({ CalendarNames: names }))).State;
  world.service.setCalendar(ACCOUNT, REGION, 'a', 'OPEN');
  world.service.setCalendar(ACCOUNT, REGION, 'b', 'CLOSED');
  expect(await state('a')).toBe('OPEN');
  expect(await state('a', 'b')).toBe('CLOSED');
  expect(await code(state('c'))).toBe('InvalidDocument');
});
