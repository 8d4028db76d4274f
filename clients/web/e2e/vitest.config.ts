import { defineConfig } from 'vitest/config';

/** What is measured in frames and milliseconds has the machine for itself. */
const measured = ['speed.test.ts'];

export default defineConfig({
  root: import.meta.dirname,
  test: {
    reporters: ['default', ['junit', { outputFile: '../../test-results/browser.xml', suiteName: 'browser' }]],
    // Two browsers, two servers and two databases share what the machine has, and now and then one of them stands still for longer than
    // a test waits. What fails twice is a fault; what needed its second try is marked in the report, and to be looked into.
    retry: 1,
    // Bounds for a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // A server and a worker at a time wait for each other: two browsers keep two cores busy.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'pages', include: ['*.test.ts'], exclude: measured, globalSetup: './setup.ts', sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: 'speed', include: measured, globalSetup: './setup.ts', maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
