import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { defineConfig } from 'vitest/config';

// Hundreds of processes load the same packages: compile them once.
enableCompileCache();
process.env['NODE_COMPILE_CACHE'] = getCompileCacheDir();

// These files change what a process has once: they register functions, read settings from the environment, mock modules,
// set up telemetry, or measure memory or processor time. Each gets a process. All others keep to objects that they make
// themselves, so they run one after the other in one process, which loads the packages once.
const withIsolation = [
  ...['functions', 'package', 'telemetry', 'local/functions-host'].map((folder) => `${folder}/**/*`),
  ...[
    'fuzz/over-http',
    'http/handler',
    'http/metrics/over-http',
    'http/sync/get-database',
    'storage/request-spans',
    'safe-text',
    'linear-time',
  ],
  ...['metrics/client', 'metrics/settings', 'local/start'],
  ...['dataverse/read/memory', 'dataverse/transport/response-limits'],
].map((file) => `test/${file}.test.ts`);

export default defineConfig({
  test: {
    // For a test that hangs, not for a slow one: a CI machine may stall for seconds, and tests of processes are slow.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // The same holds for what a test waits for.
    expect: { poll: { timeout: 90_000 } },
    // Of three at once one is usually waiting, for a retry or another process: what two cores carry.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: 'isolated',
          include: withIsolation,
          globalSetup: ['test/shared-azurite.ts', 'test/shared-postgres.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: withIsolation,
          isolate: false,
          globalSetup: ['test/shared-azurite.ts', 'test/shared-postgres.ts'],
        },
      },
    ],
  },
});
