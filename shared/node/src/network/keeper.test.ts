import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import type { Trust } from '@nightjar/shared/directory'
import type { ErrorCode } from '@nightjar/shared/errors'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { codeOf, codeOfAsync, FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NetworkKeeper, type NetworkKeeperOptions } from './index.ts'
import { type DocumentFields, makeDocument, otherTrust, trust } from './testing/documents.ts'

const refreshEvery = 10 * minute

let folder: string
let location: string
let clock: FakeClock
const servers: Server[] = []
const keepers: NetworkKeeper[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-keeper-'))
  location = join(folder, 'network.json')
  clock = new FakeClock()
})

afterEach(async () => {
  for (const keeper of keepers.splice(0)) keeper.stop()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  await rm(folder, { recursive: true })
})

async function publish(version: number, fields: Partial<DocumentFields> = {}): Promise<string> {
  const text = await makeDocument({ version, from: clock.now(), ...fields })
  await writeFile(location, text)
  return text
}

interface Kept {
  readonly keeper: NetworkKeeper
  readonly accepted: number[]
  readonly problems: ErrorCode[]
  /** Resolves with the next look's end: what it accepted, or its problem. */
  next(): Promise<number | ErrorCode>
}

function keep(options: Partial<NetworkKeeperOptions> = {}): Kept {
  const accepted: number[] = []
  const problems: ErrorCode[] = []
  let tell: (seen: number | ErrorCode) => void = () => {}
  const keeper = new NetworkKeeper({
    crypto: nobleCrypto,
    clock,
    location,
    trust,
    refreshEvery,
    onAccepted({ version }) {
      accepted.push(version)
      tell(version)
    },
    onProblem({ code }) {
      problems.push(code)
      tell(code)
    },
    ...options,
  })
  keepers.push(keeper)
  return {
    keeper,
    accepted,
    problems,
    next() {
      return new Promise((resolve) => {
        tell = resolve
      })
    },
  }
}

/** Once a look has told what it found, the next one is set in the same turn. */
async function settled<T>(look: Promise<T>): Promise<T> {
  const result = await look
  await turn()
  return result
}

describe('refresh', () => {
  test('holds the document and tells of it, once per version', async () => {
    const { keeper, accepted } = keep()
    const first = await publish(5)
    expect((await keeper.refresh()).version).toBe(5)
    await keeper.refresh()
    expect([keeper.network?.version, keeper.require().version, keeper.text]).toEqual([5, 5, first])
    const second = await publish(6)
    await keeper.refresh()
    expect([keeper.network?.version, keeper.text]).toEqual([6, second])
    expect(accepted).toEqual([5, 6])
  })

  test('refuses an older document, and another of the same version, and keeps what it had', async () => {
    const { keeper, accepted } = keep()
    const text = await publish(5)
    await keeper.refresh()
    for (const [version, previous] of [
      [4, 0],
      [5, 9],
    ] as const) {
      await publish(version, { previous })
      expect(await codeOfAsync(() => keeper.refresh())).toBe('document-rolled-back')
    }
    expect([keeper.network?.version, keeper.text, accepted]).toEqual([5, text, [5]])
  })

  test('refuses what is older than what an earlier run has seen', async () => {
    await publish(5)
    const { keeper: first } = keep()
    const { hash } = await first.refresh()
    const { keeper } = keep({ seen: { version: 6, hash } })
    expect(await codeOfAsync(() => keeper.refresh())).toBe('document-rolled-back')
    expect(keeper.network).toBeUndefined()
    const { keeper: same } = keep({ seen: { version: 5, hash } })
    expect((await same.refresh()).version).toBe(5)
  })

  test.each<[string, Partial<DocumentFields>, ErrorCode]>([
    ['that has expired', { from: Date.UTC(2025, 11, 31) }, 'document-expired'],
    ['that is not valid yet', { from: Date.UTC(2026, 0, 2) }, 'document-not-yet-valid'],
    ['that a stranger signed', { signedByStranger: true }, 'document-under-signed'],
  ])('refuses one %s', async (_, fields, code) => {
    const { keeper } = keep()
    await publish(5, fields)
    expect(await codeOfAsync(() => keeper.refresh())).toBe(code)
    expect([keeper.network, keeper.text]).toEqual([undefined, undefined])
    expect(codeOf(() => keeper.require())).toBe(code)
  })

  test('refuses what is no document, and a place where there is none', async () => {
    const { keeper } = keep()
    expect(await codeOfAsync(() => keeper.refresh())).toBe('file-unusable')
    for (const text of ['', '{}', 'null', '{"payload":"AAAA","signatures":[]}']) {
      await writeFile(location, text)
      expect(['document-malformed', 'document-under-signed']).toContain(await codeOfAsync(() => keeper.refresh()))
    }
  })
})

