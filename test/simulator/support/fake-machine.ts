/** A machine that does what a test says: no kernel, no agent. */
import type { AgentView, Machine, MachineTruth, ScriptResult } from '../../../simulator/core.ts';

export class FakeMachine implements Machine {
  poweredOn = true;
  clean = true;
  check: 'ok' | 'impaired' | 'initializing' = 'ok';
  /** What was written to the console, in order. */
  readonly lines: { readonly at: number; readonly text: string }[] = [];
  readonly calls: string[] = [];
  powerOn(): void {
    this.poweredOn = true;
    this.calls.push('powerOn');
  }
  powerOff(): void {
    this.poweredOn = false;
    this.calls.push('powerOff');
  }
  reset(): void {
    this.calls.push('reset');
  }
  shutsDownCleanly(): boolean {
    return this.clean;
  }
  console(at: number, from = Number.NEGATIVE_INFINITY): Uint8Array {
    const text = this.lines.filter((line) => line.at <= at && line.at >= from).map((line) => line.text);
    return Buffer.from(text.join(''));
  }
  consoleUpdatedAt(at: number): number | null {
    return this.lines.filter((line) => line.at <= at).at(-1)?.at ?? null;
  }
  instanceCheck(): 'ok' | 'impaired' | 'initializing' {
    return this.check;
  }
  agent(): AgentView | null {
    return null;
  }
  runScript(): ScriptResult {
    throw new Error('a FakeMachine runs nothing');
  }
  runCommand(): ScriptResult {
    throw new Error('a FakeMachine runs nothing');
  }
  truth(): MachineTruth {
    throw new Error('a FakeMachine has no truth');
  }
}
