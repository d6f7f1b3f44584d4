import { beforeEach, describe, expect, test } from 'vitest'
import { HandshakeQueue } from './handshakeQueue.ts'
import { limits } from './limits.ts'
import type { Refusal } from './refusal.ts'

let turns: (() => void)[]
let answered: string[]
let refused: string[]
let counted: Refusal[]
let queue: HandshakeQueue
beforeEach(() => {
  turns = []
  answered = []
  refused = []
  counted = []
  queue = new HandshakeQueue(
    (action) => void turns.push(action),
    (refusal) => void counted.push(refusal),
  )
})

/** Handshakes of `source`: `a1`, `a2` … */
function ask(source: string, count: number, isWanted = () => true): void {
  for (let number = 1; number <= count; number++) {
    const name = `${source}${number}`
    queue.add(source, {
      answer() {
        if (isWanted()) answered.push(name)
        return isWanted()
      },
      refuse: () => void refused.push(name),
    })
  }
}

/** One turn of the event loop: what was answered in it. */
function takeTurn(): string[] {
  answered = []
  turns.shift()?.()
  return answered
}

test('a source alone has all of each turn, in order, and nothing before the first', () => {
  ask('a', limits.handshakesPerTurn + 2)
  expect([answered, turns.length]).toEqual([[], 1])
  expect([takeTurn(), takeTurn()]).toEqual([
    ['a1', 'a2', 'a3', 'a4'],
    ['a5', 'a6'],
  ])
  expect(turns).toEqual([])
  ask('a', 1)
  expect(takeTurn()).toEqual(['a1'])
})

test('sources take turns: one that floods delays itself alone', () => {
  ask('flood', 500)
  takeTurn()
  ask('quiet', 1)
  expect(takeTurn()).toEqual(['flood5', 'quiet1', 'flood6', 'flood7'])
})

test('so many in one turn, and each source has its own before any has another', () => {
  const names = Array.from({ length: limits.handshakesPerTurn + 2 }, (_, index) => String.fromCharCode(97 + index))
  for (const name of names) ask(name, 2)
  const order = [takeTurn(), takeTurn(), takeTurn()]
  expect(order.every(({ length }) => length === limits.handshakesPerTurn)).toBe(true)
  expect(order.flat()).toEqual([...names.map((name) => `${name}1`), ...names.map((name) => `${name}2`)])
})

test('those that nobody waits for any more cost no turn', () => {
  let isWanted = true
  ask('storm', 300, () => isWanted)
  isWanted = false
  ask('quiet', 1)
  expect(takeTurn()).toEqual(['quiet1'])
  expect(turns).toEqual([])
})

describe('where too many wait', () => {
  test('the source that has most loses its last', () => {
    ask('flood', limits.waitingHandshakes)
    ask('quiet', 2)
    expect(refused).toEqual([`flood${limits.waitingHandshakes}`, `flood${limits.waitingHandshakes - 1}`])
    ask('flood', 1)
    expect([refused.at(-1), counted]).toEqual(['flood1', Array(3).fill('handshake-queue')])
    expect(takeTurn()).toEqual(['flood1', 'quiet1', 'flood2', 'quiet2'])
  })
})
