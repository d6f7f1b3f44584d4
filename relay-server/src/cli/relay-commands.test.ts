import { readdir, rm, stat } from 'node:fs/promises'
import { base64, fromBase64, hex } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { type Descriptor, verifyDescriptor } from '@nightjar/shared/directory'
import { day } from '@nightjar/shared/runtime'
import { hostList, listDate, listDigest } from '@nightjar/shared/shield'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadSigningKey } from '../keys.ts'
import type { CliContext } from './context.ts'
import { buildProgram } from './program.ts'
import { certificate, certificateKey, certificatePin } from './testing/certificate.ts'
import { createHarness, type Harness, relayConfig } from './testing/harness.ts'

let cli: Harness
beforeEach(async () => {
  cli = await createHarness()
})
afterEach(() => cli.remove())

const gatewayPart = {
  roles: ['relay', 'gateway'],
  gateway: {
    chains: {
      11155111: { upstreams: [{ url: 'http://127.0.0.1:1' }] },
      1: { upstreams: [{ url: 'http://127.0.0.1:2' }] },
    },
  },
}

async function descriptorIn(text: string): Promise<Descriptor> {
  const { payload, signature } = JSON.parse(text) as { payload: string; signature: string }
  return verifyDescriptor(crypto, { payload, signature: fromBase64(signature) })
}

describe('keygen', () => {
  test('makes the keys of a relay in a folder of its own', async () => {
    const { out } = await cli.run('keygen', '@keys')
    const identity = await loadSigningKey(crypto, cli.path('keys/identity.key'))
    expect(out).toContain(`identity   ${base64(identity.publicKey)}\n`)
    expect((await readdir(cli.path('keys'))).sort()).toEqual(['identity.key', 'onion.keys'])
    expect((await stat(cli.path('keys'))).mode & 0o777).toBe(0o700)
    await expect(cli.run('keygen', '@keys')).rejects.toMatchObject({ code: 'file-unusable' })
  })

  test('--directory makes a directory key and prints its public key alone', async () => {
    const { out } = await cli.run('keygen', '--directory', '@directory.key')
    const { publicKey } = await loadSigningKey(crypto, cli.path('directory.key'))
    expect(out).toBe(`${base64(publicKey)}\n`)
    expect((await stat(cli.path('directory.key'))).mode & 0o777).toBe(0o600)
  })

  test('--config takes the places from the configuration, --valid-days the validity', async () => {
    await cli.write('relay.yaml', stringify({ ...relayConfig('.'), server_name: 'a', onion_keys_file: 'my.onions' }))
    await cli.run('keygen', '--config', '@relay.yaml', '--valid-days', '30')
    const { keys } = (await cli.readJson('my.onions')) as { keys: { validAfter: number; validUntil: number }[] }
    expect(keys).toHaveLength(4)
    for (const key of keys) expect(key.validUntil - key.validAfter).toBe(30 * day)
  })

  test('--renew adds what is missing, once', async () => {
    await cli.run('keygen', '@keys')
    expect((await cli.run('keygen', '@keys', '--renew')).out).toContain(': 0 new keys; nothing to do')
    cli.now += 8 * day
    expect((await cli.run('keygen', '@keys', '--renew')).out).toContain(': 2 new keys; send the directories')
  })

  test.each(['0', '-1', '1.5', 'x', '3651', ''])('--valid-days %j is refused', async (days) => {
    const { exitCode, usage } = await cli.run('keygen', '@keys', '--valid-days', days)
    expect(exitCode).toBe(1)
    expect(usage).toContain('--valid-days')
    expect(await readdir(cli.folder)).toEqual([])
  })
})

