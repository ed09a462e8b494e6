import { type RunReport, runReportSchema } from '../../domain/contracts.ts';
import { ec2Error, jsonError } from '../support/scripted-aws.ts';
import { AFFECTED_ID, type EndpointScript, healthyService, startEndpoint } from './endpoint.ts';
import { CREDENTIALS, type Ended, run, type Surroundings } from './program.ts';

async function planAgainst(
  script: EndpointScript,
  args: readonly string[] = [],
  around: Surroundings = {},
): Promise<Ended & { readonly calls: readonly string[] }> {
  const endpoint = await startEndpoint(script);
  try {
    const fixed = ['plan', '--region', 'eu-west-1', '--endpoint-url', endpoint.url];
    const ended = await run([...fixed, ...args], { ...around, env: { ...CREDENTIALS, ...around.env } });
    return { ...ended, calls: endpoint.calls };
  } finally {
    await endpoint.close();
  }
}

function reportIn({ stdout }: Ended): RunReport {
  return runReportSchema.parse(JSON.parse(stdout));
}

const words = (text: string) => text.replace(/\s+/g, ' ');

test.concurrent('a fleet that can be read: the whole plan, exit 0, and only reading calls', async () => {
  const ended = await planAgainst(healthyService(), ['--json']);
  expect(ended.code).toBe(0);
  const report = reportIn(ended);
  expect(report).toMatchObject({ mode: 'plan', complete: true, totals: { instances: 1, affected: 1, resized: 1 } });
  expect(report.actions).toMatchObject([{ instanceId: AFFECTED_ID, action: 'resize', outcome: null }]);
  expect(report.cells).toMatchObject([{ accountId: '111122223333', region: 'eu-west-1', status: 'done' }]);
  expect(ended.stdout.trimEnd().split('\n')).toHaveLength(1);
  for (const call of ended.calls) expect(call).toMatch(/^(ec2|ssm|sts):(Describe|Get)/);
});

test.concurrent('the same for a person: progress on stderr, the plan on stdout, no colour in a pipe', async () => {
  const { code, stdout, stderr } = await planAgainst(healthyService());
  expect(words(stdout)).toMatch(new RegExp(`resize 1 \\(resize\\) ${AFFECTED_ID}: `));
  expect(words(stdout)).toContain('1 instance, 1 affected');
  expect(stderr).toMatch(/^eu-west-1: .*1 consoles? read, done$/m);
  expect(stdout + stderr).not.toContain('\u001b');
  expect(code).toBe(0);
});

test.concurrent('AWS_DEFAULT_REGION is where to look when nothing else says', async () => {
  const endpoint = await startEndpoint(healthyService());
  try {
    const env = { ...CREDENTIALS, AWS_DEFAULT_REGION: 'us-west-2' };
    const ended = await run(['plan', '--endpoint-url', endpoint.url, '--json'], { env });
    expect(reportIn(ended).cells.map((cell) => cell.region)).toEqual(['us-west-2']);
  } finally {
    await endpoint.close();
  }
});

