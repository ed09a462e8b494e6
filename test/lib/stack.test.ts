import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Match } from 'aws-cdk-lib/assertions';
import { policySchema } from '../../domain/policy.ts';
import { deploymentFromEnvironment } from '../../lambdas/aws/deployment.ts';
import { readRunbookScript, runbookDocument } from '../../lambdas/runbook/document.ts';
import { canonicalDocumentHash } from '../../lambdas/runbook/document-hash.ts';
import { SHAPES } from '../../lib/functions.ts';
import { FUNCTION_NAMES } from '../../lib/permissions.ts';
import {
  actionsOf,
  appWith,
  type Json,
  type Resource,
  resources,
  shippedSettings,
  statementsOf,
  templateOf,
} from './synth.ts';

const part = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);

describe('the shipped stack', () => {
  const app = appWith();
  const template = templateOf(app);
  const functions = new Map(
    FUNCTION_NAMES.map((name) => {
      const found = resources(template, 'AWS::Lambda::Function').filter(([id]) =>
        id.startsWith(`Service${part(name)}`),
      );
      expect(found).toHaveLength(1);
      const [id, resource] = found[0]!;
      return [name, { id, properties: resource.Properties as Record<string, Json> }] as const;
    }),
  );
  const aliasIds = (name: string) =>
    resources(template, 'AWS::Lambda::Alias')
      .map(([id]) => id)
      .filter((id) => id.startsWith(`Service${part(name)}Live`));

  it('looks and touches nothing', () => {
    expect(shippedSettings.policy?.mode).toBe('plan');
    for (const { properties } of functions.values()) {
      expect(policySchema.parse(JSON.parse(properties.Environment.Variables.POLICY)).mode).toBe('plan');
    }
  });

  it('has five functions on arm64 and Node 24, and beside them only what makes the registry of test events', () => {
    const own = new Set([...functions.values()].map(({ id }) => id));
    const others = resources(template, 'AWS::Lambda::Function').filter(([id]) => !own.has(id));
    expect(own.size).toBe(5);
    expect(others.map(([id]) => id)).toEqual([expect.stringMatching(/^AWS679f53fac002430cb0da5b7982bd2287/)]);
    for (const [, { Properties }] of others) {
      expect(JSON.stringify([Properties.Role, Properties.LoggingConfig])).toMatch(/RegistryRole.*RegistryLog/);
    }
    for (const { properties } of functions.values()) {
      expect(properties).toMatchObject({ Architectures: ['arm64'], Runtime: 'nodejs24.x' });
    }
  });

  it('makes sweep, cell and restart durable, and run and reconcile not', () => {
    const seconds = FUNCTION_NAMES.map((name) => functions.get(name)!.properties.DurableConfig?.ExecutionTimeout);
    expect(seconds).toEqual([undefined, 86_400, 86_400, 7_200, undefined]);
  });

  it('calls a durable function by its alias only, and never waits for one', () => {
    const durable = FUNCTION_NAMES.filter((name) => SHAPES[name].executionTimeout).map(
      (name) => functions.get(name)!.id,
    );
    const policies = JSON.stringify(resources(template, 'AWS::IAM::Policy').map(([, policy]) => policy.Properties));
    const invokes = resources(template, 'AWS::IAM::Policy')
      .flatMap(([, policy]) => policy.Properties.PolicyDocument.Statement)
      .filter((statement: Json) => actionsOf(statement).includes('lambda:InvokeFunction'));
    expect(invokes).toHaveLength(5);
    for (const statement of invokes)
      expect(JSON.stringify(statement.Resource)).toMatch(/^\{"Ref":"Service\w+Live\w+"\}$/);
    expect(policies).not.toMatch(/InvokeFunctionUrl|InvokeAsync/);
    // Whatever may call synchronously or unqualified (rules, permissions for services, mappings, URLs): there is none.
    for (const type of [
      'AWS::Events::Rule',
      'AWS::Lambda::Permission',
      'AWS::Lambda::EventSourceMapping',
      'AWS::Lambda::Url',
    ]) {
      template.resourceCountIs(type, 0);
    }
    for (const [, schedule] of resources(template, 'AWS::Scheduler::Schedule')) {
      const target = JSON.stringify(schedule.Properties.Target.Arn);
      for (const id of durable) expect(target).not.toContain(id);
      expect(target).not.toMatch(/Service(Sweep|Cell|Restart)/);
    }
    for (const [, { properties }] of functions) {
      for (const [key, value] of Object.entries(properties.Environment.Variables)) {
        if (key.endsWith('_FUNCTION_ARN')) expect(JSON.stringify(value)).toMatch(/"Service\w+Live\w+"/);
      }
    }
  });

  it('tells each function of the one that it starts', () => {
    const told = (name: (typeof FUNCTION_NAMES)[number], key: string) =>
      functions.get(name)!.properties.Environment.Variables[key];
    expect(told('run', 'SWEEP_FUNCTION_ARN')).toEqual({ Ref: aliasIds('sweep')[0] });
    expect(told('sweep', 'CELL_FUNCTION_ARN')).toEqual({ Ref: aliasIds('cell')[0] });
    expect(told('cell', 'RESTART_FUNCTION_ARN')).toEqual({ Ref: aliasIds('restart')[0] });
  });

  it('sweeps on schedule by the alias of run, with the scheduled time, few retries and a dead letter queue', () => {
    template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'rate(4 hours)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      State: 'ENABLED',
      Target: {
        Arn: { Ref: aliasIds('run')[0] },
        Input: '{"schema":1,"scheduledAt":"<aws.scheduler.scheduled-time>"}',
        RetryPolicy: { MaximumRetryAttempts: 2 },
        DeadLetterConfig: { Arn: Match.anyValue() },
      },
    });
  });

  it('reconciles every five minutes, by the alias', () => {
    template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'rate(5 minutes)',
      Target: { Arn: { Ref: aliasIds('reconcile')[0] }, RetryPolicy: { MaximumRetryAttempts: Match.anyValue() } },
    });
  });

  it('protects the table', () => {
    template.resourceCountIs('AWS::DynamoDB::Table', 1);
    template.hasResource('AWS::DynamoDB::Table', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        BillingMode: 'PAY_PER_REQUEST',
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
      },
    });
  });

  it('lets DynamoDB tidy up by the attribute that the ledger writes', () => {
    const ledger = readFileSync(join(__dirname, '..', '..', 'lambdas', 'aws', 'ledger.ts'), 'utf8');
    const [[, table]] = resources(template, 'AWS::DynamoDB::Table') as [[string, Resource]];
    expect(ledger).toContain(`${table.Properties.TimeToLiveSpecification.AttributeName}: inDays(`);
  });

  it('gives every log group a retention, and every function a log group', () => {
    const groups = resources(template, 'AWS::Logs::LogGroup');
    expect(groups).toHaveLength(7);
    for (const [id, group] of groups) {
      expect([id, group.Properties.RetentionInDays]).toEqual([id, id.startsWith('ServiceRecords') ? 365 : 90]);
    }
    for (const { properties } of functions.values()) expect(properties.LoggingConfig.LogGroup.Ref).toMatch(/Log/);
  });

  it('keeps every asynchronous event that failed, and tries few times', () => {
    const configs = resources(template, 'AWS::Lambda::EventInvokeConfig');
    expect(configs).toHaveLength(5);
    for (const [, config] of configs) {
      expect(config.Properties.DestinationConfig).toBeUndefined();
      expect(config.Properties.MaximumRetryAttempts).toBeLessThanOrEqual(2);
    }
    for (const { properties } of functions.values()) expect(properties.DeadLetterConfig.TargetArn).toBeDefined();
  });

  it('lets no function be made before its role may write to the dead letter queue', () => {
    for (const [name, { id }] of functions) {
      const depends = [template.findResources('AWS::Lambda::Function')[id]!.DependsOn].flat();
      const policy = resources(template, 'AWS::IAM::Policy').find(
        ([key, resource]) =>
          key.startsWith(`Service${part(name)}Role`) && JSON.stringify(resource).includes('sqs:SendMessage'),
      );
      expect(depends).toContain(policy?.[0]);
    }
  });

  it('has no wildcard action, no managed policy, and no statement that permissions.ts does not hold', () => {
    const all = resources(template, 'AWS::IAM::Policy').flatMap(
      ([, policy]) => policy.Properties.PolicyDocument.Statement,
    );
    for (const statement of all) {
      expect(statement.Effect).toBe('Allow');
      for (const action of actionsOf(statement)) expect(action).toMatch(/^[a-z0-9]+:[A-Z][A-Za-z]+$/);
    }
    for (const [, role] of resources(template, 'AWS::IAM::Role'))
      expect(role.Properties.ManagedPolicyArns).toBeUndefined();
    const service = app.node.findChild('AuditBacklogRemediation') as unknown as {
      service: { functions: Record<string, { permissions: { sid: string; actions: readonly string[] }[] }> };
    };
    for (const name of FUNCTION_NAMES) {
      const found = statementsOf(template, part(name)).map((s) => [s.Sid, [...actionsOf(s)].sort()]);
      const rows = service.service.functions[name]!.permissions.map((row) => [row.sid, [...row.actions].sort()]);
      const order = (a: unknown[], b: unknown[]) => String(a[0]).localeCompare(String(b[0]));
      expect(found.sort(order)).toEqual(rows.sort(order));
    }
  });

  it('lets a durable function checkpoint its own executions, of any version, and no other', () => {
    for (const name of FUNCTION_NAMES) {
      const rows = statementsOf(template, part(name)).filter((s) => s.Sid === 'Checkpoints');
      expect(rows).toHaveLength(SHAPES[name].executionTimeout ? 1 : 0);
      for (const row of rows) {
        expect(row.Resource).toEqual({ 'Fn::Join': ['', [{ 'Fn::GetAtt': [functions.get(name)!.id, 'Arn'] }, ':*']] });
      }
    }
  });

  it('lets its roles be assumed by Lambda, or by Scheduler for schedules of the same account, and by nobody else', () => {
    for (const [id, role] of resources(template, 'AWS::IAM::Role')) {
      const service = id.startsWith('ServiceSchedules') ? 'scheduler' : 'lambda';
      const ofAccount = { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } };
      expect([id, role.Properties.AssumeRolePolicyDocument.Statement]).toEqual([
        id,
        [
          {
            Action: 'sts:AssumeRole',
            Effect: 'Allow',
            Principal: { Service: `${service}.amazonaws.com` },
            ...(service === 'scheduler' ? { Condition: ofAccount } : {}),
          },
        ],
      ]);
    }
  });

  it('may not touch an instance: the mode is plan', () => {
    const actions = JSON.stringify(resources(template, 'AWS::IAM::Policy'));
    expect(actions).not.toMatch(/StopInstances|RebootInstances|SendCommand|CreateTags/);
  });

  it('carries the runbook in a document that gets new versions, and tells the functions its hash', () => {
    const [[, document]] = resources(template, 'AWS::SSM::Document') as [[string, Resource]];
    expect(document.Properties).toMatchObject({
      DocumentType: 'Command',
      UpdateMethod: 'NewVersion',
      DocumentFormat: 'JSON',
    });
    // Nothing was lost on the way: the CDK drops empty values in some places.
    expect(document.Properties.Content).toEqual(runbookDocument(readRunbookScript()));
    const hash = canonicalDocumentHash(document.Properties.Content as object);
    for (const { properties } of functions.values()) {
      expect(properties.Environment.Variables).toMatchObject({
        DOCUMENT_HASH: hash,
        DOCUMENT_NAME: document.Properties.Name,
      });
    }
  });

  const environmentOf = (name: (typeof FUNCTION_NAMES)[number]): Record<string, string> => {
    const resolved: Record<string, string> = { 'AWS::AccountId': '111122223333', ServiceNotifications: '' };
    const text = (key: string, value: Json): string => {
      if (typeof value === 'string') return value;
      if (key === 'TOPIC_ARN') return 'arn:aws:sns:eu-west-1:111122223333:topic';
      if (key.endsWith('_FUNCTION_ARN')) return `arn:aws:lambda:eu-west-1:111122223333:function:${value.Ref}:live`;
      return resolved[value.Ref] ?? String(value.Ref);
    };
    const variables: Record<string, Json> = functions.get(name)!.properties.Environment.Variables;
    const entries = Object.entries(variables).map(([key, value]) => [key, text(key, value)]);
    return { AWS_REGION: 'eu-west-1', ...Object.fromEntries(entries) };
  };

  // A function cannot be told its own alias, nor that of one that starts it: CloudFormation refuses the circle.
  it.each(FUNCTION_NAMES)('gives %s an environment that it can read', (name) => {
    expect(deploymentFromEnvironment(environmentOf(name)).documentName).toBe('AuditBacklogRemediation-Resize');
  });

  it('says on run how to use it from the console', () => {
    const description: string = functions.get('run')!.properties.Description;
    expect(description).toContain('Test');
    expect(description).toContain('"status"');
    for (const { properties } of functions.values()) expect(properties.Description.length).toBeLessThanOrEqual(256);
  });

  it('takes messages and events over TLS only', () => {
    for (const type of ['AWS::SNS::TopicPolicy', 'AWS::SQS::QueuePolicy']) {
      template.hasResourceProperties(type, {
        PolicyDocument: { Statement: Match.arrayWith([Match.objectLike({ Effect: 'Deny' })]) },
      });
    }
  });
});

