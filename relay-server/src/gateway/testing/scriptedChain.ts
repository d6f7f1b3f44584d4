/** A chain whose blocks, accounts and receipts a test sets, behind an upstream that takes its time and logs its questions. */
import { NightjarError } from '@nightjar/shared/errors'
import { type Call, type Json, type Outcome, packNodes } from '@nightjar/shared/rpc'
import { type Clock, pause } from '@nightjar/shared/runtime'
import type { Chain } from '../broadcasts.ts'
import { block, header } from './blocks.ts'

export const account = `0x${'a1'.repeat(20)}`
export const transaction = `0x${'7e'.repeat(32)}`
export const emptyCodeHash = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'

export interface Asked extends Call {
  /** Milliseconds since the chain was made. */
  readonly at: number
  readonly method: string
  readonly params: readonly Json[]
}

export class ScriptedChain implements Chain {
  readonly asked: Asked[] = []
  readonly sent: Call[] = []
  head = 1
  /** Milliseconds that an answer to `method` takes. */
  latency: (method: string) => number = () => 0
  /** What is answered instead; a code is what it fails with. */
  readonly instead = new Map<string, Outcome | 'upstream-failed'>()
  receipt: Json = null
  readonly #clock: Clock
  readonly #made: number
  /** From which number on the blocks are of which fork; later entries count. */
  readonly #forks: { readonly from: number; readonly fork: number }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
    this.#made = clock.now()
  }

  /** All blocks from `from` on are others than before. */
  fork(from: number, fork: number): void {
    this.#forks.push({ from, fork })
  }

  hash(number: number): string {
    return header(number, this.#forkAt(number)).hash as string
  }

  /** What account watchers are told at `number`, of a chain that proves it. */
  state(number: number): Json {
    const { balance, nonce, codeHash, storageHash, accountProof } = this.#proof(number)
    const at = { number: `0x${number.toString(16)}`, hash: this.hash(number) }
    return { ...at, balance, nonce, codeHash, storageHash, proof: packNodes(accountProof as string[]) }
  }

  askedFor(method: string): Asked[] {
    return this.asked.filter((call) => call.method === method)
  }

  async read({ method, params = [] }: Call, signal: AbortSignal): Promise<Outcome> {
    this.asked.push({ at: this.#clock.now() - this.#made, method, params: params as readonly Json[] })
    const latency = this.latency(method)
    if (latency > 0) await pause(this.#clock, latency)
    const instead = this.instead.get(method)
    if (signal.aborted || instead === 'upstream-failed') throw new NightjarError('upstream-failed')
    return instead ?? { result: this.#answer(method, params as readonly Json[]) }
  }

  async once(call: Call): Promise<Outcome> {
    this.sent.push(call)
    return { result: '0xdone' }
  }

  #answer(method: string, params: readonly Json[]): Json {
    switch (method) {
      case 'eth_getBlockByNumber':
        return this.#block(params[0] === 'latest' ? this.head : Number(params[0]))
      case 'eth_getProof':
        return this.#proof(Number(params[2]))
      case 'eth_getBalance':
        return this.#proof(Number(params[1])).balance
      case 'eth_getTransactionCount':
        return '0x7'
      case 'eth_getCode':
        return '0x'
      case 'eth_getTransactionReceipt':
        return this.receipt
      default:
        return `${method} ${JSON.stringify(params)} at ${this.head}`
    }
  }

  #block(number: number): Json {
    if (number > this.head) return null
    return { ...block(number, this.#forkAt(number)), parentHash: this.hash(number - 1) }
  }

  #proof(number: number) {
    return {
      address: account,
      // Changes now and then.
      balance: `0x${Math.floor(number / 20).toString(16)}`,
      nonce: '0x7',
      codeHash: emptyCodeHash,
      storageHash: `0x${'56'.repeat(32)}`,
      accountProof: [`0xf90211${'a0'.repeat(500)}`, `0xf871${'b1'.repeat(100)}`],
      storageProof: [],
    }
  }

  #forkAt(number: number): number {
    return this.#forks.findLast(({ from }) => from <= number)?.fork ?? 0
  }
}
