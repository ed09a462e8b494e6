/**
 * A real Linux machine as a guest of the embedded region: its serial port is the console output, the stand-in agent takes
 * the commands, power is QEMU's. Its own time passes only while somebody asks it something; on the region's clock a line
 * of its console stands at power-on plus the kernel's time stamp.
 */
import { createHash } from 'node:crypto';
import type { AgentView, Machine, MachineTruth, ScriptResult } from '../simulator/core.ts';
import { parseTree } from './audit-tree.ts';
import { GuestBridge } from './guest-bridge.ts';
import type { MachineOptions } from './machine.ts';
import { type KernelStatus, PRELUDE, parseStatus, SETTLED } from './trial.ts';

/** How long a command may take before the machine counts as hung. An answer takes about one second. Unit: seconds. */
const PATIENCE = 15;
const SCRIPT_SECONDS = 300;
const PING_MS = 300_000;
/** EC2 looks each minute: until then a machine is initializing. Unit: milliseconds. */
const FIRST_CHECK_MS = 120_000;
const HUNG: ScriptResult = { exitCode: -1, stdout: '', stderr: '', milliseconds: 0, hung: true };

interface Boot {
  readonly at: number;
  /** its agent answers from then on */
  readonly readyAt: number;
  readonly console: Buffer;
}

export class RealGuest implements Machine {
  readonly #bridge = new GuestBridge();
  readonly #options: MachineOptions;
  /** consoles of boots that have ended */
  readonly #ended: Boot[] = [];
  readonly #overflows: { at: number; limit: number }[] = [];
  #boot: Omit<Boot, 'console'> | null = null;
  #hungSince: number | null = null;
  #boots = 0;
  #last: { status: KernelStatus; files: Record<string, string>; configured: number | null } | null = null;

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  powerOn(at: number): void {
    const { milliseconds = 0 } = this.#bridge.call({ what: 'start', options: this.#options });
    this.#boot = { at, readyAt: at + milliseconds };
    this.#hungSince = null;
    this.#boots += 1;
    this.#shell(SETTLED, 120);
  }

