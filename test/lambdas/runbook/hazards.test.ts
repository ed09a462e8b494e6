import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RUNBOOK_PARAMETERS } from '../../../lambdas/runbook/document.ts';
import { type Files, type Kernel, Machine, parse, SCRIPT, withMachine } from './machine.ts';

const RULES = 'etc/audit/rules.d/audit.rules';
const OLD = '-D\n-b 320\n-f 1\n-w /etc/passwd -p wa -k pw\n';
const NEW = OLD.replace('320', '8192');
const BASIC: Files = { [RULES]: OLD };
const LOCK = 'run/audit-backlog.lock';

describe('a kill -9', () => {
  const points = (['cp', 'awk-edit', 'sync', 'mv', 'auditctl-b'] as const).flatMap((killAt) =>
    (['before', 'after'] as const).map((killWhen) => [killAt, killWhen] as const),
  );

  it.each(points)(
    'at %s, %s it, leaves the old file or the new one, and the next run ends the work',
    async (killAt, killWhen) => {
      const machine = new Machine(BASIC, { killAt, killWhen });
      try {
        const { status, stdout } = await machine.start();
        expect({ status, stdout }).toEqual({ status: null, stdout: '' });
        expect(machine.get('killAt')).toBe('');
        const left = machine.read(RULES);
        expect(left).toBe(killAt === 'mv' && killWhen === 'after' ? NEW : OLD);
        expect(machine.tree(false)[RULES]).toMatch(/^file 640 /);
        const next = machine.run();
        expect(['resized', 'already-sufficient']).toContain(next.answer.outcome);
        expect(machine.read(RULES)).toBe(NEW);
        expect(machine.get('limit')).toBe('8192');
        const others = Object.keys(machine.tree()).filter((path) => /\.tmp|\.lock/.test(path));
        expect(others).toEqual([]);
      } finally {
        machine.dispose();
      }
    },
  );
});

describe('the lock', () => {
  it('lets one of two work, and the other says so', async () => {
    const machine = new Machine(BASIC);
    try {
      // Holds the first run inside until the second one has answered.
      machine.command(
        'auditctl',
        `#!/bin/sh\nwhile [ ! -e "$FAKE/go" ]; do /bin/sleep 0.02; done\nexec "$FAKE/auditctl" "$@"\n`,
      );
      const real = new Machine({});
      writeFileSync(join(machine.fake, 'auditctl'), readFileSync(join(real.fake, 'bin/auditctl')), { mode: 0o755 });
      real.dispose();
      const first = machine.start();
      while (!(LOCK in machine.tree())) await new Promise((resolve) => setImmediate(resolve));
      const second = machine.run();
      expect(second.answer).toMatchObject({ outcome: 'failed' });
      expect(second.answer.message).toMatch(/Another run of this runbook \(pid \d+\) is at work/);
      expect(machine.read(RULES)).toBe(OLD);
      expect(LOCK in machine.tree()).toBe(true);
      writeFileSync(join(machine.fake, 'go'), '');
      expect(parse((await first).stdout).outcome).toBe('resized');
      expect(machine.read(RULES)).toBe(NEW);
      expect(LOCK in machine.tree()).toBe(false);
    } finally {
      machine.dispose();
    }
  });

  it.each([
    [
      'of a process that is no more',
      () => `${spawnSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).stdout.trim()}.123`,
    ],
    ['of a pid that another process has now', () => `${process.pid}.1`],
    ['that holds nonsense', () => 'nonsense'],
  ])('%s is taken over', (_, holder) => {
    withMachine(BASIC, {}, (machine) => {
      symlinkSync(holder(), join(machine.root, LOCK));
      expect(machine.run().answer.outcome).toBe('resized');
      expect(Object.keys(machine.tree()).filter((path) => path.includes('.lock'))).toEqual([]);
    });
  });
});

describe('a lock that two find dead at once', () => {
  it('belongs to the one that was first; the other puts back what it took, and says so', () => {
    withMachine(BASIC, {}, (machine) => {
      const facts = readFileSync(`/proc/${process.pid}/stat`, 'utf8').replace(/.*\) /s, '').split(' ');
      const living = `${process.pid}.${facts[19]}`;
      symlinkSync('999999999.1', join(machine.root, LOCK));
      // Between this run's look and its mv the other run takes the dead lock over.
      machine.command(
        'mv',
        `#!/bin/sh
case $1 in *.lock) [ -e "$FAKE/taken" ] || { : >"$FAKE/taken"; rm "$1"; ln -s ${living} "$1"; } ;; esac
exec /bin/mv "$@"
`,
      );
      const { answer } = machine.run();
      expect(answer).toMatchObject({ outcome: 'failed' });
      expect(answer.message).toContain(`Another run of this runbook (pid ${process.pid}) is at work`);
      expect(readlinkSync(join(machine.root, LOCK))).toBe(living);
      expect(machine.read(RULES)).toBe(OLD);
    });
  });
});

