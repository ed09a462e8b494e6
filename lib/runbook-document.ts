/** The SSM document that carries the runbook, in one account and region. */
import { CfnDocument } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { readRunbookScript, runbookDocument } from '../lambdas/runbook/document.ts';
import { canonicalDocumentHash } from '../lambdas/runbook/document-hash.ts';

export interface RunbookDocumentProps {
  /** The same in every cell: the service asks each of them for this name. */
  readonly documentName: string;
}

/**
 * A document of type Command. A change makes a new version and never replaces it: commands that run go on, and a sweep
 * sends the one version whose content it checked.
 */
export class RunbookDocument extends Construct {
  readonly documentName: string;
  /** Of the content, in canonical form: 64 hexadecimal digits. See docs/decisions/ssm-document-hash.md. */
  readonly hash: string;

  constructor(scope: Construct, id: string, props: RunbookDocumentProps) {
    super(scope, id);
    const content = runbookDocument(readRunbookScript());
    new CfnDocument(this, 'Document', {
      name: props.documentName,
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      content,
    });
    this.documentName = props.documentName;
    this.hash = canonicalDocumentHash(content);
  }
}
