import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { partSize, type Stream } from '@nightjar/shared/circuit'
import type { ErrorCode } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { minute } from '@nightjar/shared/runtime'
import { FakeClock, type JoinedMuxes, joinMuxes, turn } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { endOf, readAll, type SocketPair, socketPair } from '../testing/index.ts'
import { type Splice, type SpliceOptions, splice } from './index.ts'

const nothing = new Uint8Array(0)
const mebibyte = 2 ** 20

/** Two splices, as at the daemon and at the exit, with a socket beyond each. */
interface Way {
  readonly browser: SocketPair['outer']
  readonly host: SocketPair['outer']
  /** The near splice's own socket. */
  readonly inner: SocketPair['inner']
  readonly near: Splice
  readonly far: Splice
  /** With what they ended, once both have. */
  readonly ends: Promise<readonly [ErrorCode, ErrorCode]>
}

let clock: FakeClock
let muxes: JoinedMuxes
let toAccept: ((stream: Stream) => Pick<Splice, 'handler'>)[]
let opened: SocketPair[]

beforeEach(() => {
  clock = new FakeClock()
  toAccept = []
  opened = []
  muxes = joinMuxes((stream) => toAccept.shift()?.(stream).handler ?? 'refused')
})

afterEach(() => {
  for (const { inner, outer } of opened) {
    inner.destroy()
    outer.destroy()
  }
  expect(clock.pending).toBe(0)
})

async function pair(): Promise<SocketPair> {
  const both = await socketPair()
  opened.push(both)
  return both
}

function ending(options: Omit<SpliceOptions, 'clock' | 'idleAfter' | 'onEnd'>): {
  joined: Splice
  end: Promise<ErrorCode>
} {
  const { promise: end, resolve } = Promise.withResolvers<ErrorCode>()
  return { joined: splice({ clock, idleAfter: 2 * minute, onEnd: resolve, ...options }), end }
}

/** `later`: the near splice has not been given its socket. */
async function connected(when: 'now' | 'later' = 'now', options: Pick<SpliceOptions, 'budget'> = {}): Promise<Way> {
  const [browser, host] = [await pair(), await pair()]
  const far = Promise.withResolvers<ReturnType<typeof ending>>()
  toAccept.push((stream) => {
    const made = ending({ ...options, stream: () => stream })
    stream.connected()
    made.joined.start(host.inner)
    far.resolve(made)
    return made.joined
  })
  const { promise: yes, resolve: onConnected } = Promise.withResolvers<void>()
  const near = ending({ stream: () => stream, onConnected })
  const stream: Stream = muxes.client.open('tcp', nothing, near.joined.handler, { data: nothing, end: false })
  await yes
  if (when === 'now') near.joined.start(browser.inner)
  const { joined, end } = await far.promise
  return {
    browser: browser.outer,
    host: host.outer,
    inner: browser.inner,
    near: near.joined,
    far: joined,
    ends: Promise.all([near.end, end]),
  }
}

describe('what comes on one side leaves on the other', () => {
  test('5 MB each way at once, and each direction ends by itself', async () => {
    const { browser, host, near, far, ends } = await connected()
    const [up, down] = [randomBytes(5 * mebibyte), randomBytes(5 * mebibyte + 1)]
    browser.end(up)
    host.end(down)
    const [atHost, atBrowser] = await Promise.all([readAll(host), readAll(browser)])
    expect(atHost.equals(up)).toBe(true)
    expect(atBrowser.equals(down)).toBe(true)
    expect(await ends).toEqual(['done', 'done'])
    expect([near.sent, near.received, far.sent, far.received]).toEqual([up.length, down.length, down.length, up.length])
    expect(muxes.client.openCount + muxes.server.openCount).toBe(0)
  })

  test('a side that has ended still receives', async () => {
    const { browser, host, ends } = await connected()
    browser.end('question')
    expect((await readAll(host)).toString()).toBe('question')
    await turn()
    host.write('ans')
    await once(browser, 'readable')
    host.end('wer')
    expect((await readAll(browser)).toString()).toBe('answer')
    expect(await ends).toEqual(['done', 'done'])
  })

  test('many small parts of one turn leave in one write', async () => {
    const { inner, outer } = await pair()
    const write = vi.spyOn(inner, 'write')
    toAccept.push((stream) => {
      const { joined } = ending({ stream: () => stream })
      joined.start(inner)
      return joined
    })
    const data = randomBytes(50_000)
    muxes.client.open('tcp', nothing, { onData() {}, onEnd() {} }, { data, end: true })
    expect((await readAll(outer)).equals(data)).toBe(true)
    expect(write.mock.calls.map(([batch]) => batch.length)).toEqual([data.length])
    outer.end()
    await once(inner, 'close')
  })

  test('what comes before the socket is there waits for it, and so does the end', async () => {
    const { inner, outer } = await pair()
    const far = Promise.withResolvers<Splice>()
    toAccept.push((given) => {
      const { joined } = ending({ stream: () => given })
      far.resolve(joined)
      return joined
    })
    muxes.client.open('tcp', nothing, { onData() {}, onEnd() {} }, { data: Buffer.from('early'), end: true })
    const joined = await far.promise
    await turn()
    joined.start(inner)
    expect((await readAll(outer)).toString()).toBe('early')
    outer.end()
    await once(inner, 'close')
  })
})

