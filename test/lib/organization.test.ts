/** What an organization or a console asks of the stack: how roles look, and shareable test events. */
import { runRequestSchema, statusRequestSchema } from '../../domain/contracts.ts';
import { appWith, type Json, resources, templateOf } from './synth.ts';

describe('roles as an organization wants them', () => {
  const roles = (settings: object, stack?: string) =>
    resources(templateOf(appWith(settings), stack), 'AWS::IAM::Role').map(([, role]) => role.Properties);
  const hub = { account: '111122223333', region: 'eu-west-1' };

  it('stand under a path and within a boundary, those of the schedules as well', () => {
    const found = roles({ roles: { path: '/fleet/', permissionsBoundary: 'bounds/Workload' } });
    expect(found).toHaveLength(7);
    for (const role of found) {
      expect(role.Path).toBe('/fleet/');
      expect(JSON.stringify(role.PermissionsBoundary)).toContain(':policy/bounds/Workload');
    }
  });

  it('are plain otherwise', () => {
    for (const role of roles({})) expect([role.Path, role.PermissionsBoundary]).toEqual([undefined, undefined]);
  });

  it('in a member account stand at the root, bounded, and trust roles under the path', () => {
    const [role] = roles(
      {
        ...hub,
        roles: { path: '/fleet/', permissionsBoundary: 'Workload' },
        policy: { scope: { accounts: [hub.account, '444455556666'] } },
      },
      'AuditBacklogRemediation-Member-444455556666',
    );
    expect(role?.Path).toBeUndefined();
    expect(JSON.stringify(role?.PermissionsBoundary)).toContain(':iam::444455556666:policy/Workload');
    expect(JSON.stringify(role?.AssumeRolePolicyDocument)).toContain(':role/fleet/AuditBacklogRemediation-*');
  });
});

describe('test events of the run function', () => {
  const registry = (testEvents: string) => templateOf(appWith({ testEvents }));
  const schemaOf = (template: ReturnType<typeof registry>) =>
    resources(template, 'AWS::EventSchemas::Schema').map(([, schema]) => schema.Properties)[0];

  it('are none by default: CloudFormation cannot find out whether their registry exists', () => {
    templateOf(appWith()).resourceCountIs('AWS::EventSchemas::Schema', 0);
  });

  it('go into the registry of the console, under the name that it looks for', () => {
    const template = registry('use-registry');
    template.resourceCountIs('AWS::EventSchemas::Registry', 0);
    expect(schemaOf(template)).toMatchObject({ RegistryName: 'lambda-testevent-schemas', Type: 'OpenApi3' });
    expect(JSON.stringify(schemaOf(template)?.SchemaName)).toMatch(/"_",\{"Ref":"ServiceRunFunction\w+"\},"-schema"/);
  });

  it('make the registry where it is absent, and leave it to others when the stack goes', () => {
    registry('create-registry').hasResource('AWS::EventSchemas::Registry', { DeletionPolicy: 'Retain' });
  });

  it('are requests that the run function takes', () => {
    const { components } = JSON.parse(schemaOf(registry('use-registry'))?.Content) as Json;
    const events = Object.entries(components.examples).map(([name, example]) => [name, (example as Json).value]);
    expect(events.map(([name]) => name)).toEqual([
      'PlanEverything',
      'ApplyToOneInstance',
      'ApplyAPlan',
      'HowFarIsARun',
    ]);
    for (const [, event] of events) {
      const schema = 'status' in event ? statusRequestSchema : runRequestSchema;
      expect(schema.safeParse(event).error?.message).toBeUndefined();
    }
  });
});
