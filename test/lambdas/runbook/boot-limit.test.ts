import { writeFileSync } from 'node:fs';
import { LONG } from '../../support/long.ts';
import { type Files, type Kernel, Machine, SCRIPT, withMachine } from './machine.ts';
import { SHELLS } from './shells.ts';

const RULES = 'etc/audit/rules.d/audit.rules';
const CURED: Files = { [RULES]: '-D\n-b 8192\n' };
const PROGRAM = { text: '#!/bin/false\n', mode: 0o755 };
const BOOT = { BootLimit: 'yes' };
const LINE = 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX audit_backlog_limit=8192"\n';
const OWN = 'etc/default/grub.d/zz-audit-backlog.cfg';
const SETTINGS = 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="console=ttyS0"\n';

/** Red Hat, Amazon Linux: entries, each with its arguments, and grubby. */
const grubby = (...args: string[]): Files => ({
  'usr/sbin/grubby': PROGRAM,
  ...Object.fromEntries(args.map((text, i) => [`boot/loader/entries/${i}.conf`, `${text}\n`])),
});
const config = (one: string, two: string) =>
  `menuentry one {\n  linux /vmlinuz-2 root=UUID=x ro ${one}\n  initrd /i\n}\nmenuentry two {\n  linux /vmlinuz-1 root=UUID=x ro single ${two}\n}\nmenuentry mem {\n  linux /memtest86+\n}\n`;
/** Debian, Ubuntu: update-grub, which also reads grub.d. */
const debian = (settings = SETTINGS, more: Files = {}): Files => ({
  'usr/sbin/update-grub': PROGRAM,
  'usr/sbin/grub2-mkconfig': PROGRAM,
  'etc/default/grub': settings,
  'etc/default/grub.d': { folder: true },
  'boot/grub/grub.cfg': config('console=ttyS0 quiet', 'console=ttyS0'),
  ...more,
});
/** SLES: grub2-mkconfig, which reads one file. */
const sles = (settings = SETTINGS): Files => ({
  'usr/sbin/grub2-mkconfig': PROGRAM,
  'etc/default/grub': settings,
  'boot/grub2/grub.cfg': config('console=ttyS0 quiet', 'console=ttyS0'),
});

interface Case {
  readonly name: string;
  readonly files: Files;
  readonly kernel?: Partial<Kernel>;
  /** Text of the files that differ afterwards. Any other path must be as it was. */
  readonly changes: Record<string, string>;
  readonly says: RegExp;
  readonly never?: RegExp;
}

const SET = /Set audit_backlog_limit=8192 on the kernel command line for the next boot\.$/;
const FAILED = /audit_backlog_limit=8192 could not be set on the kernel command line: /;

