import { accountGroup } from '@nightjar/shared/accounts'
import { hex } from '@nightjar/shared/bytes'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { afterEach, expect, test } from 'vitest'
import { freshState } from '../state/store.ts'
import { type Client, createClient } from './client.ts'
import { TestNetwork } from './testing/network.ts'

const running: Client[] = []
afterEach(async () => {
  for (const client of running.splice(0)) await client.stop()
})

const accounts = Array.from({ length: 12 }, (_, index) => accountGroup(`0x${hex(new Uint8Array(20).fill(index))}`))

async function start(relays = 12, state = freshState(nativeCrypto.randomBytes)) {
  const net = await TestNetwork.create({ relays, gateways: 3 })
  const make = async () => {
    const client = createClient({
      ...{ crypto: nativeCrypto, clock: net.clock, dial: net.dial, state },
      network: () => net.network,
    })
    running.push(client)
    client.start()
    await net.settle()
    return client
  }
  const client = await make()
  const ask = (group: string, by = client) => net.run(by.request({ group, chain: 1, call: { method: 'eth_call' } }))
  /** The relays that branches come to gateways from. */
  const before = () =>
    net.relays.flatMap(({ relay, hops }) =>
      [...hops].flatMap((hop) =>
        [...hop.children.values()].flatMap(({ owner }) => (owner.relay.roles.includes('gateway') ? [relay.name] : [])),
      ),
    )
  const middles = client.status().trunks.map(({ middle }) => middle.name)
  return { net, client, make, ask, before, middles }
}

test('no gateway of an account, or of what is asked once, sees the middle of a trunk', async () => {
  const { ask, before, middles } = await start()
  for (const group of [...accounts, 'once 1']) await ask(group)
  expect(before()).toHaveLength(13)
  for (const name of before()) expect(middles).not.toContain(name)
  // Seven relays are not pinned: accounts are spread over them.
  expect(new Set(before()).size).toBeGreaterThan(3)
})

test('one that is of no account sees the middle', async () => {
  const { ask, before, middles } = await start()
  await ask('site https://example.org')
  expect(middles).toContain(before()[0])
})

test('an account comes from the same inner middle after a restart', async () => {
  const { net, client, make, ask, before } = await start()
  const [account] = accounts as [string]
  await ask(account)
  const [inner] = before()
  await client.stop()
  await net.settle()
  expect(before()).toEqual([])
  await ask(account, await make())
  expect(before()).toEqual([inner])
})

test('in a network that is too small for it the gateway sees the middle', async () => {
  const { ask, before, middles } = await start(2)
  await ask(accounts[0] as string)
  expect(before()).toEqual(middles.slice(0, 1))
})
