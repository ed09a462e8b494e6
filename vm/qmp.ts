/** QEMU's machine protocol: one command at a time, one answer each; events are left aside. */
import type { Socket } from 'node:net';

type Answer = { readonly return?: unknown; readonly error?: { readonly class: string; readonly desc: string } };

export class Qmp {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Answer) => void)[] = [];
  #rest = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text) => this.#take(String(text)));
    // QEMU's end closes the socket in any state; its own exit is what counts.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const tell of this.#waiting.splice(0)) tell({ error: { class: 'Closed', desc: 'QEMU ended' } });
    });
  }

  static async open(socket: Socket): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await qmp.call('qmp_capabilities');
    return qmp;
  }

  /** @throws Error with QEMU's own words when it refuses, or ended. */
  async call(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    });
    if (answer.error) throw new Error(`QEMU ${execute}: ${answer.error.desc}`);
    return answer.return;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as Answer;
      if (message.error !== undefined || 'return' in message) this.#waiting.shift()?.(message);
    }
  }
}
