/** One command to at most 50 instances: sent at most once, waited for without holding a machine, read to the end. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { CallError } from '../../domain/finding.ts';
import type { Answer, CellPorts, RunbookDocument, SendRequest } from '../../domain/ports.ts';
import { atMostOnce, durableRunner } from '../durable.ts';
import type { Tempo } from '../tempo.ts';
import type { Batch } from './batches.ts';

export interface RunbookCommand {
  readonly batch: Batch;
  readonly document: RunbookDocument;
  /** Unique for its purpose within the run and the cell; at most 100 characters. */
  readonly comment: string;
  readonly maxErrors: string;
  /** Asked in the very step that sends: an error means that these instances are not ours any more. */
  readonly stillOurs: () => Promise<Answer<null>>;
}

/** What SendCommand came to. `commandIds` is empty when nothing was sent. */
export interface Sent {
  readonly commandIds: readonly string[];
  readonly refused: readonly string[];
  readonly sentAt: string;
  readonly error: CallError | null;
}

type SendAnswer = Answer<{ commandIds: readonly string[]; refused: readonly string[] }>;

/**
 * Sends a command. If the answer of the call was lost (the function died in the middle), the command is looked for by
 * its comment and sent again only if SSM does not know it.
 */
export async function sendOnce(
  context: DurableContext,
  ports: CellPorts,
  command: RunbookCommand,
  tempo: Tempo,
): Promise<Sent> {
  const run = durableRunner(context);
  const sentAt = await run.step('send-time', async () => ports.clock.now());
  const request: SendRequest = {
    instanceIds: command.batch.instanceIds,
    document: command.document,
    parameters: command.batch.parameters,
    comment: command.comment,
    maxConcurrency: command.batch.instanceIds.length,
    maxErrors: command.maxErrors,
    deliverySeconds: tempo.commandDeliverySeconds,
  };
  const nothing = { commandIds: [], refused: [], sentAt };
  for (const name of ['send', 'send-again']) {
    const once = await atMostOnce<SendAnswer>(context, name, async () => {
      const ours = await command.stillOurs();
      return ours.ok ? ports.runCommand.send(request) : ours;
    });
    if (once.done && once.value.ok) return { ...once.value.value, sentAt, error: null };
    await run.wait(`${name}-settle`, tempo.effectVisibleSeconds);
    const found = await run.step(`${name}-look`, () => ports.runCommand.findSent(command.comment, sentAt));
    if (!found.ok) return { ...nothing, error: found.error };
    // A send that failed half-way has sent something: what SSM knows of it is waited for, the rest was not sent.
    const failure = once.done && !once.value.ok ? once.value.error : null;
    if (found.value.length > 0 || failure) return { ...nothing, commandIds: found.value, error: failure };
  }
  return {
    ...nothing,
    error: {
      call: 'ssm:SendCommand',
      code: 'Interrupted',
      message: 'the function died twice while it sent the command, and SSM does not know the command',
      next: 'Nothing was changed. The next run tries again; look at the function’s log.',
      kind: 'failed',
    },
  };
}

/** Waits until as many invocations as expected have ended, or until it has lasted too long. */
export async function waitForEnd(
  context: DurableContext,
  ports: CellPorts,
  sent: Pick<Sent, 'commandIds'>,
  expected: number,
  tempo: Tempo,
): Promise<void> {
  if (sent.commandIds.length === 0) return;
  const polls = Math.ceil(tempo.commandEndSeconds / tempo.commandPollSeconds);
  await context.wait('command-runs', { seconds: tempo.commandPollSeconds });
  await context.waitForCondition(
    'command-ended',
    async () => {
      let ended = 0;
      for (const id of sent.commandIds) {
        const results = await ports.runCommand.results(id);
        // A failed look is not an end; the last look, when the results are recorded, says what failed.
        if (!results.ok) return false;
        ended += results.value.filter((r) => r.state !== 'waiting' && r.state !== 'running').length;
      }
      // SSM's list lags: an instance that it does not name yet has not ended.
      return ended >= expected;
    },
    {
      initialState: false,
      waitStrategy: (ended, attempt) =>
        ended || attempt >= polls
          ? { shouldContinue: false }
          : { shouldContinue: true, delay: { seconds: tempo.commandPollSeconds } },
    },
  );
}
