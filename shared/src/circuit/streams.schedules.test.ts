/** Streams under any schedule of both ends and of the link, and under any messages of a peer. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat } from '../bytes/index.ts'
import type { ErrorCode } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { partSize, type Stream } from './index.ts'
import { begin, data, end, heldBy, mostHeld, nothing, open, recording } from './testing/streams.ts'
import { Recorder, type Wire, wire } from './testing/wire.ts'

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
