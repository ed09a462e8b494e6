import { AsyncLocalStorage } from 'node:async_hooks';
import { readFile } from 'node:fs/promises';
import { realNow, VirtualTime, VirtualTimeDeadlock, VirtualTimeExceeded } from '../../simulator/virtual-time.ts';

const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

describe('VirtualTime', () => {
  let time: VirtualTime;
  beforeEach(() => {
    time = VirtualTime.install({ seed: 7, start: 1_000_000 });
  });
  afterEach(() => time.uninstall());

  const run = async (work: () => Promise<void>, options?: Parameters<VirtualTime['drive']>[1]) => {
    let done = false;
    const promise = work().finally(() => {
      done = true;
    });
    await time.drive(() => done, options);
    return promise;
  };

  test('days pass in no time, and the clock shows them', async () => {
    const before = realNow();
    await run(() => sleep(5 * 86_400_000));
    expect(Date.now()).toBe(1_000_000 + 5 * 86_400_000);
    expect(realNow() - before).toBeLessThan(5_000);
  });

  test('the clock stands still while promises, immediates and files are at work', async () => {
    const at: number[] = [];
    setTimeout(() => at.push(-1), 1);
    await run(async () => {
      for (let i = 0; i < 1000; i++) await Promise.resolve();
      at.push(Date.now());
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
      at.push(Date.now());
      for (let i = 0; i < 5; i++) await readFile(__filename);
      at.push(Date.now());
      await sleep(10);
      at.push(Date.now());
    });
    expect(at).toEqual([1_000_000, 1_000_000, 1_000_000, -1, 1_000_010]);
  });

  test('a timer runs in the async context that set it', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    await run(async () => {
      storage.run('one', () => setTimeout(() => seen.push(storage.getStore()), 5));
      storage.run('two', () => setTimeout(() => seen.push(storage.getStore()), 3));
      await sleep(10);
    });
    expect(seen).toEqual(['two', 'one']);
  });

  test('cancelled timers and immediates never fire', async () => {
    const fired: string[] = [];
    await run(async () => {
      clearTimeout(setTimeout(() => fired.push('timeout'), 5));
      clearImmediate(setImmediate(() => fired.push('immediate')));
      const ticks = setInterval(() => fired.push('tick'), 4);
      await sleep(10);
      clearInterval(ticks);
      await sleep(10);
    });
    expect(fired).toEqual(['tick', 'tick']);
  });

  test('a deadlock is an error that names what is pending', async () => {
    const never = time.drive(() => false, { pending: () => ['restart of i-1: STEP stop STARTED'] });
    await expect(never).rejects.toThrow(VirtualTimeDeadlock);
    await expect(never).rejects.toThrow(/restart of i-1/);
  });

  test('polling for ever ends at the limit', async () => {
    const ticks = setInterval(() => undefined, 60_000);
    await expect(time.drive(() => false, { limitMilliseconds: 3_600_000 })).rejects.toThrow(VirtualTimeExceeded);
    clearInterval(ticks);
  });

  test('an error in a timer reaches the driver', async () => {
    setTimeout(() => {
      throw new Error('the world broke');
    }, 5);
    await expect(time.drive(() => false)).rejects.toThrow('the world broke');
  });

  test('only one at a time, and all is given back', () => {
    expect(() => VirtualTime.install({ seed: 1 })).toThrow(/installed already/);
    time.uninstall();
    expect(Date.now()).toBeGreaterThan(1_600_000_000_000);
    time = VirtualTime.install({ seed: 7, start: 5 });
    expect(Date.now()).toBe(5);
  });

  test('the same seed draws the same numbers', () => {
    const draw = () => [Math.random(), Math.random(), Math.random()];
    const first = draw();
    time.uninstall();
    time = VirtualTime.install({ seed: 7 });
    expect(draw()).toEqual(first);
    time.uninstall();
    time = VirtualTime.install({ seed: 8 });
    expect(draw()).not.toEqual(first);
  });

  test('a display is painted while virtual time passes', async () => {
    time.uninstall();
    const painted: number[] = [];
    time = VirtualTime.install({
      seed: 7,
      start: 0,
      paint: { everyMilliseconds: 0, draw: () => painted.push(Date.now()) },
    });
    await run(async () => {
      for (let i = 0; i < 10; i++) await sleep(1000);
    });
    expect(new Set(painted).size).toBeGreaterThan(5);
  });
});
