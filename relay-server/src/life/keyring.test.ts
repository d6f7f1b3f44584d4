import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { day, hour } from '@nightjar/shared/runtime'
import { writeSecret } from '@nightjar/shared-node/config'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeys, type KeyFiles, usesOf } from '../keys.ts'
import { Keyring } from './keyring.ts'

const now = Date.UTC(2026, 0, 15)
const gateway = usesOf({ roles: ['gateway'] })
const relay = usesOf({ roles: ['relay', 'exit'] })
let folder: string
let files: KeyFiles
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-keyring-'))
  files = { identity_file: join(folder, 'identity.key'), onion_keys_file: join(folder, 'onion.keys') }
  await createKeys(crypto, files, { now, validity: 2 * day })
})
afterEach(() => rm(folder, { recursive: true }))

describe('keys', () => {
  test('are checked against the time that it is', async () => {
    const keyring = await Keyring.open(crypto, files)
    const end = now - hour + 4 * day
    expect(keyring.check(gateway, now)).toEqual({ name: 'keys', ok: true, sentence: 'The keys are valid.' })
    expect(keyring.check(gateway, end - 1).ok).toBe(true)
    expect(keyring.check(relay, end)).toMatchObject({ ok: false, sentence: expect.stringMatching(/onion.*any more/) })
    const early = keyring.check(relay, now - hour - 1)
    expect(early).toMatchObject({ ok: false, sentence: expect.stringMatching(/valid yet.*clock/) })
  })

  test('say for how long there are some', async () => {
    const keyring = await Keyring.open(crypto, files)
    expect(keyring.validFor(gateway, now)).toBe(4 * day - hour)
    expect(keyring.validFor(gateway, now + 3 * day)).toBe(day - hour)
    expect(keyring.validFor(gateway, now + 4 * day)).toBe(0)
    expect(keyring.validFor(gateway, now - day)).toBe(0)
  })

  test('for envelopes are a gateway’s alone', async () => {
    const stored = JSON.parse(await readFile(files.onion_keys_file, 'utf8')) as { keys: { use: string }[] }
    const without = { ...stored, keys: stored.keys.filter(({ use }) => use === 'onion') }
    await writeSecret(files.onion_keys_file, JSON.stringify(without), { overwrite: true })
    const keyring = await Keyring.open(crypto, files)
    expect(keyring.check(relay, now).ok).toBe(true)
    const check = keyring.check(gateway, now)
    expect(check).toMatchObject({ ok: false, sentence: expect.stringMatching(/^There is no envelope key.*keygen/) })
    expect(keyring.validFor(gateway, now)).toBe(0)
  })
})
