import { base64, fromBase64, fromUtf8 } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import {
  encodePayload,
  type PayloadInput,
  signDescriptor,
  signPayload,
  verifyDocument,
} from '@nightjar/shared/directory'
import { day, hour, minute } from '@nightjar/shared/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadSigningKey } from '../keys.ts'
import { createHarness, type Harness } from './testing/harness.ts'

let cli: Harness
/** Public keys of the directories a, b and c. */
let keys: string[]

beforeEach(async () => {
  cli = await createHarness()
  keys = []
  for (const name of ['a', 'b', 'c']) keys.push((await cli.run('keygen', '--directory', `@${name}.key`)).out.trim())
  await cli.relay('one')
  await cli.relay('two', {
    public_address: 'wss://two.example.org/relay',
    region: 'us-east',
    roles: ['relay', 'gateway'],
    gateway: { chains: { 1: { upstreams: [{ url: 'http://127.0.0.1:1' }] } } },
  })
  cli.names['two.example.org'] = ['198.51.100.1', '2001:db8::1']
  await list({ descriptor: 'one.json', operator: 'alice' }, { descriptor: 'two.json', operator: 'bob' })
})
afterEach(() => cli.remove())

const list = (...relays: readonly Record<string, unknown>[]) => cli.write('relays.yaml', stringify(relays))
const sign = (key: string, out: string, ...more: string[]) =>
  cli.run('network', 'sign', '--relays', '@relays.yaml', '--key', `@${key}.key`, '--out', `@${out}`, ...more)
const cosign = (key: string, file: string, out: string, ...more: string[]) =>
  cli.run('network', 'sign', '--payload', `@${file}`, '--key', `@${key}.key`, '--out', `@${out}`, ...more)
const merge = (out: string, ...files: string[]) =>
  cli.run('network', 'merge', ...files.map((file) => `@${file}`), '--out', `@${out}`)
const verify = (file: string, ...more: string[]) =>
  cli.run('network', 'verify', `@${file}`, '--trust', ...keys, '--threshold', '2', ...more)

async function payloadOf(file: string): Promise<PayloadInput> {
  const { payload } = (await cli.readJson(file)) as { payload: string }
  return JSON.parse(fromUtf8(fromBase64(payload))) as PayloadInput
}

/** Writes a document whose payload is that of `file`, changed, with right signatures of these directories. */
async function forge(
  file: string,
  out: string,
  signers: readonly string[],
  change: Record<string, unknown>,
): Promise<void> {
  const bytes = encodePayload({ ...(await payloadOf(file)), ...change })
  const signatures = await Promise.all(
    signers.map(async (name) => signPayload(await loadSigningKey(crypto, cli.path(`${name}.key`)), bytes)),
  )
  await cli.write(out, JSON.stringify({ payload: base64(bytes), signatures }))
}