describe('a document that was held', () => {
  test('is gone at the moment that it expires, its text too', async () => {
    const { keeper } = keep()
    await publish(5, { validFor: hour })
    await keeper.refresh()
    clock.advance(hour - 1)
    expect(keeper.network?.version).toBe(5)
    clock.advance(1)
    expect([keeper.network, keeper.text]).toEqual([undefined, undefined])
    expect(codeOf(() => keeper.require())).toBe('document-expired')
    expect(await codeOfAsync(() => keeper.refresh())).toBe('document-expired')
  })

  test('still counts against a roll-back after it has expired', async () => {
    const { keeper } = keep()
    await publish(5, { validFor: hour })
    await keeper.refresh()
    clock.advance(2 * hour)
    await publish(4)
    expect(await codeOfAsync(() => keeper.refresh())).toBe('document-rolled-back')
    await publish(6)
    expect((await keeper.refresh()).version).toBe(6)
  })

  test('can be handed in as text, which is checked like any other', async () => {
    const { keeper, accepted } = keep()
    const text = await makeDocument({ version: 5, from: clock.now() })
    expect((await keeper.accept(text)).version).toBe(5)
    expect(await codeOfAsync(() => keeper.accept(text.replace('A', 'B')))).toBeDefined()
    expect(keeper.text).toBe(text)
    expect(accepted).toEqual([5])
  })
})

// Found by review: what was held stayed in use until it expired.
describe('where others are trusted from now on', () => {
  function keepFor() {
    const believed = { ...trust }
    return { ...keep({ trust: believed }), believe: (now: Trust) => Object.assign(believed, now) }
  }

  test('what they have not signed is held no longer, and what they have may be older', async () => {
    const { keeper, believe } = keepFor()
    await publish(5)
    await keeper.refresh()
    believe(otherTrust)
    expect(await keeper.renewTrust()).toBe(false)
    expect([keeper.network, keeper.text]).toEqual([undefined, undefined])
    await publish(4, { signedByStranger: true })
    expect((await keeper.refresh()).version).toBe(4)
    believe(trust)
    expect(await keeper.renewTrust()).toBe(false)
    await publish(3)
    expect((await keeper.refresh()).version).toBe(3)
  })

  test('what they have signed stays, and goes on counting against a roll-back', async () => {
    const { keeper, accepted, believe } = keepFor()
    const text = await publish(5, { validFor: hour })
    await keeper.refresh()
    believe({ keys: [...trust.keys, ...otherTrust.keys], threshold: 1 })
    expect([await keeper.renewTrust(), keeper.text, accepted]).toEqual([true, text, [5]])
    clock.advance(hour)
    expect(await keeper.renewTrust()).toBe(true)
    await publish(4)
    expect(await codeOfAsync(() => keeper.refresh())).toBe('document-rolled-back')
  })

  test('one that was read before is not held after a newer one', async () => {
    const { keeper } = keepFor()
    const [older, newer] = [await publish(5), await publish(6)]
    const accepting = keeper.accept(newer)
    const late = codeOfAsync(() => keeper.accept(older))
    await accepting
    expect([await late, keeper.network?.version]).toEqual(['document-rolled-back', 6])
  })

  test('what was read before is judged by them', async () => {
    const { keeper, believe } = keepFor()
    const text = await publish(5)
    const accepting = codeOfAsync(() => keeper.accept(text))
    believe(otherTrust)
    expect([await keeper.renewTrust(), await accepting]).toEqual([true, 'document-under-signed'])
    expect(keeper.network).toBeUndefined()
  })

  test('the next one is looked for every few seconds', async () => {
    const { keeper, believe, next } = keepFor()
    await publish(5)
    await keeper.refresh()
    keeper.start()
    believe(otherTrust)
    await keeper.renewTrust()
    expect(clock.pending).toBe(1)
    await publish(6, { signedByStranger: true })
    const look = next()
    clock.advance(5 * second)
    expect(await settled(look)).toBe(6)
  })
})

