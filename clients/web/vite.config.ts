import react from '@vitejs/plugin-react';
import { defaultClientConditions, defineConfig } from 'vite';
import { emoji } from './scripts/emoji.ts';

// `npm run dev` shows the page with a server that runs elsewhere: CHAT_SERVER=http://localhost:5000.
const server = process.env.CHAT_SERVER ?? 'http://localhost:5000';

export default defineConfig({
  // The server may be shown below a path: it makes whole paths of what is relative here.
  base: './',
  plugins: [react(), emoji()],
  // The packages as they are written, so that nothing has to be built before the page.
  resolve: { conditions: ['source', ...defaultClientConditions] },
  build: {
    // The server serves these, and they are committed: see scripts/check-built.mjs.
    outDir: process.env.OUT_DIR ?? '../../src/Chat/wwwroot',
    emptyOutDir: true,
    target: ['chrome123', 'edge123', 'firefox121', 'safari17.5'],
    // What the page's content security policy would refuse: data: addresses and the polyfill.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { index: 'index.html', sw: 'worker/sw.ts' },
      // A worker rules what lies beside it and below, and is asked for by one name for ever.
      output: { entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
  server: {
    proxy: { '/chat': { target: server, ws: true }, '/dev': server, '/client.json': server },
  },
});
