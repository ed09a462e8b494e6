/** Shareable test events of the run function, for the Lambda console's *Test*. */
import { Arn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnSchema } from 'aws-cdk-lib/aws-eventschemas';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { AwsCustomResource, AwsCustomResourcePolicy, Logging, PhysicalResourceId } from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';
import { statement } from './functions.ts';
import { createRegistry, ownLog } from './hub-permissions.ts';
import type { Permission } from './permission.ts';
import type { Settings } from './settings.ts';

/** The registry in which the console looks; there is one per account and region, and the console may have made it. */
export const TEST_EVENT_REGISTRY = 'lambda-testevent-schemas';

/** By the names under which the console offers them. */
export const TEST_EVENTS = {
  PlanEverything: { schema: 1, mode: 'plan', reason: 'a look by hand' },
  ApplyToOneInstance: {
    schema: 1,
    mode: 'apply',
    instanceIds: ['i-0123456789abcdef0'],
    reason: 'put the id of the instance here',
  },
  ApplyAPlan: { schema: 1, mode: 'apply', planId: 'm-20261122T040000Z-abcd', reason: 'put the id of the plan here' },
  HowFarIsARun: { status: 'm-20261122T040000Z-abcd' },
} as const;

export interface TestEventsProps {
  /** `create-if-absent`: makes the registry unless there is one; `use-registry`: relies on there being one. */
  readonly registry: Exclude<Settings['testEvents'], 'none'>;
  readonly run: IFunction;
  /** Of the log group; undefined: CloudWatch Logs' own. */
  readonly logKey?: IKey | undefined;
}

/** The events as a schema of the console's registry; the registry itself is never changed and never deleted. */
export class TestEvents extends Construct {
  /** Every row that the role which makes the registry has; empty where nothing makes it. */
  readonly permissions: readonly Permission[] = [];

  constructor(scope: Construct, id: string, { registry, run, logKey }: TestEventsProps) {
    super(scope, id);
    const schema = new CfnSchema(this, 'Schema', {
      registryName: TEST_EVENT_REGISTRY,
      schemaName: `_${run.functionName}-schema`,
      type: 'OpenApi3',
      content: JSON.stringify({
        openapi: '3.0.0',
        info: { version: '1.0.0', title: 'Event' },
        paths: {},
        components: {
          schemas: { Event: { type: 'object', properties: {} } },
          examples: Object.fromEntries(Object.entries(TEST_EVENTS).map(([name, value]) => [name, { value }])),
        },
      }),
    });
    if (registry === 'use-registry') return;
    const made = new RegistryIfAbsent(this, 'Registry', { logKey });
    this.permissions = made.permissions;
    schema.node.addDependency(made);
  }
}

/**
 * The registry, unless somebody has made it. CloudFormation has no "only if absent": the CDK's function for one API call
 * asks for it at the first deployment and takes "exists already" for success. At the end it calls nothing.
 */
class RegistryIfAbsent extends Construct {
  readonly permissions: readonly Permission[];

  constructor(scope: Construct, id: string, { logKey }: Pick<TestEventsProps, 'logKey'>) {
    super(scope, id);
    const logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
      ...(logKey ? { encryptionKey: logKey } : {}),
    });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: 'Makes the registry of shareable test events, if there is none; see docs/permissions.md',
    });
    const arn = Arn.format(
      { service: 'schemas', resource: 'registry', resourceName: TEST_EVENT_REGISTRY },
      Stack.of(this),
    );
    const create = createRegistry(arn);
    const log = ownLog(logGroup.logGroupArn);
    this.permissions = [create, log];
    role.addToPolicy(statement(log));
    new AwsCustomResource(this, 'Create', {
      resourceType: 'Custom::TestEventRegistry',
      onCreate: {
        service: 'schemas',
        action: 'CreateRegistry',
        parameters: { RegistryName: TEST_EVENT_REGISTRY, Description: 'Shareable test events of Lambda functions' },
        physicalResourceId: PhysicalResourceId.of(TEST_EVENT_REGISTRY),
        ignoreErrorCodesMatching: '^ConflictException$',
        logging: Logging.withDataHidden(),
      },
      // The SDK of the runtime knows the call; nothing is fetched from a package registry at deployment.
      installLatestAwsSdk: false,
      role,
      logGroup,
      // A stack has one such function: where another construct has made it, its role gets this statement.
      policy: AwsCustomResourcePolicy.fromStatements([statement(create)]),
    });
  }
}
