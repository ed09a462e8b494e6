/** cdk-nag's AwsSolutions pack over all stacks of every variant. What it finds is either mended or explained here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type App, type Stack, Validations } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { appWith, withoutOwnValidation } from './synth.ts';
import { VARIANTS } from './variants.ts';

/** Nothing is suppressed in the stacks themselves; a finding that is in no row fails, and so does a row without one. */
const EXPLAINED: readonly (readonly [finding: RegExp, why: string])[] = [
  [
    /^IAM5\[Resource::\*\]$/,
    'AWS takes no resource for these reads; the rows say so and narrow them to the regions in scope',
  ],
  [
    /^IAM5\[Resource::arn:<AWS::Partition>:ec2:(<AWS::Region>|[a-z0-9-]+):(<AWS::AccountId>|\d{12}):instance\/\*\]$/,
    'which instances is decided by their tags, in the conditions',
  ],
  [
    /^IAM5\[Resource::arn:<AWS::Partition>:kms:(<AWS::Region>|[a-z0-9-]+):\*:key\/\*\]$/,
    'keys of volumes are not known beforehand; DescribeKey reads, CreateGrant is for EC2 alone or lets a key be described',
  ],
  [/^IAM5\[Resource::<\w+Function\w+\.Arn>:\*\]$/, "a durable function's executions, of every version"],
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
  withoutOwnValidation();
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  // Synthesis throws where a rule is violated; the report is written before.
  expect(() => app.synth()).toThrow(/AwsSolutions/);
  const report = JSON.parse(readFileSync(join(app.outdir, 'validation-report.json'), 'utf8')) as Report;
  const rules = report.pluginReports.filter((r) => r.pluginName === 'AwsSolutions').flatMap((r) => r.violations);
  return [...new Set(rules.map((rule) => rule.ruleName.replace('AwsSolutions-', '')))];
}

describe('cdk-nag', () => {
  it.each(Object.entries(VARIANTS))('finds nothing in %s that is not explained', (_, settings) => {
    const found = findings(appWith(settings));
    expect(found.filter((finding) => !EXPLAINED.some(([pattern]) => pattern.test(finding)))).toEqual([]);
    for (const [pattern, why] of EXPLAINED) expect([why, found.some((one) => pattern.test(one))]).toEqual([why, true]);
  });

  it('looks at the resources of this stack: a bad queue beside the others is found', () => {
    const app = appWith();
    new Queue(app.node.findChild('AuditBacklogRemediation') as Stack, 'Bad');
    expect(findings(app)).toEqual(expect.arrayContaining(['SQS3', 'SQS4']));
  });
});
