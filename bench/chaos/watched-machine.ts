/**
 * A machine as a chaos world has it: the simulator's own, with its quirks, and with someone who looks at it before and
 * after every script that runs on it.
 */
import type { AgentView, Machine, MachineTruth, ScriptResult } from '../../simulator/core.ts';
import type { Quirks } from './machines.ts';

/** What one script found and left. */
export interface ScriptRun {
  readonly at: number;
  readonly instanceId: string;
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly before: Look;
  readonly after: Look;
  readonly result: ScriptResult;
}

/** The machine at an instant, with what its rules files say. */
export interface Look {
  readonly truth: MachineTruth;
  /** Path -> content of every rules file. */
  readonly rules: Readonly<Record<string, string>>;
  /** Rules in the kernel, one a line. */
  readonly loaded: string;
}

export interface Watcher {
  ran(run: ScriptRun): void;
  /** A quirk of this name struck. */
  struck(name: string, instanceId: string): void;
}

/** A planted bug of the machine: what its agent is given to run in the runbook's place. */
export type Tamper = (
  script: string,
  environment: Readonly<Record<string, string>>,
) => {
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
};

/** The longest that SSM lets the runbook run is below this. Unit: milliseconds. */
const TOO_SLOW_MS = 3_600_000;

export class WatchedMachine implements Machine {
  readonly instanceId: string;
  /** The script that ran last, for the harness to run again. */
  last: Pick<ScriptRun, 'script' | 'environment'> | null = null;
  readonly #inner: Machine;
  readonly #quirks: Quirks;
  readonly #watcher: Watcher;
  readonly #tamper: Tamper | null;
  #scripts = 0;
  #staleShown = false;

  constructor(inner: Machine, instanceId: string, quirks: Quirks, watcher: Watcher, tamper: Tamper | null) {
    this.#inner = inner;
    this.instanceId = instanceId;
    this.#quirks = quirks;
    this.#watcher = watcher;
    this.#tamper = tamper;
  }

  powerOn(at: number): void {
    this.#inner.powerOn(at);
  }
  powerOff(at: number): void {
    this.#inner.powerOff(at);
  }
  reset(at: number): void {
    this.#inner.reset(at);
  }
  shutsDownCleanly(at: number): boolean {
    return this.#inner.shutsDownCleanly(at);
  }
  instanceCheck(at: number): 'ok' | 'impaired' | 'initializing' {
    return this.#inner.instanceCheck(at);
  }
  truth(at: number): MachineTruth {
    return this.#inner.truth(at);
  }
  runCommand(at: number, line: string): ScriptResult {
    return this.#inner.runCommand(at, line);
  }

  console(at: number, from = 0): Uint8Array {
    const bytes = this.#inner.console(at, from);
    const { hostile } = this.#quirks;
    if (hostile === undefined || hostile.at < from || hostile.at > at) return bytes;
    const before = this.#inner.console(hostile.at, from);
    // The ring may have moved on; then what was written before the hostile text is gone.
    const kept = bytes.length >= before.length ? before.length : 0;
    return Buffer.concat([bytes.subarray(0, kept), Buffer.from(hostile.text, 'utf8'), bytes.subarray(kept)]);
  }
  consoleUpdatedAt(at: number): number | null {
    const updated = this.#inner.consoleUpdatedAt(at);
    const { hostile } = this.#quirks;
    return hostile === undefined || hostile.at > at ? updated : Math.max(updated ?? 0, hostile.at);
  }

  agent(at: number): AgentView | null {
    const view = this.#inner.agent(at);
    if (view === null) return null;
    const { agentNeverReturns, stalePing } = this.#quirks;
    if (agentNeverReturns && this.#inner.truth(at).boots > 1) {
      return {
        ...view,
        answering: false,
        lastPingAt: Math.min(view.lastPingAt ?? at, this.#lastOfFirstBoot(view, at)),
      };
    }
    if (stalePing === undefined || at < stalePing.from || at >= stalePing.to || view.lastPingAt === null) return view;
    const lastPingAt = stalePing.shows === 'lost' ? Math.min(view.lastPingAt, stalePing.from - 60_000) : at - 60_000;
    if (!this.#staleShown) {
      this.#staleShown = true;
      this.#watcher.struck(stalePing.shows === 'lost' ? 'agent seems lost' : 'agent seems online', this.instanceId);
    }
    return { ...view, lastPingAt };
  }

  #firstBootPing: number | null = null;
  #lastOfFirstBoot(view: AgentView, at: number): number {
    if (this.#firstBootPing === null) {
      this.#firstBootPing = Math.min(view.lastPingAt ?? at, at) - 600_000;
      this.#watcher.struck('agent never returns', this.instanceId);
    }
    return this.#firstBootPing;
  }

  runScript(at: number, given: string, givenEnvironment: Readonly<Record<string, string>>): ScriptResult {
    const { script, environment } = this.#tamper?.(given, givenEnvironment) ?? {
      script: given,
      environment: givenEnvironment,
    };
    const { badRunbook } = this.#quirks;
    const bad = badRunbook?.nth === ++this.#scripts ? badRunbook.how : null;
    if (bad === 'never-begins') {
      this.#watcher.struck('runbook never begins', this.instanceId);
      return { exitCode: -1, stdout: '', stderr: '', milliseconds: 0, hung: true };
    }
    const before = this.#look(at);
    const result = this.#inner.runScript(at, script, environment);
    // The machine may have lived on while the script ran: its own truth of that moment is looked at.
    const after = this.#look(at + result.milliseconds);
    this.last = { script: given, environment: givenEnvironment };
    this.#watcher.ran({
      at,
      instanceId: this.instanceId,
      script,
      environment: givenEnvironment,
      before,
      after,
      result,
    });
    if (bad === 'works-and-falls-silent') {
      this.#watcher.struck('runbook worked, its answer never came', this.instanceId);
      return { ...result, hung: true };
    }
    if (bad === 'too-slow') {
      this.#watcher.struck('runbook worked, and timed out', this.instanceId);
      return { ...result, milliseconds: TOO_SLOW_MS };
    }
    return result;
  }

  #look(at: number): Look {
    const truth = this.#inner.truth(at);
    const rules: Record<string, string> = {};
    for (const path of Object.keys(truth.files)) {
      if (/^\/etc\/audit\/.*\.rules$/.test(path)) rules[path] = this.#inner.runCommand(at, `cat ${path}`).stdout;
    }
    return { truth, rules, loaded: this.#inner.runCommand(at, 'auditctl -l').stdout };
  }
}
