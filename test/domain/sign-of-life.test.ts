import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { newUserSpaceLinesSince, userSpaceMark } from '../../domain/sign-of-life.ts';

const console1 = readFileSync(join(__dirname, '../fixtures/evidence/cycle-systemd.log'), 'utf8');
const STORM = '[   30.100000] audit: backlog limit exceeded\n[   30.200000] audit: backlog limit exceeded\n';
const since = (before: string, after: string): number | null => newUserSpaceLinesSince(userSpaceMark(before), after);

describe('new user-space lines since a mark', () => {
  it('none where nothing came, or only the kernel spoke', () => {
    expect(since(console1, console1)).toBe(0);
    expect(since(console1, console1 + STORM)).toBe(0);
    expect(since(console1, console1.slice(9000) + STORM)).toBe(0);
  });

  it('what user space wrote counts, whether the head is lost or not', () => {
    const said = 'sshd: started\nNov 22 04:05:06 host CRON[811]: (root) CMD (true)\n';
    expect(since(console1, console1 + STORM + said)).toBe(2);
    expect(since(console1, console1.slice(9001) + STORM + said)).toBe(2);
    expect(since(console1, `${console1.slice(9001)}${STORM}half a li`)).toBe(1);
  });

  it('what came glued to the earlier text is the kernel’s', () => {
    const before = `${console1}\r\nip-10-0-1-23 login: `;
    expect(since(before, `${before}${STORM}`)).toBe(0);
    expect(since(before, `${before.slice(5000)}${STORM}`)).toBe(0);
    expect(since(before, `${before}root\r\nPassword: ${STORM}`)).toBe(0);
    expect(since(before, `${before}root\r\nPassword: \r\nLast time: Sun Nov 22\r\n`)).toBe(1);
  });

  it('a getty that prints its banner and prompt again is none', () => {
    const getty = '\r\nDebian GNU/Linux 12 ip-10-0-1-23 ttyS0\r\n\r\nip-10-0-1-23 login: ';
    expect(since(console1, console1 + getty)).toBe(0);
    expect(since(console1, `${console1}${getty}\r\nLogin timed out after 60 seconds.\r\n${getty}`)).toBe(0);
    expect(since(console1, `${console1}cloud-init[7]: done\n${getty}`)).toBe(1);
  });

  it('what is written to the kernel log is none: watchdogs of a hung machine speak there', () => {
    expect(since(console1, `${console1}[   90.000000] systemd[1]: systemd-journald.service: Watchdog timeout!\n`)).toBe(
      0,
    );
  });

  it('a text that shares nothing with the earlier one is new but for its first line', () => {
    expect(since(console1, `lf a line\n${STORM}hello\n`)).toBe(1);
    expect(since(console1, `lf a line\n${STORM}`)).toBe(0);
    expect(since(console1, 'lf a line')).toBe(0);
  });

  it('repeated lines count too many rather than too few', () => {
    const tick = 'backup: still running\n';
    expect(since(STORM + tick.repeat(20), STORM + tick.repeat(20))).toBe(0);
    expect(since(STORM + tick.repeat(20), tick.repeat(20) + tick)).toBeGreaterThan(0);
  });

  it('cannot be told from an empty text or no mark', () => {
    expect(since('', console1)).toBeNull();
    expect(newUserSpaceLinesSince('', console1)).toBeNull();
    expect(newUserSpaceLinesSince('12.x', console1)).toBeNull();
  });

  it('bytes and text have the same mark', () => {
    expect(userSpaceMark(Buffer.from(console1))).toBe(userSpaceMark(console1));
  });

  it('marks are short, of any text, and nothing is new in the same text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const mark = userSpaceMark(text);
        expect(mark).toMatch(/^[\da-f.]{11,64}$/);
        expect(newUserSpaceLinesSince(mark, text)).toBe(text === '' ? null : 0);
      }),
    );
  });

  it('counts exactly what was appended, wherever the ring cut the head', () => {
    const line = fc.oneof(
      fc.nat(99_999).map((n) => ({ text: `[  ${100 + n}.000000] usb 1-1: event ${n}`, life: 0 })),
      fc.uuid().map((id) => ({ text: `agent: did ${id}`, life: 1 })),
      fc.constant({ text: '', life: 0 }),
    );
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 30 }),
        fc.array(line, { maxLength: 30 }),
        fc.nat(20),
        (old, fresh, lost) => {
          const numbered = old.map((l, i) => `[   ${i + 10}.000000] ${i}: ${l.text}\n`);
          const kept = Array.from({ length: 7 }, (_, i) => `[   80.00000${i}] x: ${i}\n`).join('');
          const head = numbered.join('') + kept;
          const after =
            head.slice(Math.min(lost * 40, head.length - kept.length)) + fresh.map((l) => `${l.text}\n`).join('');
          expect(since(head, after)).toBe(fresh.reduce((sum, l) => sum + l.life, 0));
        },
      ),
    );
  });
});
