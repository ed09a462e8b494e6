/** Rows that reach instances, their consoles, keys and commands, in one account. */
import { type Policy, policyForCell } from '../domain/policy.ts';
import type { Permission } from './permission.ts';

/** The instances of one account that a role may look at or touch. */
export interface Fleet {
  readonly partition: string;
  /** 12 digits or a token. */
  readonly accountId: string;
  /** As ARNs name the account, where one template is for many accounts; default: `accountId`. */
  readonly arnAccountId?: string;
  readonly regions: readonly string[];
  readonly documentName: string;
  readonly policy: Policy;
  /** False where `accountId` or `regions` are tokens: overrides that name accounts or regions may then match or not. */
  readonly resolved: boolean;
}

type RestartSettings = Policy['restart'];

/** Looking: what survey, triage and the second look before a stop need. Changes nothing. */
export function readFleet(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'ReadFleet',
      reason:
        'Which instances there are, their state, status checks, types, volumes and spot requests. EC2 takes no resource for these calls: narrowed to the regions in scope.',
      actions: [
        'ec2:DescribeInstances',
        'ec2:DescribeInstanceStatus',
        'ec2:DescribeInstanceTypes',
        'ec2:DescribeSpotInstanceRequests',
        'ec2:DescribeVolumes',
      ],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
    {
      sid: 'ReadAgents',
      reason: 'Which instances answer through SSM. The call takes no resource: narrowed to the regions in scope.',
      actions: ['ssm:DescribeInstanceInformation'],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
    {
      sid: 'ReadConsoles',
      reason: 'The evidence: the console output of instances that have not opted out.',
      actions: ['ec2:GetConsoleOutput'],
      resources: instances(fleet),
      conditions: { StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag']) },
    },
    {
      sid: 'ReadStopProtection',
      reason: 'Before a stop: whether the instance is protected from it, and whether powering off would terminate it.',
      actions: ['ec2:DescribeInstanceAttribute'],
      resources: instances(fleet),
    },
    {
      sid: 'ReadKeys',
      reason:
        'Before a stop: whether the keys of encrypted volumes are enabled; without them the machine would not start again. Keys may belong to any account.',
      actions: ['kms:DescribeKey'],
      resources: keys(fleet),
    },
    {
      sid: 'TestGrants',
      reason:
        'Before a stop: a dry run that shows whether a start could grant EC2 the keys of encrypted volumes. Were it no dry run, it would let this account describe a key and nothing else. It is asked for directly: a key whose own policy lets these roles grant through EC2 alone counts as one that may not start, unless that policy allows this as well.',
      actions: ['kms:CreateGrant'],
      resources: keys(fleet),
      conditions: {
        StringEquals: { 'kms:GranteePrincipal': `arn:${fleet.partition}:iam::${arnAccount(fleet)}:root` },
        'ForAllValues:StringEquals': { 'kms:GrantOperations': ['DescribeKey'] },
        Null: { 'kms:GrantOperations': 'false' },
      },
    },
  ];
}

/** The signs of life that policy names beside the console, asked before a restart. */
export function readSignsOfLife(fleet: Fleet): Permission[] {
  const { restart, overrides } = fleet.policy;
  const named = [restart, ...overrides.map((override) => override.restart)].flatMap((r) => r.signsOfLife ?? []);
  if (!named.includes('healthy-target')) return [];
  return [
    {
      sid: 'ReadTargets',
      reason:
        'Before a restart, where restart.signsOfLife names healthy-target: whether a load balancer has an answer from the machine. Elastic Load Balancing takes no resource for these calls: narrowed to the regions in scope.',
      actions: ['elasticloadbalancing:DescribeTargetGroups', 'elasticloadbalancing:DescribeTargetHealth'],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
  ];
}

/** Pinning the document that a sweep sends. */
export function readDocument(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'ReadDocument',
      reason: "Pins one version of the runbook's document and checks its content before it is sent.",
      actions: ['ssm:DescribeDocument', 'ssm:GetDocument'],
      resources: documents(fleet),
    },
  ];
}

