/** A client on a scripted network with exits, and what comes through them. */
import { fromUtf8 } from '@nightjar/shared/bytes'
import type { Stream } from '@nightjar/shared/circuit'
import type { ErrorCode } from '@nightjar/shared/errors'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { freshState } from '../../state/store.ts'
import { type Client, createClient } from '../client.ts'
import { TestNetwork } from './network.ts'
import type { FakeRelay } from './relay.ts'

/** The client's end of a connection. */
export interface Joined {
  readonly stream: Stream
  received: string
  endedWith: ErrorCode | undefined
}

export const hopsOf = (exits: readonly FakeRelay[]) => exits.map(({ hops }) => hops.size)

export async function startExits(exits = 3, gateways = 1) {
  const net = await TestNetwork.create({ relays: 5, gateways, exits })
  const client: Client = createClient({
    crypto: nativeCrypto,
    clock: net.clock,
    dial: net.dial,
    network: () => net.network,
    state: freshState(nativeCrypto.randomBytes),
  })
  client.start()
  await net.settle()

  const open = async (group: string, host = 'mainnet.infura.io'): Promise<Joined> => {
    let joined: Joined | undefined
    await client.connectThrough({ group, host, port: 443 }, (stream) => {
      const made: Joined = { stream, received: '', endedWith: undefined }
      joined = made
      return {
        onData(data) {
          made.received += fromUtf8(data)
          stream.consumed()
        },
        onEnd(code) {
          made.endedWith = code
        },
      }
    })
    if (joined === undefined) throw new Error('it was said to be connected, and not joined')
    return joined
  }
  /** A connection of `group`. Fails where time had to go on for it. */
  const connect = (group = 'me', host?: string) => net.run(open(group, host))
  const all = net.relays.filter(({ relay }) => relay.roles.includes('exit'))
  /** The exits that were asked, by how many connections. */
  const asked = () => all.map(({ connections }) => connections.length)
  /** The exit that has the last connection. */
  const used = (): FakeRelay => {
    const found = all.find(({ connections }) => connections.length > 0)
    if (found === undefined) throw new Error('no exit was asked')
    return found
  }
  return { net, client, exits: all, open, connect, asked, used }
}
