import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Evidence, evidenceKey, readEvidence } from '../../domain/evidence.ts';

const captured = [
  'cycle-systemd.log',
  'overflow-systemd.log',
  'panic-f2.log',
  'boot-audit1-no-auditd.log',
  'boot-sysv.log',
].map((name) => readFileSync(join(__dirname, '../fixtures/evidence', name), 'utf8'));

const PIECES = [
  ...['[   26.427395] ', '<4>', 'kernel: ', 'ip-10-0-0-1 login: ', 'Nov 22 04:05:06 host ', '[  OK  ] ', '         '],
  ...[
    'audit: ',
    'audit_backlog=65 > ',
    'audit_backlog_limit=64',
    'audit_lost=3 audit_rate_limit=0 ',
    'backlog limit exceeded',
  ],
  ...[
    'Kernel panic - not syncing: ',
    'audit_printk_skb: 5 callbacks suppressed',
    '[    0.000000] Linux version 6.1.0 (a) #1',
  ],
  ...[
    '\n',
    '\n',
    '\r\n',
    '\r',
    '\0',
    '\x1b[31m',
    '\x1b]0;x\x07',
    '\x1b[',
    '\ud800',
    '\ufeff',
    '```',
    '<<EOF',
    'EOF',
    '"""',
    '<pre>',
    '[',
    ' ',
  ],
];
const mess = fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 8 })), {
  maxLength: 60,
});

function expectWellFormed(e: Evidence, lines: number): void {
  expect(['overflow', 'suspected', 'none']).toContain(e.verdict);
  expect(e.evidence.length).toBeLessThanOrEqual(20);
  expect(e.evidence.length > 0).toBe(e.verdict !== 'none');
  expect(e.empty).toBe(e.boots === 0);
  expect(e.currentBoot === null || e.verdict !== 'none').toBe(true);
  expect(e.panicEndsBoot && !e.panic).toBe(false);
  expect(evidenceKey(e)).toMatch(/^[A-Za-z0-9.:|-]{1,80}$/);
  let before = 0;
  for (const { line, text } of e.evidence) {
    expect(line).toBeGreaterThanOrEqual(before);
    expect(line).toBeLessThanOrEqual(lines);
    expect(text.length).toBeLessThanOrEqual(200);
    // Unassigned and private-use characters are the console's own text: a terminal draws a box for them.
    expect(text).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);
    before = line;
  }
}

describe('any input', () => {
  it('text made of the detector’s own words never throws', () => {
    fc.assert(
      fc.property(mess, (pieces) => {
        const text = pieces.join('');
        expectWellFormed(readEvidence(text), text.split('\n').length);
      }),
      { numRuns: 2000, examples: [[['[   26.427395] ', 'audit: ', 'audit_backlog=65 > ', '\ud7a4\ue000\u0378']]] },
    );
  });

  it('bytes never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => expectWellFormed(readEvidence(bytes), 2001)));
  });

  it('a console cut anywhere at both ends never throws, and keeps its verdict while whole lines stand', () => {
    fc.assert(
      fc.property(fc.constantFrom(...captured), fc.nat(), fc.nat(), (text, a, b) => {
        const [from, to] = [a % text.length, b % text.length].sort((x, y) => x - y) as [number, number];
        const part = text.slice(from, to);
        const whole = part.slice(part.indexOf('\n') + 1, part.lastIndexOf('\n') + 1);
        const e = readEvidence(part);
        expectWellFormed(e, part.split('\n').length);
        if (readEvidence(whole).verdict === 'overflow') expect(e.verdict).toBe('overflow');
        if (readEvidence(text).verdict === 'none') expect(e.verdict).toBe('none');
      }),
      { numRuns: 300 },
    );
  });
});

/** Characters handed to the engine's searches while a text is read: what linear time means without a clock. */
function work(text: string): number {
  let sum = 0;
  const { exec } = RegExp.prototype;
  const { indexOf } = String.prototype;
  RegExp.prototype.exec = function (this: RegExp, input: string) {
    // a sticky or global search goes on where it stopped
    sum += input.length - this.lastIndex;
    const found = exec.call(this, input);
    if (this.global && found !== null) sum -= input.length - (found.index + found[0].length);
    return found;
  };
  String.prototype.indexOf = function (this: string, what: string, from = 0) {
    const at = indexOf.call(this, what, from);
    sum += (at < 0 ? this.length : at) - from;
    return at;
  };
  try {
    readEvidence(text);
  } finally {
    RegExp.prototype.exec = exec;
    String.prototype.indexOf = indexOf;
  }
  return sum;
}

