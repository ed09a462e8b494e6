import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  detectReport,
  EVIDENCE_RULES,
  evidenceKey,
  explainRule,
  isSameEvidence,
  readEvidence,
} from '../../domain/evidence.ts';

const fixture = (name: string): Buffer => readFileSync(join(__dirname, '../fixtures/evidence', name));

const STORM = [
  '[   26.427395] audit: audit_backlog=65 > audit_backlog_limit=64',
  '[   26.432388] audit: audit_lost=1 audit_rate_limit=0 audit_backlog_limit=64',
  '[   26.432718] audit: backlog limit exceeded',
].join('\n');
const BANNER = '[    0.000000] Linux version 6.1.0-56-cloud-amd64 (builder@example.org) (gcc-12) #1 SMP';
const QUIET_LINE = '[    1.048413] audit: type=2000 audit(1795359143.464:1): state=initialized audit_enabled=0 res=1';

describe('rules', () => {
  it('have unique ids, an explanation and fixtures both ways', () => {
    expect(new Set(EVIDENCE_RULES.map((rule) => rule.id)).size).toBe(EVIDENCE_RULES.length);
    for (const rule of EVIDENCE_RULES) {
      expect([rule.id, rule.explanation.length > 80, rule.for.length > 0, rule.against.length > 0]).toEqual([
        rule.id,
        true,
        true,
        true,
      ]);
      expect(explainRule(rule.id)).toBe(rule);
    }
    expect(explainRule('no-such-rule')).toBeNull();
  });

  // what only proves something in company is put beside an overflow, so that its line is listed
  const kindsOf = (line: string): string[] =>
    readEvidence(`${QUIET_LINE}\n${line}\n${STORM}\n`)
      .evidence.filter((found) => found.line === 2)
      .map((found) => found.kind);
  const verdicts = { overflow: 'overflow', suspected: 'suspected', context: 'none', 'other-cause': 'none' } as const;

  for (const rule of EVIDENCE_RULES) {
    it.each(rule.for)(`${rule.id} takes: %s`, (line) => {
      expect(readEvidence(`${line}\n`).verdict).toBe(verdicts[rule.proves]);
      expect(kindsOf(line)).toEqual(rule.proves === 'other-cause' ? [] : [rule.id]);
    });
    it.each(rule.against)(`${rule.id} leaves: %s`, (line) => {
      expect(kindsOf(line)).not.toContain(rule.id);
      if (!EVIDENCE_RULES.some((other) => other.id !== rule.id && other.for.includes(line))) {
        expect(readEvidence(`${QUIET_LINE}\n${line}\n`).verdict).toBe('none');
      }
    });
  }
});

describe('captured consoles', () => {
  it.each([
    ['cycle-systemd.log', 'overflow', 64, 65, 3, null, false, true],
    ['overflow-systemd.log', 'overflow', 64, 65, 514447, 608849, false, true],
    ['boot-audit1-no-auditd.log', 'overflow', 64, 65, 86476, 122389, false, true],
    ['panic-f2.log', 'overflow', 64, 65, 1, null, true, true],
    ['boot-cmdline-limit-128.log', 'none', null, null, null, 3, false, null],
    ['boot-sysv.log', 'none', null, null, null, null, false, null],
    ['guide.md', 'none', null, null, null, null, false, null],
    ['user-data.log', 'none', null, null, null, null, false, null],
  ])('%s', (name, verdict, limit, backlog, lost, suppressed, panic, currentBoot) => {
    expect(readEvidence(fixture(name))).toMatchObject({
      ...{ verdict, limit, backlog, lost, suppressed, panic, currentBoot },
    });
  });

  it('name the kernel, the last overflow and the lines it stands on', () => {
    const e = readEvidence(fixture('cycle-systemd.log'));
    expect(e).toMatchObject({ kernel: '6.1.0-56-cloud-amd64', stamp: 26.445546, boots: 1, empty: false });
    expect(e.evidence).toHaveLength(10);
    const lines = fixture('cycle-systemd.log').toString('latin1').split('\n');
    for (const { line, text } of e.evidence) expect(lines[line - 1]?.trim()).toBe(text);
  });

  it('an older boot that overflowed leaves its numbers, and is not the current one', () => {
    const both = Buffer.concat([fixture('cycle-systemd.log'), fixture('boot-sysv.log')]);
    expect(readEvidence(both)).toMatchObject({ verdict: 'overflow', limit: 64, lost: 3, currentBoot: false, boots: 2 });
  });

  it('of two boots that overflowed the newer one is told', () => {
    const both = Buffer.concat([fixture('boot-audit1-no-auditd.log'), fixture('cycle-systemd.log')]);
    expect(readEvidence(both)).toMatchObject({ lost: 3, suppressed: null, currentBoot: true, boots: 2 });
  });
});

