/**
 * The manifest for Firefox: Chromium's, but for what Firefox names otherwise. Its background is no service worker but a
 * page that comes and goes likewise, and it knows an extension by a name instead of by a key.
 */
import type { ManifestV3Export } from '@crxjs/vite-plugin'
import { manifest as chromium } from './manifest.ts'

type Manifest = Exclude<ManifestV3Export, Promise<unknown> | ((...args: never[]) => unknown)>

/** What `nightjar install` writes into Firefox's host manifest (native-host/src/install/manifest.ts). */
const id = 'nightjar@nightjar.app'

// `defineManifest` gives back what it was given, which is no promise and no function here.
const { key, minimum_chrome_version, options_page, ...same } = chromium as Manifest

export const manifest: Manifest = {
  ...same,
  background: { scripts: ['src/background/main.ts'] },
  // Its star stands for http, https, ws and wss: the shield is asked about hosts only where the extension has access.
  host_permissions: ['*://*/*'],
  options_ui: { page: options_page ?? '', open_in_tab: true },
  // The first with scripts in the page's own world and with host permissions that are granted on installation is 128.
  browser_specific_settings: {
    gecko: { id, strict_min_version: '128.0', data_collection_permissions: { required: ['none'] } },
  },
}
