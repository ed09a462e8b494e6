import {
  createRetryStrategy,
  createWaitStrategy,
  type DurableContext,
  JitterStrategy,
  retryPresets,
  StepSemantics,
  withDurableExecution,
} from '@aws/durable-execution-sdk-js';
import { currentInvocation, EventLog } from '../../simulator/core.ts';
import { CrashPlan, type CrashPoint } from '../../simulator/engine/crash-plan.ts';
import { DurableEngine, ExecutionNotSucceeded } from '../../simulator/engine/durable-engine.ts';
import { digestOf } from '../../simulator/engine/event-digest.ts';
import type { ExecutionView } from '../../simulator/engine/execution.ts';
import type { DurableFunctionSettings } from '../../simulator/engine/functions.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';

const silent = { info() {}, warn() {}, error() {}, debug() {}, log() {} };
const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
const region = { accountId: '111122223333', region: 'eu-west-1' };
const live = { aliases: ['live'], executionTimeoutSeconds: 86_400 };

type Workflow = (event: never, context: DurableContext) => Promise<unknown>;

class World {
  readonly log = new EventLog();
  readonly engine: DurableEngine;
  readonly done: string[] = [];
  constructor(points: readonly CrashPoint[] = []) {
    this.engine = new DurableEngine({
      ...region,
      log: this.log,
      crashPlan: new CrashPlan(points),
    });
  }
  durable(name: string, workflow: Workflow, settings: Partial<DurableFunctionSettings> = {}): this {
    this.engine.registerDurable({ name, ...live, ...settings }, ({ durableExecutionClient }) =>
      withDurableExecution(
        async (event: never, context: DurableContext) => {
          context.configureLogger({ customLogger: silent });
          return workflow(event, context);
        },
        { durableExecutionClient },
      ),
    );
    return this;
  }
  /** A call that changes the world, as the dispatcher of the region makes it: crashable, slow, fenced. */
  async call(what: string): Promise<string> {
    await sleep(20);
    if (currentInvocation.getStore()?.dead) return new Promise(() => undefined);
    const strike = this.engine
      .crashes()
      .strike({ ...region, service: 'ec2', action: what, params: {}, principal: 'root' });
    if (strike?.kind !== 'lost-before') this.done.push(what);
    if (currentInvocation.getStore()?.dead) return new Promise(() => undefined);
    await sleep(20);
    if (currentInvocation.getStore()?.dead) return new Promise(() => undefined);
    return what;
  }
}

