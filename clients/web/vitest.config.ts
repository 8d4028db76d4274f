import { defineConfig } from 'vitest/config';
import { emoji } from './scripts/emoji.ts';

// What needs no browser; the rest is in e2e/.
export default defineConfig({
  plugins: [emoji()],
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: { name: 'web', include: ['test/*.test.ts'], environment: 'node' },
});
