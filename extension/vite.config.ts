import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
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
      // The module form of the same scripts and what only they import: nothing loads it.
      while (removeUnused()) {}
    },
  }
}

/** Removes the assets that no other file names; says whether there were any. */
function removeUnused(): boolean {
  const files = readdirSync(outDir, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(js|html|json)$/.test(file),
  )
  const texts = files.map((file) => ({ file, text: readFileSync(join(outDir, file), 'utf8') }))
  const isUnused = (asset: string) => !texts.some(({ file, text }) => file !== asset && text.includes(basename(asset)))
  const unused = files.filter((file) => dirname(file) === 'assets' && isUnused(file))
  for (const file of unused) rmSync(join(outDir, file))
  return unused.length > 0
}