describe('parameters', () => {
  const hostile = [
    '',
    '$(touch x)',
    '`id`',
    "'",
    '"',
    '320"; id',
    '3\n4',
    '320\n',
    ' 320',
    '-1',
    '+1',
    '1.5',
    '0x10',
    '007',
    '4294967296',
    '9'.repeat(40),
    'é',
  ];

  it('refuses what its patterns refuse, touches nothing and does not repeat it', () => {
    withMachine(BASIC, {}, (machine) => {
      const whole = machine.tree();
      for (const { name } of RUNBOOK_PARAMETERS) {
        const bad = /Minimum|Maximum|Factor|MemoryPercent/.test(name) ? [...hostile, '0'] : hostile;
        for (const value of name === 'Factor' || name === 'Expected' ? bad : bad.filter((_, i) => i % 3 === 0)) {
          const { answer, status } = machine.run({ [name]: value });
          expect([name, value, answer.outcome, status]).toEqual([name, value, 'failed', 1]);
          expect(answer.message).toMatch(new RegExp(`^Parameter ${name} is not .* Nothing was changed\\.$`));
        }
      }
      expect(machine.tree()).toEqual(whole);
      expect(machine.calls()).toEqual([]);
    });
  });

  it('that are not set are those of the document, in plan mode', () => {
    withMachine(BASIC, {}, (machine) => {
      const env = Object.fromEntries(
        Object.entries(machine.environment({}, {})).filter(([name]) => !name.startsWith('SSM_')),
      );
      const answer = parse(spawnSync('sh', [machine.script], { env, encoding: 'utf8' }).stdout);
      expect(answer).toMatchObject({ outcome: 'planned', target: 8192 });
    });
  });

  it.each<Files>([{}, { 'run/systemd/system': null, 'var/run': { folder: true } }])(
    'an unknown overflow is sized from the limit in force, and a second run does not raise it again (%#)',
    (files) => {
      withMachine({ [RULES]: '-b 8192\n', ...files }, { limit: 8192 }, (machine) => {
        const unknown = { OverflowedAt: '0' };
        expect(machine.run({ ...unknown, Mode: 'plan' }).answer).toMatchObject({ outcome: 'planned', target: 16384 });
        expect(machine.run(unknown).answer).toMatchObject({ outcome: 'resized', target: 16384 });
        expect(machine.run(unknown).answer).toMatchObject({ outcome: 'already-sufficient', target: 16384 });
        expect(machine.get('limit')).toBe('16384');
      });
    },
  );
});

describe('the answer', () => {
  const every = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1));
  const nasty = `"\\\u0001\u001b[31m'$(id)\`id\`\t`;

  it('is JSON of at most 2,000 characters whatever the machine holds', () => {
    const name = `etc/audit/rules.d/zz"\\$(id)\`${'x'.repeat(150)}\u0007é.rules`;
    const files: Files = {
      [name]: Buffer.concat([Buffer.from(`# Managed by Puppet ${nasty}\n# `), every, Buffer.from('\n-b 320\n')]),
      'etc/os-release': Buffer.concat([Buffer.from(`ID="${'é"\\'.repeat(300)}"\nVERSION_ID=`), every]),
      'proc/cmdline': Buffer.concat([every, every]),
      'etc/audit/auditd.conf': Buffer.concat([Buffer.from('log_file = /var/log/audit/x\nspace_left = $(id)\n'), every]),
    };
    withMachine(files, { release: '6.1"\\\u0001é' as Kernel['release'] }, (machine) => {
      const { answer, stderr } = machine.run();
      expect(stderr).toBe('');
      expect(answer).toMatchObject({ outcome: 'resized', managedBy: 'puppet' });
      expect(answer.rulesFile).toMatch(/^\/etc\/audit\/rules.d\/zz"\\\$\(id\)`x+/);
      expect(machine.read(name)).toBe((files[name] as Buffer).toString('latin1').replace('-b 320', '-b 8192'));
      expect(JSON.stringify(answer)).toMatch(/^[\x20-\x7e]*$/);
    });
  });

  it('tells whether records are lost still, with the number of rules that make them', () => {
    withMachine(BASIC, { lost: 100, losing: 7, backlog: 60, rules: 42 }, (machine) => {
      const { answer } = machine.run();
      expect(answer.after?.lost).toBeGreaterThan(answer.before?.lost ?? Number.NaN);
      expect(answer.message).toMatch(/ lost grew by 7 to 121 in 3 s: backlog 60, 42 rules loaded\.$/);
    });
    withMachine(BASIC, { lost: 100, losing: 7 }, (machine) => {
      expect(machine.run({ Mode: 'plan' }).answer.message).toMatch(/ lost grew by 7 to 107 in 3 s: backlog 3, 0 rules/);
    });
    withMachine(BASIC, { lost: 100 }, (machine) => {
      expect(machine.run().answer.message).toMatch(/ lost stands still at 100\.$/);
      expect(machine.calls()).not.toContain('auditctl -l');
    });
    withMachine(BASIC, {}, (machine) => {
      expect(machine.run().answer.message).not.toMatch(/lost/);
    });
  });
});

