/** The gateway's policy: which chains, which methods, how each is answered, forwarded or followed. */
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { catalogue, type Outcome, type Question, toRpcError, watchMethod } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import { type BroadcastMemory, Broadcasts, type Chain } from './broadcasts.ts'
import { type CallLimits, refusalOf } from './callLimits.ts'
import { ChainWide } from './chainWide.ts'
import { quantity, resultOf, textOf } from './fields.ts'
import { HeadFollower, type HeadListener, type Heads } from './follower.ts'
import type { Followed } from './followStream.ts'
import type { PushedHeads } from './headsSocket.ts'
import { ShuffledWindow } from './shuffledWindow.ts'
import { Watches } from './watches.ts'

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

/** The gateway itself, with what only its operator is told. */
export interface OwnGateway extends Gateway {
  /** Looks for a new head of `chain`, since it was made, that gave none. */
  headFailures(chain: number): number
  /** What clients follow now. */
  followed(): FollowedCounts
  /** Resolves when no watch lingers whose client is gone. */
  quiet(): Promise<void>
}

export interface FollowedCounts {
  /** Streams that are told of new heads. */
  readonly heads: number
  /** Watches that have a client. */
  readonly watches: number
  /** Those that go on though their client is gone. */
  readonly lingering: number
}

export interface ChainOptions {
  readonly upstreams: Chain
  /** Where raw transactions go instead of the upstreams: a service that keeps them private until they are in a block. */
  readonly transactions?: Pick<Chain, 'once'> | undefined
  /** Milliseconds between two looks for a new head. */
  readonly headsEvery: number
  /** Where new heads come from before they are looked for. */
  readonly pushedHeads?: PushedHeads | undefined
  /** Of transactions that another gateway of this process has sent to the chain. */
  readonly broadcastMemory?: BroadcastMemory | undefined
}

export interface GatewayContext {
  readonly clock: Clock
  /** A number in [0, 1). */
  random(): number
  /** Milliseconds for which clients' questions wait, to leave together in random order; 0 for none. */
  readonly batchWindow: number
  readonly callLimits: CallLimits
}

export function createGateway(chains: ReadonlyMap<number, ChainOptions>, context: GatewayContext): OwnGateway {
  const { clock, random, callLimits } = context
  const watches = new Watches(context)
  const headStreams = new Set<HeadListener>()
  // One for all chains: the more leave together, the less is known of each.
  const window = new ShuffledWindow({ clock, random, window: context.batchWindow })
  const served = new Map(
    [...chains].map(([id, { upstreams, transactions = upstreams, headsEvery, pushedHeads, broadcastMemory }]) => {
      const heads = new HeadFollower({ upstreams, clock, every: headsEvery, pushed: pushedHeads })
      /** The chain as clients ask it. What the gateway asks by itself does not go through the window. */
      const asked: Chain = {
        read: (call, signal, asker) => window.leave(() => upstreams.read(call, signal, asker)),
        once: (call) => window.leave(() => transactions.once(call)),
      }
      const wide = new ChainWide({ upstreams, heads, clock })
      return [id, { upstreams, asked, broadcasts: new Broadcasts(asked, broadcastMemory), heads, wide }]
    }),
  )

  function find(id: number) {
    const chain = served.get(id)
    if (chain === undefined) throw new NightjarError('chain-not-served', { facts: { chain: id } })
    return chain
  }

  async function forward(question: Question, signal: AbortSignal): Promise<Outcome> {
    const { chain: id, method, params } = question
    const { asked, broadcasts, heads, wide } = find(id)
    const entry = catalogue.get(method)
    if (entry === undefined) {
      throw new NightjarError('method-not-allowed', { facts: { method } })
    }
    wide.use()
    const call = params === undefined ? { method } : { method, params }
    if (entry.kind === 'broadcast') return broadcasts.send(call)
    const refusal = await refusalOf(call, callLimits, () => newestOf(heads, asked, signal))
    return refusal ?? (await wide.find(call)) ?? asked.read(call, signal, signal)
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
      return followHeads(chain.heads, headStreams)
    },

    headFailures: (chain) => find(chain).heads.failures,
    followed: () => ({ heads: headStreams.size, watches: watches.running, lingering: watches.lingering }),
    quiet: () => watches.quiet(),

    close() {
      watches.close()
      for (const { wide } of served.values()) wide.close()
    },
  }
}

/** The number of the newest block. @throws NightjarError `upstream-failed` */
async function newestOf(heads: Heads, chain: Chain, signal: AbortSignal): Promise<bigint> {
  const known = heads.recent.at(-1)
  if (known !== undefined) return known.number
  return BigInt(textOf(resultOf(await chain.read({ method: 'eth_blockNumber' }, signal)), 'number', quantity))
}

/** @param streams all that are told */
function followHeads(heads: Heads, streams: Set<HeadListener>): Followed {
  let following: HeadListener | undefined
  return {
    start(listener) {
      following = { onHead: ({ text }) => listener.onAnswers([text]), onEnd: (code) => listener.onEnd(code) }
      streams.add(following)
      heads.follow(following)
    },
    stop() {
      if (following === undefined) return
      streams.delete(following)
      heads.unfollow(following)
    },
  }
}
