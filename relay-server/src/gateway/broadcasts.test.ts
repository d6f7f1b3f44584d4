import { NightjarError } from '@nightjar/shared/errors'
import { type Call, type Outcome, transactionHash } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Broadcasts, type Chain } from './broadcasts.ts'

const raw = '0x02f8aabbccddeeff'
const hash = transactionHash(raw)
const call: Call = { method: 'eth_sendRawTransaction', params: [raw] }
const unknownFate = new NightjarError('upstream-failed')
const refused: Outcome = { error: { code: -32000, message: 'insufficient funds for gas * price + value' } }

/** The chain's upstreams: what comes of each attempt to send, and of each look, in order. */
class ScriptedChain implements Chain {
  readonly asked: string[] = []
  readonly sends: (Outcome | NightjarError | Promise<Outcome>)[] = []
  readonly looks: (Outcome | NightjarError)[] = []

  once({ method, params }: Call): Promise<Outcome> {
    this.asked.push(`${method} ${JSON.stringify(params)}`)
    return this.#next(this.sends)
  }

  read({ method, params }: Call): Promise<Outcome> {
    this.asked.push(`${method} ${JSON.stringify(params)}`)
    return this.#next(this.looks)
  }

  async #next(list: (Outcome | NightjarError | Promise<Outcome>)[]): Promise<Outcome> {
    const next = list.shift()
    if (next === undefined) throw new Error('the test did not expect this question')
    if (next instanceof NightjarError) throw next
    return next
  }
}

const sending = `eth_sendRawTransaction ["${raw}"]`
const looking = `eth_getTransactionByHash ["${hash}"]`

let chain: ScriptedChain
let broadcasts: Broadcasts
beforeEach(() => {
  chain = new ScriptedChain()
  broadcasts = new Broadcasts(chain)
})

async function codeOf(outcome: Promise<Outcome>): Promise<string | undefined> {
  return outcome.then(
    () => undefined,
    (error: NightjarError) => error.code,
  )
}

describe('the same transaction', () => {
  test('while it is under way is sent once, and all get the one outcome', async () => {
    let finish: (outcome: Outcome) => void = () => {}
    chain.sends.push(new Promise((resolve) => (finish = resolve)))
    const waiting = [broadcasts.send(call), broadcasts.send(call), broadcasts.send({ ...call })]
    finish({ result: hash })
    expect(await Promise.all(waiting)).toEqual(Array(3).fill({ result: hash }))
    expect(chain.asked).toEqual([sending])
  })

  test('written otherwise is still the same', async () => {
    chain.sends.push({ result: hash })
    await broadcasts.send(call)
    const upperCase = `0x${raw.slice(2).toUpperCase()}`
    expect(await broadcasts.send({ ...call, params: [upperCase] })).toEqual({ result: hash })
    expect(chain.asked).toEqual([sending])
  })

  test('after it was refused is sent again: the reason may have passed', async () => {
    chain.sends.push(refused, { result: hash })
    expect(await broadcasts.send(call)).toEqual(refused)
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(chain.asked).toEqual([sending, sending])
  })

  test('refused while several wait is told to all of them', async () => {
    chain.sends.push(refused)
    expect(await Promise.all([broadcasts.send(call), broadcasts.send(call)])).toEqual([refused, refused])
    expect(chain.asked).toEqual([sending])
  })

  test('is another one where a byte differs', async () => {
    const other = '0x02f8aabbccddee00'
    chain.sends.push({ result: hash }, { result: transactionHash(other) })
    await broadcasts.send(call)
    expect(await broadcasts.send({ ...call, params: [other] })).toEqual({ result: transactionHash(other) })
    expect(chain.asked).toHaveLength(2)
  })
})

