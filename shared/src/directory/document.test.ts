import { describe, expect, test } from 'vitest'
import { base64, fromBase64, fromUtf8, hex, utf8 } from '../bytes/index.ts'
import { nobleCrypto as crypto } from '../crypto/noble.ts'
import { limits } from '../limits.ts'
import { hour } from '../runtime.ts'
import { encodePayload, parseSignedDocument, signDescriptor } from './index.ts'
import {
  descriptor,
  directories,
  document,
  entry,
  identities,
  now,
  payload,
  signed,
  text,
  trust,
  verify,
} from './testing/document.ts'

const refused = (code: string, detail?: string) =>
  detail === undefined ? { name: 'NightjarError', code } : { name: 'NightjarError', code, detail }

describe('signatures', () => {
  test.each([[[0, 1]], [[1, 2]], [[2, 0]], [[0, 1, 2]], [[3, 0, 1]]])(
    '%j of the three pinned keys are enough',
    async (signers) => {
      const network = await verify(await document(signers))
      expect(network).toMatchObject({ version: 7, validUntil: now + hour, rejected: 0 })
      expect(network.relays.map(({ name, operator, networks }) => ({ name, operator, networks }))).toEqual([
        { name: 'relay-0', operator: 'alice', networks: ['192.0.0.0/16'] },
        { name: 'relay-1', operator: 'alice', networks: ['192.0.0.0/16'] },
      ])
      expect(network.byIdentity.get(hex(identities[1].publicKey))?.name).toBe('relay-1')
      expect(hex(network.hash)).toBe(hex(crypto.hash.sha256(encodePayload(payload))))
    },
  )

  test.each([
    ['none', [], '0 of 2 signatures'],
    ['one', [1], '1 of 2 signatures'],
    ['one key twice', [1, 1], '1 of 2 signatures'],
    ['one pinned and one strange key', [1, 3], '1 of 2 signatures'],
  ])('%s are not enough', async (_, signers, detail) => {
    await expect(verify(await document(signers))).rejects.toMatchObject(refused('document-under-signed', detail))
  })

  test('a key that is pinned twice still counts once', async () => {
    const [first] = trust.keys as [Uint8Array]
    const file = await document([0, 0])
    await expect(verify(file, { trust: { keys: [first, first], threshold: 2 } })).rejects.toMatchObject(
      refused('document-under-signed'),
    )
  })

  test('a threshold of zero trusts nobody', async () => {
    await expect(verify(await document([0, 1]), { trust: { ...trust, threshold: 0 } })).rejects.toMatchObject(
      refused('document-under-signed'),
    )
  })

  test('a signature under another key does not count', async () => {
    const file = JSON.parse(await document([0, 1]))
    file.signatures[1].signature = file.signatures[0].signature
    await expect(verify(JSON.stringify(file))).rejects.toMatchObject(
      refused('document-under-signed', '1 of 2 signatures'),
    )
  })

  test('a signature of the bare payload, without its label, does not count', async () => {
    const bytes = encodePayload(payload)
    const signatures = await Promise.all(
      directories.map(async (key) => ({ key: base64(key.publicKey), signature: base64(await key.sign(bytes)) })),
    )
    await expect(verify(JSON.stringify({ payload: base64(bytes), signatures }))).rejects.toMatchObject(
      refused('document-under-signed'),
    )
  })

  test('a payload changed after signing is refused', async () => {
    const file = JSON.parse(await document([0, 1]))
    file.payload = base64(utf8(fromUtf8(fromBase64(file.payload)).replace('"operator":"alice"', '"operator":"mallo"')))
    await expect(verify(JSON.stringify(file))).rejects.toMatchObject(
      refused('document-under-signed', '0 of 2 signatures'),
    )
  })
})

