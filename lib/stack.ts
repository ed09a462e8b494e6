/** The service as a stack: the public construct, and what an operator asks for after a deployment. */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { AuditBacklogRemediation, type AuditBacklogRemediationProps } from './audit-backlog-remediation.ts';
import { CFN_LINT } from './functions.ts';

export interface AuditBacklogRemediationStackProps extends StackProps {
  readonly settings: AuditBacklogRemediationProps;
}

/** Deploy it once; it reaches other regions and accounts by itself. */
export class AuditBacklogRemediationStack extends Stack {
  readonly service: AuditBacklogRemediation;

  constructor(scope: Construct, id: string, props: AuditBacklogRemediationStackProps) {
    super(scope, id, {
      description: 'audit-backlog-remediation: finds and cures EC2 instances whose kernel audit queue overflowed',
      ...props,
    });
    this.templateOptions.metadata = CFN_LINT;
    this.service = new AuditBacklogRemediation(this, 'Service', props.settings);
    const output = (name: string, value: string, description: string) =>
      new CfnOutput(this, name, { value, description });
    output(
      'RunFunction',
      this.service.functions.run.handler.functionName,
      'Open it in the Lambda console, press Test.',
    );
    output('Records', this.service.serviceLog.logGroupName, 'One record per finding and outcome.');
    output('Ledger', this.service.table.tableName, 'What the service remembers.');
    output('Notifications', this.service.topic.topicArn, 'Subscribe to be told.');
    output('DeadLetters', this.service.deadLetterQueue.queueUrl, 'Events that failed for good.');
  }
}