const HOSTILE: readonly [name: string, unit: string][] = [
  ...[
    '[',
    '\0',
    '\n',
    '\r',
    '\r\n',
    '\x1b[',
    '\x1b]',
    '\x1b[0m',
    '[0m',
    '[1;',
    ' ',
    '"',
    '"""\n',
    '`',
    '<',
    '<<',
    '<<E ',
    'EOF\n',
    '```\n',
  ].map((unit): [string, string] => [JSON.stringify(unit), unit]),
  ...[
    'kernel: ',
    'kernel',
    'a login: ',
    '[    1.000000] ',
    '[    1.000000]',
    'audit: ',
    '<4>',
    'Nov 22 04:05:06 h ',
    '[  OK  ] ',
    'a b ',
  ].map((unit): [string, string] => [unit, unit]),
  ['storm', '[   26.432718] audit: backlog limit exceeded\n'],
  ['torn storm', '[   26.432718] audit: audit_backlog=65 > '],
  ['quoted storm', '```\n[   26.432718] audit: backlog limit exceeded\n```\n'],
  ['banners', '[    0.000000] Linux version 6.1.0 (a) #1\n'],
  ['header words', 'Nov 22 04:05:06 a a a a a a kernel\n'],
  ['panics', '[    9.000000] Kernel panic - not syncing: audit: backlog limit exceeded\n'],
];

describe('linear', () => {
  it.each(HOSTILE)('the work grows with the text: %s', (_name, unit) => {
    const base = unit.repeat(Math.ceil(40_000 / unit.length));
    const [small, large] = [work(base), work(base.repeat(8))];
    expect(large).toBeLessThanOrEqual(small * 8.5 + 10_000);
    expect(small).toBeLessThan(base.length * 200 + 100_000);
  });

  it.each(['[', '\0', '\n', '\r', '\x1b]', '[0m', ' ', 'kernel: ', '[   26.432718] audit: backlog limit exceeded\n'])(
    '3 MiB: %j',
    (unit) => {
      const text = unit.repeat(Math.ceil((3 * 1024 * 1024) / unit.length));
      expectWellFormed(readEvidence(text), text.length + 1);
    },
  );
});

/** One line of a made-up console, with what it means. */
interface Made {
  text: string;
  means?: 'over' | 'lost' | 'exceeded' | 'other' | 'hold' | 'panic' | 'start' | 'skb' | 'kauditd' | 'boot';
  n?: number;
  m?: number;
}

const number = fc.integer({ min: 1, max: 99_999 });
const kernelSays = fc.oneof(
  fc
    .tuple(number, number)
    .map(([n, m]): Made => ({ text: `audit: audit_backlog=${n} > audit_backlog_limit=${m}`, means: 'over', n, m })),
  fc.tuple(fc.integer({ min: -99, max: 99_999 }), number).map(
    ([n, m]): Made => ({
      text: `audit: audit_lost=${n} audit_rate_limit=0 audit_backlog_limit=${m}`,
      means: 'lost',
      n,
      m,
    }),
  ),
  fc.constant<Made>({ text: 'audit: backlog limit exceeded', means: 'exceeded' }),
  fc.constant<Made>({ text: 'audit: kauditd hold queue overflow', means: 'hold' }),
  fc.constant<Made>({ text: 'audit: rate limit exceeded', means: 'other' }),
  fc.constant<Made>({ text: 'Kernel panic - not syncing: audit: backlog limit exceeded', means: 'panic' }),
  number.map((n): Made => ({ text: `audit_log_start: ${n} callbacks suppressed`, means: 'start', n })),
  number.map((n): Made => ({ text: `audit_printk_skb: ${n} callbacks suppressed`, means: 'skb', n })),
  number.map((n): Made => ({ text: `kauditd_printk_skb: ${n} callbacks suppressed`, means: 'kauditd', n })),
  fc.constantFrom<Made>(
    { text: 'usb 1-1: new high-speed USB device' },
    { text: 'Command line: ro audit_backlog_limit=8192' },
    { text: 'audit: audit_backlog_limit: 8192' },
    { text: 'audit: type=1305 audit(1795359020.247:16): op=set audit_backlog_limit=8192 old=64 res=1' },
    { text: 'cloud-init[611]: audit: backlog limit exceeded' },
  ),
  fc.constant<Made>({ text: 'Linux version 6.1.0-made (builder) #1 SMP', means: 'boot' }),
);
const userSays = fc.constantFrom(
  ...[
    'backlog_limit 8192',
    'lost 12',
    '# audit: backlog limit exceeded',
    'grep "audit: audit_backlog=" f',
    'ip login: ',
    '',
  ],
  ...['  OK  ', '> [   26.432718] audit: backlog limit exceeded', 'cloud-init[7]: audit: backlog limit exceeded'],
);
const sources = fc.array(fc.oneof({ arbitrary: kernelSays, weight: 3 }, userSays), { minLength: 1, maxLength: 40 });

