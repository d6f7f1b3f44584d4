/** How long, and how much, clients may have of an exit, and what becomes of connections that nobody wants any more. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { utf8 } from '@nightjar/shared/bytes'
import { limits } from '@nightjar/shared/limits'
import { minute } from '@nightjar/shared/runtime'
import { joinMuxes, turn } from '@nightjar/shared/testing'
import { readAll } from '@nightjar/shared-node/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Resolved } from './resolve.ts'
import { type Asked, address, ExitStage, host, noneOpen } from './testing/exitStage.ts'

let stage: ExitStage
beforeEach(async () => {
  stage = await ExitStage.set()
})
afterEach(() => stage.end())

describe('time and the end', () => {
  test('ten seconds without a connection are too long, resolution included', async () => {
    const answer = Promise.withResolvers<Resolved>()
    const slow = stage.open({ resolve: () => answer.promise })
    const { outcome } = stage.ask(`${host}:443`, { mux: joinMuxes(slow.serve()) })
    while (slow.counts.open === 0) await turn()
    stage.clock.advance(limits.tcpConnectTimeout)
    expect(await outcome).toBe('timed-out')
    answer.resolve({ addresses: [address], lifetime: 0 })
    await noneOpen(slow)
    expect(stage.dialled).toEqual([])
  })

  test('who asks and leaves holds its place while the name is asked for', async () => {
    const answer = Promise.withResolvers<Resolved>()
    const slow = stage.open({ resolve: () => answer.promise, maxStreams: 1 })
    const mux = joinMuxes(slow.serve())
    const first = stage.ask(`${host}:443`, { mux })
    while (slow.counts.open === 0) await turn()
    first.stream.reset('cancelled')
    while (slow.counts.ended.size === 0) await turn()
    await turn()
    expect(await stage.ask('sepolia.infura.io:443', { mux }).outcome).toBe('limit-reached')
    answer.reject(new Error('ENOTFOUND'))
    await noneOpen(slow)
    expect(await stage.ask('sepolia.infura.io:443', { mux }).outcome).toBe('name-not-found')
    await noneOpen(slow)
  })

  test('a connection on which nothing moves is kept for half an hour, not longer', async () => {
    const { outcome, end } = stage.ask(`${host}:443`)
    expect(await outcome).toBe('connected')
    stage.clock.advance(30 * minute - 1)
    await turn()
    expect(stage.exit.counts.open).toBe(1)
    stage.clock.advance(1)
    expect(await end).toBe('idle')
    expect(stage.counted()).toEqual({ idle: 1 })
  })

  test('a client that gives up ends the attempt', async () => {
    const given = Promise.withResolvers<AbortSignal>()
    const slow = stage.open({
      connect: (_address, _port, signal) => {
        given.resolve(signal)
        return new Promise(() => {})
      },
    })
    const { stream } = stage.ask(`${host}:443`, { mux: joinMuxes(slow.serve()) })
    const signal = await given.promise
    stream.reset('cancelled')
    await once(signal, 'abort')
    await noneOpen(slow)
    expect(Object.fromEntries(slow.counts.ended)).toEqual({ cancelled: 1 })
  })

  test('the end of the circuit ends its connections', async () => {
    const connected = once(stage.server, 'connection') as Promise<[Socket]>
    expect(await stage.ask(`${host}:443`).outcome).toBe('connected')
    const [socket] = await connected
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    stage.muxes.end()
    await closed
    expect(stage.counted()).toEqual({ 'link-lost': 1 })
  })

  test('a relay that stops ends them too', async () => {
    const { outcome, end } = stage.ask(`${host}:443`)
    expect(await outcome).toBe('connected')
    stage.exit.close()
    expect(await end).toBe('draining')
  })
})

describe('limits', () => {
  test('ten thousand streams: what is too much is refused and counted, and the branch serves on', async () => {
    const asked: Asked[] = []
    const outcomes = new Map<string, number>()
    let connected: Asked | undefined
    for (let n = 0; n < 10_000; n++) {
      // More than a branch may have open at once is not even begun by an honest client.
      while (!stage.muxes.client.canOpen) await turn()
      const one = stage.ask(`${host}:443`)
      asked.push(one)
      void one.outcome.then((outcome) => {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        if (outcome === 'connected') connected ??= one
      })
    }
    await Promise.all(asked.map(({ outcome }) => outcome))
    expect(Object.fromEntries(outcomes)).toEqual({
      connected: limits.tcpStreamsPerBranch,
      'limit-reached': 10_000 - limits.tcpStreamsPerBranch,
    })
    expect(stage.counted()).toEqual({ 'limit-reached': 10_000 - limits.tcpStreamsPerBranch })
    expect(stage.exit.counts.open).toBe(limits.tcpStreamsPerBranch)
    connected?.stream.send(utf8('still here'), true)
    expect(await connected?.end).toBe('done')
    expect(Buffer.concat(connected?.received ?? []).toString()).toBe('still here')
    while (stage.exit.counts.open === limits.tcpStreamsPerBranch) await turn()
    expect(await stage.ask(`${host}:443`).outcome).toBe('connected')
  })

  test('the streams of a process are bounded, whichever circuits they are on', async () => {
    const small = stage.open({ maxStreams: 2 })
    const [one, two] = [joinMuxes(small.serve()), joinMuxes(small.serve())]
    const first = stage.ask(`${host}:443`, { mux: one })
    expect(await first.outcome).toBe('connected')
    expect(await stage.ask(`${host}:443`, { mux: two }).outcome).toBe('connected')
    expect(await stage.ask(`${host}:443`, { mux: two }).outcome).toBe('limit-reached')
    first.stream.reset('cancelled')
    while (small.counts.open === 2) await turn()
    expect(await stage.ask(`${host}:443`, { mux: two }).outcome).toBe('connected')
    small.close()
  })

  test('when all places are taken a circuit gets one of the circuit that has most, the quietest', async () => {
    const small = stage.open({ maxStreams: 4 })
    const [greedy, modest] = [joinMuxes(small.serve()), joinMuxes(small.serve())]
    const taken: Asked[] = []
    for (let n = 0; n < 4; n++) {
      const asked = stage.ask(`${host}:443`, { mux: greedy })
      expect(await asked.outcome).toBe('connected')
      taken.push(asked)
      stage.clock.advance(1)
    }
    // It has most itself, so there is nothing to be had for it.
    expect(await stage.ask(`${host}:443`, { mux: greedy }).outcome).toBe('limit-reached')
    taken[0]?.stream.send(utf8('still here'), false)
    while (taken[0]?.received.length === 0) await turn()
    for (const quietest of [1, 2]) {
      expect(await stage.ask(`${host}:443`, { mux: modest }).outcome).toBe('connected')
      expect(await taken[quietest]?.end).toBe('limit-reached')
    }
    // Both have two now.
    expect(await stage.ask(`${host}:443`, { mux: modest }).outcome).toBe('limit-reached')
    expect(small.counts.open).toBe(4)
    small.close()
    await noneOpen(small)
  })

  test('the bytes of a branch are bounded, over all its streams', async () => {
    const small = stage.open({ bytesPerBranch: 5000 })
    const mux = joinMuxes(small.serve())
    const first = stage.ask(`${host}:443`, { mux })
    first.stream.send(new Uint8Array(2000), true)
    expect(await first.end).toBe('done')
    const next = stage.ask(`${host}:443`, { mux })
    next.stream.send(new Uint8Array(2000), true)
    expect(await next.end).toBe('limit-reached')
    // Another branch has its own.
    const other = stage.ask(`${host}:443`, { mux: joinMuxes(small.serve()) })
    other.stream.send(new Uint8Array(2000), true)
    expect(await other.end).toBe('done')
    await noneOpen(small)
  })

  test('what a client sends before there is a connection is bounded by its window, and reaches the host', async () => {
    const gate = Promise.withResolvers<void>()
    const slow = stage.open({
      own: () => [],
      resolve: async () => {
        await gate.promise
        return { addresses: [address], lifetime: 0 }
      },
    })
    const mux = joinMuxes(slow.serve())
    stage.server.removeAllListeners('connection')
    const connected = once(stage.server, 'connection') as Promise<[Socket]>
    const data = randomBytes(1_000_000)
    const { stream } = stage.ask(`${host}:443`, { mux })
    stream.send(data, true)
    while (mux.underWay > 0) await turn()
    expect(mux.client.openCount).toBe(1)
    gate.resolve()
    const [socket] = await connected
    expect((await readAll(socket)).equals(data)).toBe(true)
    socket.end()
    await noneOpen(slow)
    expect(Object.fromEntries(slow.counts.ended)).toEqual({ done: 1 })
  })
})
