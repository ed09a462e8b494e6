/** What happens on a Linux machine by itself: boots, bursts of audit events, hangs, pings of its agent, lines of its programs. */
import type { EventLog, Random } from '../core.ts';
import type { Boot } from './boot.ts';
import { bootConsole, LOGIN_AFTER_MS, shutdownText } from './boot-console.ts';
import { bootLimitOf, bootLoaderFiles } from './boot-loader.ts';
import { ConsoleRing, stamp } from './console-ring.ts';
import { type Distribution, distribution } from './distributions.ts';
import { type GuestFile, initialFiles, joinRules, loadRules } from './files.ts';
import { BUFFER_BYTES, KernelAudit, type KernelLine } from './kernel-audit.ts';
import type { Burst, GuestIdentity, GuestProfile } from './profile.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** How often the agent tells SSM that it lives (amazon-ssm-agent: HealthFrequencyMinutes). */
const PING_MS = 5 * MINUTE;
/** Lies above any process number that a Linux host gives out, so that no signal of a guest can hit a process of the host. */
const FIRST_PID = 4_200_000;

interface Due {
  readonly at: number;
  /** The boot it belongs to; 0: whatever boot. */
  readonly boot: number;
  readonly run: (at: number) => void;
}

/** The life of one Linux machine. Lazy: {@link Life.play} lets everything happen that was due. */
export class Life {
  readonly profile: GuestProfile;
  readonly identity: GuestIdentity;
  readonly distribution: Distribution;
  readonly random: Random;
  readonly #log: EventLog;
  readonly kernel: string;
  readonly ring = new ConsoleRing();
  readonly overflows: { at: number; limit: number }[] = [];
  disk: Map<string, GuestFile>;
  volatile = new Map<string, GuestFile>();
  #due: Due[] = [];
  boot: Boot | null = null;
  boots = 0;
  managed = false;
  lastPingAt: number | null = null;
  nextPid = FIRST_PID;
  /** A script runs until then. What it does is done at its beginning here, so others write files only after its end. */
  busyUntil = Number.NEGATIVE_INFINITY;

