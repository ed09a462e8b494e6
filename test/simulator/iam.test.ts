import type { ApiCall } from '../../simulator/core.ts';
import { Iam } from '../../simulator/iam/authoriser.ts';
import { decide } from '../../simulator/iam/decision.ts';
import { parsePolicy, type Statement } from '../../simulator/iam/policy.ts';
import { accessRequests } from '../../simulator/iam/requests.ts';
import { rolesOf } from '../../simulator/iam/template.ts';
import { trusts } from '../../simulator/iam/trust.ts';

const allow = (more: object = {}) => ({ Effect: 'Allow', Action: 'ec2:StopInstances', Resource: '*', ...more });
const policy = (...statements: object[]): readonly Statement[] =>
  parsePolicy({ Version: '2012-10-17', Statement: statements });
type Context = Readonly<Record<string, string | readonly string[]>>;
const request = (context: Context = {}, more: { action?: string; resource?: string } = {}) => ({
  action: 'ec2:StopInstances',
  resource: 'arn:aws:ec2:eu-west-1:111122223333:instance/i-1',
  keys: new Set(['k', 'several', 'aws:resourcetag/', ...Object.keys(context)]),
  context: new Map(Object.entries(context)),
  ...more,
});
const allowed = (statements: readonly Statement[], context?: Context, more?: object) =>
  decide(statements, request(context, more)).allowed;
const when = (operator: string, key: string, ...values: string[]) =>
  policy(allow({ Condition: { [operator]: { [key]: values } } }));

describe('a decision', () => {
  it('is no, unless a statement allows it', () => {
    expect(allowed([])).toBe(false);
    expect(allowed(policy(allow()))).toBe(true);
    expect(allowed(policy(allow({ Action: 'ec2:StartInstances' })))).toBe(false);
  });

  it('is no where a statement denies it, whatever allows it', () => {
    const statements = policy(allow(), allow({ Sid: 'No', Effect: 'Deny', Action: 'ec2:*' }));
    expect(decide(statements, request())).toMatchObject({ allowed: false, by: { sid: 'No' } });
  });

  it('takes actions without regard to case, resources with regard to it, and wildcards in both', () => {
    expect(allowed(policy(allow({ Action: 'EC2:stop*'.toLowerCase() })))).toBe(true);
    expect(allowed(policy(allow({ Action: ['ec2:St?pInstances'] })))).toBe(true);
    expect(allowed(policy(allow({ Resource: 'arn:aws:ec2:eu-west-1:111122223333:instance/*' })))).toBe(true);
    expect(allowed(policy(allow({ Resource: 'arn:aws:ec2:eu-west-1:111122223333:INSTANCE/*' })))).toBe(false);
    expect(allowed(policy(allow({ Resource: 'arn:aws:ec2:eu-west-1:111122223333:instance/i-11' })))).toBe(false);
  });

  it('needs * where an action takes no resource', () => {
    const statements = policy(allow({ Resource: 'arn:aws:ec2:*:*:instance/*' }));
    expect(allowed(statements, {}, { resource: '*' })).toBe(false);
  });
});

