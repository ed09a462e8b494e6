/**
 * An independent reading of what auditd loads: written from the behaviour of augenrules and `ls -v`, not from the runbook.
 * The property test holds the runbook against it.
 */

const letter = (c: string) => /[A-Za-z]/.test(c);
const digit = (c: string) => /[0-9]/.test(c);

/** Rank of a character where two names first differ outside of numbers: end or digit, letters, everything else. */
function rank(c: string | undefined): number {
  if (c === undefined || digit(c)) return 0;
  return letter(c) ? c.charCodeAt(0) : 256 + c.charCodeAt(0);
}

function compareVersions(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !digit(a[i] as string)) || (j < b.length && !digit(b[j] as string))) {
      const difference = rank(a[i]) - rank(b[j]);
      if (difference !== 0) return difference;
      i++;
      j++;
    }
    const x = /^[0-9]*/.exec(a.slice(i))?.[0] ?? '';
    const y = /^[0-9]*/.exec(b.slice(j))?.[0] ?? '';
    const difference = BigInt(x || '0') - BigInt(y || '0');
    if (difference !== 0n) return difference < 0n ? -1 : 1;
    i += x.length;
    j += y.length;
  }
  return 0;
}

/** The order of `ls -1v` for names of plain characters. */
export function naturalOrder(names: readonly string[]): string[] {
  const stem = (name: string) => name.replace(/(\.[A-Za-z~][A-Za-z0-9~]*)*$/, '');
  return [...names].sort((a, b) => compareVersions(stem(a), stem(b)) || compareVersions(a, b) || (a < b ? -1 : 1));
}

/** What `auditctl -b VALUE` makes of one line; null where it sets no limit. */
function limitOf(line: string): number | null {
  const words = line.split(' ').filter(Boolean);
  let limit: number | null = null;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    const value = word === '-b' ? words[++i] : word.startsWith('-b') ? word.slice(2) : undefined;
    if (value !== undefined && /^[0-9]/.test(value)) limit = Number.parseInt(value, 10);
  }
  return limit;
}

/** The limit that loading a rules.d folder sets: the last line that begins with -b, files in `ls -1v` order. */
export function effectiveLimit(files: Readonly<Record<string, string>>): number | null {
  const names = naturalOrder(Object.keys(files).filter((name) => /^[^.].*\.rules$/.test(name)));
  const text = names.map((name) => files[name]).join('');
  const last = text
    .split('\n')
    .filter((line) => /^ *-b/.test(line))
    .at(-1);
  return last === undefined ? null : limitOf(last);
}
