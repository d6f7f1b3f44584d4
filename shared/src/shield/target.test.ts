import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../bytes/index.ts'
import { codeOf } from '../testing/index.ts'
import { decodeTarget, encodeTarget } from './index.ts'

test('a target is `host:port`', () => {
  expect(fromUtf8(encodeTarget({ host: 'mainnet.infura.io', port: 443 }))).toBe('mainnet.infura.io:443')
})

test('property: what is written is read again', () => {
  fc.assert(
    fc.property(fc.domain(), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
      expect(decodeTarget(encodeTarget({ host, port }))).toEqual({ host, port })
    }),
  )
})

test.each(['', ':443', 'a', 'a:', 'a:0', 'a:0443', 'a:65536', 'a:-1', 'a:443 ', 'a:4x', 'a:443\n'])(
  '%j is a violation',
  (text) => {
    expect(codeOf(() => decodeTarget(utf8(text)))).toBe('protocol-violation')
  },
)

test('property: any bytes are a target or a violation', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect([undefined, 'protocol-violation']).toContain(codeOf(() => decodeTarget(bytes)))
    }),
  )
})
