import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { AnswerMemory, CircuitMemory } from './answerMemory.ts'

const most = 64 * 2 ** 20
const kept = most * limits.keptOfAnswers

let memory: AnswerMemory
let own: CircuitMemory
beforeEach(() => {
  memory = new AnswerMemory(most)
  own = new CircuitMemory(memory)
})

describe('a circuit', () => {
  test('that holds nothing has room for whatever is free for all', () => {
    expect(own.room).toBe(most - kept)
    memory.held += 5
    expect(own.room).toBe(most - kept - 5)
  })

  test('that holds its share of what is free has no more, until others or it hold less', () => {
    const share = (most - kept) / 9
    own.hold(Math.ceil(share) - 1)
    expect(own.room).toBeGreaterThan(share)
    own.hold(1)
    expect(own.room).toBe(0)
    own.hold(-1)
    memory.held += 100
    expect(own.room).toBe(0)
    memory.held -= 100
    expect(own.room).toBeGreaterThan(share)
  })

  test('that holds little may hold a little more of what is kept for that, as long as there is any', () => {
    memory.held = most - kept
    expect(own.room).toBe(limits.littleAnswer)
    own.hold(60_000)
    expect(own.room).toBe(limits.littleAnswer - 60_000)
    memory.held = most - 1000
    expect(own.room).toBe(1000)
    memory.held = most + 1000
    expect(own.room).toBe(0)
  })

  test('has its bytes in those of the process', () => {
    own.hold(300)
    new CircuitMemory(memory).hold(20)
    own.hold(-100)
    expect(memory.held).toBe(220)
  })
})
