import { bridgeVersion } from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import { recordSize } from '@nightjar/shared/envelope'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { keptFor } from '@nightjar/shared/requests'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { watch } from '../client/testing/branches.ts'
import { numberOf, TestBridge } from './testing/bridge.ts'
import { labels, proofKey, question, startSession } from './testing/session.ts'

// Two trunks hold fewer branches than the real bound.
const bounds: { branchesPerBridge: number } = limits
beforeAll(() => void vi.spyOn(bounds, 'branchesPerBridge', 'get').mockReturnValue(4))
afterAll(() => void vi.restoreAllMocks())

const [label] = labels

describe('a session says', () => {
  test('who it is; what changes is told to those who said hello, and to nobody else', async () => {
    const { net, bridge, context } = await startSession()
    bridge.session.tell({ event: 'document' })
    expect(bridge.events).toEqual([])
    const hello = await net.run(bridge.ask('hello', { bridge: bridgeVersion, version: '0.1.0' }))
    expect(hello).toEqual({ bridge: bridgeVersion, version: '1.2.3', proofKey })
    bridge.session.tell({ event: 'document' })
    bridge.session.tell({ event: 'status', status: context.status() })
    expect(bridge.events).toEqual([{ event: 'document' }, { event: 'status', status: context.status() }])
  })

  test('how the daemon is doing, and the network document, or why there is none', async () => {
    const { net, bridge, context } = await startSession()
    expect(await net.run(bridge.ask('status', {}))).toMatchObject({ state: 'private', version: '1.2.3' })
    expect(await net.run(bridge.ask('document', {}))).toEqual({ text: '{"signed":true}' })
    const document = () => {
      throw new NightjarError('document-expired')
    }
    const other = new TestBridge({ ...context, document })
    expect(await codeOfAsync(() => net.run(other.ask('document', {})))).toBe('document-expired')
  })

  test('which gateways a group has, best first, those that failed lately last and named as such', async () => {
    const { net, bridge, open } = await startSession()
    const gateways = () => net.run(bridge.ask('gateways', { group: label, chain: 1 }))
    const [first, ...others] = await gateways()
    expect([first, ...others].map((each) => each?.avoided)).toEqual([false, false, false])
    expect(await gateways()).toEqual([first, ...others])
    const gateway = net.find(Buffer.from(first?.relay ?? '', 'hex'))
    gateway.up = false
    expect(await codeOfAsync(() => open(label, gateway.relay.name))).toBe('connect-failed')
    expect(await gateways()).toEqual([...others, { ...first, avoided: true }])
    expect(await codeOfAsync(() => net.run(bridge.ask('gateways', { group: label, chain: 5 })))).toBe(
      'chain-not-served',
    )
  })
})

