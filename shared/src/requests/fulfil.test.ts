import { describe, expect, test } from 'vitest'
import type { Relay } from '../directory/index.ts'
import { type ErrorCode, NightjarError } from '../errors/index.ts'
import { type Outcome, type Question, toRpcError, transactionHash } from '../rpc/index.ts'
import { second, type Timer } from '../runtime.ts'
import { codeOfAsync, describeGateway, FakeClock } from '../testing/index.ts'
import { fulfil, type RequestContext } from './fulfil.ts'

const relays = ['a', 'b', 'c'].map((name) => describeGateway(name))
const [a] = relays
const raw = '0x02c0'
const hash = transactionHash(raw)

/**
 * What becomes of one attempt: an outcome; a code that the branch fails with after the question left; `closed` codes
 * fail before a branch is there. `blame` marks the gateway as failing, as Branches does.
 */
type Step =
  | Outcome
  | { readonly lost: ErrorCode; blame?: boolean; lasts?: number }
  | { closed: ErrorCode; blame?: boolean }

const found: Outcome = { result: { hash } }
const unknown: Outcome = { result: null }
const sent: Outcome = { result: hash }
const lost: Step = { lost: 'link-lost' }
const upstream: Outcome = { error: toRpcError(new NightjarError('upstream-failed')) }
/** Silent. */
const away: Step = { closed: 'timed-out' }
const refusal: Outcome = { error: { code: -32000, message: 'nonce too low' } }

/** Every rest is over at once, and in the log. */
class RestingClock extends FakeClock {
  readonly #log: string[]

  constructor(log: string[]) {
    super()
    this.#log = log
  }

  override after(delay: number, action: () => void): Timer {
    this.#log.push(`rest ${delay / second}`)
    queueMicrotask(() => this.advance(delay))
    return super.after(delay, action)
  }
}

/**
 * A context whose every attempt is scripted; the log says who was asked what: `a send`, `b look`, `a !` (no branch), and for
 * how many seconds there was a rest: `rest 1`.
 */
function scripted(steps: readonly Step[], gateways = relays) {
  const log: string[] = []
  const clock = new RestingClock(log)
  const avoided = new Set<string>()
  const script = [...steps]
  const context: RequestContext = {
    clock,
    // As RelayHealth does: those that failed come last.
    gateways: () => [...gateways].sort((x, y) => Number(avoided.has(x.id)) - Number(avoided.has(y.id))),
    isAvoided: ({ id }) => avoided.has(id),
    async branch(_group, gateway) {
      const step = script.shift()
      if (step === undefined) throw new Error(`an attempt more than the script has: ${gateway.name}`)
      if ('blame' in step && step.blame) avoided.add(gateway.id)
      if ('closed' in step) {
        log.push(`${gateway.name} !`)
        throw new NightjarError(step.closed)
      }
      const ask = async ({ method }: Question): Promise<Outcome> => {
        log.push(`${gateway.name} ${verbs[method] ?? method}`)
        if (!('lost' in step)) return step
        clock.advance(step.lasts ?? 0)
        throw new NightjarError(step.lost)
      }
      return { ask }
    },
  }
  return { context, log, script, avoided, clock }
}

const verbs: Readonly<Record<string, string>> = {
  eth_sendRawTransaction: 'send',
  eth_getTransactionByHash: 'look',
  eth_blockNumber: 'read',
}

async function run(steps: readonly Step[], method = 'eth_blockNumber', gateways = relays) {
  const { context, log, script } = scripted(steps, gateways)
  const params = method === 'eth_sendRawTransaction' ? [raw] : []
  const result = await fulfil(context, { group: 'g', chain: 1, call: { method, params } }).then(
    (outcome) => outcome,
    (error: NightjarError) => ({ code: error.code, facts: error.facts }),
  )
  expect(script, 'steps that were not taken').toEqual([])
  return { result, log }
}

const send = (steps: readonly Step[], gateways = relays) => run(steps, 'eth_sendRawTransaction', gateways)