const CASES: readonly Case[] = [
  {
    name: 'grubby: every entry, whether it has a limit or not',
    files: grubby('ro quiet', 'ro audit_backlog_limit=64 x'),
    changes: {
      'boot/loader/entries/0.conf': 'ro quiet audit_backlog_limit=8192\n',
      'boot/loader/entries/1.conf': 'ro x audit_backlog_limit=8192\n',
    },
    says: SET,
  },
  {
    name: 'grubby: enough already',
    files: grubby('ro audit_backlog_limit=8192', 'audit_backlog_limit=64 audit_backlog_limit=9000'),
    changes: {},
    says: /The kernel command line has audit_backlog_limit=8192\.$/,
    never: /--update/,
  },
  {
    name: 'grubby: the largest there is, for none is lowered',
    files: grubby('ro', 'ro audit_backlog_limit=20000'),
    changes: {
      'boot/loader/entries/0.conf': 'ro audit_backlog_limit=20000\n',
    },
    says: /Set audit_backlog_limit=20000 on the kernel command line/,
  },
  ...['0', '0x100', '1e4', '9999999999', ''].map((odd) => ({
    name: `grubby: a limit of "${odd}" is left to a person`,
    files: grubby('ro', `ro audit_backlog_limit=${odd}`),
    changes: {},
    says: /was not changed: it has an audit_backlog_limit that is no plain number/,
    never: /--update/,
  })),
  {
    name: 'grubby that does nothing and says 0',
    files: grubby('ro'),
    kernel: { bootTool: 'ignores' },
    changes: {},
    says: FAILED,
  },
  {
    name: 'grubby that changes one entry of two',
    files: grubby('ro', 'ro'),
    kernel: { bootTool: 'half' },
    changes: { 'boot/loader/entries/0.conf': 'ro audit_backlog_limit=8192\n' },
    says: FAILED,
  },
  {
    name: 'grubby that hangs',
    files: grubby('ro'),
    kernel: { bootTool: 'hangs' },
    changes: {},
    says: /was not changed: grubby shows no entry/,
  },
  ...[debian(), sles()].map((files) => ({
    name: `${files['boot/grub2/grub.cfg'] ? 'grub2-mkconfig' : 'update-grub'} that is ended while it writes: the old menu is put back`,
    files,
    kernel: { bootTool: 'cut' as const },
    changes: {},
    says: FAILED,
  })),
  {
    name: 'update-grub: a file of our own in grub.d',
    files: debian(),
    changes: {
      [OWN]: LINE,
      'boot/grub/grub.cfg': config(
        'console=ttyS0 audit_backlog_limit=8192 quiet',
        'console=ttyS0 audit_backlog_limit=8192',
      ),
    },
    says: SET,
  },
  {
    name: 'update-grub: it wins over a lower one in GRUB_CMDLINE_LINUX of another file there',
    files: debian(SETTINGS, { 'etc/default/grub.d/50-cloud.cfg': 'GRUB_CMDLINE_LINUX="audit_backlog_limit=64"\n' }),
    changes: {
      [OWN]: LINE,
      'boot/grub/grub.cfg': config(
        'audit_backlog_limit=64 audit_backlog_limit=8192 quiet',
        'audit_backlog_limit=64 audit_backlog_limit=8192',
      ),
    },
    says: SET,
  },
  {
    name: 'update-grub: what stands behind ours and is lower wins, so ours is taken back',
    files: debian('GRUB_CMDLINE_LINUX_DEFAULT="audit_backlog_limit=64"\nGRUB_CMDLINE_LINUX=""\n', {
      'boot/grub/grub.cfg': config(' audit_backlog_limit=64', ''),
    }),
    changes: {},
    says: /could not be set on the kernel command line: update-grub does not bring it into every entry of \/boot\/grub\/grub\.cfg\.$/,
  },
  {
    name: 'update-grub: our own file of an earlier run is raised',
    files: debian(SETTINGS, { [OWN]: LINE.replace('8192', '4096') }),
    changes: {
      [OWN]: LINE,
      [`${OWN}.audit-backlog.bak`]: LINE.replace('8192', '4096'),
      'boot/grub/grub.cfg': config(
        'console=ttyS0 audit_backlog_limit=8192 quiet',
        'console=ttyS0 audit_backlog_limit=8192',
      ),
    },
    says: SET,
  },
  ...(['fails', 'ignores', 'hangs'] as const).map((bootTool) => ({
    name: `update-grub that ${bootTool}: our file goes again`,
    files: debian(),
    kernel: { bootTool },
    changes: {},
    says: FAILED,
  })),
  {
    name: 'update-grub: no grub.cfg',
    files: { ...debian(), 'boot/grub/grub.cfg': null },
    changes: {},
    says: /was not changed: update-grub shows no entry/,
    never: /update-grub/,
  },
  {
    name: 'grub2-mkconfig: a line at the end of /etc/default/grub, with a backup',
    files: sles(),
    changes: {
      'etc/default/grub': SETTINGS + LINE,
      'etc/default/grub.audit-backlog.bak': SETTINGS,
      'boot/grub2/grub.cfg': config(
        'console=ttyS0 audit_backlog_limit=8192 quiet',
        'console=ttyS0 audit_backlog_limit=8192',
      ),
    },
    says: SET,
  },
  {
    name: 'grub2-mkconfig: a last line without a line end',
    files: sles(`# caf\xe9\n${SETTINGS.trimEnd()}`),
    changes: {
      'etc/default/grub': `# caf\xe9\n${SETTINGS}${LINE}`,
      'etc/default/grub.audit-backlog.bak': `# caf\xe9\n${SETTINGS.trimEnd()}`,
      'boot/grub2/grub.cfg': config(
        'console=ttyS0 audit_backlog_limit=8192 quiet',
        'console=ttyS0 audit_backlog_limit=8192',
      ),
    },
    says: SET,
  },
  {
    name: 'grub2-mkconfig: our line of an earlier run is replaced, not added to',
    files: sles(`${SETTINGS}${LINE.replace('8192', '64')}# end\n`),
    changes: {
      'etc/default/grub': `${SETTINGS}# end\n${LINE}`,
      'etc/default/grub.audit-backlog.bak': `${SETTINGS}${LINE.replace('8192', '64')}# end\n`,
      'boot/grub2/grub.cfg': config(
        'console=ttyS0 audit_backlog_limit=8192 quiet',
        'console=ttyS0 audit_backlog_limit=8192',
      ),
    },
    says: SET,
  },
  {
    name: 'grub2-mkconfig that fails: the old file is back',
    files: sles(),
    kernel: { bootTool: 'fails' },
    changes: {},
    says: FAILED,
  },
  {
    name: 'a file that cannot be replaced',
    files: sles(),
    kernel: { fails: 'mv' },
    changes: { 'etc/default/grub.audit-backlog.bak': SETTINGS },
    says: /could not be set on the kernel command line: cannot replace etc\/default\/grub \(chattr \+i\?\)/,
    never: /grub2-mkconfig/,
  },
  {
    name: 'no boot loader that it knows',
    files: {},
    changes: {},
    says: /was not changed: neither grubby nor update-grub is here/,
  },
];