describe('descriptor', () => {
  test('says what the configuration and the keys say, signed by the identity', async () => {
    await cli.relay('one', { ...gatewayPart, limits: { max_connections: 77 } })
    const descriptor = await descriptorIn(await cli.read('one.json'))
    const identity = await loadSigningKey(crypto, cli.path('one/identity.key'))
    expect(descriptor).toMatchObject({
      identity: identity.publicKey,
      name: 'one',
      region: 'eu-west',
      roles: ['relay', 'gateway'],
      addresses: [{ url: 'ws://127.1.0.1:9545/relay' }],
      chains: [1, 11155111],
      capacity: 77,
      software: 'nightjar-relay test',
      published: cli.now,
    })
    expect(descriptor.onionKeys).toHaveLength(2)
    expect(descriptor.envelopeKeys).toHaveLength(2)
    for (const { id, key } of descriptor.onionKeys) expect(hex(id)).toBe(hex(crypto.hash.sha256(key).slice(0, 8)))
  })

  test('goes to stdout without --out; a mere relay has no envelope keys', async () => {
    await cli.relay('one')
    const { out } = await cli.run('descriptor', '--config', '@one.yaml')
    expect((await descriptorIn(out)).envelopeKeys).toEqual([])
  })

  test('of an exit says which list it has, and what it leaves out', async () => {
    await cli.relay('one', { roles: ['relay', 'exit'], exit: { categories: ['rpc', 'price'], without: ['infura.io'] } })
    const { exitPolicy } = await descriptorIn((await cli.run('descriptor', '--config', '@one.yaml')).out)
    expect(exitPolicy).toEqual({
      list: listDigest(crypto.hash.sha256),
      categories: ['rpc', 'price'],
      without: ['infura.io'],
    })
    await cli.relay('two')
    expect((await descriptorIn((await cli.run('descriptor', '--config', '@two.yaml')).out)).exitPolicy).toBeUndefined()
  })

  test('leaves out keys that have expired, and refuses to be without a valid one', async () => {
    await cli.relay('one')
    cli.now += 8 * day
    const descriptor = await descriptorIn((await cli.run('descriptor', '--config', '@one.yaml')).out)
    expect(descriptor.onionKeys).toHaveLength(1)
    cli.now += 8 * day
    await expect(cli.run('descriptor', '--config', '@one.yaml')).rejects.toMatchObject({
      code: 'file-unusable',
      detail: expect.stringContaining('keygen --renew'),
    })
  })

  test('--pin pins the key of the certificate', async () => {
    await cli.write('cert.pem', certificate)
    await cli.write('key.pem', certificateKey, 0o600)
    await cli.relay('one', {
      listen: { host: '0.0.0.0', port: 0, tls: { cert_file: 'cert.pem', key_file: 'key.pem' } },
      public_address: 'wss://192.0.2.1/relay',
    })
    const { out } = await cli.run('descriptor', '--config', '@one.yaml', '--pin')
    expect(hex((await descriptorIn(out)).addresses[0]?.pin ?? new Uint8Array(0))).toBe(certificatePin)
    await cli.write('cert.pem', 'no certificate')
    await expect(cli.run('descriptor', '--config', '@one.yaml', '--pin')).rejects.toMatchObject({
      code: 'file-unusable',
    })
    await cli.relay('two')
    await expect(cli.run('descriptor', '--config', '@two.yaml', '--pin')).rejects.toMatchObject({
      code: 'config-invalid',
    })
  })
})

