/**
 * The machine that hangs: auditd is frozen, the queue is full, and with the default wait time every process that makes a
 * record sleeps in the kernel. Only a restart helps; after the cure the same load passes.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { readEvidence } from '../../domain/evidence.ts';
import type { Trial } from '../trial.ts';
import { settled, withOwnDisk } from './collisions.ts';
import type { Scenario } from './scenario.ts';

/** Each makes three records: fewer than 8192 together. */
const EVENTS = 1600;
/** How long a command of the agent may take before the machine counts as silent. An answer takes about one second. */
const SILENT_SECONDS = 15;
/** How long bringing the load may take. */
const LOAD_SECONDS = 10;

/**
 * First a burst that the kernel may not wait for, so that the console says at once what it would say after minutes. Then,
 * with the default wait time: auditd stands still, every system call is audited, and eight processes make records. At 64
 * the kernel moves some hundred records a second to its retry queue: all processes share these, and an agent that needs
 * thousands does not get round to answering.
 */
export const FREEZE = `
burst 200
auditctl --backlog_wait_time 60000 >/dev/null
kill -STOP $(pidof auditd)
auditctl -a always,exit -F arch=b64 -S all >/dev/null 2>&1
for n in {1..8}; do setsid perl -e 'getppid() for 1..${EVENTS / 8}' </dev/null >/dev/null 2>&1 & done
`;

export const hang: Scenario = {
  name: 'hang',
  kinds: ['systemd'],
  run: (trial) =>
    withOwnDisk(trial, async (disk) => {
      await trial.start({ ...trial.image.saved, disk, keepDisk: true });
      await trial.step('-b 64 in the rules file', () => trial.shell('limit 64; sync'));
      await trial.step('auditd frozen, queue full', () => load(trial));
      const answer = await trial.step(
        'the agent is asked',
        () => answers(trial),
        (it) => (it ? 'it answers' : `silent for ${SILENT_SECONDS} s`),
      );
      assert.equal(answer, false, 'the machine does not hang');
      const console = trial.machine.console();
      const evidence = await trial.step(
        'detector reads the serial console',
        async () => readEvidence(console),
        (e) => `${e.verdict}, limit ${e.limit}, currentBoot ${e.currentBoot}`,
      );
      assert.deepEqual([evidence.verdict, evidence.limit, evidence.currentBoot], ['overflow', 64, true]);

      await trial.start({ ...trial.image.cold, disk, keepDisk: true });
      assert.equal((await settled(trial)).limit, 64);
      const { output } = await trial.step(
        'runbook',
        () => trial.runbook({ Mode: 'apply', OverflowedAt: 64 }),
        ({ output: o }) => `${o.outcome}: ${o.message}`,
      );
      assert.equal(output.outcome, 'resized', output.message);
      const before = await trial.status();
      await trial.step('the same load', () => load(trial));
      assert.equal(
        await trial.step(
          'the agent is asked',
          () => answers(trial),
          () => 'it answers',
        ),
        true,
        'it hangs again',
      );
      const after = await trial.step(
        'auditctl -s',
        () => trial.status(),
        ({ limit, lost }) => `limit ${limit}, lost ${before.lost} before the load, ${lost} after`,
      );
      assert.equal(after.limit, 8192);
    }),
};

/** Until the load is there, or for a while: the command that brings it may hang in it itself. */
async function load(trial: Trial): Promise<void> {
  await Promise.race([trial.attempt(FREEZE), sleep(LOAD_SECONDS * 1000, undefined, { ref: false })]);
}

async function answers(trial: Trial): Promise<boolean> {
  const late = sleep(SILENT_SECONDS * 1000, false, { ref: false });
  return Promise.race([trial.machine.run('#!/bin/sh\necho here\n').then(({ code }) => code === 0), late]);
}
