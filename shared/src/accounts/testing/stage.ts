/** An `Accounts` over gateways in memory and a clock that stands still. */
import { utf8 } from '../../bytes/index.ts'
import { nobleCrypto } from '../../crypto/noble.ts'
import type { Hex } from '../../proofs/index.ts'
import type { Call, Json, Outcome } from '../../rpc/index.ts'
import { second } from '../../runtime.ts'
import { FakeClock } from '../../testing/index.ts'
import { OwnAccounts } from '../../wallet/index.ts'
import { Accounts } from '../accounts.ts'
import { type AccountSettings, type Disagreement, defaultSettings, type LieReport, type Linking } from '../context.ts'
import { Chain, type Held } from './chain.ts'
import { Gateways } from './gateways.ts'

export const site = 'site'
export const checker = '0xb1f8e55c7f64d203c1400b9d8555d050f94adf39'

export function accountOf(index: number): Hex {
  return `0x${(index + 1).toString(16).padStart(2, '0').repeat(20)}`
}

export interface StageOptions {
  readonly accounts?: number
  readonly settings?: Partial<AccountSettings>
  readonly seed?: number
  readonly chainId?: number
  /** In seconds. */
  readonly blockTime?: number
  /** Number of the newest block. */
  readonly height?: number
}

export async function setStage(options: StageOptions = {}) {
  const { accounts: count = 1, settings = {}, seed = 1, chainId = 1, blockTime = 12, height } = options
  const all = Array.from({ length: count }, (_, index) => accountOf(index))
  const holdings = new Map(
    all.map((account, index): [Hex, Held] => [account, { balance: BigInt(index + 1), nonce: 1n }]),
  )
  const clock = new FakeClock()
  const chain = await Chain.start(holdings, blockTime, height)
  const gateways = new Gateways(clock, chain)
  const random = mulberry(seed)
  const key = utf8(`seed ${seed}`)
  const lies: LieReport[] = []
  const disagreements: Disagreement[] = []
  const linkings: Linking[] = []
  const begin = () =>
    new Accounts({
      clock,
      random,
      crypto: nobleCrypto,
      keyed: (name) => nobleCrypto.hash.hmac(key, utf8(name)),
      request: (order, onAnswered) => gateways.request(order, onAnswered),
      follow: (order, handler) => gateways.follow(order, handler),
      operatorOf: (gateway) => (gateways.operators.has(gateway) ? gateways.operators.get(gateway) : gateway),
      settings: () => ({ ...defaultSettings, ...settings }),
      reports: {
        onLie: (lie) => {
          lies.push(lie)
          gateways.distrust(lie.group, lie.gateway === '' ? gateways.gatewayOf(lie.group) : lie.gateway)
        },
        onDisagreement: (disagreement) => {
          disagreements.push(disagreement)
          for (const { group, gateway } of disagreement.outvoted ?? []) gateways.distrust(group, gateway)
        },
        onLinking: (linking) => void linkings.push(linking),
      },
    })
  let accounts = begin()
  const own = new OwnAccounts()
  for (const account of all) own.learn(account, 'wallet')

  const ask = (method: string, params: readonly Json[] = []): Promise<Outcome> =>
    accounts.request({ site, chain: chainId, call: { method, params }, own })

  /** Lets time go by, and asks meanwhile; the answer, or the error that came instead. */
  async function settled<T>(promise: Promise<T>, patience = 60 * second): Promise<T | Error> {
    let result: { readonly value: T | Error } | undefined
    promise.then(
      (value) => {
        result = { value }
      },
      (error: Error) => {
        result = { value: error }
      },
    )
    for (let waited = 0; waited <= patience; waited += second / 4) {
      await clock.elapse(waited === 0 ? 0 : second / 4)
      if (result !== undefined) return result.value
    }
    throw new Error('nothing came in time')
  }

  /** Blocks come by themselves from now on; `changes` are made with each. */
  function run(changes?: (number: number) => ReadonlyMap<Hex, Held>): void {
    clock.after(blockTime * second, () => {
      void (async () => {
        await chain.mine(changes?.(chain.head.number + 1))
        gateways.announce()
      })()
      run(changes)
    })
  }

  /** The client ends without a word, and begins again with what outlives that: its key. */
  function restart(): void {
    gateways.loseBranches('')
    accounts.stop()
    accounts = begin()
  }

  const told = { disagreements, lies, linkings }
  return {
    ...{ all, ask, own, chain, clock, gateways, random, restart, run, settled, ...told },
    get accounts() {
      return accounts
    },
  }
}

export type Stage = Awaited<ReturnType<typeof setStage>>

/** MetaMask's one call for the ether of all accounts. */
export function balancesCall(users: readonly Hex[], block: string): Call {
  const words = [0x40, 0x60 + 32 * users.length, users.length, ...users.map(BigInt), 1, 0]
  const data = words.map((word) => word.toString(16).padStart(64, '0')).join('')
  return { method: 'eth_call', params: [{ to: checker, data: `0xf0002ea9${data}` }, block] }
}

/** What the balance checker returns. */
export function balancesAnswer(balances: readonly bigint[]): Outcome {
  const words = [0x20, balances.length, ...balances]
  return { result: `0x${words.map((word) => word.toString(16).padStart(64, '0')).join('')}` }
}

/** Numbers in [0, 1) that are the same each time (mulberry32). */
function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
