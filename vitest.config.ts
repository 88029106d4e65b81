import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { defineConfig } from 'vitest/config';

// Hundreds of processes load the same packages: compile them once.
enableCompileCache();
process.env['NODE_COMPILE_CACHE'] = getCompileCacheDir();

// These tests keep to objects that they make themselves, so files can run one after the other in one process, which loads
// the packages once. All others (functions are registered in the process, settings are read from its environment) get a
// process per file.
const withoutIsolation = ['schema', 'sqlite', 'sync', 'target', 'upgrade'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

export default defineConfig({
  test: {
    // For a test that hangs, not for a slow one: a CI machine may stall for seconds, and tests of processes are slow.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Of three at once one is usually waiting, for a retry or another process: what two cores carry.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: 'isolated',
          include: ['test/**/*.test.ts'],
          exclude: withoutIsolation,
          globalSetup: 'test/shared-azurite.ts',
        },
      },
      {
        extends: true,
        test: {
          name: 'shared',
          include: withoutIsolation,
          isolate: false,
          globalSetup: 'test/shared-azurite.ts',
        },
      },
    ],
  },
});
