import { join } from 'node:path'
import { crx } from '@crxjs/vite-plugin'
import { defineConfig } from 'vite'
import { hideFromPages } from './hideFromPages.ts'
import { manifest } from './manifest.ts'

export default defineConfig({
  root: import.meta.dirname,
  logLevel: 'warn',
  plugins: [crx({ manifest }), hideFromPages()],
  // A network's directory keys, { keys: [base64…], threshold }, for a build that is made for that network.
  define: { __DIRECTORY__: process.env.NIGHTJAR_DIRECTORY ?? 'null' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: join(import.meta.dirname, '..', 'dist', 'extension'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    rolldownOptions: { input: { 'first-run': 'src/first-run/index.html' } },
  },
})
