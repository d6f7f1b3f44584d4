import { defineConfig } from 'vite'

/**
 * The programs this repository builds, each into one file: dist/NAME.js. `scripts/run.mjs build` builds all of them.
 * NAME-testing, with what tests need inside, becomes dist/testing/NAME.js and goes into no package.
 */
const programs: Record<string, string> = {
  nightjar: 'native-host/src/main.ts',
  'nightjar-load': 'native-host/src/main.load.ts',
  'nightjar-lab': 'native-host/src/main.lab.ts',
  'nightjar-relay': 'relay-server/src/main.ts',
  'nightjar-relay-testing': 'relay-server/src/main.testing.ts',
  start: 'e2e/src/start.ts',
  bench: 'bench/src/main.ts',
  chaos: 'e2e/src/chaos.ts',
  pictures: 'e2e/src/pictures.ts',
}

export default defineConfig(({ mode }) => {
  const entry = programs[mode]
  if (entry === undefined)
    throw new Error(`vite build --mode NAME, with NAME one of ${Object.keys(programs).join(', ')}`)
  const [, name, testing] = /^(.+?)(-testing)?$/.exec(mode) ?? []
  return {
    logLevel: 'warn',
    // Our own packages are bundled, everything from npm stays where the lock file put it.
    ssr: { noExternal: [/^@nightjar\//] },
    build: {
      ssr: entry,
      outDir: testing === undefined ? 'dist' : 'dist/testing',
      emptyOutDir: false,
      target: 'node22',
      minify: false,
      sourcemap: true,
      rolldownOptions: { output: { entryFileNames: `${name}.js`, codeSplitting: false } },
    },
  }
})
