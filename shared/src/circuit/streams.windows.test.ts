/** What streams and their branch may have on the way: windows, users that stall, and peers that send more. */
import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { partSize } from './index.ts'
import { begin, credit, data, end, heldBy, mostHeld, nothing, open, recording } from './testing/streams.ts'
import type { Recorder } from './testing/wire.ts'

describe('windows', () => {
  test('a stream sends its window and waits for credit', () => {
    const { client, accepted, forward, settle } = recording({ consume: 'later' })
    open(client, pattern(400 * partSize), true)
    settle()
    expect(forward.costly()).toBe(limits.streamWindow)
    for (let i = 0; i < limits.creditStep; i++) accepted[0]?.recorder.consumeOne()
    settle()
    expect(forward.costly()).toBe(limits.streamWindow + limits.creditStep)
  })

  test('a stream whose window is closed does not hold up another', () => {
    const { client, accepted, settle } = recording({ consume: 'later' })
    open(client, pattern(400 * partSize), true)
    open(client, pattern(3 * partSize), true)
    settle()
    expect(accepted[1]?.recorder.ends).toEqual(['done'])
  })

  test('streams take turns, cell by cell, also those that join late', () => {
    const { client, forward } = recording()
    forward.writable = false
    for (let i = 0; i < 3; i++) open(client, pattern(10 * partSize), true)
    forward.writable = true
    client.pump()
    forward.writable = false
    const order = forward.log.map(({ stream }) => stream)
    expect(order).toEqual(Array.from({ length: 10 }, () => [1, 2, 3]).flat())
  })

  test('a link that is behind is sent nothing, and pump goes on where it stopped', () => {
    const { client, forward, accepted, settle } = recording()
    forward.writable = false
    open(client, pattern(5 * partSize), true)
    expect(forward.log).toEqual([])
    let room = 2
    Object.defineProperty(forward, 'writable', { get: () => room-- > 0 })
    client.pump()
    expect(forward.log.length).toBe(2)
    room = 100
    client.pump()
    settle()
    expect(accepted[0]?.recorder.bytes).toEqual(pattern(5 * partSize))
  })

  test('an END without data needs no credit from the receiver', () => {
    const { server, accepted } = recording({ consume: 'later' })
    server.receive(begin(1, { data: pattern(1) }))
    for (let i = 1; i < limits.streamWindow; i++) server.receive(data(1))
    expect(codeOf(() => server.receive(end(1)))).toBeUndefined()
    expect(accepted[0]?.recorder.ends).toEqual(['done'])
  })

  test('credit of a whole exchange comes back but for what is less than a step', () => {
    const { client, accepted, forward, backward, settle } = recording()
    const { recorder } = open(client, pattern(300 * partSize), true)
    settle()
    accepted[0]?.stream.send(pattern(1000 * partSize), true)
    settle()
    expect(recorder.ends).toEqual(['done'])
    expect(forward.costly() - backward.credit()).toBeLessThan(limits.creditStep)
    expect(backward.costly() - forward.credit()).toBeLessThan(limits.creditStep)
  })
})

