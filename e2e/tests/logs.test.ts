/** What all processes print at the most talkative level, under load, with failures: nothing that tells on a user. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { until } from '../src/network/index.ts'
import { useNetwork } from './support/network.ts'
import { ask, http } from './support/rpc.ts'

const chain = 31337
const account = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'
const methods = ['eth_getBalance', 'eth_chainId', 'eth_getCode', 'eth_notAMethod', 'eth_sendRawTransaction']
const shared = useNetwork({ logLevel: 'debug' })

/** Requests of all sorts, good and bad, a provider and a relay that fail, a daemon that restarts. */
async function makeTrouble(): Promise<void> {
  const { daemon, providers, relays } = shared.network
  const url = daemon.url(chain)
  const asked = methods.flatMap((method) => Array.from({ length: 40 }, () => ask(url, method, [account, 'latest'])))
  await Promise.all(asked)
  await http(url, 'not JSON')
  await http(url.replace(/[0-9a-f]{32}/, 'f'.repeat(32)), '{}')
  const provider = providers[chain]
  if (provider !== undefined) provider.misbehaviour = 'garbage'
  await ask(url, 'eth_getBalance', [account, 'latest'])
  if (provider !== undefined) provider.misbehaviour = 'none'
  const [entry] = (await daemon.status()).trunks
  const guard = relays.all.find(({ name }) => name === entry?.entry.name)
  guard?.process.signal('SIGKILL')
  await guard?.process.ended
  await ask(url, 'eth_getBalance', [account, 'latest'])
  await guard?.restart()
  await until('all paths stand again', async () => (await daemon.status()).state === 'private')
}

async function secretsOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8')
  return text.match(/[A-Za-z0-9+/]{40,}={0,2}/g) ?? []
}

test('no log line holds an address, method, key, token or client IP', async () => {
  const { daemon, relays } = shared.network
  const token = new URL(daemon.url(chain)).pathname.split('/')[1] as string
  const outputsBefore = new Map(relays.all.map((relay) => [relay.name, relay.process.output()]))
  await makeTrouble()

  const keyFiles = relays.all.flatMap(({ configFile }) =>
    ['identity.key', 'onion.keys'].map((name) => join(dirname(configFile), name)),
  )
  const secrets = (await Promise.all([...keyFiles, join(daemon.home, 'state.json')].map(secretsOf))).flat()
  expect(secrets.length).toBeGreaterThan(relays.all.length)
  const outputs = [
    daemon.process.output(),
    ...relays.all.map((relay) => `${outputsBefore.get(relay.name)}${relay.process.output()}`),
  ]
  // The ready line is no log line; without it there must still be logs to look at.
  const logs = outputs.map((output) => output.split('\n').filter((line) => !line.startsWith('{"ready":true')))
  for (const lines of logs) expect(lines.filter((line) => line !== '').length).toBeGreaterThan(0)

  const needles = [
    ...[account, account.slice(2).toLowerCase(), token, 'eth_', '0x', '127.', 'ws://', 'http://', 'jsonrpc'],
    ...secrets,
  ]
  const found = needles.filter((needle) => logs.flat().some((line) => line.includes(needle)))
  expect(found).toEqual([])
})
