import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UNSAFE_KERNELS, unsafeKernel } from '../../domain/unsafe-kernels.ts';

describe('unsafeKernel', () => {
  it('knows a release with and without its architecture, and no neighbour of it', () => {
    for (const kernel of UNSAFE_KERNELS) {
      expect(unsafeKernel(kernel.release)).toBe(kernel);
      expect(unsafeKernel(`${kernel.release}.x86_64`)).toBe(kernel);
      expect(unsafeKernel(`${kernel.release}.aarch64`)).toBe(kernel);
      expect(unsafeKernel(`${kernel.release}4`)).toBeNull();
      expect(unsafeKernel(kernel.release.slice(0, -1))).toBeNull();
    }
    expect(unsafeKernel(null)).toBeNull();
    expect(unsafeKernel('')).toBeNull();
  });

  it('is the list that the runbook carries', () => {
    const script = readFileSync(join(__dirname, '../../lambdas/runbook/resize-audit-backlog.sh'), 'utf8');
    const line = /^UNSAFE_KERNELS='([^']*)'$/m.exec(script)?.[1];
    expect(line?.split(' ')).toEqual(UNSAFE_KERNELS.map((k) => k.release));
  });
});
