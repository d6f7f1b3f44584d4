/** What the doctor says of the relay's ports, and of a relay that has them already. */
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { hex } from '@nightjar/shared/bytes'
import { CircuitTable } from '@nightjar/shared/circuit'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { listenForLinks } from '@nightjar/shared-node/link'
import { systemClock } from '@nightjar/shared-node/process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadSigningKey } from '../keys.ts'
import { otherCertificate } from './testing/certificate.ts'
import { answering, DoctorStage, tls } from './testing/doctor.ts'

let stage: DoctorStage
beforeEach(async () => {
  stage = await DoctorStage.set()
})
afterEach(() => stage.remove())

describe('a port', () => {
  const taken = (host: string) =>
    stage.serve(
      createTcpServer((socket) => void socket.destroy()),
      host,
    )

  test('of links is taken by another program', async () => {
    await stage.healthy({ listen: { host: '127.1.0.1', port: await taken('127.1.0.1') } })
    expect((await stage.examine()).problems).toMatchObject([
      { code: 'config-invalid', finding: expect.stringContaining('another program') },
    ])
  })

  test.each(['health_port', 'metrics_port'])('of operators is taken by another program: %s', async (key) => {
    const port = await taken('127.0.0.1')
    await stage.healthy({ admin: { health_port: 0, metrics_port: 0, [key]: port } })
    const { all, problems } = await stage.examine()
    expect(problems).toMatchObject([
      {
        subject: `admin.${key} 127.0.0.1:${port}`,
        finding: expect.stringContaining('another program'),
        remedy: expect.stringContaining(`admin.${key}`),
      },
    ])
    expect(all).toContainEqual(expect.objectContaining({ finding: expect.stringContaining('does not run now') }))
  })

  test('of health is that of another relay, even one of the same name', async () => {
    const status = { status: 'ok', server_name: 'one', identity: '00'.repeat(32) }
    const port = await stage.serve(answering(status))
    await stage.healthy({ admin: { health_port: port, metrics_port: 0 } })
    const { all, problems } = await stage.examine()
    expect(problems).toMatchObject([{ subject: `admin.health_port 127.0.0.1:${port}`, code: 'config-invalid' }])
    expect(all).toContainEqual(expect.objectContaining({ finding: expect.stringContaining('does not run now') }))
  })

  test('is named by two settings', async () => {
    const port = await stage.freePort()
    await stage.healthy({
      listen: { host: '127.0.0.1', port },
      public_address: 'ws://127.0.0.1:1/relay',
      admin: { health_port: port, metrics_port: 0 },
    })
    expect((await stage.examine()).problems).toMatchObject([{ subject: `admin.health_port 127.0.0.1:${port}` }])
  })

  test('is at an address that is not of this machine', async () => {
    await stage.healthy({
      listen: { host: '192.0.2.1', port: 9545, tls },
      public_address: 'wss://192.0.2.1:9545/relay',
    })
    expect((await stage.examine()).problems).toContainEqual(
      expect.objectContaining({
        subject: 'listen.port 192.0.2.1:9545',
        remedy: expect.stringContaining('listen.host'),
      }),
    )
  })
})

describe('a relay that runs', () => {
  /** Its health port; it has the identity that `healthy` makes. */
  async function health(): Promise<number> {
    return stage.serve(
      createServer(async (_, response) => {
        const { publicKey } = await loadSigningKey(nobleCrypto, stage.cli.path('one/identity.key'))
        response.end(JSON.stringify({ status: 'ok', server_name: 'one', identity: hex(publicKey) }))
      }),
    )
  }

  /** Where it listens for links. */
  async function links(tls?: typeof otherCertificate): Promise<number> {
    const listener = await listenForLinks({
      host: '127.1.0.1',
      port: 0,
      path: '/relay',
      maxConnections: 1,
      idleAfter: 1000,
      clock: systemClock,
      tls,
      accept: () => new CircuitTable(),
    })
    stage.closeLater(listener)
    return listener.port
  }

  test('can be reached as clients do it', async () => {
    const port = await links()
    const at = { listen: { host: '127.1.0.1', port }, public_address: `ws://127.1.0.1:${port}/relay` }
    await stage.healthy({ ...at, admin: { health_port: await health(), metrics_port: 0 } })
    const { all, problems } = await stage.examine()
    expect(problems).toEqual([])
    expect(all).toContainEqual(expect.objectContaining({ subject: at.public_address, status: 'ok' }))
    expect(all).toContainEqual(expect.objectContaining({ subject: `listen.port 127.1.0.1:${port}`, status: 'ok' }))
  })

  test('cannot be reached at the address that clients are told', async () => {
    await stage.healthy({
      public_address: 'ws://127.1.0.1:1/relay',
      admin: { health_port: await health(), metrics_port: 0 },
    })
    expect((await stage.examine()).problems).toMatchObject([
      { subject: 'ws://127.1.0.1:1/relay', code: 'connect-failed' },
    ])
  })

  test('with another certificate than the one whose pin clients have', async () => {
    await stage.certify()
    const port = await links(otherCertificate)
    // The pin is in the document, and not in the configuration.
    await stage.healthy(
      {
        listen: { host: '127.1.0.1', port, tls },
        public_address: `wss://127.1.0.1:${port}/relay`,
        admin: { health_port: await health(), metrics_port: 0 },
      },
      '--pin',
    )
    const { problems } = await stage.examine()
    expect(problems).toMatchObject([
      { subject: `wss://127.1.0.1:${port}/relay`, finding: expect.stringContaining('another TLS key') },
    ])
  })
})
