import { describe, expect, test } from 'vitest'
import { concat } from '../bytes/index.ts'
import { recordSize } from '../envelope/index.ts'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { decodeBegin, type Message, messageType, partSize, StreamMux } from './index.ts'
import { begin, end, nothing, open, recording } from './testing/streams.ts'
import { Recorder, ScriptedChannel, wire } from './testing/wire.ts'

describe('a stream', () => {
  test('carries a request and its answer, then is forgotten on both sides', () => {
    const { client, server, accepted, settle } = recording()
    const { stream, recorder } = open(client, pattern(5000), true)
    settle()
    expect(stream.id).toBe(1)
    const [seen] = accepted
    expect(seen?.opening).toMatchObject({ service: 'rpc', argument: nothing, whole: false })
    expect(seen?.recorder.bytes).toEqual(pattern(5000))
    expect(seen?.recorder.ends).toEqual(['done'])
    seen?.stream.connected()
    seen?.stream.send(pattern(3000, 5), true)
    settle()
    expect(recorder.connections).toBe(1)
    expect(recorder.bytes).toEqual(pattern(3000, 5))
    expect(recorder.ends).toEqual(['done'])
    expect([client.openCount, server.openCount]).toEqual([0, 0])
  })

  test('says its service and argument', () => {
    const { client, accepted, settle } = recording()
    client.open('tcp', pattern(20), new Recorder(), { data: nothing, end: false })
    settle()
    expect(accepted[0]?.opening).toMatchObject({ service: 'tcp', argument: pattern(20), whole: false })
  })

  test('can be written to in pieces, which are joined into full cells', () => {
    const { client, accepted, forward, settle } = recording()
    forward.writable = false
    const { stream } = open(client, pattern(10), false)
    for (let i = 0; i < 100; i++) stream.send(pattern(37, i), false)
    stream.send(nothing, true)
    forward.writable = true
    client.pump()
    settle()
    expect(accepted[0]?.recorder.bytes).toEqual(
      concat(pattern(10), ...Array.from({ length: 100 }, (_, i) => pattern(37, i))),
    )
    expect(forward.costly()).toBe(Math.ceil(3710 / partSize))
  })

  test('whose data all comes with the BEGIN is one cell, and no END follows', () => {
    const { client, accepted, forward, settle } = recording()
    open(client, pattern(partSize), true)
    settle()
    expect(forward.log.map(({ type }) => type)).toEqual([messageType.begin])
    expect(accepted[0]?.opening.whole).toBe(true)
    expect(accepted[0]?.recorder.ends).toEqual(['done'])
    accepted[0]?.stream.send(pattern(partSize), true)
    settle()
    expect([client.openCount]).toEqual([0])
  })

  test('without any data is one cell too', () => {
    const { client, accepted, forward, settle } = recording()
    open(client, nothing, true)
    settle()
    expect(forward.log.length).toBe(1)
    expect(accepted[0]?.recorder).toMatchObject({ data: [], ends: ['done'] })
  })

  test('can be answered within its BEGIN', () => {
    const { client, server, settle } = wire((stream) => {
      stream.send(pattern(2000), true)
      return { onData: () => stream.consumed(), onEnd() {} }
    })
    const { recorder } = open(client, pattern(10), true)
    settle()
    expect(recorder.bytes).toEqual(pattern(2000))
    expect([client.openCount, server.openCount]).toEqual([0, 0])
  })

  test('takes no more data once its end was sent', () => {
    const { client, accepted, settle } = recording()
    const { stream } = open(client, pattern(10), true)
    stream.send(pattern(10), true)
    settle()
    expect(accepted[0]?.recorder.bytes).toEqual(pattern(10))
  })
})

describe('sizes', () => {
  test.each([1, 2, 3, 4])('a record of n cells takes exactly n cells at depth %i, in either direction', (depth) => {
    for (const cells of [1, 2, 4, 8, 16, 128]) {
      const { client, accepted, forward, backward, settle } = recording({ depth })
      const { recorder } = open(client, pattern(recordSize(cells)), true)
      settle()
      expect(forward.costly()).toBe(cells)
      accepted[0]?.stream.send(pattern(recordSize(cells)), true)
      settle()
      expect(backward.costly()).toBe(cells)
      expect(recorder.bytes.length).toBe(recordSize(cells))
      const sizes = forward.log.filter(({ type }) => type !== messageType.credit).map(lengthOfData)
      expect(sizes).toEqual(Array.from({ length: cells }, () => partSize))
    }
  })

  test('a long argument leaves less room in the BEGIN, and nothing is lost', () => {
    const { client, accepted, forward, settle } = recording({ depth: 4 })
    client.open('x'.repeat(32), pattern(limits.argumentBytes), new Recorder(), { data: pattern(2000), end: true })
    settle()
    expect(accepted[0]?.recorder.bytes).toEqual(pattern(2000))
    expect(forward.costly()).toBe(3)
  })

  function lengthOfData(message: Message): number {
    if (message.type === messageType.begin) return decodeBegin(message.data).data.length
    return message.type === messageType.end ? message.data.length - 1 : message.data.length
  }
})

