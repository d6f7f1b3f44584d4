/** The gateway's policy: which chains, which methods, how each is forwarded. */
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { catalogue, type Outcome, type Question, toRpcError } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import { Broadcasts, type Chain } from './broadcasts.ts'
import { HeadFollower, type Heads } from './follower.ts'

export interface Gateway {
  /** Never rejects: what goes wrong becomes the error of the answer. */
  answer(question: Question, signal: AbortSignal): Promise<Outcome>
  /**
   * The heads that `question` asks to be told of.
   * @throws NightjarError `chain-not-served`, `method-not-allowed` or `bad-request`
   */
  heads(question: Question): Heads
}

export interface ChainOptions {
  readonly upstreams: Chain
  /** Milliseconds between two looks for a new head. */
  readonly headsEvery: number
}

export function createGateway(chains: ReadonlyMap<number, ChainOptions>, clock: Clock): Gateway {
  const served = new Map(
    [...chains].map(([id, { upstreams, headsEvery }]) => [
      id,
      {
        upstreams,
        broadcasts: new Broadcasts(upstreams),
        heads: new HeadFollower({ upstreams, clock, every: headsEvery }),
      },
    ]),
  )

  function find(id: number) {
    const chain = served.get(id)
    if (chain === undefined) throw new NightjarError('chain-not-served', { facts: { chain: id } })
    return chain
  }

  async function forward(question: Question, signal: AbortSignal): Promise<Outcome> {
    const { chain: id, method, params } = question
    const { upstreams, broadcasts } = find(id)
    const entry = catalogue.get(method)
    if (entry === undefined) {
      throw new NightjarError('method-not-allowed', { facts: { method } })
    }
    const call = params === undefined ? { method } : { method, params }
    return entry.kind === 'read' ? upstreams.read(call, signal) : broadcasts.send(call)
  }

  return {
    async answer(question, signal) {
      try {
        return await forward(question, signal)
      } catch (error) {
        return { error: toRpcError(asNightjarError(error)) }
      }
    },

    heads({ chain, method, params }) {
      const { heads } = find(chain)
      // Not named in the error, which has to fit any class: here the asker knows what it asked.
      if (method !== 'eth_subscribe') throw new NightjarError('method-not-allowed')
      const isNewHeads = Array.isArray(params) && params.length === 1 && params[0] === 'newHeads'
      if (!isNewHeads) throw new NightjarError('bad-request', { detail: 'only newHeads can be followed' })
      return heads
    },
  }
}
