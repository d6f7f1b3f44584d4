/** A program, or a web page, that opens connections to as many listed sites as it can: what it takes, and what it cannot. */
import { hostList } from '@nightjar/shared/shield'
import { afterAll, expect, test } from 'vitest'
import { connectSocks, SocksRefused, until } from '../src/network/index.ts'
import { startPlainServer } from './support/plainServer.ts'
import { http } from './support/rpc.ts'
import { plainHosts, useShield } from './support/shield.ts'

/** A host of each of a hundred listed domains, apart from those that the shield's tests share. */
const sites = hostList
  .map(({ suffix }) => suffix)
  .filter((suffix) => suffix.split('.').length === 2 && !['infura.io', 'metamask.io'].includes(suffix))
  .slice(0, 100)
  .map((suffix) => `api.${suffix}`)
/** Ids of wallets, each of which is an isolation group at the endpoint. */
const wallets = Array.from({ length: 44 }, (_, index) =>
  [...index.toString(16).padStart(32, '0')].map((digit) => 'abcdefghijklmnop'[Number.parseInt(digit, 16)]).join(''),
)

const server = await startPlainServer()
server.serve = (socket) => socket.resume().once('end', () => socket.end())
afterAll(() => server.close())
const shared = useShield({
  wallets,
  morePlaces: Object.fromEntries(sites.map((host) => [host, { addresses: ['8.8.4.4'], port: server.port }])),
})

async function blockNumber(wallet: string): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_blockNumber', params: [] })
  const headers = { 'content-type': 'application/json', origin: `chrome-extension://${wallet}` }
  return (await http(shared.network.daemon.url(1), body, { headers })).json().result
}

test('a hundred listed sites at once leave the wallet its private RPC, and new sites their turn', async () => {
  const port = await shared.port()
  const [wallet, ...others] = wallets as [string, ...string[]]
  expect(await blockNumber(wallet)).toMatch(/^0x/)

  const asked = await Promise.allSettled(sites.map((host) => connectSocks(port, { host })))
  const standing = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const refusals = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
  expect(sites).toHaveLength(100)
  expect(standing).toHaveLength(20)
  expect(refusals.every((error) => error instanceof SocksRefused && error.reply === 1)).toBe(true)
  const told = (await shared.network.daemon.status()).shield.hosts.map(({ lastError }) => lastError)
  expect(told.filter((code) => code === 'too-many-sites')).toHaveLength(80)

  // Meanwhile: the wallet that asked before, and as many that had nothing open yet as there are places for.
  for (const each of [wallet, ...others]) expect(await blockNumber(each)).toMatch(/^0x/)
  expect((await shared.network.daemon.status()).branches).toBe(64)
  expect(server.sockets.size).toBe(20)

  // In its turn a new site gets a place, from one that was quiet; all that keep moving are left alone.
  const [quiet, ...busy] = standing
  let ended = 0
  for (const socket of standing) {
    socket.on('error', () => undefined)
    socket.on('close', () => {
      ended += 1
    })
    socket.resume()
  }
  await until('a new site is connected', async () => {
    for (const socket of busy) socket.write('x')
    const socket = await connectSocks(port, { host: plainHosts.infura }).catch(() => undefined)
    socket?.destroy()
    return socket !== undefined
  })
  await until('the quiet one has ended', () => quiet?.destroyed === true)
  expect(ended).toBe(1)

  // And after.
  for (const socket of busy) socket.destroy()
  await until('they are gone', () => server.sockets.size === 0)
  for (const host of [plainHosts.infura, plainHosts.accounts]) (await connectSocks(port, { host })).destroy()
  for (const each of wallets) expect(await blockNumber(each)).toMatch(/^0x/)
  expect((await shared.network.daemon.status()).shield.lastError).toBe(null)
})
