/** What a scenario chooses about an instance. Everything else follows from the seed. */

/** A Spot request behind an instance. Only one that is persistent may be stopped. */
export interface SpotProfile {
  readonly kind: 'one-time' | 'persistent';
  /** State of the request; default `active`. A cancelled one still runs, and cannot be stopped. */
  readonly state?: 'active' | 'cancelled' | 'closed';
}

/** A target group of a load balancer; all instances of a cell that name it are in one and the same. */
export interface TargetGroupProfile {
  readonly name: string;
  /** How targets are registered. */
  readonly targetType: 'instance' | 'ip';
  readonly healthCheck: 'HTTP' | 'HTTPS' | 'TCP';
  /** Whether a load balancer uses it; without one nobody checks. Default true. */
  readonly attached?: boolean;
}

/** How starts of an instance fail for lack of capacity (`InsufficientInstanceCapacity`). */
export interface CapacityFailures {
  /** The first so many starts fail. */
  readonly count?: number;
  /** All starts before this time fail. Epoch milliseconds. */
  readonly until?: number;
}

/** Everything a scenario can choose for an instance. Times are epoch milliseconds of the world's clock. */
export interface InstanceProfile {
  /** Default: `i-` and 17 hex digits from the seed. */
  readonly instanceId?: string;
  /** One of the table in `types.ts`. */
  readonly instanceType: string;
  readonly imageId: string;
  /** Default `linux`. */
  readonly platform?: 'linux' | 'windows';
  readonly tags?: Readonly<Record<string, string>>;
  /** Default: the region's zone `a`. */
  readonly availabilityZone?: string;
  /** It runs on a Dedicated Host. Default: only Mac types do. */
  readonly dedicatedHost?: boolean;
  readonly placementGroup?: string;
  /** The Capacity Reservation that it was launched into by name. */
  readonly capacityReservationId?: string;
  readonly launchTime: number;
  /** Default `running`. */
  readonly state?: 'running' | 'stopped';
  /** Set where it is a Spot Instance. */
  readonly spot?: SpotProfile;
  /** Other purchase options, shown as InstanceLifecycle. */
  readonly lifecycle?: 'scheduled' | 'capacity-block';
  /** `auto` is lost by a stop, `elastic` is kept. Default `none`. */
  readonly publicAddress?: 'none' | 'auto' | 'elastic';
  /** Default `ebs`. An instance with an instance store root cannot be stopped. */
  readonly rootDevice?: 'ebs' | 'instance-store';
  /** EBS data volumes besides the root; default 0. */
  readonly dataVolumes?: number;
  /** Id of the KMS key of its EBS volumes, known to the cell by `addKey`; default: not encrypted. */
  readonly kmsKeyId?: string;
  /** Load balancers' target groups that it is registered in; default: none. */
  readonly targetGroups?: readonly TargetGroupProfile[];
  readonly keyName?: string;
  readonly iamInstanceProfile?: string;
  /** EC2 never brings a stop of it to an end: it stays `stopping`. Default false. */
  readonly stopNeverEnds?: boolean;
  /** The attribute disableApiStop; default false. */
  readonly stopProtection?: boolean;
  /** Default `stop`. */
  readonly shutdownBehavior?: 'stop' | 'terminate';
  /** The principal of the AWS service that manages it (`Operator.Managed`). */
  readonly operatorManaged?: string;
  /** Shown as the tags `aws:ec2launchtemplate:id` and `:version`. */
  readonly launchTemplate?: { readonly id: string; readonly version: string };
  /** Shown as the tag `aws:autoscaling:groupName`; the group replaces a member that does not run. */
  readonly autoScalingGroup?: string;
  readonly capacityFailures?: CapacityFailures;
  /** It is terminated by someone else at this time. */
  readonly vanishAt?: number;
  /** The console buffer that is read without `Latest` is never posted. */
  readonly consoleNeverPosted?: boolean;
}
