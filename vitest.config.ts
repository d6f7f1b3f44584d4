import { defineConfig } from 'vitest/config'

const slow = {
  exclude: ['**/node_modules/**'],
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // Each file starts a whole network; two cores carry one at a time.
  fileParallelism: false,
}

/** `unit` runs in seconds and all the time; `e2e` drives the built programs over real sockets. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{shared,native-host,relay-server,extension}/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/tests/**/*.test.ts'],
          ...slow,
        },
      },
    ],
  },
})
