/** The console text that EC2 hands out: live with `Latest`, else as it was posted after the last transition. */
import type { Machine, Random } from '../core.ts';

/** EC2 keeps the most recent 64 KB (documented in older copies of the API reference). */
const CONSOLE_BYTES = 65_536;

/** One reading; `bytes` null where nothing was ever written or posted. `updatedAt` in epoch milliseconds. */
export interface ConsoleText {
  readonly bytes: Uint8Array | null;
  readonly updatedAt: number;
}

/** Console of one instance. */
export class ConsoleBuffer {
  readonly #machine: Machine;
  readonly #random: Random;
  readonly #neverPosted: boolean;
  readonly #datedByCall: boolean;
  /** When the buffer of the newest transition whose post was already made was made; its text is taken then. */
  #posted: { readonly at: number; bytes: Uint8Array | null };

  /**
   * @param datedByCall with `Latest` the time is that of the call. AWS says only "last updated" of it, which fits both
   *   ways: what depends on one of them must fail somewhere.
   */
  constructor(machine: Machine, random: Random, launchTime: number, neverPosted: boolean, datedByCall: boolean) {
    this.#machine = machine;
    this.#random = random;
    this.#neverPosted = neverPosted;
    this.#datedByCall = datedByCall;
    this.#posted = { at: launchTime + this.#delay(), bytes: null };
  }

  #delay(): number {
    return this.#random.between(210_000, 270_000);
  }

  /** A start, stop or reboot: what stands on the console some four minutes later is posted. */
  transition(): void {
    const timer = setTimeout(() => {
      this.#posted = { at: Date.now(), bytes: last64K(this.#machine.console(Date.now())) };
    }, this.#delay());
    timer.unref();
  }

  /** As with `Latest`. */
  latest(launchTime: number): ConsoleText {
    const now = Date.now();
    return {
      bytes: last64K(this.#machine.console(now)),
      updatedAt: this.#datedByCall ? now : (this.#machine.consoleUpdatedAt(now) ?? launchTime),
    };
  }

  /** As without `Latest`. */
  posted(launchTime: number): ConsoleText {
    const now = Date.now();
    if (this.#neverPosted) return { bytes: null, updatedAt: launchTime };
    if (this.#posted.at > now) return { bytes: null, updatedAt: launchTime };
    this.#posted.bytes ??= last64K(this.#machine.console(this.#posted.at));
    return { bytes: this.#posted.bytes, updatedAt: this.#posted.at };
  }
}

function last64K(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length === 0) return null;
  return bytes.length > CONSOLE_BYTES ? bytes.subarray(bytes.length - CONSOLE_BYTES) : bytes;
}
