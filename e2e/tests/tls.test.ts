/** The same network over wss: relays that pin their keys, and relays of a private certificate authority. */

import { join } from 'node:path'
import { connect } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { type LocalRelay, startDaemon, until } from '../src/network/index.ts'
import { useNetwork } from './support/network.ts'
import { ask, codeOf } from './support/rpc.ts'

const chain = 31337
const account = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'

/** What a TLS client is offered by a relay, whatever its certificate. */
function tlsVersionOf(relay: LocalRelay, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: relay.host, port: relay.port, rejectUnauthorized: false, maxVersion })
    socket.once('secureConnect', () => {
      resolve(socket.getProtocol())
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

describe.each(['pinned', 'private-ca'] as const)('a network over wss, %s', (tls) => {
  const shared = useNetwork({ tls })

  test('carries requests over three hops', async () => {
    const { daemon, nodes } = shared.network
    const answer = await ask(daemon.url(chain), 'eth_getBalance', [account, 'latest'])
    expect(answer).toHaveProperty('result')
    expect(answer).toEqual(await ask(nodes[chain] as string, 'eth_getBalance', [account, 'latest']))
    expect((await daemon.status()).state).toBe('private')
  })

  test('speaks TLS 1.3 and nothing older', async () => {
    for (const relay of shared.network.relays.all) {
      expect(await tlsVersionOf(relay, 'TLSv1.3')).toBe('TLSv1.3')
      await expect(tlsVersionOf(relay, 'TLSv1.2')).rejects.toThrow()
    }
  })

  if (tls === 'pinned') return

  test('is refused by a daemon that does not know the authority', async () => {
    const { folder, relays, providers } = shared.network
    const stranger = await startDaemon({
      home: join(folder, 'stranger'),
      relays,
      document: relays.documentFile,
      chains: [chain],
      port: 0,
      logLevel: 'info',
    })
    try {
      await until('it has failed to connect', async () => (await stranger.status()).lastError === 'connect-failed')
      providers[chain]?.forget()
      const answer = await ask(stranger.url(chain), 'eth_chainId')
      expect(codeOf(answer)).toBe('network-unreachable')
      expect((await stranger.status()).trunks).toEqual([])
      expect(providers[chain]?.seen).toEqual([])
    } finally {
      await stranger.process.stop()
    }
  })
})
