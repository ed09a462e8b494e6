/** What an organization or a console asks of the stack: how roles look, and shareable test events. */
import { runRequestSchema, statusRequestSchema } from '../../domain/contracts.ts';
import { appWith, type Json, type Resource, resources, statementsOf, templateOf } from './synth.ts';

describe('roles as an organization wants them', () => {
  const roles = (settings: object, stack?: string) =>
    resources(templateOf(appWith(settings), stack), 'AWS::IAM::Role').map(([, role]) => role.Properties);
  const hub = { account: '111122223333', region: 'eu-west-1' };

  it('stand under a path and within a boundary, those of the schedules as well', () => {
    const found = roles({ roles: { path: '/fleet/', permissionsBoundary: 'bounds/Workload' } });
    expect(found).toHaveLength(8);
    for (const role of found) {
      expect(role.Path).toBe('/fleet/');
      expect(JSON.stringify(role.PermissionsBoundary)).toContain(':policy/bounds/Workload');
    }
  });

  it('are plain otherwise', () => {
    for (const role of roles({})) expect([role.Path, role.PermissionsBoundary]).toEqual([undefined, undefined]);
  });

  const member = (more: object) => ({
    ...hub,
    ...more,
    policy: { scope: { accounts: [hub.account, '444455556666'] } },
  });
  const MEMBER = 'AuditBacklogRemediation-Member-444455556666';

  it('in a member account stand at the root, bounded, and trust roles under the path', () => {
    const settings = member({ roles: { path: '/fleet/', permissionsBoundary: 'Workload' } });
    const [role] = roles(settings, MEMBER);
    expect(role?.Path).toBeUndefined();
    expect(JSON.stringify(role?.PermissionsBoundary)).toContain(':iam::444455556666:policy/Workload');
    expect(JSON.stringify(role?.AssumeRolePolicyDocument)).toContain(':role/fleet/AuditBacklogRemediation-*');
  });

  it('in a member account stand under a path of their own, by which the service finds them', () => {
    const settings = member({ memberRole: { path: '/ops/audit/', name: 'Backlog' } });
    expect(roles(settings, MEMBER)[0]).toMatchObject({ Path: '/ops/audit/', RoleName: 'Backlog' });
    const template = templateOf(appWith(settings));
    const told = resources(template, 'AWS::Lambda::Function').map(
      ([, { Properties }]) => Properties.Environment?.Variables.MEMBER_ROLE_NAME,
    );
    expect(told.filter(Boolean)).toEqual(Array(5).fill('ops/audit/Backlog'));
    const assumed = statementsOf(template, 'Cell').find(({ Sid }) => Sid === 'AssumeMemberRole');
    expect(JSON.stringify(assumed?.Resource)).toContain(':iam::444455556666:role/ops/audit/Backlog"');
  });

  it('in a member account ask for the external id, the organization, both or neither', () => {
    const asked = (memberRole: object) =>
      roles(member({ memberRole }), MEMBER)[0]?.AssumeRolePolicyDocument.Statement[0].Condition.StringEquals;
    const organizationId = 'o-a1b2c3d4e5';
    expect(asked({})).toBeUndefined();
    expect(asked({ externalId: 'fleet-42' })).toEqual({ 'sts:ExternalId': 'fleet-42' });
    expect(asked({ organizationId })).toEqual({ 'aws:PrincipalOrgID': organizationId });
    expect(asked({ externalId: 'fleet-42', organizationId })).toEqual({
      'sts:ExternalId': 'fleet-42',
      'aws:PrincipalOrgID': organizationId,
    });
  });
});

describe('test events of the run function', () => {
  const registry = (testEvents: string) => templateOf(appWith({ testEvents }));
  const schemaOf = (template: ReturnType<typeof registry>) =>
    resources(template, 'AWS::EventSchemas::Schema').map(([, schema]) => schema.Properties)[0];

  it('can be left out, and then nothing speaks of them', () => {
    const template = registry('none');
    template.resourceCountIs('AWS::EventSchemas::Schema', 0);
    expect(JSON.stringify(template.toJSON())).not.toMatch(/testevent|Custom::/i);
  });

  it('go into the registry of the console, under the name that it looks for', () => {
    const template = registry('use-registry');
    template.resourceCountIs('AWS::EventSchemas::Registry', 0);
    expect(schemaOf(template)).toMatchObject({ RegistryName: 'lambda-testevent-schemas', Type: 'OpenApi3' });
    expect(JSON.stringify(schemaOf(template)?.SchemaName)).toMatch(/"_",\{"Ref":"ServiceRunFunction\w+"\},"-schema"/);
  });

  it('rely on the registry where they are told that it exists', () => {
    const template = registry('use-registry');
    template.resourceCountIs('Custom::TestEventRegistry', 0);
    expect(resources(template, 'AWS::Lambda::Function')).toHaveLength(5);
  });

  it('by default make the registry, take "exists already" for success, and never delete or change it', () => {
    const template = templateOf(appWith());
    template.resourceCountIs('AWS::EventSchemas::Registry', 0);
    const [[id, made], ...others] = resources(template, 'Custom::TestEventRegistry') as [[string, Resource]];
    expect(others).toEqual([]);
    const { Create, Update, Delete, InstallLatestAwsSdk } = made.Properties;
    expect([Update, Delete, InstallLatestAwsSdk]).toEqual([undefined, undefined, false]);
    const call = JSON.parse(Create) as { service: string; action: string; ignoreErrorCodesMatching: string };
    expect(call).toMatchObject({ service: 'schemas', action: 'CreateRegistry' });
    expect(call).toMatchObject({ parameters: { RegistryName: 'lambda-testevent-schemas' } });
    const ignored = new RegExp(call.ignoreErrorCodesMatching);
    const codes = ['ConflictException', 'ForbiddenException', 'UnauthorizedException', 'ServiceUnavailableException'];
    expect(codes.filter((code) => ignored.test(code))).toEqual(['ConflictException']);
    // The schema waits for the registry, and the call for its permission.
    expect(resources(template, 'AWS::EventSchemas::Schema')[0]?.[1].DependsOn).toContain(id);
    const policies = resources(template, 'AWS::IAM::Policy').filter(([, policy]) =>
      JSON.stringify(policy).includes('schemas:CreateRegistry'),
    );
    expect(policies).toHaveLength(1);
    expect([made.DependsOn].flat()).toContain(policies[0]?.[0]);
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
