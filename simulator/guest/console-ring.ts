/** The serial console as the hypervisor keeps it: the newest 64 KB, over reboots and power cycles. */

const RING_BYTES = 65_536;

interface Entry {
  readonly at: number;
  readonly text: string;
}

/** Text on the serial console with the time it was written. */
export class ConsoleRing {
  #entries: Entry[] = [];
  #size = 0;
  #lastAt: number | null = null;

  /** Appends text as it is; a line needs its own line end. Times never go back. */
  write(at: number, text: string): void {
    this.#entries.push({ at, text });
    this.#size += Buffer.byteLength(text);
    this.#lastAt = at;
    if (this.#size < 2 * RING_BYTES) return;
    while (this.#size > RING_BYTES) {
      const dropped = this.#entries.shift();
      if (!dropped) break;
      this.#size -= Buffer.byteLength(dropped.text);
    }
  }

  /** What was written in `from`..`to`, at most the newest 64 KB. */
  read(from: number, to: number): Uint8Array {
    const text = this.#entries.filter((entry) => entry.at >= from && entry.at <= to).map((entry) => entry.text);
    const bytes = Buffer.from(text.join(''), 'utf8');
    return bytes.subarray(Math.max(0, bytes.length - RING_BYTES));
  }

  /** When the last text was written until `to`; null when none was. */
  updatedAt(to: number): number | null {
    if (this.#lastAt === null || this.#lastAt <= to) return this.#lastAt;
    return this.#entries.findLast((entry) => entry.at <= to)?.at ?? null;
  }
}

/** `[   12.345678] `, as printk stamps a line with the seconds since the boot. */
export function stamp(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  const [whole = '0', fraction = ''] = seconds.toFixed(6).split('.');
  return `[${whole.padStart(5)}.${fraction}] `;
}
