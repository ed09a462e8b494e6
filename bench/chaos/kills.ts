/** The engine dies, with all that is in flight, at random instants of restarts: worlds of kind `kill`. */
import { currentInvocation, type EventLog, Random, type WorldEvent } from '../../simulator/core.ts';
import type { EmbeddedInstance } from '../../simulator/ec2/instance.ts';
import type { DurableEngine } from '../../simulator/engine/durable-engine.ts';
import { STOPPED } from './bad-days.ts';
import type { World } from './world.ts';

/** Where it happens. */
export interface Killable {
  readonly log: EventLog;
  readonly engine: DurableEngine;
  readonly instances: () => readonly EmbeddedInstance[];
}

/** Calls and changes of power by which a restart is seen to be at work. */
const STAGES = /^(CreateTags|StopInstances|StartInstances|RebootInstances|stopping|stopped|pending|running|reset)$/;
/** One in so many comes to nothing but a replay; in the others no execution ever comes back. */
const FOR_GOOD = 0.3;

/** Kills while restarts are at work, and says how far the restart was that the kill was meant for. */
export function planKills(world: World, { log, engine, instances }: Killable): void {
  if (world.kind !== 'kill') return;
  const random = new Random(world.seed).fork('kills');
  let left = random.between(6, 14);
  /** Instances that went down since they were marked. */
  const down = new Set<string>();
  const find = (instanceId: string) => instances().find((each) => each.instanceId === instanceId);
  const atWork = (instanceId: string): boolean =>
    engine
      .executions()
      .some((each) => each.functionName === 'restart' && each.status === 'RUNNING' && each.input.includes(instanceId));
  const kill = (instanceId: string): void => {
    const instance = find(instanceId);
    if (instance === undefined || !atWork(instanceId)) return;
    const phase = phaseOf(instance, down.has(instanceId));
    if (phase === null) return;
    left--;
    const forGood = random.next() < FOR_GOOD;
    log.record({ kind: 'fault', what: phase, instanceId });
    if (forGood) log.record({ kind: 'fault', what: 'no execution comes back' });
    engine.killAll('the engine is killed', forGood);
  };
  log.onEvent((event: WorldEvent) => {
    const { what, instanceId } = event;
    if (instanceId === undefined || !STAGES.test(what)) return;
    if (what === 'CreateTags' && !down.has(instanceId) && !find(instanceId)?.tags.has(STOPPED)) return;
    if (what === 'stopping' || what === 'reset') down.add(instanceId);
    if (what === 'CreateTags') down.delete(instanceId);
    if (left <= 0 || Date.now() >= world.calmAt || random.next() > 0.3) return;
    const delay = random.between(0, random.pick([10, 200, 3000, 30_000, 120_000]));
    currentInvocation.exit(() => setTimeout(() => left > 0 && kill(instanceId), delay));
  });
}

/** null: the restart is not between its first call that changes something and its last. */
function phaseOf({ tags, state }: EmbeddedInstance, wentDown: boolean): string | null {
  if (!tags.has(STOPPED)) return null;
  if (!wentDown) return 'engine killed between mark and stop';
  if (state === 'running') return 'engine killed between start and unmark';
  return state === 'pending' ? 'engine killed while it starts' : 'engine killed while it stops or is stopped';
}
