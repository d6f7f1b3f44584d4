/** The extension's manifest. Each permission and why it is asked for stands in docs/extension.md. */
import { defineManifest } from '@crxjs/vite-plugin'
import packageJson from './package.json' with { type: 'json' }

/**
 * The public key that fixes the extension's id to `aamjeflenjlfgoidebdgkogmcmjfphph`. Scripts of two extensions run in
 * the alphabetical order of their ids, so an id that begins with "aa" runs before MetaMask. Its private half was thrown
 * away: a store signs with a key of its own.
 */
const key =
  'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyShXwNu91NZrzvrWYDzKH/OcFxcHASUMZsRndJmttf/JE0qhKd9EsOUnDkW/bNzTP4plAFg7UOxcVGvUEjcTbCp/OQNu85odvWonCl7127JHKZHlM4P034HFkW6XXVOBoEjSr0eEIH5YlSV0csQCAzJJpop9cVDdBwRJTp/aSav0QxkA3a7fw4+S7F12vNsZLttRJgvqxkaLytVfYdhrTnoxu97vWtseL254f/w5SjVwAeU1rbMSYjxHH9RhPaemgNNAOQ1tk7hveGzY0OFCTi2DQ2XAq92bt4CbCJkljPxLm06HgBB0nRy7BBBDMu9QzWz1c0paMLYq8gfD6trMywIDAQAB'

/** The mark of src/ui/mark.ts, as Chromium draws it at each size. */
const icons = { 16: 'icons/16.png', 32: 'icons/32.png', 48: 'icons/48.png', 128: 'icons/128.png' }

export const manifest = defineManifest({
  manifest_version: 3,
  name: 'Nightjar',
  description: 'Private network access for wallets: what MetaMask and sites ask travels sealed, over relays.',
  version: packageJson.version,
  key,
  minimum_chrome_version: '120',
  background: { service_worker: 'src/background/main.ts', type: 'module' },
  icons,
  action: { default_icon: icons, default_popup: 'src/popup/index.html', default_title: 'Nightjar' },
  options_page: 'src/options/index.html',
  permissions: ['nativeMessaging', 'privacy', 'proxy', 'scripting', 'storage'],
  host_permissions: ['http://*/*', 'https://*/*'],
  optional_permissions: ['webRequest'],
  optional_host_permissions: ['ws://*/*', 'wss://*/*'],
})
