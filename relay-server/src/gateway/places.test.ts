import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import { Crowded, Places } from './places.ts'

let clock: FakeClock
let places: Places
let served: string[]
beforeEach(() => {
  clock = new FakeClock()
  places = new Places({ places: 3, patience: 2 * second, clock })
  served = []
})

const [greedy, modest] = [new AbortController().signal, new AbortController().signal]

function wait(name: string, asker: AbortSignal): void {
  places.wait(asker, undefined).then(
    () => void served.push(name),
    (error: unknown) => void served.push(error instanceof Crowded ? `${name} too late` : `${error}`),
  )
}

test('the next place is for whoever has fewest, then for who waited longest', async () => {
  for (let each = 0; each < 3; each++) expect(places.takeFree(greedy)).toBe(true)
  expect(places.takeFree(modest)).toBe(false)
  for (const name of ['g1', 'g2', 'g3']) wait(name, greedy)
  for (const name of ['m1', 'm2']) wait(name, modest)
  for (const asker of [greedy, modest, modest, greedy]) {
    places.leave(asker)
    await clock.elapse(0)
  }
  expect(served).toEqual(['m1', 'm2', 'g1', 'g2'])
})

test('who finds none in time is told so, and takes none', async () => {
  for (let each = 0; each < 3; each++) places.takeFree(greedy)
  wait('late', modest)
  await clock.elapse(2 * second)
  expect(served).toEqual(['late too late'])
  places.leave(greedy)
  expect(places.takeFree(modest)).toBe(true)
  expect(clock.pending).toBe(0)
})
