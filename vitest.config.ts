import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One Azurite and one sample Dataverse per file: a few files at once is what two cores carry.
    maxWorkers: 2,
    // A CI machine that stalls for seconds may fail a test of real processes and clocks: it gets one more try there,
    // and vitest says so. At a developer's machine a failure stays a failure.
    retry: process.env.CI === undefined ? 0 : 1,
  },
});
