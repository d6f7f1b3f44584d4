import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Candidate, createChoice, type Strategy, strategies } from './choice.ts'

function candidates(...weights: number[]): { weight: number; underWay: number }[] {
  return weights.map((weight) => ({ weight, underWay: 0 }))
}

/** The first of each of `times` choices, by its place. */
function firsts(strategy: Strategy, among: readonly Candidate[], times: number, random = () => 0): number[] {
  const choose = createChoice(strategy, random)
  return Array.from({ length: times }, () => among.indexOf(choose(among)[0] as Candidate))
}

test('whatever the strategy and chance, all are in the order, once', () => {
  const numbers = fc.record({ weight: fc.integer({ min: 1, max: 1000 }), underWay: fc.nat(100) })
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.constantFrom(...strategies), fc.array(numbers, { maxLength: 8 }), chance, (strategy, all, value) => {
      const order = createChoice(strategy, () => value)(all)
      expect(order).toHaveLength(all.length)
      expect(new Set(order)).toEqual(new Set(all))
    }),
  )
})

test('weighted: the first by chance and weight, the rest as configured', () => {
  const among = candidates(1, 5, 2)
  let step = 0
  expect(firsts('weighted', among, 8, () => (step++ + 0.5) / 8)).toEqual([0, 1, 1, 1, 1, 1, 2, 2])
  expect(
    createChoice('weighted', () => 0.3)(among).map((each) => among.indexOf(each as (typeof among)[number])),
  ).toEqual([1, 0, 2])
})

describe('round-robin', () => {
  test('takes turns', () => {
    expect(firsts('round-robin', candidates(1, 1, 1), 6)).toEqual([0, 1, 2, 0, 1, 2])
  })

  test('gives turns by weight, spread out', () => {
    expect(firsts('round-robin', candidates(5, 1, 1), 7)).toEqual([0, 0, 1, 0, 2, 0, 0])
  })

  test('goes on among those that are left', () => {
    const all = candidates(1, 1, 1)
    const choose = createChoice('round-robin', () => 0)
    const left = all.slice(1)
    expect([all, left, left, all].map((among) => all.indexOf(choose(among)[0] as (typeof all)[number]))).toEqual([
      0, 1, 2, 1,
    ])
  })
})

describe('least-connections', () => {
  test('takes the one with least under way for its weight, then the next', () => {
    const among = [
      { weight: 1, underWay: 2 },
      { weight: 4, underWay: 4 },
      { weight: 1, underWay: 3 },
    ]
    const order = createChoice('least-connections', () => 0)(among)
    expect(order.map((each) => among.indexOf(each))).toEqual([1, 0, 2])
  })

  test('leaves it to chance among equals', () => {
    let step = 0
    expect(firsts('least-connections', candidates(1, 1, 1), 3, () => step++ / 3)).toEqual([0, 1, 2])
  })
})
