import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { partSize } from '../circuit/index.ts'
import { limits } from '../limits.ts'
import { codeOf } from '../testing/index.ts'
import { isSizeClass, recordOverhead, recordSize, sizeClass } from './index.ts'

const options = { minimum: 1, maximum: limits.answerCells, tooLarge: 'answer-too-large' } as const

describe('sizeClass', () => {
  test('is the smallest class that holds text and overhead, and no smaller than the minimum', () => {
    const aMinimum = fc.constantFrom(1, 2, 4, 32, 64)
    fc.assert(
      fc.property(fc.nat(2_000_000), aMinimum, (bytes, minimum) => {
        const cells = sizeClass(bytes, { ...options, minimum })
        expect(isSizeClass(cells, limits.answerCells)).toBe(true)
        expect(cells).toBeGreaterThanOrEqual(minimum)
        expect(recordSize(cells)).toBeGreaterThanOrEqual(bytes + recordOverhead)
        if (cells > minimum) expect(recordSize(cells / 2)).toBeLessThan(bytes + recordOverhead)
      }),
    )
  })

  test.each([
    [0, 1],
    [900, 1],
    [901, 2],
    [2 * 928 - 28, 2],
    [2 * 928 - 27, 4],
    [32 * 1024 * 928 - 28, 32 * 1024],
  ])('of %i bytes is %i cells', (bytes, cells) => {
    expect(sizeClass(bytes, options)).toBe(cells)
  })

  test('refuses what is larger than the largest class, with the code that fits', () => {
    expect(codeOf(() => sizeClass(recordSize(limits.answerCells) - recordOverhead + 1, options))).toBe(
      'answer-too-large',
    )
    const question = { minimum: 1, maximum: limits.questionCells, tooLarge: 'request-too-large' } as const
    expect(codeOf(() => sizeClass(recordSize(limits.questionCells), question))).toBe('request-too-large')
    expect(codeOf(() => sizeClass(10, { ...options, minimum: 64, maximum: 32 }))).toBe('answer-too-large')
    expect(codeOf(() => sizeClass(Number.MAX_SAFE_INTEGER, options))).toBe('answer-too-large')
  })
})

test('classes are the powers of two up to the maximum, and nothing else is', () => {
  const classes = Array.from({ length: 5000 }, (_, cells) => cells).filter((cells) => isSizeClass(cells, 1024))
  expect(classes).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
  for (const cells of [0, -1, -2, 0.5, 1.5, 2.000001, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40]) {
    expect(isSizeClass(cells, limits.paddedAnswerCells)).toBe(false)
  }
})

test('sizes are those of docs/protocol.md', () => {
  expect([recordOverhead, recordSize(1), recordSize(8)]).toEqual([28, partSize, 8 * 928])
})
