/** How streams end before their time: reset, refused, with their branch, and what still comes for them. */
import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { messageType, partSize, type Stream, StreamMux } from './index.ts'
import { begin, credit, data, end, mostHeld, open, recording } from './testing/streams.ts'
import { ScriptedChannel } from './testing/wire.ts'

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