/** Latin-1 on both sides: bytes stay bytes. */
const bytes = (files: Files): Files =>
  Object.fromEntries(
    Object.entries(files).map(([path, entry]) => [
      path,
      typeof entry === 'string' ? Buffer.from(entry, 'latin1') : entry,
    ]),
  );

const machineOf = (c: Pick<Case, 'files' | 'kernel'>) =>
  new Machine({ ...CURED, ...bytes(c.files) }, { limit: 8192, ...c.kernel });

/** Each case under one of the shells by turns; `npm run test:long`: under each of them. */
const casesOf = (i: number) => CASES.filter((_, at) => LONG || at % SHELLS.length === i);

describe.each(SHELLS.map((shell, i) => [shell.name, shell, i] as const))(
  'BootLimit under %s',
  (_name, { command: shell, awk }, i) => {
    it.each(casesOf(i).map((c) => [c.name, c] as const))('%s', (_, c) => {
      const machine = machineOf(c);
      try {
        if (!c.kernel?.fails && awk !== null) machine.command('awk', `#!/bin/sh\nexec ${awk} "$@"\n`);
        const before = machine.tree(false);
        const run = machine.run(BOOT, { shell, patience: c.kernel?.bootTool === 'hangs' ? 1 : 20 });
        expect(run.answer).toMatchObject({ outcome: 'already-sufficient' });
        expect(run).toMatchObject({ status: 0, stderr: '' });
        expect(run.answer.message).toMatch(c.says);
        const after = machine.tree(false);
        for (const path of new Set([...Object.keys(before), ...Object.keys(after)])) {
          const text = c.changes[path];
          if (text === undefined) expect([path, after[path]]).toEqual([path, before[path]]);
          else expect([path, machine.read(path)]).toEqual([path, text]);
        }
        for (const path of Object.keys(c.changes)) expect(after).toHaveProperty([path]);
        if (c.never) expect(machine.calls()).not.toContainEqual(expect.stringMatching(c.never));
      } finally {
        machine.dispose();
      }
    });
  },
);

