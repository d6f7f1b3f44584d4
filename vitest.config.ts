import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Files of e2e/tests that mostly wait, for time-outs, pauses and clocks of the product, or for one program after the other:
 * two at a time take hardly longer than one. The longest come first. What keeps both cores busy is not among them, nor what
 * compares answers with a clock of seconds, nor what breaks relays and waits until they are asked again.
 */
const waiting = [
  'chaos',
  'install',
  'accounts.outages',
  'hostileClients',
  'accounts.heads',
  'relayLife',
  'tls',
  'logs',
  'relayLife.faults',
  'shield.limits',
].map((name) => `e2e/tests/${name}.test.ts`)

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => waiting.findIndex((file) => moduleId.endsWith(`/${file}`))
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

const e2e = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // Each file starts some forty processes of the same few programs.
  env: { NODE_COMPILE_CACHE: join(import.meta.dirname, '.build', 'compile-cache') },
}

/**
 * `unit` runs in seconds and all the time; `e2e` and `e2e-waiting` drive the built programs over real sockets. By hand:
 * `--project unit FILTER`, `--project 'e2e*' FILTER`.
 */
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{shared,native-host,relay-server,extension}/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 20_000,
          // No file leaves anything behind for the next one, in whatever order they come: they share their modules.
          isolate: false,
          maxWorkers: '100%',
        },
      },
      {
        test: {
          name: 'e2e-waiting',
          include: waiting,
          ...e2e,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/tests/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...waiting],
          ...e2e,
          // Each file keeps a whole network busy; two cores carry one at a time.
          fileParallelism: false,
        },
      },
    ],
  },
})
