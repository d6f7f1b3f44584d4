import { FakeClock } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { ShuffledWindow } from './shuffledWindow.ts'

let clock: FakeClock
let sent: { readonly what: number; readonly at: number }[]
let begun: number
beforeEach(() => {
  clock = new FakeClock()
  begun = clock.now()
  sent = []
})

function windowOf(window: number, random: () => number = () => 0): (what: number) => Promise<number> {
  const shuffled = new ShuffledWindow({ clock, window, random })
  return (what) =>
    shuffled.leave(async () => {
      sent.push({ what, at: clock.now() - begun })
      return what
    })
}

test('with a window of 0 nothing waits', async () => {
  const leave = windowOf(0)
  const answers = [1, 2, 3].map(leave)
  // Sent before anything else could run.
  expect(sent.map(({ what }) => what)).toEqual([1, 2, 3])
  expect(clock.pending).toBe(0)
  expect(await Promise.all(answers)).toEqual([1, 2, 3])
})

describe('a window', () => {
  test('lets all that came within it go together at its end, and each caller gets its own answer', async () => {
    const leave = windowOf(50)
    const answers = [leave(1)]
    await clock.elapse(30)
    answers.push(leave(2), leave(3))
    await clock.elapse(19)
    expect(sent).toEqual([])
    await clock.elapse(1)
    expect(sent.map(({ at }) => at)).toEqual([50, 50, 50])
    expect(sent.map(({ what }) => what)).not.toEqual([1, 2, 3])
    expect(await Promise.all(answers)).toEqual([1, 2, 3])
    expect(clock.pending).toBe(0)
  })

  test('begins with the first question after the last one', async () => {
    const leave = windowOf(50)
    void leave(1)
    await clock.elapse(70)
    void leave(2)
    await clock.elapse(50)
    expect(sent).toEqual([
      { what: 1, at: 50 },
      { what: 2, at: 120 },
    ])
  })

  test('passes on what a question failed with', async () => {
    const shuffled = new ShuffledWindow({ clock, window: 50, random: () => 0 })
    const answer = shuffled.leave(() => Promise.reject(new Error('upstream')))
    clock.advance(50)
    await expect(answer).rejects.toThrow('upstream')
  })
})

test('every order is possible, and as likely as any other', async () => {
  // The choices of the shuffle, one after the other: 3 places, then 2.
  const orders = new Map<string, number>()
  for (let first = 0; first < 3; first++) {
    for (let second = 0; second < 2; second++) {
      sent = []
      const choices = [(first + 0.5) / 3, (second + 0.5) / 2]
      const leave = windowOf(10, () => choices.shift() as number)
      for (const what of [1, 2, 3]) void leave(what)
      await clock.elapse(10)
      const order = sent.map(({ what }) => what).join(' ')
      orders.set(order, (orders.get(order) ?? 0) + 1)
    }
  }
  expect([...orders.values()]).toEqual([1, 1, 1, 1, 1, 1])
})

test('whatever chance says, all leave, once', async () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  await fc.assert(
    fc.asyncProperty(fc.nat(40), fc.array(chance, { minLength: 40, maxLength: 40 }), async (count, values) => {
      sent = []
      const leave = windowOf(10, () => values.pop() ?? 0)
      const all = Array.from({ length: count }, (_, index) => index)
      for (const what of all) void leave(what)
      await clock.elapse(10)
      expect(sent.map(({ what }) => what).sort((one, other) => one - other)).toEqual(all)
    }),
  )
})