describe('settings in the stack', () => {
  it('acting, stops and reboots only what opted in and never what opted out', () => {
    const rows = statementsOf(templateOf(appWith({ policy: { mode: 'apply' } })), 'Restart').filter((s) =>
      actionsOf(s).some((action) => /ec2:(Stop|Reboot)Instances/.test(action)),
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      expect(row.Condition).toEqual({
        StringEquals: { 'aws:ResourceTag/AuditBacklogRestart': 'allowed' },
        StringNotEqualsIgnoreCase: { 'aws:ResourceTag/AuditBacklogRemediation': 'disabled' },
      });
    }
  });

  it('refuses a wrong one with one line that names it', () => {
    expect(() => appWith({ policy: { restart: { policy: 'sometimes' } } })).toThrow(
      /^auditBacklogRemediation: .*policy\.restart\.policy/,
    );
  });

  it('schedule, time zone, window and mails', () => {
    const template = templateOf(
      appWith({
        schedule: 'cron(0 2 ? * MON-FRI *)',
        timezone: 'Europe/Dublin',
        flexibleWindowMinutes: 15,
        notificationEmails: ['ops@example.com'],
      }),
    );
    template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(0 2 ? * MON-FRI *)',
      ScheduleExpressionTimezone: 'Europe/Dublin',
      FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
    });
    template.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'ops@example.com' });
  });

  it('acting, from text as `-c` gives it', () => {
    const template = templateOf(appWith('{"policy":{"mode":"apply"}}'));
    const own = resources(template, 'AWS::Lambda::Function').filter(([id]) => id.startsWith('Service'));
    expect(own).toHaveLength(5);
    for (const [, resource] of own) {
      expect(resource.Properties.Environment.Variables.POLICY).toBe('{"mode":"apply"}');
    }
  });

  it('calendars and alarms give run the permission to read them', () => {
    const template = templateOf(appWith({ policy: { calendars: ['Freeze'], blockingAlarms: ['Incident'] } }));
    const rows = statementsOf(template, 'Run');
    expect(JSON.stringify(rows.find((row) => row.Sid === 'ReadCalendars')?.Resource)).toContain(':document/Freeze');
    expect(rows.find((row) => row.Sid === 'ReadAlarms')).toBeDefined();
  });
});
