/**
 * BootLimit: Debian's own update-grub makes the boot menu, and a kernel boots with the words that stand in it. QEMU loads
 * the kernel itself, so GRUB's menu is read here, not by GRUB.
 */
import assert from 'node:assert/strict';
import { assertLimitOnly, type Tree } from '../audit-tree.ts';
import type { Trial } from '../trial.ts';
import type { Scenario } from './scenario.ts';

const PARAMETERS = { Mode: 'apply', OverflowedAt: 64, BootLimit: 'yes' } as const;
const OWN = '/etc/default/grub.d/zz-audit-backlog.cfg';
const below = (tree: Tree, folder: string) => new Map([...tree].filter(([path]) => path.startsWith(folder)));

export const bootLimit: Scenario = {
  name: 'boot-limit',
  kinds: ['systemd'],
  async run(trial) {
    await trial.start();
    const before = await trial.step('prepare: update-grub', () =>
      trial.look('limit 64; mkdir -p /boot/grub; : >"/boot/vmlinuz-$(uname -r)"; update-grub', ['/etc/default']),
    );
    assert.equal((await entries(trial)).filter((line) => /audit_backlog_limit/.test(line)).length, 0);

    const { output } = await trial.step(
      'runbook',
      () => trial.runbook(PARAMETERS),
      ({ output: o }) => `${o.outcome}: ${o.message}`,
    );
    assert.equal(output.outcome, 'resized', output.message);
    assert.match(output.message, /Set audit_backlog_limit=8192 on the kernel command line/);
    const after = await trial.look('', ['/etc/default']);
    assertLimitOnly(below(before.tree, '/etc/audit'), below(after.tree, '/etc/audit'), 8192);
    const others = below(after.tree, '/etc/default');
    assert.ok(others.delete(OWN), `${OWN} is not there`);
    assert.deepEqual([...others], [...below(before.tree, '/etc/default')], 'other boot settings changed');
    const lines = await entries(trial);
    assert.ok(lines.length > 0, 'grub.cfg has no entry');
    for (const line of lines) assert.match(line, / audit_backlog_limit=8192( |$)/);

    const again = await trial.step('again', () => trial.runbook(PARAMETERS));
    assert.equal(again.output.outcome, 'already-sufficient', again.output.message);
    assert.match(again.output.message, /The kernel command line has audit_backlog_limit=8192\./);

    const words = lines[0]?.match(/audit_backlog_limit=\d+/)?.[0] ?? '';
    await trial.start({ ...trial.image.cold, append: words });
    const said = await trial.step(
      'the kernel at boot',
      () => trial.shell('dmesg | grep -o "audit_backlog_limit: [0-9]*"'),
      (text) => text.trim(),
    );
    assert.equal(said.trim(), 'audit_backlog_limit: 8192');
  },
};

/** The lines of grub.cfg that boot a Linux kernel. */
async function entries(trial: Trial): Promise<string[]> {
  const text = await trial.shell('grep -E "^[[:space:]]*linux.* root=" /boot/grub/grub.cfg');
  return text.trimEnd().split('\n');
}
