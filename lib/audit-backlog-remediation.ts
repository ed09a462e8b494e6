/** The public construct: everything the service needs in the account and region where it runs. */
import { Arn, ArnFormat, Aws, Duration, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import { AttributeType, BillingMode, Table } from 'aws-cdk-lib/aws-dynamodb';
import { EventBus } from 'aws-cdk-lib/aws-events';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { parseInput } from '../domain/validation.ts';
import { Alarms } from './alarms.ts';
import { Dashboard } from './dashboard.ts';
import type { Fleet } from './fleet-permissions.ts';
import { ServiceFunction } from './functions.ts';
import { type Hub, invoke, WATCH_RESTARTS, WATCH_SWEEPS, watch } from './hub-permissions.ts';
import { countRecords } from './metrics.ts';
import type { Permission } from './permission.ts';
import { type FunctionName, permissionsOf } from './permissions.ts';
import { Queries } from './queries.ts';
import { shapeRoles } from './roles.ts';
import { RunbookDocument } from './runbook-document.ts';
import { Schedules } from './schedules.ts';
import { CONTEXT_KEY, policyText, type Settings, type SettingsInput, settingsSchema } from './settings.ts';
import { TestEvents } from './test-events.ts';

/** What the owner of a fleet decides. Every property is optional; nothing given: it looks every 4 hours, touches nothing. */
export interface AuditBacklogRemediationProps {
  /** What the service may do. Default: `mode: plan`, the account and region it is deployed to. */
  readonly policy?: SettingsInput['policy'] | undefined;
  /** When to sweep: `rate(4 hours)` or `cron(0 2 * * ? *)`. Default: every 4 hours. */
  readonly schedule?: string | undefined;
  /** Of a cron schedule: a name of the IANA database. Default: UTC. */
  readonly timezone?: string | undefined;
  /** A sweep may start this much later than scheduled. Unit: minutes, 0 to 1440. Default: 0, at once. */
  readonly flexibleWindowMinutes?: number | undefined;
  /** Subscribed to the notification topic; each confirms by mail. Default: nobody. */
  readonly notificationEmails?: string[] | undefined;
  /** 12 digits: where the service runs. Needed when the policy lists accounts. */
  readonly account?: string | undefined;
  /** Where the service runs. Needed when the policy lists regions. */
  readonly region?: string | undefined;
  /** Of the SSM document, the same in every cell. Default: `AuditBacklogRemediation-Resize`. */
  readonly documentName?: string | undefined;
  /** The role that the service assumes in other accounts. Default: `AuditBacklogRemediationMember`, no external id. */
  readonly memberRole?: SettingsInput['memberRole'] | undefined;
  /** When to wake a person. Default: a missed sweep, 10 % unknown consoles, 500 throttled calls. */
  readonly alarms?: SettingsInput['alarms'] | undefined;
  /** ARN of a KMS key for all log groups; its policy must let CloudWatch Logs use it. Default: CloudWatch Logs' own. */
  readonly logKeyArn?: string | undefined;
  /** Shareable test events for the Lambda console, in a registry of the account. Default: made if it is absent. */
  readonly testEvents?: SettingsInput['testEvents'] | undefined;
  /** Path and permissions boundary of the roles. Default: `/`, none. */
  readonly roles?: SettingsInput['roles'] | undefined;
}

/**
 * Finds EC2 Linux instances whose kernel audit queue overflowed and, where the policy allows, cures them.
 *
 * @throws InvalidInputError with one line naming every wrong property.
 */
export class AuditBacklogRemediation extends Construct {
  /** What the service remembers. Kept when the stack goes. */
  readonly table: Table;
  /** One JSON record per finding and outcome. Kept for a year, and when the stack goes. */
  readonly serviceLog: LogGroup;
  /** The summary of each sweep that found something, and what needs a person. */
  readonly topic: Topic;
  /** Events that failed for good. */
  readonly deadLetterQueue: Queue;
  readonly functions: Readonly<Record<FunctionName, ServiceFunction>>;
  readonly settings: Settings;

  constructor(scope: Construct, id: string, props: AuditBacklogRemediationProps = {}) {
    super(scope, id);
    const settings = parseInput(settingsSchema, props, CONTEXT_KEY);
    this.settings = settings;

    this.table = new Table(this, 'Ledger', {
      partitionKey: { name: 'pk', type: AttributeType.STRING },
      sortKey: { name: 'sk', type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: 'expiresAt',
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const logKey = settings.logKeyArn ? Key.fromKeyArn(this, 'LogKey', settings.logKeyArn) : undefined;
    this.serviceLog = new LogGroup(this, 'Records', {
      retention: RetentionDays.ONE_YEAR,
      removalPolicy: RemovalPolicy.RETAIN,
      ...(logKey ? { encryptionKey: logKey } : {}),
    });
    this.topic = new Topic(this, 'Notifications', { displayName: 'Audit backlog remediation', enforceSSL: true });
    for (const email of settings.notificationEmails) this.topic.addSubscription(new EmailSubscription(email));
    this.deadLetterQueue = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    const document = new RunbookDocument(this, 'Runbook', { documentName: settings.documentName });
    const eventBus = EventBus.fromEventBusName(this, 'Events', 'default');

    const hub: Hub = {
      tableArn: this.table.tableArn,
      serviceLogArn: this.serviceLog.logGroupArn,
      topicArn: this.topic.topicArn,
      eventBusArn: eventBus.eventBusArn,
      deadLetterArn: this.deadLetterQueue.queueArn,
      memberRoleArns: memberRoleArns(settings),
      calendarArns: settings.policy.calendars.map((calendar) => this.calendarArn(calendar)),
      readsAlarms: settings.policy.blockingAlarms.length > 0,
    };
    const fleet = ownFleet(this, settings);
    const environment = {
      TABLE_NAME: this.table.tableName,
      LOG_GROUP_NAME: this.serviceLog.logGroupName,
      TOPIC_ARN: this.topic.topicArn,
      EVENT_BUS_NAME: eventBus.eventBusName,
      DOCUMENT_NAME: document.documentName,
      DOCUMENT_HASH: document.hash,
      POLICY: policyText(props.policy),
      ACCOUNT_ID: settings.account ?? Aws.ACCOUNT_ID,
      ...(hub.memberRoleArns.length > 0 ? { MEMBER_ROLE_NAME: memberRoleName(settings) } : {}),
      ...(settings.memberRole.externalId ? { EXTERNAL_ID: settings.memberRole.externalId } : {}),
    };
    const make = (name: FunctionName, id: string, also: readonly Permission[], more: Record<string, string>) =>
      new ServiceFunction(this, id, {
        name,
        permissions: [...permissionsOf(name, hub, fleet), ...also],
        environment: { ...environment, ...more },
        deadLetterQueue: this.deadLetterQueue,
        rolePath: settings.roles.path,
        logKey,
      });
    const restart = make('restart', 'Restart', [], {});
    const restartArn = restart.alias.functionArn;
    const cell = make(
      'cell',
      'Cell',
      [
        invoke('StartRestart', restartArn, 'Hands one hung instance to the restart function.'),
        watch('WatchRestarts', restart.handler.functionArn, WATCH_RESTARTS),
      ],
      {
        RESTART_FUNCTION_ARN: restartArn,
      },
    );
    const cellArn = cell.alias.functionArn;
    const sweep = make('sweep', 'Sweep', [invoke('StartCell', cellArn, 'Hands each cell to the cell function.')], {
      CELL_FUNCTION_ARN: cellArn,
    });
    const sweepArn = sweep.alias.functionArn;
    const run = make(
      'run',
      'Run',
      [
        invoke('StartSweep', sweepArn, 'Starts a sweep, asynchronously.'),
        watch('WatchSweeps', sweep.handler.functionArn, WATCH_SWEEPS),
      ],
      { SWEEP_FUNCTION_ARN: sweepArn },
    );
    const reconcile = make('reconcile', 'Reconcile', [], {});
    this.functions = { run, sweep, cell, restart, reconcile };

    const { deadLetterQueue } = this;
    new Schedules(this, 'Schedules', { settings, run, reconcile, deadLetterQueue });
    this.dayTwo(settings, logKey);
    shapeRoles(this, settings.roles);
  }

  private dayTwo(settings: Settings, logKey: IKey | undefined): void {
    const { functions, serviceLog, topic, deadLetterQueue } = this;
    countRecords(this, serviceLog);
    const { alarms } = new Alarms(this, 'Alarms', { settings, functions, deadLetterQueue, topic });
    new Dashboard(this, 'Overview', { alarms, records: serviceLog });
    const functionLogs = Object.values(functions).map((one) => one.logGroup);
    new Queries(this, 'Queries', { records: serviceLog, functionLogs });
    if (settings.testEvents !== 'none') {
      new TestEvents(this, 'TestEvents', { registry: settings.testEvents, run: functions.run.handler, logKey });
    }
  }

  private calendarArn(calendar: string): string {
    if (calendar.startsWith('arn:')) return calendar;
    return Arn.format({ service: 'ssm', resource: 'document', resourceName: calendar }, Stack.of(this));
  }
}

/** The service's own account, if the policy has it in scope. */
function ownFleet(scope: Construct, settings: Settings): Fleet | null {
  const { accounts, regions } = settings.policy.scope;
  const { account, region } = settings;
  if (accounts.length > 0 && account && !accounts.includes(account)) return null;
  const stack = Stack.of(scope);
  const accountId = account ?? stack.account;
  const home = region ?? stack.region;
  return {
    partition: Aws.PARTITION,
    accountId,
    regions: regions.length > 0 ? regions : [home],
    documentName: settings.documentName,
    policy: settings.policy,
    resolved: !Token.isUnresolved(accountId) && !(regions.length === 0 && Token.isUnresolved(home)),
  };
}

/** With its path, as ARNs name it. */
function memberRoleName({ memberRole }: Settings): string {
  return `${memberRole.path.slice(1)}${memberRole.name}`;
}

function memberRoleArns(settings: Settings): string[] {
  return settings.policy.scope.accounts
    .filter((account) => account !== settings.account)
    .map((account) =>
      Arn.format({
        partition: Aws.PARTITION,
        service: 'iam',
        region: '',
        account,
        resource: 'role',
        resourceName: memberRoleName(settings),
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      }),
    );
}
