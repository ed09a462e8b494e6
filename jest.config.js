/** TypeScript 7 ships no JavaScript API, so tests are transformed by SWC and type-checked by `npm run types`. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'commonjs' } },
    ],
  },
  // What lives whole worlds takes its time: `npm run test:long`, which CI runs as well.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/bench/'],
  // One more than most machines have at least: some tests wait for seconds to pass.
  maxWorkers: 3,
  testTimeout: 30_000,
};
