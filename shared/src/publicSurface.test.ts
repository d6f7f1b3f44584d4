/** What other packages can import of ours, pinned: a change here is a change of an interface, and is meant. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const packages = { '@nightjar/shared': '..', '@nightjar/shared-node': '../node' }

it.each(Object.entries(packages))('%s exports what it is known to export', async (name, folder) => {
  const base = new URL(`${folder}/`, import.meta.url)
  const { exports } = JSON.parse(readFileSync(fileURLToPath(new URL('package.json', base)), 'utf8')) as {
    exports: Record<string, string>
  }
  const surface: Record<string, string[]> = {}
  for (const [path, file] of Object.entries(exports)) {
    if (path === './testing') continue
    const module = (await import(fileURLToPath(new URL(file, base)))) as object
    surface[path] = Object.keys(module).sort()
  }
  await expect(JSON.stringify(surface, null, 1)).toMatchFileSnapshot(
    `./testing/surface/${name.replace('@nightjar/', '')}.json`,
  )
})
