// Tests in a real browser against a real daemon, one file after the other.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['e2e/*.test.ts', 'e2e/screenshots.ts'],
    environment: 'node',
    globalSetup: 'e2e/setup.ts',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 120_000,
  },
});