describe('what is sealed across the bridge', () => {
  test('is answered by its gateway, and crosses the bridge as ciphertext', async () => {
    const { net, client, bridge, open, ask } = await startSession()
    const branch = await open()
    net.named('g0').answer = () => ({ result: 'the answer' })
    expect(await ask(branch, { ...question, params: ['0xd8dA6BF2'] })).toEqual({ result: 'the answer' })
    expect(net.named('g0').asked).toEqual([{ ...question, params: ['0xd8dA6BF2'] }])
    expect(client.status()).toMatchObject({ branches: 1, requests: { ok: 1, failed: 0 } })
    // Nor does it in the records, once their base64 is taken away.
    const records = bridge.wire.flatMap((text) => text.match(/[A-Za-z0-9+/=]{100,}/g) ?? [])
    expect(records.length).toBeGreaterThanOrEqual(4)
    const crossed = [...bridge.wire, ...records.map((text) => Buffer.from(text, 'base64').toString('latin1'))].join()
    for (const clear of ['eth_', '0xd8dA', 'the answer', 'result":"']) expect(crossed).not.toContain(clear)
  })

  test('many at once come back to those who asked, more than a branch has streams', async () => {
    const { net, open } = await startSession()
    const branches = [await open(label), await open(labels[1], 'g1')]
    for (const name of ['g0', 'g1']) net.named(name).answer = ({ chain }) => ({ result: `${name} ${chain}` })
    const chains = Array.from({ length: limits.streamsPerBranch + 50 }, (_, index) => index + 1)
    const asked = branches.flatMap((branch) => chains.map((chain) => branch.ask({ ...question, chain })))
    const expected = ['g0', 'g1'].flatMap((name) => chains.map((chain) => ({ result: `${name} ${chain}` })))
    expect(await net.run(Promise.all(asked))).toEqual(expected)
  })

  test('large ones too', async () => {
    const { net, open, ask } = await startSession()
    const branch = await open()
    net.named('g0').answer = ({ params }) => ({ result: (params as string[])[0] as string })
    const text = 'x'.repeat(300_000)
    expect(await ask(branch, { ...question, params: [text] })).toEqual({ result: text })
  })

  test('an exchange that ends without an answer is an error of that one, and the branch stays', async () => {
    const { net, clock, client, open, ask, hold, bridge } = await startSession()
    const branch = await open()
    const { release } = hold()
    const asked = watch(branch.ask(question))
    await clock.elapse(25 * second)
    await net.settle()
    expect(asked.code).toBe('timed-out')
    expect(client.status().requests).toEqual({ ok: 0, failed: 1 })
    release()
    expect(await ask(branch)).toEqual({ result: 'later' })
    expect(bridge.events).toEqual([])
  })
})

test('a branch that is kept goes on at its gateway when the session has retired it, and takes no place of the browser’s', async () => {
  const { net, client, bridge, open } = await startSession()
  const told: string[] = []
  const watched = { ...question, method: 'nightjar_watch', params: [] }
  const onEnd = (code: string) => void told.push(code)
  const followed = () => net.named('g0').followed.filter(({ endedWith }) => endedWith === undefined).length
  for (const [index, each] of labels.entries()) {
    const branch = await open(each)
    branch.follow(watched, { onOutcome() {}, onEnd })
    await net.settle()
    branch.retire()
    await net.settle()
    expect([told.length, followed()]).toEqual([index + 1, index + 1])
  }
  expect(new Set(told)).toEqual(new Set(['branch-retired']))
  expect(labels.length).toBeGreaterThan(limits.branchesPerBridge)
  bridge.session.close()
  await net.settle()
  expect([client.status().branches, followed()]).toEqual([labels.length, labels.length])
  await net.clock.elapse(keptFor.longest)
  await net.settle()
  expect([client.status().branches, followed()]).toEqual([0, 0])
})

describe('what is refused', () => {
  test.each([0, 1, 927, 929, 3 * 928, recordSize(2 * limits.questionCells)])(
    'a record of %i bytes, which is no size class',
    async (length) => {
      const { net, bridge, open, ask } = await startSession()
      const branch = await open()
      const fields = { branch: numberOf(branch), record: base64(new Uint8Array(length)) }
      expect(await codeOfAsync(() => net.run(bridge.ask('exchange', fields)))).toBe('bad-request')
      const follow = bridge.ask('follow', { ...fields, cells: 4 })
      expect(await codeOfAsync(() => net.run(follow))).toBe('bad-request')
      expect(net.named('g0').asked).toEqual([])
      expect(await ask(branch)).toEqual({ result: 'g0' })
    },
  )

  test('a gateway that the document does not have, and a relay that is none', async () => {
    const { net, bridge, client } = await startSession()
    const hello = base64(new Uint8Array(1227))
    const unknown = bridge.ask('open', { group: label, gateway: '0f'.repeat(32), hello, hidesMiddle: false })
    expect(await codeOfAsync(() => net.run(unknown))).toBe('unknown-relay')
    const relay = bridge.ask('open', { group: label, gateway: net.named('r0').relay.id, hello, hidesMiddle: false })
    expect(await codeOfAsync(() => net.run(relay))).toBe('unknown-relay')
    expect(client.status().branches).toBe(0)
  })

  test('more branches than one browser may have, those that are being opened included', async () => {
    const { net, bridge, context, open } = await startSession()
    const opened = await Promise.allSettled(labels.slice(0, 5).map((group) => open(group)))
    expect(opened.map((each) => (each.status === 'rejected' ? each.reason.code : 'open'))).toEqual([
      'open',
      'open',
      'open',
      'open',
      'limit-reached',
    ])
    const other = new TestBridge(context)
    expect((await open(label, 'g1', other)).error).toBeUndefined()
    await net.run(bridge.ask('close', { branch: 1, failed: false }))
    expect((await open(labels[4])).error).toBeUndefined()
    expect(await codeOfAsync(() => open(label))).toBe('limit-reached')
  })

  test('and an opening that failed takes no place', async () => {
    const { net, open } = await startSession()
    net.named('g0').up = false
    for (const group of labels) expect(await codeOfAsync(() => open(group))).toBe('connect-failed')
    expect((await open(label, 'g1')).error).toBeUndefined()
  })
})

