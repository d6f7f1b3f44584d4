/**
 * What pages ask, with the user's accounts kept apart (shared/accounts): one `Accounts` for all sites, over the sealed
 * branches. Accounts are learnt from what pages ask, and from what their wallet shows them. All of that is in memory
 * only, and ends with the service worker.
 *
 * Left out: what the wallet itself asks. That goes to the daemon, which has an `Accounts` of its own; an account's group
 * there is another than here.
 */
import { Accounts, type Disagreement, type Linking } from '@nightjar/shared/accounts'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import { type Address, OwnAccounts } from '@nightjar/shared/wallet'
import { LRUCache } from 'lru-cache'
import type { ShownAccounts } from '../../messages/shown.ts'
import { unforeseen } from '../random.ts'
import type { PrivateRequests } from '../requests/privateRequests.ts'
import { type AccountChoices, settingsOf } from './settings.ts'

export interface SiteAccountsOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  /** See shared/accounts. */
  keyed(name: string): Uint8Array
  readonly requests: Pick<PrivateRequests, 'ready' | 'request' | 'follow' | 'distrust' | 'operatorOf'>
  choices(): AccountChoices
  /** What is told of it changed. */
  onChange(): void
}

/** A gateway that was caught. */
export interface Lie {
  /** Its name, empty where it is not known any more. */
  readonly gateway: string
  readonly what: string
  /** In milliseconds since the Unix epoch. */
  readonly at: number
}

export interface SiteAccountsStatus {
  readonly watched: number
  readonly cold: number
  readonly counts: Accounts['status']['counts']
  readonly linkings: readonly Linking[]
  readonly disagreements: readonly Disagreement[]
  readonly lies: readonly Lie[]
}

/** Sites of which is remembered what they know. */
const mostSites = 200
const liesKept = 50

/** The isolation group of a site. */
export function siteGroup(origin: string): string {
  return `site ${origin}`
}

export class SiteAccounts {
  readonly #accounts: Accounts
  readonly #requests: SiteAccountsOptions['requests']
  readonly #choices: SiteAccountsOptions['choices']
  /** What is known where: a site learns of no account that another site or the wallet's own polls made known. */
  readonly #own = new LRUCache<string, OwnAccounts>({ max: mostSites })
  readonly #lies: Lie[] = []

  constructor({ clock, crypto, keyed, requests, choices, onChange }: SiteAccountsOptions) {
    this.#requests = requests
    this.#choices = choices
    this.#accounts = new Accounts({
      clock,
      crypto,
      keyed,
      random: () => unforeseen(crypto),
      request: (order, onAnswered) => requests.request(order, onAnswered),
      follow: (order, handler) => requests.follow(order, handler),
      operatorOf: (gateway) => requests.operatorOf(gateway),
      settings: () => settingsOf(choices()),
      reports: {
        onLie: ({ group, gateway, what, at }) => {
          this.#lies.push({ gateway: requests.distrust(group, gateway), what, at })
          if (this.#lies.length > liesKept) this.#lies.shift()
          onChange()
        },
        onDisagreement: ({ outvoted = [] }) => {
          for (const { group, gateway } of outvoted) requests.distrust(group, gateway)
          onChange()
        },
        onLinking: onChange,
      },
    })
  }

  get status(): SiteAccountsStatus {
    const { watched, cold, counts, linkings, disagreements } = this.#accounts.status
    return { watched, cold, counts, linkings, disagreements, lies: [...this.#lies] }
  }

  /** The answer, which may be a JSON-RPC error. @throws NightjarError `would-link`, `still-apart`, and why there is none */
  async request(origin: string, chain: number, call: Call): Promise<Outcome> {
    const site = siteGroup(origin)
    if (!this.#choices().apart) return this.#requests.request({ group: site, chain, call })
    // What waits for a watch would otherwise wait in vain, and never be told why.
    await this.#requests.ready(site, chain)
    return this.#accounts.request({ site, chain, call, own: this.#ownAt(origin) })
  }

  /** A page says what its wallet showed it. It may lie: that only makes strangers be kept apart as well. */
  learn(origin: string, { accounts, transaction }: ShownAccounts): void {
    if (!this.#choices().apart) return
    const own = this.#ownAt(origin)
    for (const account of accounts) own.learn(account.toLowerCase() as Address)
    const [sender] = accounts
    if (sender === undefined || transaction === undefined) return
    own.learnTransaction(transaction.toLowerCase(), sender.toLowerCase() as Address)
  }

  /** Ends all watches: nothing is to be sent any more. */
  stop(): void {
    this.#accounts.stop()
  }

  #ownAt(origin: string): OwnAccounts {
    const own = this.#own.get(origin) ?? new OwnAccounts()
    this.#own.set(origin, own)
    return own
  }
}
