import { expect, test } from 'vitest'
import { Queues } from './queues.ts'
import type { Refusal } from './refusal.ts'

function stage(most: number, lengths: readonly (readonly number[])[]) {
  const cells = lengths.map((each) => [...each])
  const refused: Refusal[] = []
  let looks = 0
  const queues = new Queues({
    waiting: () => cells.flat().reduce((sum, each) => sum + each, 0),
    most: () => most,
    onRefused: (refusal) => void refused.push(refusal),
  })
  for (const own of cells) {
    queues.owners.add({
      *queues() {
        looks += 1
        for (const index of own.keys()) {
          const giveUp = () => {
            own[index] = 0
            // As one that loses a branch is told so.
            queues.check()
          }
          yield { cells: own[index] as number, giveUp }
        }
      },
    })
  }
  return { queues, cells, refused, looks: () => looks }
}

test('nothing is looked at while no more waits than may', () => {
  const { queues, cells, looks } = stage(60, [[10, 20], [30]])
  queues.check()
  expect([cells, looks()]).toEqual([[[10, 20], [30]], 0])
})

test('the longest of all go first, though one peer has several, and no more than it takes', () => {
  const { queues, cells, refused } = stage(100, [[50, 40, 45], [10], [5]])
  queues.check()
  expect(cells).toEqual([[0, 40, 0], [10], [5]])
  expect(refused).toEqual(['queue-memory', 'queue-memory'])
})

test('a look at all makes room for many cells, so that not each of them costs one', () => {
  const { queues, cells, looks } = stage(800, [[400], ...Array.from({ length: 401 }, () => [1])])
  const all = cells.length
  queues.check()
  expect(looks()).toBe(all)
  const [, own] = cells
  for (let more = 0; more < 100; more++) {
    ;(own as number[])[0] = 1 + more
    queues.check()
  }
  expect(looks()).toBe(all)
})
