// Holds the floors of the house (.dependency-cruiser.cjs), and fails when the cruiser read nothing: with TypeScript 7 and
// no transpiler it cruises 0 modules and exits 0.
import { spawnSync } from 'node:child_process';

const ROOMS = ['bin', 'lib', 'domain', 'lambdas', 'cli', 'simulator', 'bench', 'vm'];
const LEAST_MODULES = 100;

const run = spawnSync('depcruise', [...ROOMS, '--config', '.dependency-cruiser.cjs'], { encoding: 'utf8' });
process.stdout.write(run.stdout ?? '');
if (run.error) throw run.error;
const modules = Number(/(\d+) modules/.exec(run.stdout)?.[1] ?? 0);
if (modules < LEAST_MODULES) {
  process.stdout.write(
    `floors: only ${modules} modules were read (at least ${LEAST_MODULES} are there): nothing was checked\n`,
  );
  process.exitCode = 1;
} else if (run.status !== 0) process.exitCode = run.status ?? 1;
