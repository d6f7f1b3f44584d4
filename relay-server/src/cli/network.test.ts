import { base64, fromBase64, fromUtf8 } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { signDescriptor, verifyDocument } from '@nightjar/shared/directory'
import { day, hour, minute } from '@nightjar/shared/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadSigningKey } from '../keys.ts'
import { createDirectories, type Directories } from './testing/directories.ts'

let cli: Directories
beforeEach(async () => {
  cli = await createDirectories()
})
afterEach(() => cli.remove())

describe('sign', () => {
  test('makes a document of the listed relays', async () => {
    const { out } = await cli.sign('a', 'a.json')
    const seconds = Math.floor(cli.now / 1000)
    expect(out).toContain(`a.json: version ${seconds}, relays: 2, valid until 2026-01-16T11:55:00.000Z, signatures: 1`)
    const payload = await cli.payloadOf('a.json')
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
    const trust = { keys: [fromBase64(cli.keys[0] as string)], threshold: 1 }
    const network = await verifyDocument(crypto, await cli.read('a.json'), { trust, now: cli.now })
    expect(network).toMatchObject({ rejected: 0, relays: [{ name: 'one' }, { name: 'two' }] })
  })

  test('networks that are listed replace those that would be found', async () => {
    cli.names['two.example.org'] = []
    await cli.list({ descriptor: 'two.json', operator: 'bob', networks: ['203.0.0.0/16'] })
    await cli.sign('a', 'a.json')
    expect((await cli.payloadOf('a.json')).relays[0]?.networks).toEqual(['203.0.0.0/16'])
  })

  test('versions rise: with the time, and past the previous one while the clock is behind', async () => {
    await cli.sign('a', 'first.json')
    const first = await cli.payloadOf('first.json')
    cli.now += hour
    await cli.sign('a', 'second.json', '--previous', '@first.json')
    const second = await cli.payloadOf('second.json')
    expect(second.version).toBe(first.version + 3600)
    const { payload } = (await cli.readJson('first.json')) as { payload: string }
    expect(second.previousHash).toBe(base64(crypto.hash.sha256(fromBase64(payload))))
    cli.now -= 10 * minute
    await cli.sign('a', 'third.json', '--previous', '@second.json')
    expect((await cli.payloadOf('third.json')).version).toBe(second.version + 1)
  })

  test('a document is valid for at most a day, unless the network is local', async () => {
    await cli.sign('a', 'a.json', '--valid-hours', '6')
    expect((await cli.payloadOf('a.json')).validUntil).toBe(cli.now - 5 * minute + 6 * hour)
    await expect(cli.sign('a', 'b.json', '--valid-hours', '25')).rejects.toMatchObject({ code: 'config-invalid' })
    await cli.sign('a', 'c.json', '--valid-hours', '8760', '--local')
    expect((await cli.payloadOf('c.json')).validUntil).toBe(cli.now - 5 * minute + 365 * day)
    await expect(cli.cosign('b', 'c.json', 'd.json')).rejects.toMatchObject({ code: 'config-invalid' })
    await cli.cosign('b', 'c.json', 'd.json', '--local')
  })

  test('needs either relays or a payload', async () => {
    expect(await cli.run('network', 'sign', '--key', '@a.key', '--out', '@x')).toMatchObject({
      exitCode: 1,
      usage: expect.stringContaining('give either --relays or --payload'),
    })
    expect((await cli.sign('a', 'x', '--payload', '@y')).usage).toContain('cannot be used with')
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
    await cli.list(...relays)
    await expect(cli.sign('a', 'a.json')).rejects.toMatchObject(error)
    await expect(cli.read('a.json')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('refuses a name that does not resolve', async () => {
    delete cli.names['two.example.org']
    await expect(cli.sign('a', 'a.json')).rejects.toMatchObject({ code: 'connect-failed' })
  })

  test('refuses a descriptor that was tampered with', async () => {
    const descriptor = (await cli.readJson('one.json')) as { payload: string; signature: string }
    const payload = fromUtf8(fromBase64(descriptor.payload)).replace('eu-west', 'xx-west')
    await cli.write('one.json', JSON.stringify({ ...descriptor, payload: Buffer.from(payload).toString('base64') }))
    await expect(cli.sign('a', 'a.json')).rejects.toMatchObject({
      code: 'document-under-signed',
      detail: `${cli.path('one.json')}: signature of a descriptor`,
    })
    await cli.write('one.json', JSON.stringify({ ...descriptor, signature: '!' }))
    await expect(cli.sign('a', 'a.json')).rejects.toMatchObject({ code: 'document-malformed' })
    await cli.write('one.json', JSON.stringify({ ...descriptor, more: 1 }))
    await expect(cli.sign('a', 'a.json')).rejects.toMatchObject({ code: 'document-malformed' })
  })

  test('refuses a relay whose keys do not last as long as the document, or that is no use', async () => {
    cli.now += 13.5 * day
    await expect(cli.sign('a', 'a.json')).rejects.toMatchObject({
      code: 'document-malformed',
      detail: expect.stringMatching(/one\.json: none of its onionKeys is valid at 2026-01-29T.*keygen --renew/),
    })
    await cli.sign('a', 'a.json', '--valid-hours', '1')

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
      await expect(cli.sign('a', 'b.json', '--valid-hours', '1')).rejects.toMatchObject({ code: 'document-malformed' })
    }
  })
})

describe('sign --payload', () => {
  beforeEach(async () => {
    await cli.sign('a', 'a.json')
  })

  test('signs the same bytes, and keeps the signature that is there', async () => {
    const { out } = await cli.cosign('b', 'a.json', 'ab.json')
    expect(out).toContain('signatures: 2')
    expect(out).toContain('one  operator alice')
    const [first, both] = [await cli.readJson('a.json'), await cli.readJson('ab.json')]
    expect(both.payload).toBe(first.payload)
    expect((both.signatures as { key: string }[]).map(({ key }) => key)).toEqual([cli.keys[0], cli.keys[1]])
    expect(await cli.verify('ab.json')).toMatchObject({ exitCode: 0 })
  })

  test('a directory that signs twice still signs once', async () => {
    await cli.cosign('a', 'a.json', 'aa.json')
    expect((await cli.readJson('aa.json')).signatures).toHaveLength(1)
    expect(await cli.verify('aa.json')).toMatchObject({ exitCode: 1 })
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
    await cli.forge('a.json', 'bad.json', ['a'], change)
    await expect(cli.cosign('b', 'bad.json', 'out.json')).rejects.toMatchObject({ code })
  })

  test('refuses one that has expired', async () => {
    cli.now += 2 * day
    await expect(cli.cosign('b', 'a.json', 'out.json')).rejects.toMatchObject({
      code: 'document-expired',
      detail: cli.path('a.json'),
    })
  })

  test('refuses a wrong signature beside its own', async () => {
    const file = await cli.readJson('a.json')
    const [signature] = file.signatures as { key: string; signature: string }[]
    await cli.write('bad.json', JSON.stringify({ ...file, signatures: [{ ...signature, key: cli.keys[2] }] }))
    await expect(cli.cosign('b', 'bad.json', 'out.json')).rejects.toMatchObject({ code: 'document-under-signed' })
  })

  test('with --previous, refuses one that does not follow it', async () => {
    cli.now += hour
    await cli.sign('a', 'next.json', '--previous', '@a.json')
    await cli.cosign('b', 'next.json', 'out.json', '--previous', '@a.json')
    await expect(cli.cosign('b', 'a.json', 'out.json', '--previous', '@next.json')).rejects.toMatchObject({
      code: 'document-rolled-back',
    })
    const { payload } = (await cli.readJson('a.json')) as { payload: string }
    await cli.forge('next.json', 'same.json', ['a'], {
      version: 1,
      previousHash: base64(crypto.hash.sha256(fromBase64(payload))),
    })
    await expect(cli.cosign('b', 'same.json', 'out.json', '--previous', '@a.json')).rejects.toMatchObject({
      code: 'document-rolled-back',
    })
  })
})

describe('merge', () => {
  beforeEach(async () => {
    await cli.sign('a', 'a.json')
    await cli.cosign('b', 'a.json', 'b.json')
  })

  test('joins the signatures of all, one for each key', async () => {
    await cli.cosign('c', 'a.json', 'c.json')
    expect((await cli.merge('network.json', 'a.json', 'b.json', 'c.json', 'a.json')).out).toContain('signatures: 3')
    const { signatures } = (await cli.readJson('network.json')) as { signatures: { key: string }[] }
    expect(signatures.map(({ key }) => key)).toEqual(cli.keys)
    expect(await cli.verify('network.json')).toMatchObject({ exitCode: 0 })
  })

  test('refuses another payload, and wrong signatures', async () => {
    cli.now += hour
    await cli.sign('c', 'other.json')
    await expect(cli.merge('network.json', 'a.json', 'other.json')).rejects.toMatchObject({
      code: 'document-malformed',
      detail: `${cli.path('other.json')} has another payload than ${cli.path('a.json')}`,
    })
    const file = await cli.readJson('a.json')
    const wrong = { key: cli.keys[2], signature: base64(new Uint8Array(64)) }
    await cli.write('wrong.json', JSON.stringify({ ...file, signatures: [wrong] }))
    await expect(cli.merge('network.json', 'a.json', 'wrong.json')).rejects.toMatchObject({
      code: 'document-under-signed',
    })
    await cli.write('text.json', 'x')
    await expect(cli.merge('network.json', 'text.json')).rejects.toMatchObject({ code: 'document-malformed' })
  })
})
