/**
 * What IAM is asked about a call: which actions on which resources, with which condition keys. Written from AWS's Service
 * Authorization Reference, for the calls that the embedded cloud answers; a call that has no row here is an error.
 */
import type { ApiCall, Json } from '../core.ts';
import type { AccessRequest } from './decision.ts';
import { IamModelError } from './policy.ts';

/** An instance, as far as IAM looks at it. */
export interface InstanceView {
  readonly tags: ReadonlyMap<string, string>;
  readonly volumes: readonly { readonly kmsKeyId: string | null }[];
}

/** Where instances are found, as they truly are. */
export interface InstanceDirectory {
  find(accountId: string, region: string, instanceId: string): InstanceView | undefined;
}

/** A resource of a call and what is known of it, beyond what every request has. */
interface Target {
  readonly action?: string;
  readonly resource: string;
  readonly keys?: readonly string[];
  readonly context?: readonly (readonly [key: string, value: string | readonly string[]])[];
}
type TargetsOf = (call: ApiCall, directory: InstanceDirectory) => readonly Target[];

/** EC2 has it beside the global one, for all of its actions. */
const EC2_REGION = 'ec2:region';
const RESOURCE_TAG = 'aws:resourcetag/';

const everything: TargetsOf = () => [{ resource: '*' }];
const ec2Read: TargetsOf = (call) => [{ resource: '*', keys: [EC2_REGION], context: [[EC2_REGION, call.region]] }];

/** Instances that exist; of others the service itself says that they do not. */
const instances =
  (parameter: string, more: (call: ApiCall) => Omit<Target, 'resource'> = () => ({})): TargetsOf =>
  (call, directory) =>
    texts(call.params[parameter]).flatMap((id) => {
      const instance = directory.find(call.accountId, call.region, id);
      if (instance === undefined) return [];
      const { keys = [], context = [], ...rest } = more(call);
      return {
        ...rest,
        resource: arn(call, 'ec2', `instance/${id}`),
        keys: [RESOURCE_TAG, 'ec2:resourcetag/', EC2_REGION, ...keys],
        context: [
          [EC2_REGION, call.region],
          ...tagKeys('aws:resourcetag/', instance.tags),
          ...tagKeys('ec2:resourcetag/', instance.tags),
          ...context,
        ],
      };
    });

const tagging = instances('ResourceId', (call) => {
  const tags = objects(call.params.Tag).map((tag) => [text(tag.Key), tag.Value] as const);
  return {
    keys: ['aws:tagkeys', 'aws:requesttag/'],
    context: [
      ...(tags.length > 0 ? [['aws:tagkeys', tags.map(([key]) => key)] as const] : []),
      ...tags.flatMap(([key, value]) =>
        typeof value === 'string' ? [[`aws:requesttag/${key.toLowerCase()}`, value] as const] : [],
      ),
    ],
  };
});

/** Condition keys of kms:CreateGrant that are modelled. */
const GRANT_KEYS = ['kms:viaservice', 'kms:grantisforawsresource', 'kms:granteeprincipal', 'kms:grantoperations'];

const keyOf: TargetsOf = (call) => {
  const key = text(call.params.KeyId);
  return [{ resource: key.startsWith('arn:') ? key : arn(call, 'kms', `key/${key}`) }];
};

/** A grant that is asked for directly, by no service in anybody's name. */
const granting: TargetsOf = (call, directory) => {
  const operations = texts(call.params.Operations);
  return keyOf(call, directory).map((key) => ({
    ...key,
    keys: GRANT_KEYS,
    context: [
      ['kms:grantisforawsresource', 'false'],
      // A grant may name a service instead.
      ...texts(call.params.GranteePrincipal).map((grantee) => ['kms:granteeprincipal', grantee] as const),
      ...(operations.length > 0 ? [['kms:grantoperations', operations] as const] : []),
    ],
  }));
};

/**
 * Starting from encrypted volumes, EC2 asks for a grant on their keys in the caller's name. On AWS the call succeeds and
 * the instance falls back to stopped when the caller may not grant; here the call is refused.
 */
