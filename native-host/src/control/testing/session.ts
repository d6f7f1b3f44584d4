/** Sessions of one daemon on a scripted network: the real client, and extensions that seal with the real code. */
import type { Status } from '@nightjar/shared/bridge'
import type { Relay } from '@nightjar/shared/directory'
import { openSealedBranch, type SealedBranch } from '@nightjar/shared/requests'
import type { Outcome, Question } from '@nightjar/shared/rpc'
import { pattern } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { createClient } from '../../client/client.ts'
import { TestNetwork } from '../../client/testing/network.ts'
import { freshState } from '../../state/store.ts'
import type { SessionContext } from '../session.ts'
import { TestBridge } from './bridge.ts'

/** A shield that nothing has come to yet. */
export const idleShield: Status['shield'] = {
  port: 41000,
  sinkPort: 41001,
  running: true,
  streams: 0,
  refused: 0,
  today: {},
  hosts: [],
  lastError: null,
}
/** Accounts that nobody has asked for. */
export const idleAccounts: Status['accounts'] = {
  watched: 0,
  cold: 0,
  freshnessSeconds: 12,
  verified: 0,
  compared: 0,
  unverified: 0,
  refuted: 0,
  linking: [],
  lies: [],
  disputes: [],
}
export const question: Question = { chain: 1, cells: 4, method: 'eth_blockNumber' }
export const proofKey = pattern(32)
/** What an extension calls its groups. */
export const labels = [label('a'), label('b'), label('c'), label('d'), label('e')] as const

export async function startSession(options = { relays: 5, gateways: 3 }) {
  const net = await TestNetwork.create(options)
  const { clock } = net
  const state = freshState(nativeCrypto.randomBytes)
  const client = createClient({ crypto: nativeCrypto, clock, dial: net.dial, network: () => net.network, state })
  client.start()
  await net.settle()
  const status = (): Status => ({
    ...client.status(),
    profile: 'fast',
    endpoint: 'http://127.0.0.1:8645/0123/1',
    chains: [1],
    callers: [],
    shield: idleShield,
    accounts: idleAccounts,
    version: '1.2.3',
  })
  const document = () => '{"signed":true}'
  const context: SessionContext = { client, accounts: client, version: '1.2.3', proofKey, status, document }
  const bridge = new TestBridge(context)

  /** A branch that the extension of `by` seals on. `known`: the gateway as that extension knows it. */
  const open = (
    group: string = labels[0],
    name = 'g0',
    by: Pick<TestBridge, 'greet'> = bridge,
    known: Relay = net.named(name).relay,
  ) => {
    const sealing = { crypto: nativeCrypto, clock, random: () => 0.5 }
    return net.run(openSealedBranch(sealing, known, by.greet(group, net.named(name).relay.id)))
  }
  const ask = (branch: SealedBranch, asked: Question = question) => net.run(branch.ask(asked))
  /** Holds a gateway's answers from now on; `release` gives those that it owes, and all later ones at once. */
  const hold = (name = 'g0') => {
    const gateway = net.named(name)
    const held: ((outcome: Outcome) => void)[] = []
    gateway.answer = () => new Promise((resolve) => held.push(resolve))
    return {
      release() {
        gateway.answer = () => ({ result: 'later' })
        for (const resolve of held.splice(0)) resolve({ result: 'held' })
      },
    }
  }
  /** The middles end their branches to a gateway. */
  const cutOff = async (name = 'g0') => {
    for (const { hops } of net.relays) for (const hop of hops) hop.closeBranchTo(name, 'overflow')
    await net.settle()
  }
  const avoided = async (name = 'g0') => {
    const ranked = await net.run(bridge.ask('gateways', { group: labels[0], chain: 1 }))
    return ranked.find(({ relay }) => relay === net.named(name).relay.id)?.avoided
  }
  return { net, clock, state, client, context, bridge, open, ask, hold, cutOff, avoided }
}

function label(digit: string): string {
  return digit.repeat(64)
}
