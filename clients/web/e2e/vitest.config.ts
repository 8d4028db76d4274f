import { defineConfig } from 'vitest/config';

/** Performance tests run alone. */
const measured = ['speed.test.ts'];

export default defineConfig({
  root: import.meta.dirname,
  test: {
    reporters: ['default', ['junit', { outputFile: '../../test-results/browser.xml', suiteName: 'browser' }]],
    // Two browsers, two servers and two databases share the machine, and now and then one of them stalls for longer than a test waits.
    // What fails twice is an error; a test that needed its retry is marked in the report, and should be investigated.
    retry: 1,
    // Time-outs for a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two browsers keep two cores busy.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'pages', include: ['*.test.ts'], exclude: measured, globalSetup: './setup.ts', sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: 'speed', include: measured, globalSetup: './setup.ts', maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
