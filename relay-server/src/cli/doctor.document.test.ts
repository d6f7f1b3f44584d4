/** What the doctor says where others believe something else of this relay: its document's readers, or its certificate's. */
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { otherCertificate } from './testing/certificate.ts'
import { DoctorStage, type Finding, tls } from './testing/doctor.ts'

let stage: DoctorStage
beforeEach(async () => {
  stage = await DoctorStage.set()
})
afterEach(() => stage.remove())

describe('what the document says of this relay', () => {
  const chains = (...ids: readonly number[]) =>
    Object.fromEntries(ids.map((id) => [id, { upstreams: [{ url: 'http://127.0.0.1:1' }] }]))

  /** The configuration after the document was made of it. */
  async function changed(change: Record<string, unknown>): Promise<readonly Finding[]> {
    const before = parse(await stage.cli.read('one.yaml')) as Record<string, unknown>
    await stage.cli.write('one.yaml', stringify({ ...before, ...change }))
    return (await stage.examine()).problems.filter(({ subject }) => subject === stage.cli.path('network.json'))
  }

  test('is another address', async () => {
    await stage.healthy()
    expect(await changed({ public_address: 'ws://127.1.0.1:7777/relay' })).toMatchObject([
      {
        finding: expect.stringMatching(/at ws:\/\/127\.1\.0\.1:9545\/relay, and public_address is .*:7777/),
        remedy: expect.stringContaining('nightjar-relay descriptor'),
      },
    ])
  })

  test('is the same address in other words', async () => {
    await stage.healthy({ public_address: 'wss://127.1.0.1:443/relay' })
    expect(await changed({ public_address: 'wss://127.1.0.1/relay' })).toEqual([])
  })

  test('is other roles and chains', async () => {
    await stage.healthy({ roles: ['gateway'], gateway: { chains: chains(1, 5) } })
    expect(await changed({ roles: ['relay', 'gateway'], gateway: { chains: chains(10, 5) } })).toMatchObject([
      { finding: expect.stringContaining('roles gateway, and roles has relay, gateway'), code: 'unknown-service' },
      { finding: expect.stringContaining('chains 1, 5, and gateway.chains has 5, 10'), code: 'chain-not-served' },
    ])
  })

  test('is the pin of another key', async () => {
    await stage.certify(otherCertificate)
    const pinned = { listen: { host: '127.0.0.1', port: 0, tls }, public_address: 'wss://127.1.0.1:1/relay' }
    await stage.healthy(pinned, '--pin')
    expect(await changed({})).toEqual([])
    await stage.certify()
    expect(await changed({})).toMatchObject([
      { finding: expect.stringContaining('pin of another key'), remedy: expect.stringContaining('--pin') },
    ])
  })

  test('is no pin, where there should be one', async () => {
    await stage.certify()
    await stage.healthy({ listen: { host: '127.0.0.1', port: 0, tls }, public_address: 'wss://127.1.0.1:1/relay' })
    const wanted = { descriptor: { file: 'one.json', pin: true } }
    expect(await changed(wanted)).toMatchObject([{ finding: expect.stringContaining('no pin') }])
  })
})

test('a document that is not there is named so', async () => {
  await stage.healthy()
  const document = stage.cli.path('network.json')
  await rm(document)
  expect((await stage.examine()).problems.filter(({ subject }) => subject === document)).toMatchObject([
    { finding: 'the network document does not exist, or its folder does not', code: 'file-unusable' },
  ])
})

describe('a certificate', () => {
  /** What is found of one for localhost. */
  async function found(public_address: string, ...options: readonly string[]): Promise<readonly Finding[]> {
    await stage.certify()
    await stage.healthy({ listen: { host: '127.0.0.1', port: 0, tls }, public_address }, ...options)
    return (await stage.examine()).problems.filter(({ subject }) => subject === stage.cli.path('cert.pem'))
  }

  test.each(['wss://relay.example.org/relay', 'wss://127.1.0.1:1/relay', 'wss://[::1]:1/relay'])(
    'of another name than %s',
    async (url) => {
      stage.cli.names['relay.example.org'] = ['192.0.2.7']
      const host = new URL(url).hostname.replace(/[[\]]/g, '')
      expect(await found(url)).toMatchObject([
        { finding: expect.stringContaining(`not for ${host}`), remedy: expect.stringContaining('public_address') },
      ])
    },
  )

  test('of the right name, or that clients have the pin of', async () => {
    stage.cli.names.localhost = ['127.0.0.1']
    expect(await found('wss://localhost:1/relay')).toEqual([])
    await rm(stage.cli.path('one'), { recursive: true })
    await rm(stage.cli.path('directory.key'))
    expect(await found('wss://127.1.0.1:1/relay', '--pin')).toEqual([])
  })
})
