/** EC2 of the embedded region: which action is answered by what. */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from '../core.ts';
import { Parameters } from '../parameters.ts';
import type { CloudCell } from './cell.ts';
import { getConsoleOutput } from './console.ts';
import { describeInstanceAttribute, describeInstances, describeTags } from './describe.ts';
import { rebootInstances, startInstances, stopInstances } from './power.ts';
import { describeInstanceStatus, describeInstanceTypes } from './status.ts';
import { createTags, deleteTags } from './tags.ts';
import { describeSpotInstanceRequests, describeVolumes } from './volumes.ts';

/** Answers one action. `dryRun` ends the call with DryRunOperation where the caller asked for that. */
type Action = (cell: CloudCell, call: ApiCall, parameters: Parameters, dryRun: () => void) => JsonObject;

const READS: Readonly<Record<string, Action>> = {
  DescribeInstances: describeInstances,
  DescribeInstanceStatus: describeInstanceStatus,
  DescribeInstanceTypes: describeInstanceTypes,
  DescribeInstanceAttribute: describeInstanceAttribute,
  DescribeSpotInstanceRequests: describeSpotInstanceRequests,
  DescribeTags: describeTags,
  DescribeVolumes: describeVolumes,
  GetConsoleOutput: getConsoleOutput,
};
const WRITES: Readonly<Record<string, Action>> = {
  StopInstances: stopInstances,
  StartInstances: startInstances,
  RebootInstances: rebootInstances,
  CreateTags: createTags,
  DeleteTags: deleteTags,
};

/** EC2 as a service of the cloud. */
export class Ec2Service implements Service {
  readonly name = 'ec2';
  readonly protocol = 'ec2-query';
  readonly #cellOf: (accountId: string, region: string) => CloudCell;
  constructor(cellOf: (accountId: string, region: string) => CloudCell) {
    this.#cellOf = cellOf;
  }

  isMutating(action: string): boolean {
    return Object.hasOwn(WRITES, action);
  }

  handle(call: ApiCall): JsonObject {
    const table = this.isMutating(call.action) ? WRITES : READS;
    const action = Object.hasOwn(table, call.action) ? table[call.action] : undefined;
    if (action === undefined) return notModelled(call, 'the action');
    const parameters = new Parameters(call);
    const asked = parameters.boolean('DryRun');
    const dryRun = (): void => {
      if (asked) throw new ApiError('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);
    };
    const answer = action(this.#cellOf(call.accountId, call.region), call, parameters, dryRun);
    // A read has no effect to hold back, so its DryRun may end here.
    dryRun();
    return answer;
  }
}