describe('sign', () => {
  test('makes a document of the listed relays', async () => {
    const { out } = await sign('a', 'a.json')
    const seconds = Math.floor(cli.now / 1000)
    expect(out).toContain(`a.json: version ${seconds}, relays: 2, valid until 2026-01-16T11:55:00.000Z, signatures: 1`)
    const payload = await payloadOf('a.json')
    expect(payload).toMatchObject({
      version: seconds,
      validAfter: cli.now - 5 * minute,
      validUntil: cli.now - 5 * minute + day,
      previousHash: base64(new Uint8Array(32)),
      minimumProtocol: 1,
      relays: [
        { operator: 'alice', networks: ['127.1.0.0/16'], descriptor: await cli.readJson('one.json') },
        { operator: 'bob', networks: ['198.51.0.0/16', '2001:db8::/32'] },
      ],
    })
    const trust = { keys: [fromBase64(keys[0] as string)], threshold: 1 }
    const network = await verifyDocument(crypto, await cli.read('a.json'), { trust, now: cli.now })
    expect(network).toMatchObject({ rejected: 0, relays: [{ name: 'one' }, { name: 'two' }] })
  })

  test('networks that are listed replace those that would be found', async () => {
    cli.names['two.example.org'] = []
    await list({ descriptor: 'two.json', operator: 'bob', networks: ['203.0.0.0/16'] })
    await sign('a', 'a.json')
    expect((await payloadOf('a.json')).relays[0]?.networks).toEqual(['203.0.0.0/16'])
  })

  test('versions rise: with the time, and past the previous one while the clock is behind', async () => {
    await sign('a', 'first.json')
    const first = await payloadOf('first.json')
    cli.now += hour
    await sign('a', 'second.json', '--previous', '@first.json')
    const second = await payloadOf('second.json')
    expect(second.version).toBe(first.version + 3600)
    const { payload } = (await cli.readJson('first.json')) as { payload: string }
    expect(second.previousHash).toBe(base64(crypto.hash.sha256(fromBase64(payload))))
    cli.now -= 10 * minute
    await sign('a', 'third.json', '--previous', '@second.json')
    expect((await payloadOf('third.json')).version).toBe(second.version + 1)
  })

  test('a document is valid for at most a day, unless the network is local', async () => {
    await sign('a', 'a.json', '--valid-hours', '6')
    expect((await payloadOf('a.json')).validUntil).toBe(cli.now - 5 * minute + 6 * hour)
    await expect(sign('a', 'b.json', '--valid-hours', '25')).rejects.toMatchObject({ code: 'config-invalid' })
    await sign('a', 'c.json', '--valid-hours', '8760', '--local')
    expect((await payloadOf('c.json')).validUntil).toBe(cli.now - 5 * minute + 365 * day)
    await expect(cosign('b', 'c.json', 'd.json')).rejects.toMatchObject({ code: 'config-invalid' })
    await cosign('b', 'c.json', 'd.json', '--local')
  })

  test('needs either relays or a payload', async () => {
    expect(await cli.run('network', 'sign', '--key', '@a.key', '--out', '@x')).toMatchObject({
      exitCode: 1,
      usage: expect.stringContaining('give either --relays or --payload'),
    })
    expect((await sign('a', 'x', '--payload', '@y')).usage).toContain('cannot be used with')
  })

  test.each<[string, Record<string, unknown>[], Record<string, unknown>]>([
    [
      'an unknown key',
      [{ descriptor: 'one.json', oprator: 'a' }],
      { code: 'config-invalid', detail: expect.stringContaining('did you mean "0.operator"?') },
    ],
    [
      'no operator',
      [{ descriptor: 'one.json' }],
      { code: 'config-invalid', detail: expect.stringContaining('0.operator is missing') },
    ],
    ['an operator that is no name', [{ descriptor: 'one.json', operator: 'a b' }], { code: 'config-invalid' }],
    ['nothing', [], { code: 'config-invalid' }],
    [
      'a relay twice',
      [
        { descriptor: 'one.json', operator: 'a' },
        { descriptor: 'one.json', operator: 'b' },
      ],
      { code: 'document-malformed', detail: expect.stringContaining('its identity is listed twice') },
    ],
    ['a file that is not there', [{ descriptor: 'none.json', operator: 'a' }], { code: 'file-unusable' }],
    [
      'a file of another kind',
      [{ descriptor: 'relays.yaml', operator: 'a' }],
      { code: 'document-malformed', detail: expect.stringContaining('relays.yaml is not JSON') },
    ],
    [
      'a key instead of a descriptor',
      [{ descriptor: 'one/onion.keys', operator: 'a' }],
      { code: 'document-malformed' },
    ],
  ])('refuses a list with %s', async (_, relays, error) => {
    await list(...relays)
    await expect(sign('a', 'a.json')).rejects.toMatchObject(error)
    await expect(cli.read('a.json')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('refuses a name that does not resolve', async () => {
    delete cli.names['two.example.org']
    await expect(sign('a', 'a.json')).rejects.toMatchObject({ code: 'connect-failed' })
  })

  test('refuses a descriptor that was tampered with', async () => {
    const descriptor = (await cli.readJson('one.json')) as { payload: string; signature: string }
    const payload = fromUtf8(fromBase64(descriptor.payload)).replace('eu-west', 'xx-west')
    await cli.write('one.json', JSON.stringify({ ...descriptor, payload: Buffer.from(payload).toString('base64') }))
    await expect(sign('a', 'a.json')).rejects.toMatchObject({
      code: 'document-under-signed',
      detail: `${cli.path('one.json')}: signature of a descriptor`,
    })
    await cli.write('one.json', JSON.stringify({ ...descriptor, signature: '!' }))
    await expect(sign('a', 'a.json')).rejects.toMatchObject({ code: 'document-malformed' })
    await cli.write('one.json', JSON.stringify({ ...descriptor, more: 1 }))
    await expect(sign('a', 'a.json')).rejects.toMatchObject({ code: 'document-malformed' })
  })

  test('refuses a relay whose keys do not last as long as the document, or that is no use', async () => {
    cli.now += 13.5 * day
    await expect(sign('a', 'a.json')).rejects.toMatchObject({
      code: 'document-malformed',
      detail: expect.stringMatching(/one\.json: none of its onionKeys is valid at 2026-01-29T.*keygen --renew/),
    })
    await sign('a', 'a.json', '--valid-hours', '1')

    const identity = await loadSigningKey(crypto, cli.path('one/identity.key'))
    const { payload } = (await cli.readJson('one.json')) as { payload: string }
    const honest = JSON.parse(fromUtf8(fromBase64(payload)))
    for (const change of [
      { roles: ['gateway'], chains: [1] },
      { roles: ['gateway'], envelopeKeys: honest.onionKeys },
      { addresses: [{ url: 'ws://192.0.2.1/relay' }] },
      { addresses: [{ url: 'https://192.0.2.1/relay' }] },
    ]) {
      await cli.write('one.json', JSON.stringify(await signDescriptor(identity, { ...honest, ...change })))
      await expect(sign('a', 'b.json', '--valid-hours', '1')).rejects.toMatchObject({ code: 'document-malformed' })
    }
  })
})

describe('sign --payload', () => {
  beforeEach(async () => {
    await sign('a', 'a.json')
  })

  test('signs the same bytes, and keeps the signature that is there', async () => {
    const { out } = await cosign('b', 'a.json', 'ab.json')
    expect(out).toContain('signatures: 2')
    expect(out).toContain('one  operator alice')
    const [first, both] = [await cli.readJson('a.json'), await cli.readJson('ab.json')]
    expect(both.payload).toBe(first.payload)
    expect((both.signatures as { key: string }[]).map(({ key }) => key)).toEqual([keys[0], keys[1]])
    expect(await verify('ab.json')).toMatchObject({ exitCode: 0 })
  })

  test('a directory that signs twice still signs once', async () => {
    await cosign('a', 'a.json', 'aa.json')
    expect((await cli.readJson('aa.json')).signatures).toHaveLength(1)
    expect(await verify('aa.json')).toMatchObject({ exitCode: 1 })
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['an unknown field', { novelty: 1 }, 'document-malformed'],
    ['an expired validity', { validUntil: 1 }, 'document-malformed'],
    ['too long a validity', { validUntil: Date.UTC(2027, 0) }, 'config-invalid'],
    ['a newer protocol', { minimumProtocol: 2 }, 'document-needs-update'],
    [
      'a relay that clients reject',
      {
        relays: [
          { descriptor: { payload: 'AA==', signature: base64(new Uint8Array(64)) }, operator: 'x', networks: ['x'] },
        ],
      },
      'document-malformed',
    ],
  ])('refuses a payload with %s', async (_, change, code) => {
    await forge('a.json', 'bad.json', ['a'], change)
    await expect(cosign('b', 'bad.json', 'out.json')).rejects.toMatchObject({ code })
  })

  test('refuses one that has expired', async () => {
    cli.now += 2 * day
    await expect(cosign('b', 'a.json', 'out.json')).rejects.toMatchObject({
      code: 'document-expired',
      detail: cli.path('a.json'),
    })
  })

  test('refuses a wrong signature beside its own', async () => {
    const file = await cli.readJson('a.json')
    const [signature] = file.signatures as { key: string; signature: string }[]
    await cli.write('bad.json', JSON.stringify({ ...file, signatures: [{ ...signature, key: keys[2] }] }))
    await expect(cosign('b', 'bad.json', 'out.json')).rejects.toMatchObject({ code: 'document-under-signed' })
  })

  test('with --previous, refuses one that does not follow it', async () => {
    cli.now += hour
    await sign('a', 'next.json', '--previous', '@a.json')
    await cosign('b', 'next.json', 'out.json', '--previous', '@a.json')
    await expect(cosign('b', 'a.json', 'out.json', '--previous', '@next.json')).rejects.toMatchObject({
      code: 'document-rolled-back',
    })
    const { payload } = (await cli.readJson('a.json')) as { payload: string }
    await forge('next.json', 'same.json', ['a'], {
      version: 1,
      previousHash: base64(crypto.hash.sha256(fromBase64(payload))),
    })
    await expect(cosign('b', 'same.json', 'out.json', '--previous', '@a.json')).rejects.toMatchObject({
      code: 'document-rolled-back',
    })
  })
})

describe('merge', () => {
  beforeEach(async () => {
    await sign('a', 'a.json')
    await cosign('b', 'a.json', 'b.json')
  })

  test('joins the signatures of all, one for each key', async () => {
    await cosign('c', 'a.json', 'c.json')
    expect((await merge('network.json', 'a.json', 'b.json', 'c.json', 'a.json')).out).toContain('signatures: 3')
    const { signatures } = (await cli.readJson('network.json')) as { signatures: { key: string }[] }
    expect(signatures.map(({ key }) => key)).toEqual(keys)
    expect(await verify('network.json')).toMatchObject({ exitCode: 0 })
  })

  test('refuses another payload, and wrong signatures', async () => {
    cli.now += hour
    await sign('c', 'other.json')
    await expect(merge('network.json', 'a.json', 'other.json')).rejects.toMatchObject({
      code: 'document-malformed',
      detail: `${cli.path('other.json')} has another payload than ${cli.path('a.json')}`,
    })
    const file = await cli.readJson('a.json')
    const wrong = { key: keys[2], signature: base64(new Uint8Array(64)) }
    await cli.write('wrong.json', JSON.stringify({ ...file, signatures: [wrong] }))
    await expect(merge('network.json', 'a.json', 'wrong.json')).rejects.toMatchObject({ code: 'document-under-signed' })
    await cli.write('text.json', 'x')
    await expect(merge('network.json', 'text.json')).rejects.toMatchObject({ code: 'document-malformed' })
  })
})

describe('verify', () => {
  beforeEach(async () => {
    await sign('a', 'a.json')
    await cosign('b', 'a.json', 'network.json')
  })

  async function report(file: string, ...more: string[]) {
    const { out, exitCode } = await verify(file, '--json', ...more)
    return { exitCode, ...(JSON.parse(out) as Record<string, unknown>) }
  }

  test('prints version, validity and relays by role, operator and region', async () => {
    const { out, exitCode } = await verify('network.json')
    expect(exitCode).toBe(0)
    for (const line of [
      'accepted',
      `version     ${Math.floor(cli.now / 1000)}`,
      'valid       2026-01-15T11:55:00.000Z to 2026-01-16T11:55:00.000Z',
      `            ${keys[0]}  right, trusted`,
      '  role      relay: 2',
      '  role      gateway: 1',
      '  role      exit: 0',
      '  operator  alice: 1',
      '  region    us-east: 1',
      '  relay     one  alice  eu-west  relay  127.1.0.0/16',
    ]) {
      expect(out.split('\n')).toContain(line)
    }
  })

  test('--json says the same', async () => {
    expect(await report('network.json')).toMatchObject({
      exitCode: 0,
      ok: true,
      version: Math.floor(cli.now / 1000),
      validUntil: cli.now - 5 * minute + day,
      signatures: [
        { key: keys[0], pinned: true, right: true },
        { key: keys[1], pinned: true, right: true },
      ],
      relays: [
        { name: 'one', operator: 'alice', region: 'eu-west', roles: ['relay'], networks: ['127.1.0.0/16'] },
        { name: 'two', operator: 'bob' },
      ],
      rejected: [],
    })
  })

  test('under-signed: which signatures are wrong or not trusted', async () => {
    expect(await report('a.json')).toMatchObject({ exitCode: 1, ok: false, refusal: { code: 'document-under-signed' } })
    const file = await cli.readJson('network.json')
    const [right, other] = file.signatures as { key: string; signature: string }[]
    await cli.write(
      'twice.json',
      JSON.stringify({ ...file, signatures: [right, right, { ...other, signature: right?.signature }] }),
    )
    expect(await report('twice.json')).toMatchObject({
      exitCode: 1,
      refusal: { code: 'document-under-signed', message: expect.stringContaining('1 of 2 signatures') },
      signatures: [{ right: true }, { right: true }, { key: keys[1], right: false }],
      relays: [],
    })
    const strangers = await cli.run(
      'network',
      'verify',
      '@network.json',
      '--trust',
      keys[2] as string,
      '--threshold',
      '1',
    )
    expect(strangers.exitCode).toBe(1)
    expect(strangers.out).toContain('[document-under-signed]')
    expect(strangers.out).toContain('right, not trusted')
  })

  test('a key given twice does not count twice', async () => {
    const [key] = keys as [string]
    expect(await cli.run('network', 'verify', '@a.json', '--trust', key, key, '--threshold', '2')).toMatchObject({
      exitCode: 1,
    })
    expect(await cli.run('network', 'verify', '@a.json', '--trust', key, '--threshold', '1')).toMatchObject({
      exitCode: 0,
    })
  })

  test.each<[string, number, string]>([
    ['expired', 2 * day, 'document-expired'],
    ['not yet valid', -hour, 'document-not-yet-valid'],
  ])('%s', async (_, shift, code) => {
    cli.now += shift
    expect(await report('network.json')).toMatchObject({ exitCode: 1, refusal: { code } })
  })

  test('rolled back behind the previous one', async () => {
    cli.now += hour
    await sign('a', 'next.json', '--previous', '@network.json')
    expect(await report('network.json', '--previous', '@next.json')).toMatchObject({
      exitCode: 1,
      refusal: { code: 'document-rolled-back' },
    })
    expect(await report('network.json', '--previous', '@a.json')).toMatchObject({ exitCode: 0 })
  })

  test('tampered', async () => {
    const file = (await cli.readJson('network.json')) as { payload: string }
    const payload = fromUtf8(fromBase64(file.payload)).replace('"alice"', '"mallo"')
    await cli.write('bad.json', JSON.stringify({ ...file, payload: Buffer.from(payload).toString('base64') }))
    expect(await report('bad.json')).toMatchObject({ exitCode: 1, refusal: { code: 'document-under-signed' } })
  })

  test('unknown fields, and times that are none', async () => {
    await forge('a.json', 'bad.json', ['a', 'b'], { novelty: 1 })
    expect(await report('bad.json')).toMatchObject({ exitCode: 1, refusal: { code: 'document-malformed' } })
    await forge('a.json', 'bad.json', ['a', 'b'], { validUntil: Number.MAX_SAFE_INTEGER, validAfter: -1 })
    const { out, exitCode } = await verify('bad.json')
    expect(exitCode).toBe(1)
    expect(out).toContain('to no time at all')
    await cli.write('bad.json', JSON.stringify({ ...(await cli.readJson('network.json')), novelty: 1 }))
    await expect(verify('bad.json')).rejects.toMatchObject({ code: 'document-malformed' })
  })

  test('relays that clients leave out, each with its reason', async () => {
    const [good, other] = (await payloadOf('a.json')).relays as [
      PayloadInput['relays'][number],
      PayloadInput['relays'][number],
    ]
    const forged = { ...good, descriptor: { ...good.descriptor, signature: other.descriptor.signature } }
    await forge('a.json', 'bad.json', ['a', 'b'], { relays: [forged, good, good] })
    expect(await report('bad.json')).toMatchObject({
      exitCode: 0,
      relays: [{ name: 'one' }],
      rejected: [
        { index: 0, code: 'document-under-signed' },
        { index: 2, code: 'document-malformed', message: 'Its identity is listed twice.' },
      ],
    })
    expect((await verify('bad.json')).out).toContain('REJECTED  relay at index 0: ')
  })

  test('wrong arguments are refused', async () => {
    const run = (...more: string[]) => cli.run('network', 'verify', '@network.json', ...more)
    expect((await run('--threshold', '1')).usage).toContain("'--trust <keys...>'")
    expect((await run('--trust', 'AAAA', '--threshold', '1')).usage).toContain('base64 of 32 bytes')
    expect((await run('--trust', ...keys, '--threshold', '0')).usage).toContain('whole number')
  })
})
