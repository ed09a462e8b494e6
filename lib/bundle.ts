/**
 * One Lambda handler as one minified ES module with its source map. `node lib/bundle.ts HANDLER FOLDER` writes it; the
 * CDK calls that at synthesis (lib/handler-code.ts).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';

/** The package's root, where `lambdas/` stands. */
export const ROOT = join(import.meta.dirname, '..');

/** What a bundle weighs. Unit: bytes of JavaScript, without its source map. */
export interface Bundle {
  readonly bytes: number;
}

/**
 * The schema files of AWS's SDK name the traits of every shape by computed keys, `{ [_xN]: 'name' }`. esbuild must assume
 * that such a key has a side effect and keeps all shapes of a service, used or not: 0.5 MB of EC2 alone. Written as what
 * they are, string literals, the unused shapes go.
 */
export const literalSchemaKeys: Plugin = {
  name: 'literal-schema-keys',
  setup(pluginBuild) {
    pluginBuild.onLoad({ filter: /[\\/]dist-es[\\/].*[\\/]schemas_\d+\.js$/ }, ({ path }) => ({
      contents: withLiteralKeys(readFileSync(path, 'utf8')),
      loader: 'js',
    }));
  },
};

/** Replaces computed keys that are constants of the same file by their text. */
export function withLiteralKeys(source: string): string {
  const constants = new Map(
    [...source.matchAll(/^const (_\w+) = ("(?:[^"\\]|\\.)*");$/gm)].map(([, name, literal]) => [name, literal]),
  );
  return source.replace(/\[(_\w+)\]:/g, (all, name: string) => {
    const literal = constants.get(name);
    return literal === undefined ? all : `${literal}:`;
  });
}

/** ES modules first: what nobody imports is left out. */
export const ES_MODULE: BuildOptions = {
  format: 'esm',
  mainFields: ['module', 'main'],
  plugins: [literalSchemaKeys],
  // Some libraries are CommonJS inside and call `require` of Node's own modules.
  banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
};

/**
 * Bundles a handler into `index.mjs` and `index.mjs.map` of the folder: byte for byte the same wherever the folder and the
 * package stand, so that nothing is deployed anew because it was built elsewhere.
 */
export async function bundle(handler: string, folder: string, as: BuildOptions = ES_MODULE): Promise<Bundle> {
  const { outputFiles } = await build({
    ...as,
    entryPoints: [handler],
    absWorkingDir: ROOT,
    // The source map names sources as seen from here; it is written elsewhere.
    outfile: join(ROOT, 'index.mjs'),
    write: false,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    // Named in the bundle, or Node would not find it.
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'error',
  });
  mkdirSync(folder, { recursive: true });
  for (const { path, contents } of outputFiles) writeFileSync(join(folder, basename(path)), contents);
  const bytes = outputFiles.find(({ path }) => path.endsWith('.mjs'))?.contents.byteLength;
  if (bytes === undefined) throw new Error(`${handler}: esbuild made no bundle`);
  return { bytes };
}

async function main([handler, folder]: readonly string[]): Promise<void> {
  if (handler === undefined || folder === undefined) throw new Error('usage: node lib/bundle.ts HANDLER FOLDER');
  const { bytes } = await bundle(handler, folder);
  process.stderr.write(`${handler.split(/[\\/]/).slice(-2).join('/')}: ${(bytes / 1_000_000).toFixed(2)} MB\n`);
}

if (import.meta.main) void main(process.argv.slice(2));
