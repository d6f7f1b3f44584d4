import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MetricSet } from './metricSet.ts'
import { coarse, countsOf, gaugeOf, type Reading, roundUp, sumOf, textOf } from './reading.ts'

const steps = [8, 1024, 1024 * 1024, 0.1, 0.001]

/** A process with one metric of each kind. */
async function readingOf(value: number, ...durations: number[]): Promise<Reading> {
  const set = new MetricSet('eu-west')
  set.gauge({ name: 'open', help: 'Open.', step: 8, read: () => value })
  set.gauge({ name: 'worst', help: 'Worst.', across: 'max', read: () => value })
  set.gauge({ name: 'all_well', help: 'All well.', across: 'min', read: () => value })
  set.counter({
    name: 'ended_total',
    help: 'Ended.',
    labels: ['code'],
    step: 8,
    read: () => [[{ code: 'done' }, value]],
  })
  const options = { name: 'took_seconds', help: 'Took.', labels: [], bounds: [0.1, 1], sumStep: 0.5 } as const
  const histogram = set.durations(options)
  for (const each of durations) histogram.observe(each)
  return set.read()
}

/** The lines of one metric, without its comments. */
async function linesOf(reading: Reading, name: string): Promise<string[]> {
  return (await textOf(reading)).split('\n').filter((line) => line.startsWith(name))
}

describe('rounding', () => {
  test('gives the next multiple, whatever the value and the step', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), fc.constantFrom(...steps), (value, step) => {
        const rounded = roundUp(value, step)
        expect(rounded).toBeGreaterThanOrEqual(value)
        expect(rounded).toBeLessThan(value + step * (1 + 1e-9))
        expect(roundUp(rounded, step)).toBe(rounded)
      }),
    )
  })

  test('keeps the order of values, so that counters and buckets never fall', () => {
    const value = fc.double({ min: 0, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(value, value, fc.constantFrom(...steps), (one, other, step) => {
        const [less, more] = one < other ? [one, other] : [other, one]
        expect(roundUp(less, step)).toBeLessThanOrEqual(roundUp(more, step))
      }),
    )
  })

  test.each([
    [0, 8, 0],
    [1, 8, 8],
    [8, 8, 8],
    [9, 8, 16],
    [0.3, 0.1, 0.3],
    [0.301, 0.1, 0.4],
    [13, undefined, 13],
  ])('%d in steps of %s is shown as %d', (value, step, shown) => {
    expect(roundUp(value, step)).toBe(shown)
  })
})

describe('a reading', () => {
  test('is plain data, which survives the way between processes', async () => {
    const reading = await readingOf(3, 0.05)
    expect(await textOf(JSON.parse(JSON.stringify(reading)))).toBe(await textOf(reading))
    expect(await textOf(structuredClone(reading))).toBe(await textOf(reading))
  })

  test('of several workers is summed exactly, and rounded once', async () => {
    const sum = await sumOf([await readingOf(3, 0.05, 0.5), await readingOf(4, 2)])
    expect(gaugeOf(sum, 'open')).toBe(7)
    expect(gaugeOf(sum, 'worst')).toBe(4)
    expect(gaugeOf(sum, 'all_well')).toBe(3)
    expect(gaugeOf(coarse(sum), 'open')).toBe(8)
    expect(await linesOf(sum, 'ended_total')).toEqual(['ended_total{code="done",region="eu-west"} 7'])
    expect(await linesOf(sum, 'took_seconds')).toEqual([
      'took_seconds_bucket{le="0.1",region="eu-west"} 1',
      'took_seconds_bucket{le="1",region="eu-west"} 2',
      'took_seconds_bucket{le="+Inf",region="eu-west"} 3',
      'took_seconds_sum{region="eu-west"} 2.55',
      'took_seconds_count{region="eu-west"} 3',
    ])
  })

  test('takes in what only one of the processes has', async () => {
    const parent = new MetricSet('eu-west')
    parent.counter({ name: 'replaced_total', help: 'Replaced.' }).inc()
    const sum = await sumOf([await parent.read(), await readingOf(3)])
    expect(await linesOf(sum, 'replaced_total')).toEqual(['replaced_total{region="eu-west"} 1'])
    expect(gaugeOf(coarse(sum), 'open')).toBe(8)
  })

  test('shows histograms rounded in all their parts', async () => {
    const reading = coarse(await readingOf(0, ...Array.from({ length: 9 }, () => 0.05), 0.5))
    expect((await linesOf(reading, 'took_seconds')).map((line) => line.split(' ')[1])).toEqual(
      // Nine and ten are sixteen; 0.95 seconds are one.
      ['16', '16', '16', '1', '16'],
    )
  })

  test('says in its text how it is rounded', async () => {
    const text = await textOf(await readingOf(1, 1))
    expect(text).toContain('# HELP open Open. Rounded up to multiples of 8.\n')
    expect(text).toContain('# HELP worst Worst.\n')
    expect(text).toContain('Counts are rounded up to multiples of 8, the sum to multiples of 0.5.\n')
  })
})

test('what a process has counted is what it counted and timed, and nothing that it had', async () => {
  const counts = countsOf(await readingOf(5, 0.05))
  expect(counts.families.map(({ name }) => name)).toEqual(['ended_total', 'took_seconds'])
  const sum = await sumOf([counts, await readingOf(2, 0.05)])
  expect([await linesOf(sum, 'open'), await linesOf(sum, 'ended_total')]).toEqual([
    ['open{region="eu-west"} 2'],
    ['ended_total{code="done",region="eu-west"} 7'],
  ])
})
