import { limits } from '@nightjar/shared/limits'
import { encodeAnswer, encodeQuestion } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Listener } from './followStream.ts'
import { TestCircuit } from './testing/circuit.ts'
import { codeIn, every, type Followed, FollowStage, numbers, question } from './testing/followStage.ts'

let stage: FollowStage
beforeEach(async () => {
  stage = await FollowStage.set()
})

describe('answers that take no credit', () => {
  const free = { credits: false, isFree: true } as const
  /** The seconds in which so many records of 16 cells are paid for. */
  const wait = async (seconds: number) => {
    stage.circuit.clock.advance(seconds * second)
    await stage.circuit.settle()
  }

  test('go on where the client gives none, for as long as there are any', async () => {
    const followed = await stage.follow({}, free)
    const heads = limits.branchWindow
    for (let number = 2; number <= heads; number++) {
      await stage.grow(number)
      stage.circuit.clock.advance(every)
    }
    expect(numbers(followed)).toEqual(Array.from({ length: heads }, (_, index) => index + 1))
    followed.stream.reset('cancelled')
    await stage.circuit.settle()
    expect([stage.circuit.server.openCount, stage.circuit.clock.pending, stage.clock.pending]).toEqual([0, 0, 0])
  })

  test('keep to a pace instead: what comes faster is told of by its newest, sealed when it is sent', async () => {
    const followed = await stage.follow({ cells: 16 }, free)
    for (const number of [2, 3, 4, 5, 6]) await stage.grow(number)
    // Two at once; the third is not paid for yet.
    expect([numbers(followed), stage.circuit.sealedWith.length, stage.circuit.clock.pending]).toEqual([[1, 2], 2, 1])
    await wait(0.2)
    expect(numbers(followed)).toEqual([1, 2])
    await wait(0.05)
    expect([numbers(followed), stage.circuit.sealedWith.length, stage.circuit.clock.pending]).toEqual([[1, 2, 6], 3, 0])
  })

  test('share their pace with all such of the circuit, and with no other', async () => {
    const other = new TestCircuit(stage.gateway, stage.keys)
    const otherSession = await other.greet()
    const all = [
      await stage.follow({ cells: 16 }, free),
      await stage.follow({ cells: 16 }, free),
      await stage.follow({ cells: 16 }, free),
    ]
    const credited = await stage.follow({ cells: 16 })
    const elsewhere = await stage.follow({ cells: 16 }, { ...free, circuit: other, session: otherSession })
    expect(all.map(numbers)).toEqual([[1], [1], []])
    expect([numbers(credited), numbers(elsewhere)]).toEqual([[1], [1]])
    await wait(1)
    expect(all.map(numbers)).toEqual([[1], [1], [1]])
    for (let number = 2; number < 10; number++) await stage.grow(number)
    expect(numbers(credited)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('wait for the link as others do, and leave nothing in the gateway but the newest', async () => {
    const followed = await stage.follow({}, free)
    stage.circuit.writable = false
    for (const number of [2, 3, 4, 5, 6]) await stage.grow(number)
    expect(stage.circuit.sealedWith).toHaveLength(2)
    stage.circuit.writable = true
    stage.circuit.server.pump()
    await stage.circuit.settle()
    expect(numbers(followed)).toEqual([1, 2, 6])
  })

  test.each<[string, (followed: Followed) => void]>([
    ['the stream is reset', (followed: Followed) => followed.stream.reset('cancelled')],
    ['the circuit ends', () => stage.circuit.end()],
  ])('leave nothing behind where %s while one waits for its time', async (_, end) => {
    const followed = await stage.follow({ cells: 16 }, free)
    for (const number of [2, 3]) await stage.grow(number)
    expect(stage.circuit.clock.pending).toBe(1)
    end(followed)
    await stage.circuit.settle()
    await wait(100)
    expect([numbers(followed), stage.circuit.sealedWith.length, stage.circuit.server.openCount]).toEqual([[1, 2], 2, 0])
    expect([stage.circuit.clock.pending, stage.clock.pending]).toEqual([0, 0])
  })

  test('leave nothing behind either where the circuit ends while the last of three waits', async () => {
    const texts = [1, 2, 3].map((result) => encodeAnswer({ result }))
    const stopped: boolean[] = []
    const follow = () => ({
      start: (listener: Listener) => listener.onAnswers(texts),
      stop: (isLost: boolean) => void stopped.push(isLost),
    })
    const circuit = new TestCircuit({ ...stage.gateway, follow }, stage.keys)
    const open = await circuit.greet()
    const record = open.seal(encodeQuestion({ ...question, cells: 16 }), 1)
    const followed = stage.followWith(record, 16, { ...free, circuit, session: open })
    await circuit.settle()
    expect([followed.outcomes, circuit.clock.pending]).toEqual([[{ result: 1 }, { result: 2 }], 1])
    circuit.end()
    expect([stopped, circuit.clock.pending, circuit.sealedWith.length]).toEqual([[true], 0, 2])
  })

  test('are no larger than those that wallets watch with', async () => {
    const { outcomes, ends } = await stage.follow({ cells: 32 }, free)
    expect([outcomes.map(codeIn), ends]).toEqual([['bad-request'], ['done']])
    expect(numbers(await stage.follow({ cells: 32 }))).toEqual([1])
  })

  test('are errors too, each in its time; until it is told the stream holds its place', async () => {
    const all: Followed[] = []
    for (let i = 0; i < 2 + limits.followedPerCircuit; i++) all.push(await stage.follow({ chain: 5, cells: 16 }, free))
    // The first two were told at once.
    expect(all.map(({ outcomes }) => outcomes.length)).toEqual([1, 1, ...Array.from({ length: 16 }, () => 0)])
    expect((await stage.follow()).ends).toEqual(['limit-reached'])
    while (stage.circuit.clock.pending > 0) await wait(1)
    expect(all.every(({ outcomes }) => codeIn(outcomes[0]) === 'chain-not-served')).toBe(true)
    expect(all.every(({ ends }) => ends.join() === 'done')).toBe(true)
    expect(stage.circuit.server.openCount).toBe(0)
    expect(numbers(await stage.follow())).toEqual([1])
  })
})
