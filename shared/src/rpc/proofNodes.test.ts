import { expect, test } from 'vitest'
import { watchCells } from '../accounts/index.ts'
import { recordOverhead, recordSize } from '../envelope/index.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { encodeAnswer, packNodes, unpackNodes } from './index.ts'

const word = (byte: string) => `0x${byte.repeat(32)}`
const nodeOf = (bytes: number) => `0x${Buffer.from(pattern(bytes)).toString('hex')}`

test('come back as they were', () => {
  const nodes = ['0x', '0x00', '0xf8518080', nodeOf(532)]
  expect(unpackNodes(packNodes(nodes))).toEqual(nodes)
  expect(unpackNodes([])).toEqual([])
})

test.each([
  ['no list', 'AA=='],
  ['nothing', undefined],
  ['no text', [1234]],
  ['no base64', ['A']],
])('that are %s are none', (_, packed) => {
  expect(unpackNodes(packed)).toBeUndefined()
})

test('that are no hexadecimal are not packed', () => {
  expect(codeOf(() => packNodes(['0x1']))).toBe('protocol-violation')
})

test('of a trie with four hundred million accounts fit what a watch pushes, the unluckiest of thousands included', () => {
  // Sixteen children at each of seven nibbles (16^7 = 268 million), then fewer; a branch with c of them has 33c + 20 bytes.
  const depths = [...Array.from({ length: 8 }, () => 532), 218, 110]
  const fields = { number: '0x1802a3f', hash: word('ab'), balance: `0x${'f'.repeat(24)}`, nonce: '0xfffff' }
  const proof = packNodes(depths.map(nodeOf))
  const pushed = encodeAnswer({ result: { ...fields, codeHash: word('cd'), storageHash: word('ef'), proof } })
  expect(pushed.length + recordOverhead).toBeLessThanOrEqual(recordSize(watchCells))
})
