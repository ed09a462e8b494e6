/** A Windows machine: out of scope for whoever cures audit queues, but there, managed by SSM and with a console answer. */
import type { AgentView, Machine, MachineTruth, Random, ScriptResult } from '../core.ts';
import type { GuestIdentity } from './profile.ts';

const SECOND = 1000;
const PING_MS = 5 * 60 * SECOND;

class WindowsMachine implements Machine {
  readonly #identity: GuestIdentity;
  readonly #random: Random;
  #bootAt: number | null = null;
  #readyAt = 0;
  #boots = 0;
  #managed = false;
  #lastPingAt: number | null = null;

  constructor(random: Random, identity: GuestIdentity) {
    this.#random = random;
    this.#identity = identity;
  }

  #pingUntil(at: number): void {
    if (this.#bootAt === null || at < this.#readyAt) return;
    this.#managed = true;
    this.#lastPingAt = this.#readyAt + Math.floor((at - this.#readyAt) / PING_MS) * PING_MS;
  }

  powerOn(at: number): void {
    this.#bootAt = at;
    this.#readyAt = at + this.#random.between(60, 120) * SECOND;
    this.#boots++;
  }
  powerOff(at: number): void {
    this.#pingUntil(at);
    this.#bootAt = null;
  }
  reset(at: number): void {
    this.powerOff(at);
    this.powerOn(at);
  }
  shutsDownCleanly(): boolean {
    return this.#bootAt !== null;
  }
  /** For Windows, GetConsoleOutput gives the last three errors of the system event log; a healthy one has none. */
  console(at: number, from = 0): Uint8Array {
    const text =
      this.#bootAt !== null && this.#readyAt <= at && this.#readyAt >= from ? 'Windows is Ready to use\r\n' : '';
    return Buffer.from(text, 'utf8');
  }
  consoleUpdatedAt(at: number): number | null {
    return this.#bootAt !== null && this.#readyAt <= at ? this.#readyAt : null;
  }
  instanceCheck(at: number): 'ok' | 'impaired' | 'initializing' {
    return this.#bootAt !== null && at >= this.#readyAt + 60 * SECOND ? 'ok' : 'initializing';
  }
  agent(at: number): AgentView {
    this.#pingUntil(at);
    return {
      managed: this.#managed,
      lastPingAt: this.#lastPingAt,
      answering: this.#bootAt !== null && at >= this.#readyAt,
      version: '3.3.3050.0',
      platformName: 'Microsoft Windows Server 2022 Datacenter',
      platformVersion: '10.0.20348',
      platformType: 'Windows',
      computerName: this.#identity.hostname,
    };
  }
  /** A document's shell script has a precondition on the platform: on Windows the step is skipped. */
  runScript(): ScriptResult {
    return {
      exitCode: 0,
      stdout: '',
      stderr: 'Step execution skipped due to unsupported platform',
      milliseconds: 300,
      hung: false,
    };
  }
  runCommand(): ScriptResult {
    return { exitCode: 127, stdout: '', stderr: 'this machine runs Windows\n', milliseconds: 200, hung: false };
  }
  truth(): MachineTruth {
    return {
      poweredOn: this.#bootAt !== null,
      hung: false,
      effectiveLimit: null,
      configuredLimit: null,
      lost: 0,
      overflows: [],
      auditdRunning: false,
      files: {},
      boots: this.#boots,
    };
  }
}

/** A Windows machine without power. */
export function createWindowsMachine(random: Random, identity: GuestIdentity): Machine {
  return new WindowsMachine(random, identity);
}
