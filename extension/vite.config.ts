import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crx } from '@crxjs/vite-plugin'
import { defineConfig, type Plugin } from 'vite'
import { manifest } from './manifest.ts'

const outDir = join(import.meta.dirname, '..', 'dist', 'extension')

export default defineConfig({
  root: import.meta.dirname,
  logLevel: 'warn',
  plugins: [crx({ manifest }), hideFromPages()],
  // A network's directory keys, { keys: [base64…], threshold }, for a build that is made for that network.
  define: { __DIRECTORY__: process.env.NIGHTJAR_DIRECTORY ?? 'null' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir,
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    rolldownOptions: { input: { 'first-run': 'src/first-run/index.html' } },
  },
})

/**
 * CRXJS makes scripts that are registered at run time readable by web pages, which would tell every page that the
 * extension is there. The scripting API does not need that.
 */
function hideFromPages(): Plugin {
  return {
    name: 'nightjar-hide-from-pages',
    apply: 'build',
    closeBundle() {
      const path = join(outDir, 'manifest.json')
      const { web_accessible_resources: _, ...rest } = JSON.parse(readFileSync(path, 'utf8'))
      writeFileSync(path, `${JSON.stringify(rest, null, 2)}\n`)
      // The module form of the same scripts, which nothing loads.
      for (const name of readdirSync(join(outDir, 'assets'))) {
        if (name.includes('.iife.ts-')) rmSync(join(outDir, 'assets', name))
      }
    },
  }
}
