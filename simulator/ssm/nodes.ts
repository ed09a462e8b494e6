/** DescribeInstanceInformation: which nodes SSM knows, and when it believes them lost or back. */
import { type AgentView, type ApiCall, ApiError, type JsonObject, type Machine, notModelled, Random } from '../core.ts';
import type { Parameters } from '../parameters.ts';
import { page } from './paging.ts';

/** What SSM must know of an instance. `state` is EC2's, as it truly is. */
export interface DirectoryInstance {
  readonly instanceId: string;
  readonly state: string;
  readonly machine: Machine;
  readonly privateIp: string;
}

/** Where SSM finds the instances of a cell. */
export interface InstanceDirectory {
  find(accountId: string, region: string, instanceId: string): DirectoryInstance | undefined;
  /** In any stable order. */
  list(accountId: string, region: string): readonly DirectoryInstance[];
}

interface Node {
  readonly instance: DirectoryInstance;
  readonly agent: AgentView;
  readonly pingStatus: 'Online' | 'ConnectionLost';
}

const SECOND = 1000;
const PING_MS = 300 * SECOND;

/** How SSM's view of one agent lags behind it; follows from the id alone. Unit: milliseconds. */
export function pingLag(instanceId: string): { readonly lostAfterMs: number; readonly backAfterMs: number } {
  const random = new Random(5).fork(instanceId);
  return { lostAfterMs: PING_MS + random.between(15, 290) * SECOND, backAfterMs: random.between(5, 30) * SECOND };
}

/** What SSM last showed of the agents of a cell. */
export class PingWatch {
  readonly #shownLost = new Set<string>();

  /** Lost only some minutes after the ping that did not come; Online again only some seconds after the first new one. */
  status(instanceId: string, lastPingAt: number, now: number): 'Online' | 'ConnectionLost' {
    const { lostAfterMs, backAfterMs } = pingLag(instanceId);
    const silentMs = now - lastPingAt;
    const lost = silentMs > lostAfterMs || (this.#shownLost.has(instanceId) && silentMs < backAfterMs);
    if (lost) this.#shownLost.add(instanceId);
    else this.#shownLost.delete(instanceId);
    return lost ? 'ConnectionLost' : 'Online';
  }
}

/** The managed nodes of a cell: agents that registered, on instances that are neither stopped nor terminated. */
function managedNodes(call: ApiCall, directory: InstanceDirectory, watch: PingWatch): Node[] {
  const now = Date.now();
  const nodes: Node[] = [];
  for (const instance of directory.list(call.accountId, call.region)) {
    if (!hasPower(instance)) continue;
    const agent = instance.machine.agent(now);
    if (!agent?.managed || agent.lastPingAt === null) continue;
    nodes.push({ instance, agent, pingStatus: watch.status(instance.instanceId, agent.lastPingAt, now) });
  }
  return nodes.sort((a, b) => (a.instance.instanceId < b.instance.instanceId ? -1 : 1));
}

/** Stopped and terminated nodes are not known to SSM's calls. */
export function hasPower(instance: DirectoryInstance): boolean {
  return instance.state === 'running' || instance.state === 'pending' || instance.state === 'stopping';
}

type Filter = { readonly key: string; readonly values: readonly string[] };

export function describeInstanceInformation(
  call: ApiCall,
  parameters: Parameters,
  directory: InstanceDirectory,
  watch: PingWatch,
): JsonObject {
  const modern = readFilters(call, parameters.objects('Filters'), 'Key', 'Values');
  const old = readFilters(call, parameters.objects('InstanceInformationFilterList'), 'key', 'valueSet');
  if (modern.length > 0 && old.length > 0) {
    throw new ApiError('ValidationException', 'Filters and InstanceInformationFilterList cannot be used together.');
  }
  const size = parameters.integer('MaxResults', 5, 50) ?? 10;
  const token = parameters.string('NextToken');
  parameters.done();
  const filters = [...modern, ...old];
  const nodes = managedNodes(call, directory, watch).filter((node) =>
    filters.every((filter) => matches(call, node, filter)),
  );
  const { items, NextToken } = page(call, nodes, (node) => node.instance.instanceId, size, token);
  return { InstanceInformationList: items.map(describe), ...(NextToken === undefined ? {} : { NextToken }) };
}

function readFilters(call: ApiCall, filters: readonly JsonObject[], keyName: string, valuesName: string): Filter[] {
  return filters.map((filter) => {
    const { [keyName]: key, [valuesName]: values, ...rest } = filter;
    if (Object.keys(rest).length > 0) notModelled(call, `filter field ${Object.keys(rest)[0]}`);
    if (typeof key !== 'string' || !Array.isArray(values) || values.some((value) => typeof value !== 'string')) {
      throw new ApiError('InvalidInstanceInformationFilterValue', 'A filter needs a key and a list of values.');
    }
    if (values.length < 1 || values.length > 100) {
      throw new ApiError('ValidationException', `The filter ${key} must have 1 to 100 values.`);
    }
    return { key, values: values.map(String) };
  });
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  PingStatus: ['Online', 'ConnectionLost', 'Inactive'],
  PlatformTypes: ['Windows', 'Linux', 'MacOS'],
  ResourceType: ['EC2Instance', 'ManagedInstance'],
};

function matches(call: ApiCall, node: Node, { key, values }: Filter): boolean {
  const known = VALUES[key];
  const wrong = known && values.find((value) => !known.includes(value));
  if (wrong !== undefined) {
    throw new ApiError('InvalidInstanceInformationFilterValue', `${wrong} is not a value of the filter ${key}.`);
  }
  switch (key) {
    case 'InstanceIds':
      return values.includes(node.instance.instanceId);
    case 'PingStatus':
      return values.includes(node.pingStatus);
    case 'PlatformTypes':
      return values.includes(node.agent.platformType);
    case 'ResourceType':
      return values.includes('EC2Instance');
    case 'AgentVersion':
      return values.includes(node.agent.version);
    default:
      return notModelled(call, `filter ${key}`);
  }
}

function describe({ instance, agent, pingStatus }: Node): JsonObject {
  return {
    InstanceId: instance.instanceId,
    PingStatus: pingStatus,
    LastPingDateTime: (agent.lastPingAt ?? 0) / 1000,
    AgentVersion: agent.version,
    IsLatestVersion: agent.version === '3.3.3050.0',
    PlatformType: agent.platformType,
    PlatformName: agent.platformName,
    PlatformVersion: agent.platformVersion,
    ResourceType: 'EC2Instance',
    IPAddress: instance.privateIp,
    ComputerName: agent.computerName,
    SourceType: 'AWS::EC2::Instance',
    SourceId: instance.instanceId,
  };
}