/** Written apart from the detector: the meaning of each line is known, boots are lists, everything is looked up anew. */
function reference(
  made: readonly (Made | string)[],
): Pick<Evidence, 'verdict' | 'limit' | 'backlog' | 'lost' | 'panic' | 'currentBoot'> {
  const boots: Made[][] = [[]];
  for (const line of made) {
    if (typeof line === 'string') continue;
    if (line.means === 'boot') boots.push([]);
    else boots.at(-1)?.push(line);
  }
  const has = (boot: Made[], ...means: string[]) => boot.some((line) => means.includes(line.means ?? ''));
  const OVERFLOW = ['over', 'exceeded', 'hold', 'panic', 'start'];
  const boot = boots.findLast((lines) => has(lines, ...OVERFLOW));
  const none = { limit: null, backlog: null, lost: null, panic: false };
  if (boot === undefined) {
    const suspected = boots.findLast((lines) => has(lines, 'skb'));
    if (suspected === undefined) return { verdict: 'none', ...none, currentBoot: null };
    return { verdict: 'suspected', ...none, currentBoot: suspected === boots.at(-1) };
  }
  const audit = boot.filter((line) => line.means !== undefined);
  const limits = audit.filter(
    ({ means }, i) => means === 'over' || (means === 'lost' && audit[i + 1]?.means !== 'other'),
  );
  const lost = audit.filter(({ means }) => means === 'lost').map(({ n }) => n ?? 0);
  return {
    verdict: 'overflow',
    limit: limits.at(-1)?.m ?? null,
    backlog: audit.findLast(({ means }) => means === 'over')?.n ?? null,
    lost: lost.length === 0 ? null : Math.max(...lost),
    panic: has(boot, 'panic'),
    currentBoot: boot === boots.at(-1),
  };
}

const PREFIXES: readonly ((seconds: number) => string)[] = [
  (s) => `[${s.toFixed(6).padStart(12)}] `,
  (s) => `[${s.toFixed(6).padStart(12)}][  T123] `,
  (s) => `<4>[${s.toFixed(6).padStart(12)}] `,
  (s) => `Nov 22 04:05:06 ip-10-0-1-23 kernel: [${s.toFixed(6).padStart(12)}] `,
  (s) => `2026-11-22T04:05:06.123456+00:00 ip-10-0-1-23 kernel: [${s.toFixed(6).padStart(12)}] `,
  (s) => `[${s.toFixed(6).padStart(12)}] ip-10-0-1-23 kernel: `,
];

function rendered(made: readonly (Made | string)[], prefix: (seconds: number) => string, end: string): string {
  let seconds = 5;
  return made
    .map((line) => {
      if (typeof line === 'string') return line + end;
      // a boot's banner is stamped 0
      seconds = line.means === 'boot' ? 0 : seconds + 1.5;
      return prefix(seconds) + line.text + end;
    })
    .join('');
}

describe('against a naive reference', () => {
  const parts = fc.tuple(sources, fc.constantFrom(...PREFIXES), fc.constantFrom('\n', '\r\n', '\r\r\n'));

  it('verdict and numbers agree on any mixture of lines', () => {
    fc.assert(
      fc.property(parts, ([made, prefix, end]) => {
        // a first line without the kernel's stamp would leave it open whether a boot came before
        const text = `${prefix(4)}sd 0:0:0:0: [sda] Attached${end}${rendered(made, prefix, end)}`;
        expect(readEvidence(text)).toMatchObject(reference(made));
      }),
      { numRuns: 2000 },
    );
  });

  it('every evidence line stands where it says', () => {
    fc.assert(
      fc.property(parts, ([made, prefix, end]) => {
        const text = rendered(made, prefix, end);
        const lines = text.split('\n').map((line) => line.replace(/\r/g, '').trim());
        for (const { line, text: shown } of readEvidence(text).evidence) expect(shown).toBe(lines[line - 1]);
      }),
    );
  });

  it('line ends and colours change nothing', () => {
    fc.assert(
      fc.property(sources, fc.constantFrom(...PREFIXES), (made, prefix) => {
        const plain = readEvidence(rendered(made, prefix, '\n'));
        expect(readEvidence(rendered(made, prefix, '\r\n'))).toEqual(plain);
        expect(readEvidence(rendered(made, (s) => `\x1b[32m${prefix(s)}\x1b[0m\x1b[1;33m`, '\x1b[0m\n'))).toEqual(
          plain,
        );
        expect(readEvidence(new TextEncoder().encode(rendered(made, prefix, '\n')))).toEqual(plain);
      }),
    );
  });

  it('kernel lines that say nothing of audit, before or after, leave the verdict', () => {
    fc.assert(
      fc.property(sources, fc.constantFrom(...PREFIXES), (made, prefix) => {
        const text = `${prefix(4)}sd 0:0:0:0: [sda] Attached\n${rendered(made, prefix, '\n')}`;
        const { verdict, limit, lost } = readEvidence(text);
        const other = `${prefix(1)}random: crng init done\n`;
        expect(readEvidence(other + text)).toMatchObject({ verdict, limit, lost });
        expect(readEvidence(text + other)).toMatchObject({ verdict, limit, lost });
      }),
    );
  });
});
