/**
 * The whole service against the machine that hangs, which is a guest of the embedded region: detected on its console,
 * stopped, started and cured by the deployed functions, in virtual time; then the same load again.
 */
import assert from 'node:assert/strict';
import { SimulatedService } from '../../cli/simulated-service.ts';
import { disagreements, snapshotOf } from '../../simulator/judgement.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';
import { RealGuest } from '../real-guest.ts';
import type { Trial } from '../trial.ts';
import { withOwnDisk } from './collisions.ts';
import { FREEZE } from './hang.ts';
import type { Scenario } from './scenario.ts';

const HOME = { accountId: '111122223333', region: 'eu-west-1' };
const NOW = Date.UTC(2026, 10, 22, 4);
const MINUTE = 60_000;
const LAUNCH = NOW - 40 * MINUTE;

export const wholeService: Scenario = {
  name: 'whole-service',
  kinds: ['systemd'],
  run: (trial) =>
    withOwnDisk(trial, async (disk) => {
      const guest = new RealGuest({ ...trial.image.cold, disk, keepDisk: true });
      try {
        await hangIt(trial, guest);
        await cureIt(trial, guest);
      } finally {
        await guest.end();
      }
    }),
};

async function hangIt(trial: Trial, guest: RealGuest): Promise<void> {
  await trial.step('boot', async () => guest.powerOn(LAUNCH));
  await trial.step('-b 64 in the rules file', async () => guest.prepare('limit 64; sync'));
  const answers = await trial.step('auditd frozen, queue full', async () => guest.load(LAUNCH + MINUTE, FREEZE));
  assert.equal(answers, false, 'the machine does not hang');
}

async function cureIt(trial: Trial, guest: RealGuest): Promise<void> {
  const time = VirtualTime.install({ seed: 1, start: NOW });
  let seen: Awaited<ReturnType<typeof runService>>;
  try {
    const service = new SimulatedService({
      seed: 1,
      home: HOME,
      policy: { mode: 'apply', restart: { maxPercent: 20 } },
    });
    let ended = false;
    const running = runService(service, guest).finally(() => {
      ended = true;
    });
    running.catch(() => undefined); // reported below
    const started = performance.now();
    await time.drive(() => ended, { pending: () => service.engine.pending() });
    seen = await running;
    const { action, power, wrong, minutes } = seen;
    trial.steps.push({
      name: 'the whole service',
      milliseconds: performance.now() - started,
      note: `${action?.action} (${action?.code}), ${power.join(', ')}; in ${minutes} virtual minutes: ${action?.outcome?.message}`,
    });
    assert.deepEqual(wrong, [], 'the region disagrees with the report');
    assert.deepEqual(
      [action?.action, action?.code, action?.outcome?.result],
      ['restart-then-resize', 'restart', 'resized'],
    );
    const { proven, limitBefore, limitAfter, restartedBy } = action?.outcome ?? {};
    assert.deepEqual([proven, limitBefore, limitAfter, restartedBy], [true, 64, 8192, 'stop-start']);
  } finally {
    time.uninstall();
  }
  const answers = await trial.step(
    'the same load',
    async () => guest.load(seen.endedAt, FREEZE),
    () => 'the machine answers',
  );
  assert.equal(answers, true, 'it hangs again');
  assert.equal(guest.status().limit, 8192);
}

async function runService(service: SimulatedService, guest: RealGuest) {
  const { cloud, log } = service;
  cloud.addInstance(
    cloud.cell(HOME.accountId, HOME.region),
    {
      instanceId: 'i-00000000000000001',
      instanceType: 'm5.large',
      imageId: 'ami-0a',
      launchTime: LAUNCH,
      tags: { Name: 'real', AuditBacklogRestart: 'allowed' },
    },
    guest,
  );
  const before = snapshotOf(cloud);
  const report = await service.run({ scheduledAt: new Date(NOW).toISOString() });
  return {
    action: report.actions[0],
    wrong: disagreements(cloud, before, report),
    power: log.events.filter((event) => event.kind === 'power').map((event) => event.what),
    minutes: Math.round((Date.now() - NOW) / MINUTE),
    endedAt: Date.now(),
  };
}
