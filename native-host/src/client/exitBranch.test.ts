import { utf8 } from '@nightjar/shared/bytes'
import { limits } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'
import { afterEach, describe, expect, test } from 'vitest'
import { hopsOf, startExits } from './testing/exits.ts'

const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const client of running.splice(0)) await client.stop()
})

async function start(exits?: number) {
  const made = await startExits(exits)
  running.push(made.client)
  return made
}

const end = new Uint8Array(0)

describe('an exit branch', () => {
  test('is replaced for new streams after ten minutes; the old one ends with its last stream', async () => {
    const { net, connect, exits, used } = await start()
    const old = await connect()
    const exit = used()
    await net.clock.elapse(12 * minute)
    // This one still goes over the old branch, while its successor is being opened.
    const late = await connect()
    await net.settle()
    expect(exit.hops.size).toBe(2)
    await connect()
    old.stream.send(utf8('still here'), false)
    await net.settle()
    expect(exit.connections[0]?.received).toBe('still here')
    old.stream.reset('cancelled')
    await net.settle()
    expect(exit.hops.size).toBe(2)
    exit.connections[1]?.stream.send(end, true)
    await net.settle()
    late.stream.send(end, true)
    await net.settle()
    expect(exit.hops.size).toBe(1)
    expect(hopsOf(exits).reduce((sum, hops) => sum + hops, 0)).toBe(1)
  })

  test('goes on where no successor can be had', async () => {
    const { net, connect, exits, used } = await start(1)
    await connect()
    await net.clock.elapse(12 * minute)
    used().up = false
    await connect()
    await net.settle()
    await connect()
    expect(hopsOf(exits)).toEqual([1])
    expect(used().connections).toHaveLength(3)
  })

  test('with a quiet connection is kept for hours; without one it is closed after some minutes', async () => {
    const { net, connect, used } = await start()
    const joined = await connect()
    await net.clock.elapse(180 * minute)
    expect(joined.endedWith).toBeUndefined()
    expect(used().hops.size).toBe(1)
    joined.stream.reset('cancelled')
    await net.clock.elapse(6 * minute - 1)
    expect(used().hops.size).toBe(1)
    await net.clock.elapse(9 * minute)
    expect(used().hops.size).toBe(0)
  })

  test('whose exit falls silent is given up soon where something was sent, and later where nothing was', async () => {
    for (const [sends, within] of [
      [true, 7 * second],
      [false, 26 * second],
    ] as const) {
      const { net, connect, used } = await start()
      const joined = await connect()
      used().silent = true
      await net.clock.elapse(1 * second)
      if (sends) joined.stream.send(utf8('anybody?'), false)
      await net.clock.elapse(within)
      await net.settle()
      expect(joined.endedWith).toBe('timed-out')
    }
  })

  test('full of streams takes no more; another exit does', async () => {
    const { net, open, exits } = await start(2)
    await net.run(Promise.all(Array.from({ length: limits.tcpStreamsPerBranch }, () => open('me'))))
    expect(hopsOf(exits).sort()).toEqual([0, 1])
    await net.run(open('me'))
    expect(hopsOf(exits)).toEqual([1, 1])
  })
})
