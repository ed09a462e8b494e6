/**
 * One virtual machine in software emulation, without a network: its serial port is the console, its agent listens on a
 * virtio-serial port. It boots cold, or resumes where an earlier one was saved.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Ran } from './agent.ts';
import { Qmp } from './qmp.ts';
import { dial } from './socket.ts';

/** Which init starts auditd. */
export type Kind = 'systemd' | 'sysvinit';
export const KINDS: readonly Kind[] = ['systemd', 'sysvinit'];

export interface MachineOptions {
  /** folder of kernel and initrd */
  readonly images: string;
  /** raw image of the root disk */
  readonly disk: string;
  /** writes go to the image itself, not to a copy that is thrown away */
  readonly keepDisk?: boolean;
  /** further words of the kernel command line */
  readonly append?: string;
  /** saved memory to resume from, as {@link Machine.save} wrote it */
  readonly memory?: string;
  /** what the console said before the machine was saved */
  readonly consoleBefore?: Buffer;
}

const BOOT_SECONDS = 180;
const MEMORY_MIB = 1024;

const live = new Set<Machine>();
process.on('exit', () => {
  for (const machine of live) machine.kill();
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

export class Machine {
  /** How long it took until the agent answered. Unit: milliseconds. */
  bootMilliseconds = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), 'audit-backlog-vm-'));
  readonly #options: MachineOptions;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #alive = true;
  #complaint = '';
  #qmp: Qmp | undefined;
  #agent: Agent | undefined;

  private constructor(options: MachineOptions) {
    this.#options = options;
    // Whatever ends this process, however, ends the machine too.
    this.#process = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...qemuArguments(options, this.#folder)],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    this.#process.stderr?.on('data', (text) => {
      this.#complaint += String(text);
    });
    this.#exited = new Promise((resolve) => {
      const ended = (): void => {
        this.#alive = false;
        resolve();
      };
      this.#process.once('exit', ended);
      this.#process.once('error', (error) => {
        this.#complaint += error.message;
        ended();
      });
    });
    live.add(this);
  }

  /** @throws Error when it does not come up; the end of its console is in the message. */
  static async start(options: MachineOptions): Promise<Machine> {
    const started = Date.now();
    const machine = new Machine(options);
    try {
      await machine.#connect();
    } catch (error) {
      const tail = machine.console().subarray(-2000).toString('latin1');
      machine.kill();
      throw new Error(`the machine did not come up: ${(error as Error).message} ${machine.#complaint}\n${tail}`);
    }
    machine.bootMilliseconds = Date.now() - started;
    return machine;
  }

  /** Runs a script as root, at most `seconds` long. */
  async run(script: string, environment: Readonly<Record<string, string>> = {}, seconds = 60): Promise<Ran> {
    if (!this.#agent) throw new Error('the machine has no agent yet: start it with Machine.start');
    return this.#agent.run(script, environment, seconds);
  }

  /** All that its serial console ever printed: what EC2 would hand out as console output. */
  console(): Buffer {
    const before = this.#options.consoleBefore ?? Buffer.alloc(0);
    try {
      return Buffer.concat([before, readFileSync(join(this.#folder, 'console'))]);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return before; // QEMU has not opened it yet
      throw error;
    }
  }

  /** Stops it and writes its memory to a file; the disk must be one that is kept. It does not run after this. */
  async save(memory: string): Promise<void> {
    const qmp = this.#qmp;
    if (!qmp) throw new Error('the machine does not run: start it with Machine.start');
    await qmp.call('stop');
    await qmp.call('migrate', { uri: `exec:zstd -q -1 -f -o ${memory}` });
    for (;;) {
      const { status } = (await qmp.call('query-migrate')) as { status?: string };
      if (status === 'completed') break;
      if (status === 'failed') throw new Error(`QEMU could not save the machine to ${memory}: ${this.#complaint}`);
      await sleep(50);
    }
    await qmp.call('quit');
    await this.#exited;
    this.kill();
  }

  /** Power off, at once. */
  kill(): void {
    live.delete(this);
    if (this.#alive) this.#process.kill('SIGKILL');
    this.#alive = false;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 2 });
  }

  async #connect(): Promise<void> {
    const alive = (): boolean => this.#alive;
    this.#qmp = await Qmp.open(await dial(join(this.#folder, 'qmp'), alive));
    this.#agent = new Agent(await dial(join(this.#folder, 'agent'), alive));
    const up = this.#options.memory === undefined ? this.#agent.ready : this.#resume(this.#qmp, this.#agent);
    const late = new AbortController();
    await Promise.race([
      up,
      this.#exited.then(() => Promise.reject(new Error('QEMU ended'))),
      sleep(BOOT_SECONDS * 1000, undefined, { signal: late.signal }).then(
        () => Promise.reject(new Error(`no answer of its agent within ${BOOT_SECONDS} s`)),
        () => undefined,
      ),
    ]).finally(() => late.abort());
  }

  async #resume(qmp: Qmp, agent: Agent): Promise<void> {
    for (;;) {
      const { status } = (await qmp.call('query-status')) as { status?: string };
      if (status === 'running') break;
      if (status === 'paused' || status === 'postmigrate') await qmp.call('cont');
      else await sleep(25);
    }
    const { code, stderr } = await agent.run(`#!/bin/sh\nexec date -s @${Math.floor(Date.now() / 1000)}\n`, {}, 60);
    if (code !== 0) throw new Error(`its agent does not answer after the resume: ${code} ${stderr}`);
  }
}

function qemuArguments(options: MachineOptions, folder: string): string[] {
  const { images, disk, keepDisk = false, append = '', memory } = options;
  return [
    ...['-machine', 'pc', '-accel', 'tcg,thread=multi,tb-size=128', '-cpu', 'qemu64', '-smp', '1'],
    ...['-m', String(MEMORY_MIB), '-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-kernel', join(images, 'vmlinuz'), '-initrd', join(images, 'initrd.img')],
    ...['-append', `root=/dev/vda rw console=ttyS0,115200 panic=-1 mitigations=off ${append}`.trim()],
    ...['-drive', `file=${disk},if=none,id=root,format=raw,cache=unsafe,snapshot=${keepDisk ? 'off' : 'on'}`],
    ...['-device', 'virtio-blk-pci,drive=root', '-serial', `file:${join(folder, 'console')}`],
    ...['-chardev', `socket,path=${join(folder, 'agent')},server=on,wait=off,id=agent`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=agent,name=stand-in-agent'],
    ...['-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`],
    ...(memory === undefined ? [] : ['-incoming', `exec:zstd -dcq ${memory}`]),
  ];
}
