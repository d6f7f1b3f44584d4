import { join } from 'node:path'
import { defineConfig } from 'vite'

/** Builds the demo dapp into dist/dapp, a folder to be served as it is. */
export default defineConfig({
  root: import.meta.dirname,
  logLevel: 'warn',
  build: {
    outDir: join(import.meta.dirname, '..', '..', 'dist', 'dapp'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
  },
})
