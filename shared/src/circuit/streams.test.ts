import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, u16 } from '../bytes/index.ts'
import { recordSize } from '../envelope/index.ts'
import { type ErrorCode, toWire } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import {
  type Begin,
  decodeBegin,
  encodeBegin,
  type Message,
  messageType,
  type Opening,
  partSize,
  type Stream,
  StreamMux,
} from './index.ts'
import { Recorder, ScriptedChannel, type Wire, wire } from './testing/wire.ts'

const nothing = new Uint8Array(0)
/** Cells that one end can be made to hold, by whatever sender: those with credit given back, and a window without. */
const mostHeld = limits.heldPerBranch + limits.branchWindow

function heldBy(sides: Iterable<{ recorder: Recorder }>): number {
  return [...sides].reduce((sum, { recorder }) => sum + recorder.unconsumed, 0)
}

/** A wire whose server records each stream, and answers nothing unless told. */
function recording(options: { depth?: number; consume?: 'at once' | 'later'; refuse?: ErrorCode } = {}) {
  const accepted: { stream: Stream; opening: Opening; recorder: Recorder }[] = []
  const joined = wire((stream, opening) => {
    if (options.refuse !== undefined) return options.refuse
    const recorder = new Recorder(options.consume)
    recorder.stream = stream
    accepted.push({ stream, opening: { ...opening, argument: Uint8Array.from(opening.argument) }, recorder })
    return recorder
  }, options.depth)
  return { ...joined, accepted }
}

function open(mux: StreamMux, data: Uint8Array, end: boolean, recorder = new Recorder(), argument = nothing) {
  const stream = mux.open('rpc', argument, recorder, { data, end })
  recorder.stream = stream
  return { stream, recorder }
}

function begin(stream: number, fields: Partial<Begin> = {}): Message {
  const data = encodeBegin({ service: 'rpc', argument: nothing, whole: false, isFree: false, data: nothing, ...fields })
  return { type: messageType.begin, stream, data }
}

function data(stream: number, bytes: Uint8Array = pattern(1)): Message {
  return { type: messageType.data, stream, data: bytes }
}

function end(stream: number, code: ErrorCode = 'done', bytes: Uint8Array = nothing): Message {
  return { type: messageType.end, stream, data: concat(Uint8Array.of(toWire(code)), bytes) }
}

