/** What Lambda gets: its size, its source map, and that it works against the embedded region as it is. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { bundle, ES_MODULE, withLiteralKeys } from '../../lib/bundle.ts';
import { FUNCTION_NAMES, type FunctionName } from '../../lib/permissions.ts';
import { serve } from '../../simulator/server.ts';
import { add, makeCloud } from '../simulator/support/cloud.ts';

/** Unit: bytes. */
const BUDGET = 1_300_000;
/** Of the same handler bundled as CommonJS. */
const SHARE_OF_COMMONJS = 0.7;

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'audit-backlog-bundles-'));
const file = (name: FunctionName) => join(folder, name, 'index.mjs');
const sizes = new Map<FunctionName, { readonly esm: number; readonly commonJs: number }>();

beforeAll(async () => {
  await Promise.all(
    FUNCTION_NAMES.map(async (name) => {
      const handler = join(__dirname, '..', '..', 'lambdas', name, 'handler.ts');
      mkdirSync(join(folder, name));
      const esm = await bundle(handler, join(folder, name));
      const commonJs = await bundle(handler, join(folder, `${name}-cjs`), { format: 'cjs', mainFields: ['main'] });
      sizes.set(name, { esm: esm.bytes, commonJs: commonJs.bytes });
    }),
  );
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

it.each(FUNCTION_NAMES)('%s stays within the budget', (name) => {
  const { esm, commonJs } = sizes.get(name) ?? { esm: Number.NaN, commonJs: Number.NaN };
  process.stderr.write(`${name}: ${(esm / 1e6).toFixed(2)} MB, ${(esm / commonJs).toFixed(2)} of CommonJS\n`);
  expect(esm).toBeLessThanOrEqual(BUDGET);
  expect(esm / commonJs).toBeLessThanOrEqual(SHARE_OF_COMMONJS);
});

it.each(FUNCTION_NAMES)('%s names its source map, which holds paths and no sources', (name) => {
  expect(readFileSync(file(name), 'utf8')).toMatch(/\/\/# sourceMappingURL=index\.mjs\.map\n$/);
  const map = JSON.parse(readFileSync(`${file(name)}.map`, 'utf8')) as { sources: string[]; sourcesContent?: string[] };
  expect(map.sources).toContain(`lambdas/${name}/handler.ts`);
  // As seen from the package: nothing of the machine that built it.
  expect(map.sources.filter((source) => source.startsWith('/') || source.startsWith('..'))).toEqual([]);
  expect(map.sourcesContent).toBeUndefined();
});

it('is the same to the byte wherever it is built, so that nothing is deployed anew without a change', async () => {
  const elsewhere = join(folder, 'somewhere', 'deeper', 'run');
  await bundle(join(__dirname, '..', '..', 'lambdas', 'run', 'handler.ts'), elsewhere);
  for (const part of ['index.mjs', 'index.mjs.map']) {
    expect(readFileSync(join(elsewhere, part)).equals(readFileSync(join(folder, 'run', part)))).toBe(true);
  }
});

/** The environment of a function in Lambda, as far as the handlers look at it. */
const environment = {
  PATH: process.env.PATH,
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'AKIA0000111122223333',
  AWS_SECRET_ACCESS_KEY: 'none',
  ACCOUNT_ID: '111122223333',
  TABLE_NAME: 'table',
  LOG_GROUP_NAME: 'records',
  EVENT_BUS_NAME: 'default',
  DOCUMENT_NAME: 'Resize',
  DOCUMENT_HASH: '0'.repeat(64),
  POLICY: '{}',
};
const invoke = (name: FunctionName, event: object, more: NodeJS.ProcessEnv) => {
  const script = `const { handler } = await import(${JSON.stringify(pathToFileURL(file(name)).href)});
    console.log(JSON.stringify(await handler(${JSON.stringify(event)}, {})));`;
  return run(process.execPath, ['--enable-source-maps', '--input-type=module', '-e', script], {
    env: { ...environment, ...more },
  });
};

it('works: the bundled reconcile takes our tag off an instance that runs again', async () => {
  const cloud = makeCloud();
  const left = new Date(Date.now() - 2 * 3_600_000).toISOString();
  const { instance, id } = add(cloud, { tags: { AuditBacklogStopped: `m-1 ${left}`, Name: 'a "quoted" & odd name' } });
  const serving = await serve(cloud, 0);
  try {
    const { stdout } = await invoke('reconcile', {}, { AWS_ENDPOINT_URL: `http://127.0.0.1:${serving.port}` });
    expect(JSON.parse(stdout)).toEqual({ started: [], unmarked: [id], left: [], errors: [] });
    expect([...instance.tags.keys()]).toEqual(['Name']);
  } finally {
    await serving.close();
  }
}, 60_000);

it.each(FUNCTION_NAMES)('%s says in one line what its environment lacks', async (name) => {
  await expect(invoke(name, {}, { TABLE_NAME: '' })).rejects.toMatchObject({
    stderr: expect.stringContaining('TABLE_NAME'),
  });
});

it('literal keys: constants of the file are written out, everything else stays', () => {
  const source = 'const _xN = "xmlName";\nexport var A$ = [3, { [_xN]: _k, [_other]: 1, [f()]: 2 }];';
  expect(withLiteralKeys(source)).toBe(
    'const _xN = "xmlName";\nexport var A$ = [3, { "xmlName": _k, [_other]: 1, [f()]: 2 }];',
  );
});

it('without literal keys the EC2 client alone would break the budget', async () => {
  const handler = join(__dirname, '..', '..', 'lambdas', 'cell', 'handler.ts');
  const plain = await bundle(handler, join(folder, 'plain'), { ...ES_MODULE, plugins: [] });
  expect(plain.bytes).toBeGreaterThan(BUDGET);
}, 60_000);
