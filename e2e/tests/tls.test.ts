/** The same network over wss: relays that pin their keys, and relays of a private certificate authority. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { type LocalRelay, makeCertificates, startDaemon, until } from '../src/network/index.ts'
import { sendRaw, subprotocol, upgradeRequest } from './support/hostile.ts'
import { useNetwork } from './support/network.ts'
import { askedFor } from './support/provider.ts'
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
  // Relays are restarted at once.
  const shared = useNetwork({ tls, tapped: true, configure: (config) => ({ ...config, drain_timeout: 0 }) })

  /** Whatever was tried, nobody fell back to plain links: each connection began with a TLS handshake. */
  afterEach(() => {
    const handshakeRecord = 0x16
    for (const { tap } of shared.network.relays.all) {
      const captured = tap?.captured() ?? Buffer.alloc(0)
      if (captured.length > 0) expect(captured[0]).toBe(handshakeRecord)
      expect(captured.includes(subprotocol)).toBe(false)
      expect(captured.includes('GET /relay')).toBe(false)
    }
  })

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

  test('refuses plain WebSocket', async () => {
    for (const { host, port } of shared.network.relays.all) {
      expect(await sendRaw({ host, port }, upgradeRequest('/relay', subprotocol))).not.toContain('101')
    }
  })

  if (tls === 'pinned') {
    test('is not talked to where a relay has another key than the document says', async () => {
      const { daemon, folder, providers, relays } = shared.network
      const impostor = join(folder, 'impostor')
      await mkdir(impostor)
      const others = makeCertificates(
        impostor,
        relays.all.map(({ host }) => host),
      )
      const originals = await Promise.all(relays.all.map(({ configFile }) => readFile(configFile, 'utf8')))
      const restartAll = () => Promise.all(relays.all.map((relay) => relay.process.stop().then(() => relay.restart())))

      for (const [index, { configFile }] of relays.all.entries()) {
        const config = JSON.parse(originals[index] as string) as { listen: { tls: object } }
        config.listen.tls = { cert_file: others.certFile, key_file: others.keyFile }
        await writeFile(configFile, JSON.stringify(config))
      }
      await restartAll()
      providers[chain]?.forget()
      const question = ['eth_getStorageAt', [account, '0x0', 'latest']] as const
      expect(codeOf(await ask(daemon.url(chain), ...question))).toBe('network-unreachable')
      expect(askedFor(providers[chain], question[0])).toEqual([])

      for (const [index, { configFile }] of relays.all.entries())
        await writeFile(configFile, originals[index] as string)
      await restartAll()
      await until('with the right keys it works again', async () => {
        const { result } = await ask(daemon.url(chain), 'eth_chainId')
        return result === '0x7a69'
      })
    })
    return
  }

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
      const answer = await ask(stranger.url(chain), 'eth_getBalance', [account, 'latest'])
      expect(codeOf(answer)).toBe('network-unreachable')
      expect((await stranger.status()).trunks).toEqual([])
      // Gateways go on asking for what is the same for everybody.
      expect(askedFor(providers[chain], account)).toEqual([])
    } finally {
      await stranger.process.stop()
    }
  })
})
