/** Providers that are ill in each way that providers are, over real HTTP, by a clock that a test moves. */
import { setMaxListeners } from 'node:events'
import type { Outcome } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AnswerMemory } from './answerMemory.ts'
import type { UpstreamOutcome } from './provider.ts'
import { block } from './testing/blocks.ts'
import { type Answer, json, TestProvider, text } from './testing/provider.ts'
import { type UpstreamOptions, Upstreams } from './upstream.ts'

const call = { method: 'eth_getBalance', params: ['0xabc', 'latest'] }
const good: Outcome = { result: '0x10' }
const { signal } = new AbortController()
const lookEvery = 10 * second

let clock: FakeClock
let providers: readonly [TestProvider, TestProvider]
let upstreams: Upstreams
let outcomes: (readonly [upstream: number, outcome: UpstreamOutcome])[]
let ejected: number[]
let hedged: number
/** Whether provider 0 answers a head of its own. */
let heads: [number, number]

beforeEach(async () => {
  clock = new FakeClock()
  outcomes = []
  ejected = []
  hedged = 0
  heads = [100, 100]
  providers = [new TestProvider(), new TestProvider()]
  for (const index of [0, 1] as const) {
    await providers[index].start()
    providers[index].answer = well(index)
  }
  upstreams = make()
})
afterEach(async () => {
  await upstreams.close()
  await Promise.all(providers.map((provider) => provider.stop()))
  expect(clock.pending).toBe(0)
})

/** Answers heads and everything else; blocks are made every twelve seconds, and 100 is of this moment. */
function well(index: 0 | 1): Answer {
  return (response, request) => {
    const body = providers[index].seen.at(-1)?.body ?? ''
    const number = heads[index]
    const time = Math.floor(Date.UTC(2026, 0, 1) / 1000) + 12 * (number - 100)
    const result = body.includes('eth_getBlockByNumber')
      ? { ...block(number), timestamp: `0x${time.toString(16)}` }
      : '0x10'
    json({ jsonrpc: '2.0', id: 1, result })(response, request)
  }
}

function make(options: Partial<UpstreamOptions> = {}): Upstreams {
  return new Upstreams({
    upstreams: providers.map(({ url }) => ({ url, weight: 1 })),
    chain: 1,
    strategy: 'weighted',
    timeout: 10 * second,
    maxAnswerBytes: 100_000,
    memory: new AnswerMemory(100_000),
    lookEvery,
    clock,
    // Always the first of those that may be asked; looks come in exactly their time.
    random: () => chance.value,
    metrics: {
      onOutcome: (upstream, outcome) => outcomes.push([upstream, outcome]),
      onEjected: (upstream) => ejected.push(upstream),
      onHedged: () => {
        hedged += 1
      },
    },
    ...options,
  })
}
const chance = { value: 0 }
beforeEach(() => {
  chance.value = 0
})

/** Lets sockets do their work until `holds`. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn()
}

/** The same, with time passing. */
async function elapseUntil(holds: () => boolean): Promise<void> {
  while (!holds()) await clock.elapse(1 * second)
}

/** How many balances each provider was asked for. */
function asked(): number[] {
  return providers.map(({ seen }) => seen.filter(({ body }) => body.includes('eth_getBalance')).length)
}

function wellCount(): number {
  return upstreams.areWell.filter(Boolean).length
}

function looks(): number[] {
  return providers.map(({ chainAsked }) => chainAsked)
}

/** Starts, with the first look answered. */
async function startAndLook(): Promise<void> {
  upstreams.start()
  await until(() => outcomes.length === 2 * providers.length)
  await turn()
}

async function read(times: number): Promise<void> {
  for (let i = 0; i < times; i++) expect(await upstreams.read(call, signal)).toEqual(good)
}

const failures: readonly (readonly [
  kind: string,
  outcome: UpstreamOutcome,
  fail: (provider: TestProvider) => unknown,
])[] = [
  ['refuses connections', 'unreachable', (provider) => provider.stop()],
  ['answers with 5xx', 'status', (provider) => (provider.answer = text('down', 503))],
  ['answers with garbage', 'garbled', (provider) => (provider.answer = text('<html>hello</html>'))],
]