describe('a read', () => {
  test('that is answered is asked once, of the best gateway', async () => {
    expect(await run([{ result: '0x1' }])).toEqual({ result: { result: '0x1' }, log: ['a read'] })
  })

  test('answered with an error of the node is answered', async () => {
    expect(await run([refusal])).toEqual({ result: refusal, log: ['a read'] })
  })

  test.each<[string, Step]>([
    ['the provider failed', upstream],
    ['the gateway was silent', { lost: 'timed-out' }],
    ['the gateway closed the branch', { lost: 'protocol-violation', blame: true }],
    ['the gateway cannot be reached', { closed: 'connect-failed', blame: true }],
  ])('goes to another gateway where %s', async (_, step) => {
    const { result, log } = await run([step, { result: 1 }])
    expect(result).toEqual({ result: 1 })
    expect(log[1]).toBe('b read')
  })

  test.each<[string, Step]>([
    ['the trunk was lost', lost],
    ['the trunk was lost before there was a branch', { closed: 'link-lost' }],
    ['the branch was replaced', { lost: 'branch-retired' }],
  ])('stays with its gateway where %s', async (_, step) => {
    const { result, log } = await run([step, { result: 1 }])
    expect(result).toEqual({ result: 1 })
    expect(log[1]).toBe('a read')
  })

  test('comes back to the best gateway once all have failed, after a rest', async () => {
    const { log } = await run([away, upstream, upstream, { result: 1 }])
    expect(log).toEqual(['a !', 'b read', 'c read', 'rest 1', 'a read'])
  })

  test('asks all of them in each of four rounds, with rests between that are longer each time', async () => {
    const round = ['a !', 'b read']
    const script = Array.from({ length: 4 }, () => [away, upstream]).flat()
    expect(await run(script, undefined, relays.slice(0, 2))).toEqual({
      result: upstream,
      log: [round, 'rest 1', round, 'rest 2', round, 'rest 4', round].flat(),
    })
  })

  test('asks each gateway once where all of them say that their providers fail', async () => {
    expect(await run([upstream, upstream, upstream])).toEqual({ result: upstream, log: ['a read', 'b read', 'c read'] })
  })

  test('rests, too, where a relay has no room, and stays with its gateway', async () => {
    const { log } = await run([{ closed: 'busy' }, { result: 1 }])
    expect(log).toEqual(['a !', 'rest 1', 'a read'])
  })

  test('gives up after twelve attempts, with the last failure', async () => {
    const twelve = Array.from({ length: 12 }, () => lost)
    expect((await run(twelve)).result).toMatchObject({ code: 'link-lost' })
    expect((await run([...twelve.slice(1), upstream])).result).toEqual(upstream)
  })

  test('starts no attempt later than 30 seconds after the first', async () => {
    const slow: Step = { lost: 'timed-out', lasts: 15 * second }
    expect(await run([slow, slow])).toMatchObject({ result: { code: 'timed-out' }, log: ['a read', 'b read'] })
    const almost: Step = { lost: 'timed-out', lasts: 15 * second - 1 }
    expect((await run([almost, almost, { result: 1 }])).result).toEqual({ result: 1 })
    // The rest would end later.
    expect((await run([almost, almost], undefined, relays.slice(0, 2))).result).toMatchObject({ code: 'timed-out' })
  })

  test.each<ErrorCode>(['network-unreachable', 'no-path', 'chain-not-served'])('ends at once with %s', async (code) => {
    expect((await run([{ closed: code }])).result).toMatchObject({ code })
  })

  test('that is too large is not tried elsewhere', async () => {
    expect((await run([{ lost: 'request-too-large' }])).result).toMatchObject({ code: 'request-too-large' })
  })

  test('fails as the choice of gateways fails', async () => {
    const { context } = scripted([])
    const gateways = () => {
      throw new NightjarError('chain-not-served')
    }
    const order = { group: 'g', chain: 9, call: { method: 'eth_blockNumber' } }
    expect(await codeOfAsync(() => fulfil({ ...context, gateways }, order))).toBe('chain-not-served')
  })

  test('passes over a gateway that failed lately', async () => {
    const { context, log, avoided } = scripted([{ result: 1 }])
    avoided.add((a as Relay).id)
    await fulfil(context, { group: 'g', chain: 1, call: { method: 'eth_blockNumber' } })
    expect(log).toEqual(['b read'])
  })
})

