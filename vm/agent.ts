/** The host's end of the stand-in for the SSM agent (`guest/agent.sh`): a script and its environment in, what it printed out. */
import type { Socket } from 'node:net';

/** How a script ended on the machine. */
export interface Ran {
  /** exit code; 137 where it was killed for taking too long, null where no answer ever came */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

/** Seconds that the answer may take beyond the script's own time: the emulated machine is slow. */
const GRACE_SECONDS = 30;

type Answer = Pick<Ran, 'code' | 'stdout' | 'stderr'>;
const SILENCE: Answer = { code: null, stdout: '', stderr: '' };

export class Agent {
  /** Settles when the agent of a machine that boots says that it is there. */
  readonly ready: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Map<string, (answer: Answer) => void>();
  #buffer = Buffer.alloc(0);
  #count = 0;
  #tellReady: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.ready = new Promise((resolve) => {
      this.#tellReady = resolve;
    });
    socket.on('error', () => undefined); // as for QMP: QEMU's exit is what counts
    socket.on('close', () => {
      for (const tell of this.#waiting.values()) tell(SILENCE);
    });
    socket.on('data', (bytes) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes as Buffer]);
      while (this.#takeAnswer());
    });
  }

  /** Runs one script after the other has ended. Never throws: no answer is `code` null. */
  async run(script: string, environment: Readonly<Record<string, string>>, seconds: number): Promise<Ran> {
    const started = Date.now();
    const id = `s${process.pid}-${++this.#count}`;
    const variables = Buffer.from(
      Object.entries(environment)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    const body = Buffer.from(script);
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<Answer>((resolve) => {
      timer = setTimeout(() => resolve(SILENCE), (seconds + GRACE_SECONDS) * 1000);
      this.#waiting.set(id, resolve);
      this.#socket.write(`${id} ${seconds} ${variables.length} ${body.length}\n`);
      this.#socket.write(Buffer.concat([variables, body]));
    });
    clearTimeout(timer);
    this.#waiting.delete(id);
    return { ...answer, milliseconds: Date.now() - started };
  }

  #takeAnswer(): boolean {
    const end = this.#buffer.indexOf('\n');
    if (end < 0) return false;
    const [id = '', code, outSize, errSize] = this.#buffer.subarray(0, end).toString('latin1').split(' ');
    if (!/^\d+$/.test(errSize ?? '')) {
      // Out of step: nothing that comes after this can be told from an answer.
      this.#socket.destroy(new Error(`the agent's answer is none: ${id}`));
      this.#buffer = Buffer.alloc(0);
      return false;
    }
    const middle = end + 1 + Number(outSize);
    const last = middle + Number(errSize);
    if (this.#buffer.length < last) return false;
    const stdout = this.#buffer.subarray(end + 1, middle).toString('utf8');
    const stderr = this.#buffer.subarray(middle, last).toString('utf8');
    this.#buffer = Buffer.from(this.#buffer.subarray(last));
    if (id === 'ready') this.#tellReady();
    else this.#waiting.get(id)?.({ code: Number(code), stdout, stderr });
    return true;
  }
}
