/** Shareable test events of the run function, for the Lambda console's *Test*. */
import { RemovalPolicy } from 'aws-cdk-lib';
import { CfnRegistry, CfnSchema } from 'aws-cdk-lib/aws-eventschemas';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
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
  /** `use-registry`: it exists already; `create-registry`: it does not. CloudFormation cannot find out. */
  readonly registry: Exclude<Settings['testEvents'], 'none'>;
  readonly run: IFunction;
}

export class TestEvents extends Construct {
  constructor(scope: Construct, id: string, { registry, run }: TestEventsProps) {
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
    const made = new CfnRegistry(this, 'Registry', {
      registryName: TEST_EVENT_REGISTRY,
      description: 'Shareable test events of Lambda functions',
    });
    // Other functions' events may stand in it by the time this stack goes.
    made.applyRemovalPolicy(RemovalPolicy.RETAIN);
    schema.addResourceDependency(made);
  }
}
