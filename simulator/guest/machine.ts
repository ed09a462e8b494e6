/** A Linux machine: boots, bursts of audit events, hangs, an SSM agent, a console and its files. */
import type { AgentView, EventLog, Machine, MachineTruth, Random, ScriptResult } from '../core.ts';
import { bootConsole, LOGIN_AFTER_MS, shutdownText } from './boot-console.ts';
import { ConsoleRing, stamp } from './console-ring.ts';
import { type Distribution, distribution, kernelAtLeast } from './distributions.ts';
import { type GuestFile, initialFiles, isVolatile, loadRules } from './files.ts';
import { BUFFER_BYTES, KernelAudit, type KernelLine } from './kernel-audit.ts';
import { ownCommand } from './own-commands.ts';
import type { Burst, GuestIdentity, GuestProfile } from './profile.ts';
import { digests, type GuestState, runOnHost } from './run-on-host.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** How often the agent tells SSM that it lives (amazon-ssm-agent: HealthFrequencyMinutes). */
const PING_MS = 5 * MINUTE;
/** Status checks say `initializing` so long after a boot. */
const INITIALIZING_MS = 150 * SECOND;
/** The instance check notices a dead network card after about so long. */
const CHECK_NOTICES_MS = 2 * MINUTE;
/** Lies above any process number that a Linux host gives out, so that no signal of a guest can hit a process of the host. */
const FIRST_PID = 4_200_000;
const DEFAULT_AGENT_VERSION = '3.3.3050.0';

interface Due {
  readonly at: number;
  /** The boot it belongs to; 0: whatever boot. */
  readonly boot: number;
  readonly run: (at: number) => void;
}

/** The processes of one boot: gone with it. */
interface Boot {
  readonly number: number;
  readonly at: number;
  /** When user space stands. */
  readonly loginAt: number;
  readonly agentAt: number;
  readonly audit: KernelAudit;
  loaded: string;
  agentEndsAt: number;
  hungSince: number | null;
  hungImpairs: boolean;
  panicked: boolean;
}

/** A Linux guest; see {@link Machine} for what each call promises. */
class LinuxMachine implements Machine {
  readonly #profile: GuestProfile;
  readonly #identity: GuestIdentity;
  readonly #distribution: Distribution;
  readonly #random: Random;
  readonly #log: EventLog;
  readonly #kernel: string;
  readonly #ring = new ConsoleRing();
  readonly #overflows: { at: number; limit: number }[] = [];
  #disk: Map<string, GuestFile>;
  #volatile = new Map<string, GuestFile>();
  #due: Due[] = [];
  #boot: Boot | null = null;
  #boots = 0;
  #managed = false;
  #lastPingAt: number | null = null;
  #nextPid = FIRST_PID;

