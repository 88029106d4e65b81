import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // For a test that hangs, not for a slow one: a CI machine may stall for seconds, and tests of processes are slow.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // One Azurite and one sample Dataverse per file: a few files at once is what two cores carry.
    maxWorkers: 2,
  },
});
