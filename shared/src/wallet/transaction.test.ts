import fc from 'fast-check'
import { concatHex, fromRlp, type Hex, toHex, toRlp } from 'viem'
import { expect, test } from 'vitest'
import { transactionHash } from '../rpc/index.ts'
import { authority, signed, signer, to } from './testing/transactions.ts'
import { readTransaction } from './transaction.ts'

const sender = signer.address.toLowerCase()

test.each(Object.keys(signed))('%s: hash, sender, receiver and calldata', async (name) => {
  const raw = (await signed[name]?.()) as Hex
  const transaction = readTransaction(raw)
  expect(transaction).toMatchObject({ hash: transactionHash(raw), sender, to })
  expect(transaction?.data).toContain('44'.repeat(20))
  const expected = name === 'EIP-7702' ? [authority.address, authority.address].map((one) => one.toLowerCase()) : []
  expect(transaction?.authorities).toEqual(expected)
  expect(readTransaction(`0x${raw.slice(2).toUpperCase()}`)).toEqual(transaction)
})

test('one that makes a contract goes to nobody', async () => {
  const raw = await signer.signTransaction({
    type: 'legacy',
    chainId: 1,
    nonce: 0,
    gasPrice: 1n,
    gas: 1n,
    data: '0x60',
  })
  expect(readTransaction(raw)).toMatchObject({ sender, to: undefined, data: '0x60' })
})

/** The EIP-1559 transaction with one field written anew. */
async function changed(index: number, value: Hex): Promise<Hex> {
  const raw = (await signed['EIP-1559']?.()) as Hex
  const fields = fromRlp(`0x${raw.slice(4)}`, 'hex') as Hex[]
  return concatHex(['0x02', toRlp(fields.with(index, value))])
}

test.each<[string, () => Promise<Hex> | Hex]>([
  ['nothing', () => '0x'],
  ['a type that no chain knows', () => '0x05c0'],
  ['an empty list', () => '0x02c0'],
  ['a string', () => '0x0280'],
  ['an r of zero', () => changed(10, '0x')],
  ['an r that is no point', () => changed(10, toHex(5n))],
  ['an s beyond the order of the curve', () => changed(11, `0x${'ff'.repeat(32)}`)],
  ['an s of 33 bytes', () => changed(11, `0x01${'11'.repeat(32)}`)],
  ['a parity of two', () => changed(9, '0x02')],
  ['a byte behind the end', async () => concatHex([await changed(0, '0x01'), '0x00'])],
  ['half a byte', async () => (await changed(0, '0x01')).slice(0, -1) as Hex],
])('%s is no signed transaction', async (_, raw) => {
  expect(readTransaction(await raw())).toBeUndefined()
})

test('lists within lists, as deep as the text is long, are not followed', () => {
  expect(readTransaction(`0x02f90000${'c1'.repeat(500_000)}`)).toBeUndefined()
})

test('cut or changed anywhere, a transaction is read or not and throws nothing', async () => {
  const raws = await Promise.all(
    Object.keys(signed)
      .filter((name) => !name.includes('sidecar'))
      .map((name) => signed[name]?.() as Promise<Hex>),
  )
  fc.assert(
    fc.property(fc.constantFrom(...raws), fc.nat(), fc.nat(255), fc.boolean(), (raw, at, byte, isCut) => {
      const index = 2 + 2 * (at % (raw.length / 2 - 1))
      const rest = isCut ? '' : raw.slice(index + 2)
      const other = readTransaction(raw.slice(0, index) + byte.toString(16).padStart(2, '0') + rest)
      if (other !== undefined) expect(other.sender).toMatch(/^0x[0-9a-f]{40}$/)
    }),
    { numRuns: 300 },
  )
})
