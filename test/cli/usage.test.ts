import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { CREDENTIALS, expectOneClearLine, run } from './program.ts';

// Made at once, not in beforeAll: concurrent tests begin before that.
const folder = mkdtempSync(join(tmpdir(), 'usage-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function policyFile(text: string): string {
  const path = join(folder, `policy-${++files}.json`);
  writeFileSync(path, text);
  return path;
}

const IRELAND = ['plan', '--region', 'eu-west-1'];

test.concurrent.each([
  [['plan', '--reigon', 'eu-west-1'], /unknown option '--reigon'.*--help/],
  [['plna'], /unknown command 'plna'.*--help/],
  [['detect'], /missing required argument.*--help/],
  [[...IRELAND, '--instance-id', 'i-12'], /--instance-id i-12: an instance id is i- and 8 or 17 hexadecimal digits/],
  [['plan', '--region', 'Ireland'], /--region Ireland: a region is written like eu-west-1/],
  [[...IRELAND, '--endpoint-url', 'localhost:80'], /--endpoint-url localhost:80: give a URL/],
  [[...IRELAND, '--timeout', '0'], /--timeout: give a number of seconds from 1 to 60/],
  [[...IRELAND, '--policy', '/nonexistent/policy.json'], /cannot be read \(ENOENT.*check the path/],
  [['plan'], /no region: .*--region/],
  [['plan', '--profile', 'prod'], /no region: .*profile prod.*--region/],
  [['apply'], /missing required argument 'file'.*--help/],
  [['apply', '/nonexistent/plan.json'], /plan file .* cannot be read \(ENOENT.*check the path/],
  [['apply', __filename], /plan file .* is no JSON \(/],
  [['apply', join(__dirname, '..', '..', 'package.json')], /plan file .*planId.*unknown field name/],
  [['plan', '--deployed', 'run'], /no region: .*--region/],
  [[...IRELAND, '--save', '/nonexistent/plan.json'], /plan.json cannot be written \(ENOENT.*--save/],
  [IRELAND, /no credentials: .*log in/],
  [[...IRELAND, '--profile', 'prod'], /no credentials for profile prod: .*--profile/],
  [
    ['plan', '--region', 'eu-west-1', 'us-east-1', '--instance-id', 'i-00000000000000001'],
    /--instance-id looks in one region/,
  ],
] as const)('%j is answered by one clear line', async (args, text) => {
  expectOneClearLine(await run(args), text);
});

test.concurrent.each([
  ['{ "mode": "plan"', /is no JSON \(/],
  ['{ "mode": "perhaps", "colour": 1 }', /mode: .*"plan"\|"apply".*unknown field colour/],
])('the policy file %j is refused by one clear line', async (text, said) => {
  expectOneClearLine(await run([...IRELAND, '--policy', policyFile(text)]), said);
});

test.concurrent('a region beyond the scope of the policy is refused', async () => {
  const policy = policyFile('{ "scope": { "regions": ["us-east-1"] } }');
  expectOneClearLine(
    await run([...IRELAND, '--policy', policy], { env: CREDENTIALS }),
    /beyond the policy: regions: eu-west-1 outside the policy's scope.regions \(us-east-1\)/,
  );
});

test.concurrent.each([[], ['plan'], ['apply'], ['detect'], ['explain']])(
  '%s --help has examples',
  async (...command) => {
    const { code, stdout } = await run([...command, '--help']);
    expect(stdout).toMatch(/Examples:\n {2}audit-backlog /);
    expect(code).toBe(0);
  },
);

test.concurrent('an old Node is named as such', async () => {
  const old = 'Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.11.0"}})';
  const preload = `data:text/javascript,${encodeURIComponent(old)}`;
  expectOneClearLine(
    await run(['detect', '-'], { nodeOptions: ['--import', preload] }),
    /Node 20\.11\.0 is older than/,
  );
});

test.concurrent('that its reader has seen enough changes nothing of how it ends', async () => {
  expect(await run(['detect', 'no-such-file', 'README.md'], { unread: true })).toMatchObject({ code: 2 });
  expect(await run(['detect', 'README.md'], { unread: true })).toMatchObject({ code: 0, stderr: '' });
});

test.concurrent('a really old Node, where one is installed, says the same', async () => {
  const node = oldNode();
  if (node === null) {
    process.stderr.write('skipped: no Node older than 22.18 is installed here\n');
    return;
  }
  expectOneClearLine(await run(['detect', '-'], { node, env: { NODE_OPTIONS: '' } }), /is older than 22\.18.*npm ci/);
});

function oldNode(): string | null {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  for (const node of candidates) {
    const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8', env: {} });
    const [, major = '99', minor = '0'] = /^v(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
    if (Number(major) < 22 || (Number(major) === 22 && Number(minor) < 18)) return node;
  }
  return null;
}
