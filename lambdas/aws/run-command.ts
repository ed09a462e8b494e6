/** Sending the runbook through SSM Run Command, once, and reading what became of it. */
import {
  type Command,
  DescribeDocumentCommand,
  GetCommandInvocationCommand,
  GetDocumentCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  SendCommandCommand,
} from '@aws-sdk/client-ssm';
import type { Answer, CommandResult, RunbookDocument, RunCommandPort, SendRequest } from '../../domain/ports.ts';
import { canonicalDocumentHash } from '../runbook/document-hash.ts';
import { answered, type Called, type Caller, type Failed, mapAnswer, refused, sleep } from './call.ts';
import type { CellClients } from './clients.ts';
import type { Deployment } from './deployment.ts';
import { callError, oneLine } from './errors.ts';
import { invocationState, outputInListing } from './invocation.ts';
import { isolateRejected } from './isolate.ts';
import { allPages } from './pages.ts';

/** Waits before GetCommandInvocation, which may not know the command yet, is asked again. Unit: milliseconds. */
const INVOCATION_WAITS = [1000, 2000, 4000] as const;
/** How often a command whose answer was lost is looked for before it counts as not sent. */
const LOOKS = 2;
/** Our clock may run ahead of AWS's. Unit: milliseconds. */
const CLOCK_SKEW = 60_000;
const SETTLE_MILLISECONDS = 5000;
/** Code of a document that does not hold our runbook. */
const DIFFERS = 'DocumentDiffers';
const DEPLOY = 'deploy the cell stack in this account and region';