describe.each(failures)('a provider that %s', (_, outcome, fail) => {
  test('is asked by three, then ejected, and the other answers all', async () => {
    await read(1)
    await fail(providers[0])
    outcomes = []
    await read(6)
    expect(outcomes.filter(([upstream]) => upstream === 0)).toEqual(Array(3).fill([0, outcome]))
    expect(ejected).toEqual([0])
    expect(upstreams.areWell).toEqual([false, true])
    expect(asked()[1]).toBe(6)
    if (outcome === 'unreachable') await providers[0].start()
  })
})

describe('one that was ejected', () => {
  beforeEach(async () => {
    await read(1)
    providers[0].answer = text('down', 503)
    await read(3)
    expect(ejected).toEqual([0])
  })

  test('is asked one thing of the gateway’s own when its time is over, and comes back if it answers', async () => {
    const before = looks()[0] as number
    await read(3)
    await clock.elapse(5 * second)
    await until(() => wellCount() === 2)
    expect(looks()[0]).toBe(before + 1)
    providers[0].answer = well(0)
    const [first] = asked()
    await read(2)
    expect(asked()[0]).toBe((first as number) + 2)
  })

  test('is left alone for twice as long if it does not', async () => {
    providers[0].chain = text('down', 503)
    await clock.elapse(5 * second)
    await until(() => ejected.length === 2)
    const before = looks()[0] as number
    await clock.elapse(10 * second - 1)
    expect(looks()[0]).toBe(before)
    await clock.elapse(1)
    await until(() => ejected.length === 3)
    expect(looks()[0]).toBe(before + 1)
  })

  test('is asked where no other is left', async () => {
    await providers[1].stop()
    providers[0].answer = well(0)
    expect(await upstreams.read(call, signal)).toEqual(good)
    await providers[1].start()
  })
})

describe('a provider on the wrong chain', () => {
  const wrong = json({ jsonrpc: '2.0', id: 1, result: '0x5' })

  test('is asked nothing but its chain, from the first question on', async () => {
    providers[0].chain = wrong
    await read(3)
    expect(await upstreams.once(call)).toEqual(good)
    expect([asked(), looks()]).toEqual([
      [0, 4],
      [1, 1],
    ])
    expect(upstreams.areWell).toEqual([false, true])
  })

  test('that is the only one answers nobody, neither read nor broadcast', async () => {
    await upstreams.close()
    providers[0].chain = wrong
    upstreams = make({ upstreams: [{ url: providers[0].url, weight: 1 }] })
    for (const ask of [() => upstreams.read(call, signal), () => upstreams.once(call)]) {
      await expect(ask()).rejects.toMatchObject({ code: 'upstream-failed' })
    }
    expect(asked()).toEqual([0, 0])
  })

  test('is found at a look where it changes, and comes back at one', async () => {
    upstreams.start()
    await read(1)
    providers[0].chain = wrong
    await elapseUntil(() => wellCount() === 1)
    const [before] = asked()
    await read(3)
    expect(asked()[0]).toBe(before)
    providers[0].chain = json({ jsonrpc: '2.0', id: 1, result: '0x1' })
    await elapseUntil(() => wellCount() === 2)
  })

  test('is not looked at where it takes raw transactions only', async () => {
    await upstreams.close()
    providers[0].chain = wrong
    upstreams = make({ chain: undefined })
    expect(await upstreams.once(call)).toEqual(good)
    expect([asked(), looks()]).toEqual([
      [1, 0],
      [0, 0],
    ])
  })
})

