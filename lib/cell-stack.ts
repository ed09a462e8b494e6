/** What the service needs in the places that it does not run in: the document per cell, a role per account. */
import { ArnFormat, Aws, Stack, type StackProps, Token } from 'aws-cdk-lib';
import { AccountPrincipal, PrincipalWithConditions, Role } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { statement } from './functions.ts';
import { memberPermissions } from './permissions.ts';
import { RunbookDocument } from './runbook-document.ts';
import type { Settings } from './settings.ts';

export interface CellStackProps extends StackProps {
  readonly settings: Settings;
}

/** One account and region: the SSM document, of the name and content that the service expects. */
export class CellStack extends Stack {
  constructor(scope: Construct, id: string, props: CellStackProps) {
    super(scope, id, {
      description: 'audit-backlog-remediation: the SSM document of one account and region',
      ...props,
    });
    new RunbookDocument(this, 'Runbook', { documentName: props.settings.documentName });
  }
}

export interface MemberRoleStackProps extends StackProps {
  /** `account` of it is the service's own account. */
  readonly settings: Settings & { readonly account: string };
}

/** One other account: the role that the service assumes there. Roles are global, so one region of the account is enough. */
export class MemberRoleStack extends Stack {
  constructor(scope: Construct, id: string, props: MemberRoleStackProps) {
    super(scope, id, { description: 'audit-backlog-remediation: the role that it assumes in this account', ...props });
    const { settings } = props;
    const { scope: reach } = settings.policy;
    const serviceRoles = this.formatArn({
      service: 'iam',
      region: '',
      account: settings.account,
      resource: 'role',
      resourceName: `${SERVICE_STACK}-*`,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
    const role = new Role(this, 'Role', {
      roleName: settings.memberRole.name,
      description: 'What audit-backlog-remediation may do in this account; see docs/permissions.md',
      assumedBy: new PrincipalWithConditions(new AccountPrincipal(settings.account), {
        ArnLike: { 'aws:PrincipalArn': serviceRoles },
        ...(settings.memberRole.externalId
          ? { StringEquals: { 'sts:ExternalId': settings.memberRole.externalId } }
          : {}),
      }),
    });
    const rows = memberPermissions({
      partition: Aws.PARTITION,
      accountId: this.account,
      regions: reach.regions.length > 0 ? reach.regions : [settings.region ?? this.region],
      documentName: settings.documentName,
      policy: settings.policy,
      resolved: !Token.isUnresolved(this.account),
    });
    for (const row of rows) role.addToPolicy(statement(row));
  }
}

/** Name of the service's stack, with which the names of its roles begin. */
export const SERVICE_STACK = 'AuditBacklogRemediation';
