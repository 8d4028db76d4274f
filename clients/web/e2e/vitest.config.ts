import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: import.meta.dirname,
  test: {
    include: ['*.test.ts'],
    globalSetup: './setup.ts',
    // One server and one browser at a time: two cores have enough to do with them.
    fileParallelism: false,
    // Bounds for a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', ['junit', { outputFile: '../../test-results/browser.xml', suiteName: 'browser' }]],
  },
});
