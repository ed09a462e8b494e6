/** What the service needs in the places that it does not run in: the document per cell, a role per account. */
import {
  ArnFormat,
  Aws,
  DefaultStackSynthesizer,
  type IStackSynthesizer,
  Stack,
  type StackProps,
  Token,
} from 'aws-cdk-lib';
import { AccountPrincipal, PrincipalWithConditions, Role } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { statement } from './functions.ts';
import { memberPermissions } from './permissions.ts';
import { shapeRoles } from './roles.ts';
import { RunbookDocument } from './runbook-document.ts';
import type { Settings } from './settings.ts';

/**
 * A template without assets asks nothing of the account it is deployed to, a bootstrapped CDK neither: a StackSet can take
 * it as it is. It names no account but the service's own, so one serves all.
 */
function plainTemplate(): IStackSynthesizer {
  return new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) as IStackSynthesizer;
}

export interface CellStackProps extends StackProps {
  readonly settings: Settings;
}

/** One account and region: the SSM document, of the name and content that the service expects. */
export class CellStack extends Stack {
  constructor(scope: Construct, id: string, props: CellStackProps) {
    super(scope, id, {
      synthesizer: plainTemplate(),
      description: 'audit-backlog-remediation: the SSM document of one account and region',
      ...props,
    });
    new RunbookDocument(this, 'Runbook', { documentName: props.settings.documentName });
  }
}

export interface MemberRoleStackProps extends StackProps {
  /** `account` of it is the service's own account. */
  readonly settings: Settings & { readonly account: string };
  /** Of the stack that holds the service, with which the names of its roles begin. Default: {@link SERVICE_STACK}. */
  readonly serviceStackName?: string | undefined;
}

/** One other account: the role that the service assumes there. Roles are global, so one region of the account is enough. */
export class MemberRoleStack extends Stack {
  constructor(scope: Construct, id: string, props: MemberRoleStackProps) {
    super(scope, id, {
      synthesizer: plainTemplate(),
      description: 'audit-backlog-remediation: the role that it assumes in this account',
      ...props,
    });
    const { settings, serviceStackName = SERVICE_STACK } = props;
    const { memberRole } = settings;
    const { scope: reach } = settings.policy;
    const serviceRoles = this.formatArn({
      service: 'iam',
      region: '',
      account: settings.account,
      resource: 'role',
      resourceName: `${settings.roles.path.slice(1)}${rolesOfStack(serviceStackName)}`,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
    const asked = {
      ...(memberRole.externalId ? { 'sts:ExternalId': memberRole.externalId } : {}),
      ...(memberRole.organizationId ? { 'aws:PrincipalOrgID': memberRole.organizationId } : {}),
    };
    const role = new Role(this, 'Role', {
      roleName: memberRole.name,
      description: 'What audit-backlog-remediation may do in this account; see docs/permissions.md',
      assumedBy: new PrincipalWithConditions(new AccountPrincipal(settings.account), {
        ArnLike: { 'aws:PrincipalArn': serviceRoles },
        ...(Object.keys(asked).length > 0 ? { StringEquals: asked } : {}),
      }),
    });
    const regions = reach.regions.length > 0 ? reach.regions : [settings.region ?? this.region];
    const rows = memberPermissions({
      partition: Aws.PARTITION,
      accountId: this.account,
      arnAccountId: Aws.ACCOUNT_ID,
      regions,
      documentName: settings.documentName,
      policy: settings.policy,
      resolved: ![this.account, ...regions].some((part) => Token.isUnresolved(part)),
    });
    for (const row of rows) role.addToPolicy(statement(row));
    // The service finds the role by path and name, which are therefore its own settings.
    shapeRoles(this, { ...settings.roles, path: memberRole.path });
  }
}

/** Of a longer name CloudFormation takes so much into the name of a role, which has at most 64 characters. */
const NAME_IN_ROLES = 24;

/** How the names of the roles begin that CloudFormation makes in a stack. */
function rolesOfStack(stackName: string): string {
  return stackName.length <= NAME_IN_ROLES ? `${stackName}-*` : `${stackName.slice(0, NAME_IN_ROLES)}*`;
}

/** Name of the service's stack, with which the names of its roles begin. */
export const SERVICE_STACK = 'AuditBacklogRemediation';