const starting: TargetsOf = (call, directory) => [
  ...instances('InstanceId')(call, directory),
  ...texts(call.params.InstanceId).flatMap((id) => {
    const volumes = directory.find(call.accountId, call.region, id)?.volumes ?? [];
    const keys = new Set(volumes.flatMap((volume) => volume.kmsKeyId ?? []));
    return [...keys].map(
      (key): Target => ({
        action: 'kms:CreateGrant',
        resource: arn(call, 'kms', `key/${key}`),
        keys: GRANT_KEYS,
        context: [
          ['kms:viaservice', `ec2.${call.region}.amazonaws.com`],
          ['kms:grantisforawsresource', 'true'],
          ['kms:granteeprincipal', `arn:aws:sts::${call.accountId}:assumed-role/aws:ec2-infrastructure/${id}`],
          ['kms:grantoperations', ['Decrypt']],
        ],
      }),
    );
  }),
];

const document =
  (parameter: string): TargetsOf =>
  (call) =>
    texts(call.params[parameter]).map((name) => ({
      resource: name.startsWith('arn:') ? name : arn(call, 'ssm', `document/${name}`, name.startsWith('AWS-')),
    }));

/** The document and every instance are asked about apart; only instances have tags. */
const sending: TargetsOf = (call, directory) => {
  const named = new Map(
    texts(call.params.InstanceIds).map((id) => [
      id,
      directory.find(call.accountId, call.region, id)?.tags ?? new Map(),
    ]),
  );
  const targets = instances('InstanceIds')(call, directory).map((target): Target => {
    const tags = named.get(target.resource.split('/').at(-1) ?? '') ?? new Map<string, string>();
    return {
      resource: target.resource,
      keys: [RESOURCE_TAG, 'ssm:resourcetag/'],
      context: [...tagKeys('aws:resourcetag/', tags), ...tagKeys('ssm:resourcetag/', tags)],
    };
  });
  return [...document('DocumentName')(call, directory), ...targets];
};

const table: TargetsOf = (call) => {
  const named = texts(call.params.TableName);
  const names = named.length > 0 ? named : Object.keys((call.params.RequestItems ?? {}) as object);
  return names.map((name) => ({ resource: name.startsWith('arn:') ? name : arn(call, 'dynamodb', `table/${name}`) }));
};

const logStream: TargetsOf = (call) => [
  {
    resource: arn(
      call,
      'logs',
      `log-group:${text(call.params.logGroupName)}:log-stream:${text(call.params.logStreamName)}`,
    ),
  },
];

const bus: TargetsOf = (call) =>
  objects(call.params.Entries).map((entry) => ({
    resource: arn(
      call,
      'events',
      `event-bus/${entry.EventBusName === undefined ? 'default' : text(entry.EventBusName)}`,
    ),
    keys: ['events:source', 'events:detail-type'],
    context: [
      ['events:source', text(entry.Source)],
      ['events:detail-type', text(entry.DetailType)],
    ],
  }));

const invoking: TargetsOf = (call) => {
  const name = text(call.params.FunctionName);
  const qualifier = typeof call.params.Qualifier === 'string' ? `:${call.params.Qualifier}` : '';
  return [
    {
      action: 'lambda:InvokeFunction',
      resource: `${name.startsWith('arn:') ? name : arn(call, 'lambda', `function:${name}`)}${qualifier}`,
    },
  ];
};

/** By the function and the version that the execution began on: aliases do not count here. */
const executions: TargetsOf = (call) => [
  { resource: text(call.params.DurableExecutionArn).replace(/\/durable-execution\/.*$/, '') },
];