describe('users that stall', () => {
  /** As much of each of `count` requests as its window lets through, held by the server. */
  function stalled(count: number) {
    const joined = recording({ consume: 'later' })
    const streams = Array.from({ length: count }, () => open(joined.client, pattern(400 * partSize), true).stream)
    joined.settle()
    return { ...joined, streams }
  }

  test.each([2, 15])('%i of them stop no other', (count) => {
    const { client, accepted, settle } = stalled(count)
    expect(accepted.map(({ recorder }) => recorder.unconsumed)).toEqual(
      Array.from({ length: count }, () => limits.streamWindow),
    )
    open(client, pattern(1000 * partSize), true)
    settle()
    const { recorder } = accepted[count] as { recorder: Recorder }
    while (recorder.unconsumed > 0) {
      recorder.consumeOne()
      settle()
    }
    expect(recorder).toMatchObject({ ends: ['done'] })
    expect(recorder.bytes.length).toBe(1000 * partSize)
  })

  test('too many stop the branch; then each cell that is consumed makes room for one', () => {
    const { accepted, forward, backward, settle } = stalled(20)
    expect(backward.credit()).toBe(limits.heldPerBranch)
    expect(forward.costly()).toBe(limits.heldPerBranch + limits.branchWindow)
    const consume = (cells: number) => {
      // Of all in turn, so that no stream has credit of its own to give.
      for (let i = 0; i < cells; i++) accepted[i % accepted.length]?.recorder.consumeOne()
      settle()
      return { back: backward.credit() - limits.heldPerBranch, held: heldBy(accepted) }
    }
    expect(consume(limits.creditStep - 1)).toEqual({ back: 0, held: mostHeld - limits.creditStep + 1 })
    expect(consume(1)).toEqual({ back: limits.creditStep, held: mostHeld })
    expect(consume(limits.creditStep)).toEqual({ back: 2 * limits.creditStep, held: mostHeld })
  })

  test('go on holding what they have after a reset, and the branch waits for it', () => {
    const { streams, accepted, forward, backward, settle } = stalled(20)
    for (const stream of streams) stream.reset('cancelled')
    settle()
    expect(accepted.every(({ recorder }) => recorder.ends.join() === 'cancelled')).toBe(true)
    expect(backward.credit()).toBe(limits.heldPerBranch)
    for (const { recorder } of accepted) while (recorder.unconsumed > 0) recorder.consumeOne()
    expect(forward.costly() - backward.credit()).toBeLessThan(limits.creditStep)
  })
})

describe('a sender that ignores the windows', () => {
  test('overflows a stream', () => {
    const { server, accepted } = recording({ consume: 'later' })
    server.receive(begin(1, { data: pattern(1) }))
    for (let i = 1; i < limits.streamWindow; i++) server.receive(data(1))
    expect(codeOf(() => server.receive(data(1)))).toBe('overflow')
    expect(accepted[0]?.recorder.unconsumed).toBe(limits.streamWindow)
  })

  test('overflows a stream with an END that has data', () => {
    const { server } = recording({ consume: 'later' })
    server.receive(begin(1, { data: pattern(1) }))
    for (let i = 1; i < limits.streamWindow; i++) server.receive(data(1))
    expect(codeOf(() => server.receive(end(1, 'done', pattern(1))))).toBe('overflow')
  })

  test('overflows the branch with many streams, with BEGINs too', () => {
    const { server, accepted } = recording({ consume: 'later' })
    for (let id = 1; id <= limits.streamsPerBranch; id++) server.receive(begin(id, { data: pattern(1) }))
    const rounds = mostHeld / limits.streamsPerBranch
    for (let round = 1; round < rounds; round++)
      for (let id = 1; id <= limits.streamsPerBranch; id++) server.receive(data(id))
    expect(heldBy(accepted)).toBe(mostHeld)
    expect(codeOf(() => server.receive(data(1)))).toBe('overflow')
    expect(heldBy(accepted)).toBe(mostHeld)
  })

  test('overflows with cells that are empty, too: an empty cell costs as much as a full one', () => {
    const { server } = recording({ consume: 'later' })
    server.receive(begin(1, { data: pattern(1) }))
    for (let i = 1; i < limits.streamWindow; i++) server.receive(data(1, nothing))
    expect(codeOf(() => server.receive(data(1, nothing)))).toBe('overflow')
  })

  test.each([
    ['nothing', 0],
    ['more than was sent', 3],
    ['as much as can be said', 0xffff],
  ])('or grants %s breaks the protocol, for the branch and for a stream', (_, cells) => {
    for (const stream of [0, 1]) {
      const { client } = recording()
      open(client, pattern(2 * partSize), true)
      expect(codeOf(() => client.receive(credit(stream, cells)))).toBe('protocol-violation')
    }
  })
})
