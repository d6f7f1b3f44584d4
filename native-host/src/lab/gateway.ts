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
  /** Undefined while it lingers. */
  listener: WatchEnd | undefined
}

export class Watching {
  readonly #options: WatchingOptions
  readonly #running = new Map<string, number>()
  readonly #lingering = new Map<string, { readonly watch: Watch; readonly end: Timer }>()

  constructor(options: WatchingOptions) {
    this.#options = options
  }

  /** @returns what ends it; `isLost` where its branch is gone */
  follow(params: WatchParams, listener: WatchEnd): (isLost: boolean) => void {
    const key = JSON.stringify(params)
    let watch: Watch | undefined = this.#forget(key) ?? this.#begin(params)
    watch.listener = listener
    this.#running.set(key, (this.#running.get(key) ?? 0) + 1)
    return (isLost) => {
      const left = watch
      watch = undefined
      if (left === undefined) return
      const running = (this.#running.get(key) ?? 0) - 1
      if (running > 0) this.#running.set(key, running)
      else this.#running.delete(key)
      if (isLost) this.#linger(key, left)
      else left.stop()
    }
  }

  #linger(key: string, watch: Watch): void {
    watch.listener = undefined
    // Its client has begun the same on its next branch already.
    if (this.#running.has(key) || this.#lingering.has(key)) return watch.stop()
    const { clock, random } = this.#options
    const duration = Math.min(-meanLingering * Math.log(1 - random()), longestLingering)
    this.#lingering.set(key, { watch, end: clock.after(duration, () => this.#forget(key)?.stop()) })
  }

  #forget(key: string): Watch | undefined {
    const left = this.#lingering.get(key)
    this.#lingering.delete(key)
    left?.end.cancel()
    return left?.watch
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
    const watch: Watch = { params, listener: undefined, stop: () => timer.cancel() }
    const awaitSlot = () => {
      timer = clock.after(world.headTime(gateway, taken + stride) + delay - clock.now(), takeSlot)
    }
    const takeSlot = () => {
      taken = newest()
      const isLast = onRead(params, taken)
      watch.listener?.onSlot(taken)
      if (isLast) watch.listener?.onDone()
      else awaitSlot()
    }
    awaitSlot()
    return watch
  }
}
