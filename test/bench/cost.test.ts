import { readFileSync } from 'node:fs';
import { COST_DOC, costDocument, type Measured, measured, monthly } from '../../bench/cost-doc.ts';

const row = (instances: number, more: Partial<Measured> = {}): Measured => ({
  instances,
  mode: 'plan',
  affected: instances / 10,
  resized: 0,
  restarted: 0,
  minutes: 1,
  operations: 10 + instances / 100,
  cellOperations: 5 + instances / 100,
  writtenMB: instances / 10_000,
  invocations: 5,
  gbSeconds: instances / 10,
  restartOperations: [],
  writeUnits: instances,
  readUnits: instances / 2,
  logMB: instances / 1000,
  events: 1,
  ...more,
});

describe('a month', () => {
  const rows = monthly([row(100, { operations: 999 }), row(1000), row(2000)]);
  const of = (name: string) =>
    rows.find((one) => one.name.startsWith(name))?.of(10_000) ?? { used: Number.NaN, usd: 0 };

  it('is 180 sweeps, of a line through the second smallest and the largest fleet', () => {
    expect(of('durable operations').used).toBeCloseTo(180 * (10 + 100));
    expect(of('durable operations').usd).toBeCloseTo((180 * 110 * 8) / 1e6);
    expect(of('GB-seconds of sweeps').used).toBeCloseTo(180 * 1000);
  });

  it('writes for the affected ones alone, one in a hundred', () => {
    expect(of('table, write units').used).toBeCloseTo(180 * 10 * 100);
    expect(of('table, read units').used).toBeCloseTo(180 * 5 * 100);
    expect(of('logs').used).toBeCloseTo((180 * 0.01 * 100) / 1000 + (180 * 5) / 1e6);
  });

  it('counts what stands there whatever happens, as the stack has it', () => {
    expect(of('metrics of alarms').used).toBeGreaterThan(12);
    expect(of('dashboards').used).toBe(1);
    expect(of('requests').used).toBeCloseTo(180 * 5 + 8640);
  });

  it('needs three sizes', () => {
    expect(() => monthly([row(100), row(1000)])[0]?.of(1)).toThrow(/at least three sizes/);
  });
});

it('docs/cost.md is what `node bench/cost.ts` writes', () => {
  expect(readFileSync(COST_DOC, 'utf8')).toBe(costDocument(measured()));
});
