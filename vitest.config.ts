import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// Four projects, because they need different things: nothing, a Postgres, a Postgres and the spawned binary, a server and the built binary.
export default defineConfig({
  test: {
    // The tests mostly wait, for servers, leases and killed processes: three side by side on two cores.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    projects: [
      // One module graph for all files: loading it anew for each would take longer than the tests themselves.
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000, isolate: false } },
      {
        // The examples import the package by its name.
        resolve: { alias: [{ find: /^reembed$/, replacement: new URL('src/index.ts', import.meta.url).pathname }] },
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/helpers/global-setup.ts'],
          // An embedded Postgres is compiled once a process: with one for each file that would take a fifth of the time.
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'cli',
          include: ['test/cli/**/*.test.ts'],
          globalSetup: ['test/helpers/global-setup.ts', 'test/cli/global-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/*.test.ts'],
          globalSetup: ['test/helpers/global-setup.ts', 'test/faults/global-setup.ts'],
          setupFiles: ['test/faults/setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