/** Run Command: our document, and only it, on instances that have not opted out. */
export function runCommand(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'SendDocument',
      reason:
        'The cure: this document and no other. In a statement of its own, because the document bears no instance tags.',
      actions: ['ssm:SendCommand'],
      resources: documents(fleet),
    },
    {
      sid: 'SendToInstances',
      reason:
        'The cure: to any instance that has not opted out. Both tag keys, so that an opt-out holds whichever of them SSM fills in.',
      actions: ['ssm:SendCommand'],
      resources: instances(fleet),
      conditions: { StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag', 'ssm:resourceTag']) },
    },
    {
      sid: 'ReadResults',
      reason:
        'What came of a command, and whether one whose answer was lost had been sent. SSM takes no resource for these calls: narrowed to the regions in scope.',
      actions: ['ssm:GetCommandInvocation', 'ssm:ListCommandInvocations', 'ssm:ListCommands'],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
  ];
}

/** The status tag, for whoever looks at the instance. */
export function statusTag(fleet: Fleet): Permission[] {
  const { status } = fleet.policy.tags;
  return [
    {
      sid: 'TagStatus',
      reason: `Writes the last outcome on the instance: the tag ${status} and no other, where the instance has not opted out.`,
      actions: ['ec2:CreateTags'],
      resources: instances(fleet),
      conditions: { ...onlyTag(status), StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag']) },
    },
  ];
}

/**
 * Stop, start and reboot, as far as `restart` of the policy goes in each region: nothing for `never`, only instances
 * with the opt-in tag for `tagged`, all that have not opted out for `any`.
 */
export function power(fleet: Fleet): Permission[] {
  const groups = Map.groupBy(fleet.regions, (region) => JSON.stringify(broadestRestart(fleet, region)));
  const rows = [...groups].flatMap(([settings, regions], index) =>
    powerIn({ ...fleet, regions }, JSON.parse(settings) as Reach, index === 0 ? '' : String(index + 1)),
  );
  return rows.some((row) => row.actions.includes('ec2:StopInstances')) ? [...rows, ...bringBack(fleet)] : rows;
}

/** Starting again what we stopped, and taking our tag off. Nothing here can touch an instance without our tag. */
export function bringBack(fleet: Fleet): Permission[] {
  const { stopped } = fleet.policy.tags;
  return [
    {
      sid: 'StartOurs',
      reason: `Brings back what this service stopped: only instances that bear ${stopped}, even if they have opted out since.`,
      actions: ['ec2:StartInstances'],
      resources: instances(fleet),
      conditions: { Null: { [`aws:ResourceTag/${stopped}`]: 'false' } },
    },
    {
      sid: 'StartOnKeys',
      reason:
        'An instance with encrypted volumes does not start unless EC2 may be granted their keys. Only grants that EC2 asks for; keys may belong to any account.',
      actions: ['kms:CreateGrant'],
      resources: keys(fleet),
      conditions: {
        Bool: { 'kms:GrantIsForAWSResource': 'true' },
        StringEquals: { 'kms:ViaService': fleet.regions.map((region) => `ec2.${region}.amazonaws.com`) },
      },
    },
    {
      sid: 'UnmarkStopped',
      reason: `Takes ${stopped} off what runs again: this tag and no other.`,
      actions: ['ec2:DeleteTags'],
      resources: instances(fleet),
      conditions: onlyTag(stopped),
    },
  ];
}

interface Reach {
  readonly policy: RestartSettings['policy'];
  readonly stop: boolean;
  readonly reboot: boolean;
}

function powerIn(fleet: Fleet, reach: Reach, suffix: string): Permission[] {
  if (reach.policy === 'never') return [];
  const { optOut, restart, stopped } = fleet.policy.tags;
  const allowed = {
    [reach.policy === 'tagged' ? 'StringEquals' : 'StringEqualsIfExists']: {
      [`aws:ResourceTag/${restart}`]: 'allowed',
    },
    StringNotEqualsIgnoreCase: optedOut(fleet, ['aws:ResourceTag']),
  };
  const where =
    reach.policy === 'tagged'
      ? `only instances that bear ${restart}=allowed, never those that bear ${optOut}=disabled`
      : `restart.policy is any: instances that bear ${restart}=allowed or no such tag, never those that bear ${optOut}=disabled`;
  const rows: Permission[] = [];
  if (reach.stop) {
    rows.push(
      {
        sid: `Stop${suffix}`,
        reason: `Stops a machine that hangs: ${where}.`,
        actions: ['ec2:StopInstances'],
        resources: instances(fleet),
        conditions: allowed,
      },
      {
        sid: `MarkStopped${suffix}`,
        reason: `Says on the instance, before the stop, that it was us: the tag ${stopped} and no other, ${where}.`,
        actions: ['ec2:CreateTags'],
        resources: instances(fleet),
        conditions: { ...onlyTag(stopped), ...allowed },
      },
    );
  }
  if (reach.reboot) {
    rows.push({
      sid: `Reboot${suffix}`,
      reason: `Reboots a machine that hangs where a stop would lose something: ${where}.`,
      actions: ['ec2:RebootInstances'],
      resources: instances(fleet),
      conditions: allowed,
    });
  }
  return rows;
}

const BREADTH = { never: 0, tagged: 1, any: 2 } as const;

/** What the policy's restart settings permit in a region; the broadest of those that may apply there. */
function broadestRestart(fleet: Fleet, region: string): Reach {
  const { policy, accountId } = fleet;
  const candidates = fleet.resolved
    ? [policyForCell(policy, { accountId, region }).restart]
    : [
        policy.restart,
        ...policy.overrides.map((_, index) => {
          const only = { ...policy, overrides: policy.overrides.slice(index, index + 1) };
          const named = only.overrides[0];
          return policyForCell(only, {
            accountId: named?.accounts[0] ?? accountId,
            region: named?.regions[0] ?? region,
          }).restart;
        }),
      ];
  const acting = candidates.filter((restart) => restart.policy !== 'never');
  return {
    policy: candidates.map((restart) => restart.policy).reduce((a, b) => (BREADTH[b] > BREADTH[a] ? b : a)),
    stop: acting.some((restart) => restart.method !== 'reboot-only'),
    reboot: acting.some((restart) => restart.method !== 'stop-start' || restart.rebootWhereStopLoses),
  };
}

/** Looking for what bears our tag. */
export function readMarked(fleet: Fleet): Permission[] {
  return [
    {
      sid: 'ReadMarked',
      reason:
        'Which instances bear our tag and whether they run. EC2 takes no resource for this call: narrowed to the regions in scope.',
      actions: ['ec2:DescribeInstances'],
      resources: ['*'],
      conditions: inRegions(fleet),
    },
  ];
}

function instances(fleet: Fleet): string[] {
  return fleet.regions.map((region) => `arn:${fleet.partition}:ec2:${region}:${arnAccount(fleet)}:instance/*`);
}

function documents(fleet: Fleet): string[] {
  return fleet.regions.map(
    (region) => `arn:${fleet.partition}:ssm:${region}:${arnAccount(fleet)}:document/${fleet.documentName}`,
  );
}

function arnAccount({ arnAccountId, accountId }: Fleet): string {
  return arnAccountId ?? accountId;
}

function keys(fleet: Fleet): string[] {
  return fleet.regions.map((region) => `arn:${fleet.partition}:kms:${region}:*:key/*`);
}

function inRegions(fleet: Fleet) {
  return { StringEquals: { 'aws:RequestedRegion': fleet.regions } };
}

function optedOut(fleet: Fleet, prefixes: readonly string[]): Record<string, string> {
  return Object.fromEntries(prefixes.map((prefix) => [`${prefix}/${fleet.policy.tags.optOut}`, 'disabled']));
}

function onlyTag(key: string) {
  return { 'ForAllValues:StringEquals': { 'aws:TagKeys': [key] }, Null: { 'aws:TagKeys': 'false' } };
}
