/** The roles of a synthesized CloudFormation template, with every name resolved. */
import { IamModelError, parsePolicy, type Statement } from './policy.ts';

/** Where a template is deployed, and what its resources are called there. */
export interface Deployed {
  readonly accountId: string;
  readonly region: string;
  /** Physical name of a resource; undefined: its own `Name` property if it has one, else its logical id. */
  readonly physicalName: (logicalId: string, type: string) => string | undefined;
}

/** A role of the template, by its physical name. */
export interface TemplateRole {
  readonly name: string;
  readonly statements: readonly Statement[];
  /** Who may assume it, resolved, as it stands. */
  readonly trust: unknown;
}

interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
}
interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
}

const NAME_PROPERTIES = ['RoleName', 'FunctionName', 'TableName', 'QueueName', 'TopicName', 'LogGroupName', 'Name'];

/** Reads all roles with their inline and attached policies. @throws IamModelError for what cannot be resolved. */
export function rolesOf(template: unknown, deployed: Deployed): readonly TemplateRole[] {
  const resources = Object.entries((template as Template).Resources);
  const resolver = new Resolver(template as Template, deployed);
  return resources
    .filter(([, resource]) => resource.Type === 'AWS::IAM::Role')
    .map(([id, role]) => {
      const { AssumeRolePolicyDocument: trust, Policies, ManagedPolicyArns } = role.Properties ?? {};
      if (Policies !== undefined || ManagedPolicyArns !== undefined) {
        throw new IamModelError(`${id}: policies inside a role and managed policies are not modelled`);
      }
      const attached = resources.filter(
        ([, one]) =>
          // Managed policies of the template itself: what does not fit into a role's own.
          (one.Type === 'AWS::IAM::Policy' || one.Type === 'AWS::IAM::ManagedPolicy') &&
          ((one.Properties?.Roles ?? []) as readonly { Ref?: string }[]).some((ref) => ref.Ref === id),
      );
      return {
        name: resolver.name(id),
        statements: attached.flatMap(([, policy]) => parsePolicy(resolver.resolve(policy.Properties?.PolicyDocument))),
        trust: resolver.resolve(trust),
      };
    });
}

class Resolver {
  readonly #template: Template;
  readonly #deployed: Deployed;

  constructor(template: Template, deployed: Deployed) {
    this.#template = template;
    this.#deployed = deployed;
  }

  resolve(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => this.resolve(one));
    if (typeof value !== 'object' || value === null) return value;
    const [[key, argument] = ['', null], ...others] = Object.entries(value);
    if (others.length === 0 && key === 'Ref') return this.#ref(String(argument));
    if (others.length === 0 && key === 'Fn::GetAtt') return this.#attribute(argument);
    if (others.length === 0 && key === 'Fn::Join') return this.#join(argument);
    if (others.length === 0 && key === 'Fn::Sub') return this.#sub(argument);
    if (key.startsWith('Fn::')) throw new IamModelError(`${key} is not modelled`);
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, this.resolve(one)]));
  }

  name(logicalId: string): string {
    const { Type: type, Properties: properties = {} } = this.#resource(logicalId);
    const own = NAME_PROPERTIES.map((property) => properties[property]).find((one) => typeof one === 'string');
    return this.#deployed.physicalName(logicalId, type) ?? (own as string | undefined) ?? logicalId;
  }

  #ref(id: string): string {
    const { accountId, region } = this.#deployed;
    if (id === 'AWS::AccountId') return accountId;
    if (id === 'AWS::Region') return region;
    if (id === 'AWS::Partition') return 'aws';
    const { Type: type } = this.#resource(id);
    // Of these, Ref is the ARN; of all others that are modelled, the name.
    const byArn = ['AWS::SNS::Topic', 'AWS::Lambda::Alias', 'AWS::Lambda::Version'];
    return byArn.includes(type) ? this.#arn(id) : this.name(id);
  }

  #attribute(argument: unknown): string {
    const [id = '', attribute = ''] = Array.isArray(argument) ? argument.map(String) : String(argument).split('.');
    if (attribute === 'Arn' || attribute === 'TopicArn') return this.#arn(id);
    throw new IamModelError(`Fn::GetAtt ${id}.${attribute} is not modelled`);
  }

  #join(argument: unknown): string {
    const [separator, parts] = argument as readonly [string, unknown];
    return (this.resolve(parts) as readonly unknown[]).map(String).join(separator);
  }

  #sub(argument: unknown): string {
    if (typeof argument !== 'string') throw new IamModelError('Fn::Sub with variables is not modelled');
    return argument.replace(/\$\{([^}!]+)\}/g, (_, name: string) =>
      name.startsWith('AWS::') || !name.includes('.') ? this.#ref(name) : this.#attribute(name),
    );
  }

  #arn(id: string): string {
    const { accountId, region } = this.#deployed;
    const { Type: type, Properties: properties = {} } = this.#resource(id);
    const at = (service: string, resource: string): string => `arn:aws:${service}:${region}:${accountId}:${resource}`;
    switch (type) {
      case 'AWS::DynamoDB::Table':
        return at('dynamodb', `table/${this.name(id)}`);
      case 'AWS::Logs::LogGroup':
        return at('logs', `log-group:${this.name(id)}:*`);
      case 'AWS::SNS::Topic':
        return at('sns', this.name(id));
      case 'AWS::SQS::Queue':
        return at('sqs', this.name(id));
      case 'AWS::Lambda::Function':
        return at('lambda', `function:${this.name(id)}`);
      case 'AWS::Lambda::Alias':
        return `${at('lambda', `function:${String(this.resolve(properties.FunctionName))}`)}:${this.name(id)}`;
      case 'AWS::IAM::Role':
        return `arn:aws:iam::${accountId}:role/${this.name(id)}`;
      default:
        throw new IamModelError(`the ARN of ${id} (${type}) is not modelled`);
    }
  }

  #resource(id: string): Resource {
    const resource = this.#template.Resources[id];
    if (resource === undefined) throw new IamModelError(`the template has no ${id}`);
    return resource;
  }
}