describe('a broadcast', () => {
  test('that is answered is sent once', async () => {
    expect(await send([sent])).toEqual({ result: sent, log: ['a send'] })
    expect(await send([refusal])).toEqual({ result: refusal, log: ['a send'] })
  })

  test.each<[string, Step]>([
    ['was lost', lost],
    ['was lost through the gateway', { lost: 'timed-out', blame: true }],
    ['failed at the provider', upstream],
  ])('that %s goes to the same gateway first', async (_, step) => {
    expect(await send([step, sent])).toEqual({ result: sent, log: ['a send', 'a send'] })
  })

  test('goes to another gateway only after the chain says that it does not know it', async () => {
    const { result, log } = await send([lost, lost, lost, unknown, sent])
    expect(result).toEqual(sent)
    expect(log).toEqual(['a send', 'a send', 'a send', 'a look', 'b send'])
  })

  test('is not sent again where the chain knows it', async () => {
    const { result, log } = await send([lost, lost, lost, found])
    expect(result).toEqual(sent)
    expect(log).toEqual(['a send', 'a send', 'a send', 'a look'])
  })

  test('is not sent elsewhere where the chain cannot be asked', async () => {
    const { result, log } = await send([lost, lost, lost, ...Array.from({ length: 12 }, () => lost)])
    expect(result).toEqual({ code: 'outcome-unknown', facts: { hash } })
    expect(log.filter((line) => line.endsWith('send'))).toEqual(['a send', 'a send', 'a send'])
  })

  test('is not sent elsewhere where the node answers the look-up with an error', async () => {
    expect((await send([lost, lost, lost, refusal])).result).toEqual({ code: 'outcome-unknown', facts: { hash } })
  })

  test('an error after an uncertain attempt is checked against the chain', async () => {
    expect(await send([lost, refusal, found])).toEqual({ result: sent, log: ['a send', 'a send', 'a look'] })
    expect(await send([lost, refusal, unknown])).toEqual({ result: refusal, log: ['a send', 'a send', 'a look'] })
    const noWord = [lost, refusal, ...Array.from({ length: 12 }, () => lost)]
    expect((await send(noWord)).result).toEqual({ code: 'outcome-unknown', facts: { hash } })
  })

  test('that never left goes to another gateway without asking the chain', async () => {
    const closed: Step = { closed: 'connect-failed', blame: true }
    expect(await send([closed, sent])).toEqual({ result: sent, log: ['a !', 'b send'] })
    // Not the gateway's fault: it stays the first choice.
    expect(await send([{ closed: 'link-lost' }, sent])).toEqual({ result: sent, log: ['a !', 'a send'] })
  })

  test('that may have left is looked up even where later attempts never left', async () => {
    const { result, log } = await send([lost, { closed: 'connect-failed', blame: true }, unknown, sent])
    expect(result).toEqual(sent)
    expect(log).toEqual(['a send', 'a !', 'b look', 'b send'])
  })

  test('ends after all gateways, unknown with its hash, if it may be out', async () => {
    const one = [a as (typeof relays)[number]]
    expect((await send([lost, lost, lost], one)).result).toEqual({ code: 'outcome-unknown', facts: { hash } })
  })

  test('that cannot be out goes round four times, with rests; then it is unreachable', async () => {
    const closed: Step = { closed: 'connect-failed', blame: true }
    const two = relays.slice(0, 2)
    const round = ['a !', 'b !']
    expect(
      await send(
        Array.from({ length: 8 }, () => closed),
        two,
      ),
    ).toMatchObject({
      result: { code: 'network-unreachable' },
      log: [round, 'rest 1', round, 'rest 2', round, 'rest 4', round].flat(),
    })
    expect((await send([closed, closed, closed, sent], two)).log).toEqual([...round, 'rest 1', 'a !', 'b send'])
  })

  test('without a network is unreachable, or unknown where it may be out', async () => {
    const down: Step = { closed: 'network-unreachable' }
    expect((await send([down])).result).toMatchObject({ code: 'network-unreachable' })
    expect((await send([lost, down])).result).toEqual({ code: 'outcome-unknown', facts: { hash } })
  })

  test.each<[string, unknown]>([
    ['no text', [1]],
    ['no parameter', []],
    ['no hexadecimal', ['0xzz']],
    ['named parameters', { raw }],
  ])('with %s is refused before it leaves', async (_, params) => {
    const { context, log } = scripted([])
    const order = { group: 'g', chain: 1, call: { method: 'eth_sendRawTransaction', params: params as never } }
    expect(await codeOfAsync(() => fulfil(context, order))).toBe('bad-request')
    expect(log).toEqual([])
  })
})

test('a raw transaction that may be out, with no gateway to be had any more, is of unknown outcome', async () => {
  const { context } = scripted([lost, lost, lost])
  let isGone = false
  const gone: RequestContext = {
    ...context,
    gateways(...args) {
      if (isGone) throw new NightjarError('network-unreachable')
      isGone = true
      return context.gateways(...args)
    },
  }
  const order = { group: 'g', chain: 1, call: { method: 'eth_sendRawTransaction', params: [raw] } }
  const error = await fulfil(gone, order).catch((each: NightjarError) => each)
  expect(error).toMatchObject({ code: 'outcome-unknown', facts: { hash } })
})
