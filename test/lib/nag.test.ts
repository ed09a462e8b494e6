/** cdk-nag's AwsSolutions pack over the shipped stack. What it finds is either mended or explained here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type App, type Stack, Validations } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { appWith } from './synth.ts';

/** Nothing is suppressed in the stack itself; a finding that is not in this list fails. */
const EXPLAINED: readonly (readonly [finding: string, why: string])[] = [
  [
    'IAM5[Resource::*]',
    'AWS takes no resource for these reads; the rows say so and narrow them to the regions in scope',
  ],
  [
    'IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*]',
    'which instances is decided by their tags, in the conditions',
  ],
  [
    'IAM5[Resource::arn:<AWS::Partition>:kms:<AWS::Region>:*:key/*]',
    'keys of volumes are not known beforehand; DescribeKey reads, CreateGrant is for EC2 alone',
  ],
  ['IAM5[Resource::<Function.Arn>:*]', "a durable function's executions, of every version"],
];

interface Report {
  readonly pluginReports: readonly {
    readonly pluginName: string;
    readonly violations: readonly {
      readonly ruleName: string;
      readonly violatingConstructs: readonly { readonly constructPath: string }[];
    }[];
  }[];
}

function findings(app: App): string[] {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  // Synthesis throws where a rule is violated; the report is written before.
  expect(() => app.synth()).toThrow(/AwsSolutions/);
  const report = JSON.parse(readFileSync(join(app.outdir, 'validation-report.json'), 'utf8')) as Report;
  const rules = report.pluginReports.filter((r) => r.pluginName === 'AwsSolutions').flatMap((r) => r.violations);
  return rules.map((rule) =>
    rule.ruleName.replace('AwsSolutions-', '').replace(/<\w+Function\w+\.Arn>/, '<Function.Arn>'),
  );
}

describe('cdk-nag', () => {
  it('finds nothing that is not explained, and everything that is', () => {
    expect([...new Set(findings(appWith()))].sort()).toEqual(EXPLAINED.map(([finding]) => finding).sort());
  });

  it('looks at the resources of this stack: a bad queue beside the others is found', () => {
    const app = appWith();
    new Queue(app.node.findChild('AuditBacklogRemediation') as Stack, 'Bad');
    expect(findings(app)).toEqual(expect.arrayContaining(['SQS3', 'SQS4']));
  });
});
