/**
 * The watches of all clients. Each is its client's alone: two who watch the same account are read for twice, at times of
 * their own, so neither learns of the other.
 *
 * A client that asks for the same on its next branch, its secret included, joins the watch in the middle of whatever it
 * does: it misses nothing, and the provider sees neither gap nor a second one. Without a secret anybody could ask, and would
 * learn from the time of the answers that somebody else watches this account. Who joins is told so, and need not read what
 * the next slot tells: a client that was started again does nothing then that one that renews its branch does not.
 *
 * Where the last of its branches is lost, a watch lingers: it goes on reading for a random time, so that the provider does
 * not see which accounts stop in the same second.
 */
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { encodeAnswer, type Question } from '@nightjar/shared/rpc'
import { type Clock, hour, type Timer } from '@nightjar/shared/runtime'
import type { Heads } from './follower.ts'
import type { Followed, Listener } from './followStream.ts'
import { AccountReader, TransactionReader, type Upstreams } from './readers.ts'
import { Watch, type WatchListener } from './watch.ts'
import { parseWatch, type WatchQuestion } from './watchQuestion.ts'

/** How long a watch lingers, in the mean: most machines are awake again by then. */
const meanLingering = 2 * hour

export interface WatchedChain {
  readonly heads: Heads
  readonly upstreams: Upstreams
}

export interface WatchesOptions {
  readonly clock: Clock
  /** A number in [0, 1): how long a watch lingers. */
  random(): number
}

const joined = { joined: true }

/** One watch, and the branches that are told. */
interface Shared {
  readonly watch: Watch
  readonly listeners: Set<WatchListener>
  /** The end of its lingering, where nobody is told. */
  end: Timer | undefined
}

export class Watches {
  readonly #options: WatchesOptions
  readonly #all = new Map<string, Shared>()
  #running = 0
  #lingering = 0
  #onQuiet: (() => void)[] = []

  constructor(options: WatchesOptions) {
    this.#options = options
  }

  /** Branches that are told of one. */
  get running(): number {
    return this.#running
  }

  get lingering(): number {
    return this.#lingering
  }

  /** Resolves when none lingers. */
  quiet(): Promise<void> {
    if (this.#lingering === 0) return Promise.resolve()
    return new Promise((resolve) => this.#onQuiet.push(resolve))
  }

  /** @throws NightjarError `bad-request` */
  follow(chain: WatchedChain, question: Question): Followed {
    const wanted = parseWatch(question.params)
    const key = [question.chain, ...Object.values(wanted)].join(' ')
    let told: WatchListener | undefined
    return {
      start: (listener) => {
        const known = this.#all.get(key)
        if (known === undefined && this.#all.size - this.#lingering >= limits.watchesPerProcess) {
          throw new NightjarError('limit-reached')
        }
        told = sealable(listener)
        this.#join(known ?? this.#begin(key, chain, wanted), told)
        if (known !== undefined) told.onAnswers([joined])
      },
      stop: (isLost) => {
        const shared = this.#all.get(key)
        if (told === undefined || shared?.listeners.delete(told) !== true) return
        this.#running -= 1
        if (shared.listeners.size > 0) return
        if (isLost) this.#linger(key, shared)
        else this.#end(key, shared)
      },
    }
  }

  /** Ends those that linger; the others end with their circuits. */
  close(): void {
    for (const [key, shared] of this.#all) if (shared.end !== undefined) this.#end(key, shared)
  }

  #begin(key: string, { heads, upstreams }: WatchedChain, wanted: WatchQuestion): Shared {
    const { subject, id, stride, delay } = wanted
    const schedule = { heads, clock: this.#options.clock, stride, delay }
    const options =
      subject === 'account'
        ? { ...schedule, reader: new AccountReader({ account: id, heads, upstreams }) }
        : {
            ...schedule,
            reader: new TransactionReader({ transaction: id, stride, upstreams }),
            lifetime: limits.transactionWatch,
          }
    const listeners = new Set<WatchListener>()
    const watch = new Watch(options, {
      onAnswers: (answers) => {
        for (const listener of listeners) listener.onAnswers(answers)
      },
      onEnd: (code) => {
        const all = [...listeners]
        this.#running -= all.length
        listeners.clear()
        this.#end(key, shared)
        for (const listener of all) listener.onEnd(code)
      },
    })
    const shared: Shared = { watch, listeners, end: undefined }
    this.#all.set(key, shared)
    return shared
  }

  #join(shared: Shared, listener: WatchListener): void {
    const isFirst = shared.listeners.size === 0 && shared.end === undefined
    shared.listeners.add(listener)
    this.#running += 1
    this.#forgetEnd(shared)
    if (isFirst) shared.watch.start()
  }

  #linger(key: string, shared: Shared): void {
    if (this.#lingering >= limits.lingeringWatches) return this.#end(key, shared)
    const { clock, random } = this.#options
    // Exponential: how long it has lasted says nothing about how long it still will.
    const duration = Math.min(-meanLingering * Math.log(1 - random()), limits.lingering)
    shared.end = clock.after(duration, () => this.#end(key, shared))
    this.#lingering += 1
  }

  #end(key: string, shared: Shared): void {
    this.#all.delete(key)
    shared.watch.stop()
    this.#forgetEnd(shared)
  }

  #forgetEnd(shared: Shared): void {
    if (shared.end === undefined) return
    shared.end.cancel()
    shared.end = undefined
    this.#lingering -= 1
    if (this.#lingering === 0) for (const resolve of this.#onQuiet.splice(0)) resolve()
  }
}

function sealable(listener: Listener): WatchListener {
  return {
    onAnswers: (answers) => listener.onAnswers(answers.map((result) => encodeAnswer({ result }))),
    onEnd: (code) => listener.onEnd(code),
  }
}