export function createRunCommand(
  { ssm }: CellClients,
  caller: Caller,
  deployment: Pick<Deployment, 'documentName' | 'documentHash'>,
  settleMilliseconds: number = SETTLE_MILLISECONDS,
): RunCommandPort {
  /** Commands of our document since then that bear this comment. */
  async function commandsSince(comment: string, since: string): Promise<Called<readonly Command[]>> {
    const invokedAfter = new Date(Date.parse(since) - CLOCK_SKEW).toISOString().replace(/\.\d{3}Z$/, 'Z');
    const commands = await allPages<Command>('ssm:ListCommands', async (token) => {
      const page = await caller.call({
        call: 'ssm:ListCommands',
        effect: 'read',
        send: (options) =>
          ssm.send(
            new ListCommandsCommand({
              Filters: [
                { key: 'InvokedAfter', value: invokedAfter },
                { key: 'DocumentName', value: deployment.documentName },
              ],
              MaxResults: 50,
              ...(token ? { NextToken: token } : {}),
            }),
            options,
          ),
      });
      return page.ok ? answered({ items: page.value.Commands ?? [], next: page.value.NextToken }) : page;
    });
    return commands.ok ? answered(commands.value.filter((command) => command.Comment === comment)) : commands;
  }

  const sendOnce = async (request: SendRequest, ids: readonly string[]): Promise<Called<string>> => {
    const answer = await caller.call({
      call: 'ssm:SendCommand',
      effect: 'once',
      send: (options) =>
        ssm.send(
          new SendCommandCommand({
            DocumentName: request.document.name,
            DocumentVersion: request.document.version,
            DocumentHash: request.document.hash,
            DocumentHashType: 'Sha256',
            InstanceIds: [...ids],
            Parameters: Object.fromEntries(Object.entries(request.parameters).map(([name, value]) => [name, [value]])),
            Comment: request.comment,
            TimeoutSeconds: request.deliverySeconds,
            MaxConcurrency: String(request.maxConcurrency),
            MaxErrors: request.maxErrors,
          }),
          options,
        ),
    });
    if (!answer.ok) return answer;
    const id = answer.value.Command?.CommandId;
    // An answer without an id is as good as lost: the command may be on its way.
    if (id) return answered(id);
    return { ...unexpected('ssm:SendCommand', 'it answered without a command id', 'look at Run Command'), lost: true };
  };

  /** Sends to these ids; where the answer is lost, looks before it sends again. */
  async function sendSurely(request: SendRequest, ids: readonly string[]): Promise<Called<readonly string[]>> {
    const since = new Date(Date.now()).toISOString();
    let last: Called<string> = await sendOnce(request, ids);
    for (let resent = false; ; resent = true) {
      if (last.ok) return answered([last.value]);
      if (!last.lost) return last;
      const found = await lookFor(request.comment, ids, since);
      if (!found.ok) return { ...found, lost: true };
      if (found.value.length > 0) return found;
      if (resent) return last;
      last = await sendOnce(request, ids);
    }
  }

  async function lookFor(comment: string, ids: readonly string[], since: string): Promise<Called<readonly string[]>> {
    const wanted = [...ids].sort().join();
    for (let look = 1; ; look++) {
      await sleep(settleMilliseconds);
      const commands = await commandsSince(comment, since);
      if (!commands.ok) return commands;
      const same = commands.value.filter((command) => [...(command.InstanceIds ?? [])].sort().join() === wanted);
      if (same.length > 0 || look === LOOKS) return answered(same.flatMap((command) => command.CommandId ?? []));
    }
  }

  /** The whole stdout of one finished invocation. */
  async function wholeOutput(commandId: string, instanceId: string): Promise<Called<string>> {
    for (let attempt = 0; ; attempt++) {
      const answer = await caller.call({
        call: 'ssm:GetCommandInvocation',
        effect: 'read',
        instanceId,
        send: (options) =>
          ssm.send(new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId }), options),
      });
      if (answer.ok) return answered(answer.value.StandardOutputContent ?? '');
      const wait = INVOCATION_WAITS[attempt];
      if (answer.error.code !== 'InvocationDoesNotExist' || wait === undefined) return answer;
      await sleep(wait);
    }
  }

  /** The default version, else the latest: an update by CloudFormation should change the default, and was seen not to
   * (cloudformation-coverage-roadmap#2539). */
  async function resolveDocument(): Promise<Answer<RunbookDocument>> {
    const standard = await resolveVersion({});
    if (standard.ok || standard.error.code !== DIFFERS) return standard;
    return resolveVersion({ DocumentVersion: '$LATEST' });
  }

  async function resolveVersion(wanted: { DocumentVersion?: '$LATEST' }): Promise<Answer<RunbookDocument>> {
    const name = deployment.documentName;
    const described = await caller.call({
      call: 'ssm:DescribeDocument',
      effect: 'read',
      send: (options) => ssm.send(new DescribeDocumentCommand({ Name: name, ...wanted }), options),
    });
    if (!described.ok) return described;
    const { DocumentVersion: version, Hash: hash, HashType: hashType, Status: status } = described.value.Document ?? {};
    if (!version || !/^\d+$/.test(version) || !hash || hashType !== 'Sha256') {
      return unexpected('ssm:DescribeDocument', `${name}: no numeric version with a Sha256 hash`, DEPLOY);
    }
    if (status !== 'Active') return unexpected('ssm:DescribeDocument', `${name} is ${status}, not Active`, DEPLOY);
    const got = await caller.call({
      call: 'ssm:GetDocument',
      effect: 'read',
      send: (options) =>
        ssm.send(new GetDocumentCommand({ Name: name, DocumentVersion: version, DocumentFormat: 'JSON' }), options),
    });
    if (!got.ok) return got;
    if (hashOf(got.value.Content ?? '') !== deployment.documentHash) {
      const message = `${name} version ${version} does not hold the runbook of this deployment`;
      return refused(callError({ call: 'ssm:GetDocument', code: DIFFERS, message, next: DEPLOY }));
    }
    return answered({ name, version, hash });
  }

  return {
    resolveDocument,

    async send(request) {
      const sent = await isolateRejected(
        request.instanceIds,
        (ids) => sendSurely(request, ids),
        (failed) => failed.error.code === 'InvalidInstanceId',
      );
      if (sent.ok) return answered({ commandIds: sent.value.values.flat(), refused: sent.value.rejected });
      const already = sent.done.values.flat();
      if (already.length === 0) return { ok: false, error: sent.error };
      // The caller must not take an error for "nothing was sent".
      const message = oneLine(`${sent.error.message} (sent before it: ${already.join(', ')})`, 800);
      return { ok: false, error: { ...sent.error, message } };
    },

    async findSent(comment, since) {
      const commands = await commandsSince(comment, since);
      return mapAnswer(commands, (found) => found.flatMap((command) => command.CommandId ?? []));
    },

    async results(commandId) {
      const listed = await allPages('ssm:ListCommandInvocations', async (token) => {
        const page = await caller.call({
          call: 'ssm:ListCommandInvocations',
          effect: 'read',
          send: (options) =>
            ssm.send(
              new ListCommandInvocationsCommand({
                CommandId: commandId,
                Details: true,
                MaxResults: 50,
                ...(token ? { NextToken: token } : {}),
              }),
              options,
            ),
        });
        return page.ok ? answered({ items: page.value.CommandInvocations ?? [], next: page.value.NextToken }) : page;
      });
      if (!listed.ok) return listed;
      const results: CommandResult[] = [];
      for (const invocation of listed.value) {
        const instanceId = invocation.InstanceId ?? '';
        const details = invocation.StatusDetails || invocation.Status || '';
        const state = invocationState(details);
        if (!state) {
          const message = `${instanceId}: status ${oneLine(details, 60)} is not known`;
          return unexpected('ssm:ListCommandInvocations', message, 'report it: this version does not know it');
        }
        let output = state === 'waiting' || state === 'running' ? null : outputInListing(invocation);
        if (output === null && (state === 'succeeded' || state === 'failed')) {
          const whole = await wholeOutput(commandId, instanceId);
          if (!whole.ok) return whole;
          output = whole.value;
        }
        results.push({ instanceId, state, details, output: output ?? (isFinal(state) ? '' : null) });
      }
      return answered(results);
    },
  };
}

function isFinal(state: CommandResult['state']): boolean {
  return state !== 'waiting' && state !== 'running';
}

function hashOf(content: string): string | null {
  try {
    return canonicalDocumentHash(content);
  } catch {
    // Not a JSON object, so surely not our document.
    return null;
  }
}

function unexpected(call: string, message: string, next: string): Failed {
  return refused(callError({ call, code: 'UnexpectedAnswer', message, next }));
}
