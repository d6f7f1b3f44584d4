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
import type { Address } from '@nightjar/shared/wallet'
import type { ShownAccounts } from '../../messages/shown.ts'
import { unforeseen } from '../random.ts'
import type { PrivateRequests } from '../requests/privateRequests.ts'
import { type AccountChoices, settingsOf } from './settings.ts'

export interface SiteAccountsOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly requests: Pick<PrivateRequests, 'ready' | 'request' | 'follow' | 'distrust'>
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
  readonly counts: Accounts['status']['counts']
  readonly linkings: readonly Linking[]
  readonly disagreements: readonly Disagreement[]
  readonly lies: readonly Lie[]
}

/** Accounts and transactions that the pages of one site may make known: more would push out those of others. */
const shownPerSite = 100
/** Sites of which is remembered what they made known. */
const mostSites = 1000
const liesKept = 50

/** The isolation group of a site. */
export function siteGroup(origin: string): string {
  return `site ${origin}`
}

export class SiteAccounts {
  readonly #accounts: Accounts
  readonly #requests: SiteAccountsOptions['requests']
  readonly #choices: SiteAccountsOptions['choices']
  /** What the pages of each site made known. */
  readonly #shown = new Map<string, Set<string>>()
  readonly #lies: Lie[] = []

  constructor({ clock, crypto, requests, choices, onChange }: SiteAccountsOptions) {
    this.#requests = requests
    this.#choices = choices
    this.#accounts = new Accounts({
      clock,
      crypto,
      random: () => unforeseen(crypto),
      request: (order) => requests.request(order),
      follow: (order, handler) => requests.follow(order, handler),
      settings: () => settingsOf(choices()),
      reports: {
        onLie: ({ group, gateway, what, at }) => {
          this.#lies.push({ gateway: requests.distrust(group, gateway), what, at })
          if (this.#lies.length > liesKept) this.#lies.shift()
          onChange()
        },
        onDisagreement: onChange,
        onLinking: onChange,
      },
    })
  }

  get status(): SiteAccountsStatus {
    const { watched, counts, linkings, disagreements } = this.#accounts.status
    return { watched, counts, linkings, disagreements, lies: [...this.#lies] }
  }

  /** The answer, which may be a JSON-RPC error. @throws NightjarError `would-link`, `still-apart`, and why there is none */
  async request(origin: string, chain: number, call: Call): Promise<Outcome> {
    const site = siteGroup(origin)
    if (!this.#choices().apart) return this.#requests.request({ group: site, chain, call })
    // What waits for a watch would otherwise wait in vain, and never be told why.
    await this.#requests.ready(site, chain)
    return this.#accounts.request({ site, chain, call })
  }

  /** A page says what its wallet showed it. It may lie: that only makes strangers be kept apart as well. */
  learn(origin: string, { accounts, transaction }: ShownAccounts): void {
    if (!this.#choices().apart) return
    const shown = this.#shown.get(origin) ?? new Set()
    this.#shown.delete(origin)
    this.#shown.set(origin, shown)
    for (const oldest of this.#shown.keys()) {
      if (this.#shown.size <= mostSites) break
      this.#shown.delete(oldest)
    }
    const isAllowed = (name: string) => shown.has(name) || (shown.size < shownPerSite && shown.add(name))
    const allowed = accounts.map((each) => each.toLowerCase() as Address).filter(isAllowed)
    for (const account of allowed) this.#accounts.own.learn(account)
    const [sender] = allowed
    const hash = transaction?.toLowerCase()
    if (sender !== undefined && hash !== undefined && isAllowed(hash)) this.#accounts.own.learnTransaction(hash, sender)
  }

  /** Ends all watches: nothing is to be sent any more. */
  stop(): void {
    this.#accounts.stop()
  }
}
