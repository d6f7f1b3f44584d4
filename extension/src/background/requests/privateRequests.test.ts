/** From a page's question to its answer, with an honest daemon and with hostile ones; the gateways' ends are real. */
import type { ErrorCode } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { flipBit, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { createNetwork, createRelay } from '../testing/network.ts'
import { ScriptedPort } from '../testing/ports.ts'
import { agreed, Stage } from '../testing/stage.ts'

const network = await createNetwork({ one: [1], two: [1], elsewhere: [2] }, { relays: { plain: [1] } })
const stranger = await createRelay('stranger', [1])

async function setUp() {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  await stage.start()
  expect(stage.snapshot.state).toBe('private')
  const page = stage.openPage('https://dapp.example')
  stage.daemon.asked.length = 0
  stage.daemon.requests.length = 0
  return { stage, daemon: stage.daemon, clock: stage.clock, page }
}

const types = ({ daemon }: { daemon: Stage['daemon'] }) => daemon.requests.map(({ type }) => type)

describe('a read', () => {
  test('is answered by the gateway that is ranked first', async () => {
    const { daemon, page } = await setUp()
    const params = ['0xabc', 'latest']
    expect(await page.request('eth_getBalance', params)).toEqual({ result: 'eth_getBalance of 1' })
    expect(daemon.asked).toMatchObject([{ gateway: 'one', chain: 1, method: 'eth_getBalance', params, cells: 4 }])
  })

  test('keeps to one branch, and to one answer about gateways for a minute', async () => {
    const { clock, page, ...rest } = await setUp()
    await page.request('eth_gasPrice')
    await page.request('eth_gasPrice')
    expect(types(rest)).toEqual(['gateways', 'open', 'exchange', 'exchange'])
    clock.advance(minute)
    await page.request('eth_gasPrice')
    expect(types(rest).slice(4)).toEqual(['gateways', 'exchange'])
  })

  test('many at once come back each to its own question', async () => {
    const { daemon, page } = await setUp()
    daemon.answer = ({ params }) => ({ result: params ?? null })
    const ids = Array.from({ length: 50 }, (_, index) => page.ask('eth_call', [index]))
    await turn()
    expect(ids.map((id) => page.answerTo(id)?.result)).toEqual(ids.map((_, index) => [index]))
  })

  test('an error of the node is an answer, as it is', async () => {
    const { daemon, page } = await setUp()
    const error = { code: 3, message: 'execution reverted', data: '0x08c379a0' }
    daemon.answer = () => ({ error })
    expect(await page.request('eth_estimateGas')).toEqual({ error })
    expect(daemon.asked).toHaveLength(1)
  })

  test('of a chain that nobody serves is refused', async () => {
    const { page } = await setUp()
    const id = page.ask('eth_gasPrice', [], { chain: 5 })
    await turn()
    expect(page.answerTo(id)?.error).toMatchObject({ code: 4901, data: { nightjar: 'chain-not-served', chain: 5 } })
  })

  test('goes to another gateway where one fails, is passed over, or cannot ask its provider', async () => {
    const { daemon, page } = await setUp()
    daemon.on('open', ({ gateway }) => {
      if (gateway !== network.relay('one').id) return undefined
      daemon.avoided = ['one']
      return { error: { code: 1, message: '', data: { nightjar: 'connect-failed' } } }
    })
    expect(await page.request('eth_gasPrice')).toEqual({ result: 'eth_gasPrice of 1' })
    expect(daemon.asked.map(({ gateway }) => gateway)).toEqual(['two'])
  })
})

describe('the daemon names', () => {
  test.each<[string, readonly string[]]>([
    ['a relay that the document does not have', [stranger.id]],
    ['a relay that is no gateway', [network.relay('plain').id]],
    ['a gateway of another chain', [network.relay('elsewhere').id]],
    ['several such', [network.relay('plain').id, stranger.id]],
  ])('%s: nothing is sent', async (_, relays) => {
    const { daemon, page, ...rest } = await setUp()
    daemon.on('gateways', () => ({ result: relays.map((relay) => ({ relay, avoided: false })) }))
    const id = page.ask('eth_gasPrice')
    await turn()
    expect(page.codeOf(id)).toBe('gateway-untrusted')
    expect(types({ ...rest, daemon })).toEqual(['gateways'])
  })

  test('one that we do not know yet before one that we do: that one is asked', async () => {
    const { daemon, page } = await setUp()
    const relays = [stranger.id, network.relay('two').id]
    daemon.on('gateways', () => ({ result: relays.map((relay) => ({ relay, avoided: false })) }))
    expect(await page.request('eth_gasPrice')).toEqual({ result: 'eth_gasPrice of 1' })
    expect(daemon.asked).toMatchObject([{ gateway: 'two' }])
  })

  test('nobody at all', async () => {
    const { daemon, page } = await setUp()
    daemon.on('gateways', () => ({ result: [] }))
    const id = page.ask('eth_gasPrice')
    await turn()
    expect(page.codeOf(id)).toBe('no-path')
  })
})

describe('a daemon that plays the gateway itself', () => {
  const playing = (handshake: Stage['daemon']['handshake']) => (stage: Stage) => {
    stage.daemon.handshake = handshake
  }

  test.each<[string, (stage: Stage) => void]>([
    ['with a key of its own', playing(({ id }) => ({ ...stranger, id }))],
    [
      'with a key of its own in the gateway’s name',
      playing((gateway) => ({ ...gateway, envelopeKey: stranger.envelopeKey })),
    ],
    ['with another gateway', playing(() => network.relay('two'))],
    ['with a reply of nothing', ({ daemon }) => daemon.on('open', () => ({ result: { branch: 1, reply: '' } }))],
  ])('%s: is given up, and asked nothing', async (_, play) => {
    const { stage, daemon, page } = await setUp()
    daemon.ranking = () => ['one']
    play(stage)
    const id = page.ask('eth_getBalance', ['0xabc', 'latest'])
    await turn()
    expect(page.codeOf(id)).toBe('handshake-failed')
    expect(daemon.asked).toEqual([])
    const closed = daemon.requests.filter(({ type }) => type === 'close')
    const opened = daemon.requests.filter(({ type }) => type === 'open')
    expect(closed).toHaveLength(opened.length)
    // What is told of it is that it failed, and not first that it is no longer needed.
    for (const close of closed) expect(close).toMatchObject({ failed: true })
  })

  test('for one gateway only: the other is asked', async () => {
    const { daemon, page } = await setUp()
    daemon.handshake = (gateway) => (gateway.name === 'one' ? { ...stranger, id: gateway.id } : gateway)
    daemon.on('close', () => {
      daemon.avoided = ['one']
      return undefined
    })
    expect(await page.request('eth_gasPrice')).toEqual({ result: 'eth_gasPrice of 1' })
    expect(daemon.asked).toMatchObject([{ gateway: 'two' }])
  })
})

describe('records on their way back', () => {
  const expected = ['eth_feeHistory', 'net_listening']

  test.each<[string, ErrorCode, (record: Uint8Array) => Uint8Array]>([
    ['changed', 'envelope-rejected', (record) => flipBit(record, 8 * 100)],
    ['of nothing', 'envelope-rejected', () => new Uint8Array(0)],
    ['of zeros', 'envelope-rejected', (record) => new Uint8Array(record.length)],
    ['cut off', 'envelope-rejected', (record) => record.subarray(0, record.length - 1)],
  ])('%s: no answer', async (_, code, mangle) => {
    const { daemon, page } = await setUp()
    daemon.mangle = mangle
    const id = page.ask('eth_gasPrice')
    await turn()
    expect(page.codeOf(id)).toBe(code)
  })

  test('given a second time, for another question: not taken for its answer', async () => {
    const { daemon, page } = await setUp()
    const kept: Uint8Array[] = []
    daemon.mangle = (record) => {
      kept.push(Uint8Array.from(record))
      return kept[0] as Uint8Array
    }
    expect(await page.request('eth_gasPrice')).toEqual({ result: 'eth_gasPrice of 1' })
    const id = page.ask('eth_blockNumber')
    await turn()
    expect(page.codeOf(id)).toBe('envelope-rejected')
  })

  test('swapped between two questions on one branch: neither is taken for the other’s', async () => {
    const { daemon, page } = await setUp()
    await page.request('eth_gasPrice')
    const port = daemon.ports.last
    const held: { id: number; result: unknown }[] = []
    port.receive = (message) => {
      held.push(message as { id: number; result: unknown })
      const [first, second] = held
      if (first === undefined || second === undefined) return
      port.receive = ScriptedPort.prototype.receive
      port.receive({ id: first.id, result: second.result })
      port.receive({ id: second.id, result: first.result })
    }
    const ids = [page.ask('eth_feeHistory'), page.ask('net_listening')]
    await turn()
    // Both were asked again.
    const asked = daemon.asked.slice(1).map(({ method }) => method)
    expect([asked.slice(0, 2), asked.slice(2).sort()]).toEqual([expected, expected])
    expect(ids.map((id) => page.answerTo(id)?.result)).toEqual(expected.map((method) => `${method} of 1`))
  })

  test('swapped between two sites: neither is told the other’s answer', async () => {
    const { stage, daemon, page } = await setUp()
    const other = stage.openPage('https://other.example')
    daemon.answer = ({ group }) => ({ result: group })
    const kept = new Map<number, Uint8Array>()
    daemon.mangle = (record, branch) => {
      kept.set(branch, Uint8Array.from(record))
      return [...kept].find(([each]) => each !== branch)?.[1] ?? record
    }
    await page.request('eth_gasPrice')
    const id = other.ask('eth_gasPrice')
    await turn()
    expect(other.codeOf(id)).toBe('envelope-rejected')
  })
})

describe('the daemon is lost', () => {
  test('what it said of gateways is forgotten with it', async () => {
    const { clock, daemon, page } = await setUp()
    await page.request('eth_gasPrice')
    daemon.ranking = () => ['two', 'one']
    daemon.exit()
    await clock.elapse(second)
    await page.request('eth_gasPrice')
    expect(daemon.asked.filter(({ method }) => method === 'eth_gasPrice').map(({ gateway }) => gateway)).toEqual([
      'one',
      'two',
    ])
  })

  test('with a read under way: it is asked again on the next connection', async () => {
    const { clock, daemon, page } = await setUp()
    daemon.answer = () => undefined
    const id = page.ask('eth_gasPrice')
    await turn()
    daemon.exit()
    daemon.answer = () => ({ result: 'answered after all' })
    await clock.elapse(second)
    expect(page.answerTo(id)).toEqual({ result: 'answered after all' })
  })

  test('and does not come back: the request fails with the reason', async () => {
    const { clock, daemon, page } = await setUp()
    daemon.absent = 'Specified native messaging host not found.'
    daemon.exit()
    const id = page.ask('eth_gasPrice')
    await clock.elapse(8 * second)
    expect(page.codeOf(id)).toBe('host-not-installed')
  })

  test('a branch only: what was under way on it is asked again on another, and nothing else', async () => {
    const { stage, daemon, page } = await setUp()
    const other = stage.openPage('https://other.example')
    daemon.answer = () => undefined
    const [id, otherId] = [page.ask('eth_gasPrice'), other.ask('eth_blockNumber')]
    await turn()
    const lost = [...daemon.branches].find(([, { group }]) => group === daemon.asked[0]?.group)?.[0] as number
    daemon.answer = () => ({ result: 'on another branch' })
    daemon.loseBranch(lost)
    await turn()
    expect(page.answerTo(id)).toEqual({ result: 'on another branch' })
    expect(other.answerTo(otherId)).toBeUndefined()
    expect(daemon.asked.filter(({ method }) => method === 'eth_blockNumber')).toHaveLength(1)
  })

  test('a question before there is a connection waits for it', async () => {
    const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
    stage.daemon.on('hello', () => 'never')
    await stage.start()
    const page = stage.openPage('https://dapp.example')
    const id = page.ask('eth_gasPrice')
    await stage.clock.elapse(2 * second)
    expect(page.answerTo(id)).toBeUndefined()
    stage.daemon.off('hello')
    stage.daemon.exit()
    await stage.clock.elapse(second)
    expect(page.answerTo(id)).toEqual({ result: 'eth_gasPrice of 1' })
  })
})
