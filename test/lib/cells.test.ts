import { Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { MemberRoleStack } from '../../lib/cell-stack.ts';
import { settingsSchema } from '../../lib/settings.ts';
import { appWith, statementsOf, templateOf } from './synth.ts';

const HUB = '111122223333';
const scope = {
  regions: ['eu-west-1', 'eu-central-1', 'us-east-1'],
  accounts: [HUB, '444455556666', '777788889999'],
};
const settings = { account: HUB, region: 'eu-west-1', policy: { scope } };

describe('three regions, two more accounts', () => {
  const app = appWith({ ...settings, memberRole: { externalId: 'fleet-42' } });
  const stacks = app.node.children.filter((child) => child instanceof Stack).map((stack) => stack.node.id);

  it('make a document for each cell but the own, and a role for each other account', () => {
    expect(stacks.filter((id) => id.includes('-Cell-'))).toHaveLength(8);
    expect(stacks).not.toContain('AuditBacklogRemediation-Cell-111122223333-eu-west-1');
    expect(stacks.filter((id) => id.includes('-Member-'))).toEqual([
      'AuditBacklogRemediation-Member-444455556666',
      'AuditBacklogRemediation-Member-777788889999',
    ]);
  });

  it('have the same document of the same name everywhere', () => {
    const own = Object.values(templateOf(app).findResources('AWS::SSM::Document'));
    const cell = Object.values(
      templateOf(app, 'AuditBacklogRemediation-Cell-444455556666-us-east-1').toJSON().Resources,
    );
    expect(cell).toHaveLength(1);
    expect((cell[0] as { Properties: unknown }).Properties).toEqual(own[0]?.Properties);
  });

  it('let only roles of the service, with the external id, assume the member role', () => {
    const template = templateOf(app, 'AuditBacklogRemediation-Member-444455556666');
    template.hasResourceProperties('AWS::IAM::Role', {
      RoleName: 'AuditBacklogRemediationMember',
      AssumeRolePolicyDocument: {
        Statement: [
          {
            Action: 'sts:AssumeRole',
            Effect: 'Allow',
            Condition: {
              ArnLike: { 'aws:PrincipalArn': Match.anyValue() },
              StringEquals: { 'sts:ExternalId': 'fleet-42' },
            },
          },
        ],
      },
    });
    expect(JSON.stringify(template.toJSON())).toContain(`:iam::${HUB}:role/AuditBacklogRemediation-*`);
  });

  it('are templates that a StackSet can take: for every account the same, asking nothing of it', () => {
    const of = (...accounts: string[]) =>
      accounts.map((account) => templateOf(app, `AuditBacklogRemediation-Member-${account}`).toJSON());
    const [member, other] = of('444455556666', '777788889999');
    expect(member).toEqual(other);
    const cells = ['444455556666-eu-west-1', '777788889999-us-east-1'].map((cell) =>
      templateOf(app, `AuditBacklogRemediation-Cell-${cell}`).toJSON(),
    );
    expect(cells[0]).toEqual(cells[1]);
    for (const template of [member, ...cells]) {
      expect(Object.keys(template ?? {}).sort()).toEqual(['Description', 'Resources']);
    }
  });

  it('differ by account where the policy does', () => {
    const differing = appWith({
      ...settings,
      policy: {
        mode: 'apply',
        scope,
        overrides: [{ accounts: ['777788889999'], restart: { policy: 'never' } }],
      },
    });
    const actions = (account: string) =>
      JSON.stringify(templateOf(differing, `AuditBacklogRemediation-Member-${account}`).toJSON());
    expect(actions('444455556666')).toContain('ec2:StopInstances');
    expect(actions('777788889999')).not.toContain('ec2:StopInstances');
  });

  it('name exactly those roles to the hub', () => {
    const json = JSON.stringify(templateOf(app).toJSON());
    expect(json).toContain(':iam::444455556666:role/AuditBacklogRemediationMember');
    expect(json).toContain(':iam::777788889999:role/AuditBacklogRemediationMember');
    expect(json).not.toContain(`:iam::${HUB}:role/AuditBacklogRemediationMember`);
    expect(json).toContain('"EXTERNAL_ID":"fleet-42"');
  });

  it('keep the power calls of the hub and of the members to the three regions', () => {
    for (const name of ['AuditBacklogRemediation', 'AuditBacklogRemediation-Member-444455556666']) {
      const json = JSON.stringify(templateOf(app, name).toJSON());
      for (const region of scope.regions) expect(json).toContain(`:ec2:${region}:`);
      expect(json).not.toMatch(/:ec2:\*:/);
    }
  });
});

describe('scope', () => {
  it('without the own account leaves the hub without any permission on instances', () => {
    const app = appWith({ ...settings, policy: { scope: { accounts: ['444455556666'] } } });
    expect(JSON.stringify(templateOf(app).toJSON())).not.toMatch(/"ec2:/);
  });

  it('of many regions still fits into the policies of a role', () => {
    const regions = Array.from({ length: 30 }, (_, index) => `eu-west-${index + 1}`);
    const template = templateOf(appWith({ account: HUB, region: 'eu-west-1', policy: { scope: { regions } } }));
    for (const [id, policy] of Object.entries(template.findResources('AWS::IAM::Policy'))) {
      expect([id, JSON.stringify(policy.Properties.PolicyDocument).length < 10_240]).toEqual([id, true]);
    }
  });
});

describe('many accounts and regions', () => {
  const accounts = Array.from({ length: 160 }, (_, i) => String(200_000_000_000 + i));
  const regions = ['eu-west-1', 'eu-central-1', 'us-east-1'];
  const many = { account: HUB, region: 'eu-west-1' };
  const documents = (template: ReturnType<typeof templateOf>) =>
    ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].flatMap((kind) =>
      Object.entries(template.findResources(kind)).map(([id, { Properties }]) => ({ id, kind, Properties })),
    );

  it('every policy has the size that IAM takes', () => {
    const policy = { mode: 'apply' as const, scope: { accounts: [HUB, ...accounts], regions: ['eu-west-1'] } };
    for (const { id, kind, Properties } of documents(templateOf(appWith({ ...many, policy })))) {
      const most = kind === 'AWS::IAM::Policy' ? 10_240 : 6_144;
      expect([id, JSON.stringify(Properties.PolicyDocument).length <= most]).toEqual([id, true]);
    }
  });

  it('what is moved into managed policies is still the rows and nothing else, below the path of the roles', () => {
    const policy = { mode: 'apply' as const, scope: { accounts: [HUB, '444455556666'], regions } };
    const template = templateOf(appWith({ ...many, policy, roles: { path: '/ops/' } }));
    const moved = template.findResources('AWS::IAM::ManagedPolicy');
    expect(Object.keys(moved).length).toBeGreaterThan(0);
    for (const { Properties } of Object.values(moved)) expect(Properties.Path).toBe('/ops/');
    const said = statementsOf(template, 'Restart').map(({ Sid }) => Sid);
    expect(said).toEqual(expect.arrayContaining(['Stop', 'Notify', 'AssumeMemberRole', 'DeadLetters', 'Checkpoints']));
    expect(new Set(said).size).toBe(said.length);
  });

  it('overrides of a region that is not known yet widen the member role, as they widen the hub', () => {
    const policy = {
      mode: 'apply' as const,
      scope: { accounts: [HUB, '444455556666'] },
      overrides: [{ regions: ['eu-west-1'], restart: { policy: 'any' as const } }],
    };
    const app = appWith({ account: HUB, policy });
    const member = templateOf(app, 'AuditBacklogRemediation-Member-444455556666');
    expect(JSON.stringify(member.toJSON())).toContain('StringEqualsIfExists');
  });
});

it('a member role trusts the roles of a stack with a long name, which CloudFormation cuts', () => {
  const app = appWith({ account: HUB, region: 'eu-west-1' });
  const settings = settingsSchema.parse({ account: HUB, region: 'eu-west-1' }) as never;
  const stack = new MemberRoleStack(app, 'Member', { settings, serviceStackName: 'Prod-AuditBacklogRemediation' });
  const trust = JSON.stringify(Template.fromStack(stack).toJSON());
  expect(trust).toContain('role/Prod-AuditBacklogRemedia*');
  expect('Prod-AuditBacklogRemediat-ServiceReconcileRoleB609-1A2B3C4D5E6F'.startsWith('Prod-AuditBacklogRemedia')).toBe(
    true,
  );
});