  constructor(profile: GuestProfile, random: Random, log: EventLog, identity: GuestIdentity) {
    this.profile = profile;
    this.identity = identity;
    this.distribution = distribution(profile.distribution);
    this.random = random;
    this.#log = log;
    this.kernel = profile.kernel ?? this.distribution.kernel;
    const bootLoader = bootLoaderFiles(this.distribution, profile.bootLimit ?? null);
    this.disk = initialFiles(this.distribution, profile, bootLoader);
    for (const burst of profile.bursts ?? []) {
      if ((burst.at === undefined) === (burst.afterBootSeconds === undefined)) {
        throw new RangeError('a burst needs either at or afterBootSeconds');
      }
      if (burst.at !== undefined) this.#schedule(burst.at, 0, (at) => this.#burst(burst, at));
    }
    const { auditdEndsAt, agent, rebootsAt } = profile;
    if (rebootsAt !== undefined) {
      this.#schedule(rebootsAt, 0, (at) => {
        if (this.alive(at)) this.reboot(at);
      });
    }
    if (auditdEndsAt !== undefined) this.#schedule(auditdEndsAt, 0, () => this.#endAuditd());
    if (agent?.diesAt !== undefined) this.#schedule(agent.diesAt, 0, (at) => this.#endAgent(at));
  }

  #schedule(at: number, boot: number, run: (at: number) => void): void {
    const index = this.#due.findIndex((due) => due.at > at);
    this.#due.splice(index === -1 ? this.#due.length : index, 0, { at, boot, run });
  }

  /** Lets everything happen that was due until then. */
  play(until: number): void {
    for (;;) {
      const next = this.#due[0];
      if (!next || next.at > until) break;
      this.#due.shift();
      if (next.boot === 0 || next.boot === this.boot?.number) next.run(next.at);
    }
    this.pingUntil(until);
  }

  /** Into the world's log. */
  record(what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    const { instanceId, accountId, region } = this.identity;
    this.#log.record({ kind: 'guest', what, instanceId, accountId, region, detail });
  }

  /** The agent pinged for as long as it could. */
  pingUntil(until: number): void {
    const boot = this.boot;
    if (!boot || this.profile.agent?.installed === false) return;
    const end = Math.min(until, boot.agentEndsAt, boot.hungSince ?? Number.POSITIVE_INFINITY);
    if (end < boot.agentAt) return;
    this.managed = true;
    this.lastPingAt = boot.agentAt + Math.floor((end - boot.agentAt) / PING_MS) * PING_MS;
  }

  /** On the serial console. */
  print(at: number, text: string): void {
    if (!this.profile.noSerialConsole) this.ring.write(at, text);
  }

  /** As printk begins a line so many milliseconds after the boot. */
  stamp(milliseconds: number): string {
    return this.profile.kernelTime === false ? '' : stamp(milliseconds);
  }

  #printKernel(at: number, lines: readonly KernelLine[]): void {
    const boot = this.boot;
    if (!boot) return;
    for (const line of lines) {
      if (this.profile.quietConsole && line.level === 'warn') continue;
      const when = at + line.afterMs;
      const text = `${this.stamp(when - boot.at)}${line.text}\r\n`;
      // A later round of a storm is only printed if the machine still has power then.
      if (line.afterMs < SECOND) this.print(when, text);
      else this.#schedule(when, boot.number, (then) => this.print(then, text));
    }
  }

  /** Power is on: the boot and everything that it brings. */
  start(at: number): void {
    const number = ++this.boots;
    const { auditd = 'running' } = this.profile;
    const bootLimit = bootLimitOf(this.disk);
    const audit = new KernelAudit(this.kernel, bootLimit, this.distribution.backlogWaitTime);
    const agentAt = at + (this.profile.agent?.startsAfterSeconds ?? this.random.between(24, 45)) * SECOND;
    this.boot = {
      number,
      at,
      loginAt: at + LOGIN_AFTER_MS,
      agentAt,
      audit,
      bootLimit,
      loaded: '',
      agentEndsAt: Number.POSITIVE_INFINITY,
      hungSince: null,
      hungImpairs: false,
      panicked: false,
    };
    this.volatile = new Map();
    this.nextPid = FIRST_PID;
    if (auditd === 'running') {
      audit.pid = this.nextPid;
      this.nextPid += 13;
    }
    if (auditd !== 'absent') this.#loadRules();
    const lines = bootConsole({
      distribution: this.distribution,
      kernel: this.kernel,
      hostname: this.identity.hostname,
      memoryKiB: this.profile.memoryKiB,
      bootLimit,
      quiet: this.profile.quietConsole ?? false,
      auditd,
      epochMs: at + (this.profile.clockSkewMs ?? 0),
      stamp: (milliseconds) => this.stamp(milliseconds),
    });
    for (const line of lines) this.#schedule(at + line.afterMs, number, (when) => this.print(when, line.text));
    for (const burst of this.profile.bursts ?? []) {
      if (burst.afterBootSeconds === undefined || number < (burst.fromBoot ?? 1)) continue;
      const due = at + burst.afterBootSeconds * SECOND + this.random.between(0, 900);
      this.#schedule(due, number, (when) => this.#burst(burst, when));
    }
    const manager = this.profile.configurationManager;
    if (manager) this.#schedule(at + manager.everyMinutes * MINUTE, number, (when) => this.#revert(when, number));
    const { userData } = this.profile;
    if (userData)
      this.#schedule(at + userData.afterBootSeconds * SECOND, number, (when) => this.#provision(when, number));
    const chatter = this.profile.chatterMinutes;
    if (chatter !== undefined)
      this.#schedule(agentAt + chatter * MINUTE, number, (when) => this.#chat(when, number, 1));
    this.record('boot', { number, limit: audit.limit });
  }

  /** `augenrules --load` (`auditctl -R` where there is none): the rules joined, then loaded into a kernel that is not locked. */
  #loadRules(): void {
    const boot = this.boot;
    if (this.distribution.augenrules) joinRules(this.disk);
    if (!boot || boot.audit.enabled === 2) return;
    const rules = loadRules(this.disk, this.distribution.augenrules);
    boot.audit.limit = rules.limit ?? boot.audit.limit;
    boot.audit.failure = rules.failure ?? boot.audit.failure;
    boot.audit.enabled = rules.enabled ?? boot.audit.enabled;
    boot.loaded = rules.rules.map((rule) => `${rule}\n`).join('');
  }

  #provision(at: number, number: number): void {
    if (at <= this.busyUntil) this.#schedule(this.busyUntil + SECOND, number, (when) => this.#provision(when, number));
    else if (this.profile.userData) this.#putBack(this.profile.userData, 'provisioned');
  }

  #revert(at: number, number: number): void {
    const manager = this.profile.configurationManager;
    if (!manager || this.boot?.hungSince !== null) return;
    if (at <= this.busyUntil) {
      this.#schedule(this.busyUntil + SECOND, number, (when) => this.#revert(when, number));
      return;
    }
    this.#putBack(manager, 'reverted');
    this.#schedule(at + manager.everyMinutes * MINUTE, number, (when) => this.#revert(when, number));
  }

  /** A file as somebody knows it, and the rules loaded; recorded where that changed something. */
  #putBack({ path, content }: { readonly path: string; readonly content: string }, what: string): void {
    if (this.boot?.hungSince !== null) return;
    const current = this.disk.get(path);
    if (current?.content === content) return;
    this.disk.set(path, { content, mode: current?.mode ?? 0o640 });
    this.#loadRules();
    this.record(what, { path });
  }

  #chat(at: number, number: number, count: number): void {
    if (this.boot?.hungSince !== null || this.boot.panicked) return;
    this.print(at, `orders[812]: heartbeat ${count}: ${17 + (count % 5)} requests, no errors\r\n`);
    const again = (this.profile.chatterMinutes ?? 1) * MINUTE;
    this.#schedule(at + again, number, (when) => this.#chat(when, number, count + 1));
  }

  #endAuditd(): void {
    if (this.boot) this.boot.audit.pid = 0;
  }

  #endAgent(at: number): void {
    const boot = this.boot;
    if (!boot) return;
    this.pingUntil(at);
    boot.agentEndsAt = Math.min(boot.agentEndsAt, at);
  }

  #burst(burst: Burst, at: number): void {
    const boot = this.boot;
    if (!boot || boot.hungSince !== null || boot.panicked) return;
    const gaps = Array.from({ length: (burst.rounds ?? 2) - 1 }, () => this.random.between(7000, 14_000));
    const limit = boot.audit.limit;
    const result = boot.audit.burst(
      burst.needs,
      this.profile.drains ?? true,
      gaps,
      at + (this.profile.clockSkewMs ?? 0),
    );
    this.#printKernel(at, result.lines);
    if (result.overflowed) {
      this.overflows.push({ at, limit });
      this.record('overflow', { limit, needs: burst.needs, hangs: burst.hangs ?? false, panic: result.panic });
    } else if (Math.min(burst.needs, limit || burst.needs) * BUFFER_BYTES > this.availableKiB() * 1024) {
      this.#printKernel(at, [
        { afterMs: 0, level: 'err', text: 'Out of memory: Killed process 1403 (java) total-vm:2048000kB' },
      ]);
      this.record('out-of-memory', { limit, needs: burst.needs });
      this.#hang(at, burst);
    }
    if (result.panic) {
      this.pingUntil(at);
      boot.panicked = true;
      boot.hungImpairs = true;
      boot.hungSince = at;
    } else if (result.overflowed && burst.hangs) this.#hang(at, burst);
  }

  #hang(at: number, burst: Burst): void {
    const boot = this.boot;
    if (!boot) return;
    this.pingUntil(at);
    boot.hungSince = at;
    boot.hungImpairs = burst.impairs ?? false;
    this.record('hang', { recoversAfterMs: burst.recoversAfterMs ?? null });
    const blocked: KernelLine[] = [
      { afterMs: 0, level: 'err', text: 'INFO: task sshd:912 blocked for more than 122 seconds.' },
      { afterMs: 0.1, level: 'err', text: `      Not tainted ${this.kernel} #1` },
      { afterMs: 0.2, level: 'err', text: '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.' },
    ];
    this.#schedule(at + 134 * SECOND, boot.number, (when) => {
      if (boot.hungSince === at) this.#printKernel(when, blocked);
    });
    if (burst.recoversAfterMs === undefined) return;
    this.#schedule(at + burst.recoversAfterMs, boot.number, (when) => {
      if (boot.hungSince !== at) return;
      boot.hungSince = null;
      this.record('recovered', { after: when - at });
      const chatter = this.profile.chatterMinutes;
      if (chatter !== undefined)
        this.#schedule(when + chatter * MINUTE, boot.number, (t) => this.#chat(t, boot.number, 1));
    });
  }

  /** MemAvailable. Unit: KiB. */
  availableKiB(): number {
    return this.profile.availableKiB ?? Math.floor(this.profile.memoryKiB * 0.7);
  }

  /** User space stands and answers the power button. */
  alive(at: number): boolean {
    const boot = this.boot;
    return boot !== null && boot.hungSince === null && !boot.panicked && at >= boot.loginAt;
  }

  /** A reboot, however it came about: the console stays, the memory goes. */
  reboot(at: number): void {
    this.pingUntil(at);
    if (this.boot && this.alive(at))
      this.print(at, shutdownText(this.distribution, this.stamp(at - this.boot.at), 'reboot'));
    this.boot = null;
    this.start(at);
  }
}
