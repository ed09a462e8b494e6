import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  documentHash,
  RUNBOOK_PARAMETERS,
  RunbookParameterError,
  readRunbookScript,
  runbookDocument,
  runbookParameters,
} from '../../../lambdas/runbook/document.ts';
import { withMachine } from './machine.ts';

const FOLDER = join(__dirname, '../../../lambdas/runbook');
const script = readRunbookScript(FOLDER);
const document = runbookDocument(script);
const lines = document.mainSteps[0].inputs.runCommand;

/** What no parameter may hold; the same values are given to the script itself in refusals.test.ts. */
const HOSTILE = [
  '$(reboot)',
  '`id`',
  "'",
  '"',
  'plan"; id; "',
  '320\n',
  '\n',
  ' 320',
  '320 ',
  '-1',
  '+1',
  '1.5',
  '4294967296',
];

describe('the SSM document', () => {
  it('is under 64 KB, and each of its scripts at most 24,000 characters', () => {
    for (const name of ['resize-audit-backlog.sh', 'set-boot-limit.sh']) {
      expect(readFileSync(join(FOLDER, name), 'utf8').length).toBeLessThanOrEqual(24_000);
    }
    expect(JSON.stringify(document).length).toBeLessThan(64 * 1024);
  });

  it('carries the script line by line, with the fallback for old agents after the first line', () => {
    const fallback = lines.slice(1, 1 + RUNBOOK_PARAMETERS.length);
    expect([lines[0], ...lines.slice(1 + RUNBOOK_PARAMETERS.length)].join('\n')).toBe(script.trimEnd());
    expect(fallback).toHaveLength(RUNBOOK_PARAMETERS.length);
    for (const { name } of RUNBOOK_PARAMETERS) {
      expect(fallback).toContain(`if [ -z "\${SSM_${name}+x}" ]; then export SSM_${name}="{{${name}}}"; fi`);
    }
    // SSM replaces {{...}} wherever it stands: the script itself must hold none.
    expect(script).not.toContain('{{');
  });

  it('never sets what only tests and simulated machines may set', () => {
    expect(lines.some((line) => /(export +|^ *)AUDIT_BACKLOG_/.test(line))).toBe(false);
  });

  it('declares every parameter as an environment variable under a whole-string pattern that takes its default', () => {
    expect(Object.keys(document.parameters)).toEqual(RUNBOOK_PARAMETERS.map((p) => p.name));
    for (const p of Object.values(document.parameters)) {
      expect(p.interpolationType).toBe('ENV_VAR');
      expect(p.allowedPattern).toMatch(/^\^\(.*\)\$$/);
      expect(p.default).toMatch(new RegExp(p.allowedPattern));
    }
  });

  it('refuses by its patterns whatever could be more than one plain word', () => {
    for (const p of RUNBOOK_PARAMETERS) {
      for (const value of [...HOSTILE, '', '00', '9'.repeat(8)]) {
        expect([p.name, value, new RegExp(p.pattern).test(value)]).toEqual([p.name, value, false]);
        expect(() => runbookParameters({ [p.name]: value })).toThrow(RunbookParameterError);
      }
    }
    for (const name of ['Factor', 'Minimum', 'Maximum', 'MemoryPercent'] as const) {
      expect(() => runbookParameters({ [name]: 0 })).toThrow(new RegExp(`parameter ${name}.*correct the policy`));
    }
  });

  it('has the same hash for the same script, another for another', () => {
    expect(documentHash(document)).toBe(documentHash(JSON.stringify(runbookDocument(script))));
    expect(documentHash(runbookDocument(`${script}\n:\n`))).not.toBe(documentHash(document));
  });

  it('runs as an old agent would run it: values pasted as text, no environment', () => {
    withMachine({ 'etc/audit/rules.d/audit.rules': '-D\n-b 320\n' }, {}, (machine) => {
      const values: Record<string, string> = { Mode: 'apply', OverflowedAt: '5000', Factor: '3' };
      const pasted = lines
        .join('\n')
        .replace(/\{\{(\w+)\}\}/g, (_, name) => values[name] ?? document.parameters[name]?.default ?? '');
      const env = Object.fromEntries(
        Object.entries(machine.environment({}, {})).filter(([name]) => !name.startsWith('SSM_')),
      );
      const result = spawnSync('sh', { input: pasted, env, encoding: 'utf8' });
      expect(result.stderr).toBe('');
      expect(JSON.parse(result.stdout)).toMatchObject({ outcome: 'resized', target: 15_000 });
      expect(machine.get('limit')).toBe('15000');
    });
  });
});

describe('runbookParameters', () => {
  it('makes string arrays of what is given, and takes numbers', () => {
    expect(runbookParameters({ Mode: 'apply', OverflowedAt: 320, RestartAuditd: 'never' })).toEqual({
      Mode: ['apply'],
      OverflowedAt: ['320'],
      RestartAuditd: ['never'],
    });
  });

  it('refuses a name that the document does not have', () => {
    expect(() => runbookParameters({ Root: '/' } as never)).toThrow(/no parameter Root/);
  });
});
