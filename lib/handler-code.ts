/** The code of one function as an asset: bundled where the CDK runs, without Docker. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { type AssetCode, Code } from 'aws-cdk-lib/aws-lambda';
import { ROOT } from './bundle.ts';
import type { FunctionName } from './permissions.ts';

/** `index.mjs` of `lambdas/<name>/handler.ts`; the asset changes when the bundle does, and for no other reason. */
export function handlerCode(name: FunctionName): AssetCode {
  const folder = join(ROOT, 'lambdas', name);
  return Code.fromAsset(folder, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Asked for by the CDK, and never used: the bundle is made here or the synthesis fails.
      image: DockerImage.fromRegistry('scratch'),
      local: {
        tryBundle(outputDir: string): boolean {
          const arguments_ = [join(import.meta.dirname, 'bundle.ts'), join(folder, 'handler.ts'), outputDir];
          const { status, error } = spawnSync(process.execPath, arguments_, { stdio: ['ignore', 'ignore', 'inherit'] });
          if (status !== 0) throw new Error(`lambdas/${name}/handler.ts could not be bundled`, { cause: error });
          return true;
        },
      },
    },
  });
}
