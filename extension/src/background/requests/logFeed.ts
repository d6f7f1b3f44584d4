/**
 * The logs of one subscription, made from the heads of its chain. They are read by block hash, so that no filter stays at
 * a gateway; those of a block that was dropped come again with `removed: true`. Whoever is told a block's logs was told
 * all before: what cannot be read is waited for, and where that is in vain nothing more is told.
 */
import { asNightjarError } from '@nightjar/shared/errors'
import { type Call, type Json, type Outcome, toRpcError } from '@nightjar/shared/rpc'
import { type Clock, pause, second } from '@nightjar/shared/runtime'
import type { HeadChange } from './heads.ts'

export type LogFilter = { readonly [key: string]: Json }

export interface LogFeedOptions {
  readonly clock: Clock
  /** `address` and `topics`, as the page gave them. */
  readonly filter: LogFilter
  read(call: Call): Promise<Outcome>
  send(log: Json): void
  /** There is nothing more to come, as the logs of a block cannot be had. */
  onFailed(): void
}

const blocksRemembered = 64
/** Changes that wait for the logs of an earlier block: bounds what a chain that is faster than its answers takes. */
const changesWaiting = 256
/** How often a node may refuse the logs of a block: the one that is asked may not have heard of the newest yet. */
const refusals = 6
const firstPause = 1 * second
const longestPause = 30 * second

export class LogFeed {
  readonly #options: LogFeedOptions
  /** What was told of each block, for the case that it is dropped. */
  readonly #told = new Map<string, readonly Json[]>()
  /** Changes whose turn has not come. */
  readonly #waiting: HeadChange[] = []
  /** Blocks that a waiting change drops. */
  readonly #dropped = new Set<string>()
  #isWorking = false
  #isOver = false

  constructor(options: LogFeedOptions) {
    this.#options = options
  }

  onChange(change: HeadChange): void {
    if (this.#isOver) return
    if (this.#waiting.length === changesWaiting) return this.#fail()
    this.#waiting.push(change)
    for (const { hash } of change.removed) this.#dropped.add(hash)
    if (!this.#isWorking) void this.#work()
  }

  end(): void {
    this.#isOver = true
    this.#waiting.length = 0
    this.#told.clear()
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let change = this.#waiting.shift(); change !== undefined; change = this.#waiting.shift()) {
      await this.#tell(change)
    }
    this.#isWorking = false
  }

  async #tell({ removed, added, missed }: HeadChange): Promise<void> {
    for (const { hash } of removed) this.#takeBack(hash)
    if (missed !== undefined) await this.#tellLogs({ fromBlock: quantity(missed.from), toBlock: quantity(missed.to) })
    for (const { hash } of added) {
      const logs = await this.#tellLogs({ blockHash: hash }, () => this.#dropped.has(hash))
      if (logs !== undefined) this.#told.set(hash, logs)
    }
    for (const hash of [...this.#told.keys()].slice(0, -blocksRemembered)) this.#told.delete(hash)
  }

  #takeBack(hash: string): void {
    const logs = this.#told.get(hash) ?? []
    for (const log of [...logs].reverse()) this.#options.send({ ...(log as LogFilter), removed: true })
    this.#told.delete(hash)
    this.#dropped.delete(hash)
  }

  /** @returns what was told; undefined where it is not wanted any more */
  async #tellLogs(where: LogFilter, isDropped = () => false): Promise<readonly Json[] | undefined> {
    const { clock, filter, read, send } = this.#options
    for (let failures = 0, refused = 0; !this.#isOver && !isDropped(); failures++) {
      const call = { method: 'eth_getLogs', params: [{ ...filter, ...where }] }
      // Without an answer it is not the node's doing: that is waited for, however long it takes.
      const outcome = await read(call).catch(refusalOf)
      if (this.#isOver || isDropped()) return undefined
      const logs = logsIn(outcome)
      if (logs !== undefined) {
        for (const log of logs) send(log)
        return logs
      }
      if (outcome !== undefined) refused += 1
      if (refused === refusals) this.#fail()
      else await pause(clock, Math.min(firstPause * 2 ** failures, longestPause))
    }
    return undefined
  }

  /** To go on would leave a hole that nobody sees. */
  #fail(): void {
    this.end()
    this.#options.onFailed()
  }
}

/** What the user does not allow is refused for good, as by a node. */
function refusalOf(thrown: unknown): Outcome | undefined {
  const error = asNightjarError(thrown)
  return error.code === 'would-link' ? { error: toRpcError(error) } : undefined
}

function logsIn(outcome: Outcome | undefined): readonly Json[] | undefined {
  if (outcome === undefined || 'error' in outcome || !Array.isArray(outcome.result)) return undefined
  const logs = outcome.result as readonly Json[]
  return logs.every((log) => typeof log === 'object' && log !== null && !Array.isArray(log)) ? logs : undefined
}

function quantity(value: number): string {
  return `0x${value.toString(16)}`
}
