/**
 * Faults at random under load, for five minutes (CHAOS_MINUTES; docs/chaos.md has the long runs): nothing is lost, nothing
 * accepted twice, nothing left behind. How long anything takes is measured there and asserted nowhere.
 */
import { expect, test } from 'vitest'
import { faults } from '../src/chaos/faults.ts'
import { slopeOf } from '../src/chaos/processes.ts'
import { seededRandom } from '../src/chaos/random.ts'
import { runChaos } from '../src/chaos/run.ts'

const minutes = Number(process.env.CHAOS_MINUTES ?? 5)
const seed = Number(process.env.CHAOS_SEED ?? 6)

test(
  'every request ends with its answer or a coded error, each transaction is accepted once, and relays come to rest',
  async () => {
    const steps: string[] = []
    const report = await runChaos({
      ...{ minutes, seed, clients: 20, rate: 30, mostInFlight: 2000 },
      onStep: (step) => void steps.push(step),
    })
    expect(report.broken, steps.join('\n')).toEqual([])
    expect(report.requests.lost).toBe(0)
    // The run was one: most were answered, and faults of many kinds happened.
    expect(report.requests.answered).toBeGreaterThan(report.requests.asked / 2)
    expect(report.transactions.accepted).toBeGreaterThan(0)
    expect(new Set(report.faults.map(({ name }) => name)).size).toBeGreaterThan(
      minutes < 5 ? faults.length / 4 : faults.length / 2,
    )
  },
  minutes * 60_000 + 240_000,
)

test('the same seed gives the same order, another seed another one', () => {
  const order = (of: number) => seededRandom(of).shuffled(faults.map(({ name }) => name))
  expect(order(7)).toEqual(order(7))
  expect(order(7)).not.toEqual(order(8))
  expect(order(7).sort()).toEqual(faults.map(({ name }) => name).sort())
})

test('memory that grows by a megabyte a second has that slope, memory that wavers has none', () => {
  const points = (mb: (second: number) => number) => Array.from({ length: 60 }, (_, at) => [at, mb(at)] as const)
  expect(slopeOf(points((at) => 100 + at))).toBeCloseTo(1)
  expect(Math.abs(slopeOf(points((at) => 100 + (at % 2))))).toBeLessThan(0.01)
  expect(slopeOf([])).toBe(0)
})