  powerOff(): void {
    if (!this.#boot) return;
    this.#ended.push({ ...this.#boot, console: this.#console() });
    this.#bridge.call({ what: 'kill' });
    this.#boot = null;
  }

  reset(at: number): void {
    this.powerOff();
    this.powerOn(at);
  }

  shutsDownCleanly(): boolean {
    if (!this.#boot || this.#hungSince !== null) return false;
    this.#shell('sync');
    return true;
  }

  console(at: number, from = 0): Uint8Array {
    const boots = this.#boot ? [...this.#ended, { ...this.#boot, console: this.#console() }] : this.#ended;
    return Buffer.concat(
      boots.flatMap((boot) =>
        stampedLines(boot)
          .filter((line) => line.at >= from && line.at <= at)
          .map(({ bytes }) => bytes),
      ),
    );
  }

  consoleUpdatedAt(at: number): number | null {
    const newest = this.#boot ? { ...this.#boot, console: this.#console() } : this.#ended.at(-1);
    return newest
      ? (stampedLines(newest)
          .filter((line) => line.at <= at)
          .at(-1)?.at ?? null)
      : null;
  }

  /** A kernel whose processes all sleep still answers for its network card. */
  instanceCheck(at: number): 'ok' | 'initializing' {
    return this.#boot && at - this.#boot.at >= FIRST_CHECK_MS ? 'ok' : 'initializing';
  }

  agent(at: number): AgentView {
    const answering = this.#boot !== null && this.#hungSince === null && at >= this.#boot.readyAt;
    return {
      managed: true,
      lastPingAt: this.#lastPingAt(this.#hungSince ?? at),
      answering,
      version: '3.3.2746.0',
      platformName: 'Debian GNU/Linux',
      platformVersion: '12',
      platformType: 'Linux',
      computerName: 'ip-10-0-1-23',
    };
  }

  runScript(at: number, script: string, environment: Readonly<Record<string, string>>): ScriptResult {
    if (!this.#boot || this.#hungSince !== null) return HUNG;
    const { ran } = this.#bridge.call({ what: 'run', script, environment, seconds: SCRIPT_SECONDS });
    if (!ran || ran.code === null) {
      this.#hungSince = at;
      return HUNG;
    }
    const { code, stdout, stderr, milliseconds } = ran;
    return { exitCode: code, stdout, stderr, milliseconds, hung: false };
  }

  /** No text from the network but `auditctl -s` is run. */
  runCommand(at: number, line: string): ScriptResult {
    if (line === 'auditctl -s') return this.runScript(at, '#!/bin/sh\nauditctl -s\n', {});
    return { exitCode: 127, stdout: '', stderr: `${line}: not run on this machine\n`, milliseconds: 0, hung: false };
  }

  truth(): MachineTruth {
    const looked = this.#look();
    return {
      poweredOn: this.#boot !== null,
      hung: this.#hungSince !== null,
      effectiveLimit: this.#boot ? (looked?.status.limit ?? null) : null,
      configuredLimit: looked?.configured ?? null,
      lost: looked?.status.lost ?? 0,
      overflows: [...this.#overflows],
      auditdRunning: this.#boot !== null && looked !== null && looked.status.pid !== 0,
      files: looked?.files ?? {},
      boots: this.#boots,
    };
  }

  /** Shell text with the functions of the scenarios; it must end with 0. */
  prepare(text: string): string {
    return this.#shell(PRELUDE + text);
  }

  /** Brings a load, and says whether the machine still answers afterwards. */
  load(at: number, text: string): boolean {
    const { limit } = this.status();
    this.#look();
    this.#bridge.call({ what: 'run', script: PRELUDE + text, environment: {}, seconds: PATIENCE });
    const { ran } = this.#bridge.call({ what: 'run', script: '#!/bin/sh\necho\n', environment: {}, seconds: PATIENCE });
    if (ran?.code === 0) return true;
    this.#hungSince = at;
    this.#overflows.push({ at, limit });
    return false;
  }

  status(): KernelStatus {
    return parseStatus(this.#shell('#!/bin/sh\nauditctl -s\n'));
  }

  async end(): Promise<void> {
    await this.#bridge.end();
  }

  /** The agent pings when it is up and every five minutes from then on. */
  #lastPingAt(at: number): number | null {
    if (!this.#boot || at < this.#boot.readyAt) return this.#ended.at(-1)?.readyAt ?? null;
    return at - ((at - this.#boot.readyAt) % PING_MS);
  }

  #console(): Buffer {
    return Buffer.from(this.#bridge.call({ what: 'console' }).console ?? []);
  }

  #shell(script: string, seconds = 60): string {
    const { ran } = this.#bridge.call({ what: 'run', script, environment: {}, seconds });
    if (ran?.code !== 0)
      throw new Error(`in the guest: ${script.slice(-200)}\nended with ${ran?.code}: ${ran?.stderr}`);
    return ran.stdout;
  }

  /** As it is now; of a machine that hangs or has no power as it was seen last. */
  #look() {
    if (!this.#boot || this.#hungSince !== null) return this.#last;
    const tree = parseTree(this.#shell('#!/bin/sh\naudit-tree /etc/audit\n'));
    const rules = tree.get('/etc/audit/rules.d/audit.rules')?.content ?? '';
    const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
    this.#last = {
      status: this.status(),
      files: Object.fromEntries([...tree].map(([path, node]) => [path, digest(node.attributes + node.content)])),
      configured: Number(rules.match(/^-b (\d+)$/m)?.[1] ?? Number.NaN) || null,
    };
    return this.#last;
  }
}

/** A console's lines, each with the time of the last kernel stamp up to it. */
function stampedLines({ at, console }: Boot): { at: number; bytes: Buffer }[] {
  let now = at;
  return console
    .toString('latin1')
    .split(/(?<=\n)/)
    .map((line) => {
      const stamp = /\[ *(\d+\.\d{6})\]/.exec(line)?.[1];
      if (stamp !== undefined) now = Math.max(now, at + Math.round(Number(stamp) * 1000));
      return { at: now, bytes: Buffer.from(line, 'latin1') };
    });
}
