import { canRepaint, liveProgress, type Painter, plainProgress, type RealClock } from '../../cli/progress.ts';

class HandClock implements RealClock {
  #now = 0;
  #later: { at: number; work: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  later(work: () => void, milliseconds: number): () => void {
    const timer = { at: this.#now + milliseconds, work };
    this.#later.push(timer);
    return () => {
      this.#later = this.#later.filter((one) => one !== timer);
    };
  }

  pass(milliseconds: number): void {
    this.#now += milliseconds;
    const due = this.#later.filter((timer) => timer.at <= this.#now);
    this.#later = this.#later.filter((timer) => timer.at > this.#now);
    for (const { work } of due) work();
  }
}

function painted() {
  const seen: string[] = [];
  const painter: Painter = Object.assign((text: string) => void seen.push(`paint ${text}`), {
    persist: (text: string) => void seen.push(`persist ${text}`),
    done: () => void seen.push('done'),
  });
  const clock = new HandClock();
  return { seen, clock, progress: liveProgress(painter, clock) };
}

function written() {
  const lines: string[] = [];
  const clock = new HandClock();
  return { lines, clock, progress: plainProgress((text) => void lines.push(text), clock) };
}

describe('on a terminal', () => {
  test('repaints at most ten times a second, and never misses the last state', () => {
    const { seen, clock, progress } = painted();
    for (let n = 0; n < 1000; n++) {
      progress.update([`state ${n}`, 'second line']);
      clock.pass(1);
    }
    clock.pass(100);
    expect(seen[0]).toBe('paint state 0\nsecond line');
    expect(seen.at(-1)).toBe('paint state 999\nsecond line');
    expect(seen.length).toBeGreaterThanOrEqual(9);
    expect(seen.length).toBeLessThanOrEqual(12);
  });

  test('a state that nobody follows up is painted all the same, without a further call', () => {
    const { seen, clock, progress } = painted();
    progress.update(['a']);
    progress.update(['b']);
    expect(seen).toEqual(['paint a']);
    clock.pass(100);
    expect(seen).toEqual(['paint a', 'paint b']);
  });

  test('what is worth keeping stays above; the end shows the last state and gives the terminal back once', () => {
    const { seen, progress } = painted();
    progress.update(['a']);
    progress.note('i-1 stopped');
    progress.update(['b']);
    progress.done();
    progress.done();
    progress.update(['c']);
    progress.note('late');
    expect(seen).toEqual(['paint a', 'persist i-1 stopped', 'paint a', 'paint b', 'done']);
  });
});

test.each([
  [{ isTTY: true, columns: 80, rows: 24 }, true],
  [{ isTTY: true, columns: 0, rows: 0 }, false],
  [{ isTTY: false, columns: 80, rows: 24 }, false],
])('whether %j can show a block: %s', (stream, expected) => {
  const term = process.env.TERM;
  process.env.TERM = 'xterm';
  expect(canRepaint(stream)).toBe(expected);
  process.env.TERM = 'dumb';
  expect(canRepaint(stream)).toBe(false);
  if (term === undefined) delete process.env.TERM;
  else process.env.TERM = term;
});

describe('in a log', () => {
  test('says what changed, at most once a second, never the same twice, and the last state', () => {
    const { lines, clock, progress } = written();
    for (let n = 0; n < 50; n++) {
      progress.update(['eu-west-1: waiting', `us-east-1: ${Math.floor(n / 10)} read`]);
      clock.pass(100);
    }
    progress.update(['eu-west-1: waiting', 'us-east-1: all read']);
    progress.done();
    progress.done();
    expect(lines).toEqual([
      'eu-west-1: waiting; us-east-1: 0 read\n',
      'us-east-1: 1 read\n',
      'us-east-1: 2 read\n',
      'us-east-1: 3 read\n',
      'us-east-1: 4 read\n',
      'us-east-1: all read\n',
    ]);
  });

  test('a long run speaks more seldom', () => {
    const { lines, clock, progress } = written();
    for (let second = 0; second < 600; second++) {
      progress.update([`${second} read`]);
      clock.pass(1000);
    }
    expect(lines.length).toBeLessThan(60);
    expect(lines.length).toBeGreaterThan(20);
  });

  test('notes are never held back, and not repeated', () => {
    const { lines, progress } = written();
    progress.note('i-1 stopped');
    progress.note('i-2 stopped');
    progress.note('i-1 stopped');
    expect(lines).toEqual(['i-1 stopped\n', 'i-2 stopped\n']);
  });
});
