import { second } from '@nightjar/shared/runtime'
import { describe, expect, test } from 'vitest'
import { findStale, type KnownHead } from './freshness.ts'

const now = Date.UTC(2026, 0, 1)
/** Block `number`, made `age` seconds ago. */
function head(number: number, age: number): KnownHead {
  return { number: BigInt(number), time: now - age * second }
}

describe('beside the others', () => {
  test.each<[string, readonly (KnownHead | undefined)[], readonly boolean[]]>([
    ['all at one head', [head(9, 5), head(9, 5)], [false, false]],
    ['one block behind', [head(9, 5), head(8, 17)], [false, false]],
    ['one block behind on a chain that rests', [head(9, 5), head(8, 4000)], [false, false]],
    ['many blocks behind on a fast chain, by a second', [head(99, 0), head(90, 1)], [false, false]],
    ['minutes and blocks behind', [head(20, 5), head(9, 137), head(19, 17)], [false, true, false]],
    ['all old: the chain rests', [head(9, 90_000), head(9, 90_000)], [false, false]],
    ['no answer', [undefined, head(9, 5)], [false, false]],
    ['a lie from after the clock', [head(5_000_000, -3600), head(9, 12)], [false, false]],
    ['a lie that the clock allows', [head(5_000_000, -15), head(9, 36)], [false, false]],
    ['nobody', [], []],
  ])('%s', (_, heads, stale) => {
    expect(findStale(heads, now, undefined)).toEqual(stale)
  })
})

test('by the clock, where the operator says how old a head may be', () => {
  const heads = [head(9, 60), head(9, 61), undefined]
  expect(findStale(heads, now, 60 * second)).toEqual([false, true, false])
})
