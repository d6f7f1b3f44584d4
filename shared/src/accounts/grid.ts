/**
 * The blocks of a chain at which accounts are read: those whose number is a multiple of the stride, so that a slot, from
 * one to the next, is about as long as values may be old. All accounts share the grid, as one block has to answer for all;
 * when in the slot each is read is its own secret.
 */
import { hex, readU32 } from '../bytes/index.ts'
import { limits } from '../limits.ts'
import { minute, second } from '../runtime.ts'
import type { AccountsContext } from './context.ts'

export interface Grid {
  /** Blocks from one of the grid to the next. */
  readonly stride: number
  /** Milliseconds from one to the next, about. */
  readonly slot: number
  /** The longest delay of a read after its block, in milliseconds. */
  readonly longestDelay: number
}

/** Milliseconds from block to block. Of other chains it is measured. */
const blockTimes: ReadonlyMap<number, number> = new Map([
  [1, 12 * second],
  [11155111, 12 * second],
  [10, 2 * second],
  [8453, 2 * second],
  [137, 2 * second],
  [42161, 0.25 * second],
])

/** What a chain is taken for that has too few blocks to be measured. */
export const usualBlockTime = 12 * second
const shortestBlockTime = 0.1 * second

export function knownBlockTime(chain: number): number | undefined {
  return blockTimes.get(chain)
}

/** From two blocks: their numbers, and their timestamps in seconds. */
export function measuredBlockTime(from: TimedBlock, to: TimedBlock): number {
  const blocks = to.number - from.number
  const time = ((to.timestamp - from.timestamp) * second) / blocks
  return blocks > 0 && time > 0 ? Math.max(time, shortestBlockTime) : usualBlockTime
}

export interface TimedBlock {
  readonly number: number
  readonly timestamp: number
}

/** @param freshness how old a value may be, in milliseconds */
export function gridOf(blockTime: number, freshness: number): Grid {
  const stride = Math.min(Math.max(Math.round(freshness / blockTime), 1), limits.watchStride)
  // A chain that makes blocks on demand has no rhythm.
  const slot = Math.min(stride * blockTime, Math.max(freshness, minute))
  return { stride, slot, longestDelay: Math.min(slot, freshness, limits.watchDelay) }
}

export interface Schedule {
  readonly stride: number
  readonly delay: number
  readonly secret: string
}

export interface Watched {
  readonly chain: number
  /** No two of a chain are the same. */
  readonly subject: string
}

/**
 * How something is watched on the grid, at the gateway of that identity. The delay in each slot is its own; the secret shows
 * its gateway that it is the same client who asks for it on another branch, or after a loss, and takes up what went on there.
 * Both outlive restarts: what a client watched before would else come back as something new, all of it within half an hour.
 * With the secret another gateway could ask this one whether the watch goes on: so each is told one of its own.
 */
export function secretSchedule(
  context: Pick<AccountsContext, 'keyed'>,
  grid: Grid,
  watched: Watched,
): (gateway: string) => Schedule {
  const { stride } = grid
  const delay = secretDelay(context, grid, watched)
  const name = secretName(grid, watched)
  return (gateway) => ({ stride, delay, secret: hex(context.keyed(`${name} ${gateway}`).subarray(0, 16)) })
}

/** Milliseconds from a block of the grid to when it is read. */
export function secretDelay({ keyed }: Pick<AccountsContext, 'keyed'>, grid: Grid, watched: Watched): number {
  return Math.floor((readU32(keyed(secretName(grid, watched)), 0) / 2 ** 32) * grid.longestDelay)
}

function secretName({ stride, longestDelay }: Grid, { chain, subject }: Watched): string {
  return `${chain} ${subject} ${stride} ${longestDelay}`
}

/** How far apart the blocks of rounds are. */
const roundTime = 15 * minute
/** Blocks after which one is hardly replaced any more, and every gateway has it. */
const settled = 8

/**
 * The block that a round (later.ts) is of. Its parts are asked at times of their own but all name it, so it has to be one that
 * everybody else's rounds name too: a multiple of a power of two that depends on the chain alone.
 */
export function blockOfRound(chain: number, newest: number): number {
  const blocks = roundTime / (knownBlockTime(chain) ?? usualBlockTime)
  const stride = 2 ** Math.round(Math.log2(blocks))
  // A chain so young is somebody's own.
  if (newest < stride + settled) return newest
  return newest - settled - ((newest - settled) % stride)
}

/** The newest block of the grid that is not newer than `number`. */
export function onGrid(number: number, { stride }: Grid): number {
  return number - (number % stride)
}
