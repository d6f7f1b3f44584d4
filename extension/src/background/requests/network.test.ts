import { fromBase64 } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import type { DocumentMark } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { day, hour } from '@nightjar/shared/runtime'
import { codeOf, codeOfAsync, FakeClock, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { createNetwork, type DocumentChanges } from '../testing/network.ts'
import { agreed, Stage } from '../testing/stage.ts'
import { NetworkDocument } from './network.ts'

const network = await createNetwork({ one: [1] })
const other = await createNetwork({ two: [1] }, { seed: 'other directory' })

function setUp() {
  const clock = new FakeClock()
  const texts: Promise<string>[] = []
  const marks: DocumentMark[] = []
  let directory = network.directory
  const document = new NetworkDocument({
    crypto,
    clock,
    trust: () => ({ keys: directory.keys.map(fromBase64), threshold: directory.threshold }),
    seen: () => marks.at(-1),
    accepted: (mark) => marks.push(mark),
    fetch: () => texts.shift() ?? Promise.reject(new NightjarError('host-exited')),
  })
  const offer = (changes: DocumentChanges = {}) => texts.push(network.document(clock.now(), changes))
  const trustOther = () => {
    directory = other.directory
    marks.length = 0
    document.forget()
  }
  return { clock, document, texts, marks, offer, trustOther }
}

describe('the network document', () => {
  test('is used once it is verified, until it ends', async () => {
    const { clock, document, marks, offer } = setUp()
    expect(codeOf(() => document.require())).toBe('document-expired')
    offer({ validUntil: clock.now() + hour })
    expect((await document.refresh()).version).toBe(1)
    expect(document.require().relays.map(({ name }) => name)).toEqual(['one'])
    expect(marks).toMatchObject([{ version: 1 }])
    clock.advance(hour - 1)
    expect(document.require().version).toBe(1)
    clock.advance(1)
    expect(codeOf(() => document.require())).toBe('document-expired')
  })

  test.each<[string, ErrorCode, (now: number) => DocumentChanges]>([
    ['signed by one directory', 'document-under-signed', () => ({ signers: [0] })],
    ['signed twice by one', 'document-under-signed', () => ({ signers: [1, 1] })],
    ['expired', 'document-expired', (now) => ({ validAfter: now - day, validUntil: now })],
    ['of the future', 'document-not-yet-valid', (now) => ({ validAfter: now + 1 })],
  ])('%s is refused, and what was accepted before stays in use', async (_, code, changes) => {
    const { clock, document, marks, offer } = setUp()
    offer()
    await document.refresh()
    offer({ version: 2, ...changes(clock.now()) })
    expect(await codeOfAsync(() => document.refresh())).toBe(code)
    expect([document.require().version, marks.length]).toEqual([1, 1])
  })

  test('of another network’s directories is refused', async () => {
    const { clock, document, texts } = setUp()
    texts.push(other.document(clock.now()))
    expect(await codeOfAsync(() => document.refresh())).toBe('document-under-signed')
  })

  test.each(['', 'null', '{}', '{"payload":"AAAA","signatures":[]}', 'x'.repeat(1000)])(
    'that is %j is refused',
    async (text) => {
      const { document, texts } = setUp()
      texts.push(Promise.resolve(text))
      expect(await codeOfAsync(() => document.refresh())).toMatch(/^document-(malformed|under-signed)$/)
    },
  )

  test('that is older than one seen before is refused, and so is another one of the same version', async () => {
    const { clock, document, marks, offer } = setUp()
    offer({ version: 3 })
    await document.refresh()
    offer({ version: 2 })
    expect(await codeOfAsync(() => document.refresh())).toBe('document-rolled-back')
    offer({ version: 3, validUntil: clock.now() + hour })
    expect(await codeOfAsync(() => document.refresh())).toBe('document-rolled-back')
    offer({ version: 3 })
    expect((await document.refresh()).version).toBe(3)
    expect(marks.every(({ version }) => version === 3)).toBe(true)
  })

  // A daemon that answers two questions at once, the newer document first, could roll us back.
  test('is not rolled back by two that are asked for at once', async () => {
    const { clock, document, marks, texts, offer } = setUp()
    const late = Promise.withResolvers<string>()
    texts.push(late.promise)
    offer({ version: 1 })
    const first = codeOfAsync(() => document.refresh())
    await turn()
    const second = codeOfAsync(() => document.refresh())
    await turn()
    late.resolve(await network.document(clock.now(), { version: 2 }))
    expect([await first, await second]).toEqual([undefined, 'document-rolled-back'])
    expect([document.require().version, marks.length]).toEqual([2, 1])
  })

  // A daemon that told of 10,000 newer documents at once kept everything else waiting for half a minute.
  test('that is asked for again and again while one is under way is fetched once more', async () => {
    const { document, texts, offer } = setUp()
    for (let version = 1; version <= 10; version++) offer({ version })
    const all = Array.from({ length: 5 }, () => document.refresh())
    await turn()
    all.push(...Array.from({ length: 5 }, () => document.refresh()))
    expect((await Promise.all(all)).map(({ version }) => version)).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    expect(texts).toHaveLength(8)
  })

  // The old network's version stuck as the newest seen, and the new network's documents were refused for it.
  test('of the old network that arrives after other keys are trusted counts for nothing', async () => {
    const { clock, document, marks, texts, trustOther } = setUp()
    const late = Promise.withResolvers<string>()
    texts.push(late.promise)
    const refreshing = codeOfAsync(() => document.refresh())
    trustOther()
    late.resolve(await other.document(clock.now(), { version: 9 }))
    expect(await refreshing).toBe('cancelled')
    expect(marks).toEqual([])
    expect(codeOf(() => document.require())).toBe('document-expired')
    texts.push(other.document(clock.now(), { version: 2 }))
    expect((await document.refresh()).version).toBe(2)
  })
})

describe('the mark of the newest one', () => {
  test('outlives the service worker: an older document is refused after a restart', async () => {
    const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
    stage.daemon.document = await network.document(stage.clock.now(), { version: 5 })
    await stage.start()
    expect([stage.snapshot.state, stage.snapshot.networkVersion]).toEqual(['private', 5])
    stage.daemon.document = await network.document(stage.clock.now(), { version: 4 })
    await stage.restart()
    expect([stage.snapshot.state, stage.at, stage.problem]).toEqual([
      'blocked',
      'network failed',
      'document-rolled-back',
    ])
    const page = stage.openPage('https://dapp.example')
    const id = page.ask('eth_gasPrice')
    await turn()
    expect(page.codeOf(id)).toBe('document-rolled-back')
    expect(stage.daemon.asked.filter(({ method }) => method === 'eth_gasPrice')).toEqual([])
  })
})
