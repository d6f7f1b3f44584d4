import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { base64 } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { NightjarError } from '@nightjar/shared/errors'
import { purpose } from '@nightjar/shared/handshake'
import { day, hour } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeys, type KeyFiles, loadKeys } from '../keys.ts'
import { KeyRotation } from './keyRotation.ts'

let folder: string
let files: KeyFiles
let clock: FakeClock
let rotated: number
let problems: string[]
let failure: NightjarError | undefined
let rotation: KeyRotation

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-rotation-'))
  files = { identity_file: join(folder, 'identity.key'), onion_keys_file: join(folder, 'onion.keys') }
  clock = new FakeClock()
  rotated = 0
  problems = []
  failure = undefined
  rotation = new KeyRotation({
    crypto,
    clock,
    files,
    async onRotated() {
      if (failure !== undefined) throw failure
      rotated += 1
    },
    onProblem: ({ code }) => void problems.push(code),
  })
  await createKeys(crypto, files, { now: clock.now() })
})
afterEach(() => rm(folder, { recursive: true }))

/** Lets time go on, and what falls due be done, which takes files and therefore real time. */
async function elapse(duration: number): Promise<void> {
  clock.advance(duration)
  while (clock.pending === 0) await new Promise(setImmediate)
}

const ids = async () => (await loadKeys(crypto, files)).onion.map(({ id }) => base64(id))

describe('keys rotate by themselves', () => {
  test('each period the next one’s are made, a whole period before they are used', async () => {
    await rotation.start()
    const [first, second] = await ids()
    expect([rotated, clock.pending]).toEqual([0, 1])

    // The first key is valid from an hour before it was made.
    await elapse(7 * day - hour - 1)
    expect([rotated, await ids()]).toEqual([0, [first, second]])
    await elapse(1)
    const [, , third] = await ids()
    expect([rotated, await ids()]).toEqual([1, [first, second, third]])
    const keys = await loadKeys(crypto, files)
    expect(keys.onion.map(({ validAfter }) => validAfter - clock.now())).toEqual([-7 * day, 0, 7 * day])
    expect(keys.envelope).toHaveLength(3)

    await elapse(7 * day)
    const [, , fourth] = await ids()
    expect([rotated, await ids()]).toEqual([2, [second, third, fourth]])
  })

  test('whichever key a client was told of in time is honoured, at every hour of a month', async () => {
    await rotation.start()
    for (let hours = 0; hours < 30 * 24; hours += 6) {
      const keys = await loadKeys(crypto, files)
      const current = keys.onion.find(
        ({ validAfter, validUntil }) => validAfter <= clock.now() && clock.now() < validUntil,
      )
      expect(current, `after ${hours} hours`).toBeDefined()
      // A client whose document is a day old still uses the key of then.
      for (const { id, validUntil } of keys.onion) {
        const isHonoured = keys.findKey(id, purpose.hop, clock.now()) !== undefined
        if (validUntil <= clock.now() && clock.now() < validUntil + day) expect(isHonoured).toBe(true)
      }
      await elapse(6 * hour)
    }
    expect(rotated).toBe(4)
  })

  test('new keys last as long as those before', async () => {
    await rm(folder, { recursive: true })
    folder = await mkdtemp(join(tmpdir(), 'nightjar-rotation-'))
    Object.assign(files, { identity_file: join(folder, 'identity.key'), onion_keys_file: join(folder, 'onion.keys') })
    await createKeys(crypto, files, { now: clock.now(), validity: 2 * day })
    await rotation.start()
    await elapse(2 * day)
    const last = (await loadKeys(crypto, files)).onion.at(-1)
    expect((last?.validUntil ?? 0) - (last?.validAfter ?? 0)).toBe(2 * day)
  })

  test('a relay that was down for long makes what it needs at its start', async () => {
    clock.advance(100 * day)
    await rotation.start()
    expect(rotated).toBe(1)
    const { onion } = await loadKeys(crypto, files)
    expect(onion.map(({ validUntil }) => validUntil > clock.now())).toEqual([true, true])
  })

  test('where the file cannot be used it says so, and tries again in an hour', async () => {
    await rotation.start()
    await chmod(files.onion_keys_file, 0o644)
    await elapse(7 * day)
    expect([problems, rotated]).toEqual([['file-unusable'], 0])
    await chmod(files.onion_keys_file, 0o600)
    await elapse(hour)
    expect([problems.length, rotated]).toEqual([1, 1])
  })

  test('where new keys cannot be taken into use it tries that again, too', async () => {
    await rotation.start()
    failure = new NightjarError('timed-out')
    await elapse(7 * day)
    expect([problems, rotated]).toEqual([['timed-out'], 0])
    failure = undefined
    await elapse(hour)
    expect([problems.length, rotated]).toEqual([1, 1])
  })

  test('nothing happens after the stop', async () => {
    await rotation.start()
    rotation.stop()
    expect(clock.pending).toBe(0)
  })
})
