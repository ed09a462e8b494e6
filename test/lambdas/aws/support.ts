/** What the adapter tests share: a deployment, a cell opened on a scripted wire, EC2's XML for an instance. */
import { type Policy, policySchema } from '../../../domain/policy.ts';
import type { Answer, CellPorts } from '../../../domain/ports.ts';
import type { Wire } from '../../../lambdas/aws/clients.ts';
import type { Deployment } from '../../../lambdas/aws/deployment.ts';
import { createOpenCell } from '../../../lambdas/aws/open-cell.ts';
import { type Script, type ScriptedAws, scriptedAws } from '../../support/scripted-aws.ts';

export const CELL = { accountId: '111122223333', region: 'eu-west-1' };

export function deployment(changes: Partial<Deployment> = {}, policy: Partial<Policy> = {}): Deployment {
  const arn = (name: string) => `arn:aws:lambda:eu-west-1:111122223333:function:${name}:live`;
  return {
    home: CELL,
    tableName: 'ledger',
    logGroupName: '/audit-backlog',
    topicArn: 'arn:aws:sns:eu-west-1:111122223333:news',
    eventBusName: 'default',
    documentName: 'ResizeAuditBacklog',
    documentHash: 'f'.repeat(64),
    policy: { ...policySchema.parse({}), quotaShare: 1, ...policy },
    partition: 'aws',
    sweepFunctionArn: arn('sweep'),
    cellFunctionArn: arn('cell'),
    restartFunctionArn: arn('restart'),
    memberRoleName: null,
    externalId: null,
    ...changes,
  };
}

export function openCell(
  script: Script,
  changes: { deployment?: Partial<Deployment>; cell?: typeof CELL; quotaShare?: number; wire?: Partial<Wire> } = {},
): { ports: CellPorts; aws: ScriptedAws } {
  const aws = scriptedAws(script);
  const open = createOpenCell(deployment(changes.deployment), { ...aws.wire, ...changes.wire });
  return { ports: open(changes.cell ?? CELL, changes.quotaShare ?? 1), aws };
}

/** The value of an answer that must be one. */
export function mustHave<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(`${answer.error.call}: ${answer.error.code}: ${answer.error.message}`);
  return answer.value;
}

/** The error of an answer that must be one. */
export function errorOf<T>(answer: Answer<T>) {
  if (answer.ok) throw new Error(`an error was expected, not ${JSON.stringify(answer.value)}`);
  return answer.error;
}

/** An instance as DescribeInstances writes it; `extra` is XML. */
export function instanceXml(id: string, extra = '', type = 'm5.large'): string {
  return (
    `<item><reservationId>r-1</reservationId><instancesSet><item><instanceId>${id}</instanceId>` +
    `<imageId>ami-0a</imageId><instanceState><code>16</code><name>running</name></instanceState>` +
    `<instanceType>${type}</instanceType><launchTime>2026-11-01T00:00:00.000Z</launchTime>` +
    `<placement><availabilityZone>eu-west-1a</availabilityZone></placement><architecture>x86_64</architecture>` +
    `<rootDeviceType>ebs</rootDeviceType>${extra}</item></instancesSet></item>`
  );
}

export const instanceId = (n: number): string => `i-${n.toString(16).padStart(17, '0')}`;
