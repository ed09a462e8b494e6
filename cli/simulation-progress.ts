/** What a watcher sees while a simulated run goes on: counted from the world's own events. */
import type { WorldEvent } from '../simulator/core.ts';
import type { Progress } from './progress.ts';
import { style } from './style.ts';

const BAR_WIDTH = 24;

/** Counts events and draws them. */
export class SimulationProgress {
  readonly #progress: Progress;
  readonly #instances: number;
  #main = false;
  #at = 0;
  #consoles = 0;
  #runbooks = 0;
  readonly #power = { stop: 0, start: 0, reboot: 0 };
  #strikes = 0;
  #last = '';

  constructor(progress: Progress, instances: number) {
    this.#progress = progress;
    this.#instances = instances;
  }

  /** Takes note of an event. `main`: it belongs to the sweep that is shown. */
  see(event: WorldEvent, main: boolean): void {
    this.#at = event.at;
    if (main && !this.#main) {
      this.#main = true;
      this.#consoles = 0;
      this.#runbooks = 0;
      this.#progress.note('history is made (three earlier sweeps); the main sweep begins');
    }
    if (event.detail?.fault) this.#strikes++;
    const refused = event.detail?.error !== null && event.detail?.error !== undefined;
    if (event.kind === 'ssm' && event.what === 'invocation-end') this.#runbook(event);
    if (event.kind !== 'api' || refused) return;
    if (event.what === 'GetConsoleOutput') this.#consoles++;
    if (!main) return;
    if (event.what === 'StopInstances') this.#powered(event, 'stop', 'stops');
    if (event.what === 'StartInstances') this.#powered(event, 'start', 'starts');
    if (event.what === 'RebootInstances') this.#powered(event, 'reboot', 'reboots');
  }

  #runbook(event: WorldEvent): void {
    this.#runbooks++;
    this.#last = `${event.instanceId} (${event.region}): the runbook ended`;
  }

  #powered(event: WorldEvent, what: 'stop' | 'start' | 'reboot', verb: string): void {
    this.#power[what]++;
    this.#last = `${event.instanceId} (${event.region}) ${verb}`;
  }

  /** Shows how it stands. */
  draw(): void {
    const clock = this.#at === 0 ? '' : new Date(this.#at).toISOString().replace('T', ' ').slice(0, 19);
    const part = Math.min(1, this.#consoles / this.#instances);
    const bar = '#'.repeat(Math.round(part * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
    const { stop, start, reboot } = this.#power;
    this.#progress.update([
      `${style('bold', this.#main ? 'sweep' : 'history')} ${clock} UTC (virtual time)`,
      `consoles read [${bar}] ${this.#consoles}`,
      `runbooks ended ${this.#runbooks}   stops ${stop}   starts ${start}   reboots ${reboot}   faults struck ${this.#strikes}`,
      this.#last,
    ]);
  }
}
