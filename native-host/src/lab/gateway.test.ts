import { readFileSync } from 'node:fs'
import { minute, second } from '@nightjar/shared/runtime'
import { beforeEach, describe, expect, test } from 'vitest'
import { LabClock } from './clock.ts'
import { longestLingering, meanLingering, Watching, type WatchParams } from './gateway.ts'
import { chainId, makeWorld } from './world.ts'

const world = makeWorld(7, 1)
const gateway = world.network.relays.find(({ chains }) => chains.includes(chainId))?.id ?? ''
const params: WatchParams = { account: `0x${'11'.repeat(20)}`, stride: 1, delay: 5 * second }

let clock: LabClock
let reads: { readonly at: number; readonly block: number }[]
let watching: Watching
/** Of the next that lingers, in the mean's multiples of e. */
let chance: number

beforeEach(() => {
  clock = new LabClock(world.start)
  reads = []
  chance = 0.5
  const onRead = (_: WatchParams, block: number) => {
    reads.push({ at: clock.now(), block })
    return false
  }
  watching = new Watching({ clock, world, gateway, random: () => chance, onRead })
})

const silent = { onSlot() {}, onDone() {} }
const runFor = (duration: number) => clock.run(clock.now() + duration)

test('the numbers are those of docs/protocol.md', () => {
  const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8').replaceAll(/\s+/g, ' ')
  const [, mean, most] = /exponential, (\d+) minutes in the mean, (\d+) at most/.exec(page) ?? []
  expect([meanLingering, longestLingering]).toEqual([Number(mean) * minute, Number(most) * minute])
})

test('reads at each block that comes, its delay after the gateway has it, and not at the one that was there', async () => {
  const before = world.headAt(gateway, clock.now())
  watching.follow(params, silent)
  await runFor(1 * minute)
  expect(reads.length).toBeGreaterThanOrEqual(4)
  for (const [index, { at, block }] of reads.entries()) {
    expect(block).toBe(before + 1 + index)
    expect(at).toBeCloseTo(world.headTime(gateway, block) + params.delay, 3)
  }
})

test('with a stride reads at its multiples only', async () => {
  watching.follow({ ...params, stride: 3 }, silent)
  await runFor(3 * minute)
  expect(reads.length).toBeGreaterThanOrEqual(4)
  expect(reads.every(({ block }) => block % 3 === 0)).toBe(true)
})

describe('a watch that is', () => {
  test('given up is read for no more', async () => {
    const end = watching.follow(params, silent)
    await runFor(1 * minute)
    const count = reads.length
    end(false)
    await runFor(1 * minute)
    expect(reads.length).toBe(count)
  })

  test('lost goes on for its time', async () => {
    watching.follow(params, silent)(true)
    const duration = -meanLingering * Math.log(0.5)
    await runFor(2 * duration)
    expect(clock.now() - (reads.at(-1)?.at ?? 0)).toBeGreaterThan(duration)
    expect((reads.at(-1)?.at ?? 0) - world.start).toBeGreaterThan(duration - 13 * second)
  })

  test('lost goes on for its longest time at most', async () => {
    chance = 0.999999
    watching.follow(params, silent)(true)
    await runFor(2 * longestLingering)
    const last = (reads.at(-1)?.at ?? 0) - world.start
    expect(last).toBeLessThanOrEqual(longestLingering)
    expect(last).toBeGreaterThan(longestLingering - 13 * second)
  })

  test('lost and begun again with its delay has no gap', async () => {
    watching.follow(params, silent)(true)
    await runFor(30 * second)
    const slots: number[] = []
    watching.follow(params, { ...silent, onSlot: (block) => void slots.push(block) })
    await runFor(3 * minute)
    const blocks = reads.map(({ block }) => block)
    expect(blocks).toEqual(blocks.map((_, index) => (blocks[0] ?? 0) + index))
    expect(slots.at(-1)).toBe(blocks.at(-1))
  })

  test('lost does not linger where it has begun on the next branch already', async () => {
    const end = watching.follow(params, silent)
    const next = watching.follow(params, silent)
    end(true)
    await runFor(1 * minute)
    const blocks = reads.map(({ block }) => block)
    expect(new Set(blocks).size).toBe(blocks.length)
    next(false)
  })
})