describe('quotations', () => {
  it('a divider in a login banner is no fence, a language after a fence is', () => {
    const storm = Array.from({ length: 60 }, (_, i) => `[  ${100 + i}.000000] audit: backlog limit exceeded\n`).join(
      '',
    );
    const issue = '~~~~~~~~~~~~~~~~~~~~~~~~\nAuthorized users only\nip-10-0-0-1 login: \n';
    expect(readEvidence(`${issue}${storm}${issue}`).verdict).toBe('overflow');
    expect(readEvidence(`app: see\n\`\`\` console\n${storm}\`\`\`\n`).verdict).toBe('none');
  });

  it('a fence that is never closed hides nothing', () => {
    expect(readEvidence(`${'```'}\n${QUIET_LINE}\n${STORM}\n`).verdict).toBe('overflow');
    expect(readEvidence(`cat <<EOF\n${'line\n'.repeat(300)}${STORM}\nEOF\n`).verdict).toBe('overflow');
  });

  it('kernel lines after a sentence count where the text is a console', () => {
    const sentence = 'The system is going down for maintenance and you will see this message:';
    expect(readEvidence(`${sentence}\n${STORM}\n`).verdict).toBe('none');
    expect(readEvidence(`${QUIET_LINE}\n${sentence}\n${STORM}\n`).verdict).toBe('overflow');
  });

  it('a legal notice above the login prompt introduces nothing', () => {
    const notice = 'This system is for the use of authorized users only. All activity may be monitored.\n';
    expect(readEvidence(`${notice}\nip-10-0-1-23 login: ${STORM}\n`)).toMatchObject({ verdict: 'overflow', limit: 64 });
    expect(readEvidence(`${notice}\nip-10-0-1-23 login: \n${STORM}\n`)).toMatchObject({
      verdict: 'overflow',
      limit: 64,
    });
    expect(readEvidence(`${notice}\n${`${STORM}\n`.repeat(5)}`)).toMatchObject({ verdict: 'overflow', limit: 64 });
  });

  it('an indented line counts only in a console', () => {
    const indented = '         [   26.432718] audit: backlog limit exceeded\n';
    expect(readEvidence(indented).verdict).toBe('none');
    expect(readEvidence(`${QUIET_LINE}\n${indented}`).verdict).toBe('overflow');
  });
});

describe('numbers', () => {
  const at = (seconds: number, message: string): string => `[${seconds.toFixed(6).padStart(12)}] ${message}\n`;

  it('a loss for another reason names no limit, but its counter counts', () => {
    const text =
      at(1, 'audit: audit_backlog=65 > audit_backlog_limit=64') +
      at(2, 'audit: audit_lost=9 audit_rate_limit=5 audit_backlog_limit=128') +
      at(2, 'audit: rate limit exceeded');
    expect(readEvidence(text)).toMatchObject({ verdict: 'overflow', limit: 64, lost: 9 });
  });

  it('the rate limit alone is no overflow', () => {
    const text =
      at(2, 'audit: audit_lost=9 audit_rate_limit=5 audit_backlog_limit=64') + at(2, 'audit: rate limit exceeded');
    expect(readEvidence(text)).toMatchObject({ verdict: 'none', limit: null, lost: null, evidence: [] });
  });

  it('a counter that wrapped is negative', () => {
    const text =
      at(1, 'audit: audit_lost=-2147483000 audit_rate_limit=0 audit_backlog_limit=320') +
      at(1, 'audit: backlog limit exceeded');
    expect(readEvidence(text)).toMatchObject({ lost: -2147483000, limit: 320 });
  });

  it('a limit cut off by the end of the text is ignored unless it cannot be longer', () => {
    const cut = (line: string) => readEvidence(`[   26.427395] audit: ${line}`);
    expect(cut('audit_backlog=8193 > audit_backlog_limit=81')).toMatchObject({
      verdict: 'overflow',
      limit: null,
      backlog: 8193,
    });
    expect(cut('audit_backlog=65 > audit_backlog_limit=64')).toMatchObject({ limit: 64 });
    expect(
      readEvidence(`${STORM}\n[   26.5] audit: audit_lost=7 audit_rate_limit=0 audit_backlog_limit=6`),
    ).toMatchObject({
      limit: 64,
      lost: 7,
    });
  });

  it('the head of the first line may have fallen out of the buffer', () => {
    for (const cut of [
      'backlog=65 > audit_backlog_limit=64',
      'cklog limit exceeded',
      '6.432718] audit: backlog limit exceeded',
    ]) {
      expect([cut, readEvidence(`${cut}\n[   26.5] random: crng init done\n`).verdict]).toEqual([cut, 'overflow']);
      expect([cut, readEvidence(`${cut}\nis what it says\n`).verdict]).toEqual([cut, 'none']);
    }
    expect(readEvidence('limit exceeded\n[   26.5] random: crng init done\n').verdict).toBe('none');
  });

  it('the last suppressed number is kept, of the boot that is told', () => {
    const text = at(9, 'audit_printk_skb: 5 callbacks suppressed') + at(19, 'audit_printk_skb: 7 callbacks suppressed');
    expect(readEvidence(text)).toMatchObject({ verdict: 'suspected', suppressed: 7, stamp: 19, currentBoot: true });
    expect(readEvidence(text + at(1, 'usb 1-1: new device'))).toMatchObject({
      verdict: 'suspected',
      currentBoot: false,
    });
  });
});

describe('boots', () => {
  it('kernel time that steps back begins one, a banner pushed out by a storm or not', () => {
    expect(readEvidence(`${STORM}\n[    2.100000] usb 1-1: new device\n`)).toMatchObject({
      currentBoot: false,
      boots: 2,
    });
    expect(readEvidence(`${STORM}\n[   99.100000] usb 1-1: new device\n`)).toMatchObject({
      currentBoot: true,
      boots: 1,
    });
  });

  it('lines of other processors printed a little late do not', () => {
    expect(readEvidence(`${STORM}\n[   26.432700] x: y\n`)).toMatchObject({ currentBoot: true, boots: 1 });
  });

  it('a step back and the banner just after it are one boot', () => {
    const text = `${STORM}\n[    0.000000] Booting Linux on physical CPU 0x0\n${BANNER}\n`;
    expect(readEvidence(text)).toMatchObject({ boots: 2, currentBoot: false, kernel: null });
  });

  it('a storm begins where the overflows that go on to the last one began', () => {
    const at = (seconds: number) => `[ ${seconds}.000000] audit: audit_backlog=65 > audit_backlog_limit=64\n`;
    const sleepers = Array.from({ length: 100 }, (_, minute) => at(5000 + minute * 60)).join('');
    expect(readEvidence(sleepers)).toMatchObject({ stormStamp: 5000, stamp: 10_940 });
    expect(readEvidence(at(100) + at(280) + at(461))).toMatchObject({ stormStamp: 461, stamp: 461 });
    expect(readEvidence(at(100) + at(280))).toMatchObject({ stormStamp: 100, stamp: 280 });
    expect(readEvidence(`${at(500)}${BANNER}\n${at(510)}`)).toMatchObject({ stormStamp: 510, stamp: 510 });
    expect(readEvidence(`${BANNER}\n`)).toMatchObject({ stormStamp: null, stamp: null });
  });

  it('nothing tells boots apart: null', () => {
    const bare = 'audit: audit_backlog=65 > audit_backlog_limit=64\n';
    const syslog = 'Nov 22 04:05:06 host kernel: audit: backlog limit exceeded\n';
    const banner = 'Linux version 2.6.32-754.el6.x86_64 (builder@example.org) (gcc version 4.4.7) #1 SMP\n';
    expect(readEvidence(bare)).toMatchObject({ verdict: 'overflow', currentBoot: null, stamp: null });
    expect(readEvidence(syslog)).toMatchObject({ verdict: 'overflow', currentBoot: null, stamp: null });
    expect(readEvidence(banner + bare)).toMatchObject({ currentBoot: true, boots: 1, kernel: '2.6.32-754.el6.x86_64' });
    expect(readEvidence(bare + banner)).toMatchObject({ currentBoot: false, boots: 2, kernel: null });
  });

  it('a quoted banner begins none', () => {
    expect(readEvidence(`${STORM}\n# Linux version 6.1.0 (x) #1 SMP\necho Linux version 6.1.0 (x)\n`).boots).toBe(1);
  });
});

describe('panic', () => {
  it('ends the boot when only its trace follows', () => {
    const panic = fixture('panic-f2.log').toString();
    expect(readEvidence(panic).panicEndsBoot).toBe(true);
    expect(readEvidence(panic.replace(/\r/g, '')).panicEndsBoot).toBe(true);
    expect(
      readEvidence(`${panic}[   19.66] ---[ end Kernel panic - not syncing: audit: backlog limit exceeded ]---\n`),
    ).toMatchObject({
      panicEndsBoot: true,
    });
  });

  it('does not end it when anything else follows', () => {
    const panic = fixture('panic-f2.log').toString();
    for (const alive of [
      'ip-10-0-1-23 login: ',
      '[   25.000000] usb 1-1: new device',
      'Starting sshd',
      '[   99.000000] audit: backlog limit exceeded',
    ]) {
      expect([alive, readEvidence(panic + alive)]).toEqual([
        alive,
        expect.objectContaining({ panic: true, panicEndsBoot: false }),
      ]);
    }
  });

  it('by another audit error is no evidence', () => {
    expect(readEvidence('[   19.6] Kernel panic - not syncing: audit: rate limit exceeded\n')).toMatchObject({
      ...{ verdict: 'none', panic: false, panicEndsBoot: false },
    });
  });
});

describe('any text', () => {
  it('blank is empty, not healthy', () => {
    for (const blank of ['', ' \r\n\t\n', '\0\0\x1b[0m\n', new Uint8Array()]) {
      expect(readEvidence(blank)).toMatchObject({ verdict: 'none', empty: true, boots: 0 });
    }
    expect(readEvidence('x').empty).toBe(false);
  });

  it('evidence is bounded: the first ten lines and the last ten', () => {
    const line = '[   26.432718] audit: backlog limit exceeded\n';
    const kept = readEvidence(line.repeat(1000)).evidence.map((found) => found.line);
    expect(kept).toEqual([...Array(10).keys()].map((n) => n + 1).concat([...Array(10).keys()].map((n) => n + 991)));
  });

  it('what is shown has no control, format or half characters and at most 200', () => {
    const text = `[   26.4] audit: audit_backlog=65 > \x1b[31m\u202e\ud800${'y'.repeat(500)}\x07\n`;
    const shown = readEvidence(text).evidence[0]?.text ?? '';
    expect(shown).toHaveLength(200);
    expect(shown).toMatch(/^[\P{C}]*$/u);
  });

  it('numbers beyond 32 bits are torn', () => {
    expect(readEvidence('[   26.4] audit: audit_backlog=9999999999 > audit_backlog_limit=64\n')).toMatchObject({
      ...{ verdict: 'overflow', backlog: null, limit: 64 },
    });
  });
});

describe('report and key', () => {
  it('the report has the keys of the contract in its order', () => {
    const report = detectReport('console.txt', readEvidence(STORM));
    expect(JSON.stringify(report)).toMatch(
      /^\{"schema":1,"file":"console.txt","verdict":"overflow","limit":64,"backlog":65,"lost":1,"suppressed":null,"panic":false,"kernel":null,"currentBoot":true,"evidence":\[\{"line":1,"kind":"backlog-over-limit","text":"/,
    );
  });

  it('the key stays while the console moves on, and changes with a new overflow', () => {
    const key = evidenceKey(readEvidence(STORM));
    expect(key).toBe('overflow|26.432718|64|65|1');
    const later = `${STORM}\n[   30.100000] kauditd_printk_skb: 5 callbacks suppressed\nip login: `;
    expect(evidenceKey(readEvidence(later))).toBe(key);
    expect(evidenceKey(readEvidence(`${STORM}\n[   31.000000] audit: backlog limit exceeded\n`))).not.toBe(key);
  });

  it('while the head of the console passes through its last overflow, fewer numbers are left of the same one', () => {
    const lines = [
      '[  100.000000] audit: audit_backlog=65 > audit_backlog_limit=64',
      '[  100.000000] audit: audit_lost=7 audit_rate_limit=0 audit_backlog_limit=64',
      '[  100.000000] audit: backlog limit exceeded',
      'app: fine',
    ];
    const keys = [0, 1, 2].map((cut) => evidenceKey(readEvidence(lines.slice(cut).join('\n'))));
    expect(new Set(keys).size).toBe(3);
    const [whole = '', less = '', least = ''] = keys;
    for (const now of keys) expect(isSameEvidence(whole, now)).toBe(true);
    expect(isSameEvidence(less, least)).toBe(true);
    // What had no number cannot have it later, and other numbers or another time are another overflow.
    expect(isSameEvidence(least, whole)).toBe(false);
    expect(isSameEvidence(whole, whole.replace('|7', '|8'))).toBe(false);
    expect(isSameEvidence(whole, least.replace('100', '101'))).toBe(false);
    expect(isSameEvidence(whole, least.replace('overflow', 'suspected'))).toBe(false);
  });

  it('without kernel time the syslog date tells overflows apart', () => {
    const key = (time: string) =>
      evidenceKey(readEvidence(`Nov 22 ${time} host kernel: audit: backlog limit exceeded\n`));
    expect(key('04:05:06')).not.toBe(key('04:05:07'));
    expect(key('04:05:06')).toMatch(/^[A-Za-z0-9.:|-]{1,80}$/);
  });
});
