/** A connection to one of QEMU's unix sockets, which QEMU may not have opened yet. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const TRIES = 200;
const PAUSE_MS = 25;

/** @throws Error when nothing listens within five seconds, or `alive` says that nothing ever will. */
export async function dial(path: string, alive: () => boolean): Promise<Socket> {
  for (let i = 0; i < TRIES && alive(); i++) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(path, () => {
          socket.removeAllListeners('error');
          resolve(socket);
        });
        socket.once('error', reject);
      });
    } catch {
      await sleep(PAUSE_MS); // not there yet
    }
  }
  throw new Error(`${path}: nothing listens (did QEMU end?)`);
}
