import { defineConfig } from 'vitest/config';
import { emoji } from './scripts/emoji.ts';

// Tests that need no browser; the others are in e2e/.
export default defineConfig({
  plugins: [emoji()],
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: { name: 'web', include: ['test/*.test.ts'], environment: 'node' },
});
