import { type PlanRequest, planFleet } from '../../cli/plan-fleet.ts';
import { policySchema } from '../../domain/policy.ts';
import { TEMPO } from '../../lambdas/tempo.ts';
import { ec2Error, inVirtualTime, json, jsonError, type Script, scriptedAws, xml } from '../support/scripted-aws.ts';
import { AFFECTED_ID, healthyService } from './endpoint.ts';

const service = healthyService() as Script;

/** A region with one machine that hangs for its overflow and may be restarted. */
function hungService(): Script {
  return {
    ...service,
    'ec2:DescribeInstances': () => {
      const launched = new Date(Date.now() - 3 * 3_600_000).toISOString();
      const text = (service['ec2:DescribeInstances'] as ReturnType<typeof xml>).body;
      const tags = '<tagSet><item><key>AuditBacklogRestart</key><value>allowed</value></item></tagSet>';
      const body = text
        .replace(/<launchTime>[^<]*/, `<launchTime>${launched}`)
        .replace('<rootDeviceType>', `${tags}<rootDeviceType>`);
      return { status: 200, contentType: 'text/xml', body };
    },
    'ec2:DescribeInstanceStatus': xml(
      'DescribeInstanceStatus',
      `<instanceStatusSet><item><instanceId>${AFFECTED_ID}</instanceId><instanceState><name>running</name></instanceState>` +
        '<instanceStatus><status>impaired</status></instanceStatus></item></instanceStatusSet>',
    ),
    'ssm:DescribeInstanceInformation': () =>
      json({
        InstanceInformationList: [
          {
            InstanceId: AFFECTED_ID,
            PingStatus: 'ConnectionLost',
            LastPingDateTime: (Date.now() - 40 * 60_000) / 1000,
            AgentVersion: '3.3.0',
          },
        ],
      }),
    'ec2:DescribeInstanceTypes': xml(
      'DescribeInstanceTypes',
      '<instanceTypeSet><item><instanceType>m5.large</instanceType><instanceStorageSupported>false</instanceStorageSupported></item></instanceTypeSet>',
    ),
    'ec2:DescribeInstanceAttribute': xml(
      'DescribeInstanceAttribute',
      '<disableApiStop><value>false</value></disableApiStop>',
    ),
    'ec2:DescribeVolumes': xml('DescribeVolumes', '<volumeSet/>'),
  };
}

function plan(script: Script, changes: Partial<PlanRequest> = {}) {
  const aws = scriptedAws(script);
  const notes: string[] = [];
  const request: PlanRequest = {
    regions: ['eu-west-1'],
    instanceIds: null,
    policy: policySchema.parse({}),
    wire: aws.wire,
    tempo: TEMPO,
    progress: { update: () => {}, note: (line) => notes.push(line) },
    ...changes,
  };
  return { aws, notes, done: inVirtualTime(() => planFleet(request)) };
}

test('a call that is throttled for good makes the plan incomplete, in bounded time', async () => {
  const { done } = plan({ ...service, 'ec2:DescribeInstances': ec2Error('RequestLimitExceeded', 'slow down', 503) });
  const { value, milliseconds } = await done;
  expect(value.complete).toBe(false);
  expect(value.cells[0]).toMatchObject({
    status: 'failed',
    errors: [{ call: 'ec2:DescribeInstances', code: 'RequestLimitExceeded' }],
  });
  expect(value.cells[0]?.throttled).toBeGreaterThan(1);
  expect(milliseconds).toBeLessThan(120_000);
});

test('one region that does not answer leaves the plan of the other whole', async () => {
  const { done } = plan(
    {
      ...service,
      'sts:GetCallerIdentity': (request) => {
        if (request.region === 'us-east-1') throw Object.assign(new Error('nobody'), { code: 'ENOTFOUND' });
        return service['sts:GetCallerIdentity'] as ReturnType<typeof xml>;
      },
    },
    { regions: ['eu-west-1', 'us-east-1'] },
  );
  const { value } = await done;
  expect(value.cells.map((c) => [c.region, c.status, c.affected])).toEqual([
    ['eu-west-1', 'done', 1],
    ['us-east-1', 'failed', 0],
  ]);
  expect(value).toMatchObject({ complete: false, totals: { affected: 1, resized: 1 } });
});

test('a cell that breaks in the middle is told as failed, without the entries it had', async () => {
  const { done } = plan(hungService(), {
    progress: {
      update: () => {},
      note: () => {
        throw new TypeError('broken\u001b[31m');
      },
    },
  });
  const { value } = await done;
  expect(value).toMatchObject({ complete: false, actions: [], totals: { instances: 0 } });
  expect(value.cells[0]).toMatchObject({ status: 'failed', errors: [{ code: 'TypeError', message: 'broken [31m' }] });
});

test('a policy that speaks of accounts is not applied to an account nobody knows', async () => {
  const policy = policySchema.parse({ scope: { accounts: ['111122223333'] } });
  const { aws, done } = plan({ ...service, 'sts:GetCallerIdentity': jsonError('AccessDenied') }, { policy });
  expect((await done).value.cells).toMatchObject([{ status: 'failed', accountId: 'unknown' }]);
  expect(aws.requests.map((r) => r.call)).toEqual(['sts:GetCallerIdentity']);
});

test('an account beyond the scope of the policy is refused', async () => {
  const policy = policySchema.parse({ scope: { accounts: ['999999999999'] } });
  await expect(plan(service, { policy }).done).rejects.toThrow(/beyond the policy: accounts: 111122223333/);
});

test('a restart candidate is read twice, a minute apart, and never touched', async () => {
  const { aws, notes, done } = plan(hungService());
  const { value } = await done;
  expect(value.actions).toMatchObject([{ action: 'restart-then-resize', code: 'restart', outcome: null }]);
  expect(value.totals).toMatchObject({ affected: 1, restarted: 1 });
  const reads = aws.of('ec2:GetConsoleOutput').map((r) => r.at);
  expect(reads).toHaveLength(2);
  expect((reads[1] ?? 0) - (reads[0] ?? 0)).toBeGreaterThanOrEqual(60_000);
  expect(notes).toEqual([expect.stringMatching(/^eu-west-1: waiting 60 s, .*sign of life/)]);
  for (const { call } of aws.requests) expect(call).toMatch(/^(ec2|ssm|sts):(Describe|Get)/);
});