describe('that all has left', () => {
  /** A server that goes on after the question: three cells for each time that it is told, `records` times. */
  function answering(records: number, consume: 'at once' | 'later' = 'at once') {
    const told = { drained: 0 }
    const recorder = new Recorder(consume)
    const joined = wire((stream) => ({
      onData: () => stream.consumed(),
      onEnd: (code) => {
        if (code === 'done') stream.send(pattern(3 * partSize), false)
      },
      onDrained: () => {
        told.drained += 1
        if (told.drained < records) stream.send(pattern(3 * partSize), false)
      },
    }))
    const { stream } = open(joined.client, pattern(1), true, recorder)
    return { ...joined, told, recorder, stream }
  }

  test('is told once for each time, with the last cell and not before', () => {
    const { server, backward, told, recorder, settle } = answering(2)
    let room = 2
    Object.defineProperty(backward, 'writable', { get: () => room-- > 0 })
    settle()
    expect([told.drained, backward.costly()]).toEqual([0, 2])
    room = 1
    server.pump()
    expect([told.drained, backward.costly()]).toEqual([1, 3])
    room = 100
    server.pump()
    settle()
    expect(told.drained).toBe(2)
    expect(recorder.bytes).toEqual(concat(pattern(3 * partSize), pattern(3 * partSize)))
  })

  test('is not told while a window is closed, and again when there is credit', () => {
    const { backward, told, recorder, settle } = answering(1000, 'later')
    settle()
    expect(backward.costly()).toBe(limits.streamWindow)
    expect(told.drained).toBe(Math.floor(limits.streamWindow / 3))
    for (let i = 0; i < limits.creditStep; i++) recorder.consumeOne()
    settle()
    expect(backward.costly()).toBe(limits.streamWindow + limits.creditStep)
  })

  test('is not told once the stream is over, from either side', () => {
    const { server, backward, told, stream, settle } = answering(1000)
    backward.writable = false
    settle()
    stream.reset('cancelled')
    settle()
    backward.writable = true
    server.pump()
    expect([told.drained, backward.costly(), server.openCount]).toEqual([0, 0, 0])

    const ended = { drained: 0 }
    const other = wire((accepted) => ({
      onData: () => accepted.consumed(),
      onEnd: () => accepted.send(pattern(2 * partSize), true),
      onDrained: () => {
        ended.drained += 1
      },
    }))
    open(other.client, pattern(1), true)
    other.settle()
    expect([ended.drained, other.backward.costly()]).toEqual([0, 2])
  })

  test('is not told where the branch is lost with the cell that would have been the last', () => {
    const { server, backward, told, settle } = answering(1000)
    const send = backward.send.bind(backward)
    backward.send = (type, ...rest) => {
      send(type, ...rest)
      if (type === messageType.data && backward.costly() === 3) server.closeAll('link-lost')
    }
    settle()
    expect([told.drained, backward.costly()]).toEqual([0, 3])
  })
})

describe('the number of streams', () => {
  test('is limited at the client, until one ends', () => {
    const { client, accepted, settle } = recording()
    const all = Array.from({ length: limits.streamsPerBranch }, () => open(client, pattern(1), true))
    expect(client.canOpen).toBe(false)
    expect(codeOf(() => open(client, pattern(1), true))).toBe('limit-reached')
    settle()
    all[7]?.stream.reset('cancelled')
    expect(client.canOpen).toBe(true)
    accepted[9]?.stream.send(nothing, true)
    settle()
    open(client, pattern(1), true)
    open(client, pattern(1), true)
    settle()
    expect(accepted.length).toBe(limits.streamsPerBranch + 2)
    expect(client.openCount).toBe(limits.streamsPerBranch)
  })

  test('is limited at the server, which refuses more and keeps the rest', () => {
    const { server, accepted, backward } = recording()
    for (let id = 1; id <= limits.streamsPerBranch; id++) server.receive(begin(id))
    server.receive(begin(300))
    expect(accepted.length).toBe(limits.streamsPerBranch)
    expect(server.openCount).toBe(limits.streamsPerBranch)
    expect(backward.sent(messageType.end)).toEqual([end(300, 'limit-reached')])
    server.receive(end(5, 'cancelled'))
    server.receive(begin(301))
    expect(accepted.length).toBe(limits.streamsPerBranch + 1)
  })

  test('is limited in the life of a branch: ids are never used again', () => {
    const channel = new ScriptedChannel(3)
    channel.writable = false
    const mux = new StreamMux(channel)
    for (let id = 1; id <= 0xffff; id++) open(mux, nothing, true).stream.reset('cancelled')
    expect(mux.openCount).toBe(0)
    expect(mux.canOpen).toBe(false)
    expect(codeOf(() => open(mux, nothing, true))).toBe('limit-reached')
  })
})
