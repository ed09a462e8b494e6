/** Token buckets below a share of the account's API quotas ("Request throttling for the Amazon EC2 API"). */

/** A quota as AWS documents it. */
export interface Quota {
  /** Requests at once after a quiet time. */
  readonly capacity: number;
  /** Requests a second in the long run. */
  readonly refill: number;
}

/**
 * Documented quotas per account, region and API; those of SSM and the rest are not published, so they are cautious
 * guesses that a throttle corrects. Source: "Request throttling for the Amazon EC2 API", read 2026-11.
 */
const QUOTAS: Readonly<Record<string, Quota>> = {
  'ec2:DescribeInstances by id': { capacity: 50, refill: 10 },
  'ec2:DescribeInstanceStatus by id': { capacity: 50, refill: 10 },
  'ec2:DescribeSpotInstanceRequests': { capacity: 50, refill: 10 },
  'ec2:DescribeVolumes': { capacity: 50, refill: 10 },
  'ec2:StartInstances': { capacity: 5, refill: 2 },
  'ec2:StopInstances': { capacity: 50, refill: 5 },
  'ec2:RebootInstances': { capacity: 50, refill: 5 },
  'ec2:CreateTags': { capacity: 100, refill: 10 },
  'ec2:DeleteTags': { capacity: 100, refill: 10 },
};
const SERVICES: Readonly<Record<string, Quota>> = {
  ec2: { capacity: 100, refill: 20 },
  ssm: { capacity: 20, refill: 10 },
  dynamodb: { capacity: 2000, refill: 1000 },
  logs: { capacity: 100, refill: 50 },
  events: { capacity: 100, refill: 50 },
};
const OTHER: Quota = { capacity: 20, refill: 10 };

/** Says when a request may go. */
export interface Pacer {
  /** Resolves when the quota has room; requests go in the order of asking. */
  turn(quota: string): Promise<void>;
  /** A throttle came: others use this quota too, so what is saved up is worth nothing. */
  drain(quota: string): void;
}

/** @param quotaShare - Share of each quota to use, 0.05 to 1. */
export function createPacer(quotaShare: number): Pacer {
  const buckets = new Map<string, Bucket>();
  const bucket = (quota: string) => {
    const known = buckets.get(quota);
    if (known) return known;
    const { capacity, refill } = QUOTAS[quota] ?? SERVICES[quota.split(':')[0] ?? ''] ?? OTHER;
    const made = createBucket(Math.max(1, capacity * quotaShare), refill * quotaShare);
    buckets.set(quota, made);
    return made;
  };
  return {
    async turn(quota) {
      const wait = bucket(quota).reserve();
      if (wait > 0) {
        await new Promise<void>((resolve) => {
          setTimeout(resolve, wait);
        });
      }
    },
    drain(quota) {
      bucket(quota).drain();
    },
  };
}

interface Bucket {
  /** Takes a token, maybe one of the future, and says how long until it is there. Unit: milliseconds. */
  reserve(): number;
  drain(): void;
}

function createBucket(capacity: number, refillPerSecond: number): Bucket {
  let tokens = capacity;
  let at = Date.now();
  const refill = () => {
    const now = Date.now();
    // A clock that was set back must neither take tokens away nor stop the refill.
    tokens = Math.min(capacity, tokens + (Math.max(0, now - at) / 1000) * refillPerSecond);
    at = now;
  };
  return {
    reserve() {
      refill();
      tokens -= 1;
      return tokens >= 0 ? 0 : Math.ceil((-tokens / refillPerSecond) * 1000);
    },
    drain() {
      refill();
      tokens = Math.min(tokens, 0);
    },
  };
}
