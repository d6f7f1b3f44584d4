/**
 * CRXJS makes scripts that are registered at run time readable by web pages, which would tell every page that the
 * extension is there. The scripting API does not need that.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Plugin } from 'vite'

export function hideFromPages(): Plugin {
  let outDir = ''
  return {
    name: 'nightjar-hide-from-pages',
    apply: 'build',
    configResolved({ root, build }) {
      outDir = resolve(root, build.outDir)
    },
    closeBundle() {
      const path = join(outDir, 'manifest.json')
      const { web_accessible_resources: _, ...rest } = JSON.parse(readFileSync(path, 'utf8'))
      writeFileSync(path, `${JSON.stringify(rest, null, 2)}\n`)
      // The module form of the same scripts and what only they import: nothing loads it.
      while (removeUnused(outDir)) {}
    },
  }
}

/** Removes the assets that no other file names; says whether there were any. */
function removeUnused(outDir: string): boolean {
  const files = readdirSync(outDir, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(js|html|json)$/.test(file),
  )
  const texts = files.map((file) => ({ file, text: readFileSync(join(outDir, file), 'utf8') }))
  const isUnused = (asset: string) => !texts.some(({ file, text }) => file !== asset && text.includes(basename(asset)))
  const unused = files.filter((file) => dirname(file) === 'assets' && isUnused(file))
  for (const file of unused) rmSync(join(outDir, file))
  return unused.length > 0
}
