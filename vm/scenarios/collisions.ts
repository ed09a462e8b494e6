/** Runs of the runbook that meet another run, a kill, or a reboot. */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assertLimitOnly } from '../audit-tree.ts';
import { KINDS } from '../machine.ts';
import { runbookAnswer, runbookCommand } from '../runbook.ts';
import { parseStatus, SETTLED, type Trial } from '../trial.ts';
import type { Scenario } from './scenario.ts';

const APPLY = { Mode: 'apply', OverflowedAt: 64 } as const;

/** Shell text that writes the runbook to a file in the guest; the file then runs with the parameters of {@link APPLY}. */
function install(): string {
  const { script, environment } = runbookCommand(APPLY);
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}=${value}`);
  const encoded = Buffer.from(script).toString('base64');
  return `${exports.join('\n')}\nbase64 -d >/run/runbook.sh <<'END'\n${encoded}\nEND\n`;
}

const twoAtOnce: Scenario = {
  name: 'two-at-once',
  kinds: ['systemd'],
  async run(trial) {
    await trial.start();
    const { tree } = await trial.step('prepare', () => trial.look(`limit 64`));
    const stdout = await trial.step('two runbooks', () =>
      trial.shell(`${install()}
for n in 1 2; do sh /run/runbook.sh >/run/out.$n 2>&1 & done
wait
cat /run/out.1 /run/out.2`),
    );
    const answers = stdout
      .trimEnd()
      .split('\n')
      .map((line) => runbookAnswer(`${line}\n`, ''));
    assert.deepEqual(answers.map(({ outcome }) => outcome).sort(), ['failed', 'resized'], stdout);
    assert.match(answers.find(({ outcome }) => outcome === 'failed')?.message ?? '', /Another run of this runbook/);
    const after = await trial.look();
    assertLimitOnly(tree, after.tree, 8192);
    assert.equal(parseStatus(after.status).limit, 8192);
  },
};

/** Kills at these moments of its life. Unit: seconds. Emulated, a whole run takes one to three. */
const MOMENTS = [0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.9, 2.2];

const killedInTheMiddle: Scenario = {
  name: 'killed-in-the-middle',
  kinds: ['systemd'],
  async run(trial) {
    await trial.start();
    const { tree } = await trial.step('prepare', () =>
      trial.look(`limit 64; cp -p $R /run/old; sed 's/^-b .*/-b 8192/' $R >/run/new`),
    );
    const found = await trial.step(
      `${MOMENTS.length} kills`,
      () =>
        trial.shell(`${install()}
for moment in ${MOMENTS.join(' ')}; do
  timeout -s KILL $moment setsid -w sh /run/runbook.sh >/run/out
  sleep 0.2
  if cmp -s $R /run/old; then echo old; elif cmp -s $R /run/new; then echo new; else echo torn; cat $R; exit 1; fi
  pidof auditd >/dev/null || { echo auditd is gone; exit 1; }
  cp -p /run/old $R; running 64
done`),
      (text) => text.trim().split('\n').join(' '),
    );
    assert.ok(found.includes('old'), 'no kill came before the new file was in place');
    const { output } = await trial.step(
      'runbook',
      () => trial.runbook(APPLY),
      ({ output }) => output.outcome,
    );
    assert.equal(output.outcome, 'resized', output.message);
    assertLimitOnly(tree, (await trial.look()).tree, 8192);
  },
};

const immutableUntilReboot: Scenario = {
  name: 'immutable-until-reboot',
  kinds: KINDS,
  run: (trial) =>
    withOwnDisk(trial, async (disk) => {
      await trial.start({ ...trial.image.saved, disk, keepDisk: true });
      const before = await trial.step('prepare', () =>
        trial.look(`limit 64; echo '-e 2' >/etc/audit/rules.d/99-finalize.rules; load`),
      );
      const { output } = await trial.step(
        'runbook',
        () => trial.runbook(APPLY),
        ({ output: o }) => `${o.outcome}: ${o.message}`,
      );
      assert.equal(output.outcome, 'pending-reboot', output.message);
      const pending = await trial.look('sync');
      assertLimitOnly(before.tree, pending.tree, 8192);
      assert.equal(parseStatus(pending.status).limit, 64);
      await trial.start({ ...trial.image.cold, disk, keepDisk: true });
      const status = await trial.step(
        'auditctl -s after the reboot',
        () => settled(trial),
        (s) => `limit ${s.limit}, enabled ${s.enabled}`,
      );
      assert.deepEqual([status.limit, status.enabled], [8192, 2]);
      const again = await trial.step(
        'runbook',
        () => trial.runbook(APPLY),
        ({ output: o }) => o.outcome,
      );
      assert.equal(again.output.outcome, 'already-sufficient', again.output.message);
      assertRules(pending.tree, (await trial.look()).tree);
    }),
};

/** rules.d is what it was; audit.rules augenrules made anew at boot. */
function assertRules(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): void {
  for (const [path, node] of before) {
    if (path.includes('/rules.d')) assert.deepEqual(after.get(path), node, `${path} changed`);
  }
}

/** The kernel after a boot, once auditd has loaded its rules. */
export async function settled(trial: Trial): Promise<ReturnType<typeof parseStatus>> {
  const text = await trial.shell(SETTLED);
  return parseStatus(text);
}

/** A copy of the saved disk that outlives a machine, for scenarios that reboot. */
export async function withOwnDisk(trial: Trial, act: (disk: string) => Promise<void>): Promise<void> {
  const disk = join(trial.image.saved.images, 'scenario.ext4');
  cpSync(trial.image.saved.disk, disk);
  try {
    await act(disk);
  } finally {
    trial.end();
    rmSync(disk);
  }
}

export const COLLISIONS: readonly Scenario[] = [twoAtOnce, killedInTheMiddle, immutableUntilReboot];