describe('time and order', () => {
  test('valid from validAfter to just before validUntil', async () => {
    const file = await document([0, 1])
    await expect(verify(file, { now: now - hour - 1 })).rejects.toMatchObject(refused('document-not-yet-valid'))
    await expect(verify(file, { now: now - hour })).resolves.toMatchObject({ version: 7 })
    await expect(verify(file, { now: now + hour - 1 })).resolves.toMatchObject({ version: 7 })
    await expect(verify(file, { now: now + hour })).rejects.toMatchObject(refused('document-expired'))
  })

  test('a validity that ends before it begins is refused', async () => {
    await expect(verify(await document([0, 1], { validUntil: now - hour }))).rejects.toMatchObject(
      refused('document-malformed', 'validity ends before it begins'),
    )
  })

  test('an older version, or another of the same, is a roll-back', async () => {
    const file = await document([0, 1])
    const { hash } = await verify(file)
    await expect(verify(file, { seen: { version: 6, hash: new Uint8Array(32) } })).resolves.toMatchObject({
      version: 7,
    })
    await expect(verify(file, { seen: { version: 7, hash } })).resolves.toMatchObject({ version: 7 })
    await expect(verify(file, { seen: { version: 7, hash: new Uint8Array(32) } })).rejects.toMatchObject(
      refused('document-rolled-back', 'two documents of one version'),
    )
    await expect(verify(file, { seen: { version: 8, hash } })).rejects.toMatchObject(
      refused('document-rolled-back', 'version 7 after 8'),
    )
  })

  test('a newer protocol asks for an update, whatever else is new in the document', async () => {
    const file = await document([0, 1], { minimumProtocol: 2, novelty: true })
    await expect(verify(file)).rejects.toMatchObject(refused('document-needs-update'))
  })
})

describe('form', () => {
  test.each([
    ['an unknown field', { novelty: 1 }, 'payload: novelty is wrong'],
    ['a version of zero', { version: 0 }, 'payload: version is wrong'],
    ['a version beyond 32 bits', { version: 2 ** 32 }, 'payload: version is wrong'],
    ['a fraction', { validAfter: 1.5 }, 'payload: validAfter is wrong'],
    ['a short hash', { previousHash: text(31, 0) }, 'payload: previousHash is wrong'],
    ['relays that are no list', { relays: {} }, 'payload: relays is wrong'],
    ['an empty entry', { relays: [[]] }, 'payload: relays.0.descriptor is wrong'],
    ['no protocol', { minimumProtocol: undefined }, 'payload: minimumProtocol is wrong'],
  ])('a signed payload with %s is refused', async (_, change, detail) => {
    await expect(verify(await document([0, 1], change))).rejects.toMatchObject(refused('document-malformed', detail))
  })

  test.each([
    ['no JSON', 'nightjar'],
    ['no object', '7'],
    ['null', 'null'],
    ['an unknown field', '{"payload":"","signatures":[],"novelty":1}'],
    ['no signatures', '{"payload":""}'],
    [
      'an unknown field in a signature',
      `{"payload":"","signatures":[{"key":"${text(32, 0)}","signature":"${text(64, 0)}","x":1}]}`,
    ],
    ['a short key', `{"payload":"","signatures":[{"key":"${text(31, 0)}","signature":"${text(64, 0)}"}]}`],
    ['deep nesting', '['.repeat(100_000)],
  ])('a file with %s is refused', (_, file) => {
    expect(() => parseSignedDocument(file)).toThrowError(expect.objectContaining(refused('document-malformed')))
  })

  test('more than the limits is refused', () => {
    const signature = { key: text(32, 0), signature: text(64, 0) }
    const many = JSON.stringify({ payload: '', signatures: new Array(limits.documentSignatures + 1).fill(signature) })
    expect(() => parseSignedDocument(many)).toThrowError(
      expect.objectContaining(refused('document-malformed', 'network document: signatures is wrong')),
    )
    expect(() => parseSignedDocument(' '.repeat(limits.documentBytes + 1))).toThrowError(
      expect.objectContaining(refused('document-malformed', 'larger than the limit')),
    )
  })

  test('what an unsigned file can put into an error is short', () => {
    const file = JSON.stringify({ payload: '', signatures: [], ['k'.repeat(100_000)]: 1 })
    expect(() => parseSignedDocument(file)).toThrowError(
      expect.objectContaining({ detail: expect.stringMatching(/^.{1,150}$/) }),
    )
  })

  test('a payload that is no base64, UTF-8 or JSON is refused', async () => {
    const { signatures } = JSON.parse(await document([0, 1]))
    await expect(verify(JSON.stringify({ payload: '!', signatures }))).rejects.toMatchObject(
      refused('document-malformed', 'payload is not base64'),
    )
    await expect(verify(await signed(Uint8Array.of(0xff), [0, 1]))).rejects.toMatchObject(
      refused('document-malformed', 'payload is not UTF-8'),
    )
    await expect(verify(await signed(utf8('{'), [0, 1]))).rejects.toMatchObject(
      refused('document-malformed', 'payload is not JSON'),
    )
  })
})

