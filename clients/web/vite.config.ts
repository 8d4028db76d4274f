import react from '@vitejs/plugin-react';
import { defaultClientConditions, defineConfig } from 'vite';
import { emoji } from './scripts/emoji.ts';

// `npm run dev` proxies to a running server: CHAT_SERVER=http://localhost:5000.
const server = process.env.CHAT_SERVER ?? 'http://localhost:5000';

export default defineConfig({
  // The server may be published below a path: it makes these relative paths absolute.
  base: './',
  plugins: [react(), emoji()],
  // The packages from their sources, so that nothing has to be built first.
  resolve: { conditions: ['source', ...defaultClientConditions] },
  build: {
    // Served by the server, and committed: see scripts/check-built.mjs.
    outDir: process.env.OUT_DIR ?? '../../src/Chat/wwwroot',
    emptyOutDir: true,
    target: ['chrome123', 'edge123', 'firefox121', 'safari17.5'],
    // The page's content security policy blocks data: URLs and the polyfill.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { index: 'index.html', sw: 'worker/sw.ts' },
      // A service worker controls the folder it is in, and its URL must never change.
      output: { entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
  server: {
    proxy: { '/chat': { target: server, ws: true }, '/dev': server, '/client.json': server },
  },
});
