/**
 * One user's two trunks: a model of client/trunks.ts in time, over the pins that the product's own selection makes. One is
 * replaced when a relay of it drains, before that restarts; all are lost at once where the user's machine sleeps or loses its
 * network.
 */
import type { Relay } from '@nightjar/shared/directory'
import { minute, second } from '@nightjar/shared/runtime'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { timeToLeave } from '../client/branch.ts'
import { preferredTrunk } from '../client/rendezvous.ts'
import { choosePins } from '../client/selection.ts'
import type { State } from '../state/store.ts'
import type { Chance } from './chance.ts'
import type { LabClock } from './clock.ts'
import type { Outage, World } from './world.ts'

export const usualSleeps = 3
/** For how many seconds a relay drains before it restarts: what it does unless it is told otherwise. */
export const drainSeconds = 30
const trunkCount = 2

export interface Trunk {
  /** Unlike any other's. */
  readonly id: number
  readonly entry: Relay
  readonly middle: Relay
  /** Milliseconds to the middle. */
  readonly latency: number
  isLost: boolean
  /** How many branches it has had. */
  branches: number
}

export interface TrunksOptions {
  readonly world: World
  readonly clock: LabClock
  readonly chance: Chance
  readonly state: State
  /** How often the machine sleeps. */
  readonly sleepsPerDay: number
  nextId(): number
  onLost(trunk: Trunk): void
  /** It has a successor, and its branches are to leave it, those that are kept too unless they `stay`. */
  onReplaced(trunk: Trunk, kept: 'leave' | 'stay'): void
}

export class Trunks {
  readonly pinned: readonly Relay[]
  /** When the machine sleeps. */
  readonly sleeps: readonly Outage[]
  readonly #options: TrunksOptions
  readonly #middles: readonly Relay[]
  readonly #slots: (Trunk | undefined)[] = []

  constructor(options: TrunksOptions) {
    const { world, clock, chance, state, sleepsPerDay } = options
    this.#options = options
    const { guards, middles } = choosePins(world.network, state, clock.now(), () => chance.next())
    this.pinned = [...guards, ...middles]
    this.#middles = middles
    const hours = (world.end - world.start) / (60 * minute)
    this.sleeps = Array.from({ length: chance.count((sleepsPerDay * hours) / 24) }, () => {
      const from = chance.between(world.start, world.end)
      return { from, to: from + chance.between(2 * minute, 40 * minute) }
    })
    for (let index = 0; index < trunkCount; index++) this.#open(index)
    for (const { from, to } of this.sleeps) {
      // The guard learns of it when the machine does not answer any more.
      this.#at(from + chance.between(1 * second, 30 * second), () => this.#loseAll(to - clock.now()))
    }
    for (const [index, middle] of middles.entries()) {
      this.#whenDraining(middle, () => this.#replaceThrough(middle, index))
    }
    const [guard] = guards
    if (guard !== undefined) {
      this.#whenDraining(guard, () => {
        for (let index = 0; index < trunkCount; index++) this.#replaceEntry(index)
      })
    }
  }

  isAsleep(time: number): boolean {
    return this.sleeps.some(({ from, to }) => time >= from && time < to)
  }

  /** The one that the group prefers, or the other while that is gone. */
  of(group: string): Trunk | undefined {
    const preferred = preferredTrunk(nativeCrypto, this.#options.state, group, trunkCount)
    return this.#slots[preferred] ?? this.#slots[1 - preferred]
  }

  besides(trunk: Trunk): readonly Trunk[] {
    return this.#slots.flatMap((each) => (each === undefined || each === trunk ? [] : [each]))
  }

  #open(index: number, middle = this.#middles[index] as Relay): void {
    const { chance, nextId } = this.#options
    const [entry] = this.pinned as readonly [Relay]
    this.#slots[index] = { id: nextId(), entry, middle, latency: chance.between(15, 50), isLost: false, branches: 0 }
  }

  #loseAll(pause: number): void {
    for (let index = 0; index < trunkCount; index++) {
      const trunk = this.#slots[index]
      if (trunk === undefined) continue
      this.#slots[index] = undefined
      trunk.isLost = true
      this.#options.onLost(trunk)
      this.#options.clock.after(pause, () => this.#open(index))
    }
  }

  #replaceThrough(middle: Relay, spare: number): void {
    const index = this.#slots.findIndex((trunk) => trunk?.middle === middle)
    const next = this.#middles[spare === trunkCount ? Math.max(index, 0) : trunkCount]
    if (index >= 0) this.#replace(index, next)
  }

  /** The next one is there first. */
  #replace(index: number, middle?: Relay): void {
    if (process.env.STAY) return this.#replaceEntry(index, middle)
    const trunk = this.#slots[index]
    if (trunk === undefined) return
    this.#open(index, middle)
    this.#options.onReplaced(trunk, 'leave')
  }

  /** What its middle keeps stays there, and is lost here when the rest has left. */
  #replaceEntry(index: number, middle?: Relay): void {
    const trunk = this.#slots[index]
    if (trunk === undefined) return
    this.#open(index, middle)
    const { clock, onReplaced, onLost } = this.#options
    onReplaced(trunk, 'stay')
    clock.after(timeToLeave(drainSeconds, minute), () => {
      trunk.isLost = true
      onLost(trunk)
    })
  }

  #whenDraining(relay: Relay, action: () => void): void {
    for (const { from } of this.#options.world.outagesOf(relay.id)) this.#at(from - drainSeconds * second, action)
  }

  #at(time: number, action: () => void): void {
    const { clock } = this.#options
    if (time >= clock.now()) clock.after(time - clock.now(), action)
  }
}
