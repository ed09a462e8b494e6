/** SDK clients for one cell. They never retry: {@link createCaller} does, paced and counted. */
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EC2Client, type EC2ClientConfig } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SNSClient } from '@aws-sdk/client-sns';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Cell } from '../../domain/finding.ts';
import type { Deployment } from './deployment.ts';

/** How requests leave the process, where that is not simply AWS: the embedded region, an endpoint, a profile. */
export interface Wire {
  /** In place of the network. */
  readonly requestHandler?: NonNullable<EC2ClientConfig['requestHandler']>;
  /** Base URL for every service. */
  readonly endpoint?: string;
  readonly credentials?: NonNullable<EC2ClientConfig['credentials']>;
  /** In place of AWS's signature, where nobody checks it. */
  readonly signerConstructor?: NonNullable<EC2ClientConfig['signerConstructor']>;
  /** Named profile of the AWS configuration files; ignored where credentials are given. */
  readonly profile?: string;
  /** 0 to 1: spreads the waits between attempts. Default: none, the same waits every time. */
  readonly random?: () => number;
  /** Longest wait for one answer. Unit: milliseconds; default 15,000. */
  readonly timeoutMilliseconds?: number;
  /** Wait before looking whether a request whose answer was lost took effect. Unit: milliseconds; default 5,000. */
  readonly settleMilliseconds?: number;
}

/** The part of every client's configuration that is the same for all services. */
type CommonConfig = Pick<EC2ClientConfig, 'region' | 'maxAttempts' | 'retryMode'> & {
  requestHandler: NonNullable<EC2ClientConfig['requestHandler']>;
  credentials?: NonNullable<EC2ClientConfig['credentials']>;
  signerConstructor?: NonNullable<EC2ClientConfig['signerConstructor']>;
  endpoint?: string;
};

/** Clients that work in the cell. */
export interface CellClients {
  readonly ec2: EC2Client;
  readonly ssm: SSMClient;
  readonly kms: KMSClient;
  readonly loadBalancers: ElasticLoadBalancingV2Client;
}

/** Clients that work where the service runs. */
export interface HomeClients {
  readonly table: DynamoDBDocumentClient;
  readonly logs: CloudWatchLogsClient;
  readonly events: EventBridgeClient;
  readonly sns: SNSClient;
  readonly ssm: SSMClient;
  readonly cloudWatch: CloudWatchClient;
  readonly lambda: LambdaClient;
}

/** The deployment as far as it decides by what right a cell is entered. */
export type Entrance = Pick<Deployment, 'home' | 'memberRoleName' | 'externalId' | 'partition'>;

/** @param entrance - null: every cell is entered with the wire's own credentials (the CLI). */
export function createCellClients(cell: Cell, entrance: Entrance | null, wire: Wire): CellClients {
  const credentials = entrance ? credentialsFor(cell, entrance, wire) : undefined;
  const config = commonConfig(cell.region, wire, credentials);
  return {
    ec2: new EC2Client(config),
    ssm: new SSMClient(config),
    kms: new KMSClient(config),
    loadBalancers: new ElasticLoadBalancingV2Client(config),
  };
}

export function createHomeClients(region: string, wire: Wire = {}): HomeClients {
  const config = commonConfig(region, wire);
  const dynamo = new DynamoDBClient(config);
  return {
    table: DynamoDBDocumentClient.from(dynamo, { marshallOptions: { removeUndefinedValues: true } }),
    logs: new CloudWatchLogsClient(config),
    events: new EventBridgeClient(config),
    sns: new SNSClient(config),
    ssm: new SSMClient(config),
    cloudWatch: new CloudWatchClient(config),
    lambda: new LambdaClient(config),
  };
}

export function createStsClient(region: string, wire: Wire): STSClient {
  return new STSClient(commonConfig(region, wire));
}

/** What is said when a cell of another account is opened and no role is known for it. */
class NoMemberRoleError extends Error {
  override readonly name = 'NoMemberRole';
}

function credentialsFor(cell: Cell, entrance: Entrance, wire: Wire): CommonConfig['credentials'] {
  if (cell.accountId === entrance.home.accountId) return undefined;
  const { memberRoleName, externalId } = entrance;
  if (memberRoleName === null) {
    return async () => {
      throw new NoMemberRoleError(`no role is configured for account ${cell.accountId}`);
    };
  }
  const { partition } = entrance;
  // STS at home: what it issues is valid in every region, and a region that is opt-in need not be enabled at home.
  const { credentials: master, ...clientConfig } = commonConfig(entrance.home.region, wire);
  return fromTemporaryCredentials({
    params: {
      RoleArn: `arn:${partition}:iam::${cell.accountId}:role/${memberRoleName}`,
      RoleSessionName: 'audit-backlog-remediation',
      DurationSeconds: 3600,
      ...(externalId === null ? {} : { ExternalId: externalId }),
    },
    clientConfig,
    ...(master === undefined ? {} : { masterCredentials: master }),
  });
}

function commonConfig(region: string, wire: Wire, given?: CommonConfig['credentials']): CommonConfig {
  const timeout = wire.timeoutMilliseconds ?? 15_000;
  const credentials =
    given ?? wire.credentials ?? (wire.profile ? fromNodeProviderChain({ profile: wire.profile }) : undefined);
  return {
    region,
    maxAttempts: 1,
    retryMode: 'standard',
    requestHandler: wire.requestHandler ?? {
      connectionTimeout: Math.min(5000, timeout),
      requestTimeout: timeout,
      throwOnRequestTimeout: true,
    },
    ...(credentials === undefined ? {} : { credentials }),
    ...(wire.signerConstructor === undefined ? {} : { signerConstructor: wire.signerConstructor }),
    ...(wire.endpoint === undefined ? {} : { endpoint: wire.endpoint }),
    ...(wire.requestHandler ? IN_PROCESS : {}),
  };
}

/** Answers the SDK would look for in configuration files. In process nothing may read a file: the virtual clock would
 * run on meanwhile. */
const IN_PROCESS = {
  defaultsMode: 'standard' as const,
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  userAgentAppId: 'audit-backlog-remediation',
  ignoreConfiguredEndpointUrls: true,
  authSchemePreference: ['sigv4'],
  accountIdEndpointMode: 'disabled' as const,
  endpointDiscoveryEnabled: false,
  disableClockSkewCorrection: true,
  sigv4aSigningRegionSet: ['*'],
};
