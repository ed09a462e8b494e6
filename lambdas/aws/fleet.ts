/** Reading a cell's instances from EC2 and SSM. */
import {
  DescribeInstanceStatusCommand,
  type DescribeInstanceStatusCommandInput,
  type DescribeInstanceStatusResult,
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  type DescribeInstancesResult,
} from '@aws-sdk/client-ec2';
import { DescribeInstanceInformationCommand, type InstanceInformation } from '@aws-sdk/client-ssm';
import type { AgentFacts, Cell, InstanceFacts, StatusCheck } from '../../domain/finding.ts';
import type { FleetPort } from '../../domain/ports.ts';
import { answered, type Called, type Caller, type Failed, mapAnswer, refused } from './call.ts';
import type { CellClients } from './clients.ts';
import { callError } from './errors.ts';
import { instanceFacts } from './instance-facts.ts';
import { chunksOf, isolateRejected } from './isolate.ts';
import type { CellKnowledge } from './knowledge.ts';
import { allPages, type TokenPage } from './pages.ts';
import { readPreflight } from './preflight.ts';

/** Ids in one call: EC2's limit for DescribeInstanceStatus (API reference), and a good size for DescribeInstances. */
const IDS_PER_CALL = 100;
/** SSM's largest page; as many ids in one call as fit on it. */
const AGENTS_PER_CALL = 50;

export function createFleet(cell: Cell, clients: CellClients, caller: Caller, knowledge: CellKnowledge): FleetPort {
  const { ec2, ssm } = clients;

  const describe = async (input: DescribeInstancesCommandInput): Promise<Called<TokenPage<InstanceFacts>>> => {
    const answer = await caller.call({
      call: 'ec2:DescribeInstances',
      effect: 'read',
      ...(input.InstanceIds ? { quota: 'ec2:DescribeInstances by id' } : {}),
      send: (options) => ec2.send(new DescribeInstancesCommand(input), options),
    });
    if (!answer.ok) return answer;
    const page = instancesIn(answer.value);
    if (page.ok) for (const i of page.value.items) knowledge.types.set(i.instanceId, i.instanceType);
    return page;
  };
  const status = (input: DescribeInstanceStatusCommandInput) =>
    caller.call({
      call: 'ec2:DescribeInstanceStatus',
      effect: 'read',
      ...(input.InstanceIds ? { quota: 'ec2:DescribeInstanceStatus by id' } : {}),
      send: (options) => ec2.send(new DescribeInstanceStatusCommand(input), options),
    });
  const agentPage = async (
    key: 'InstanceIds' | 'PingStatus',
    values: readonly string[],
    token: string | undefined,
  ): Promise<Called<TokenPage<InstanceInformation>>> => {
    const answer = await caller.call({
      call: 'ssm:DescribeInstanceInformation',
      effect: 'read',
      send: (options) =>
        ssm.send(
          new DescribeInstanceInformationCommand({
            Filters: [{ Key: key, Values: [...values] }],
            MaxResults: AGENTS_PER_CALL,
            ...(token === undefined ? {} : { NextToken: token }),
          }),
          options,
        ),
    });
    return answer.ok
      ? answered({ items: answer.value.InstanceInformationList ?? [], next: answer.value.NextToken })
      : answer;
  };

  return {
    async listInstances(cursor, pageSize) {
      const answer = await describe({
        MaxResults: Math.min(1000, Math.max(5, pageSize)),
        ...(cursor === null ? {} : { NextToken: cursor }),
      });
      return mapAnswer(answer, (page) => ({ items: page.items, cursor: page.next || null }));
    },

    async describeInstances(instanceIds) {
      const found: InstanceFacts[] = [];
      for (const ids of chunksOf([...new Set(instanceIds)], IDS_PER_CALL)) {
        const answer = await isolateRejected(
          ids,
          (batch) =>
            allPages('ec2:DescribeInstances', (token) =>
              describe({ InstanceIds: [...batch], ...(token ? { NextToken: token } : {}) }),
            ),
          isUnknownId,
        );
        if (!answer.ok) return answer;
        found.push(...answer.value.values.flat());
      }
      return answered(found);
    },

    async listImpaired(cursor) {
      const answer = await status({
        Filters: [{ Name: 'instance-status.status', Values: ['impaired'] }],
        MaxResults: 100,
        ...(cursor === null ? {} : { NextToken: cursor }),
      });
      return mapAnswer(answer, (page) => ({
        // An endpoint that ignores the filter must not make a whole fleet look ill.
        items: (page.InstanceStatuses ?? [])
          .filter((s) => statusCheck(s) === 'impaired')
          .map((s) => s.InstanceId)
          .filter((id) => id !== undefined),
        cursor: page.NextToken || null,
      }));
    },

    async listLostAgents(cursor) {
      const answer = await agentPage('PingStatus', ['ConnectionLost'], cursor ?? undefined);
      return mapAnswer(answer, (page) => ({
        items: page.items
          .filter((agent) => agent.PingStatus === 'ConnectionLost')
          .map((agent) => agent.InstanceId)
          .filter(isEc2Id),
        cursor: page.next || null,
      }));
    },

    async statusChecks(instanceIds) {
      const checks = new Map<string, StatusCheck>(instanceIds.map((id) => [id, 'unknown']));
      for (const ids of chunksOf([...checks.keys()], IDS_PER_CALL)) {
        const answer = await isolateRejected(
          ids,
          (batch) =>
            allPages('ec2:DescribeInstanceStatus', async (token) => {
              const page = await status({ InstanceIds: [...batch], ...(token ? { NextToken: token } : {}) });
              return page.ok
                ? answered({ items: page.value.InstanceStatuses ?? [], next: page.value.NextToken })
                : page;
            }),
          isUnknownId,
        );
        if (!answer.ok) return answer;
        for (const found of answer.value.values.flat()) {
          if (found.InstanceId) checks.set(found.InstanceId, statusCheck(found));
        }
      }
      return answered(checks);
    },

    async agents(instanceIds) {
      const agents = new Map<string, AgentFacts>();
      for (const ids of chunksOf([...new Set(instanceIds)], AGENTS_PER_CALL)) {
        const answer = await allPages('ssm:DescribeInstanceInformation', (token) =>
          agentPage('InstanceIds', ids, token),
        );
        if (!answer.ok) return answer;
        for (const agent of answer.value) if (agent.InstanceId) agents.set(agent.InstanceId, agentFacts(agent));
      }
      return answered(agents);
    },

    preflight: (instance, signsOfLife) => readPreflight(cell, instance, signsOfLife, clients, caller, knowledge),
  };
}

