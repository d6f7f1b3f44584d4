import { describe, expect, test } from 'vitest'
import { codeOf, pattern } from '../testing/index.ts'
import { type Message, messageType } from './index.ts'
import { begin, credit, data, end, nothing, open, recording } from './testing/streams.ts'

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
