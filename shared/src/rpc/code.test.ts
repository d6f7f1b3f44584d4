import { expect, test } from 'vitest'
import { codeOf } from '../testing/index.ts'
import { codeHash } from './code.ts'

test.each([
  // EIP-1052: the hash of an account without code.
  ['no code', '0x', '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'],
  // Keccak team, ShortMsgKAT_256: Len = 8, Msg = CC.
  ['one byte', '0xCC', '0xeead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a'],
])('the hash of %s', (_, code, hash) => {
  expect(codeHash(code)).toBe(hash)
})

test.each(['', 'cc', '0xc', '0xzz', '0xcc '])('%j is no code', (code) => {
  expect(codeOf(() => codeHash(code))).toBe('bad-request')
})