function credit(stream: number, cells: number): Message {
  return { type: messageType.credit, stream, data: u16(cells) }
}

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

  test('brings thousands of records to a client that gives none', () => {
    const records = 3000
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

describe('reset', () => {
  test('before the BEGIN left sends nothing at all', () => {
    const { client, forward } = recording()
    forward.writable = false
    const { stream, recorder } = open(client, pattern(10), true)
    stream.reset('cancelled')
    forward.writable = true
    client.pump()
    expect(forward.log).toEqual([])
    expect(recorder.ends).toEqual([])
    expect(client.openCount).toBe(0)
  })

  test('while sending stops the rest, tells the other side why, and tells nobody here', () => {
    const { client, server, accepted, forward, settle } = recording({ consume: 'later' })
    const { stream, recorder } = open(client, pattern(400 * partSize), true)
    settle()
    stream.reset('timed-out')
    settle()
    expect(accepted[0]?.recorder.ends).toEqual(['timed-out'])
    expect(recorder.ends).toEqual([])
    expect([client.openCount, server.openCount]).toEqual([0, 0])
    const sent = forward.costly()
    stream.send(pattern(1), true)
    stream.reset('cancelled')
    client.pump()
    settle()
    expect(forward.costly()).toBe(sent)
    expect(forward.sent(messageType.end).length).toBe(1)
  })

  test('with the whole request sent and the answer awaited ends the stream at the server', () => {
    const { client, server, accepted, settle } = recording()
    const { stream } = open(client, pattern(10), true)
    settle()
    stream.reset('cancelled')
    settle()
    expect(accepted[0]?.recorder.ends).toEqual(['done', 'cancelled'])
    expect(server.openCount).toBe(0)
    accepted[0]?.stream.send(pattern(10), true)
    settle()
    expect(client.openCount).toBe(0)
  })

  test('while the answer is on its way lets it arrive and go, and its credit comes back', () => {
    const { client, accepted, backward, forward, settle } = recording()
    const { stream, recorder } = open(client, pattern(10), true)
    settle()
    accepted[0]?.stream.send(pattern(200 * partSize), true)
    stream.reset('cancelled')
    settle()
    expect(recorder.data).toEqual([])
    expect(recorder.ends).toEqual([])
    expect(backward.costly() - forward.credit()).toBeLessThan(limits.creditStep)
  })

  test('by the server ends the client', () => {
    const { client, server, accepted, settle } = recording()
    const { recorder } = open(client, pattern(10), false)
    settle()
    accepted[0]?.stream.reset('refused')
    settle()
    expect(recorder.ends).toEqual(['refused'])
    expect([client.openCount, server.openCount]).toEqual([0, 0])
  })

  test('by both sides at once is over on both', () => {
    const { client, server, accepted, settle } = recording()
    const { stream, recorder } = open(client, pattern(10), false)
    settle()
    stream.reset('cancelled')
    accepted[0]?.stream.reset('refused')
    settle()
    expect([client.openCount, server.openCount]).toEqual([0, 0])
    expect([recorder.ends, accepted[0]?.recorder.ends]).toEqual([[], []])
  })

  test('with a code the other side does not know arrives as a violation', () => {
    const { client } = recording()
    const { recorder } = open(client, pattern(1), true)
    client.receive({ type: messageType.end, stream: 1, data: Uint8Array.of(200) })
    expect(recorder.ends).toEqual(['protocol-violation'])
  })
})

describe('refusing', () => {
  test('a service ends the stream with the code, and its cell is credited', () => {
    const { client, server, forward, backward, settle } = recording({ refuse: 'unknown-service' })
    const all = Array.from({ length: 200 }, () => open(client, pattern(partSize), true).recorder)
    settle()
    expect(all.every(({ ends }) => ends.join() === 'unknown-service')).toBe(true)
    expect([client.openCount, server.openCount]).toEqual([0, 0])
    expect(forward.costly() - backward.credit()).toBeLessThan(limits.creditStep)
  })

  test('goes on while the rest of the request comes in', () => {
    const { client, server, forward, backward, settle } = recording({ refuse: 'refused' })
    const { recorder } = open(client, pattern(300 * partSize), true)
    settle()
    expect(recorder.ends).toEqual(['refused'])
    expect([client.openCount, server.openCount]).toEqual([0, 0])
    expect(forward.costly() - backward.credit()).toBeLessThan(limits.creditStep)
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

describe('a violation is', () => {
  test.each<[string, Message]>([
    ['a stream id used before', begin(5)],
    ['a stream id that is lower', begin(4)],
    ['stream id 0', begin(0)],
    ['a BEGIN cut off', { ...begin(6), data: Uint8Array.of(0) }],
    ['data for no stream', data(0)],
    ['data for a stream that never was', data(6)],
    ['an END for a stream that never was', end(6)],
    ['credit for a stream that never was', credit(6, 1)],
    ['an END without a code', { type: messageType.end, stream: 5, data: nothing }],
    ['CREDIT cut off', { type: messageType.credit, stream: 0, data: Uint8Array.of(1) }],
    ['CREDIT with trailing bytes', { type: messageType.credit, stream: 5, data: Uint8Array.of(0, 1, 0) }],
    [
      'CREDIT with trailing bytes for a stream that is closed',
      { type: messageType.credit, stream: 3, data: pattern(3) },
    ],
    ['CONNECTED with data', { type: messageType.connected, stream: 5, data: pattern(1) }],
    ['EXTENDED on a stream', { type: messageType.extended, stream: 5, data: pattern(9) }],
    ['SHAPE', { type: messageType.shape, stream: 5, data: nothing }],
    ['type 0', { type: 0, stream: 5, data: nothing }],
    ['an unknown type', { type: 200, stream: 5, data: nothing }],
    ['an unknown type on a stream that is closed', { type: 200, stream: 3, data: nothing }],
  ])('%s, at the server', (_, message) => {
    const { server } = recording()
    server.receive(begin(3))
    server.receive(end(3, 'cancelled'))
    server.receive(begin(5))
    expect(codeOf(() => server.receive(message))).toBe('protocol-violation')
  })

  test.each<[string, Message]>([
    ['a BEGIN', begin(2)],
    ['data for a stream that never was', data(2)],
    ['data for no stream', data(0)],
    ['an unknown type', { type: 99, stream: 1, data: nothing }],
  ])('%s, at the client', (_, message) => {
    const { client } = recording()
    open(client, pattern(1), true)
    expect(codeOf(() => client.receive(message))).toBe('protocol-violation')
  })

  test('END twice, or data after it, while the stream is open the other way', () => {
    for (const second of [end(1), data(1), end(1, 'done', pattern(3)), end(1, 'cancelled', pattern(3))]) {
      const { server, accepted } = recording()
      server.receive(begin(1))
      server.receive(end(1))
      expect(codeOf(() => server.receive(second))).toBe('protocol-violation')
      expect(accepted[0]?.recorder.ends).toEqual(['done'])
    }
  })

  test('END or data after a BEGIN that said it was the whole', () => {
    for (const second of [end(1), data(1)]) {
      const { server } = recording()
      server.receive(begin(1, { whole: true }))
      expect(codeOf(() => server.receive(second))).toBe('protocol-violation')
    }
  })
})

describe('late messages for a stream that is closed', () => {
  test('are dropped, and their cells are credited', () => {
    const { server, backward, accepted } = recording()
    server.receive(begin(1))
    server.receive(end(1, 'cancelled'))
    const late = 2 * mostHeld
    for (let i = 0; i < late; i++) server.receive(data(1))
    for (const message of [end(1), end(1, 'refused', pattern(3)), credit(1, 9), end(1)]) server.receive(message)
    expect(accepted[0]?.recorder).toMatchObject({ data: [], ends: ['cancelled'] })
    expect(backward.credit()).toBeGreaterThan(late + 2 - limits.creditStep)
    expect(server.openCount).toBe(0)
  })

  test('include those for ids that the client passed over', () => {
    const { client, server, forward, settle } = recording()
    forward.writable = false
    open(client, pattern(1), true).stream.reset('cancelled')
    forward.writable = true
    open(client, pattern(1), true)
    settle()
    expect(forward.log.map(({ stream }) => stream)).toEqual([2])
    expect(codeOf(() => server.receive(data(1)))).toBeUndefined()
  })
})

describe('closeAll', () => {
  test('ends every stream with the code, once, and nothing is sent any more', () => {
    const { client, forward, settle } = recording({ consume: 'later' })
    const all = [open(client, pattern(400 * partSize), true), open(client, pattern(10), false)]
    settle()
    const sent = forward.log.length
    client.closeAll('link-lost')
    client.closeAll('internal')
    for (const { stream, recorder } of all) {
      expect(recorder.ends).toEqual(['link-lost'])
      stream.send(pattern(1), true)
      stream.reset('cancelled')
      stream.consumed()
    }
    client.pump()
    expect(forward.log.length).toBe(sent)
    expect(client.openCount).toBe(0)
  })

  test('leaves a mux that opens nothing more, and says why', () => {
    const { client } = recording()
    client.closeAll('draining')
    expect(client.canOpen).toBe(false)
    expect(codeOf(() => open(client, pattern(1), true))).toBe('draining')
  })
})

test('a handler that resets its stream, or the branch, from within what it is told leaves no trace', () => {
  const closing = (act: (stream: Stream, mux: StreamMux) => void) => {
    const channel = new ScriptedChannel(3)
    const mux: StreamMux = new StreamMux(channel, (stream) => {
      act(stream, mux)
      return {
        onData: () => act(stream, mux),
        onEnd: () => act(stream, mux),
      }
    })
    mux.receive(begin(1, { data: pattern(5), whole: true }))
    mux.receive(begin(2, { data: pattern(5) }))
    mux.receive(data(2))
    mux.receive(end(2, 'done', pattern(4)))
    expect(mux.openCount).toBe(0)
  }
  closing((stream) => stream.reset('refused'))
  closing((_, mux) => mux.closeAll('cancelled'))
})

describe('under any schedule', () => {
  type Step = readonly [kind: string, pick: number, size: number]
  const aStep: fc.Arbitrary<Step> = fc.tuple(
    fc.constantFrom(
      'open',
      'open free',
      'write',
      'answer',
      'forward',
      'backward',
      'consume',
      'reset',
      'block',
      'unblock',
    ),
    fc.nat(1000),
    fc.oneof(fc.nat(3 * partSize), fc.nat(300 * partSize)),
  )

  interface Side {
    readonly stream: Stream
    /** What it receives takes no credit. */
    readonly isFree: boolean
    readonly recorder: Recorder
    /** What it was given to send. */
    sent: Uint8Array
    ended: boolean
    wasReset: boolean
  }

  class Model {
    readonly clients: Side[] = []
    readonly servers = new Map<number, Side>()
    readonly wire: Wire = wire((stream) => {
      const recorder = new Recorder('later')
      recorder.stream = stream
      this.servers.set(stream.id, { stream, isFree: false, recorder, sent: nothing, ended: false, wasReset: false })
      return recorder
    })

    run([kind, pick, size]: Step): void {
      const { client, server, forward, backward } = this.wire
      const sides = [...this.clients, ...this.servers.values()]
      const side = sides[pick % Math.max(sides.length, 1)]
      if (kind === 'open' || kind === 'open free') {
        const recorder = new Recorder('later')
        const first = pattern(size, pick)
        const ended = pick % 2 === 0
        const isFree = kind === 'open free'
        const stream = client.open('rpc', nothing, recorder, { data: first, end: ended }, { isFree })
        recorder.stream = stream
        this.clients.push({ stream, isFree, recorder, sent: first, ended, wasReset: false })
      } else if (kind === 'write' || kind === 'answer') {
        if (side !== undefined && !side.ended && !side.wasReset) this.#write(side, pattern(size, pick), pick % 3 === 0)
      } else if (kind === 'forward' || kind === 'backward') {
        for (let i = 0; i <= size % 300; i++) this.wire.deliver(kind)
      } else if (kind === 'consume') {
        for (let i = 0; i <= size % 200; i++) side?.recorder.consumeOne()
      } else if (kind === 'reset') {
        if (side !== undefined && pick % 4 === 0) {
          side.stream.reset('cancelled')
          side.wasReset = true
        }
      } else {
        const channel = pick % 2 === 0 ? forward : backward
        channel.writable = kind === 'unblock'
        ;(channel === forward ? client : server).pump()
      }
    }

    #write(side: Side, bytes: Uint8Array, last: boolean): void {
      side.sent = concat(side.sent, bytes)
      side.ended = last
      side.stream.send(bytes, last)
    }

    /** Never more on the way or waiting to be consumed than the windows allow, by the wire's own books. */
    checkWindows(): void {
      const { forward, backward } = this.wire
      expect(forward.costly() - backward.credit()).toBeLessThanOrEqual(limits.branchWindow)
      expect(backward.costly() - forward.credit()).toBeLessThanOrEqual(limits.branchWindow)
      expect(heldBy(this.clients.filter(({ isFree }) => !isFree))).toBeLessThanOrEqual(mostHeld)
      expect(heldBy(this.servers.values())).toBeLessThanOrEqual(mostHeld)
      for (const { stream, isFree } of this.clients) {
        if (isFree) expect(forward.credit(stream.id)).toBe(0)
        expect(forward.costly(stream.id) - backward.credit(stream.id)).toBeLessThanOrEqual(limits.streamWindow)
        expect(backward.costly(stream.id) - forward.credit(stream.id)).toBeLessThanOrEqual(limits.streamWindow)
      }
    }

    /** Everyone ends what they have not ended, everything arrives, everything is consumed. */
    finish(): void {
      const { client, server, forward, backward } = this.wire
      forward.writable = true
      backward.writable = true
      const endAll = (sides: Iterable<Side>) => {
        for (const side of sides) if (!side.ended && !side.wasReset) this.#write(side, nothing, true)
      }
      endAll(this.clients)
      for (let before = -1; before !== forward.log.length + backward.log.length; ) {
        before = forward.log.length + backward.log.length
        client.pump()
        server.pump()
        this.wire.settle()
        endAll(this.servers.values())
        for (const { recorder } of [...this.clients, ...this.servers.values()]) {
          while (recorder.unconsumed > 0) recorder.consumeOne()
        }
      }
    }

    checkEnd(): void {
      const { client, server, forward, backward } = this.wire
      expect([client.openCount, server.openCount]).toEqual([0, 0])
      expect(forward.costly() - backward.credit()).toBeLessThan(limits.creditStep)
      expect(backward.costly() - forward.credit()).toBeLessThan(limits.creditStep)
      for (const near of this.clients) {
        const far = this.servers.get(near.stream.id)
        const undisturbed = !near.wasReset && far?.wasReset !== true
        this.#checkArrived(near.sent, far?.recorder, undisturbed)
        this.#checkArrived(far?.sent ?? nothing, near.recorder, undisturbed)
      }
    }

    /** In order and from the beginning; all of it, where nobody reset the stream. */
    #checkArrived(sent: Uint8Array, recorder: Recorder | undefined, all: boolean): void {
      const arrived = concat(...(recorder?.data ?? []))
      expect(Buffer.compare(arrived, sent.subarray(0, arrived.length))).toBe(0)
      if (!all) return
      expect(arrived.length).toBe(sent.length)
      expect(recorder?.ends).toEqual(['done'])
    }
  }

  // Twenty that stall hold more than is credited on arrival; nobody who keeps to the windows overflows then either.
  test.each([
    ['', 0, { minLength: 5, maxLength: 60 }, 60],
    [', among users that stall', 20, { maxLength: 15 }, 8],
  ] as const)('all bytes arrive in order, windows hold, and all credit comes back%s', (_, stalled, length, numRuns) => {
    fc.assert(
      fc.property(fc.array(aStep, length), (steps) => {
        const model = new Model()
        for (let count = 0; count < stalled; count++) model.run(['open', 2 * count, 300 * partSize])
        model.wire.settle()
        if (stalled > 0) expect(heldBy(model.servers.values())).toBe(mostHeld)
        for (const step of steps) {
          model.run(step)
          model.checkWindows()
        }
        model.finish()
        model.checkWindows()
        model.checkEnd()
      }),
      { numRuns },
    )
  })

  const mostStreams = 40
  const anId = fc.integer({ min: 1, max: mostStreams })
  const aMessage = fc.oneof(
    fc.record({ type: fc.nat(15), stream: fc.nat(mostStreams), data: fc.uint8Array({ maxLength: 6 }) }),
    fc
      .tuple(anId, fc.boolean(), fc.boolean())
      .map(([id, whole, isFree]) => begin(id, { whole, isFree, data: pattern(3) })),
    fc.nat(mostStreams).map((id) => data(id)),
    fc.tuple(anId, fc.constantFrom<ErrorCode>('done', 'refused')).map(([id, code]) => end(id, code)),
  )

  test('arbitrary messages end in a violation or an overflow, and never in more than the limits', () => {
    const aFlood = fc.record({ message: aMessage, times: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 600 })) })
    fc.assert(
      fc.property(fc.array(aFlood, { maxLength: 60 }), fc.boolean(), (floods, areOpen) => {
        const { server, client, backward, accepted } = recording({ consume: 'later' })
        const { recorder } = open(client, pattern(1), false)
        if (areOpen) for (let id = 1; id <= mostStreams; id++) server.receive(begin(id))
        let received = accepted.length
        for (const { message, times } of floods) {
          for (const mux of [server, client]) {
            const codes = new Set(Array.from({ length: times }, () => codeOf(() => mux.receive(message))))
            for (const code of codes) expect([undefined, 'protocol-violation', 'overflow']).toContain(code)
            expect(mux.openCount).toBeLessThanOrEqual(limits.streamsPerBranch)
          }
          received += times
          for (const each of [recorder, ...accepted.map((side) => side.recorder)])
            expect(each.unconsumed).toBeLessThanOrEqual(limits.streamWindow)
          expect(recorder.unconsumed).toBeLessThanOrEqual(mostHeld)
          expect(heldBy(accepted)).toBeLessThanOrEqual(mostHeld)
        }
        expect(accepted.length).toBeLessThanOrEqual(received)
        // Nothing is answered but ENDs and CREDITs, and no more than one message for each that came.
        expect(backward.log.length).toBeLessThanOrEqual(2 * received)
      }),
      { numRuns: 100 },
    )
  })

  test('a flood on many streams ends in an overflow once there is more than the limits', () => {
    const aFlood = fc.record({ id: anId, cells: fc.integer({ min: 100, max: limits.streamWindow }) })
    const floods = fc.uniqueArray(aFlood, { selector: ({ id }) => id, minLength: 20, maxLength: mostStreams })
    fc.assert(
      fc.property(floods, (all) => {
        const { server, accepted } = recording({ consume: 'later' })
        for (let id = 1; id <= mostStreams; id++) server.receive(begin(id, { data: pattern(1) }))
        let total = mostStreams
        for (const { id, cells } of all) {
          // The BEGIN was the stream's first cell.
          const allowed = Math.min(cells, limits.streamWindow - 1, mostHeld - total)
          total += allowed
          for (let cell = 0; cell < allowed; cell++) server.receive(data(id))
          expect(heldBy(accepted)).toBe(total)
          if (allowed === cells) continue
          expect(codeOf(() => server.receive(data(id)))).toBe('overflow')
          // The branch is closed by that.
          return
        }
      }),
      { numRuns: 40 },
    )
  })
})