describe('BootLimit', () => {
  it('is off by default, and then nothing asks a boot loader', () => {
    withMachine({ [RULES]: '-b 320\n', ...grubby('ro') }, {}, (machine) => {
      expect(machine.run().answer.outcome).toBe('resized');
      expect(machine.calls().filter((call) => call.includes('grub'))).toEqual([]);
    });
  });

  it.each([grubby('ro'), debian(), sles()])(
    'sets what the rules file got, and a second run changes nothing (%#)',
    (files) => {
      withMachine({ [RULES]: '-b 320\n', ...files }, {}, (machine) => {
        const planned = machine.tree();
        expect(machine.run({ ...BOOT, OverflowedAt: '5000', Mode: 'plan' }).answer.message).toMatch(
          /Would set audit_backlog_limit=10000 on the kernel command line\.$/,
        );
        expect(machine.tree()).toEqual(planned);
        const first = machine.run({ ...BOOT, OverflowedAt: '5000' });
        expect(first.answer).toMatchObject({ outcome: 'resized', target: 10_000 });
        expect(first.answer.message).toMatch(/Set audit_backlog_limit=10000/);
        const proven = machine.tree();
        const second = machine.run({ ...BOOT, OverflowedAt: '5000' });
        expect(second.answer).toMatchObject({ outcome: 'already-sufficient' });
        expect(second.answer.message).toMatch(/The kernel command line has audit_backlog_limit=10000\.$/);
        expect({ ...machine.tree(), run: '' }).toEqual({ ...proven, run: '' });
      });
    },
  );

  it.each<[string, Partial<Kernel>, Files]>([
    ['unlimited', { limit: 0 }, {}],
    ['unsafe-kernel', { release: '5.10.240-238.955.amzn2.x86_64' }, {}],
    ['insufficient-memory', {}, { 'proc/meminfo': 'MemTotal: 20000 kB\nMemFree: 1 kB\nMemAvailable: 18000 kB\n' }],
    ['rolled-back', { set: 'refuse' }, {}],
    ['failed', { status: 'empty' }, {}],
  ])('is not touched where no limit was proven: %s', (_, kernel, files) => {
    withMachine({ [RULES]: '-b 320\n', ...grubby('ro'), ...files }, kernel, (machine) => {
      machine.run({ ...BOOT, RestartAuditd: 'never' });
      expect(machine.calls().filter((call) => call.includes('grubby'))).toEqual([]);
    });
  });

  it('comes with immutable rules too, whose limit waits for the reboot', () => {
    withMachine({ [RULES]: '-b 320\n', ...grubby('ro') }, { enabled: 2 }, (machine) => {
      const { answer } = machine.run(BOOT);
      expect(answer.outcome).toBe('pending-reboot');
      expect(answer.message).toMatch(SET);
    });
  });

  const points = (['cp', 'sync', 'mv'] as const).flatMap((killAt) =>
    (['before', 'after'] as const).map((killWhen) => [killAt, killWhen] as const),
  );

  it.each([...points, ['boot-config', 'before'] as const])(
    'a kill -9 at %s, %s it, leaves settings that are old or new, and the next run ends the work',
    async (killAt, killWhen) => {
      const machine = machineOf({ files: sles(), kernel: { killAt, killWhen } });
      try {
        expect(await machine.start(BOOT)).toEqual({ status: null, stdout: '' });
        expect(machine.get('killAt')).toBe('');
        const placed = killAt === 'boot-config' || (killAt === 'mv' && killWhen === 'after');
        expect(machine.read('etc/default/grub')).toBe(placed ? SETTINGS + LINE : SETTINGS);
        expect(machine.read('boot/grub2/grub.cfg')).toBe(config('console=ttyS0 quiet', 'console=ttyS0'));
        expect(machine.run(BOOT).answer.message).toMatch(SET);
        expect(machine.read('etc/default/grub')).toBe(SETTINGS + LINE);
        expect(Object.keys(machine.tree()).filter((path) => /\.tmp|\.lock/.test(path))).toEqual([]);
      } finally {
        machine.dispose();
      }
    },
  );

  it('without its part of the document it is refused before anything is touched', () => {
    withMachine({ [RULES]: '-b 320\n', ...grubby('ro') }, {}, (machine) => {
      writeFileSync(machine.script, SCRIPT.replaceAll('set_boot_limit()', 'another()'));
      expect(machine.run(BOOT).answer).toMatchObject({ outcome: 'failed' });
      expect(machine.calls()).toEqual([]);
    });
  });
});
