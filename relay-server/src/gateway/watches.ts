/**
 * The watches of all clients. Each is its client's alone: two who watch the same account are read for twice, at times of
 * their own, so neither learns of the other.
 *
 * Where a branch is lost, its watches linger: they go on reading for a random time, so that the provider does not see
 * which accounts stop in the same second. A client that asks for the same again meanwhile, its secret delay included,
 * takes the watch over, and the provider sees no gap. Without the delay anybody could ask, and would learn from the time
 * of the answers that somebody else had watched this account.
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

export class Watches {
  readonly #options: WatchesOptions
  readonly #lingering = new Map<string, { readonly watch: Watch; readonly end: Timer }>()
  /** By key: how many watches have a client. */
  readonly #running = new Map<string, number>()
  #runningCount = 0
  #onQuiet: (() => void)[] = []

  constructor(options: WatchesOptions) {
    this.#options = options
  }

  /** Those that have a client. */
  get running(): number {
    return this.#runningCount
  }

  get lingering(): number {
    return this.#lingering.size
  }

  /** Resolves when none lingers. */
  quiet(): Promise<void> {
    if (this.#lingering.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#onQuiet.push(resolve))
  }

  /** @throws NightjarError `bad-request` */
  follow(chain: WatchedChain, question: Question): Followed {
    const wanted = parseWatch(question.params)
    const key = [question.chain, ...Object.values(wanted)].join(' ')
    let watch: Watch | undefined
    const release = () => {
      if (watch !== undefined) this.#count(key, -1)
      watch = undefined
    }
    return {
      start: (listener) => {
        if (this.#runningCount >= limits.watchesPerProcess) throw new NightjarError('limit-reached')
        this.#count(key, 1)
        const told = sealable(listener, release)
        watch = this.#takeOver(key, told) ?? this.#begin(chain, wanted, told)
      },
      stop: (isLost) => {
        const left = watch
        release()
        if (isLost && left !== undefined) this.#linger(key, left)
        else left?.stop()
      },
    }
  }

  /** Ends those that linger; the others end with their circuits. */
  close(): void {
    for (const key of this.#lingering.keys()) this.#forget(key)?.stop()
  }

  #begin({ heads, upstreams }: WatchedChain, wanted: WatchQuestion, listener: WatchListener): Watch {
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
    const watch = new Watch(options, listener)
    watch.start()
    return watch
  }

  #takeOver(key: string, listener: WatchListener): Watch | undefined {
    const watch = this.#forget(key)
    watch?.tell(listener)
    return watch
  }

  #linger(key: string, watch: Watch): void {
    // Where the client has asked for the same on its next branch already, nobody misses this one.
    const isContinued = this.#running.has(key) || this.#lingering.has(key)
    if (isContinued || this.#lingering.size >= limits.lingeringWatches) return watch.stop()
    const { clock, random } = this.#options
    // Exponential: how long it has lasted says nothing about how long it still will.
    const duration = Math.min(-meanLingering * Math.log(1 - random()), limits.lingering)
    this.#lingering.set(key, { watch, end: clock.after(duration, () => this.#forget(key)?.stop()) })
    watch.tell({ onAnswers() {}, onEnd: () => void this.#forget(key) })
  }

  #count(key: string, change: 1 | -1): void {
    const count = (this.#running.get(key) ?? 0) + change
    if (count === 0) this.#running.delete(key)
    else this.#running.set(key, count)
    this.#runningCount += change
  }

  #forget(key: string): Watch | undefined {
    const left = this.#lingering.get(key)
    this.#lingering.delete(key)
    left?.end.cancel()
    if (this.#lingering.size === 0) for (const resolve of this.#onQuiet.splice(0)) resolve()
    return left?.watch
  }
}

function sealable(listener: Listener, release: () => void): WatchListener {
  return {
    onAnswers: (answers) => listener.onAnswers(answers.map((result) => encodeAnswer({ result }))),
    onEnd(code) {
      release()
      listener.onEnd(code)
    },
  }
}
