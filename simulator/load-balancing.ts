/**
 * Elastic Load Balancing (version 2) of the embedded cloud: target groups and the health of their targets. A check over
 * HTTP or HTTPS passes while the machine's programs run, one over TCP as long as it has power: its kernel answers. Health
 * changes at once; real load balancers take two or more checks.
 */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from './core.ts';
import type { CloudCell } from './ec2/cell.ts';
import { type EmbeddedInstance, VPC } from './ec2/instance.ts';
import type { TargetGroupProfile } from './ec2/profile.ts';
import { Parameters } from './parameters.ts';

const LARGEST_PAGE = 400;

/** Elastic Load Balancing as a service of the cloud. */
export class LoadBalancingService implements Service {
  readonly name = 'elasticloadbalancing';
  readonly protocol = 'aws-query';
  readonly #cellOf: (accountId: string, region: string) => CloudCell;
  constructor(cellOf: (accountId: string, region: string) => CloudCell) {
    this.#cellOf = cellOf;
  }

  isMutating(): boolean {
    return false;
  }

  handle(call: ApiCall): JsonObject {
    switch (call.action) {
      case 'DescribeTargetGroups':
        return this.#describeGroups(call);
      case 'DescribeTargetHealth':
        return this.#describeHealth(call);
      default:
        return notModelled(call, 'the action');
    }
  }

  #describeGroups(call: ApiCall): JsonObject {
    const parameters = new Parameters(call);
    const from = Number(parameters.string('Marker') ?? 0);
    const size = parameters.integer('PageSize', 1, LARGEST_PAGE) ?? LARGEST_PAGE;
    parameters.done();
    if (!Number.isInteger(from)) throw new ApiError('ValidationError', 'The marker is not valid');
    const groups = this.#groups(call);
    const end = from + size;
    return {
      TargetGroups: groups.slice(from, end).map((group) => ({
        TargetGroupArn: arnOf(call, group),
        TargetGroupName: group.name,
        TargetType: group.targetType,
        VpcId: VPC,
        HealthCheckEnabled: true,
        HealthCheckProtocol: group.healthCheck,
        HealthCheckPort: 'traffic-port',
        LoadBalancerArns:
          group.attached === false ? [] : [arn(call, `loadbalancer/app/${group.name}/50dc6c495c0c9188`)],
      })),
      ...(end < groups.length ? { NextMarker: String(end) } : {}),
    };
  }

  #describeHealth(call: ApiCall): JsonObject {
    const parameters = new Parameters(call);
    const asked = parameters.required('TargetGroupArn');
    parameters.done();
    const group = this.#groups(call).find((each) => arnOf(call, each) === asked);
    if (group === undefined) throw new ApiError('TargetGroupNotFound', `Target groups '${asked}' not found`);
    const members = this.#cellOf(call.accountId, call.region)
      .instances()
      .filter(({ profile }) => profile.targetGroups?.some(({ name }) => name === group.name));
    return {
      TargetHealthDescriptions: members.map((member) => ({
        Target: { Id: group.targetType === 'ip' ? member.privateIp : member.instanceId, Port: 8080 },
        HealthCheckPort: '8080',
        TargetHealth: health(group, member),
      })),
    };
  }

  /** Each once, in order of name. */
  #groups({ accountId, region }: ApiCall): readonly TargetGroupProfile[] {
    const named = this.#cellOf(accountId, region)
      .instances()
      .flatMap(({ profile }) => profile.targetGroups ?? [])
      .map((group) => [group.name, group] as const);
    return [...new Map(named).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function health({ healthCheck, attached }: TargetGroupProfile, { state, machine }: EmbeddedInstance): JsonObject {
  if (attached === false) return { State: 'unused', Reason: 'Target.NotInUse' };
  if (state === 'stopped' || state === 'terminated') return { State: 'unused', Reason: 'Target.InvalidState' };
  // Programs that hear the power button hear a request as well.
  const answers = state === 'running' && (healthCheck === 'TCP' || machine.shutsDownCleanly(Date.now()));
  return answers ? { State: 'healthy' } : { State: 'unhealthy', Reason: 'Target.Timeout' };
}

function arnOf(call: ApiCall, { name }: TargetGroupProfile): string {
  return arn(call, `targetgroup/${name}/73e2d6bc24d8a067`);
}

function arn({ accountId, region }: ApiCall, resource: string): string {
  return `arn:aws:elasticloadbalancing:${region}:${accountId}:${resource}`;
}