describe('check-config', () => {
  /** A network of the one relay, trusted by its configuration. */
  async function network(change: Record<string, unknown> = {}): Promise<void> {
    const key = (await cli.run('keygen', '--directory', '@directory.key')).out.trim()
    const part = { network: { document: 'network.json', trust: { keys: [key], threshold: 1 } }, ...change }
    await cli.relay('one', part)
    await cli.write('relays.yaml', '- { descriptor: one.json, operator: alice }\n')
    await cli.run('network', 'sign', '--relays', '@relays.yaml', '--key', '@directory.key', '--out', '@network.json')
  }

  async function findings() {
    const { out, exitCode } = await cli.run('check-config', '--config', '@one.yaml', '--json')
    const report = JSON.parse(out) as {
      ok: boolean
      findings: { status: string; subject: string; finding: string; remedy?: string; code?: string }[]
    }
    expect(report.ok).toBe(exitCode === 0)
    const problems = report.findings.filter(({ status }) => status === 'problem')
    expect(problems.length > 0).toBe(exitCode === 1)
    for (const { remedy } of problems) expect(remedy).toMatch(/\w/)
    return { all: report.findings, problems }
  }

  test('finds nothing wrong where nothing is', async () => {
    await cli.write('cert.pem', certificate)
    await cli.write('key.pem', certificateKey, 0o600)
    cli.names.localhost = ['127.0.0.1']
    await network({
      ...gatewayPart,
      listen: { host: '0.0.0.0', port: 0, tls: { cert_file: 'cert.pem', key_file: 'key.pem' } },
      public_address: 'wss://localhost/relay',
    })
    const { out, exitCode } = await cli.run('check-config', '--config', '@one.yaml')
    expect(exitCode).toBe(0)
    expect(out).toContain(`ok       ${cli.path('one.yaml')}: one, roles: relay, gateway\n`)
    expect(out).toContain('onion keys until 2026-01-29')
    expect(out).toContain('envelope keys until 2026-01-29')
    expect(out).toContain('certificate until 2126-')
    expect(out).toContain('lists this relay as one')
    expect(out).toMatch(/no problems\n$/)
  })

  test('says where the raw transactions of a chain go, without what may be a secret', async () => {
    const upstreams = [{ url: 'http://127.0.0.1:8545' }]
    const url = 'https://user:pw@rpc.example.org/hunter2?hint=hash'
    const chains = { 1: { upstreams }, 5: { upstreams, transactions: { url } } }
    await network({ ...gatewayPart, gateway: { chains } })
    const { all } = await findings()
    expect(all.filter(({ subject }) => subject === 'gateway')).toEqual([
      { subject: 'gateway', status: 'ok', finding: 'raw transactions of chain 5 go to rpc.example.org alone' },
    ])
  })

  test('says how much of the list an exit carries, and that it must be something', async () => {
    const rpc = hostList.filter(({ category }) => category === 'rpc').map(({ suffix }) => suffix)
    await network({ roles: ['relay', 'exit'], exit: { categories: ['rpc'], without: rpc.slice(0, 1) } })
    expect((await findings()).all).toContainEqual({
      subject: 'exit',
      status: 'ok',
      finding: `carries ${rpc.length - 1} of ${hostList.length} hosts of the list of ${listDate}`,
    })
    const phishing = hostList.filter(({ category }) => category === 'phishing-list').map(({ suffix }) => suffix)
    const config = { ...relayConfig('one'), roles: ['relay', 'exit'] }
    await cli.write('one.yaml', stringify({ ...config, exit: { categories: ['phishing-list'], without: phishing } }))
    expect((await findings()).problems).toContainEqual(
      expect.objectContaining({ subject: 'exit', code: 'config-invalid' }),
    )
  })

  test('names each problem of the configuration with line and remedy', async () => {
    await cli.write('one.yaml', 'server_name: one\nregoin: eu\nroles: [spy]\n')
    const { problems } = await findings()
    expect(problems[0]).toEqual({
      subject: `${cli.path('one.yaml')}:2`,
      status: 'problem',
      finding: 'unknown key "regoin"',
      remedy: 'did you mean "region"?',
      code: 'config-invalid',
    })
    expect(problems.map(({ finding }) => finding)).toContain('region is missing')
    expect(problems.map(({ finding }) => finding)).toContain('roles.0 must be relay or gateway or exit or directory')
    const { out } = await cli.run('check-config', '--config', '@one.yaml')
    expect(out).toContain('         → did you mean "region"?\n')
    expect(out).toMatch(/problems: \d+\n$/)
  })

  test('a configuration that is not there is a problem too', async () => {
    const { problems } = await findings()
    expect(problems).toMatchObject([{ code: 'file-unusable', finding: expect.stringContaining('does not exist') }])
  })

  test('keys that are missing or open to others', async () => {
    await network()
    await cli.write('one/identity.key', await cli.read('one/identity.key'))
    await rm(cli.path('one/identity.key'))
    expect((await findings()).problems).toMatchObject([
      { subject: 'keys', code: 'file-unusable', remedy: expect.stringContaining('nightjar-relay keygen --config') },
    ])
    await cli.write('one/identity.key', 'x', 0o644)
    expect((await findings()).problems).toMatchObject([{ finding: expect.stringContaining('chmod 600') }])
  })

  test('keys that run out, and an expired document', async () => {
    await network()
    cli.now += 8 * day
    const soon = await findings()
    expect(soon.all).toContainEqual(
      expect.objectContaining({ status: 'note', finding: expect.stringContaining('none for the time after') }),
    )
    expect(soon.problems).toMatchObject([{ code: 'document-expired' }])
    cli.now += 8 * day
    expect((await findings()).problems).toMatchObject([
      { finding: 'no onion key is valid now', remedy: expect.stringContaining('keygen --renew') },
      { code: 'document-expired' },
    ])
  })

  test('a document that does not fit: untrusted, without this relay, with other keys of it, missing', async () => {
    await network()
    const config = await cli.read('one.yaml')
    await cli.write('one.yaml', stringify(relayConfig('one')))
    expect((await findings()).problems).toMatchObject([{ code: 'document-under-signed', finding: '0 of 1 signatures' }])

    await cli.write('one.yaml', config)
    await rm(cli.path('one/onion.keys'))
    await cli.run('keygen', '@one', '--renew')
    expect((await findings()).problems).toMatchObject([
      { code: 'unknown-key', remedy: expect.stringContaining('descriptor') },
    ])

    await rm(cli.path('one'), { recursive: true })
    await cli.run('keygen', '@one')
    const { all, problems } = await findings()
    expect(problems).toEqual([])
    expect(all.at(-1)).toMatchObject({ status: 'note', finding: expect.stringContaining('is not in it') })

    await rm(cli.path('network.json'))
    expect((await findings()).problems).toMatchObject([{ code: 'file-unusable' }])
  })

  test('certificates that do not fit, and a private CA that is none', async () => {
    await cli.write('cert.pem', certificate)
    await cli.write('key.pem', certificateKey, 0o644)
    await cli.write('ca.pem', 'no certificate')
    const network = { ...(relayConfig('one').network as object), ca_file: 'ca.pem' }
    const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
    await cli.relay('one', { listen: { host: '0.0.0.0', port: 0, tls }, public_address: 'wss://192.0.2.1/', network })
    const { problems } = await findings()
    expect(problems.map(({ subject, finding }) => [subject.split('/').at(-1), finding])).toEqual([
      ['cert.pem', expect.stringContaining('chmod 600')],
      ['ca.pem', 'no PEM certificate'],
      ['network.json', expect.anything()],
    ])
    await rm(cli.path('key.pem'))
    await cli.write('key.pem', 'no key', 0o600)
    expect((await findings()).problems[0]).toMatchObject({ finding: 'no certificate and key that fit' })
    await rm(cli.path('key.pem'))
    await cli.write('key.pem', certificateKey, 0o600)
    cli.now = Date.UTC(2127, 0)
    expect((await findings()).problems).toContainEqual(expect.objectContaining({ remedy: 'Renew it.' }))
  })
})

test('every command explains itself, and each of its options', async () => {
  const program = buildProgram({ software: 'test' } as CliContext)
  const commands = [program, ...program.commands, ...program.commands.flatMap((command) => command.commands)]
  expect(commands.map((command) => command.name())).toEqual([
    'nightjar-relay',
    'keygen',
    'check-config',
    'doctor',
    'descriptor',
    'network',
    'sign',
    'merge',
    'verify',
  ])
  for (const command of commands) {
    expect(command.description()).toMatch(/\w{4}/)
    for (const option of command.options) expect(option.description, option.flags).toMatch(/\w{4}/)
  }
  const { usage } = await cli.run('network', 'sign', '--help')
  expect(usage).toContain('relays.yaml is a list')
  expect(usage).toContain('Unix time in seconds')
})

test('an unknown command or option is refused', async () => {
  expect(await cli.run('keygne')).toMatchObject({ exitCode: 1 })
  expect((await cli.run('network', 'verfy')).usage).toContain("unknown command 'verfy'")
  expect((await cli.run('check-config')).usage).toContain("required option '--config <file>'")
})
