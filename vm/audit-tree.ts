/** What `guest/tree.pl` tells of /etc/audit, and what may differ between two looks at it. */
import assert from 'node:assert/strict';

/** One file, link or folder. */
export interface Node {
  readonly type: string;
  /** type, mode, owner and group, as one text to compare */
  readonly attributes: string;
  /** bytes of a file or target of a link, as Latin-1 text */
  readonly content: string;
}
export type Tree = ReadonlyMap<string, Node>;

export function parseTree(text: string): Tree {
  const nodes = new Map<string, Node>();
  for (const line of text.split('\n')) {
    const [type = '', mode, owner, group, path = '', content = ''] = line.split(' ');
    if (type === '') continue;
    const plain = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');
    nodes.set(plain(path), { type, attributes: `${type} ${mode} ${owner}:${group}`, content: plain(content) });
  }
  return nodes;
}

/** Nothing at all differs. */
export function assertSame(before: Tree, after: Tree): void {
  assert.deepEqual([...after], [...before], 'files below /etc/audit differ, and nothing should have changed');
}

/**
 * In one file one number behind `-b` differs, or one line `-b N` came in; beside it stands the backup, equal to the old
 * file. All else is the same. Returns the line that is there now.
 */
export function assertLimitOnly(before: Tree, after: Tree, limit: number): string {
  const changed = [...after].filter(([path, node]) => !isSame(before.get(path), node)).map(([path]) => path);
  const gone = [...before.keys()].filter((path) => !after.has(path));
  assert.deepEqual(gone, [], 'files are gone');
  const file = changed.find((path) => !path.endsWith('.audit-backlog.bak'));
  assert.ok(file !== undefined, 'no rules file changed');
  const [old, now, backup] = [before.get(file), after.get(file), after.get(`${file}.audit-backlog.bak`)];
  assert.deepEqual(changed.sort(), old ? [file, `${file}.audit-backlog.bak`] : [file], 'other files changed too');
  if (old) {
    assert.equal(now?.attributes, old.attributes, `type, mode or owner of ${file} changed`);
    assert.deepEqual(backup, old, 'the backup is not the old file');
  }
  return assertOneLine(old?.content ?? '', now?.content ?? '', limit);
}

function assertOneLine(old: string, now: string, limit: number): string {
  const [oldLines, lines] = [old.split('\n'), now.split('\n')];
  let first = 0;
  while (first < lines.length && lines[first] === oldLines[first]) first += 1;
  const line = lines[first] ?? '';
  const rest = lines.slice(first + 1);
  const added = oldLines.slice(first);
  if (line === `-b ${limit}` && same(rest, added)) return line; // one line more
  if (line === `-b ${limit}` && old !== '' && !old.endsWith('\n') && same(rest, [])) return line;
  if (old === '') assert.deepEqual(lines, [`-b ${limit}`, ''], 'the new file holds more than the limit');
  else {
    const number = new RegExp(`(-b *)${limit}(?![0-9])`);
    assert.match(line, number, `the line that changed does not hold the limit of ${limit}`);
    const masked = (text: string): string => text.replace(/(-b *)[0-9]+(?!.*-b)/, '$1N');
    assert.equal(masked(line), masked(oldLines[first] ?? ''), 'the line differs in more than its limit');
    assert.deepEqual(rest, oldLines.slice(first + 1), 'other lines changed too');
  }
  return line;
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, i) => line === b[i]);
}

function isSame(a: Node | undefined, b: Node): boolean {
  return a !== undefined && a.attributes === b.attributes && a.content === b.content;
}
