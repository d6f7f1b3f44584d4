import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { base64, fromBase64 } from '@nightjar/shared/bytes'
import { codeOfAsync, pattern } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { documentMarkOf, freshState, loadState, type State, saveState } from './store.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-state-'))
  path = join(folder, 'state.json')
})
afterEach(() => rm(folder, { recursive: true }))

const load = () => loadState(path, nativeCrypto.randomBytes)
const relay = 'ab'.repeat(32)

function fullState(): State {
  return {
    ...freshState(nativeCrypto.randomBytes),
    guards: [{ relay, since: 1 }],
    middles: [{ relay, since: 2 }],
    gateways: [
      { group: 'cd'.repeat(32), relay, usedOn: 3, lapse: 5 },
      { group: 'cd'.repeat(32), relay: 'ba'.repeat(32), usedOn: 4, lapse: 6 },
    ],
    document: { version: 7, hash: base64(pattern(32)) },
  }
}

test('a first run has a secret and a token of its own, and nothing pinned', async () => {
  const [one, two] = [await load(), await load()]
  expect(fromBase64(one.secret)).toHaveLength(32)
  expect(one.token).toMatch(/^[0-9a-f]{32}$/)
  expect(one.secret).not.toBe(two.secret)
  expect(one.token).not.toBe(two.token)
  expect(one).toMatchObject({ version: 2, guards: [], middles: [], gateways: [] })
  expect(await readdir(folder)).toEqual([])
})

test('what was saved is loaded', async () => {
  const state = fullState()
  await saveState(path, state)
  expect(await load()).toEqual(state)
})

test('the mark of the newest document comes from the state', () => {
  expect(documentMarkOf(fullState())).toEqual({ version: 7, hash: pattern(32) })
  expect(documentMarkOf(freshState(nativeCrypto.randomBytes))).toBeUndefined()
})

test('only its user may read it, even where an older file said otherwise', async () => {
  await writeFile(path, 'old')
  await chmod(path, 0o644)
  await saveState(path, fullState())
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('it is replaced as a whole: whoever has the old file open reads the old state to its end', async () => {
  const state = fullState()
  await saveState(path, state)
  const before = await stat(path)
  await Promise.all(Array.from({ length: 5 }, () => saveState(path, { ...state, guards: [] })))
  expect((await stat(path)).ino).not.toBe(before.ino)
  expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ ...state, guards: [] })
  expect(await readdir(folder)).toEqual(['state.json'])
})

test.each<[string, (text: string) => string]>([
  ['cut off', (text) => text.slice(0, -20)],
  ['empty', () => ''],
  ['no JSON', () => 'hello'],
  ['of a newer version', (text) => text.replace('"version": 2,', '"version": 3,')],
  ['of an older version', (text) => text.replace('"version": 2,', '"version": 1,')],
  ['with a key of a newer Nightjar', (text) => text.replace('"version": 2,', '"version": 2, "later": 1,')],
  ['with a token of another form', (text) => text.replace(/"token": "..../, '"token": "../x')],
  ['with a relay that is none', (text) => text.replace(relay, 'AB')],
  ['without its secret', (text) => text.replace(/"secret": "[^"]*",/, '')],
  ['with a secret of another length', (text) => text.replace(/"secret": "[^"]*",/, '"secret": "AAAA",')],
  ['with a secret that is no base64', (text) => text.replace(/"secret": "[^"]*",/, '"secret": "!",')],
  ['with a document hash that is no base64', (text) => text.replace(/"hash": "[^"]*"/, '"hash": "!"')],
])('a file that is %s is refused and left as it is', async (_, damage) => {
  await saveState(path, fullState())
  const whole = await readFile(path, 'utf8')
  const damaged = damage(whole)
  expect(damaged).not.toBe(whole)
  await writeFile(path, damaged)
  await expect(load()).rejects.toMatchObject({ code: 'file-unusable', detail: expect.stringContaining('move it away') })
  expect(await readFile(path, 'utf8')).toBe(damaged)
})

test('a path that cannot be read is no first run', async () => {
  expect(await codeOfAsync(() => loadState(folder, nativeCrypto.randomBytes))).toBe('file-unusable')
  expect(await codeOfAsync(() => saveState(join(folder, 'none', 'state.json'), fullState()))).toBe('file-unusable')
})
