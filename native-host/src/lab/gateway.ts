/**
 * The watches of one client at one gateway: a copy of the rules of relay-server/src/gateway/watch.ts and watches.ts (which
 * this package must not import), told in docs/protocol.md, "Watches". gateway.test.ts compares the numbers with that page.
 */
import { limits } from '@nightjar/shared/limits'
import { type Clock, hour, type Timer } from '@nightjar/shared/runtime'
import type { World } from './world.ts'

export const meanLingering = 2 * hour
export const longestLingering = limits.lingering

/** As `nightjar_watch` takes it: an account, or a transaction. */
export interface WatchParams {
  readonly account?: string
  readonly transaction?: string
  readonly stride: number
  readonly delay: number
}

export interface WatchingOptions {
  readonly clock: Clock
  readonly world: World
  /** Its identity. */
  readonly gateway: string
  random(): number
  /** It asks its provider about the block. @returns whether nothing is left to tell */
  onRead(params: WatchParams, block: number): boolean
}

export interface WatchEnd {
  onSlot(block: number): void
  onDone(): void
}

interface Watch {
  readonly params: WatchParams
  readonly stop: () => void
  readonly listeners: Set<WatchEnd>
  /** The end of its lingering, where nobody is told. */
  end: Timer | undefined
}

export class Watching {
  readonly #options: WatchingOptions
  readonly #all = new Map<string, Watch>()

  constructor(options: WatchingOptions) {
    this.#options = options
  }

  /** @returns what ends it; `isLost` where its branch is gone */
  follow(params: WatchParams, listener: WatchEnd): (isLost: boolean) => void {
    const key = JSON.stringify(params)
    const watch = this.#all.get(key) ?? this.#begin(params)
    this.#all.set(key, watch)
    watch.end?.cancel()
    watch.end = undefined
    watch.listeners.add(listener)
    return (isLost) => {
      if (!watch.listeners.delete(listener) || watch.listeners.size > 0) return
      const { clock, random } = this.#options
      const end = () => {
        this.#all.delete(key)
        watch.stop()
      }
      if (!isLost) return end()
      watch.end = clock.after(Math.min(-meanLingering * Math.log(1 - random()), longestLingering), end)
    }
  }

  /** Not at the block that is there; at each later one of the grid, its delay after the head has come there. */
  #begin(params: WatchParams): Watch {
    const { clock, world, gateway, onRead } = this.#options
    const { stride, delay } = params
    const newest = () => {
      const head = world.headAt(gateway, clock.now())
      return head - (head % stride)
    }
    let taken = newest()
    let timer: Timer
    const watch: Watch = { params, listeners: new Set(), end: undefined, stop: () => timer.cancel() }
    const awaitSlot = () => {
      timer = clock.after(world.headTime(gateway, taken + stride) + delay - clock.now(), takeSlot)
    }
    const takeSlot = () => {
      taken = newest()
      const isLast = onRead(params, taken)
      for (const listener of watch.listeners) listener.onSlot(taken)
      if (isLast) for (const listener of watch.listeners) listener.onDone()
      else awaitSlot()
    }
    awaitSlot()
    return watch
  }
}