describe('ends', () => {
  test('a reset of one socket resets the other', async () => {
    const { browser, host, ends } = await connected()
    const end = endOf(browser)
    host.resetAndDestroy()
    expect(await ends).toEqual(['connection-reset', 'connection-reset'])
    expect(await end).toBe('ECONNRESET')
  })

  test('a socket that is gone with one direction open is a reset, not an end', async () => {
    const { browser, host, far, ends } = await connected()
    const end = endOf(browser)
    // FIN, then its kernel's answer to what still comes, which the next write finds out.
    host.destroy()
    expect(await end).toBe('FIN')
    browser.write('more')
    while (far.received === 0) await turn()
    browser.write('and more')
    expect(await ends).toEqual(['connection-reset', 'connection-reset'])
  })

  test('the end of the circuit resets both sockets', async () => {
    const { browser, host, ends } = await connected()
    const both = [endOf(browser), endOf(host)]
    muxes.end()
    expect(await ends).toEqual(['link-lost', 'link-lost'])
    expect(await Promise.all(both)).toEqual(['ECONNRESET', 'ECONNRESET'])
  })

  test('either side may end it with a code, once', async () => {
    const { browser, host, near, ends } = await connected()
    const both = [endOf(browser), endOf(host)]
    near.end('cancelled')
    near.end('internal')
    expect(await ends).toEqual(['cancelled', 'cancelled'])
    expect(await Promise.all(both)).toEqual(['ECONNRESET', 'ECONNRESET'])
  })

  test('one that ended before its socket came closes that socket', async () => {
    const { inner, outer } = await pair()
    const { joined } = ending({ stream: () => stream })
    const stream: Stream = muxes.client.open('tcp', nothing, joined.handler, { data: nothing, end: false })
    joined.end('timed-out')
    joined.start(inner)
    expect(await endOf(outer)).toBe('FIN')
    expect(inner.destroyed).toBe(true)
  })

  test('silence of two minutes is `idle`; a byte in either direction starts them anew', async () => {
    const { browser, host, ends } = await connected()
    for (const [from, to] of [
      [browser, host],
      [host, browser],
    ] as const) {
      clock.advance(2 * minute - 1)
      from.write('x')
      await once(to, 'data')
      // The other end's books are closed in the turn in which its socket has taken the byte.
      await turn()
    }
    clock.advance(2 * minute - 1)
    expect([browser.destroyed, host.destroyed]).toEqual([false, false])
    clock.advance(1)
    expect(await ends).toEqual(['idle', 'idle'])
  })

  test('once one direction has ended, a minute is too long; while something moves it goes on', async () => {
    const { browser, host, ends } = await connected()
    browser.end()
    await once(host.resume(), 'end')
    clock.advance(limits.tcpHalfClosedIdle - 1)
    host.write('x')
    await once(browser, 'data')
    await turn()
    clock.advance(limits.tcpHalfClosedIdle - 1)
    expect([browser.destroyed, host.destroyed]).toEqual([false, false])
    clock.advance(1)
    expect(await ends).toEqual(['idle', 'idle'])
  })

  test('the budget of a branch is one for all its streams and both directions', async () => {
    const budget = { left: 3000 }
    const [one, two] = [await connected('now', { budget }), await connected('now', { budget })]
    one.browser.write(Buffer.alloc(1000))
    two.host.write(Buffer.alloc(2000))
    await Promise.all([once(one.host, 'data'), once(two.browser, 'data')])
    one.browser.write('x')
    expect(await one.ends).toEqual(['limit-reached', 'limit-reached'])
    two.host.write('x')
    expect(await two.ends).toEqual(['limit-reached', 'limit-reached'])
  })
})

describe('back-pressure', () => {
  test('a reader that stops bounds what is read for it, and no other stream waits for it', async () => {
    const stalled = await connected('later')
    const other = await connected()
    const data = randomBytes(16 * mebibyte)
    stalled.host.end(data)
    // Long enough: had the stalled stream gone on, it would have come as far as this one.
    other.browser.end(data)
    other.host.end(data)
    const [up, down] = await Promise.all([readAll(other.host), readAll(other.browser)])
    expect(up.equals(data) && down.equals(data)).toBe(true)

    const window = limits.streamWindow * partSize
    expect(stalled.far.sent).toBeGreaterThanOrEqual(window)
    expect(stalled.far.sent).toBeLessThan(2 * window)
    expect(muxes.mostUnderWay).toBeLessThan(2 * limits.branchWindow + limits.controlAllowance)

    stalled.near.start(stalled.inner)
    expect((await readAll(stalled.browser)).equals(data)).toBe(true)
    stalled.browser.end()
    expect(await stalled.ends).toEqual(['done', 'done'])
  })

  test('a browser that reads nothing is given no more than its socket takes, and gets all once it reads', async () => {
    const { browser, host, near, far, ends } = await connected()
    const data = randomBytes(24 * mebibyte)
    host.end(data)
    await once(browser, 'readable')
    while (muxes.underWay > 0) await turn()
    const held = far.sent - near.received
    expect(held).toBeLessThan(mebibyte)
    expect((await readAll(browser)).equals(data)).toBe(true)
    browser.end()
    expect(await ends).toEqual(['done', 'done'])
  })

  test('the branch gets its credit back for what a stream leaves behind', async () => {
    const data = randomBytes(mebibyte)
    const unread = { onData() {}, onEnd() {} }
    // Without it these three windows of a stream would be more than the branch's.
    for (let round = 0; round < 3; round++) {
      toAccept.push((stream) => {
        stream.send(data, false)
        return { handler: unread }
      })
      const { joined, end } = ending({ stream: () => stream })
      const stream: Stream = muxes.client.open('tcp', nothing, joined.handler, { data: nothing, end: false })
      do await turn()
      while (muxes.underWay > 0)
      joined.end('cancelled')
      expect(await end).toBe('cancelled')
    }
    const { browser, host, ends } = await connected()
    host.end(data)
    expect((await readAll(browser)).equals(data)).toBe(true)
    browser.end()
    expect(await ends).toEqual(['done', 'done'])
  })
})
