/** The five functions: bundled, each with its own role and log group, reached through the alias `live`. */
import { Annotations, Duration, RemovalPolicy, Token } from 'aws-cdk-lib';
import { Policy as InlinePolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Alias, Architecture, type IVersion, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { InvalidInputError } from '../domain/validation.ts';
import { handlerCode } from './handler-code.ts';
import { checkpoints, ownLog, watchOwn } from './hub-permissions.ts';
import type { Permission } from './permission.ts';
import { type FunctionName, LEASE_HOLDERS } from './permissions.ts';
import { CONTEXT_KEY } from './settings.ts';

/**
 * For the template's `Metadata`. W3005: the CDK makes every function depend on its role, which its `Role` property does
 * as well; harmless, and not ours to change.
 */
export const CFN_LINT = { 'cfn-lint': { config: { ignore_checks: ['W3005'] } } };

/** What differs between the functions. Times are limits, not expectations. */
interface Shape {
  readonly description: string;
  /** Unit: MiB. */
  readonly memorySize: number;
  /** Of one invocation. */
  readonly timeout: Duration;
  /** Of a whole durable execution; absent: a plain function. It can only be set when the function is created. */
  readonly executionTimeout?: Duration;
  /** How often Lambda itself tries an asynchronous event again. A durable execution has its own retries inside. */
  readonly retryAttempts: number;
  /** An asynchronous event older than this is a dead letter. */
  readonly maxEventAge: Duration;
}

const DURABLE_INVOCATION = Duration.minutes(15);

/** Lambda shows at most 256 characters of a description. */
export const SHAPES: Readonly<Record<FunctionName, Shape>> = {
  run: {
    description:
      'START HERE. Press Test with {} to do what the policy says, {"mode":"plan"} to look only, {"instanceIds":["i-..."],"mode":"apply"} to cure one, {"status":"<runId>"} to see how far a run is and its report.',
    memorySize: 512,
    timeout: Duration.minutes(2),
    retryAttempts: 2,
    maxEventAge: Duration.hours(1),
  },
  sweep: {
    description: 'Durable. One sweep over all cells, then its report. Started by the run function, not by hand.',
    memorySize: 512,
    timeout: DURABLE_INVOCATION,
    executionTimeout: Duration.days(1),
    retryAttempts: 0,
    maxEventAge: Duration.hours(1),
  },
  cell: {
    description: 'Durable. One account and region: survey, triage, resize, record. Started by the sweep function.',
    memorySize: 1024,
    timeout: DURABLE_INVOCATION,
    executionTimeout: Duration.days(1),
    retryAttempts: 0,
    maxEventAge: Duration.hours(1),
  },
  restart: {
    description: 'Durable. Brings back one instance that hangs. Started by the cell function, never by hand.',
    memorySize: 512,
    timeout: DURABLE_INVOCATION,
    executionTimeout: Duration.hours(2),
    retryAttempts: 0,
    maxEventAge: Duration.hours(1),
  },
  reconcile: {
    description:
      'Every five minutes: an instance that this service stopped and that does not run is started and named.',
    memorySize: 512,
    timeout: Duration.minutes(5),
    retryAttempts: 0,
    maxEventAge: Duration.minutes(5),
  },
};

export interface ServiceFunctionProps {
  readonly name: FunctionName;
  readonly permissions: readonly Permission[];
  readonly environment: Readonly<Record<string, string>>;
  readonly deadLetterQueue: IQueue;
  /** Path of its role ({@link shapeRoles}). */
  readonly rolePath: string;
  /** Of the log group; undefined: CloudWatch Logs' own. */
  readonly logKey?: IKey | undefined;
}

/** One function of the service. Nobody names its functions or roles: a replacement never meets its own name. */
export class ServiceFunction extends Construct {
  /** `live`: what everything else calls. A durable function is never called without a qualifier. */
  readonly alias: Alias;
  readonly handler: LambdaFunction;
  readonly role: Role;
  readonly logGroup: LogGroup;
  /** Every row that the role has, for the tests and the documentation. */
  readonly permissions: readonly Permission[];

  constructor(scope: Construct, id: string, props: ServiceFunctionProps) {
    super(scope, id);
    const shape = SHAPES[props.name];
    const logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
      ...(props.logKey ? { encryptionKey: props.logKey } : {}),
    });
    this.logGroup = logGroup;
    this.role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `What the ${props.name} function of audit-backlog-remediation may do; see docs/permissions.md`,
    });
    const rows = [...props.permissions, ownLog(logGroup.logGroupArn)];
    for (const row of rows) this.role.addToPolicy(statement(row));

    const environment = { ...props.environment, NODE_OPTIONS: '--enable-source-maps' };
    refuseTooLong(environment);
    this.handler = new LambdaFunction(this, 'Function', {
      description: shape.description,
      code: handlerCode(props.name),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: shape.memorySize,
      timeout: shape.timeout,
      // The role is made of the rows and of nothing that the CDK would add by itself.
      role: this.role.withoutPolicyUpdates(),
      logGroup,
      environment,
      deadLetterQueue: props.deadLetterQueue,
      // A new version is published for every change; older ones stay, because executions end where they began. One made
      // by an upgrade that is rolled back goes: Lambda makes no second version of the same code for the next try.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE },
      ...(shape.executionTimeout
        ? { durableConfig: { executionTimeout: shape.executionTimeout, retentionPeriod: Duration.days(14) } }
        : {}),
    });
    // A version keeps the ARN of its role, and another path makes another role: without this no version would be published.
    this.handler.invalidateVersionBasedOn(props.rolePath);
    Annotations.of(this.handler).acknowledgeInfo(
      'aws-lambda:Function.DurableConfig',
      'Durable from its creation; nothing names the function, so a replacement is possible.',
    );
    this.alias = new Alias(this, 'Live', {
      aliasName: 'live',
      version: this.handler.currentVersion as IVersion,
      retryAttempts: shape.retryAttempts,
      maxEventAge: shape.maxEventAge,
    });

    if (shape.executionTimeout) {
      // In a policy of its own: it names the function, which must not wait for it.
      const { functionArn } = this.handler;
      const own = [checkpoints(functionArn), ...(LEASE_HOLDERS.includes(props.name) ? [watchOwn(functionArn)] : [])];
      const policy = new InlinePolicy(this, 'Checkpoints', { roles: [this.role], statements: own.map(statement) });
      this.alias.node.addDependency(policy);
      rows.push(...own);
    }
    this.permissions = rows;
  }
}

/** What Lambda takes, names and values together. Unit: bytes. */
const ENVIRONMENT_BYTES = 4096;
/** Of a name or ARN that CloudFormation makes; those of a stack with a short name are shorter. Unit: bytes. */
const UNKNOWN_BYTES = 128;

/** @throws InvalidInputError where Lambda would refuse the function at deployment. */
function refuseTooLong(environment: Readonly<Record<string, string>>): void {
  const length = (value: string) => (Token.isUnresolved(value) ? UNKNOWN_BYTES : Buffer.byteLength(value));
  const bytes = Object.entries(environment).reduce((sum, [name, value]) => sum + name.length + length(value), 0);
  if (bytes <= ENVIRONMENT_BYTES) return;
  throw new InvalidInputError(
    `${CONTEXT_KEY}: a function's environment would have ${bytes} bytes of the ${ENVIRONMENT_BYTES} that Lambda takes: shorten policy, memberRole or documentName`,
  );
}

/** A row of permissions.ts as a policy statement. */
export function statement(row: Permission): PolicyStatement {
  return new PolicyStatement({
    sid: row.sid,
    actions: [...row.actions],
    resources: [...row.resources],
    ...(row.conditions ? { conditions: row.conditions } : {}),
  });
}
