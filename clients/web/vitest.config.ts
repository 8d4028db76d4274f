import { defineConfig } from 'vitest/config';

// What needs no browser; the rest is in e2e/.
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: { name: 'web', include: ['test/*.test.ts'], environment: 'node' },
});
