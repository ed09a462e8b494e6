/**
 * Deploys the synthesized stack into moto's server, an emulator of AWS that knows CloudFormation:
 *
 *     moto_server -p 5057 &
 *     node bench/moto.ts http://127.0.0.1:5057
 *
 * Needs `moto_server` (pip install 'moto[server]'), `aws` and `python3`. What moto has no CloudFormation for is left out of
 * the template and named; aliases among them, so what refers to one is given its ARN. See docs/development.md.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STACK = 'AuditBacklogRemediation';
const REGION = 'eu-west-1';
const ROOT = join(import.meta.dirname, '..');

/** Types without CloudFormation in moto 5.2; of some the API exists. */
const UNSUPPORTED = [
  'AWS::CloudWatch::Alarm',
  'AWS::CloudWatch::Dashboard',
  'AWS::EventSchemas::Schema',
  'AWS::Lambda::Alias',
  'AWS::Lambda::EventInvokeConfig',
  'AWS::Logs::MetricFilter',
  'AWS::Logs::QueryDefinition',
  'AWS::Scheduler::Schedule',
  'AWS::SNS::TopicPolicy',
  'AWS::SQS::QueuePolicy',
  'Custom::TestEventRegistry',
];

interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly DependsOn?: readonly string[];
}
interface Template {
  Resources: Record<string, Resource>;
}

/** The template as far as moto takes it. */
function forMoto(template: Template): { readonly template: Template; readonly left: readonly string[] } {
  const left = Object.entries(template.Resources).filter(([, { Type }]) => UNSUPPORTED.includes(Type));
  const aliases = new Map(
    left.filter(([, { Type }]) => Type === 'AWS::Lambda::Alias').map(([id, { Properties }]) => [id, Properties]),
  );
  const replaced = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(replaced);
    if (typeof value !== 'object' || value === null) return value;
    const alias = 'Ref' in value ? aliases.get(String(value.Ref)) : undefined;
    if (alias !== undefined) {
      const { Ref: id } = alias.FunctionName as { readonly Ref: string };
      return { 'Fn::Join': ['', [{ 'Fn::GetAtt': [id, 'Arn'] }, ':', alias.Name]] };
    }
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, replaced(one)]));
  };
  const gone = new Set(left.map(([id]) => id));
  const kept = Object.entries(template.Resources).filter(([id]) => !gone.has(id));
  const resources = kept.map(([id, { DependsOn, ...resource }]) => {
    const depends = [DependsOn ?? []].flat().filter((other) => !gone.has(other));
    return [id, replaced(depends.length > 0 ? { ...resource, DependsOn: depends } : resource)];
  });
  return {
    template: { ...(replaced({ ...template, Resources: {} }) as object), Resources: Object.fromEntries(resources) },
    left: [...new Set(left.map(([, { Type }]) => Type))].sort(),
  };
}

function main(endpoint: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'audit-backlog-moto-'));
  const env = {
    ...process.env,
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: 'moto',
    AWS_SECRET_ACCESS_KEY: 'moto',
    AWS_DEFAULT_REGION: REGION,
    AWS_PAGER: '',
  };
  const run = (command: string, args: readonly string[], cwd = ROOT): SpawnSyncReturns<string> =>
    spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  const must = (command: string, ...args: readonly string[]): string => {
    const { status, stdout, stderr, error } = run(command, args);
    if (status !== 0) throw new Error(`${command} ${args.slice(0, 3).join(' ')}: ${error?.message ?? stderr}`);
    return stdout.trim();
  };
  try {
    must('npx', 'cdk', 'synth', '--quiet', '-o', folder, ...process.argv.slice(3));
    const account = must('aws', 'sts', 'get-caller-identity', '--query', 'Account', '--output', 'text');
    const bucket = `cdk-hnb659fds-assets-${account}-${REGION}`;
    must('aws', 's3', 'mb', `s3://${bucket}`);
    must(
      'aws',
      'ssm',
      'put-parameter',
      '--name',
      '/cdk-bootstrap/hnb659fds/version',
      '--value',
      '30',
      '--type',
      'String',
    );
    for (const asset of readdirSync(folder).filter((name) => name.startsWith('asset.'))) {
      const zip = join(folder, `${asset.slice('asset.'.length)}.zip`);
      const zipped = run('python3', ['-m', 'zipfile', '-c', zip, 'index.mjs', 'index.mjs.map'], join(folder, asset));
      if (zipped.status !== 0) throw new Error(zipped.stderr);
      must('aws', 's3', 'cp', '--quiet', zip, `s3://${bucket}/`);
    }
    const whole = JSON.parse(readFileSync(join(folder, `${STACK}.template.json`), 'utf8')) as Template;
    const { template, left } = forMoto(whole);
    const file = join(folder, 'template.json');
    writeFileSync(file, JSON.stringify(template));
    must('aws', 's3', 'cp', '--quiet', file, `s3://${bucket}/`);
    const url = `https://${bucket}.s3.${REGION}.amazonaws.com/template.json`;
    must(
      'aws',
      'cloudformation',
      'create-stack',
      '--stack-name',
      STACK,
      '--capabilities',
      'CAPABILITY_IAM',
      '--template-url',
      url,
    );
    const query = 'StackResources[].[ResourceType,ResourceStatus]';
    const listed = must(
      'aws',
      'cloudformation',
      'describe-stack-resources',
      '--stack-name',
      STACK,
      '--query',
      query,
      '--output',
      'json',
    );
    const made = JSON.parse(listed) as [type: string, status: string][];
    const status = must(
      'aws',
      'cloudformation',
      'describe-stacks',
      '--stack-name',
      STACK,
      '--query',
      'Stacks[0].StackStatus',
      '--output',
      'text',
    );
    const failed = made.filter(([, one]) => one !== 'CREATE_COMPLETE');
    process.stdout.write(`${status}: ${made.length} of ${Object.keys(whole.Resources).length} resources\n`);
    process.stdout.write(`left out, moto has no CloudFormation for them: ${left.join(', ')}\n`);
    for (const [type, one] of failed) process.stdout.write(`${type}: ${one}\n`);
    return status === 'CREATE_COMPLETE' && failed.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

process.exitCode = main(process.argv[2] ?? 'http://127.0.0.1:5057');
