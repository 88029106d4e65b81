import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One Azurite and one sample Dataverse per file: a few files at once is what two cores carry.
    maxWorkers: 2,
  },
});
