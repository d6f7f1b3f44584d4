/** What all processes print at the most talkative level, under load, with failures: nothing that tells on a user. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { keccak256 } from 'viem'
import { expect, test } from 'vitest'
import { type LocalRelay, type Provider, type Running, replyFor, until } from '../src/network/index.ts'
import { fundedAccount, signTransfer } from './support/chain.ts'
import { sendRaw } from './support/hostile.ts'
import { useNetwork } from './support/network.ts'
import { startPlainServer } from './support/plainServer.ts'
import { ask, encodeCall, fromWallet, http } from './support/rpc.ts'

const chain = 31337
const { address } = fundedAccount(0)
const wallet = 'nkbihfbeogaeaoehlefnkodbefgpgknn'
const methods = ['eth_getBalance', 'eth_chainId', 'eth_getCode', 'eth_notAMethod', 'eth_sendRawTransaction']
/** Hosts that are asked for through the shield: one is there, one does not answer, one does not exist, one is forbidden. */
const shieldHosts = ['mainnet.infura.io', 'accounts.api.cx.metamask.io', 'nobody.infura.io', 'loopback.infura.io']
const unlisted = 'evil.example'
const shared = useNetwork({
  logLevel: 'debug',
  exitHosts: {},
  // Those that are told to stop do not have to wait long for those who leave.
  configure: (config) => ({ ...config, drain_timeout: 1 }),
})

/** Every process there was, also those that are gone. */
const processes = new Set<Running>()

function noteProcesses(): void {
  const { daemon, relays } = shared.network
  for (const process of [daemon.process, ...relays.all.map((relay) => relay.process)]) processes.add(process)
}

/** Requests of all sorts, good and bad; a provider, relays and a daemon that fail in all ways and come back. */
async function makeTrouble(raw: string): Promise<void> {
  const { daemon, providers, relays } = shared.network
  const provider = providers[chain] as Provider
  const url = daemon.url(chain)
  /** What no watch can answer: it has to get through. */
  const read = () => ask(url, 'eth_getStorageAt', [address, '0x0', 'latest'])
  const one = (name: string | undefined) => relays.all.find((relay) => relay.name === name) as LocalRelay

  await Promise.all(
    methods.flatMap((method) =>
      Array.from({ length: 40 }, () => ask(url, method, [address, 'latest'], fromWallet(wallet))),
    ),
  )
  expect(await ask(url, 'eth_sendRawTransaction', [raw])).toHaveProperty('result')
  for (const body of ['not JSON', encodeCall(address), `{"${address}":1}`]) await http(url, body)
  await http(url.replace(/[0-9a-f]{32}/, 'f'.repeat(32)), '{}')
  await daemon.run('rpc', 'eth_getBalance', address, '--chain', String(chain))
  await shieldTrouble()
  for (const misbehaviour of ['garbage', 'error', 'close', 'none'] as const) {
    provider.misbehaviour = misbehaviour
    await read()
  }

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await until('all paths stand', async () => (await daemon.status()).state === 'private')
    const { trunks, gateways } = await daemon.status()
    for (const victim of [one(trunks[0]?.entry.name), one(trunks[1]?.middle.name), one(gateways[0]?.name)]) {
      const answers = Array.from({ length: 20 }, read)
      victim.process.signal(signal)
      await victim.process.ended
      await Promise.all(answers)
      await victim.restart()
      noteProcesses()
    }
  }
  await daemon.process.stop()
  await daemon.restart()
  noteProcesses()
  await until('all paths stand again', async () => (await daemon.status()).state === 'private')
}

/** Connections that stand, that fail in all ways, that are blocked, and what is no request at all. */
async function shieldTrouble(): Promise<void> {
  const { port, sinkPort } = (await shared.network.daemon.status()).shield
  const host = await startPlainServer()
  const [carried, dead, , forbidden] = shieldHosts as [string, string, string, string]
  await shared.network.relays.internet?.set({
    [carried]: host.port,
    [dead]: { addresses: ['8.8.9.9'] },
    [forbidden]: { addresses: ['127.0.0.1'] },
  })
  for (const name of [...shieldHosts, unlisted, '10.11.12.13']) {
    expect((await replyFor(port, { host: name })) === 0).toBe(name === carried)
    expect(await replyFor(sinkPort, { host: name })).not.toBe(0)
    const place = { host: '127.0.0.1', port }
    await sendRaw(place, `GET http://${name}/ HTTP/1.1\r\n\r\n`)
    if (name !== carried) await sendRaw(place, `CONNECT ${name}:443 HTTP/1.1\r\n\r\n`)
  }
  await host.close()
}

/** Keys in `file`: long words of base64 or hexadecimal, and the ones of base64 in hexadecimal as well. */
async function secretsOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8')
  const { payload } = file.endsWith('.json') ? (JSON.parse(text) as { payload?: string }) : {}
  const inner = payload === undefined ? '' : Buffer.from(payload, 'base64').toString('utf8')
  const words = (text + inner).match(/[A-Za-z0-9+/]{40,}={0,2}/g) ?? []
  return words.flatMap((word) => [word, Buffer.from(word, 'base64').toString('hex')])
}

test('no log line holds an address, transaction, method, key, token or client IP', async () => {
  const { daemon, folder, relays } = shared.network
  noteProcesses()
  const token = new URL(daemon.url(chain)).pathname.split('/')[1] as string
  const raw = await signTransfer(fundedAccount(1), chain, 0)
  await makeTrouble(raw)

  const files = [
    ...relays.all.flatMap(({ configFile }) =>
      ['identity.key', 'onion.keys'].map((name) => join(dirname(configFile), name)),
    ),
    ...['north.key', 'south.key', 'network.json'].map((name) => join(folder, name)),
    join(daemon.home, 'state.json'),
  ]
  const secrets = await Promise.all(files.map(secretsOf))
  for (const [index, found] of secrets.entries())
    expect({ file: files[index], found: found.length > 0 }).toMatchObject({ found: true })

  // The ready line is no log line: it is for whoever started the program. Without it there must be logs to look at.
  expect(processes.size).toBe(1 + relays.all.length + 7)
  const logs = [...processes].map((each) =>
    each
      .output()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{"ready":true')),
  )
  for (const lines of logs) expect(lines.length).toBeGreaterThan(0)
  const text = logs.flat().join('\n')
  expect(text).toContain('"level":"info"')

  const needles = [
    ...[
      address,
      address.slice(2),
      fundedAccount(1).address.slice(2),
      raw.slice(2, 60),
      keccak256(raw).slice(2),
      token,
      wallet,
    ],
    ...[...shieldHosts, unlisted, 'infura', 'metamask', '10.11.', '8.8.', ':443'],
    ...['eth_', '0x', '127.', 'localhost', 'ws:', 'http:', 'jsonrpc', 'notAMethod', 'latest'],
    ...secrets.flat(),
  ]
  const lower = text.toLowerCase()
  expect(needles.filter((needle) => lower.includes(needle.toLowerCase()))).toEqual([])
})
