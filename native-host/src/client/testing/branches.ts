/** Branches on a scripted network, over one trunk that stands. */
import type { NightjarError } from '@nightjar/shared/errors'
import { Branches, type SealedBranch } from '@nightjar/shared/requests'
import type { Outcome, Question } from '@nightjar/shared/rpc'
import { minute } from '@nightjar/shared/runtime'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { GatewayBranch } from '../gatewayBranch.ts'
import { OpenBranches } from '../openBranches.ts'
import { sealingOn } from '../sealing.ts'
import { TestNetwork } from './network.ts'
import { makeSlot } from './slot.ts'

export const question: Question = { chain: 1, cells: 4, method: 'eth_blockNumber' }

/** @param random with 0.9 branches are idle for 13.2 minutes, and leave a relay that has 30 seconds left after 13.5 */
export async function startBranches(gateways = 2, random = () => 0.9) {
  const net = await TestNetwork.create({ relays: 3, gateways })
  const { slot, health, path } = makeSlot(net, random)
  slot.start()
  await net.settle()
  const { clock } = net
  const open = new OpenBranches({ clock, health, slotsFor: async () => [slot], innersFor: () => [], random })
  const branches = new Branches(sealingOn(open, { crypto: nativeCrypto, clock, health, random: () => 0.5 }))
  const gateway = net.named('g0')
  const get = (group = 'me', name = 'g0') => branches.get(group, net.named(name).relay)
  const failures = (name = 'g0') => health.failuresOf(net.named(name).relay)
  /** Holds the gateway's answers from now on; `release` gives all of them. */
  function hold(): { release(): void } {
    const held: ((outcome: Outcome) => void)[] = []
    gateway.answer = () => new Promise((resolve) => held.push(resolve))
    return {
      release() {
        gateway.answer = () => ({ result: 'later' })
        for (const resolve of held.splice(0)) resolve({ result: 'held' })
      },
    }
  }
  const ask = (branch: SealedBranch) => net.run(branch.ask(question))
  const idleFor = 13.2 * minute
  return { net, slot, health, path, open, branches, gateway, get, failures, hold, ask, idleFor }
}

/** The branch of the trunk that carries what is sealed. */
export function carrierOf({ carrier }: SealedBranch): GatewayBranch {
  if (!(carrier instanceof GatewayBranch)) throw new Error('carried by something else')
  return carrier
}

/** What a promise that nobody waits for yet comes to. */
export function watch<T>(promise: Promise<T>) {
  const seen: { value?: T; code?: string } = {}
  promise.then(
    (value) => {
      seen.value = value
    },
    (error: NightjarError) => {
      seen.code = error.code
    },
  )
  return seen
}
