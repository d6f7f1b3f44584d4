import fc from 'fast-check'
import { concatHex, fromRlp, keccak256, toHex, toRlp } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, test } from 'vitest'
import { hex } from '../bytes/index.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { transactionHash } from './index.ts'

const account = privateKeyToAccount(`0x${'11'.repeat(32)}`)
const to = `0x${'22'.repeat(20)}` as const
const fees = { maxFeePerGas: 30_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n, gas: 50_000n }
const versionedHash = `0x01${'33'.repeat(31)}` as const
const blobFields = { type: 'eip4844', chainId: 1, nonce: 1, ...fees, maxFeePerBlobGas: 5n, to } as const

// Made by viem 2.57.1 from the fields above; signatures are deterministic (RFC 6979).
const legacyHash = '0xd1c09e8d5a62116d911a3f99e317ef468b598aff6bf36e7a9af7935dc8ba8f53'
const feeMarketHash = '0x35d32f1cc0288a8f36d2bd9d075aa6a4057429f512402288889b97def5d57b69'
const blobHash = '0x9c98cbfe218d1c8acd5852d48233bc860fa6c815171e953e27b2b1d2eb490ae2'

describe('the hash of', () => {
  test('a legacy transaction', async () => {
    const raw = await account.signTransaction({
      type: 'legacy',
      chainId: 1,
      nonce: 7,
      gasPrice: 20_000_000_000n,
      gas: 21_000n,
      to,
      value: 10n ** 18n,
    })
    expect(keccak256(raw)).toBe(legacyHash)
    expect(transactionHash(raw)).toBe(legacyHash)
  })

  test('an EIP-1559 transaction, in either case', async () => {
    const raw = await account.signTransaction({
      type: 'eip1559',
      chainId: 11_155_111,
      nonce: 0,
      ...fees,
      to,
      data: '0xdeadbeef',
    })
    expect(transactionHash(raw)).toBe(feeMarketHash)
    expect(transactionHash(`0x${raw.slice(2).toUpperCase()}`)).toBe(feeMarketHash)
  })

  test('a blob transaction, as it stands in a block', async () => {
    const raw = await account.signTransaction({ ...blobFields, blobVersionedHashes: [versionedHash] })
    expect(transactionHash(raw)).toBe(blobHash)
  })

  test.each([1, 2])('a blob transaction with %i sidecars leaves them out', async (count) => {
    const hashes = Array.from({ length: count }, () => versionedHash)
    const sidecars = Array.from({ length: count }, () => ({
      blob: `0x${'44'.repeat(131_072)}` as const,
      commitment: `0x${'55'.repeat(48)}` as const,
      proof: `0x${'66'.repeat(48)}` as const,
    }))
    const fields = { ...blobFields, blobVersionedHashes: hashes }
    const raw = await account.signTransaction({ ...fields, sidecars })
    expect(raw.length).toBeGreaterThan(2 * 131_072)
    expect(transactionHash(raw)).toBe(keccak256(await account.signTransaction(fields)))
    if (count === 1) expect(transactionHash(raw)).toBe(blobHash)
  })

  test('a blob transaction with cell proofs (EIP-7594) leaves them out too', async () => {
    const canonical = await account.signTransaction({ ...blobFields, blobVersionedHashes: [versionedHash] })
    const body = fromRlp(`0x${canonical.slice(4)}`, 'hex')
    const [blob, short] = [toHex(pattern(200)), toHex(pattern(48))]
    const wrapper = toRlp([body, '0x01', [blob], [short], [short, short]])
    expect(transactionHash(concatHex(['0x03', wrapper]))).toBe(blobHash)
  })
})

describe('refuses', () => {
  test.each([
    ['nothing', ''],
    ['text without 0x', '02aabb'],
    ['0X', '0X02aabb'],
    ['half a byte', '0x02a'],
    ['what is not hexadecimal', '0x02zz'],
    ['spaces', '0x02 aa'],
    ['a blob transaction without fields', '0x03'],
    ['a blob transaction that is a string', '0x0380'],
    ['a blob transaction of an empty list', '0x03c0'],
    ['a blob transaction cut off', '0x03f901c0'],
    ['a blob transaction cut off in its length', '0x03f9'],
    ['a length in more bytes than it needs', `0x03f90038${'80'.repeat(56)}`],
    ['a length in a byte of its own that is too short for one', '0x03f80180'],
    ['a body that is longer than the whole', '0x03c3c58080'],
    ['a blob transaction with something behind it', '0x03c0c0'],
    ['a blob transaction whose length does not fit a number', '0x03ffffffffffffffffff'],
    ['a blob transaction with a list that is longer than its bytes', '0x03c2c5'],
  ])('%s', (_, raw) => {
    expect(codeOf(() => transactionHash(raw))).toBe('bad-request')
  })

  test('or hashes lists within lists, as deep as a question is long, without following them', () => {
    const deep = (levels: number): Uint8Array => {
      // RLP from the inside out, in one pass: lengths first.
      const heads: Uint8Array[] = []
      let length = 0
      for (let i = 0; i < levels; i++) {
        const head = listHead(length)
        heads.push(head)
        length += head.length
      }
      return Uint8Array.from(heads.reverse().flatMap((head) => [...head]))
    }
    const bytes = deep(100_000)
    const body = bytes.subarray(4)
    expect(transactionHash(`0x03${hex(bytes)}`)).toBe(keccak256(concatHex(['0x03', toHex(body)])))
  })

  function listHead(length: number): Uint8Array {
    if (length < 56) return Uint8Array.of(0xc0 + length)
    const bytes: number[] = []
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
    return Uint8Array.of(0xf7 + bytes.length, ...bytes)
  }

  test('or hashes anything: no other error gets out', () => {
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => `0x${hex(bytes)}`),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => `0x03${hex(bytes)}`),
      fc.string({ unit: 'binary' }),
      fc.string().map((text) => `0x${text}`),
    )
    fc.assert(
      fc.property(some, (raw) => {
        let hash = ''
        const code = codeOf(() => (hash = transactionHash(raw)))
        expect([undefined, 'bad-request']).toContain(code)
        if (code === undefined) expect(hash).toMatch(/^0x[0-9a-f]{64}$/)
      }),
      { numRuns: 300 },
    )
  })
})
