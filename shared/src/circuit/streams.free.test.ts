import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { messageType, partSize, type StreamMux } from './index.ts'
import { begin, credit, nothing, open, recording } from './testing/streams.ts'
import { Recorder, wire } from './testing/wire.ts'

describe('a stream whose answers take no credit', () => {
  function openFree(mux: StreamMux, question: Uint8Array = pattern(1)) {
    const recorder = new Recorder('later')
    const stream = mux.open('follow', nothing, recorder, { data: question, end: true }, { isFree: true })
    recorder.stream = stream
    return { stream, recorder }
  }

  test('says so in its BEGIN', () => {
    const { client, accepted, settle } = recording()
    openFree(client)
    open(client, pattern(1), true)
    settle()
    expect(accepted.map(({ opening }) => opening.isFree)).toEqual([true, false])
  })

  test('brings any number of records to a client that gives none, and goes no deeper for them', () => {
    const records = 30_000
    let told = 0
    const { client, forward, backward, settle } = wire((stream) => ({
      onData: () => stream.consumed(),
      onEnd: () => stream.send(pattern(2 * partSize), false),
      onDrained: () => {
        told += 1
        stream.send(pattern(2 * partSize), told === records)
      },
    }))
    const { recorder } = openFree(client)
    settle()
    expect([recorder.data.length, recorder.ends]).toEqual([2 * (records + 1), ['done']])
    expect(forward.log.map(({ type }) => type)).toEqual([messageType.begin])
    expect(backward.costly()).toBe(0)
    while (recorder.unconsumed > 0) recorder.consumeOne()
    settle()
    expect(forward.log).toHaveLength(1)
  })

  test('takes credit for its question as ever', () => {
    const { client, accepted, forward, settle } = recording({ consume: 'later' })
    openFree(client, pattern(400 * partSize))
    settle()
    expect(forward.costly()).toBe(limits.streamWindow)
    while ((accepted[0]?.recorder.unconsumed ?? 0) > 0) {
      accepted[0]?.recorder.consumeOne()
      settle()
    }
    expect(accepted[0]?.recorder).toMatchObject({ ends: ['done'] })
    expect(forward.costly()).toBe(400)
  })

  test('goes on where the branch has no credit; those that need some then wait, and lose no turn', () => {
    const { client, accepted, forward, backward, settle } = recording()
    const credited = [1, 2, 3].map(() => open(client, pattern(1), true, new Recorder('later')))
    const free = [openFree(client), openFree(client)]
    settle()
    for (const { stream } of accepted.slice(0, 3)) stream.send(pattern(limits.streamWindow * partSize), true)
    // Nobody is there who would give credit.
    const arrived = backward.queue.splice(0)
    expect(backward.costly()).toBe(limits.branchWindow)
    for (const { stream } of accepted.slice(3)) stream.send(pattern(1000 * partSize), false)
    expect(backward.queue.map(({ stream }) => stream)).toEqual(
      Array.from({ length: 1000 }, () => [4])
        .flat()
        .concat(Array.from({ length: 1000 }, () => [5]).flat()),
    )
    // Somebody is, after all.
    backward.queue.unshift(...arrived)
    settle()
    expect(credited.map(({ recorder }) => recorder.ends)).toEqual([['done'], ['done'], ['done']])
    expect(free.map(({ recorder }) => recorder.data.length)).toEqual([1000, 1000])
    expect(forward.credit()).toBe(3 * limits.streamWindow)
  })

  test('has its turn like any other', () => {
    const { client, accepted, server, backward, settle } = recording()
    for (let i = 0; i < 2; i++) {
      open(client, pattern(1), true)
      openFree(client)
    }
    settle()
    backward.writable = false
    for (const { stream } of accepted) stream.send(pattern(300 * partSize), true)
    expect(backward.log.filter(({ type }) => type !== messageType.credit)).toEqual([])
    backward.writable = true
    server.pump()
    // Each of the two that take credit has sent its window.
    const order = backward.log.map(({ stream }) => stream)
    const turns = Array.from({ length: limits.streamWindow }, () => [1, 2, 3, 4]).flat()
    expect(order.slice(0, turns.length)).toEqual(turns)
    expect(order.slice(turns.length)).toEqual(Array.from({ length: 300 - limits.streamWindow }, () => [2, 4]).flat())
  })

  test('sends nothing to a link that is behind', () => {
    const { client, accepted, server, backward, settle } = recording()
    const { recorder } = openFree(client)
    settle()
    backward.writable = false
    accepted[0]?.stream.send(pattern(1000 * partSize), true)
    expect(backward.log).toEqual([])
    let room = 2
    Object.defineProperty(backward, 'writable', { get: () => room-- > 0 })
    server.pump()
    expect(backward.log).toHaveLength(2)
    room = 10_000
    server.pump()
    settle()
    expect(recorder.data).toHaveLength(1000)
  })

  test('that is reset lets what is on its way come and go, its END too, without giving credit for it', () => {
    const { client, accepted, forward, backward, settle } = recording()
    const { stream, recorder } = openFree(client)
    settle()
    accepted[0]?.stream.send(pattern(1000 * partSize), true)
    stream.reset('cancelled')
    settle()
    expect([recorder.data, recorder.ends]).toEqual([[], []])
    expect(forward.log.map(({ type }) => type)).toEqual([messageType.begin, messageType.end])
    expect(backward.sent(messageType.end)[0]?.data.length).toBe(1 + partSize)
  })

  test('is never given credit: CREDIT for it is a violation', () => {
    const { server } = recording()
    server.receive(begin(1, { isFree: true }))
    expect(codeOf(() => server.receive(credit(1, 1)))).toBe('protocol-violation')
  })
})
