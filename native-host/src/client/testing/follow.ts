/** A client on a scripted network whose groups follow something, and the gateways that tell them. */
import type { Follower } from '@nightjar/shared/requests'
import type { Question } from '@nightjar/shared/rpc'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { onTestFinished } from 'vitest'
import { freshState } from '../../state/store.ts'
import { createClient } from '../client.ts'
import { TestNetwork } from './network.ts'

export const question: Question = { chain: 1, cells: 4, method: 'eth_subscribe', params: ['newHeads'] }
/** On a branch that is kept. */
export const watch: Question = { chain: 1, cells: 4, method: 'nightjar_watch', params: [{ delay: 5 }] }

/** The client stops when the test ends. */
export async function startFollowing(gateways = 4, relays = 6) {
  const net = await TestNetwork.create({ relays, gateways })
  const state = freshState(nativeCrypto.randomBytes)
  const client = createClient({
    crypto: nativeCrypto,
    clock: net.clock,
    dial: net.dial,
    network: () => net.network,
    state,
  })
  onTestFinished(() => client.stop())
  client.start()
  await net.settle()
  const all = net.relays.filter(({ relay }) => relay.roles.includes('gateway'))

  async function follow(group: string, followed = question) {
    const told: unknown[] = []
    const handler: Follower = {
      onOutcome: (outcome, id) => told.push('result' in outcome ? outcome.result : id),
      onEnd: (code) => told.push(code),
    }
    const following = await net.run(client.follow({ group, chain: 1, questionFor: () => followed }, handler))
    await net.settle()
    return { told, stop: () => following.stop() }
  }
  /** The gateways that tell something now, once for each thing that they tell. */
  const telling = () =>
    all.flatMap((each) => each.followed.filter(({ endedWith }) => endedWith === undefined).map(() => each.relay.name))
  const push = async (value: string) => {
    for (const each of all)
      for (const one of each.followed) if (one.endedWith === undefined) one.push({ result: value })
    await net.settle()
  }
  const ask = (group: string) => net.run(client.request({ group, chain: 1, call: { method: 'eth_chainId' } }))
  const usedBy = async (group: string) => net.named(((await ask(group)) as { result: string }).result)
  return { net, client, state, all, follow, telling, push, ask, usedBy }
}