  constructor(profile: GuestProfile, random: Random, log: EventLog, identity: GuestIdentity) {
    this.#profile = profile;
    this.#identity = identity;
    this.#distribution = distribution(profile.distribution);
    this.#random = random;
    this.#log = log;
    this.#kernel = profile.kernel ?? this.#distribution.kernel;
    this.#disk = initialFiles(this.#distribution, profile);
    for (const burst of profile.bursts ?? []) {
      if ((burst.at === undefined) === (burst.afterBootSeconds === undefined)) {
        throw new RangeError('a burst needs either at or afterBootSeconds');
      }
      if (burst.at !== undefined) this.#schedule(burst.at, 0, (at) => this.#burst(burst, at));
    }
    const { auditdEndsAt, agent, rebootsAt } = profile;
    if (rebootsAt !== undefined) {
      this.#schedule(rebootsAt, 0, (at) => {
        if (this.#alive(at)) this.#reboot(at);
      });
    }
    if (auditdEndsAt !== undefined) this.#schedule(auditdEndsAt, 0, () => this.#endAuditd());
    if (agent?.diesAt !== undefined) this.#schedule(agent.diesAt, 0, (at) => this.#endAgent(at));
  }

  // --- What happens by itself ---------------------------------------------------------------------------------------

  #schedule(at: number, boot: number, run: (at: number) => void): void {
    const index = this.#due.findIndex((due) => due.at > at);
    this.#due.splice(index === -1 ? this.#due.length : index, 0, { at, boot, run });
  }

  #play(until: number): void {
    for (;;) {
      const next = this.#due[0];
      if (!next || next.at > until) break;
      this.#due.shift();
      if (next.boot === 0 || next.boot === this.#boot?.number) next.run(next.at);
    }
    this.#pingUntil(until);
  }

  #record(what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    const { instanceId, accountId, region } = this.#identity;
    this.#log.record({ kind: 'guest', what, instanceId, accountId, region, detail });
  }

  #pingUntil(until: number): void {
    const boot = this.#boot;
    if (!boot || this.#profile.agent?.installed === false) return;
    const end = Math.min(until, boot.agentEndsAt, boot.hungSince ?? Number.POSITIVE_INFINITY);
    if (end < boot.agentAt) return;
    this.#managed = true;
    this.#lastPingAt = boot.agentAt + Math.floor((end - boot.agentAt) / PING_MS) * PING_MS;
  }

  #print(at: number, text: string): void {
    if (!this.#profile.noSerialConsole) this.#ring.write(at, text);
  }

  #printKernel(at: number, lines: readonly KernelLine[]): void {
    const boot = this.#boot;
    if (!boot) return;
    for (const line of lines) {
      if (this.#profile.quietConsole && line.level === 'warn') continue;
      const when = at + line.afterMs;
      const text = `${stamp(when - boot.at)}${line.text}\r\n`;
      // A later round of a storm is only printed if the machine still has power then.
      if (line.afterMs < SECOND) this.#print(when, text);
      else this.#schedule(when, boot.number, (then) => this.#print(then, text));
    }
  }

  #start(at: number): void {
    const number = ++this.#boots;
    const { bootLimit = null, auditd = 'running' } = this.#profile;
    const audit = new KernelAudit(this.#kernel, bootLimit, this.#distribution.backlogWaitTime);
    const agentAt = at + (this.#profile.agent?.startsAfterSeconds ?? this.#random.between(24, 45)) * SECOND;
    this.#boot = {
      number,
      at,
      loginAt: at + LOGIN_AFTER_MS,
      agentAt,
      audit,
      loaded: '',
      agentEndsAt: Number.POSITIVE_INFINITY,
      hungSince: null,
      hungImpairs: false,
      panicked: false,
    };
    this.#volatile = new Map();
    this.#nextPid = FIRST_PID;
    if (auditd === 'running') {
      audit.pid = this.#nextPid;
      this.#nextPid += 13;
    }
    if (auditd !== 'absent') this.#loadRules();
    const lines = bootConsole({
      distribution: this.#distribution,
      kernel: this.#kernel,
      hostname: this.#identity.hostname,
      memoryKiB: this.#profile.memoryKiB,
      bootLimit,
      quiet: this.#profile.quietConsole ?? false,
      auditd,
      epochMs: at,
    });
    for (const line of lines) this.#schedule(at + line.afterMs, number, (when) => this.#print(when, line.text));
    for (const burst of this.#profile.bursts ?? []) {
      if (burst.afterBootSeconds === undefined || number < (burst.fromBoot ?? 1)) continue;
      const due = at + burst.afterBootSeconds * SECOND + this.#random.between(0, 900);
      this.#schedule(due, number, (when) => this.#burst(burst, when));
    }
    const manager = this.#profile.configurationManager;
    if (manager) this.#schedule(at + manager.everyMinutes * MINUTE, number, (when) => this.#revert(when, number));
    const chatter = this.#profile.chatterMinutes;
    if (chatter !== undefined)
      this.#schedule(agentAt + chatter * MINUTE, number, (when) => this.#chat(when, number, 1));
    this.#record('boot', { number, limit: audit.limit });
  }

  /** What `auditctl -R` of the joined rules does to a kernel that is not locked. */
  #loadRules(): void {
    const boot = this.#boot;
    if (!boot || boot.audit.enabled === 2) return;
    const rules = loadRules(this.#disk, this.#distribution.augenrules);
    boot.audit.limit = rules.limit ?? boot.audit.limit;
    boot.audit.failure = rules.failure ?? boot.audit.failure;
    boot.audit.enabled = rules.enabled ?? boot.audit.enabled;
    boot.loaded = rules.rules.map((rule) => `${rule}\n`).join('');
  }

  #revert(at: number, number: number): void {
    const manager = this.#profile.configurationManager;
    if (!manager || this.#boot?.hungSince !== null) return;
    const current = this.#disk.get(manager.path);
    if (current?.content !== manager.content) {
      this.#disk.set(manager.path, { content: manager.content, mode: current?.mode ?? 0o640 });
      this.#loadRules();
      this.#record('reverted', { path: manager.path });
    }
    this.#schedule(at + manager.everyMinutes * MINUTE, number, (when) => this.#revert(when, number));
  }

  #chat(at: number, number: number, count: number): void {
    if (this.#boot?.hungSince !== null || this.#boot.panicked) return;
    this.#print(at, `orders[812]: heartbeat ${count}: ${17 + (count % 5)} requests, no errors\r\n`);
    const again = (this.#profile.chatterMinutes ?? 1) * MINUTE;
    this.#schedule(at + again, number, (when) => this.#chat(when, number, count + 1));
  }

  #endAuditd(): void {
    if (this.#boot) this.#boot.audit.pid = 0;
  }

  #endAgent(at: number): void {
    const boot = this.#boot;
    if (!boot) return;
    this.#pingUntil(at);
    boot.agentEndsAt = Math.min(boot.agentEndsAt, at);
  }

  #burst(burst: Burst, at: number): void {
    const boot = this.#boot;
    if (!boot || boot.hungSince !== null || boot.panicked) return;
    const gaps = Array.from({ length: (burst.rounds ?? 2) - 1 }, () => this.#random.between(7000, 14_000));
    const limit = boot.audit.limit;
    const result = boot.audit.burst(burst.needs, this.#profile.drains ?? true, gaps, at);
    this.#printKernel(at, result.lines);
    if (result.overflowed) {
      this.#overflows.push({ at, limit });
      this.#record('overflow', { limit, needs: burst.needs, hangs: burst.hangs ?? false, panic: result.panic });
    } else if (Math.min(burst.needs, limit || burst.needs) * BUFFER_BYTES > this.#availableKiB() * 1024) {
      this.#printKernel(at, [
        { afterMs: 0, level: 'err', text: 'Out of memory: Killed process 1403 (java) total-vm:2048000kB' },
      ]);
      this.#record('out-of-memory', { limit, needs: burst.needs });
      this.#hang(at, burst);
    }
    if (result.panic) {
      this.#pingUntil(at);
      boot.panicked = true;
      boot.hungImpairs = true;
      boot.hungSince = at;
    } else if (result.overflowed && burst.hangs) this.#hang(at, burst);
  }

  #hang(at: number, burst: Burst): void {
    const boot = this.#boot;
    if (!boot) return;
    this.#pingUntil(at);
    boot.hungSince = at;
    boot.hungImpairs = burst.impairs ?? false;
    this.#record('hang', { recoversAfterMs: burst.recoversAfterMs ?? null });
    const blocked: KernelLine[] = [
      { afterMs: 0, level: 'err', text: 'INFO: task sshd:912 blocked for more than 122 seconds.' },
      { afterMs: 0.1, level: 'err', text: `      Not tainted ${this.#kernel} #1` },
      { afterMs: 0.2, level: 'err', text: '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.' },
    ];
    this.#schedule(at + 134 * SECOND, boot.number, (when) => {
      if (boot.hungSince === at) this.#printKernel(when, blocked);
    });
    if (burst.recoversAfterMs === undefined) return;
    this.#schedule(at + burst.recoversAfterMs, boot.number, (when) => {
      if (boot.hungSince !== at) return;
      boot.hungSince = null;
      this.#record('recovered', { after: when - at });
      const chatter = this.#profile.chatterMinutes;
      if (chatter !== undefined)
        this.#schedule(when + chatter * MINUTE, boot.number, (t) => this.#chat(t, boot.number, 1));
    });
  }

  #availableKiB(): number {
    return this.#profile.availableKiB ?? Math.floor(this.#profile.memoryKiB * 0.7);
  }

  // --- Power ----------------------------------------------------------------------------------------------------------

  #alive(at: number): boolean {
    const boot = this.#boot;
    return boot !== null && boot.hungSince === null && !boot.panicked && at >= boot.loginAt;
  }

  powerOn(at: number): void {
    this.#play(at);
    if (this.#boot) throw new RangeError(`${this.#identity.instanceId} has power already`);
    this.#start(at);
  }

  powerOff(at: number): void {
    this.#play(at);
    if (this.#boot && this.#alive(at))
      this.#print(at, shutdownText(this.#distribution, at - this.#boot.at, 'power-off'));
    this.#boot = null;
  }

  reset(at: number): void {
    this.#play(at);
    this.#reboot(at);
    this.#play(at);
  }

  #reboot(at: number): void {
    this.#pingUntil(at);
    if (this.#boot && this.#alive(at)) this.#print(at, shutdownText(this.#distribution, at - this.#boot.at, 'reboot'));
    this.#boot = null;
    this.#start(at);
  }

  shutsDownCleanly(at: number): boolean {
    this.#play(at);
    return this.#alive(at);
  }

  // --- What EC2 and SSM see -------------------------------------------------------------------------------------------

  console(at: number, from = 0): Uint8Array {
    this.#play(at);
    return this.#ring.read(from, at);
  }

  consoleUpdatedAt(at: number): number | null {
    this.#play(at);
    return this.#ring.updatedAt(at);
  }

  instanceCheck(at: number): 'ok' | 'impaired' | 'initializing' {
    this.#play(at);
    const boot = this.#boot;
    if (!boot || at - boot.at < INITIALIZING_MS) return 'initializing';
    return boot.hungImpairs && boot.hungSince !== null && at - boot.hungSince >= CHECK_NOTICES_MS ? 'impaired' : 'ok';
  }

  agent(at: number): AgentView | null {
    this.#play(at);
    const { agent } = this.#profile;
    if (agent?.installed === false) return null;
    const boot = this.#boot;
    const answering = boot !== null && boot.hungSince === null && at >= boot.agentAt && at < boot.agentEndsAt;
    return {
      managed: this.#managed,
      lastPingAt: this.#lastPingAt,
      answering,
      version: agent?.version ?? DEFAULT_AGENT_VERSION,
      platformName: this.#distribution.platformName,
      platformVersion: this.#distribution.platformVersion,
      platformType: 'Linux',
      computerName: this.#identity.hostname,
    };
  }

  runScript(at: number, script: string, environment: Readonly<Record<string, string>>): ScriptResult {
    this.#play(at);
    const boot = this.#boot;
    if (!boot || boot.hungSince !== null) return HUNG;
    const milliseconds = this.#random.between(1200, 4000);
    const { audit } = boot;
    const result = runOnHost({
      init: this.#distribution.init,
      tree: new Map([...this.#disk, ...this.#volatile]),
      proc: this.#proc(boot),
      state: this.#state(boot, at),
      loaded: boot.loaded,
      script,
      environment,
    });
    this.#disk = new Map([...result.tree].filter(([path]) => !isVolatile(path)));
    this.#volatile = new Map([...result.tree].filter(([path]) => isVolatile(path)));
    this.#takeState(boot, result.state, result.loaded);
    const whole = milliseconds + Number(result.state.elapsed);
    this.#record('script', { exitCode: result.exitCode, limit: audit.limit, milliseconds: whole });
    if (result.state.halted === '1') {
      this.#record('halted', { by: 'auditd: disk full' });
      this.#pingUntil(at);
      boot.hungSince = at;
      boot.hungImpairs = true;
      return HUNG;
    }
    this.#play(at + whole);
    const hung = this.#boot !== boot || boot.hungSince !== null;
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr, milliseconds: whole, hung };
  }

  #proc(boot: Boot): Record<string, string> {
    const { memoryKiB, bootLimit } = this.#profile;
    const available = this.#availableKiB();
    const tellsAvailable = kernelAtLeast(this.#kernel, 3, 14) || this.#kernel.includes('.el7');
    const limit = bootLimit === undefined || bootLimit === null ? '' : ` audit_backlog_limit=${bootLimit}`;
    const proc: Record<string, string> = {
      '/proc/meminfo': `MemTotal:       ${memoryKiB} kB\nMemFree:        ${Math.floor(available / 2)} kB\n${
        tellsAvailable ? `MemAvailable:   ${available} kB\n` : ''
      }Buffers:        0 kB\nCached:         ${Math.floor(available / 2)} kB\nSwapTotal:      0 kB\n`,
      '/proc/cmdline': `BOOT_IMAGE=/boot/vmlinuz-${this.#kernel} root=/dev/nvme0n1p1 ro console=ttyS0,115200n8${limit}\n`,
      '/proc/sys/kernel/osrelease': `${this.#kernel}\n`,
      '/proc/1/comm': this.#distribution.init === 'systemd' ? 'systemd\n' : 'init\n',
    };
    const { pid } = boot.audit;
    if (pid !== 0) {
      proc[`/proc/${pid}/comm`] = 'auditd\n';
      proc[`/proc/${pid}/cmdline`] = '/sbin/auditd\0';
      proc[`/proc/${pid}/stat`] =
        `${pid} (auditd) S 1 ${pid} ${pid} 0 -1 1077936384 0 0 0 0 1 1 0 0 16 -4 2 0 900 0 0\n`;
      proc[`/proc/${pid}/status`] = `Name:\tauditd\nState:\tS (sleeping)\nPid:\t${pid}\n`;
      proc['/run/auditd.pid'] = `${pid}\n`;
    }
    return proc;
  }

  #state(boot: Boot, at: number): GuestState {
    const { audit } = boot;
    const facts = this.#distribution;
    const yes = (value: boolean) => (value ? 'yes' : 'no');
    return {
      enabled: `${audit.enabled}`,
      failure: `${audit.failure}`,
      pid: `${audit.pid}`,
      next_pid: `${this.#nextPid}`,
      backlog_limit: `${audit.limit}`,
      lost: `${audit.lost}`,
      backlog: `${audit.backlog}`,
      backlog_wait_time: audit.waitTime === null ? '-' : `${audit.waitTime}`,
      auditd: this.#profile.auditd === 'absent' ? 'absent' : 'installed',
      auditd_version: facts.auditdVersion,
      auditd_major: facts.auditdVersion.split('.')[0] ?? '0',
      status_format: facts.statusFormat,
      augenrules: yes(facts.augenrules),
      unit: this.#profile.auditd === 'stopped' ? 'disabled' : 'enabled',
      refuse_manual_stop: yes(facts.refuseManualStop),
      legacy_actions: yes(facts.legacyActions),
      log_free: `${this.#profile.logDirFreePercent ?? 62}`,
      kernel: this.#kernel,
      machine: 'x86_64',
      hostname: this.#identity.hostname,
      now: `${Math.floor(at / 1000)}`,
      now_text: new Date(at).toISOString(),
      elapsed: '0',
      halted: '0',
      suspended: '0',
      saw_identity: '0',
    };
  }

  #takeState(boot: Boot, state: GuestState, loaded: string): void {
    const { audit } = boot;
    const small = (name: string): 0 | 1 | 2 => (state[name] === '2' ? 2 : state[name] === '1' ? 1 : 0);
    audit.enabled = small('enabled');
    audit.failure = small('failure');
    audit.pid = Number(state.pid);
    audit.limit = Number(state.backlog_limit);
    audit.lost = Number(state.lost);
    if (audit.waitTime !== null) audit.waitTime = Number(state.backlog_wait_time);
    this.#nextPid = Number(state.next_pid);
    boot.loaded = loaded;
  }

  runCommand(at: number, line: string): ScriptResult {
    this.#play(at);
    const boot = this.#boot;
    if (!boot || boot.hungSince !== null) return HUNG;
    const answer = ownCommand(line, {
      distribution: this.#distribution,
      kernel: this.#kernel,
      audit: boot.audit,
      loaded: boot.loaded,
      auditd: this.#profile.auditd ?? 'running',
      files: this.#disk,
      memoryKiB: this.#profile.memoryKiB,
      availableKiB: this.#availableKiB(),
      uptimeMs: at - boot.at,
      clock: new Date(at).toISOString().slice(11, 19),
    });
    return { ...answer, milliseconds: this.#random.between(80, 400), hung: false };
  }

  truth(at: number): MachineTruth {
    this.#play(at);
    const boot = this.#boot;
    return {
      poweredOn: boot !== null,
      hung: boot !== null && boot.hungSince !== null,
      effectiveLimit: boot?.audit.limit ?? null,
      configuredLimit: loadRules(this.#disk, this.#distribution.augenrules).limit,
      lost: boot?.audit.lost ?? 0,
      overflows: [...this.#overflows],
      auditdRunning: boot !== null && boot.audit.pid !== 0,
      files: digests(this.#disk),
      boots: this.#boots,
    };
  }
}

const HUNG: ScriptResult = { exitCode: -1, stdout: '', stderr: '', milliseconds: 0, hung: true };

/** A Linux machine without power; {@link Machine.powerOn} boots it. The random stream must be its own. */
export function createLinuxMachine(
  profile: GuestProfile,
  random: Random,
  log: EventLog,
  identity: GuestIdentity,
): Machine {
  return new LinuxMachine(profile, random, log, identity);
}
