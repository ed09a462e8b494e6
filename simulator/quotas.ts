/** Request quotas: a token bucket per account, region and API, of the sizes that AWS documents for EC2. */
import { type ApiCall, ApiError, TokenBucket } from './core.ts';
import { idsOf } from './faults.ts';

/** A bucket: at most `capacity` tokens, `perSecond` come back. */
export interface Quota {
  readonly capacity: number;
  readonly perSecond: number;
}

/**
 * Quotas by `service:Action`, else by `service:*`; an API with neither has none. `resources` is the bucket of one
 * token per instance that some calls draw from besides.
 */
export interface QuotaTable {
  readonly requests: Readonly<Record<string, Quota>>;
  readonly resources: Readonly<Record<string, Quota>>;
}

const READ: Quota = { capacity: 100, perSecond: 20 };
const UNFILTERED: Quota = { capacity: 50, perSecond: 10 };
const WRITE: Quota = { capacity: 50, perSecond: 5 };
const TAGGING: Quota = { capacity: 100, perSecond: 10 };

/**
 * EC2's documented buckets (API throttling page). Of SSM and load balancing no number is published: their rows are chosen low enough that
 * a client which does not slow down is throttled. `#unfiltered` rows are for calls with neither filter, page size nor ids.
 */
export const DOCUMENTED_QUOTAS: QuotaTable = {
  requests: {
    'ec2:DescribeInstances': READ,
    'ec2:DescribeInstances#unfiltered': UNFILTERED,
    'ec2:DescribeInstanceStatus': READ,
    'ec2:DescribeInstanceStatus#unfiltered': UNFILTERED,
    'ec2:DescribeInstanceTypes': READ,
    'ec2:DescribeInstanceAttribute': READ,
    'ec2:DescribeSpotInstanceRequests': READ,
    'ec2:DescribeSpotInstanceRequests#unfiltered': UNFILTERED,
    'ec2:DescribeTags': READ,
    'ec2:DescribeVolumes': READ,
    'ec2:DescribeVolumes#unfiltered': UNFILTERED,
    'ec2:GetConsoleOutput': READ,
    'ec2:StopInstances': WRITE,
    'ec2:RebootInstances': WRITE,
    'ec2:StartInstances': { capacity: 5, perSecond: 2 },
    'ec2:CreateTags': TAGGING,
    'ec2:DeleteTags': TAGGING,
    'ssm:SendCommand': { capacity: 20, perSecond: 5 },
    'ssm:*': { capacity: 60, perSecond: 20 },
    'elasticloadbalancing:*': { capacity: 40, perSecond: 10 },
  },
  resources: {
    'ec2:StartInstances': { capacity: 1000, perSecond: 2 },
    'ec2:StopInstances': { capacity: 1000, perSecond: 20 },
  },
};

/** No quotas at all. */
export const NO_QUOTAS: QuotaTable = { requests: {}, resources: {} };

/** The buckets of one cloud. */
export class Quotas {
  readonly #table: QuotaTable;
  readonly #buckets = new Map<string, TokenBucket>();
  constructor(table: QuotaTable) {
    this.#table = table;
  }

  /** Takes what a call costs. @returns whether there was enough. */
  take(call: ApiCall): boolean {
    const name = `${call.service}:${call.action}`;
    const row =
      isUnfiltered(call) && this.#table.requests[`${name}#unfiltered`] !== undefined ? `${name}#unfiltered` : name;
    const requests = this.#table.requests[row] ?? this.#table.requests[`${call.service}:*`];
    if (requests !== undefined && !this.#bucket(call, row, requests).take()) return false;
    const resources = this.#table.resources[name];
    return resources === undefined || this.#bucket(call, `${name}#resources`, resources).take(idsOf(call).length);
  }

  #bucket(call: ApiCall, row: string, { capacity, perSecond }: Quota): TokenBucket {
    const key = `${call.accountId}/${call.region}/${row}`;
    const bucket = this.#buckets.get(key) ?? new TokenBucket(capacity, perSecond);
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

function isUnfiltered(call: ApiCall): boolean {
  const { params } = call;
  const narrowed = ['Filter', 'MaxResults', 'InstanceId', 'VolumeId', 'SpotInstanceRequestId'];
  return narrowed.every((name) => params[name] === undefined);
}

/** Services of the older Query protocol, whose common errors have other names. */
const AWS_QUERY: ReadonlySet<string> = new Set(['elasticloadbalancing', 'monitoring', 'sns', 'sts']);

/** The refusal that each service gives when a bucket is empty. */
export function throttled(call: ApiCall): ApiError {
  if (call.service === 'ec2') return new ApiError('RequestLimitExceeded', 'Request limit exceeded.', 503);
  if (AWS_QUERY.has(call.service)) return new ApiError('Throttling', 'Rate exceeded');
  if (call.service === 'lambda') return new ApiError('TooManyRequestsException', 'Rate Exceeded.', 429);
  return new ApiError('ThrottlingException', 'Rate exceeded');
}

/** AWS's own failure, in the words of each service. */
export function internalError(call: ApiCall): ApiError {
  const message = 'An internal error has occurred';
  if (call.service === 'ec2') return new ApiError('InternalError', message, 500);
  if (call.service === 'lambda') return new ApiError('ServiceException', message, 500);
  if (AWS_QUERY.has(call.service) && call.service !== 'monitoring')
    return new ApiError('InternalFailure', message, 500);
  return new ApiError('InternalServerError', message, 500);
}

/** A missing permission, in the words of each service. */
export function denied(call: ApiCall, arn: string): ApiError {
  const action = `${call.service === 'monitoring' ? 'cloudwatch' : call.service}:${call.action}`;
  if (call.service === 'ec2') {
    const message = `You are not authorized to perform this operation. User: ${arn} is not authorized to perform: ${action}`;
    return new ApiError('UnauthorizedOperation', message, 403);
  }
  const message = `User: ${arn} is not authorized to perform: ${action} because no identity-based policy allows the ${action} action`;
  if (call.service === 'sns') return new ApiError('AuthorizationError', message, 403);
  if (AWS_QUERY.has(call.service)) return new ApiError('AccessDenied', message, 403);
  return new ApiError('AccessDeniedException', message, call.service === 'lambda' ? 403 : 400);
}
