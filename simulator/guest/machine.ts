/** A Linux machine: its power, and what EC2 and SSM see of it. */
import type { AgentView, EventLog, Machine, MachineTruth, Random, ScriptResult } from '../core.ts';
import type { Boot } from './boot.ts';
import { shutdownText } from './boot-console.ts';
import { isVolatile, loadRules } from './files.ts';
import { type HostView, hostState, procFiles } from './host-view.ts';
import { Life } from './life.ts';
import { ownCommand } from './own-commands.ts';
import type { GuestIdentity, GuestProfile } from './profile.ts';
import { digests, type GuestState, runOnHost } from './run-on-host.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** Status checks say `initializing` so long after a boot. */
const INITIALIZING_MS = 150 * SECOND;
/** The instance check notices a dead network card after about so long. */
const CHECK_NOTICES_MS = 2 * MINUTE;
const DEFAULT_AGENT_VERSION = '3.3.3050.0';

/** A Linux guest; see {@link Machine} for what each call promises. */
class LinuxMachine implements Machine {
  readonly #life: Life;

  constructor(life: Life) {
    this.#life = life;
  }

  // --- Power ----------------------------------------------------------------------------------------------------------

  powerOn(at: number): void {
    this.#life.play(at);
    if (this.#life.boot) throw new RangeError(`${this.#life.identity.instanceId} has power already`);
    this.#life.start(at);
  }

  powerOff(at: number): void {
    this.#life.play(at);
    if (this.#life.boot && this.#life.alive(at))
      this.#life.print(
        at,
        shutdownText(this.#life.distribution, this.#life.stamp(at - this.#life.boot.at), 'power-off'),
      );
    this.#life.boot = null;
  }

  reset(at: number): void {
    this.#life.play(at);
    this.#life.reboot(at);
    this.#life.play(at);
  }

  shutsDownCleanly(at: number): boolean {
    this.#life.play(at);
    return this.#life.alive(at);
  }

  // --- What EC2 and SSM see -------------------------------------------------------------------------------------------

  console(at: number, from = 0): Uint8Array {
    this.#life.play(at);
    return this.#life.ring.read(from, at);
  }

  consoleUpdatedAt(at: number): number | null {
    this.#life.play(at);
    return this.#life.ring.updatedAt(at);
  }

  instanceCheck(at: number): 'ok' | 'impaired' | 'initializing' {
    this.#life.play(at);
    const boot = this.#life.boot;
    if (!boot || at - boot.at < INITIALIZING_MS) return 'initializing';
    return boot.hungImpairs && boot.hungSince !== null && at - boot.hungSince >= CHECK_NOTICES_MS ? 'impaired' : 'ok';
  }

  agent(at: number): AgentView | null {
    this.#life.play(at);
    const { agent } = this.#life.profile;
    if (agent?.installed === false) return null;
    const boot = this.#life.boot;
    const answering = boot !== null && boot.hungSince === null && at >= boot.agentAt && at < boot.agentEndsAt;
    return {
      managed: this.#life.managed,
      lastPingAt: this.#life.lastPingAt,
      answering,
      version: agent?.version ?? DEFAULT_AGENT_VERSION,
      platformName: this.#life.distribution.platformName,
      platformVersion: this.#life.distribution.platformVersion,
      platformType: 'Linux',
      computerName: this.#life.identity.hostname,
    };
  }

  runScript(at: number, script: string, environment: Readonly<Record<string, string>>): ScriptResult {
    this.#life.play(at);
    const boot = this.#life.boot;
    if (!boot || boot.hungSince !== null) return HUNG;
    const milliseconds = this.#life.random.between(1200, 4000);
    const { audit } = boot;
    const view: HostView = {
      profile: this.#life.profile,
      distribution: this.#life.distribution,
      kernel: this.#life.kernel,
      audit,
      bootLimit: boot.bootLimit,
      availableKiB: this.#life.availableKiB(),
      hostname: this.#life.identity.hostname,
      nextPid: this.#life.nextPid,
      at: at + (this.#life.profile.clockSkewMs ?? 0),
    };
    const result = runOnHost({
      init: this.#life.distribution.init,
      tree: new Map([...this.#life.disk, ...this.#life.volatile]),
      proc: procFiles(view),
      state: hostState(view),
      loaded: boot.loaded,
      script,
      environment,
    });
    this.#life.disk = new Map([...result.tree].filter(([path]) => !isVolatile(path)));
    this.#life.volatile = new Map([...result.tree].filter(([path]) => isVolatile(path)));
    this.#takeState(boot, result.state, result.loaded);
    const whole = milliseconds + Number(result.state.elapsed);
    this.#life.record('script', { exitCode: result.exitCode, limit: audit.limit, milliseconds: whole });
    if (result.state.halted === '1') {
      this.#life.record('halted', { by: 'auditd: disk full' });
      this.#life.pingUntil(at);
      boot.hungSince = at;
      boot.hungImpairs = true;
      return HUNG;
    }
    this.#life.busyUntil = at + whole;
    this.#life.play(at + whole);
    const hung = this.#life.boot !== boot || boot.hungSince !== null;
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr, milliseconds: whole, hung };
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
    this.#life.nextPid = Number(state.next_pid);
    boot.loaded = loaded;
  }

  runCommand(at: number, line: string): ScriptResult {
    this.#life.play(at);
    const boot = this.#life.boot;
    if (!boot || boot.hungSince !== null) return HUNG;
    const answer = ownCommand(line, {
      distribution: this.#life.distribution,
      kernel: this.#life.kernel,
      audit: boot.audit,
      loaded: boot.loaded,
      auditd: this.#life.profile.auditd ?? 'running',
      files: this.#life.disk,
      memoryKiB: this.#life.profile.memoryKiB,
      availableKiB: this.#life.availableKiB(),
      uptimeMs: at - boot.at,
      clock: new Date(at + (this.#life.profile.clockSkewMs ?? 0)).toISOString().slice(11, 19),
    });
    return { ...answer, milliseconds: this.#life.random.between(80, 400), hung: false };
  }

  truth(at: number): MachineTruth {
    this.#life.play(at);
    const boot = this.#life.boot;
    return {
      poweredOn: boot !== null,
      hung: boot !== null && boot.hungSince !== null,
      effectiveLimit: boot?.audit.limit ?? null,
      configuredLimit: loadRules(this.#life.disk, this.#life.distribution.augenrules).limit,
      lost: boot?.audit.lost ?? 0,
      overflows: [...this.#life.overflows],
      auditdRunning: boot !== null && boot.audit.pid !== 0,
      files: digests(this.#life.disk),
      boots: this.#life.boots,
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
  return new LinuxMachine(new Life(profile, random, log, identity));
}
