/**
 * MetaMask as measured (facts: docs/privacy/linking.md, "Traffic"): polls while its home page is open, calls for the
 * selected account, sends. And the person before it, who opens it a few times a day for minutes. A model.
 */

import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { day, minute, pause, second } from '@nightjar/shared/runtime'
import type { Chance } from './chance.ts'
import type { LabClock } from './clock.ts'
import { hopelessValue } from './node.ts'
import type { Signer } from './signing.ts'
import type { Trunks } from './trunks.ts'
import type { World } from './world.ts'

const checker = '0xb1f8e55c7f64d203c1400b9d8555d050f94adf39'
const multicall = '0xca11bde05977b3631167028862be2a173976ca11'
export const usualSessions = 12
const meanSession = 6 * minute
const shortestSession = 1 * minute
const longestSession = 30 * minute
const switchEvery = 4 * minute
const sendingSessions = 0.5
const hopelessSends = 0.08
const receiptEvery = 3 * second
const receiptsAsked = 60

export interface WalletOptions {
  readonly world: World
  readonly clock: LabClock
  readonly chance: Chance
  readonly signers: readonly Signer[]
  readonly trunks: Pick<Trunks, 'isAsleep'>
  readonly sessionsPerDay: number
  ask(call: Call): Promise<Outcome>
}

export class Wallet {
  readonly #options: WalletOptions
  readonly #nonces = new Map<Signer, number>()
  #selected: Signer
  #isOpen = false
  #closesAt = 0

  constructor(options: WalletOptions) {
    this.#options = options
    this.#selected = options.signers[0] as Signer
  }

  /** Its person's day, from now on. @param isAtOnce it begins with a look at the wallet */
  start(isAtOnce: boolean): void {
    const { world, clock, chance, sessionsPerDay } = this.#options
    if (isAtOnce) void this.#session()
    const left = world.end - clock.now()
    for (let sessions = chance.count((sessionsPerDay * left) / day); sessions > 0; sessions--) {
      clock.after(chance.next() * left, () => void this.#session())
    }
  }

  async #session(): Promise<void> {
    const { clock, chance, trunks } = this.#options
    if (this.#isOpen || trunks.isAsleep(clock.now())) return
    this.#isOpen = true
    const duration = Math.min(Math.max(chance.waiting(meanSession), shortestSession), longestSession)
    this.#closesAt = clock.now() + duration
    const every = chance.between(10, 20) * second
    void this.#repeat(every, () => this.#poll())
    void this.#repeat(30 * second, () => this.#lookAtSelected())
    void this.#browse()
    if (chance.next() < sendingSessions) {
      clock.after(chance.between(15 * second, Math.max(duration / 2, 30 * second)), () => void this.#send())
    }
    await pause(clock, duration)
    this.#isOpen = false
  }

  get #isShown(): boolean {
    const { clock, trunks } = this.#options
    return clock.now() < this.#closesAt && !trunks.isAsleep(clock.now())
  }

  async #repeat(every: number, action: () => Promise<unknown>): Promise<void> {
    for (; this.#isShown; await pause(this.#options.clock, every)) void action()
  }

  /** Looks at another account now and then. */
  async #browse(): Promise<void> {
    const { clock, chance, signers } = this.#options
    for (;;) {
      await pause(clock, chance.waiting(switchEvery))
      if (!this.#isShown) return
      this.#selected = chance.pick(signers)
      void this.#lookAtSelected()
    }
  }

  async #poll(): Promise<void> {
    const block = await this.#result('eth_blockNumber', [])
    if (typeof block !== 'string') return
    await this.#result('eth_getBlockByNumber', [block, false])
    await this.#askForAll(block)
  }

  async #askForAll(block: string): Promise<void> {
    const users = this.#options.signers.map(({ address }) => BigInt(address))
    await this.#result('eth_call', [{ to: checker, data: balances(users) }, block])
  }

  async #lookAtSelected(): Promise<void> {
    const block = await this.#result('eth_blockNumber', [])
    if (typeof block !== 'string') return
    const { address } = this.#selected
    // getEthBalance of Multicall3, and balanceOf of a token.
    const calls = [
      { to: multicall, data: `0x4d2301cc${word(BigInt(address))}` },
      { to: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48', data: `0x70a08231${word(BigInt(address))}` },
    ]
    await Promise.all(calls.map((call) => this.#result('eth_call', [{ to: multicall, data: aggregate(call) }, block])))
  }

  async #send(): Promise<void> {
    if (!this.#isShown) return
    const { clock, chance } = this.#options
    const signer = this.#selected
    const from = signer.address
    const to = `0x${word(BigInt(Math.floor(chance.next() * 2 ** 52)) ** 3n).slice(-40)}`
    const block = await this.#result('eth_blockNumber', [])
    if (typeof block !== 'string') return
    const isHopeless = chance.next() < hopelessSends
    const message = { from, to, value: isHopeless ? hopelessValue : '0x1' }
    const probes = ['01ffc9a7', '95d89b41', '313ce567'].map((selector) => ({ to, data: `0x${selector}${word(0n)}` }))
    const [estimate] = await Promise.all([
      this.#result('eth_estimateGas', [message]),
      this.#result('eth_getCode', [from, block]),
      this.#result('eth_getCode', [to, block]),
      this.#result('eth_gasPrice', []),
      this.#result('eth_getBalance', [from, block]),
      ...probes.map((probe) => this.#result('eth_call', [probe, block])),
      this.#result('eth_call', [{ to, data: `0x70a08231${word(BigInt(from))}` }, block]),
    ])
    if (estimate === undefined) return
    await this.#result('eth_getTransactionCount', [from, block])
    await pause(clock, chance.between(4 * second, 25 * second))
    const nonce = this.#nonces.get(signer) ?? 0
    this.#nonces.set(signer, nonce + 1)
    const hash = await this.#result('eth_sendRawTransaction', [signer.sign(nonce, to)])
    if (typeof hash !== 'string') return
    for (let asked = 0; asked < receiptsAsked; asked++) {
      await pause(clock, receiptEvery)
      const receipt = await this.#result('eth_getTransactionReceipt', [hash])
      if (typeof receipt !== 'object' || receipt === null) continue
      const { blockHash } = receipt as { readonly [name: string]: Json }
      await this.#result('eth_getBlockByHash', [blockHash ?? null, false])
      return this.#poll()
    }
  }

  /** Undefined where there is none: MetaMask asks again with its next poll. */
  async #result(method: string, params: readonly Json[]): Promise<Json | undefined> {
    try {
      const outcome = await this.#options.ask({ method, params })
      return 'result' in outcome ? outcome.result : undefined
    } catch (error) {
      if (!(error instanceof NightjarError)) throw error
      return undefined
    }
  }
}

function word(number: bigint): string {
  return number.toString(16).padStart(64, '0')
}

/** `balances(address[], address[])` of these users' ether. */
function balances(users: readonly bigint[]): string {
  const words = [0x40n, BigInt(0x60 + 32 * users.length), BigInt(users.length), ...users, 1n, 0n]
  return `0xf0002ea9${words.map(word).join('')}`
}

/** `aggregate3((address target, bool allowFailure, bytes callData)[])` of one call. */
function aggregate({ to, data }: { readonly to: string; readonly data: string }): string {
  const digits = data.slice(2)
  const head = [0x20n, 1n, 0x20n, BigInt(to), 1n, 0x60n, BigInt(digits.length / 2)]
  return `0x82ad56cb${head.map(word).join('')}${digits.padEnd(Math.ceil(digits.length / 64) * 64, '0')}`
}