const ROWS: Readonly<Record<string, TargetsOf>> = {
  'ec2:DescribeInstances': ec2Read,
  'ec2:DescribeInstanceStatus': ec2Read,
  'ec2:DescribeInstanceTypes': ec2Read,
  'ec2:DescribeSpotInstanceRequests': ec2Read,
  'ec2:DescribeVolumes': ec2Read,
  'ec2:DescribeTags': ec2Read,
  'ec2:DescribeInstanceAttribute': instances('InstanceId'),
  'ec2:GetConsoleOutput': instances('InstanceId'),
  'ec2:StopInstances': instances('InstanceId'),
  'ec2:StartInstances': starting,
  'ec2:RebootInstances': instances('InstanceId'),
  'ec2:CreateTags': tagging,
  'ec2:DeleteTags': tagging,
  'kms:CreateGrant': granting,
  'kms:DescribeKey': keyOf,
  'elasticloadbalancing:DescribeTargetGroups': everything,
  'elasticloadbalancing:DescribeTargetHealth': everything,
  'ssm:DescribeInstanceInformation': everything,
  'ssm:GetCommandInvocation': everything,
  'ssm:ListCommandInvocations': everything,
  'ssm:ListCommands': everything,
  'ssm:DescribeDocument': document('Name'),
  'ssm:GetDocument': document('Name'),
  'ssm:SendCommand': sending,
  'ssm:GetCalendarState': document('CalendarNames'),
  'dynamodb:BatchGetItem': table,
  'dynamodb:BatchWriteItem': table,
  'dynamodb:DeleteItem': table,
  'dynamodb:GetItem': table,
  'dynamodb:PutItem': table,
  'dynamodb:Query': table,
  'dynamodb:Scan': table,
  'dynamodb:UpdateItem': table,
  'logs:CreateLogStream': logStream,
  'logs:PutLogEvents': logStream,
  'events:PutEvents': bus,
  'sns:Publish': (call) => [{ resource: text(call.params.TopicArn) }],
  'monitoring:DescribeAlarms': () => [{ action: 'cloudwatch:DescribeAlarms', resource: '*' }],
  'lambda:Invoke': invoking,
  // What Lambda does in a function's name, without the function asking for it.
  'lambda:CheckpointDurableExecution': executions,
  'lambda:GetDurableExecution': executions,
  'lambda:GetDurableExecutionState': executions,
  'sqs:SendMessage': (call) => [{ resource: arn(call, 'sqs', text(call.params.QueueUrl).split('/').at(-1) ?? '') }],
  'sts:AssumeRole': (call) => [
    {
      resource: text(call.params.RoleArn),
      keys: ['sts:externalid'],
      context: typeof call.params.ExternalId === 'string' ? [['sts:externalid', call.params.ExternalId]] : [],
    },
  ],
  // Nobody needs a permission to ask who they are.
  'sts:GetCallerIdentity': () => [],
};

/** Keys that every request has. */
const GLOBAL_KEYS = ['aws:requestedregion', 'aws:principalaccount'];

/**
 * What must be allowed for a call, each with its context. Empty where nothing needs to be.
 *
 * @throws IamModelError for a call that has no row.
 */
export function accessRequests(call: ApiCall, directory: InstanceDirectory): readonly AccessRequest[] {
  const name = `${call.service}:${call.action}`;
  const row = Object.hasOwn(ROWS, name) ? ROWS[name] : undefined;
  if (row === undefined) throw new IamModelError(`what ${name} needs is not modelled`);
  return row(call, directory).map(({ action = name, resource, keys = [], context = [] }) => ({
    action,
    resource,
    keys: new Set([...GLOBAL_KEYS, ...keys]),
    context: new Map([['aws:requestedregion', call.region], ['aws:principalaccount', call.accountId], ...context]),
  }));
}

function arn(call: ApiCall, service: string, resource: string, ofAws = false): string {
  return `arn:aws:${service}:${call.region}:${ofAws ? '' : call.accountId}:${resource}`;
}

function tagKeys(prefix: string, tags: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  return [...tags].map(([key, value]) => [`${prefix}${key.toLowerCase()}`, value] as const);
}

function text(value: Json | undefined): string {
  if (typeof value === 'string') return value;
  throw new IamModelError(`${JSON.stringify(value)} should be text`);
}

function texts(value: Json | undefined): readonly string[] {
  return value === undefined || value === null ? [] : [value].flat().map((one) => text(one as Json));
}

function objects(value: Json | undefined): readonly { readonly [key: string]: Json | undefined }[] {
  return Array.isArray(value) ? (value as { readonly [key: string]: Json | undefined }[]) : [];
}
