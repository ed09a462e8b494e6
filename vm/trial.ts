/** One scenario on one fresh machine: its steps, each timed, and the means to look at the machine from outside the product. */
import assert from 'node:assert/strict';
import type { Ran } from './agent.ts';
import { parseTree, type Tree } from './audit-tree.ts';
import type { Image } from './images.ts';
import { type Kind, Machine, type MachineOptions } from './machine.ts';
import { type AgentVersion, type Parameters, type RunbookRun, sendRunbook } from './runbook.ts';

export interface Step {
  readonly name: string;
  readonly milliseconds: number;
  readonly note?: string;
}

/** What `auditctl -s` says: the kernel's own numbers. */
export interface KernelStatus {
  readonly enabled: number;
  readonly failure: number;
  readonly pid: number;
  readonly limit: number;
  readonly lost: number;
  readonly backlog: number;
}

/** A look at the machine from outside the product. */
export interface Look {
  /** what `auditctl -s` printed */
  readonly status: string;
  readonly tree: Tree;
}

const SEPARATOR = '--- files';

/** Shell functions that scenarios use in the guest. */
export const PRELUDE = `#!/bin/bash
R=/etc/audit/rules.d/audit.rules
# Debian's rules with another limit; loaded, so that kernel and file agree.
limit() { sed -i "s/^-b .*/-b $1/" $R; load; }
# The way of the distribution; what it answers proves nothing.
load() { augenrules --load >/dev/null 2>&1; auditctl -R /etc/audit/audit.rules >/dev/null 2>&1; true; }
# The kernel's limit alone.
running() { auditctl -b "$1" >/dev/null; }
auditd_do() { if command -v systemctl >/dev/null; then systemctl "$1" auditd; else service auditd "$1"; fi >/dev/null 2>&1; }
# Records that nobody reads: auditd sleeps while a process makes $1 of them.
burst() {
  auditctl --backlog_wait_time 0 >/dev/null
  auditctl -a always,exit -F arch=b64 -S getppid -F exe=/usr/bin/perl >/dev/null 2>&1
  p=$(pidof auditd); [ -z "$p" ] || kill -STOP $p
  perl -e "getppid() for 1..$1"
  [ -z "$p" ] || kill -CONT $p
}
`;

/** Shell text that ends when auditd runs and has loaded its rules after a boot, and prints the kernel's status then. */
export const SETTLED = `#!/bin/bash
for _ in {1..60}; do
  status=$(auditctl -s)
  case $status in *'pid 0'*) ;; *) [ -z "$(pidof augenrules auditctl)" ] && echo "$status" && exit 0 ;; esac
  sleep 1
done
exit 1
`;

export class Trial {
  readonly image: Image;
  readonly steps: Step[] = [];
  #machine: Machine | undefined;

  constructor(image: Image) {
    this.image = image;
  }

  get kind(): Kind {
    return this.image.kind;
  }

  get machine(): Machine {
    assert.ok(this.#machine, 'no machine was started');
    return this.#machine;
  }

  /** Does something and keeps how long it took; `note` says what came out. */
  async step<T>(name: string, act: () => Promise<T>, note?: (result: T) => string): Promise<T> {
    const started = Date.now();
    try {
      const result = await act();
      const said = note?.(result);
      this.steps.push({ name, milliseconds: Date.now() - started, ...(said === undefined ? {} : { note: said }) });
      return result;
    } catch (error) {
      this.steps.push({ name, milliseconds: Date.now() - started, note: 'failed' });
      throw error;
    }
  }

  /** A machine as it was saved with auditd at work; with `options` another way. Ends the one before. */
  async start(options: MachineOptions = this.image.saved): Promise<void> {
    this.end();
    this.#machine = await this.step(options.memory === undefined ? 'boot' : 'resume', () => Machine.start(options));
  }

  end(): void {
    this.#machine?.kill();
    this.#machine = undefined;
  }

  /** Runs shell text in the guest with the functions above. Its exit code must be 0. */
  async shell(text: string, seconds = 90): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(text, seconds);
    assert.equal(code, 0, `in the guest: ${text.slice(0, 200)}\nended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** The same, whatever its exit code. */
  attempt(text: string, seconds = 90): Promise<Ran> {
    return this.machine.run(PRELUDE + text, {}, seconds);
  }

  runbook(parameters: Parameters, version?: AgentVersion, environment?: Record<string, string>): Promise<RunbookRun> {
    return sendRunbook(this.machine, parameters, version, environment);
  }

  async status(): Promise<KernelStatus> {
    return parseStatus(await this.shell('auditctl -s'));
  }

  /** Runs shell text that must end with 0, then looks at the kernel and at everything below /etc/audit and further folders. */
  async look(text = '', folders: readonly string[] = []): Promise<Look> {
    const stdout = await this.shell(
      `( ${text || ':'} ) >/dev/null || exit\nauditctl -s\necho ${SEPARATOR}\naudit-tree /etc/audit ${folders.join(' ')}`,
    );
    const [status = '', tree = ''] = stdout.split(`${SEPARATOR}\n`);
    return { status, tree: parseTree(tree) };
  }

  /** Makes `events` records at once with nobody to read them, and says how many of them the kernel lost. */
  async burst(events: number): Promise<number> {
    const before = await this.status();
    await this.shell(`burst ${events}; sleep 1`);
    return (await this.status()).lost - before.lost;
  }
}

/** @throws AssertionError when a number is missing: then the kernel does not audit, or auditctl is not there. */
export function parseStatus(text: string): KernelStatus {
  const number = (name: string): number => {
    const found = new RegExp(`^${name} (-?[0-9]+)$`, 'm').exec(text)?.[1];
    assert.ok(found !== undefined, `auditctl -s names no ${name}: ${text}`);
    return Number(found);
  };
  return {
    enabled: number('enabled'),
    failure: number('failure'),
    pid: number('pid'),
    limit: number('backlog_limit'),
    lost: number('lost'),
    backlog: number('backlog'),
  };
}