describe('relays', () => {
  const policy = { list: text(32, 1), categories: ['rpc'], without: [] }

  /** The document with one good relay and this one. */
  async function withRelay(relay: unknown) {
    return verify(await document([0, 1], { relays: [payload.relays[0], relay] }))
  }

  test.each([
    ['an unknown field', { novelty: 1 }],
    ['another version', { version: 2 }],
    ['an unknown role', { roles: ['spy'] }],
    ['no onion key', { onionKeys: [] }],
    [
      'five onion keys',
      { onionKeys: new Array(5).fill({ id: text(8, 1), key: text(32, 1), validAfter: 0, validUntil: 1 }) },
    ],
    ['no address', { addresses: [] }],
    ['an address that is no URL', { addresses: [{ url: 'here' }] }],
    ['a name with spaces', { name: 'a b' }],
    ['a capacity of zero', { capacity: 0 }],
    ['the role exit without a policy', { roles: ['relay', 'exit'] }],
    ['a policy with a short digest', { roles: ['exit'], exitPolicy: { ...policy, list: text(31, 1) } }],
    ['a policy with an unknown field', { roles: ['exit'], exitPolicy: { ...policy, also: ['example.org'] } }],
    ['a policy without categories', { roles: ['exit'], exitPolicy: { list: policy.list, without: [] } }],
    ['a policy that leaves out a wildcard', { roles: ['exit'], exitPolicy: { ...policy, without: ['*.infura.io'] } }],
    [
      'a policy that leaves out too much',
      { roles: ['exit'], exitPolicy: { ...policy, without: new Array(129).fill('a.io') } },
    ],
  ])('one whose descriptor has %s is left out and counted', async (_, change) => {
    const network = await withRelay(await entry(identities[1], change))
    expect(network).toMatchObject({ rejected: 1, relays: [{ name: 'relay-0' }] })
  })

  test('an exit says what it carries, in categories of its own time', async () => {
    const exitPolicy = { ...policy, categories: ['rpc', 'invented-later'], without: ['mainnet.infura.io'] }
    const network = await withRelay(await entry(identities[1], { roles: ['relay', 'exit'], exitPolicy }))
    expect(network.relays[1]?.exitPolicy).toEqual({ ...exitPolicy, list: new Uint8Array(32).fill(1) })
  })

  test('one that another key signed is left out', async () => {
    const [honest, other] = identities
    const forged = await signDescriptor(other, descriptor(honest))
    const network = await withRelay({ descriptor: forged, operator: 'bob', networks: ['198.51.0.0/16'] })
    expect(network).toMatchObject({ rejected: 1, relays: [{ name: 'relay-0' }] })
  })

  test('a second one of the same identity is left out', async () => {
    const network = await withRelay(await entry(identities[0], { name: 'twin' }))
    expect(network).toMatchObject({ rejected: 1, relays: [{ name: 'relay-0' }] })
  })

  test('an operator that a relay says of itself is refused, not believed', async () => {
    const network = await withRelay(await entry(identities[1], { operator: 'bob' }))
    expect(network.rejected).toBe(1)
  })
})
