import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { codeOf } from '../testing/index.ts'
import { ReceiveWindow, SendWindow } from './index.ts'

describe('SendWindow', () => {
  test('is open for as many cells as it has, and again for what is granted', () => {
    const window = new SendWindow(3)
    for (let i = 0; i < 3; i++) {
      expect(window.open).toBe(true)
      window.take()
    }
    expect(window.open).toBe(false)
    window.grant(2)
    window.take()
    expect(window.open).toBe(true)
    window.take()
    expect(window.open).toBe(false)
  })

  test('refuses credit for more than was sent, and credit of nothing', () => {
    const window = new SendWindow(100)
    expect(codeOf(() => window.grant(1))).toBe('protocol-violation')
    for (let i = 0; i < 10; i++) window.take()
    expect(codeOf(() => window.grant(0))).toBe('protocol-violation')
    expect(codeOf(() => window.grant(11))).toBe('protocol-violation')
    expect(codeOf(() => window.grant(0xffff))).toBe('protocol-violation')
    expect(codeOf(() => window.grant(10))).toBeUndefined()
    expect(codeOf(() => window.grant(1))).toBe('protocol-violation')
  })
})

describe('ReceiveWindow', () => {
  test('takes as many cells as the window has, then overflows', () => {
    const window = new ReceiveWindow(5)
    for (let i = 0; i < 5; i++) window.receive()
    expect(codeOf(() => window.receive())).toBe('overflow')
  })

  test('what was consumed but not yet told to the sender still counts', () => {
    const window = new ReceiveWindow(limits.creditStep)
    for (let i = 0; i < limits.creditStep; i++) window.receive()
    for (let i = 1; i < limits.creditStep; i++) expect(window.consume()).toBe(0)
    expect(codeOf(() => window.receive())).toBe('overflow')
  })

  test('tells the sender in steps', () => {
    const window = new ReceiveWindow(limits.streamWindow)
    const credits: number[] = []
    for (let i = 0; i < 2 * limits.creditStep + 1; i++) {
      window.receive()
      credits.push(window.consume())
    }
    expect(credits.filter((credit) => credit > 0)).toEqual([limits.creditStep, limits.creditStep])
    expect(credits.indexOf(limits.creditStep)).toBe(limits.creditStep - 1)
  })
})

test('an honest sender never overflows and never starves, however sending, consuming and credits interleave', () => {
  const steps = fc.array(fc.constantFrom('send', 'arrive', 'consume', 'credit'), { minLength: 500, maxLength: 3000 })
  fc.assert(
    fc.property(fc.constantFrom(limits.streamWindow, limits.branchWindow, 64, 65), steps, (size, order) => {
      const sender = new SendWindow(size)
      const receiver = new ReceiveWindow(size)
      const wire = { cells: 0, unconsumed: 0, credits: [] as number[] }
      const run: Record<string, () => void> = {
        send() {
          if (!sender.open) return
          sender.take()
          wire.cells += 1
        },
        arrive() {
          if (wire.cells === 0) return
          wire.cells -= 1
          receiver.receive()
          wire.unconsumed += 1
        },
        consume() {
          if (wire.unconsumed === 0) return
          wire.unconsumed -= 1
          const credit = receiver.consume()
          if (credit > 0) wire.credits.push(credit)
        },
        credit() {
          const credit = wire.credits.shift()
          if (credit !== undefined) sender.grant(credit)
        },
      }
      for (const step of order) {
        run[step]?.()
        expect(wire.cells + wire.unconsumed).toBeLessThanOrEqual(size)
      }
      for (const step of ['arrive', 'consume', 'credit']) for (let i = 0; i <= size; i++) run[step]?.()
      expect(sender.open).toBe(true)
      let room = 0
      for (; sender.open; room++) sender.take()
      expect(room).toBeGreaterThan(size - limits.creditStep)
    }),
    { numRuns: 40 },
  )
})
