/**
 * The extension's pages with fixtures in the background's place, to look at and to take pictures of: built as plain
 * pages to .build/gallery, with an index that links to each of them. `e2e/src/pictures.ts` takes the pictures.
 *
 *     vite build --config extension/vite.gallery.config.ts
 */
import { join } from 'node:path'
import { defineConfig, type Plugin } from 'vite'
import { fixtureTime } from './src/ui/testing/fixtures.ts'
import { pictures } from './src/ui/testing/pictures.ts'

const source = join(import.meta.dirname, 'src')
const testing = join(source, 'ui', 'testing')

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  logLevel: 'warn',
  plugins: [index()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: {
    alias: [
      { find: /^.*\/ui\/background\.ts$/, replacement: join(testing, 'background.ts') },
      { find: /^\.\/tab\.ts$/, replacement: join(testing, 'tab.ts') },
      { find: /^\.\/permission\.ts$/, replacement: join(testing, 'permission.ts') },
    ],
  },
  build: {
    outDir: join(import.meta.dirname, '..', '.build', 'gallery'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    rolldownOptions: {
      input: ['popup', 'options', 'first-run'].map((page) => join(source, page, 'index.html')),
    },
  },
})

/** What the taker of pictures needs to know stands in the links, so that it needs nothing else. */
function index(): Plugin {
  const links = pictures.map(({ name, page, query, press, width }) => {
    const data = `data-width="${width}" data-press="${(press ?? []).join('|')}"`
    return `<li><a href="/src/${page}/index.html?${query.replaceAll('&', '&amp;')}" id="${name}" ${data}>${name}</a></li>`
  })
  const source = `<!doctype html><html lang="en" data-time="${fixtureTime}"><meta charset="utf-8"><title>Gallery</title><ul>${links.join('')}</ul></html>`
  return {
    name: 'nightjar-gallery-index',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'index.html', source })
    },
  }
}
