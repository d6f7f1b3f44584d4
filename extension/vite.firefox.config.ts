/** The extension for Firefox, of the same sources: dist/extension-firefox. */
import { join } from 'node:path'
import { crx } from '@crxjs/vite-plugin'
import { defineConfig } from 'vite'
import { hideFromPages } from './hideFromPages.ts'
import { manifest } from './manifest.firefox.ts'
import chromium from './vite.config.ts'

export default defineConfig({
  ...chromium,
  plugins: [crx({ manifest, browser: 'firefox' }), hideFromPages()],
  build: { ...chromium.build, outDir: join(import.meta.dirname, '..', 'dist', 'extension-firefox') },
})
