import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { base64, fromBase64 } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { purpose } from '@nightjar/shared/handshake'
import { day, hour } from '@nightjar/shared/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  createKeys,
  createSigningKey,
  type KeyFiles,
  keyIdOf,
  loadKeys,
  loadSigningKey,
  type RelayKey,
  renewKeys,
} from './keys.ts'

const now = Date.UTC(2026, 0, 1)
/** The first key is valid from an hour before it was made. */
const start = now - hour

let folder: string
let files: KeyFiles
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-keys-'))
  files = { identity_file: join(folder, 'identity.key'), onion_keys_file: join(folder, 'onion.keys') }
})
afterEach(() => rm(folder, { recursive: true }))

interface Stored {
  version: number
  keys: { use: string; id: string; secret: string; validAfter: number; validUntil: number }[]
}
const readStored = async () => JSON.parse(await readFile(files.onion_keys_file, 'utf8')) as Stored
const modeOf = async (path: string) => (await stat(path)).mode & 0o777

describe('createKeys', () => {
  test('makes an identity, and of either use the key of this period and of the next', async () => {
    const identity = await createKeys(crypto, files, { now })
    const keys = await loadKeys(crypto, files)
    expect(base64(keys.identity.publicKey)).toBe(base64(identity))
    for (const use of ['onion', 'envelope'] as const) {
      expect(keys[use].map(({ validAfter, validUntil }) => [validAfter, validUntil])).toEqual([
        [start, start + 7 * day],
        [start + 7 * day, start + 14 * day],
      ])
    }
    const ids = [...keys.onion, ...keys.envelope].map(({ id }) => base64(id))
    expect(new Set(ids).size).toBe(4)
  })

  test('files have mode 0600 and the forms that are documented', async () => {
    await createKeys(crypto, files, { now, validity: day })
    expect([await modeOf(files.identity_file), await modeOf(files.onion_keys_file)]).toEqual([0o600, 0o600])
    expect(fromBase64((await readFile(files.identity_file, 'utf8')).trim())).toHaveLength(32)
    const { version, keys } = await readStored()
    expect(version).toBe(1)
    for (const key of keys) {
      const { publicKey } = await crypto.dh.fromSecret(fromBase64(key.secret))
      expect(key.id).toBe(base64(crypto.hash.sha256(publicKey).slice(0, 8)))
      expect(key.validUntil - key.validAfter).toBe(day)
    }
  })

  test.each(['identity_file', 'onion_keys_file'] as const)(
    'an existing %s is kept, and nothing else written',
    async (which) => {
      await writeFile(files[which], 'mine')
      await expect(createKeys(crypto, files, { now })).rejects.toMatchObject({
        code: 'file-unusable',
        detail: `${files[which]} exists already and is not overwritten`,
      })
      expect(await readFile(files[which], 'utf8')).toBe('mine')
      const other = which === 'identity_file' ? files.onion_keys_file : files.identity_file
      await expect(stat(other)).rejects.toMatchObject({ code: 'ENOENT' })
    },
  )
})

describe('findKey', () => {
  test('honours a key from validAfter until a day after validUntil', async () => {
    await createKeys(crypto, files, { now })
    const keys = await loadKeys(crypto, files)
    const [first, second] = keys.onion as readonly [RelayKey, RelayKey]
    const find = (id: Uint8Array, at: number) => keys.findKey(id, purpose.hop, at)
    expect(find(first.id, start - 1)).toBeUndefined()
    expect(find(first.id, start)).toBe(first.pair)
    expect(find(first.id, start + 8 * day - 1)).toBe(first.pair)
    expect(find(first.id, start + 8 * day)).toBeUndefined()
    expect(find(second.id, start + 7 * day - 1)).toBeUndefined()
    expect(find(second.id, start + 7 * day)).toBe(second.pair)
  })

  test('a key serves its own purpose only', async () => {
    await createKeys(crypto, files, { now })
    const keys = await loadKeys(crypto, files)
    const [onion, envelope] = [keys.onion[0]?.id as Uint8Array, keys.envelope[0]?.id as Uint8Array]
    expect(keys.findKey(onion, purpose.hop, now)).toBeDefined()
    expect(keys.findKey(envelope, purpose.envelope, now)).toBeDefined()
    expect(keys.findKey(onion, purpose.envelope, now)).toBeUndefined()
    expect(keys.findKey(envelope, purpose.hop, now)).toBeUndefined()
    expect(keys.findKey(onion, purpose.mesh, now)).toBeUndefined()
    expect(keys.findKey(new Uint8Array(8), purpose.hop, now)).toBeUndefined()
    expect(keys.findKey(onion.slice(0, 7), purpose.hop, now)).toBeUndefined()
  })
})

