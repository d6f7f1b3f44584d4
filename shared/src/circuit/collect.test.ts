import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat } from '../bytes/index.ts'
import type { ErrorCode } from '../errors/index.ts'
import { pattern } from '../testing/index.ts'
import { type Budget, collect, type Stream } from './index.ts'

function collecting(options: { maxBytes?: number; budget?: Budget } = {}) {
  const seen = { messages: [] as Uint8Array[], failures: [] as ErrorCode[], consumed: 0, resets: [] as ErrorCode[] }
  const stream: Stream = {
    id: 1,
    send() {},
    connected() {},
    reset: (code) => void seen.resets.push(code),
    consumed() {
      seen.consumed += 1
    },
  }
  const handler = collect({
    stream: () => stream,
    maxBytes: options.maxBytes ?? 100,
    ...(options.budget === undefined ? {} : { budget: options.budget }),
    onMessage: (message) => void seen.messages.push(message),
    onFailure: (code) => void seen.failures.push(code),
  })
  /** As a mux does: the view is worthless after the call. */
  const give = (bytes: Uint8Array) => {
    const view = Uint8Array.from(bytes)
    handler.onData(view)
    view.fill(0xdb)
  }
  return { seen, handler, give }
}

describe('collect', () => {
  test('gives the whole message at its end, and consumes each cell', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 5 }), (parts) => {
        const { seen, handler, give } = collecting()
        for (const part of parts) give(part)
        expect(seen.messages).toEqual([])
        handler.onEnd('done')
        expect(seen.messages).toEqual([concat(...parts)])
        expect(seen.failures).toEqual([])
        expect(seen.consumed).toBe(parts.length)
      }),
    )
  })

  test('takes a message of exactly the limit, and refuses one byte more at once', () => {
    const { seen, handler, give } = collecting()
    give(pattern(60))
    give(pattern(40))
    handler.onEnd('done')
    expect(seen.messages[0]?.length).toBe(100)

    const other = collecting()
    other.give(pattern(60))
    other.give(pattern(41))
    expect(other.seen).toMatchObject({ messages: [], failures: ['limit-reached'], resets: ['limit-reached'] })
    other.give(pattern(5))
    other.handler.onEnd('done')
    expect(other.seen).toMatchObject({ messages: [], failures: ['limit-reached'], consumed: 3 })
  })

  test.each<ErrorCode>(['cancelled', 'link-lost', 'protocol-violation'])(
    'tells that the stream ended with %s',
    (code) => {
      const { seen, handler, give } = collecting()
      give(pattern(10))
      handler.onEnd(code)
      expect(seen).toMatchObject({ messages: [], failures: [code], resets: [] })
    },
  )
})

describe('the budget that streams share', () => {
  test('is taken while messages are unfinished, and given back however they end', () => {
    const budget = { left: 100 }
    const all = [collecting({ budget }), collecting({ budget }), collecting({ budget })] as const
    all[0].give(pattern(40))
    all[1].give(pattern(40))
    expect(budget.left).toBe(20)
    all[2].give(pattern(21))
    expect(all[2].seen).toMatchObject({ failures: ['limit-reached'], resets: ['limit-reached'] })
    expect(budget.left).toBe(20)
    all[0].handler.onEnd('done')
    expect(budget.left).toBe(60)
    all[1].give(pattern(5))
    all[1].handler.onEnd('link-lost')
    expect(budget.left).toBe(100)
    all[2].handler.onEnd('cancelled')
    expect(budget.left).toBe(100)
  })

  test('never goes below zero or above what it was, whatever comes', () => {
    const step = fc.tuple(fc.nat(4), fc.oneof(fc.nat(60), fc.constantFrom<ErrorCode>('done', 'cancelled')))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const budget = { left: 100 }
        let all = Array.from({ length: 5 }, () => collecting({ budget }))
        for (const [index, what] of steps) {
          const each = all[index] as (typeof all)[number]
          if (typeof what === 'number') each.give(pattern(what))
          else {
            each.handler.onEnd(what)
            all = all.with(index, collecting({ budget }))
          }
          expect(budget.left).toBeGreaterThanOrEqual(0)
          expect(budget.left).toBeLessThanOrEqual(100)
        }
        for (const { handler } of all) handler.onEnd('cancelled')
        expect(budget.left).toBe(100)
      }),
    )
  })
})

/** Bytes of the heap and of buffers in use, after what can be collected has been. */
async function memory(): Promise<number> {
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test.each([
  ['empty cells', 0],
  ['cells of one byte', 1],
])('a message of 200 000 %s takes no more memory than a few times its bytes', async (_, size) => {
  const { seen, handler } = collecting({ maxBytes: 1_000_000 })
  const part = pattern(size)
  const before = await memory()
  for (let i = 0; i < 200_000; i++) handler.onData(part)
  expect((await memory()) - before).toBeLessThan(2_000_000)
  handler.onEnd('done')
  expect(seen.messages[0]?.length).toBe(200_000 * size)
})
