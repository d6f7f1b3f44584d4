/** The gateway's policy: which chains, which methods, how each is answered, forwarded or followed. */
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { catalogue, type Outcome, type Question, toRpcError } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import { Broadcasts, type Chain } from './broadcasts.ts'
import { ChainWide } from './chainWide.ts'
import { HeadFollower, type HeadListener, type Heads } from './follower.ts'
import type { Followed } from './followStream.ts'
import { Watches } from './watches.ts'
import { watchMethod } from './watchQuestion.ts'

export interface Gateway {
  /** Never rejects: what goes wrong becomes the error of the answer. */
  answer(question: Question, signal: AbortSignal): Promise<Outcome>
  /**
   * What `question` asks to be told of.
   * @throws NightjarError `chain-not-served`, `method-not-allowed` or `bad-request`
   */
  follow(question: Question): Followed
  /** Nothing is asked upstream any more of the gateway's own accord. */
  close(): void
}

export interface ChainOptions {
  readonly upstreams: Chain
  /** Where raw transactions go instead of the upstreams: a service that keeps them private until they are in a block. */
  readonly transactions?: Pick<Chain, 'once'> | undefined
  /** Milliseconds between two looks for a new head. */
  readonly headsEvery: number
}

export interface GatewayContext {
  readonly clock: Clock
  /** A number in [0, 1). */
  random(): number
}

export function createGateway(chains: ReadonlyMap<number, ChainOptions>, context: GatewayContext): Gateway {
  const { clock } = context
  const watches = new Watches(context)
  const served = new Map(
    [...chains].map(([id, { upstreams, transactions = upstreams, headsEvery }]) => {
      const heads = new HeadFollower({ upstreams, clock, every: headsEvery })
      const broadcasts = new Broadcasts({
        read: (call, signal) => upstreams.read(call, signal),
        once: (call) => transactions.once(call),
      })
      return [id, { upstreams, broadcasts, heads, wide: new ChainWide({ upstreams, heads, clock }) }]
    }),
  )

  function find(id: number) {
    const chain = served.get(id)
    if (chain === undefined) throw new NightjarError('chain-not-served', { facts: { chain: id } })
    return chain
  }

  async function forward(question: Question, signal: AbortSignal): Promise<Outcome> {
    const { chain: id, method, params } = question
    const { upstreams, broadcasts, wide } = find(id)
    const entry = catalogue.get(method)
    if (entry === undefined) {
      throw new NightjarError('method-not-allowed', { facts: { method } })
    }
    wide.use()
    const call = params === undefined ? { method } : { method, params }
    if (entry.kind === 'broadcast') return broadcasts.send(call)
    return (await wide.find(call)) ?? upstreams.read(call, signal)
  }

  return {
    async answer(question, signal) {
      try {
        return await forward(question, signal)
      } catch (error) {
        return { error: toRpcError(asNightjarError(error)) }
      }
    },

    follow(question) {
      const chain = find(question.chain)
      if (question.method === watchMethod) return watches.follow(chain, question)
      // Not named in the error, which has to fit any class: here the asker knows what it asked.
      if (question.method !== 'eth_subscribe') throw new NightjarError('method-not-allowed')
      const { params } = question
      const isNewHeads = Array.isArray(params) && params.length === 1 && params[0] === 'newHeads'
      if (!isNewHeads) throw new NightjarError('bad-request', { detail: 'only newHeads can be followed' })
      return followHeads(chain.heads)
    },

    close() {
      watches.close()
      for (const { wide } of served.values()) wide.close()
    },
  }
}

function followHeads(heads: Heads): Followed {
  let following: HeadListener | undefined
  return {
    start(listener) {
      following = { onHead: ({ text }) => listener.onAnswers([text]), onEnd: (code) => listener.onEnd(code) }
      heads.follow(following)
    },
    stop() {
      if (following !== undefined) heads.unfollow(following)
    },
  }
}
