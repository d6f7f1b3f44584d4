import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { extensionId, manifestText, wrapperIn } from './manifest.ts'

test('the manifest', () => {
  expect(JSON.parse(manifestText('/w/nightjar-host', [extensionId, 'b'.repeat(32)]))).toEqual({
    name: 'io.nightjar.host',
    description: 'Nightjar: private network access for wallets',
    path: '/w/nightjar-host',
    type: 'stdio',
    allowed_origins: [
      'chrome-extension://aamjeflenjlfgoidebdgkogmcmjfphph/',
      'chrome-extension://bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/',
    ],
  })
})

test('the id is that of the extension’s key', async () => {
  const source = await readFile(new URL('../../../extension/manifest.ts', import.meta.url), 'utf8')
  const key = Buffer.from(/'(MII[^']+)'/.exec(source)?.[1] ?? '', 'base64')
  // The first half of the key's hash, its digits written from a to p.
  const digits = createHash('sha256').update(key).digest('hex').slice(0, 32)
  const letters = [...digits].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)))
  expect(letters.join('')).toBe(extensionId)
})

test.each<[string, string, string | undefined]>([
  ['ours', manifestText("/a b'/nightjar-host", []), "/a b'/nightjar-host"],
  ['ours on Windows', manifestText('C:/x/nightjar-host.bat', []), 'C:/x/nightjar-host.bat'],
  ['of another name', '{"name":"org.example","path":"/nightjar-host"}', undefined],
  ['of our name, for another program', '{"name":"io.nightjar.host","path":"/usr/bin/env"}', undefined],
  ['without a path', '{"name":"io.nightjar.host"}', undefined],
  ['no JSON', 'nightjar-host', undefined],
  ['null', 'null', undefined],
])('%s', (_, text, wrapper) => {
  expect(wrapperIn(text)).toBe(wrapper)
})