describe('a condition', () => {
  const absent = undefined;
  it.each([
    ['StringEquals', 'a', true],
    ['StringEquals', 'A', false],
    ['StringEquals', absent, false],
    ['StringEqualsIgnoreCase', 'A', true],
    ['StringEqualsIfExists', absent, true],
    ['StringEqualsIfExists', 'b', false],
    ['StringNotEquals', 'a', false],
    ['StringNotEquals', 'b', true],
    ['StringNotEquals', absent, true],
    ['StringNotEqualsIgnoreCase', 'A', false],
    ['StringNotEqualsIgnoreCase', absent, true],
    ['StringLike', 'a', true],
    ['StringNotLike', 'a', false],
    ['Bool', 'A', true],
    ['Bool', absent, false],
  ])('%s a, of %s: %s', (operator, value, expected) => {
    expect(allowed(when(operator, 'k', 'a'), value === undefined ? {} : { k: value })).toBe(expected);
  });

  it('of several values holds where one does, and negated where none does', () => {
    expect(allowed(when('StringEquals', 'k', 'a', 'b'), { k: 'b' })).toBe(true);
    expect(allowed(when('StringNotEquals', 'k', 'a', 'b'), { k: 'b' })).toBe(false);
    expect(allowed(when('StringNotEquals', 'k', 'a', 'b'), { k: 'c' })).toBe(true);
  });

  it('Null asks whether the key is there', () => {
    expect(allowed(when('Null', 'k', 'true'))).toBe(true);
    expect(allowed(when('Null', 'k', 'false'))).toBe(false);
    expect(allowed(when('Null', 'k', 'false'), { k: 'x' })).toBe(true);
  });

  it('ForAllValues holds of nothing at all, ForAnyValue does not', () => {
    expect(allowed(when('ForAllValues:StringEquals', 'several', 'a', 'b'), { several: ['a', 'b'] })).toBe(true);
    expect(allowed(when('ForAllValues:StringEquals', 'several', 'a'), { several: ['a', 'c'] })).toBe(false);
    expect(allowed(when('ForAllValues:StringEquals', 'several', 'a'))).toBe(true);
    expect(allowed(when('ForAnyValue:StringEquals', 'several', 'a'), { several: ['c', 'a'] })).toBe(true);
    expect(allowed(when('ForAnyValue:StringEquals', 'several', 'a'))).toBe(false);
  });

  it('ArnLike compares part by part', () => {
    const role = { k: 'arn:aws:iam::111122223333:role/Service-Cell-1' };
    expect(allowed(when('ArnLike', 'k', 'arn:*:iam::111122223333:role/Service-*'), role)).toBe(true);
    expect(allowed(when('ArnLike', 'k', 'arn:*:role/Service-*'), role)).toBe(false);
    expect(allowed(when('ArnLike', 'k', 'arn:aws:iam::*:role/Other-*'), role)).toBe(false);
  });

  it('keys are not case-sensitive, those of tags neither', () => {
    const statements = when('StringEquals', 'aws:ResourceTag/Restart', 'yes');
    expect(allowed(statements, { 'aws:resourcetag/restart': 'yes' })).toBe(true);
  });

  it('needs every operator and every key to hold', () => {
    const statements = policy(allow({ Condition: { StringEquals: { k: 'a' }, Null: { several: 'true' } } }));
    expect(allowed(statements, { k: 'a' })).toBe(true);
    expect(allowed(statements, { k: 'a', several: ['x'] })).toBe(false);
    expect(allowed(statements, { k: 'b' })).toBe(false);
  });
});

describe('what is not modelled is an error, never an allow', () => {
  it.each([
    ['another element', { NotAction: 'ec2:*' }],
    ['a principal', { Principal: '*' }],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as IAM writes it
    ['a policy variable', { Resource: 'arn:aws:ec2:*:*:instance/${aws:username}' }],
    ['an effect', { Effect: 'Maybe' }],
    ['no resource', { Resource: [] }],
    ['a reference', { Resource: { Ref: 'X' } }],
    ['an action of no service', { Action: 'StopInstances' }],
  ])('%s', (_, more) => {
    expect(() => policy(allow(more))).toThrow(expect.objectContaining({ name: 'IamModelError' }));
  });

  it('another version', () => {
    expect(() => parsePolicy({ Version: '2008-10-17', Statement: [] })).toThrow(/version/);
  });

  it.each([
    ['an operator', 'NumericLessThan', 'k', { k: '1' }],
    ['a key that the action does not have', 'StringNotEquals', 'aws:SourceIp', {}],
    ['a tag key of a type that the resource does not have', 'StringNotEquals', 'ssm:resourceTag/a', {}],
    ['several values without a quantifier', 'StringEquals', 'several', { several: ['a', 'b'] }],
  ])('%s', (_, operator, key, context) => {
    expect(() => allowed(when(operator, key, 'a'), context as Context)).toThrow(
      expect.objectContaining({ name: 'IamModelError' }),
    );
  });

  const call = (service: string, action: string): ApiCall => ({
    service,
    action,
    params: {},
    accountId: '111122223333',
    region: 'eu-west-1',
    principal: 'cell',
  });

  it('a call', () => {
    expect(() => accessRequests(call('ec2', 'TerminateInstances'), { find: () => undefined })).toThrow(
      'ec2:TerminateInstances',
    );
  });

  it('and the authoriser remembers it', () => {
    const iam = new Iam();
    iam.addRole('111122223333', 'cell', policy(allow({ Action: '*' })));
    expect(() => iam.authorise(call('ec2', 'TerminateInstances'), { find: () => undefined })).toThrow();
    expect(iam.errors).toHaveLength(1);
    expect(iam.authorise({ ...call('ec2', 'TerminateInstances'), principal: 'root' }, { find: () => undefined })).toBe(
      true,
    );
  });

  it('a role that nobody gave policies to may do nothing', () => {
    const iam = new Iam();
    expect(iam.authorise(call('ec2', 'DescribeInstances'), { find: () => undefined })).toBe(false);
    expect(iam.denials).toEqual([
      expect.objectContaining({ principal: 'cell', action: 'ec2:DescribeInstances', resource: '*', deniedBy: null }),
    ]);
  });
});

