import { assertLimitOnly, assertSame, parseTree, type Tree } from '../../vm/audit-tree.ts';

const FILE = '/etc/audit/rules.d/audit.rules';
const RULES = '-D\n-b 64\n-w /etc/passwd -p wa\n';

function tree(files: Readonly<Record<string, string>>, mode = '0640'): Tree {
  const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');
  return parseTree(
    Object.entries(files)
      .map(([path, content]) => `file ${mode} 0 0 ${hex(path)} ${hex(content)}\n`)
      .join(''),
  );
}

const cured = (content: string, backup = RULES): Tree =>
  tree({ [FILE]: content, [`${FILE}.audit-backlog.bak`]: backup });

describe('the tree that the guest tells', () => {
  it('is read with types, modes, owners and bytes', () => {
    expect([...parseTree('link 0777 0 4 2f61 2f62\nfolder 0750 0 0 2f63 \n')]).toEqual([
      ['/a', { type: 'link', attributes: 'link 0777 0:4', content: '/b' }],
      ['/c', { type: 'folder', attributes: 'folder 0750 0:0', content: '' }],
    ]);
  });

  it('is the same only byte for byte', () => {
    assertSame(tree({ [FILE]: RULES }), tree({ [FILE]: RULES }));
    expect(() => assertSame(tree({ [FILE]: RULES }), tree({ [FILE]: `${RULES}\n` }))).toThrow(/nothing should have/);
    expect(() => assertSame(tree({ [FILE]: RULES }), tree({ [FILE]: RULES }, '0600'))).toThrow(/nothing should have/);
    expect(() => assertSame(tree({}), tree({ [FILE]: RULES }))).toThrow(/nothing should have/);
  });
});

describe('only the limit', () => {
  it.each([
    ['a number', RULES, '-D\n-b 8192\n-w /etc/passwd -p wa\n'],
    ['a number with other options', '-b320 -f 1\n', '-b8192 -f 1\n'],
    ['the last of two on a line', '-b 64 -b 77\n', '-b 64 -b 8192\n'],
    ['a line more', '-D\n-f 1\n', '-D\n-b 8192\n-f 1\n'],
    ['a line more at the end', '-D\n-f 1\n', '-D\n-f 1\n-b 8192\n'],
    ['a file without a last line end', '-D\n-b 64', '-D\n-b 8192'],
    ['an empty file', '', '-b 8192\n'],
  ])('may differ: %s', (_, old, now) => {
    assertLimitOnly(tree({ [FILE]: old }), cured(now, old), 8192);
  });

  it('may come in a new file', () => {
    assertLimitOnly(tree({}), tree({ [FILE]: '-b 8192\n' }), 8192);
  });

  it.each([
    ['another number', cured('-D\n-b 4096\n-w /etc/passwd -p wa\n')],
    ['another rule too', cured('-D\n-b 8192\n-w /etc/shadow -p wa\n')],
    ['a rule lost', cured('-D\n-b 8192\n')],
    ['the rest of the line', cured('-D\n-b 8192 -f 2\n-w /etc/passwd -p wa\n')],
    ['two lines more', cured(`-b 8192\n-f 2\n${RULES}`)],
    ['a backup that is not the old file', cured('-D\n-b 8192\n-w /etc/passwd -p wa\n', '-D\n')],
    ['no backup', tree({ [FILE]: '-D\n-b 8192\n-w /etc/passwd -p wa\n' })],
    ['nothing at all', tree({ [FILE]: RULES })],
    ['a file that is gone', tree({})],
  ])('is not: %s', (_, now) => {
    expect(() => assertLimitOnly(tree({ [FILE]: RULES }), now, 8192)).toThrow();
  });

  it('is not: a mode that changed, or another file', () => {
    const now = '-D\n-b 8192\n-w /etc/passwd -p wa\n';
    const files = { [FILE]: now, [`${FILE}.audit-backlog.bak`]: RULES };
    expect(() => assertLimitOnly(tree({ [FILE]: RULES }), tree(files, '0644'), 8192)).toThrow(/mode or owner/);
    expect(() => assertLimitOnly(tree({ [FILE]: RULES }), tree({ ...files, '/etc/audit/x': '' }), 8192)).toThrow(
      /other files/,
    );
  });
});
