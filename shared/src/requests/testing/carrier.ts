/** A carrier that the test plays: what is sealed on it waits here until the test answers, loses or forges. */
import { type ErrorCode, NightjarError } from '../../errors/index.ts'
import type { Carrier, FollowHandler, Following } from '../carrier.ts'

export interface Exchange {
  readonly record: Uint8Array
  answer(record: Uint8Array): void
  fail(code: ErrorCode): void
}

export interface Follow {
  readonly record: Uint8Array
  readonly cells: number
  readonly handler: FollowHandler
  isStopped: boolean
}

export class ScriptedCarrier implements Carrier {
  readonly exchanges: Exchange[] = []
  readonly follows: Follow[] = []
  error: NightjarError | undefined
  /** How it was retired, once it was. */
  retired: 'in peace' | 'failed' | undefined
  isLeaving = false
  /** Milliseconds that it was asked to stand for. */
  readonly keeps: number[] = []
  readonly #listeners: ((error: NightjarError) => void)[] = []
  readonly #leavingListeners: (() => void)[] = []

  onClosed(listener: (error: NightjarError) => void): void {
    if (this.error === undefined) this.#listeners.push(listener)
    else listener(this.error)
  }

  onLeaving(listener: () => void): void {
    this.#leavingListeners.push(listener)
  }

  keep(duration: number): void {
    this.keeps.push(duration)
  }

  exchange(record: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const fail = (code: ErrorCode) => reject(new NightjarError(code))
      this.exchanges.push({ record, answer: resolve, fail })
    })
  }

  follow(record: Uint8Array, cells: number, handler: FollowHandler): Following {
    const follow = { record, cells, handler, isStopped: false }
    this.follows.push(follow)
    return {
      stop() {
        follow.isStopped = true
      },
    }
  }

  retire(failed = false): void {
    this.retired ??= failed ? 'failed' : 'in peace'
  }

  /** A relay on its way drains. */
  leave(): void {
    this.isLeaving = true
    for (const listener of this.#leavingListeners.splice(0)) listener()
  }

  /** Loses what is still waited for, as a carrier does that breaks. */
  close(code: ErrorCode): void {
    this.error = new NightjarError(code)
    for (const each of this.exchanges) each.fail(code)
    for (const { handler, isStopped } of this.follows) if (!isStopped) handler.onEnd(code)
    for (const listener of this.#listeners.splice(0)) listener(this.error)
  }
}
