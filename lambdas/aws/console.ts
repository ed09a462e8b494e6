/** Reading a console. Its text never leaves this module: evidence and a mark do. */
import { GetConsoleOutputCommand, type GetConsoleOutputResult } from '@aws-sdk/client-ec2';
import { newUserSpaceLinesSince, readEvidence, userSpaceMark } from '../../domain/evidence.ts';
import type { ConsolePort } from '../../domain/ports.ts';
import type { Called, Caller } from './call.ts';
import type { CellClients } from './clients.ts';
import type { CellKnowledge } from './knowledge.ts';

/** What EC2 answers to `Latest` for a type that is not built on Nitro. */
const UNSUPPORTED = 'UnsupportedOperation';

export function createConsole({ ec2 }: CellClients, caller: Caller, knowledge: CellKnowledge): ConsolePort {
  const get = (instanceId: string, latest: boolean): Promise<Called<GetConsoleOutputResult>> =>
    caller.call({
      call: 'ec2:GetConsoleOutput',
      effect: 'read',
      instanceId,
      send: (options) => ec2.send(new GetConsoleOutputCommand({ InstanceId: instanceId, Latest: latest }), options),
    });

  return {
    async read(instanceId, previousMark) {
      const kind = knowledge.types.get(instanceId) ?? instanceId;
      let latest = !knowledge.withoutLatest.has(kind);
      let answer = await get(instanceId, latest);
      if (latest && !answer.ok && answer.error.code === UNSUPPORTED) {
        knowledge.withoutLatest.add(kind);
        latest = false;
        answer = await get(instanceId, latest);
      }
      if (!answer.ok) return { status: 'unreadable', error: answer.error };
      const { Output, Timestamp } = answer.value;
      const bytes = Buffer.from(Output ?? '', 'base64');
      if (isBlank(bytes)) return { status: 'empty' };
      return {
        status: 'read',
        evidence: readEvidence(bytes),
        latest,
        updatedAt: Timestamp?.toISOString() ?? null,
        mark: userSpaceMark(bytes),
        newUserSpaceLines: previousMark === null ? null : newUserSpaceLinesSince(previousMark, bytes),
      };
    },
  };
}

/** Nothing but white space and NUL: the machine has written nothing, which proves nothing. */
function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0 || byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