describe('a provider with a stale head', () => {
  test('is asked nothing until it has caught up', async () => {
    heads = [90, 100]
    await startAndLook()
    expect(upstreams.areWell).toEqual([false, true])
    await read(3)
    expect(await upstreams.once(call)).toEqual(good)
    expect(asked()).toEqual([0, 4])
    heads = [100, 100]
    await elapseUntil(() => wellCount() === 2)
  })

  test('that is the only one answers nobody, where the operator says how old a head may be', async () => {
    await upstreams.close()
    upstreams = make({ upstreams: [{ url: providers[0].url, weight: 1 }], maxHeadAge: 60 * second })
    heads = [90, 100]
    upstreams.start()
    await until(() => wellCount() === 0)
    await expect(upstreams.read(call, signal)).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(asked()).toEqual([0, 0])
  })
})

describe('looks', () => {
  test('are rare until the chain is in use, then frequent', async () => {
    await startAndLook()
    await clock.elapse(4 * minute)
    // Chance of 0 brings the look after that a quarter early.
    await until(() => looks()[0] === 2)
    const rare = clock.now()
    await read(1)
    await until(() => looks()[0] === 3)
    await elapseUntil(() => looks()[0] === 6)
    expect(clock.now() - rare).toBeLessThan(1 * minute)
  })

  test('come earlier or later by chance', async () => {
    chance.value = 0.999
    await startAndLook()
    await clock.elapse(5 * minute * 1.24)
    expect(looks()).toEqual([1, 1])
    await clock.elapse(5 * minute * 0.01)
    await until(() => looks()[0] === 2)
  })
})

describe('a second provider', () => {
  /** So many answers that it is known what is usual: less than a millisecond. */
  beforeEach(() => read(25))

  test('is asked where the first is unusually slow, and its answer counts', async () => {
    providers[0].answer = () => {}
    const before = asked()[1] as number
    const answer = upstreams.read(call, signal)
    await until(() => asked()[0] === 26)
    expect(asked()[1]).toBe(before)
    await clock.elapse(1)
    expect(await answer).toEqual(good)
    expect([hedged, asked()[1]]).toEqual([1, before + 1])
    await until(() => outcomes.some(([upstream, outcome]) => upstream === 0 && outcome === 'abandoned'))
    expect(wellCount()).toBe(2)
  })

  test('is never asked for a broadcast', async () => {
    let release = () => {}
    providers[0].answer = (response) => {
      release = () => json({ jsonrpc: '2.0', id: 1, result: '0x10' })(response, null as never)
    }
    const answer = upstreams.once(call)
    await until(() => asked()[0] === 26)
    await clock.elapse(9 * second)
    release()
    expect(await answer).toEqual(good)
    expect([hedged, asked()[1]]).toEqual([0, 0])
  })

  test('is asked for few questions only', async () => {
    providers[0].answer = () => {}
    const ended = new AbortController()
    setMaxListeners(40, ended.signal)
    const answers = Array.from({ length: 40 }, () => upstreams.read(call, ended.signal).catch(() => undefined))
    await clock.elapse(1 * second)
    await until(() => asked()[1] === 3)
    expect(hedged).toBe(3)
    ended.abort()
    await Promise.all(answers)
  })
})

test('an answer larger than the operator allows is not read further', async () => {
  providers[0].answer = text(`{"jsonrpc":"2.0","id":1,"result":"${'a'.repeat(100_001)}"}`)
  await expect(upstreams.read(call, signal)).rejects.toMatchObject({ code: 'answer-too-large' })
  expect([asked(), outcomes.at(-1)]).toEqual([
    [1, 0],
    [0, 'too-large'],
  ])
})

test('round-robin and least-connections are followed', async () => {
  await upstreams.close()
  upstreams = make({ strategy: 'round-robin' })
  await read(6)
  expect(asked()).toEqual([3, 3])
  await upstreams.close()
  upstreams = make({ strategy: 'least-connections' })
  providers[0].answer = () => {}
  const ended = new AbortController()
  const hanging = upstreams.read(call, ended.signal).catch(() => undefined)
  await until(() => asked()[0] === 4)
  await read(5)
  expect(asked()).toEqual([4, 8])
  ended.abort()
  await hanging
})
