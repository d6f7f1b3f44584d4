import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { extensionIds, extensionsFor, manifestText, wrapperIn } from './manifest.ts'

const common = {
  name: 'io.nightjar.host',
  description: 'Nightjar: private network access for wallets',
  path: '/w/nightjar-host',
  type: 'stdio',
}

test('the manifest', () => {
  const ids = [extensionIds.chromium, 'b'.repeat(32)]
  expect(JSON.parse(manifestText('/w/nightjar-host', 'chromium', ids))).toEqual({
    ...common,
    allowed_origins: [
      'chrome-extension://aamjeflenjlfgoidebdgkogmcmjfphph/',
      'chrome-extension://bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/',
    ],
  })
})

test('the manifest for Firefox', () => {
  const ids = [extensionIds.firefox, 'n@example.org']
  expect(JSON.parse(manifestText('/w/nightjar-host', 'firefox', ids))).toEqual({
    ...common,
    allowed_extensions: ['nightjar@nightjar.app', 'n@example.org'],
  })
})

test('each browser is told of the ids that it can know, or of ours', () => {
  const ids = ['b'.repeat(32), 'n@example.org', '{a}']
  expect(extensionsFor('chromium', ids)).toEqual(['b'.repeat(32)])
  expect(extensionsFor('firefox', ids)).toEqual(['n@example.org', '{a}'])
  expect(extensionsFor('chromium', ['n@example.org'])).toEqual([extensionIds.chromium])
  expect(extensionsFor('firefox', [])).toEqual([extensionIds.firefox])
})

test('the name is that of the extension for Firefox', async () => {
  const source = await readFile(new URL('../../../extension/manifest.firefox.ts', import.meta.url), 'utf8')
  expect(source).toContain(`const id = '${extensionIds.firefox}'`)
})

test('the id is that of the extension’s key', async () => {
  const source = await readFile(new URL('../../../extension/manifest.ts', import.meta.url), 'utf8')
  const key = Buffer.from(/'(MII[^']+)'/.exec(source)?.[1] ?? '', 'base64')
  // The first half of the key's hash, its digits written from a to p.
  const digits = createHash('sha256').update(key).digest('hex').slice(0, 32)
  const letters = [...digits].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)))
  expect(letters.join('')).toBe(extensionIds.chromium)
})

test.each<[string, string, string | undefined]>([
  ['ours', manifestText("/a b'/nightjar-host", 'chromium', []), "/a b'/nightjar-host"],
  ['ours on Windows', manifestText('C:/x/nightjar-host.bat', 'firefox', []), 'C:/x/nightjar-host.bat'],
  ['of another name', '{"name":"org.example","path":"/nightjar-host"}', undefined],
  ['of our name, for another program', '{"name":"io.nightjar.host","path":"/usr/bin/env"}', undefined],
  ['without a path', '{"name":"io.nightjar.host"}', undefined],
  ['no JSON', 'nightjar-host', undefined],
  ['null', 'null', undefined],
])('%s', (_, text, wrapper) => {
  expect(wrapperIn(text)).toBe(wrapper)
})
