import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

// The packages are tested from their sources: nothing has to be built first.
const resolve = { conditions: ['source'] };
const ssr = { resolve };

export default defineConfig({
  test: {
    reporters: ['default', ['junit', { outputFile: 'test-results/clients.xml' }]],
    projects: [
      { resolve, ssr, test: { name: 'unit', include: ['typescript/test/*.test.ts'], environment: 'node' } },
      { resolve, ssr, test: { name: 'react', include: ['react/test/*.test.tsx'], environment: 'jsdom' } },
      {
        resolve,
        ssr,
        test: {
          name: 'server',
          include: ['typescript/test/server/*.test.ts'],
          globalSetup: 'typescript/test/server/setup.ts',
          environment: 'node',
          testTimeout: 30_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      // The web client brings its own, once it is there.
      ...(existsSync('web/vitest.config.ts') ? ['web/vitest.config.ts'] : []),
    ],
  },
});
