import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hex, utf8 } from '../bytes/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { shareOf } from './shares.ts'

const of = 3
const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 })
const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 })

const keyOf = (secret: Uint8Array) => (name: string) => hex(nobleCrypto.hash.hmac(secret, utf8(name)))
/** Of operators with two gateways each, who belongs to each share. */
function sharesOf(operators: readonly string[], secret: Uint8Array): readonly (readonly string[])[] {
  const gateways = operators.flatMap((operator) => [{ operator }, { operator }])
  const share = (index: number) => shareOf(gateways, { index, of }, keyOf(secret)).map(({ operator }) => operator)
  return [0, 1, 2].map((index) => [...new Set(share(index))])
}

describe('shareOf', () => {
  it('never gives two shares the same operator, leaves out nobody, and fills the first shares first', () => {
    fc.assert(
      fc.property(names, secrets, (operators, secret) => {
        const shares = sharesOf(operators, secret)
        expect(shares.flat().sort()).toEqual([...operators].sort())
        const filled = shares.map((share) => share.length > 0)
        expect(filled).toEqual([true, operators.length > 1, operators.length > 2])
      }),
      { seed: 5, numRuns: 200 },
    )
  })

  it('does not depend on the order, and all gateways of an operator are in one', () => {
    fc.assert(
      fc.property(names, secrets, (operators, secret) => {
        const sorted = (shares: readonly (readonly string[])[]) => shares.map((share) => [...share].sort())
        expect(sorted(sharesOf(operators.toReversed(), secret))).toEqual(sorted(sharesOf(operators, secret)))
        const gateways = operators.flatMap((operator) => [{ operator }, { operator }])
        expect(shareOf(gateways, { index: 0, of }, keyOf(secret)).length % 2).toBe(0)
      }),
      { seed: 6, numRuns: 100 },
    )
  })

  it('moves nobody when an operator joins, but for those whom an empty share had been lent', () => {
    let still = 0
    fc.assert(
      fc.property(names, secrets, fc.string({ minLength: 1 }), (operators, secret, joins) => {
        fc.pre(operators.length >= of && !operators.includes(joins))
        const before = sharesOf(operators, secret)
        const after = sharesOf([...operators, joins], secret)
        const moved = operators.filter(
          (operator) =>
            before.findIndex((share) => share.includes(operator)) !==
            after.findIndex((share) => share.includes(operator)),
        )
        expect(moved.length).toBeLessThan(of)
        if (moved.length === 0) still += 1
      }),
      { seed: 7, numRuns: 300 },
    )
    expect(still).toBeGreaterThan(240)
  })
})