describe('what cannot be read', () => {
  const denied = ec2Error('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403);

  test.concurrent.each<[string, EndpointScript, RegExp]>([
    [
      'DescribeInstances is denied',
      { 'ec2:DescribeInstances': denied },
      /ec2:DescribeInstances: UnauthorizedOperation: You are not authorized.* Next: grant ec2:DescribeInstances/,
    ],
    [
      'GetConsoleOutput is denied',
      { 'ec2:GetConsoleOutput': denied },
      /ec2:GetConsoleOutput: UnauthorizedOperation.*Next: grant ec2:GetConsoleOutput/,
    ],
    [
      'one call is answered by HTTP 500',
      { 'ssm:DescribeInstanceInformation': { status: 500, contentType: 'text/html', body: '<h1>oops</h1>' } },
      /ssm:DescribeInstanceInformation: HTTP 500.*Next: /,
    ],
    [
      'everything is denied but STS',
      {
        'ec2:DescribeInstances': denied,
        'ec2:DescribeInstanceStatus': denied,
        'ssm:DescribeInstanceInformation': jsonError('AccessDeniedException', 'no'),
      },
      /ssm:DescribeInstanceInformation: AccessDeniedException.*Totals incomplete: no instance could be looked at/,
    ],
    [
      'the credentials are not valid',
      { 'sts:GetCallerIdentity': ec2Error('InvalidClientTokenId', 'The security token is invalid.', 403) },
      /failed: not looked at sts:GetCallerIdentity: InvalidClientTokenId.*Next: log in again/,
    ],
  ])('%s: call, code and next step, exit 3, never "0 affected"', async (_what, changes, said) => {
    const { code, stdout } = await planAgainst({ ...healthyService(), ...changes });
    expect(words(stdout)).toMatch(said);
    expect(words(stdout)).toMatch(/Totals incomplete: /);
    expect(stdout).not.toMatch(/\b0 affected/);
    expect(code).toBe(3);
  });

  test.concurrent('STS alone is denied: the fleet is looked at, its account is unknown', async () => {
    const ended = await planAgainst(
      { ...healthyService(), 'sts:GetCallerIdentity': ec2Error('AccessDenied', 'explicit deny', 403) },
      ['--json'],
    );
    const report = reportIn(ended);
    expect(report.cells).toMatchObject([
      { accountId: 'unknown', status: 'incomplete', errors: [{ call: 'sts:GetCallerIdentity' }], affected: 1 },
    ]);
    expect(report.complete).toBe(false);
    expect(ended.code).toBe(3);
  });

  test.concurrent('an endpoint that takes connections and never answers is given up soon', async () => {
    const ended = await planAgainst({ 'sts:GetCallerIdentity': 'silence' }, ['--timeout', '1', '--json']);
    expect(reportIn(ended)).toMatchObject({
      complete: false,
      cells: [{ status: 'failed', errors: [{ call: 'sts:GetCallerIdentity', code: 'TimeoutError' }] }],
    });
    // Asked three times, and nothing else after that.
    expect(ended.calls).toEqual(Array(3).fill('sts:GetCallerIdentity'));
    expect(ended.code).toBe(3);
  });

  test.concurrent('where nothing listens', async () => {
    const closed = await startEndpoint({});
    await closed.close();
    const ended = await run(['plan', '--region', 'eu-west-1', '--endpoint-url', closed.url], { env: CREDENTIALS });
    expect(words(ended.stdout)).toMatch(/sts:GetCallerIdentity: ECONNREFUSED.*Next: check the endpoint/);
    expect(ended.code).toBe(3);
  });
});

test.concurrent('an instance that does not exist is named, and the plan is not complete', async () => {
  const absent = 'i-0000000000000dead';
  const ended = await planAgainst(
    {
      ...healthyService(),
      'ec2:DescribeInstances': ec2Error('InvalidInstanceID.NotFound', `The instance ID '${absent}' does not exist`),
    },
    ['--instance-id', absent, '--json'],
  );
  expect(reportIn(ended)).toMatchObject({
    complete: false,
    cells: [{ errors: [{ call: 'ec2:DescribeInstances', code: 'InvalidInstanceID.NotFound', instanceId: absent }] }],
  });
  expect(ended.code).toBe(3);
});

test.concurrent('Ctrl-C ends it at once, as the signal does, saying that nothing was changed', async () => {
  let sent = false;
  const ended = await planAgainst({ 'sts:GetCallerIdentity': 'silence' }, [], {
    onStderr: (text, child) => {
      if (sent || !text.includes('asking which account')) return;
      sent = true;
      child.kill('SIGINT');
    },
  });
  expect(ended.signal).toBe('SIGINT');
  expect(ended.stderr).toContain('interrupted; plan only reads, so nothing was changed');
  expect(ended.stdout).toBe('');
});
