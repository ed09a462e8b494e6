/** `bin/app.ts` as `cdk synth` runs it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTEXT_KEY } from '../../lib/settings.ts';

it('says what is wrong with a setting in one line, without a stack trace, and fails', () => {
  const outdir = mkdtempSync(join(tmpdir(), 'audit-backlog-synth-'));
  const done = spawnSync(process.execPath, [join(__dirname, '..', '..', 'bin', 'app.ts')], {
    encoding: 'utf8',
    env: {
      ...process.env,
      CDK_OUTDIR: outdir,
      CDK_CONTEXT_JSON: JSON.stringify({ [CONTEXT_KEY]: { schedule: 'daily' } }),
    },
  });
  rmSync(outdir, { recursive: true });
  expect(done.stderr).toBe('auditBacklogRemediation: schedule: write it like rate(4 hours) or cron(0 2 * * ? *)\n');
  expect(done.status).toBe(2);
});
