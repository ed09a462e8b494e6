/** The ports of a cell and of the hub, answered by AWS. Nothing here is called before a port is. */
import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { type Cell, cellName } from '../../domain/finding.ts';
import type { Answer, CellPorts, Clock, HubPorts, OpenCell } from '../../domain/ports.ts';
import { answered, type Called, type Caller, createCaller, refused } from './call.ts';
import { type CellClients, createCellClients, createHomeClients, createStsClient, type Wire } from './clients.ts';
import { createConsole } from './console.ts';
import { type Deployment, nextFunction } from './deployment.ts';
import { callError } from './errors.ts';
import { createStateOf } from './executions.ts';
import { createFleet } from './fleet.ts';
import { breakerCheck, createGate } from './gate.ts';
import { type CellKnowledge, createCellKnowledge } from './knowledge.ts';
import { createLedger } from './ledger.ts';
import { createNews } from './news.ts';
import { createPacer, type Pacer } from './pacer.ts';
import { createPower } from './power.ts';
import { createRunCommand } from './run-command.ts';

/** What the openings of one cell share: connections, the place in the queue, what was learnt of its types. */
interface OpenedCell {
  readonly clients: CellClients;
  readonly pacer: Pacer;
  readonly knowledge: CellKnowledge;
}

/** The clock of the machine, or of the embedded region where that has replaced `Date`. */
const clock: Clock = { now: () => new Date(Date.now()).toISOString() };

function callerOf(pacer: Pacer, wire: Wire): Caller {
  return createCaller({
    pacer,
    ...(wire.timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds: wire.timeoutMilliseconds }),
    ...(wire.random === undefined ? {} : { random: wire.random }),
  });
}

function openOnce(clients: CellClients, quotaShare: number): OpenedCell {
  return { clients, pacer: createPacer(quotaShare), knowledge: createCellKnowledge() };
}

function readingPorts(cell: Cell, { clients, knowledge }: OpenedCell, caller: Caller): ReadOnlyCell {
  return {
    cell,
    clock,
    tally: caller,
    fleet: createFleet(cell, clients, caller, knowledge),
    console: createConsole(clients, caller, knowledge),
  };
}

/**
 * Opens cells for the workflows. Opening the same cell again shares its connections and its pacing; each opening has a
 * tally of its own. A cell of another account is entered by the member role.
 */
export function createOpenCell(deployment: Deployment, wire: Wire = {}): OpenCell {
  const home = createHomeClients(deployment.home.region, wire);
  const opened = new Map<string, OpenedCell>();
  const open = (cell: Cell, quotaShare: number): OpenedCell => {
    const name = `${cellName(cell)} ${quotaShare}`;
    const known = opened.get(name);
    if (known) return known;
    const made = openOnce(createCellClients(cell, deployment, wire), quotaShare);
    opened.set(name, made);
    return made;
  };
  return (cell, quotaShare): CellPorts => {
    const opening = open(cell, quotaShare);
    const { clients } = opening;
    const caller = callerOf(opening.pacer, wire);
    const ledger = createLedger(home.table, deployment.tableName, caller, createStateOf(home.lambda, caller));
    return {
      ...readingPorts(cell, opening, caller),
      runCommand: createRunCommand(clients, caller, deployment, wire.settleMilliseconds),
      power: createPower(clients, caller, deployment.policy.tags),
      ledger,
      news: createNews(home, caller, deployment),
      gate: createGate(home, caller, ledger, deployment.policy),
      breaker: breakerCheck(ledger, cell),
    };
  };
}

/** The part of a cell's ports that only reads, for `plan` from a laptop: nothing has to be deployed. */
export type ReadOnlyCell = Pick<CellPorts, 'cell' | 'clock' | 'tally' | 'fleet' | 'console'>;

/** Opens a cell for reading with the wire's own credentials; no role is assumed. */
export function createReadOnlyCell(cell: Cell, quotaShare: number, wire: Wire = {}): ReadOnlyCell {
  const opening = openOnce(createCellClients(cell, null, wire), quotaShare);
  return readingPorts(cell, opening, callerOf(opening.pacer, wire));
}

/** The account that the wire's credentials belong to. */
export async function readAccountId(region: string, wire: Wire = {}): Promise<Answer<string>> {
  const sts = createStsClient(region, wire);
  const answer = await callerOf(createPacer(1), wire).call({
    call: 'sts:GetCallerIdentity',
    effect: 'read',
    send: (options) => sts.send(new GetCallerIdentityCommand({}), options),
  });
  if (!answer.ok) return answer;
  if (answer.value.Account) return answered(answer.value.Account);
  return unexpected('sts:GetCallerIdentity', 'it named no account', 'check the endpoint');
}

/** What `run`, `sweep` and `reconcile` need beside the cells. @param clients - kept by a handler for its next event. */
export function createHubPorts(
  deployment: Deployment,
  wire: Wire = {},
  clients = createHomeClients(deployment.home.region, wire),
): HubPorts {
  const caller = callerOf(createPacer(deployment.policy.quotaShare), wire);
  const stateOf = createStateOf(clients.lambda, caller);
  const ledger = createLedger(clients.table, deployment.tableName, caller, stateOf);
  return {
    clock,
    tally: caller,
    ledger,
    news: createNews(clients, caller, deployment),
    gate: createGate(clients, caller, ledger, deployment.policy),
    home: deployment.home,
    policy: deployment.policy,
    startSweep: (name, payload) =>
      startDurable(clients.lambda, caller, nextFunction(deployment, 'sweep'), name, payload),
    sweepState: stateOf,
  };
}

/**
 * Starts a durable function asynchronously. The same name and payload twice is one execution (API reference of Invoke,
 * DurableExecutionName), so a lost answer may be asked for again.
 */
async function startDurable(
  lambda: LambdaClient,
  caller: Caller,
  functionArn: string,
  name: string,
  payload: object,
): Promise<Called<{ executionArn: string }>> {
  const answer = await caller.call({
    call: 'lambda:InvokeFunction',
    effect: 'repeatable',
    send: (options) =>
      lambda.send(
        new InvokeCommand({
          FunctionName: functionArn,
          InvocationType: 'Event',
          DurableExecutionName: name,
          Payload: Buffer.from(JSON.stringify(payload)),
        }),
        options,
      ),
  });
  if (!answer.ok) return answer;
  const executionArn = answer.value.DurableExecutionArn;
  if (executionArn) return answered({ executionArn });
  return unexpected('lambda:InvokeFunction', 'it named no durable execution', 'deploy the sweep as a durable function');
}

function unexpected(call: string, message: string, next: string) {
  return refused(callError({ call, code: 'UnexpectedAnswer', message, next }));
}