describe('DurableEngine', () => {
  let time: VirtualTime;
  beforeEach(() => {
    time = VirtualTime.install({ seed: 1 });
  });
  afterEach(() => time.uninstall());

  const run = async (world: World, name: string, payload: unknown = {}): Promise<ExecutionView> => {
    const { arn } = world.engine.start(`${name}:live`, null, payload);
    await time.drive(() => world.engine.execution(arn).status !== 'RUNNING', { pending: () => world.engine.pending() });
    return world.engine.execution(arn);
  };

  test('steps, waits, retries, map, conditions and children work, with a replay after each suspension', async () => {
    let tries = 0;
    let polls = 0;
    let bodies = 0;
    const world = new World()
      .durable('child', async ({ n }: { n: number }, context) => {
        await context.wait('pause', { seconds: 30 * n });
        return { square: n * n };
      })
      .durable('parent', async ({ items }: { items: number[] }, context) => {
        bodies++;
        const retried = await context.step(
          'flaky',
          async () => {
            if (++tries < 3) throw new Error('not yet');
            return tries;
          },
          {
            retryStrategy: createRetryStrategy({
              maxAttempts: 5,
              initialDelay: { seconds: 5 },
              backoffRate: 1,
              jitter: JitterStrategy.NONE,
            }),
          },
        );
        await context.wait('breathe', { seconds: 3600 });
        const state = await context.waitForCondition('poll', async () => ++polls, {
          initialState: 0,
          waitStrategy: createWaitStrategy({
            maxAttempts: 10,
            initialDelay: { seconds: 10 },
            backoffRate: 1,
            jitter: JitterStrategy.NONE,
            shouldContinuePolling: (n) => n < 4,
          }),
        });
        const batch = await context.map(
          'squares',
          items,
          async (child: DurableContext, n: number) =>
            child.invoke<{ n: number }, { square: number }>(`invoke-${n}`, 'child:live', { n }),
          { maxConcurrency: 2, completionConfig: { toleratedFailurePercentage: 100 } },
        );
        return { retried, state, squares: batch.getResults().map((r) => r?.square), total: batch.totalCount };
      });
    const started = Date.now();
    const execution = await run(world, 'parent', { items: [1, 2, 3] });
    expect(execution.error).toBeNull();
    expect(world.engine.result(execution.arn)).toEqual({ retried: 3, state: 4, squares: [1, 4, 9], total: 3 });
    expect(tries).toBe(3);
    expect(polls).toBe(4);
    // 2 retries of 5 s, 1 h, 3 polls of 10 s, and two lanes of children: 30 s then 90 s beside 60 s.
    const seconds = (Date.now() - started) / 1000;
    expect(seconds).toBeGreaterThanOrEqual(10 + 3600 + 30 + 120);
    expect(seconds).toBeLessThan(10 + 3600 + 30 + 120 + 30);
    expect(bodies).toBe(execution.use.invocations);
    expect(execution.use.invocations).toBeGreaterThan(6);
    // The execution itself, two retries of the step and three of the condition count as operations, too.
    expect(execution.use.metered - execution.use.operations).toBe(1 + 2 + 3);
    expect(world.engine.executions()).toHaveLength(4);
  });

  test('a failing step fails the execution with its error, and a failing child its parent', async () => {
    const world = new World()
      .durable('child', async (_event, context) =>
        context.step(
          'break',
          async () => {
            throw new TypeError('no such thing');
          },
          { retryStrategy: retryPresets.noRetry },
        ),
      )
      .durable('parent', async (_event, context) => {
        try {
          return await context.invoke('invoke', 'child:live', {});
        } catch (error) {
          return { caught: (error as Error).message };
        }
      });
    const child = await run(world, 'child');
    expect(child.status).toBe('FAILED');
    expect(child.error?.ErrorMessage).toContain('no such thing');
    expect(() => world.engine.result(child.arn)).toThrow(ExecutionNotSucceeded);
    const parent = await run(world, 'parent');
    expect(world.engine.result(parent.arn)).toEqual({ caught: expect.stringContaining('no such thing') });
  });

  test('a chained invoke of an ordinary function answers; an unqualified durable one is refused', async () => {
    const world = new World()
      .durable('child', async () => 1)
      .durable('parent', async ({ callee }: { callee: string }, context) => context.invoke('invoke', callee, { n: 2 }));
    world.engine.registerPlain({ name: 'plain' }, async (event) => ({ got: event }));
    const plain = await run(world, 'parent', { callee: 'plain' });
    expect(world.engine.result(plain.arn)).toEqual({ got: { n: 2 } });
    const unqualified = await run(world, 'parent', { callee: 'child' });
    expect(unqualified.status).toBe('FAILED');
    expect(unqualified.error?.ErrorMessage).toContain('unqualified ARN');
    const missing = await run(world, 'parent', { callee: 'nobody:live' });
    expect(missing.error?.ErrorMessage).toContain('Function not found');
  });

  /** Stop at most once, looking before a second try; a wait; then start, safe to repeat. */
  const restart = (world: World) =>
    world.durable('restart', async (_event, context) => {
      const once = { retryStrategy: retryPresets.noRetry, semantics: StepSemantics.AtMostOncePerRetry };
      try {
        await context.step('stop', () => world.call('Stop'), once);
      } catch {
        await context.step('look', async () => {
          if (!world.done.includes('Stop')) await world.call('Stop');
          return true;
        });
      }
      await context.wait('down', { seconds: 60 });
      await context.step('start', async () => {
        if (!world.done.includes('Start')) await world.call('Start');
        return true;
      });
      return { done: [...new Set(world.done)] };
    });

  test('crashed before and after each checkpoint in turn: the same result, nothing done twice', async () => {
    const calm = await run(restart(new World()), 'restart');
    expect(calm.use.checkpoints).toBeGreaterThanOrEqual(4);
    for (const moment of ['before', 'after'] as const) {
      for (let number = 1; number <= calm.use.checkpoints; number++) {
        const world = restart(new World([{ at: 'checkpoint', number, moment }]));
        const execution = await run(world, 'restart');
        expect([moment, number, execution.status, execution.result]).toEqual([
          moment,
          number,
          'SUCCEEDED',
          calm.result,
        ]);
        expect([moment, number, world.done]).toEqual([moment, number, ['Stop', 'Start']]);
        expect(world.log.events.filter(({ what }) => what === 'kill')).toHaveLength(1);
      }
    }
  });

  test('crashed inside a step, before and after its call took effect', async () => {
    for (const moment of ['before', 'after'] as const) {
      for (const call of ['ec2:Stop', 'ec2:Start']) {
        const world = restart(new World([{ at: 'call', call, number: 1, moment }]));
        const execution = await run(world, 'restart');
        expect([call, moment, execution.status, world.done]).toEqual([call, moment, 'SUCCEEDED', ['Stop', 'Start']]);
        expect(world.log.events.filter(({ what }) => what === 'kill')).toHaveLength(1);
      }
    }
  });

  test('an at-least-once step does act twice after a lost answer: the crash is real', async () => {
    const world = new World([{ at: 'call', call: 'ec2:Stop', number: 1, moment: 'after' }]);
    world.durable('careless', async (_event, context) => context.step('stop', () => world.call('Stop')));
    await run(world, 'careless');
    expect(world.done).toEqual(['Stop', 'Stop']);
  });

  test('an invocation is killed at its time-out in the middle of a step, and the killed one gets no further answer', async () => {
    const world = new World();
    let attempts = 0;
    world.durable('slow', async (_event, context) =>
      context.step('long', async () => {
        const mine = ++attempts;
        if (mine === 1) await sleep(1_000_000);
        await world.call(`Act${mine}`);
        return mine;
      }),
    );
    const started = Date.now();
    const execution = await run(world, 'slow');
    expect(world.engine.result(execution.arn)).toBe(2);
    expect(Date.now() - started).toBeGreaterThanOrEqual(900_000);
    await time
      .drive(() => Date.now() - started > 1_100_000 || world.done.includes('Act1'), {
        limitMilliseconds: 90_000_000,
      })
      .catch(() => undefined);
    expect(world.done).toEqual(['Act2']);
  });

  test('an execution that takes too long times out', async () => {
    const world = new World().durable('long', async (_e, context) => context.wait('day', { hours: 24 }), {
      executionTimeoutSeconds: 3600,
    });
    const execution = await run(world, 'long');
    expect(execution.status).toBe('TIMED_OUT');
    expect((execution.endedAt ?? 0) - execution.startedAt).toBe(3_600_000);
  });

  test('code that changes between replays is found out', async () => {
    let runs = 0;
    const world = new World().durable('fickle', async (_event, context) => {
      await context.step(++runs === 1 ? 'first' : 'second', async () => 1);
      await context.wait('pause', { seconds: 5 });
      return 'not noticed';
    });
    const execution = await run(world, 'fickle');
    expect(execution.status).toBe('FAILED');
    expect(execution.error?.ErrorMessage).toMatch(/non-deterministic/i);
  });

  test('3,000 operations are the end, and retries count', async () => {
    const world = new World().durable('many', async ({ steps }: { steps: number }, context) => {
      for (let i = 0; i < steps; i++) await context.step(`s${i}`, async () => i);
      return steps;
    });
    const fits = await run(world, 'many', { steps: 2999 });
    expect([fits.status, fits.use.metered]).toEqual(['SUCCEEDED', 3000]);
    const tooMany = await run(world, 'many', { steps: 3000 });
    expect(tooMany.status).toBe('FAILED');
    expect(tooMany.error?.ErrorMessage).toContain('3000 durable operations');
  });

  test('a step may store 256 KB and no more; an execution 100 MB in all', async () => {
    const world = new World().durable('big', async ({ bytes, times }: { bytes: number; times: number }, context) => {
      for (let i = 0; i < times; i++) await context.step(`s${i}`, async () => 'x'.repeat(bytes - 2));
      return 'done';
    });
    expect((await run(world, 'big', { bytes: 262_144, times: 1 })).status).toBe('SUCCEEDED');
    const over = await run(world, 'big', { bytes: 262_145, times: 1 });
    expect([over.status, over.error?.ErrorMessage]).toEqual(['FAILED', expect.stringContaining('262145 bytes')]);
    const total = await run(world, 'big', { bytes: 262_144, times: 401 });
    expect([total.status, total.error?.ErrorMessage]).toEqual(['FAILED', expect.stringContaining('104857600 bytes')]);
  });

  test('a state of many pages is replayed whole', async () => {
    let ran = 0;
    const world = new World().durable('pages', async (_event, context) => {
      let sum = 0;
      for (let i = 0; i < 1500; i++) {
        sum += await context.step(`s${i}`, async () => {
          ran++;
          return i;
        });
      }
      await context.wait('pause', { seconds: 10 });
      return sum;
    });
    const execution = await run(world, 'pages');
    expect(world.engine.result(execution.arn)).toBe((1499 * 1500) / 2);
    expect(ran).toBe(1500);
  });

  test('a name starts one execution', async () => {
    const world = new World().durable('once', async (event: { n: number }) => event.n);
    const first = world.engine.start('once:live', 'run-1', { n: 1 });
    expect(world.engine.start('once:live', 'run-1', { n: 1 }).arn).toBe(first.arn);
    expect(() => world.engine.start('once:live', 'run-1', { n: 2 })).toThrow(
      expect.objectContaining({ code: 'DurableExecutionAlreadyStartedException', status: 409 }),
    );
    expect(() => world.engine.start('once:live', 'run 1', {})).toThrow(/must match/);
    expect(() => world.engine.start('once', 'run-2', {})).toThrow(/unqualified ARN/);
    expect(() => world.engine.start('once:dev', null, {})).toThrow(/Function not found/);
    expect(first.arn).toMatch(
      /^arn:aws:lambda:eu-west-1:111122223333:function:once:1\/durable-execution\/run-1\/[0-9a-f]+$/,
    );
  });

  test('while one branch works, another sees its wait end without a suspension', async () => {
    const world = new World().durable('branches', async (_event, context) => {
      const batch = await context.parallel(
        'both',
        [
          async (child: DurableContext) => child.step('work', async () => sleep(60_000).then(() => Date.now())),
          async (child: DurableContext) => {
            await child.wait('nap', { seconds: 5 });
            return child.step('after', async () => Date.now());
          },
        ],
        { completionConfig: { toleratedFailurePercentage: 100 } },
      );
      return batch.getResults();
    });
    const execution = await run(world, 'branches');
    const [worked, napped] = world.engine.result(execution.arn) as [number, number];
    expect(worked - napped).toBeGreaterThan(50_000);
    expect(execution.use.invocations).toBe(1);
  });

  test('the same seed gives the same events, crashes included', async () => {
    const digest = async () => {
      time.uninstall();
      time = VirtualTime.install({ seed: 5 });
      const world = new World([{ at: 'checkpoint', number: 3, moment: 'after' }]);
      world.durable('jitter', async (_event, context) => {
        let tries = 0;
        await context.step('flaky', async () => {
          if (++tries < 4) throw new Error('again');
          return world.call('Stop');
        });
        await context.map('lanes', [1, 2, 3], async (child: DurableContext, n: number) =>
          child.step(`lane-${n}`, async () => sleep(Math.random() * 1000)),
        );
      });
      await run(world, 'jitter');
      return { digest: digestOf(world.log.events), events: world.log.events.length };
    };
    const first = await digest();
    expect(first.events).toBeGreaterThan(10);
    expect(await digest()).toEqual(first);
  });

  test('an ordinary function answers, fails with its error, and times out', async () => {
    const world = new World();
    world.engine.registerPlain({ name: 'plain', timeoutSeconds: 10 }, async (event) => {
      const { what } = event as { what: string };
      if (what === 'throw') throw new RangeError('too much');
      if (what === 'hang') await sleep(60_000);
      return { what };
    });
    const answers: unknown[] = [];
    for (const what of ['answer', 'throw', 'hang']) {
      world.engine.invokePlain('plain', { what }).then((answer) => answers.push(answer));
    }
    await time.drive(() => answers.length === 3);
    expect(answers).toEqual([
      { ok: true, payload: '{"what":"answer"}' },
      { ok: false, errorType: 'RangeError', errorMessage: 'too much' },
      { ok: false, errorType: 'Sandbox.Timedout', errorMessage: expect.stringContaining('timed out after 10 seconds') },
    ]);
  });
});