/** EC2 refused a call because of one or more ids, which do not exist (any more) or cannot. */
export function isUnknownId(failed: Failed): boolean {
  return failed.error.code === 'InvalidInstanceID.NotFound' || failed.error.code === 'InvalidInstanceID.Malformed';
}

/** One page of instances, in EC2's order. One that cannot be judged fails the page: leaving it out would read as "not there". */
export function instancesIn(answer: DescribeInstancesResult): Called<TokenPage<InstanceFacts>> {
  const items: InstanceFacts[] = [];
  for (const instance of (answer.Reservations ?? []).flatMap((reservation) => reservation.Instances ?? [])) {
    const facts = instanceFacts(instance);
    if (!facts) {
      return refused(
        callError({
          call: 'ec2:DescribeInstances',
          code: 'UnexpectedAnswer',
          message: `${instance.InstanceId ?? 'an instance'} came without id, state, type or launch time`,
          next: 'report it: EC2 is documented to send them',
        }),
      );
    }
    items.push(facts);
  }
  return answered({ items, next: answer.NextToken });
}

function isEc2Id(id: string | undefined): id is string {
  return id?.startsWith('i-') ?? false;
}

const STATUS_CHECKS: ReadonlySet<string> = new Set([
  'ok',
  'impaired',
  'initializing',
  'insufficient-data',
  'not-applicable',
]);

function statusCheck(found: NonNullable<DescribeInstanceStatusResult['InstanceStatuses']>[number]): StatusCheck {
  const value = found.InstanceStatus?.Status;
  return value !== undefined && STATUS_CHECKS.has(value) ? (value as StatusCheck) : 'unknown';
}

function agentFacts(agent: InstanceInformation): AgentFacts {
  return {
    // SSM names no other value than Online and ConnectionLost today; anything else is not a sign of being reachable.
    pingStatus: agent.PingStatus === 'Online' || agent.PingStatus === 'Inactive' ? agent.PingStatus : 'ConnectionLost',
    lastPingAt: agent.LastPingDateTime?.toISOString() ?? null,
    agentVersion: agent.AgentVersion ?? null,
  };
}
