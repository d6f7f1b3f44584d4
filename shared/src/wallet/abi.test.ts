import fc from 'fast-check'
import { encodeAbiParameters, type Hex, parseAbiParameters } from 'viem'
import { expect, test } from 'vitest'
import { address, array, bool, bytes, decode, record, word } from './abi.ts'

const shape = record({
  flag: bool,
  list: array(record({ target: address, text: bytes })),
  pair: record({ number: word, sure: bool }),
  texts: array(bytes),
  owners: array(address),
})
const parameters = parseAbiParameters('bool, (address, bytes)[], (uint256, bool), bytes[], address[]')

const aHex = (least: number, most: number): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength: least, maxLength: most }).map((some): Hex => `0x${Buffer.from(some).toString('hex')}`)
const values = fc.record({
  flag: fc.boolean(),
  list: fc.array(fc.record({ target: aHex(20, 20), text: aHex(0, 70) }), { maxLength: 4 }),
  pair: fc.record({ number: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), sure: fc.boolean() }),
  texts: fc.array(aHex(0, 70), { maxLength: 4 }),
  owners: fc.array(aHex(20, 20), { maxLength: 4 }),
})

test('reads and writes what viem writes', () => {
  fc.assert(
    fc.property(values, ({ flag, list, pair, texts, owners }) => {
      const encoded = encodeAbiParameters(parameters, [
        flag,
        list.map(({ target, text }) => [target, text] as const),
        [pair.number, pair.sure],
        texts,
        owners,
      ]).slice(2)
      const value = decode(shape, encoded)
      expect(value).toEqual({
        flag,
        list: list.map(({ target, text }) => ({ target, text: text.slice(2) })),
        pair: { number: pair.number.toString(16).padStart(64, '0'), sure: pair.sure },
        texts: texts.map((text) => text.slice(2)),
        owners,
      })
      expect(value && shape.write(value)).toBe(encoded)
    }),
  )
})

test('what it reads at all writes back to the same digits', () => {
  const encoded = encodeAbiParameters(parameters, [
    true,
    [[`0x${'a1'.repeat(20)}`, '0x1234']],
    [7n, true],
    ['0x56'],
    [],
  ]).slice(2)
  expect(decode(shape, encoded)).toBeDefined()
  fc.assert(
    fc.property(
      fc.nat(encoded.length - 1),
      fc.constantFrom(...'0123456789abcdefx'),
      fc.boolean(),
      (at, digit, isCut) => {
        const changed = encoded.slice(0, at) + digit + (isCut ? '' : encoded.slice(at + 1))
        const value = decode(shape, changed)
        if (value !== undefined) expect(shape.write(value)).toBe(changed)
      },
    ),
    { numRuns: 1000 },
  )
})

test('text after text at one and the same place is refused, not followed', () => {
  const number = (value: number): string => value.toString(16).padStart(64, '0')
  const count = 5_000
  const text = number(count * 32) + 'ab'.repeat(count * 32)
  const bomb = number(32) + number(count) + number(count * 32).repeat(count) + text
  expect(decode(record({ texts: array(bytes) }), bomb)).toBeUndefined()
})

test.each([number(2 ** 40), 'f'.repeat(64), number(3)])('a length of %s is more than there is', (length) => {
  expect(decode(record({ texts: array(bytes) }), number(32) + length)).toBeUndefined()
  expect(decode(record({ text: bytes }), number(32) + length)).toBeUndefined()
})

function number(value: number): string {
  return value.toString(16).padStart(64, '0')
}
