/** The gateway's policy: which chains, which methods, how each is forwarded. */
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { catalogue, type Outcome, type Question, toRpcError } from '@nightjar/shared/rpc'
import { Broadcasts, type Chain } from './broadcasts.ts'

export interface Gateway {
  /** Never rejects: what goes wrong becomes the error of the answer. */
  answer(question: Question, signal: AbortSignal): Promise<Outcome>
}

export function createGateway(chains: ReadonlyMap<number, Chain>): Gateway {
  const broadcasts = new Map([...chains].map(([id, chain]) => [id, new Broadcasts(chain)]))

  async function forward(question: Question, signal: AbortSignal): Promise<Outcome> {
    const { chain: id, method, params } = question
    const chain = chains.get(id)
    if (chain === undefined) throw new NightjarError('chain-not-served', { facts: { chain: id } })
    const entry = catalogue.get(method)
    if (entry === undefined) {
      throw new NightjarError('method-not-allowed', { facts: { method } })
    }
    const call = params === undefined ? { method } : { method, params }
    if (entry.kind === 'read') return chain.read(call, signal)
    return (broadcasts.get(id) as Broadcasts).send(call)
  }

  return {
    async answer(question, signal) {
      try {
        return await forward(question, signal)
      } catch (error) {
        return { error: toRpcError(asNightjarError(error)) }
      }
    },
  }
}
