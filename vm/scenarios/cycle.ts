/** The whole story on one machine: a real overflow, the detector, the cure, the same load again, a second cure, a reboot. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEvidence } from '../../domain/evidence.ts';
import { outcomeOfRunbook } from '../../domain/runbook-result.ts';
import { assertLimitOnly, assertSame } from '../audit-tree.ts';
import { CACHE } from '../images.ts';
import { KINDS } from '../machine.ts';
import { parseStatus, type Trial } from '../trial.ts';
import type { Scenario } from './scenario.ts';

/** More than a queue of 64 holds, fewer than one of 8192. */
const EVENTS = 2000;

/** In the rules file, so that it stands after a reboot: no wait (records are lost at once), one record per getppid of perl. */
const MISCONFIGURE = `
sed -i 's/^-b .*/-b 64/; s/^--backlog_wait_time.*/--backlog_wait_time 0/' $R
echo '-a always,exit -F arch=b64 -S getppid -F exe=/usr/bin/perl' >>$R
load`;

export const cycle: Scenario = {
  name: 'cycle',
  kinds: KINDS,
  async run(trial) {
    const disk = join(trial.image.cold.images, `cycle-${trial.kind}.ext4`);
    cpSync(trial.image.saved.disk, disk);
    try {
      await trial.start({ ...trial.image.saved, disk, keepDisk: true });
      await overflow(trial);
      await cure(trial);
      await trial.shell('sync');
      await reboot(trial, disk);
    } finally {
      trial.end();
      rmSync(disk);
    }
  },
};

async function overflow(trial: Trial): Promise<void> {
  await trial.step('-b 64 in the rules file', () => trial.shell(MISCONFIGURE));
  assert.equal((await trial.status()).limit, 64);
  const lost = await trial.step(
    `burst of ${EVENTS} events`,
    () => trial.burst(EVENTS),
    (n) => `lost ${n}`,
  );
  assert.ok(lost > 1000, `only ${lost} events were lost: no overflow to speak of`);
  const { bytes, evidence } = await trial.step(
    'detector reads the serial console',
    async () => {
      const bytes = trial.machine.console();
      return { bytes, evidence: readEvidence(bytes) };
    },
    ({ bytes, evidence: e }) =>
      `${bytes.length} bytes: ${e.verdict}, limit ${e.limit}, backlog ${e.backlog}, lost ${e.lost}, currentBoot ${e.currentBoot}`,
  );
  const folder = join(CACHE, 'consoles');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `cycle-${trial.kind}.log`), bytes);
  assert.deepEqual(
    [evidence.verdict, evidence.limit, evidence.currentBoot, evidence.panic],
    ['overflow', 64, true, false],
  );
}

async function cure(trial: Trial): Promise<void> {
  const { status: kernel, tree } = await trial.look();
  const status = parseStatus(kernel);
  const plan = await trial.step(
    'runbook, plan',
    () => trial.runbook({ OverflowedAt: 64 }),
    ({ output }) => `${output.outcome}, target ${output.target}`,
  );
  assert.equal(plan.output.outcome, 'planned');
  const planned = await trial.look();
  assertSame(tree, planned.tree);
  assert.deepEqual(parseStatus(planned.status), status, 'plan mode changed the kernel');

  const { ran, output } = await trial.step(
    'runbook, apply',
    () => trial.runbook({ Mode: 'apply', OverflowedAt: 64 }),
    ({ output }) => `${output.outcome}: ${output.message}`,
  );
  const outcome = outcomeOfRunbook(output, { at: '', commandId: null, restartedBy: null, backAt: null });
  assert.deepEqual([ran.code, output.outcome, outcome.proven], [0, 'resized', true], output.message);
  const cured = await trial.step(
    'auditctl -s',
    () => trial.status(),
    (now) => `limit ${status.limit} before, ${now.limit} after; lost ${now.lost}`,
  );
  assert.deepEqual([cured.limit, cured.pid], [8192, status.pid], 'the limit, or auditd is not the one it was');
  assert.deepEqual([output.before?.effective, output.after?.effective], [64, 8192]);
  const { tree: curedTree } = await trial.look();
  assertLimitOnly(tree, curedTree, 8192);

  const lost = await trial.step(
    `burst of ${EVENTS} events`,
    () => trial.burst(EVENTS),
    (n) => `lost ${n}`,
  );
  assert.equal(lost, 0, 'events were lost after the cure');
  assert.equal((await trial.status()).lost, cured.lost, 'the lost counter did not stand still');

  const again = await trial.step(
    'runbook, apply again',
    () => trial.runbook({ Mode: 'apply', OverflowedAt: 64 }),
    ({ output }) => output.outcome,
  );
  assert.equal(again.output.outcome, 'already-sufficient');
  const last = await trial.look();
  assertSame(curedTree, last.tree);
  assert.equal(parseStatus(last.status).pid, status.pid);
}

/** From the disk alone: what the runbook wrote is what the machine boots with. */
async function reboot(trial: Trial, disk: string): Promise<void> {
  const before = trial.machine.console();
  await trial.start({ ...trial.image.cold, disk, keepDisk: true });
  const status = await trial.step(
    'auditctl -s after the reboot',
    async () => {
      await trial.shell(
        `for i in {1..60}; do auditctl -s | grep -q 'backlog_limit 8192' && exit 0; sleep 1; done; exit 1`,
      );
      return trial.status();
    },
    (now) => `limit ${now.limit}, lost ${now.lost}`,
  );
  assert.equal(status.limit, 8192);
  const lost = await trial.step(
    `burst of ${EVENTS} events`,
    () => trial.burst(EVENTS),
    (n) => `lost ${n}`,
  );
  assert.equal(lost, 0, 'events were lost after the reboot');
  const both = readEvidence(Buffer.concat([before, trial.machine.console()]));
  assert.deepEqual([both.verdict, both.currentBoot], ['overflow', false], 'the overflow is not of the boot before');
}