it('a rules file that is a link to a device is refused, and the device stays one', () => {
  withMachine({ 'etc/audit/audit.rules': { link: '../../dev/null' }, dev: { folder: true } }, {}, (machine) => {
    const device = join(machine.root, 'dev/null');
    // Who may make no device has a pipe stand for it.
    const make = 'mknod -m 666 "$0" c 1 3 || mkfifo "$0"';
    expect(spawnSync('sh', ['-c', make, device]).status).toBe(0);
    const { answer } = machine.run({}, { patience: 2 });
    expect(answer).toMatchObject({ outcome: 'rolled-back', after: { effective: 320 } });
    expect(answer.message).toMatch(/no plain file/);
    expect(lstatSync(device).isFile()).toBe(false);
    expect(readdirSync(join(machine.root, 'dev'))).toEqual(['null']);
  });
});

it('what is put back after a failure is on the disk as surely as what was changed', () => {
  withMachine(BASIC, { fails: 'nothing' }, (machine) => {
    expect(machine.run().answer.outcome).toBe('resized');
    expect(machine.calls()).toContainEqual(
      expect.stringMatching(/^sync \S*audit\.rules\.audit-backlog\.tmp \S*audit\.rules\.audit-backlog\.bak$/),
    );
  });
});

it('has no here-document: bash before 5.1 needs a temporary file for one, which a full disk refuses', () => {
  expect(SCRIPT).not.toMatch(/<</);
});

describe('without timeout(1)', () => {
  it('ends a hung auditctl by itself, and works where nothing hangs', () => {
    withMachine(BASIC, { timeout: 'no' }, (machine) => {
      expect(machine.run({}, { patience: 3 }).answer.outcome).toBe('resized');
    });
    withMachine(BASIC, { timeout: 'no', status: 'hang' }, (machine) => {
      expect(machine.run({}, { patience: 1 }).answer.message).toMatch(/did not answer within 1 seconds/);
    });
  });
});

describe('what the tests would notice', () => {
  const broken: readonly (readonly [string, string, string, Partial<Kernel>])[] = [
    ['no auditctl -b', 'run auditctl -b "$target"', ':', {}],
    ['no rename', 'run mv -f "$tmp" "$real"', 'run true', {}],
    ['plan mode that applies', 'if [ "$mode" = plan ]; then\n\t[ "$s_enabled"', 'if false; then\n\t[ "$s_enabled"', {}],
  ];

  it.each(broken)('%s', (_, from, to, kernel) => {
    expect(SCRIPT).toContain(from);
    withMachine(BASIC, kernel, (machine) => {
      const path = join(machine.folder, 'broken.sh');
      writeFileSync(path, SCRIPT.replace(from, to));
      const run = (Mode: string) => {
        const env = machine.environment({ Mode, RestartAuditd: 'never' }, {});
        return parse(spawnSync('sh', [path], { env, encoding: 'utf8' }).stdout).outcome;
      };
      const plan = run('plan');
      const planned = plan === 'planned' && machine.read(RULES) === OLD;
      const applied = run('apply') === 'resized' && machine.get('limit') === '8192' && machine.read(RULES) === NEW;
      expect(planned && applied).toBe(false);
    });
  });
});
