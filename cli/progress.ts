/**
 * Progress on stderr, so that what stdout carries stays alone: a block repainted in place on a terminal, plain lines
 * elsewhere. Measures real time even where the embedded region has replaced the clock: the real one is taken at import.
 */

/** How far a run is, for whoever watches. */
export interface Progress {
  /** The present state, whole. Lines must be printable; styles are allowed. */
  update(lines: readonly string[]): void;
  /** Something worth keeping on the screen. */
  note(line: string): void;
  /** The end: the last state is shown, and the terminal is given back. Further calls do nothing. */
  done(): void;
}

/** What paints a block in place: `log-update`. */
export interface Painter {
  (text: string): void;
  persist(text: string): void;
  done(): void;
}

/** Real time. Unit: milliseconds. */
export interface RealClock {
  now(): number;
  /** Calls back once after so many milliseconds, without keeping the program alive; returns how to call it off. */
  later(work: () => void, milliseconds: number): () => void;
}

export interface ProgressOptions {
  readonly stream: NodeJS.WriteStream;
  /** Repaint in place. Default: where the stream is a terminal (and not a dumb one). */
  readonly live?: boolean;
}

const REPAINT_MILLISECONDS = 100;
/** Plain lines come at most once a second, and more seldom the longer it takes: a tenth of the time, up to this. */
const LONGEST_SILENCE_MILLISECONDS = 30_000;

const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;
const realNow = performance.now.bind(performance);
const REAL_CLOCK: RealClock = {
  now: () => realNow(),
  later(work, milliseconds) {
    const timer = realSetTimeout(work, milliseconds);
    timer.unref();
    return () => realClearTimeout(timer);
  },
};

/** Makes the display that suits the stream. */
export async function createProgress({ stream, live }: ProgressOptions): Promise<Progress> {
  if (!(live ?? canRepaint(stream))) return plainProgress((text) => stream.write(text));
  // ESM only, and needed on terminals only.
  const { createLogUpdate } = await import('log-update');
  return liveProgress(createLogUpdate(stream));
}

/** A terminal of no size (a recorder, some CI) would show nothing of a block. */
export function canRepaint({ isTTY, columns, rows }: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'rows'>): boolean {
  return isTTY === true && columns > 0 && rows > 0 && process.env.TERM !== 'dumb';
}

/** A block repainted at most ten times a second. */
export function liveProgress(painter: Painter, clock: RealClock = REAL_CLOCK): Progress {
  let text = '';
  let painted = '';
  let paintedAt = Number.NEGATIVE_INFINITY;
  let callOff: (() => void) | null = null;
  let over = false;
  const paint = () => {
    callOff?.();
    callOff = null;
    if (text === painted) return;
    painter(text);
    painted = text;
    paintedAt = clock.now();
  };
  return {
    update(lines) {
      if (over) return;
      text = lines.join('\n');
      const due = paintedAt + REPAINT_MILLISECONDS - clock.now();
      if (due <= 0) paint();
      else callOff ??= clock.later(paint, due);
    },
    note(line) {
      if (over) return;
      painter.persist(line);
      // It stands where the block stood: the block goes below.
      if (text !== '') painter(text);
      painted = text;
    },
    done() {
      if (over) return;
      over = true;
      paint();
      painter.done();
    },
  };
}

/** Lines for logs and pipes: every note, and of the state what changed, now and then and at the end. */
export function plainProgress(write: (text: string) => void, clock: RealClock = REAL_CLOCK): Progress {
  const begin = clock.now();
  const said = new Set<string>();
  let shown: readonly string[] = [];
  let latest: readonly string[] = [];
  let saidAt = Number.NEGATIVE_INFINITY;
  let over = false;
  const say = (line: string) => {
    if (line === '' || said.has(line)) return;
    said.add(line);
    write(`${line}\n`);
  };
  const sayState = () => {
    const before = new Set(shown);
    say(
      latest
        .filter((line) => line.trim() !== '' && !before.has(line))
        .map((line) => line.trim())
        .join('; '),
    );
    shown = latest;
    saidAt = clock.now();
  };
  return {
    update(lines) {
      if (over) return;
      latest = [...lines];
      const now = clock.now();
      const silence = Math.min(LONGEST_SILENCE_MILLISECONDS, Math.max(1000, (now - begin) / 10));
      if (now - saidAt >= silence) sayState();
    },
    note(line) {
      if (!over) say(line);
    },
    done() {
      if (over) return;
      over = true;
      sayState();
    },
  };
}
