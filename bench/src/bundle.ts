/** `bundle`: what the browser has to load of the extension, gzipped: service worker, popup, and the script in pages. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { distFolder } from '@nightjar/e2e/network'

export async function benchBundle(): Promise<Record<string, number>> {
  const root = join(distFolder(), 'extension')
  const manifest = JSON.parse(readFileSync(join(root, 'manifest.json'), 'utf8')) as {
    background: { service_worker: string }
    action: { default_popup: string }
  }
  return {
    serviceWorkerGzipBytes: gzipped(loadedBy(join(root, manifest.background.service_worker))),
    popupGzipBytes: gzipped(loadedBy(join(root, manifest.action.default_popup))),
    inpageGzipBytes: gzipped([join(root, scriptNamed(root, 'inpage'))]),
  }
}

/** The file and all that it loads: imports of scripts, scripts and styles of pages. */
function loadedBy(file: string): string[] {
  const root = join(distFolder(), 'extension')
  const found = new Set<string>()
  const visit = (path: string) => {
    if (found.has(path)) return
    found.add(path)
    const text = readFileSync(path, 'utf8')
    const references = text.matchAll(/(?:from|import)\s*["'`](\.[^"'`]+)["'`]|(?:src|href)="([^":]+\.(?:js|css))"/g)
    for (const [, imported, linked] of references) {
      const reference = (imported ?? linked) as string
      visit(reference.startsWith('/') ? join(root, reference) : resolve(dirname(path), reference))
    }
  }
  visit(file)
  return [...found]
}

function scriptNamed(root: string, name: string): string {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  const found = files.find((file) => file.endsWith(`${name}.iife.js`))
  if (found === undefined) throw new Error(`the extension has no script called ${name}`)
  return found
}

function gzipped(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0)
}