describe('once started', () => {
  test('looks again and again, takes what is newer, and says nothing of what is the same', async () => {
    const { keeper, accepted, problems, next } = keep()
    await publish(5, { validFor: 24 * hour })
    await keeper.refresh()
    keeper.start()
    for (const version of [6, 7]) {
      await publish(version, { validFor: 24 * hour })
      const look = next()
      clock.advance(refreshEvery)
      expect(await settled(look)).toBe(version)
    }
    expect([accepted, problems]).toEqual([[5, 6, 7], []])
    expect(clock.pending).toBe(1)
  })

  test('does not look before its time', async () => {
    const { keeper, accepted } = keep()
    await publish(5)
    await keeper.refresh()
    keeper.start()
    await publish(6)
    clock.advance(refreshEvery - 1)
    await turn()
    expect(accepted).toEqual([5])
    expect(clock.pending).toBe(1)
  })

  test('tells of each problem, keeps what it had until that expires, and recovers', async () => {
    const { keeper, problems, next } = keep()
    await publish(5, { validFor: 25 * minute })
    await keeper.refresh()
    keeper.start()
    await rm(location)
    for (const version of [5, 5, undefined]) {
      const look = next()
      clock.advance(refreshEvery)
      expect(await settled(look)).toBe('file-unusable')
      expect(keeper.network?.version).toBe(version)
    }
    await publish(4)
    let look = next()
    clock.advance(refreshEvery)
    expect(await settled(look)).toBe('document-rolled-back')
    await publish(6)
    look = next()
    clock.advance(refreshEvery)
    expect(await settled(look)).toBe(6)
    expect(problems).toEqual(['file-unusable', 'file-unusable', 'file-unusable', 'document-rolled-back'])
  })

  test('looks every few seconds while there is no document', async () => {
    const { keeper, next } = keep()
    expect(await codeOfAsync(() => keeper.refresh())).toBe('file-unusable')
    keeper.start()
    let look = next()
    clock.advance(5 * second)
    expect(await settled(look)).toBe('file-unusable')
    await publish(5)
    look = next()
    clock.advance(5 * second)
    expect(await settled(look)).toBe(5)
  })

  test('stops for good, in the middle of a look too', async () => {
    const { keeper, accepted } = keep()
    await publish(5)
    await keeper.refresh()
    keeper.start()
    keeper.stop()
    expect(clock.pending).toBe(0)

    const looking = keep()
    await looking.keeper.refresh()
    looking.keeper.start()
    await publish(6)
    const look = looking.next()
    clock.advance(refreshEvery)
    looking.keeper.stop()
    await settled(look)
    expect(clock.pending).toBe(0)
    expect(accepted).toEqual([5])
  })
})

test('a document from a server is checked like one from a file', async () => {
  let text = await makeDocument({ version: 5, from: clock.now() })
  const server = createServer((_, response) => void response.end(text))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { keeper } = keep({ location: `http://127.0.0.1:${(server.address() as AddressInfo).port}/network.json` })
  expect((await keeper.refresh()).version).toBe(5)
  text = await makeDocument({ version: 4, from: clock.now() })
  expect(await codeOfAsync(() => keeper.refresh())).toBe('document-rolled-back')
  text = await makeDocument({ version: 6, from: clock.now(), signedByStranger: true })
  expect(await codeOfAsync(() => keeper.refresh())).toBe('document-under-signed')
  expect(keeper.network?.version).toBe(5)
})