describe('trust', () => {
  const root = 'arn:aws:iam::111122223333:root';
  const trust = (more: object = {}) => ({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: root }, ...more }],
  });
  const asker = {
    arn: 'arn:aws:iam::111122223333:role/fleet/cell',
    accountId: '111122223333',
    organizationId: 'o-a1b2c3d4e5',
    externalId: 'fleet-42',
  };

  it("an account's root stands for its roles, a role for itself, a service for no role", () => {
    expect(trusts(trust(), asker)).toBe(true);
    expect(trusts(trust(), { ...asker, accountId: '999999999999' })).toBe(false);
    expect(trusts(trust({ Principal: { AWS: asker.arn } }), asker)).toBe(true);
    expect(trusts(trust({ Principal: { AWS: 'arn:aws:iam::111122223333:role/other' } }), asker)).toBe(false);
    expect(trusts(trust({ Principal: { Service: 'lambda.amazonaws.com' } }), asker)).toBe(false);
  });

  it.each([
    ['sts:ExternalId', 'fleet-42', { externalId: 'fleet-24' }, { externalId: undefined }],
    ['aws:PrincipalOrgID', 'o-a1b2c3d4e5', { organizationId: 'o-0000000000' }, { organizationId: undefined }],
    ['aws:PrincipalArn', asker.arn, { arn: 'arn:aws:iam::111122223333:role/Admin' }, { arn: '' }],
  ])('may ask for %s', (key, value, other, none) => {
    const asking = trust({ Condition: { StringEquals: { [key]: value } } });
    expect(trusts(asking, asker)).toBe(true);
    expect(trusts(asking, { ...asker, ...other })).toBe(false);
    expect(trusts(asking, { ...asker, ...none })).toBe(false);
  });

  it('an explicit deny wins', () => {
    const [allowing] = trust().Statement;
    expect(trusts({ ...trust(), Statement: [allowing, { ...allowing, Effect: 'Deny' }] }, asker)).toBe(false);
  });

  it.each([
    ['everybody', { Principal: '*' }],
    ['federation', { Principal: { Federated: 'cognito-identity.amazonaws.com' } }],
    ['a session', { Principal: { AWS: 'arn:aws:sts::111122223333:assumed-role/cell/session' } }],
    ['an element', { NotPrincipal: {} }],
    ['a resource', { Resource: '*' }],
    ['another key', { Condition: { StringEquals: { 'aws:SourceIp': '10.0.0.0' } } }],
  ])('of what is not modelled is an error: %s', (_, more) => {
    expect(() => trusts(trust(more), asker)).toThrow(expect.objectContaining({ name: 'IamModelError' }));
  });

  it('is asked for beside the permission, by the authoriser', () => {
    const assume = (params: ApiCall['params']): ApiCall => ({
      service: 'sts',
      action: 'AssumeRole',
      params: { RoleArn: 'arn:aws:iam::444455556666:role/Member', ...params },
      accountId: '111122223333',
      region: 'eu-west-1',
      principal: 'cell',
    });
    const asking = trust({ Condition: { StringEquals: { 'sts:ExternalId': 'fleet-42' } } });
    const nobody = { find: () => undefined };
    const iam = (permitted: string, options: object) => {
      const made = new Iam();
      made.addRole('111122223333', 'cell', policy(allow({ Action: permitted })));
      made.addRole('444455556666', 'Member', [], options);
      return made;
    };
    const may = (made: Iam, params: ApiCall['params'] = { ExternalId: 'fleet-42' }) =>
      made.authorise(assume(params), nobody);
    expect(may(iam('sts:AssumeRole', { trust: asking }))).toBe(true);
    expect(may(iam('sts:TagSession', { trust: asking }))).toBe(false);
    expect(may(iam('sts:AssumeRole', {}))).toBe(false);
    const wrong = iam('sts:AssumeRole', { trust: asking });
    expect([may(wrong, {}), may(wrong, { ExternalId: 'x' })]).toEqual([false, false]);
    expect(wrong.denials.map(({ deniedBy }) => deniedBy)).toEqual(['trust', 'trust']);
  });
});

