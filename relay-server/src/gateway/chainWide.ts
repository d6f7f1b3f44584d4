/**
 * What is the same for everybody on one chain: its newest blocks, fees and constants. The gateway asks for all of it by
 * itself, at each new head, while the chain is in use; nothing is kept because a client asked for it, so the time of an
 * answer tells nobody what another client asked.
 */
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { type Clock, minute, type Timer } from '@nightjar/shared/runtime'
import type { Chain } from './broadcasts.ts'
import { hexadecimal } from './fields.ts'
import type { HeadListener, Heads } from './follower.ts'
import type { Head } from './header.ts'

export interface ChainWideOptions {
  readonly upstreams: Pick<Chain, 'read'>
  readonly heads: Heads
  readonly clock: Clock
}

/** A chain that nobody has asked about for this long is not in use. */
const quiet = 5 * minute

const constants: readonly Call[] = ['eth_chainId', 'net_version', 'web3_clientVersion'].map((method) => ({ method }))
const fees: readonly Call[] = ['eth_gasPrice', 'eth_maxPriorityFeePerGas', 'eth_blobBaseFee'].map((method) => ({
  method,
}))
/** Blocks and percentiles that wallets ask `eth_feeHistory` for: MetaMask's, and those of the guides that dapps follow. */
const feeHistories: readonly (readonly [blocks: string, percentiles: readonly number[]])[] = [
  ['0x5', [10, 20, 30]],
  ['0x4', [25, 50, 75]],
]
const asked = new Set(['eth_feeHistory', ...[...constants, ...fees].map(({ method }) => method)])

type Prefetched = Map<string, Promise<Outcome | undefined>>

export class ChainWide {
  readonly #options: ChainWideOptions
  readonly #listener: HeadListener
  /** Aborted once the chain is not in use any more; undefined while it is not. */
  #inUse: AbortController | undefined
  #quiet: Timer | undefined
  readonly #constants: Prefetched = new Map()
  /** Answers for the newest head. */
  #atHead: Prefetched = new Map()

  constructor(options: ChainWideOptions) {
    this.#options = options
    this.#listener = {
      onHead: (head) => this.#inUse && this.#prefetch(head, this.#inUse.signal),
      onEnd: () => this.close(),
    }
  }

  /** Says that the chain is in use. */
  use(): void {
    this.#quiet?.cancel()
    this.#quiet = this.#options.clock.after(quiet, () => this.close())
    if (this.#inUse !== undefined) return
    this.#inUse = new AbortController()
    this.#options.heads.follow(this.#listener)
  }

  /** The answer to `call`, where it is the same for everybody and known or on its way. */
  find({ method, params = [] }: Call): Outcome | Promise<Outcome | undefined> | undefined {
    if (this.#inUse === undefined || !Array.isArray(params)) return undefined
    if (method === 'eth_blockNumber' && params.length === 0) return this.#number()
    if (method === 'eth_getBlockByNumber') return this.#block(params)
    if (!asked.has(method)) return undefined
    const key = keyOf({ method, params })
    return this.#constants.get(key) ?? this.#atHead.get(key)
  }

  close(): void {
    this.#quiet?.cancel()
    this.#inUse?.abort()
    this.#inUse = undefined
    this.#options.heads.unfollow(this.#listener)
    this.#constants.clear()
    this.#atHead.clear()
  }

  #number(): Outcome | undefined {
    const head = this.#options.heads.recent.at(-1)
    return head === undefined ? undefined : { result: hexadecimal(head.number) }
  }

  #block([name, withTransactions, ...rest]: readonly Json[]): Outcome | undefined {
    if (withTransactions !== false || rest.length > 0) return undefined
    const { recent } = this.#options.heads
    const head = name === 'latest' ? recent.at(-1) : recent.find(({ number }) => hexadecimal(number) === name)
    return head === undefined ? undefined : { result: head.block }
  }

  #prefetch(head: Head, signal: AbortSignal): void {
    this.#atHead = new Map()
    for (const call of fees) this.#atHead.set(keyOf(call), this.#ask(call, signal))
    for (const [blocks, percentiles] of feeHistories) {
      const history = (newest: string): Call => ({ method: 'eth_feeHistory', params: [blocks, newest, percentiles] })
      const call = history(hexadecimal(head.number))
      const answer = this.#ask(call, signal)
      this.#atHead.set(keyOf(call), answer)
      this.#atHead.set(keyOf(history('latest')), answer)
    }
    for (const call of constants) if (!this.#constants.has(keyOf(call))) void this.#askConstant(call, signal)
  }

  async #askConstant(call: Call, signal: AbortSignal): Promise<void> {
    const key = keyOf(call)
    const answer = this.#ask(call, signal)
    this.#constants.set(key, answer)
    const isKnown = (await answer) !== undefined
    // Asked for again at the next head.
    if (!isKnown && this.#constants.get(key) === answer) this.#constants.delete(key)
  }

  async #ask(call: Call, signal: AbortSignal): Promise<Outcome | undefined> {
    try {
      const outcome = await this.#options.upstreams.read(call, signal)
      // An error may be of the moment; whoever wants to know it asks.
      return 'error' in outcome ? undefined : outcome
    } catch {
      // Whoever asks gets it from the upstreams, or their error.
      return undefined
    }
  }
}

function keyOf({ method, params = [] }: Call): string {
  return `${method} ${JSON.stringify(params)}`
}
