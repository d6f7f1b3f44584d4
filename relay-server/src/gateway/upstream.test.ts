import type { ServerResponse } from 'node:http'
import { partSize } from '@nightjar/shared/circuit'
import { limits } from '@nightjar/shared/limits'
import type { Outcome } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { AnswerMemory } from './answerMemory.ts'
import type { UpstreamOutcome } from './provider.ts'
import { type Answer, json, TestProvider, text } from './testing/provider.ts'
import { Upstreams } from './upstream.ts'

const call = { method: 'eth_getBalance', params: ['0xabc', 'latest'] }
const good: Outcome = { result: '0x10' }
const { signal } = new AbortController()

let providers: readonly [TestProvider, TestProvider, TestProvider]
let upstreams: Upstreams
/** What the choice among providers gets for chance. */
let chance: number
let open: Upstreams[]
let clock: FakeClock
let memory: AnswerMemory
let outcomes: (readonly [upstream: number, outcome: UpstreamOutcome])[]

// From before the first request to after the last: undici keeps one timer for all of its time-outs.
beforeAll(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterAll(() => void vi.useRealTimers())

beforeEach(async () => {
  providers = [new TestProvider(), new TestProvider(), new TestProvider()]
  await Promise.all(providers.map((provider) => provider.start()))
  chance = 0
  open = []
  clock = new FakeClock()
  memory = new AnswerMemory(64 * 2 ** 20)
  outcomes = []
  upstreams = make(providers.map(({ url }) => ({ url, weight: 1 })))
})
afterEach(async () => {
  await Promise.all(open.map((each) => each.close()))
  await Promise.all(providers.map((provider) => provider.stop()))
})

function make(list: readonly { url: string; weight: number }[]): Upstreams {
  const made = new Upstreams({
    upstreams: list,
    chain: 1,
    strategy: 'weighted',
    timeout: 10 * second,
    maxAnswerBytes: limits.answerCells * partSize,
    memory,
    lookEvery: 10 * second,
    clock,
    random: () => chance,
    metrics: { onOutcome: (upstream, outcome) => outcomes.push([upstream, outcome]), onEjected() {}, onHedged() {} },
  })
  open.push(made)
  return made
}

function counts(): number[] {
  return providers.map(({ seen }) => seen.length)
}

describe('a provider sees', () => {
  test('nothing but the call: no header of its caller, no id, no order', async () => {
    expect(await upstreams.read(call, signal)).toEqual(good)
    expect(await upstreams.once({ method: 'eth_blockNumber' })).toEqual(good)
    const [provider] = providers
    expect(provider.seen.map(({ headers }) => Object.keys(headers).sort())).toEqual(
      Array(2).fill(['connection', 'content-length', 'content-type', 'host']),
    )
    expect(provider.seen[0]?.headers).toMatchObject({ 'content-type': 'application/json', connection: 'keep-alive' })
    expect(provider.seen.map(({ method, path, body }) => ({ method, path, body }))).toEqual([
      {
        method: 'POST',
        path: '/',
        body: '{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0xabc","latest"]}',
      },
      { method: 'POST', path: '/', body: '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}' },
    ])
  })

  test('path, query and credentials of its own URL', async () => {
    const url = new URL(providers[0].url)
    const address = `http://us%40er:pa%3Ass@${url.host}/v1/key?network=main`
    expect(await make([{ url: address, weight: 1 }]).read(call, signal)).toEqual(good)
    const [seen] = providers[0].seen
    expect(seen?.path).toBe('/v1/key?network=main')
    expect(seen?.headers.authorization).toBe(`Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`)
  })
})

describe('an answer', () => {
  test.each([
    ['a result', { result: { number: '0x1', list: [1, null, 'x'] } }, undefined],
    ['null', { result: null }, undefined],
    ['an error of the node', { error: { code: 3, message: 'execution reverted', data: '0x08c379a0' } }, undefined],
    ['an error with another status', { error: { code: -32601, message: 'no such method' } }, 404],
    ['an error with status 400', { error: { code: -32602, message: 'bad params' } }, 400],
  ])('that is %s passes as it is, without id and version', async (_, outcome, status) => {
    providers[0].answer = json({ jsonrpc: '2.0', id: 1, ...outcome }, status)
    expect(await upstreams.read(call, signal)).toEqual(outcome)
    expect(counts()).toEqual([1, 0, 0])
  })

  test('may come in many pieces', async () => {
    const result = '0x'.padEnd(500_000, 'a')
    providers[0].answer = (response) => {
      const whole = JSON.stringify({ jsonrpc: '2.0', id: 1, result })
      for (let at = 0; at < whole.length; at += 70_000) response.write(whole.slice(at, at + 70_000))
      response.end()
    }
    expect(await upstreams.read(call, signal)).toEqual({ result })
  })

  test('that is too large is an error, and no reason to ask another', async () => {
    const filler = Buffer.alloc(1024 * 1024, 'a')
    providers[0].answer = (response) => {
      response.write('{"jsonrpc":"2.0","id":1,"result":"')
      for (let sent = 0; sent <= limits.answerCells * partSize; sent += filler.length) response.write(filler)
      response.end('"}')
    }
    await expect(upstreams.read(call, signal)).rejects.toMatchObject({ code: 'answer-too-large' })
    expect(counts()).toEqual([1, 0, 0])
  })
})

const failures: readonly (readonly [string, Answer])[] = [
  ['closes the connection', (response) => response.socket?.destroy()],
  [
    'breaks off',
    (response) =>
      response.writeHead(200, { 'content-length': 100 }).write('{"jsonrpc"', () => response.socket?.destroy()),
  ],
  ['answers with a page', text('<html>Bad Gateway</html>', 502)],
  ['answers with a page and status 200', text('<html>Welcome</html>')],
  ['answers with nothing', text('')],
  ['answers with something else', json([1, 2])],
  ['answers with neither result nor error', json({ jsonrpc: '2.0', id: 1 })],
  ['answers with half an error', json({ jsonrpc: '2.0', id: 1, error: { message: 'no code' } })],
  ['answers with status 500', json({ jsonrpc: '2.0', id: 1, result: '0x10' }, 500)],
  ['answers with status 503 and an error', json({ jsonrpc: '2.0', id: 1, error: { code: 1, message: 'busy' } }, 503)],
  ['answers with status 429', json({ jsonrpc: '2.0', id: 1, error: { code: -32005, message: 'limit' } }, 429)],
]

describe.each(failures)('where a provider %s', (_, failing) => {
  test('a read is answered by the next', async () => {
    providers[0].answer = failing
    expect(await upstreams.read(call, signal)).toEqual(good)
    expect(counts()).toEqual([1, 1, 0])
  })

  test('a broadcast fails, and no other provider sees it', async () => {
    providers[0].answer = failing
    await expect(upstreams.once(call)).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(counts()).toEqual([1, 0, 0])
  })

  test('and all others too, a read fails after each was asked once', async () => {
    for (const provider of providers) provider.answer = failing
    await expect(upstreams.read(call, signal)).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(counts()).toEqual([1, 1, 1])
  })
})

describe('a provider that cannot be connected to', () => {
  test('is passed over by reads, and by broadcasts, of which it was sent nothing', async () => {
    await providers[0].stop()
    expect(await upstreams.read(call, signal)).toEqual(good)
    expect(await upstreams.once(call)).toEqual(good)
    expect(counts()).toEqual([0, 2, 0])
    await providers[0].start()
  })

  test('fails a broadcast where it was known: it may have gone out', async () => {
    await upstreams.read(call, signal)
    await providers[0].stop()
    await expect(upstreams.once(call)).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(counts()).toEqual([1, 0, 0])
    await providers[0].start()
  })
})

describe('a provider that does not answer', () => {
  test.each([
    ['at all', () => {}],
    ['to the end', (response: ServerResponse) => response.writeHead(200).write('{"jsonrpc":"2.0",')],
  ])('%s is given up when its time is over, and the next one is asked', async (_, hang) => {
    providers[0].answer = hang
    const asked = providers[0].asked()
    const answer = upstreams.read(call, signal)
    await asked
    await vi.advanceTimersByTimeAsync(8 * second)
    expect(counts()).toEqual([1, 0, 0])
    await vi.advanceTimersByTimeAsync(5 * second)
    expect(await answer).toEqual(good)
    expect(counts()).toEqual([1, 1, 0])
    expect(outcomes).toContainEqual([0, 'timed-out'])
  })

  test('is given up when the circuit has ended, and no other is asked', async () => {
    let closed: Promise<void> | undefined
    providers[0].answer = (_, request) => {
      closed = new Promise((resolve) => request.socket.once('close', () => resolve()))
    }
    const ended = new AbortController()
    const asked = providers[0].asked()
    const answer = upstreams.read(call, ended.signal)
    answer.catch(() => undefined)
    await asked
    ended.abort()
    await expect(answer).rejects.toMatchObject({ code: 'upstream-failed' })
    await closed
    expect(counts()).toEqual([1, 0, 0])
  })

  test('does not keep `close` waiting', async () => {
    providers[0].answer = () => {}
    const asked = providers[0].asked()
    const answer = upstreams.once(call)
    answer.catch(() => undefined)
    await asked
    await upstreams.close()
    await expect(answer).rejects.toMatchObject({ code: 'upstream-failed' })
  })
})

describe('a provider that is asked over all its connections', () => {
  /** All 64 wait for their answers, which `answerAll` gives. */
  async function busy(): Promise<{ answers: Promise<Outcome>[]; answerAll(): void }> {
    const open: ServerResponse[] = []
    const answers: Promise<Outcome>[] = []
    providers[0].answer = (response) => void open.push(response)
    const all = new Promise<void>((resolve) => {
      providers[0].onRequest = () => open.length === 64 && resolve()
    })
    for (let i = 0; i < 64; i++) answers.push(upstreams.once(call))
    await all
    return {
      answers,
      answerAll() {
        providers[0].answer = json({ jsonrpc: '2.0', id: 1, result: '0x10' })
        for (const response of open) response.end('{"jsonrpc":"2.0","id":1,"result":"0x10"}')
      },
    }
  }

  test('is asked more when one is free', async () => {
    const { answers, answerAll } = await busy()
    const next = upstreams.once(call)
    await clock.elapse(9 * second)
    expect(counts()).toEqual([64, 0, 0])
    answerAll()
    expect(await Promise.all([...answers, next])).toEqual(Array(65).fill(good))
    expect(counts()).toEqual([65, 0, 0])
  })

  test('is never sent what waited for too long, and is not blamed for it; a read goes to the next', async () => {
    const { answers, answerAll } = await busy()
    const given = upstreams.once(call)
    given.catch(() => undefined)
    await clock.elapse(5 * second)
    const later = upstreams.once(call)
    const read = upstreams.read(call, signal)
    await clock.elapse(5 * second)
    await expect(given).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(outcomes).toEqual([
      [0, 'answered'],
      [0, 'crowded'],
    ])
    await clock.elapse(4 * second)
    answerAll()
    expect(await Promise.all([...answers, later, read])).toEqual(Array(66).fill(good))
    expect(counts()).toEqual([66, 0, 0])

    const again = await busy()
    const elsewhere = upstreams.read(call, signal)
    await clock.elapse(10 * second)
    expect(await elsewhere).toEqual(good)
    expect(counts()).toEqual([130, 1, 0])
    again.answerAll()
    await Promise.all(again.answers)
  })

  test('is not said to have failed: what waited for it was crowded out, whatever became of it elsewhere', async () => {
    const { answers, answerAll } = await busy()
    for (const provider of providers.slice(1)) provider.answer = text('', 500)
    const read = upstreams.read(call, signal)
    const sent = upstreams.once(call)
    for (const each of [read, sent]) each.catch(() => undefined)
    await clock.elapse(10 * second)
    for (const each of [read, sent]) {
      await expect(each).rejects.toMatchObject({ code: 'upstream-failed', facts: { crowded: true } })
    }
    expect(counts()).toEqual([64, 1, 1])
    answerAll()
    await Promise.all(answers)
  })

  test('gives up at once what waits and is wanted no more', async () => {
    const { answers, answerAll } = await busy()
    const pending = clock.pending
    const ended = new AbortController()
    const read = upstreams.read(call, ended.signal)
    read.catch(() => undefined)
    const next = upstreams.once(call)
    await clock.elapse(0)
    ended.abort()
    await expect(read).rejects.toMatchObject({ code: 'upstream-failed' })
    await clock.elapse(0)
    expect(outcomes.at(-1)).toEqual([0, 'abandoned'])
    answerAll()
    expect(await Promise.all([...answers, next])).toEqual(Array(65).fill(good))
    expect([counts(), clock.pending]).toEqual([[65, 0, 0], pending])
  })

  test('gives up what waits when it is closed', async () => {
    const { answers } = await busy()
    const next = upstreams.once(call)
    for (const each of [...answers, next]) each.catch(() => undefined)
    await upstreams.close()
    await expect(next).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(clock.pending).toBe(0)
  })
})

describe('where the process holds as much as it may', () => {
  test('a large answer to a client is read no further, and no other provider is asked', async () => {
    memory.held = 64 * 2 ** 20 - 100_000
    providers[0].answer = json({ jsonrpc: '2.0', id: 1, result: '0x'.padEnd(200_000, 'a') })
    await expect(upstreams.read(call, signal, signal)).rejects.toMatchObject({ code: 'limit-reached' })
    expect(counts()).toEqual([1, 0, 0])
    expect(outcomes.at(-1)).toEqual([0, 'no-memory'])
    expect(memory.held).toBe(64 * 2 ** 20 - 100_000)
  })

  test('a small answer is read, and whatever the gateway itself asks, or sends', async () => {
    memory.held = 64 * 2 ** 20
    const small = { result: '0x'.padEnd(60_000, 'a') }
    providers[0].answer = json({ jsonrpc: '2.0', id: 1, ...small })
    expect(await upstreams.read(call, signal, signal)).toEqual(small)
    const large = { result: '0x'.padEnd(200_000, 'a') }
    providers[0].answer = json({ jsonrpc: '2.0', id: 1, ...large })
    expect(await upstreams.read(call, signal)).toEqual(large)
    expect(await upstreams.once(call)).toEqual(large)
    expect(memory.held).toBe(64 * 2 ** 20)
  })

  test('what was read is not held any more, whether it was an answer or not', async () => {
    expect(await upstreams.read(call, signal)).toEqual(good)
    providers[0].answer = text('<html>Welcome</html>')
    await upstreams.read(call, signal)
    providers[0].answer = (response) =>
      response.writeHead(200, { 'content-length': 100 }).write('{"jsonrpc"', () => response.socket?.destroy())
    await upstreams.read(call, signal)
    expect(memory.held).toBe(0)
  })
})

test('a circuit that has ended asks nobody', async () => {
  const ended = new AbortController()
  ended.abort()
  await expect(upstreams.read(call, ended.signal)).rejects.toMatchObject({ code: 'upstream-failed' })
  expect(counts()).toEqual([0, 0, 0])
})

describe('the choice', () => {
  test('follows the weights', async () => {
    const weighted = make(providers.map(({ url }, index) => ({ url, weight: [1, 5, 2][index] as number })))
    for (let step = 0; step < 16; step++) {
      chance = (step + 0.5) / 16
      await weighted.read(call, signal)
      await weighted.once(call)
    }
    expect(counts()).toEqual([4, 20, 8])
  })
})