describe('a template', () => {
  const deployed = { accountId: '111122223333', region: 'eu-west-1', physicalName: () => undefined };
  const template = (resource: unknown, others: object = {}) => ({
    Resources: {
      Role: { Type: 'AWS::IAM::Role', Properties: { RoleName: 'r', AssumeRolePolicyDocument: {} } },
      Policy: {
        Type: 'AWS::IAM::Policy',
        Properties: {
          Roles: [{ Ref: 'Role' }],
          PolicyDocument: { Version: '2012-10-17', Statement: [allow({ Resource: resource })] },
        },
      },
      Table: { Type: 'AWS::DynamoDB::Table', Properties: { TableName: 't' } },
      Function: { Type: 'AWS::Lambda::Function', Properties: {} },
      Alias: { Type: 'AWS::Lambda::Alias', Properties: { FunctionName: { Ref: 'Function' }, Name: 'live' } },
      ...others,
    },
  });
  const resourceOf = (resource: unknown, others?: object) =>
    rolesOf(template(resource, others), deployed)[0]?.statements[0]?.resources;

  it.each([
    [{ 'Fn::GetAtt': ['Table', 'Arn'] }, 'arn:aws:dynamodb:eu-west-1:111122223333:table/t'],
    [{ Ref: 'Alias' }, 'arn:aws:lambda:eu-west-1:111122223333:function:Function:live'],
    [{ 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':s3:::b']] }, 'arn:aws:s3:::b'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as CloudFormation writes it
    [{ 'Fn::Sub': 'arn:aws:x:${AWS::Region}:${AWS::AccountId}:${Table}' }, 'arn:aws:x:eu-west-1:111122223333:t'],
  ])('%j is %s', (resource, arn) => {
    expect(resourceOf(resource)).toEqual([arn]);
  });

  it.each([
    ['a function', { 'Fn::ImportValue': 'x' }],
    ['an attribute', { 'Fn::GetAtt': ['Table', 'StreamArn'] }],
    ['a resource', { Ref: 'Nothing' }],
    ['the ARN of a type', { 'Fn::GetAtt': ['Policy', 'Arn'] }],
  ])('that uses %s which is not modelled is an error', (_, resource) => {
    expect(() => resourceOf(resource)).toThrow(expect.objectContaining({ name: 'IamModelError' }));
  });

  it('with a managed policy is an error', () => {
    const role = { Type: 'AWS::IAM::Role', Properties: { ManagedPolicyArns: ['x'] } };
    expect(() => resourceOf('*', { Managed: role })).toThrow(/managed/);
  });
});