describe('renewKeys', () => {
  test('does nothing while this period and the next have keys', async () => {
    await createKeys(crypto, files, { now })
    const before = await readFile(files.onion_keys_file, 'utf8')
    expect(await renewKeys(crypto, files, { now: start + 7 * day - 1 })).toBe(0)
    expect(await readFile(files.onion_keys_file, 'utf8')).toBe(before)
  })

  test('adds the key of the next period without a gap, and keeps the old one while it is honoured', async () => {
    const identity = await createKeys(crypto, files, { now })
    const before = await loadKeys(crypto, files)
    expect(await renewKeys(crypto, files, { now: start + 7 * day })).toBe(2)
    const after = await loadKeys(crypto, files)
    expect(base64(after.identity.publicKey)).toBe(base64(identity))
    expect(after.onion.slice(0, 2).map(({ id }) => base64(id))).toEqual(before.onion.map(({ id }) => base64(id)))
    expect(after.envelope.at(-1)).toMatchObject({ validAfter: start + 14 * day, validUntil: start + 21 * day })
    // A day later the first one is no longer honoured, so its secret goes.
    expect(await renewKeys(crypto, files, { now: start + 8 * day })).toBe(0)
    expect((await loadKeys(crypto, files)).onion).toHaveLength(2)
  })

  test('begins anew after a long pause, or where the file is gone', async () => {
    await createKeys(crypto, files, { now })
    const later = now + 365 * day
    expect(await renewKeys(crypto, files, { now: later })).toBe(4)
    expect((await loadKeys(crypto, files)).onion.map((key) => key.validAfter)).toEqual([
      later - hour,
      later - hour + 7 * day,
    ])
    await rm(files.onion_keys_file)
    expect(await renewKeys(crypto, files, { now: later })).toBe(4)
    expect(await modeOf(files.onion_keys_file)).toBe(0o600)
  })
})

describe('hostile files', () => {
  beforeEach(async () => {
    await createKeys(crypto, files, { now })
  })

  test.each(['identity_file', 'onion_keys_file'] as const)('%s that others can read is refused', async (which) => {
    await chmod(files[which], 0o644)
    await expect(loadKeys(crypto, files)).rejects.toMatchObject({
      code: 'file-unusable',
      detail: `${files[which]} holds a secret but has mode 0644; run: chmod 600 ${files[which]}`,
    })
  })

  test.each(['', 'hunter2', 'aHVudGVyMg==', base64(new Uint8Array(33))])(
    'identity %j is refused unquoted',
    async (text) => {
      await writeFile(files.identity_file, text)
      const detail = `${files.identity_file} must hold base64 of 32 bytes`
      const error: unknown = await loadKeys(crypto, files).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'file-unusable', detail })
      expect(error).not.toHaveProperty('cause')
    },
  )

  test.each<[string, (stored: Stored) => unknown, string]>([
    ['another version', (stored) => ({ ...stored, version: 2 }), 'is not an onion key file: version is wrong'],
    ['an unknown field', (stored) => ({ ...stored, more: 1 }), 'is not an onion key file: more is wrong'],
    ['an unknown use', (stored) => changed(stored, { use: 'spy' }), 'is not an onion key file: keys.0.use is wrong'],
    ['a fraction of time', (stored) => changed(stored, { validAfter: 1.5 }), 'keys.0.validAfter is wrong'],
    ['a short secret', (stored) => changed(stored, { secret: 'aHVudGVyMg==' }), 'must hold base64 of 32 bytes'],
    [
      'the id of another key',
      (stored) => changed(stored, { id: stored.keys[1]?.id }),
      'a key whose id does not belong to it',
    ],
    ['a validity backwards', (stored) => changed(stored, { validUntil: start }), 'validity ends before it begins'],
    ['no object', () => 7, 'its top level is wrong'],
  ])('an onion key file with %s is refused', async (_, change, detail) => {
    await writeFile(files.onion_keys_file, JSON.stringify(change(await readStored())))
    await expect(loadKeys(crypto, files)).rejects.toMatchObject({
      code: 'file-unusable',
      detail: expect.stringContaining(detail),
    })
  })

  test('an onion key file that is no JSON is refused without being quoted', async () => {
    await writeFile(files.onion_keys_file, 'hunter2')
    const error: unknown = await loadKeys(crypto, files).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ detail: `${files.onion_keys_file} is not JSON` })
    expect(error).not.toHaveProperty('cause')
  })

  function changed(stored: Stored, change: Record<string, unknown>) {
    return { ...stored, keys: [{ ...stored.keys[0], ...change }, ...stored.keys.slice(1)] }
  }
})

test('a signing key is the one that was made, and is never overwritten', async () => {
  const path = join(folder, 'directory.key')
  const publicKey = await createSigningKey(crypto, path)
  const key = await loadSigningKey(crypto, path)
  const message = Uint8Array.of(1, 2, 3)
  expect(await crypto.sign.verify(publicKey, message, await key.sign(message))).toBe(true)
  await expect(createSigningKey(crypto, path)).rejects.toMatchObject({ code: 'file-unusable' })
})

test('a key id is the first 8 bytes of SHA-256 of the public key', () => {
  // printf '\1%.0s' {1..32} | sha256sum
  expect(Buffer.from(keyIdOf(crypto, new Uint8Array(32).fill(1))).toString('hex')).toBe('72cd6e8422c407fb')
})