describe('ten minutes', () => {
  // The cache reads the time of `performance`, and keeps what it read for a millisecond of setTimeout.
  let now: number
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    now = performance.now()
    vi.spyOn(performance, 'now').mockImplementation(() => now)
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.useRealTimers()
  })

  function wait(duration: number): void {
    now += duration
    vi.advanceTimersByTime(duration)
  }

  test('is how long an outcome is remembered', async () => {
    chain.sends.push({ result: hash }, { error: { code: -32000, message: 'nonce too low' } })
    await broadcasts.send(call)
    wait(10 * minute - 1 * second)
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    wait(2 * second)
    expect(await broadcasts.send(call)).toMatchObject({ error: { message: 'nonce too low' } })
  })

  test('is how long it is remembered that an outcome is unknown', async () => {
    chain.sends.push(unknownFate, { result: hash })
    await codeOf(broadcasts.send(call))
    wait(10 * minute + 1 * second)
    await broadcasts.send(call)
    expect(chain.asked).toEqual([sending, sending])
  })
})

test.each([
  ['geth', 'already known'],
  ['geth, in older versions', 'known transaction: 0xabc'],
  ['nethermind', 'AlreadyKnown'],
  ['besu', 'Known transaction'],
  ['parity', 'Transaction with the same hash was already imported.'],
  ['anvil', 'transaction already imported'],
  ['others', 'tx already exists in cache'],
  ['others still', 'transaction already in mempool'],
])('what %s says of a transaction that it has is a success', async (_, message) => {
  chain.sends.push({ error: { code: -32000, message } })
  expect(await broadcasts.send(call)).toEqual({ result: hash })
  expect(await broadcasts.send(call)).toEqual({ result: hash })
  expect(chain.asked).toEqual([sending])
})

test.each(['nonce too low', 'replacement transaction underpriced', 'unknown transaction type', 'already reserved'])(
  'a refusal with the words %j is none',
  async (message) => {
    const outcome = { error: { code: -32000, message } }
    chain.sends.push(outcome)
    expect(await broadcasts.send(call)).toEqual(outcome)
  },
)

describe('after an attempt whose fate is unknown', () => {
  beforeEach(async () => {
    chain.sends.push(unknownFate)
    expect(await codeOf(broadcasts.send(call))).toBe('upstream-failed')
    chain.asked.length = 0
  })

  test('the chain is asked first; what it has is not sent again', async () => {
    chain.looks.push({ result: { hash } })
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(chain.asked).toEqual([looking])
  })

  test('what the chain does not have is sent again', async () => {
    chain.looks.push({ result: null })
    chain.sends.push({ result: hash })
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(chain.asked).toEqual([looking, sending])
  })

  test('and another such attempt, it is asked again', async () => {
    chain.looks.push({ result: null }, { result: { hash } })
    chain.sends.push(unknownFate)
    expect(await codeOf(broadcasts.send(call))).toBe('upstream-failed')
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(chain.asked).toEqual([looking, sending, looking])
  })

  test('and a refusal, the chain need not be asked any more', async () => {
    chain.looks.push({ result: null })
    chain.sends.push(refused, { result: hash })
    expect(await broadcasts.send(call)).toEqual(refused)
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(chain.asked).toEqual([looking, sending, sending])
  })

  test.each([
    ['fails', unknownFate],
    ['is answered with an error', { error: { code: -32005, message: 'rate limit' } }],
  ])('nothing is sent where the look %s: it may be there', async (_, look) => {
    chain.looks.push(look, { result: { hash } })
    expect(await codeOf(broadcasts.send(call))).toBe('upstream-failed')
    expect(await broadcasts.send(call)).toEqual({ result: hash })
    expect(chain.asked).toEqual([looking, looking])
  })

  test('another transaction is sent at once', async () => {
    const other = '0x0102'
    chain.sends.push({ result: transactionHash(other) })
    await broadcasts.send({ ...call, params: [other] })
    expect(chain.asked).toEqual(['eth_sendRawTransaction ["0x0102"]'])
  })
})

test.each([[undefined], [[]], [[7]], [['0102']], [['0xno']], [{ raw }]])(
  'params %j are refused, and nothing is asked',
  async (params) => {
    const malformed = { method: 'eth_sendRawTransaction', params } as Call
    expect(await codeOf(broadcasts.send(malformed))).toBe('bad-request')
    expect(chain.asked).toEqual([])
  },
)