describe('a gateway that does not prove who it is', () => {
  // Found here: the branch was retired first, after which there was nobody left to blame; and each time that it could be
  // reached it started with a clean slate, so that it was never passed over for longer.
  test('is passed over, for longer each time', async () => {
    const { net, clock, open, avoided, bridge, client } = await startSession()
    const { relay } = net.named('g0')
    const { publicKey } = await nativeCrypto.dh.generate()
    const pretended = { ...relay, envelopeKeys: relay.envelopeKeys.map((key) => ({ ...key, key: publicKey })) }
    const attempt = () => codeOfAsync(() => open(label, 'g0', bridge, pretended))
    expect(await avoided()).toBe(false)
    expect(await attempt()).toBe('handshake-failed')
    await net.settle()
    expect(await avoided()).toBe(true)
    expect(client.status().branches).toBe(0)
    await clock.elapse(1 * second)
    expect(await avoided()).toBe(false)
    expect(await attempt()).toBe('handshake-failed')
    await clock.elapse(2 * second - 1)
    expect(await avoided()).toBe(true)
    await clock.elapse(1)
    expect(await avoided()).toBe(false)
  })

  test('and then does is good again once a branch to it has ended with whose answers nobody has found fault', async () => {
    const { net, clock, open, ask, avoided, bridge } = await startSession()
    const fail = async () => {
      await net.run(bridge.ask('close', { branch: numberOf(await open()), failed: true }))
      await clock.elapse(minute)
    }
    for (let time = 0; time < 3; time++) await fail()
    const answered = await open()
    await ask(answered)
    await net.run(bridge.ask('close', { branch: numberOf(answered), failed: false }))
    await net.run(bridge.ask('close', { branch: numberOf(await open()), failed: true }))
    await clock.elapse(1 * second - 1)
    expect(await avoided()).toBe(true)
    await clock.elapse(1)
    expect(await avoided()).toBe(false)
  })
})

describe('groups', () => {
  test('of an extension share no branch and no gateway with the daemon’s own of the same text', async () => {
    const { net, state, client, bridge, open, ask } = await startSession()
    const own = (await net.run(client.request({ group: label, chain: 1, call: { method: 'eth_blockNumber' } }))) as {
      result: string
    }
    const [first] = await net.run(bridge.ask('gateways', { group: label, chain: 1 }))
    expect(first?.relay).not.toBe(net.named(own.result).relay.id)
    expect(new Set(state.gateways.map(({ group }) => group)).size).toBe(2)
    // Even at the same gateway it is another branch.
    const branch = await open(label, own.result)
    expect(client.status().branches).toBe(2)
    expect(await ask(branch)).toEqual({ result: own.result })
    expect(net.named(own.result).hops.size).toBe(2)
  })

  test('of the command line are the daemon’s own', async () => {
    const { net, bridge } = await startSession()
    expect(await net.run(bridge.rpc('eth_blockNumber'))).toMatch(/^g/)
    expect(await codeOfAsync(() => net.run(bridge.rpc('eth_blockNumber', 5)))).toBe('chain-not-served')
  })
})
