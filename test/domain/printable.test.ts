import { printable } from '../../domain/printable.ts';

describe('text from outside as it may be shown', () => {
  it.each([
    ['terminal control', '\x1b[2Jgone', ' [2Jgone'],
    ['a run of controls', 'a\r\n\0b', 'a b'],
    ['C1 controls', 'a\u009bb', 'a b'],
    ['what turns the direction of text', 'exe\u202etxt.', 'exe txt.'],
    ['what shows as nothing', 'ad\u200bmin\ufeff', 'ad min '],
    ['separators of lines and paragraphs', 'a\u2028b\u2029c', 'a b c'],
    ['half a surrogate pair', 'a\ud800b', 'a\ufffdb'],
  ])('%s', (_what, text, shown) => expect(printable(text)).toBe(shown));

  it('letters of any script, private-use and unassigned characters stay', () => {
    expect(printable('監査 \ud7a4\ue000\u0378 😀')).toBe('監査 \ud7a4\ue000\u0378 😀');
  });
});
