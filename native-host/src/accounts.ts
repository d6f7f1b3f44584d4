/**
 * The daemon's accounts (shared/accounts) on its client, and what its status tells of them: counts, and gateways by name.
 * Which accounts those are stays in memory and is forgotten with the daemon; so is which gateways lied.
 */
import { type AccountSettings, Accounts, type AccountsContext, defaultSettings } from '@nightjar/shared/accounts'
import type { AccountsStatus } from '@nightjar/shared/bridge'
import type { Crypto } from '@nightjar/shared/crypto'
import { NightjarError } from '@nightjar/shared/errors'
import type { Order } from '@nightjar/shared/requests'
import type { Outcome } from '@nightjar/shared/rpc'
import { type Clock, second } from '@nightjar/shared/runtime'
import { OwnAccounts } from '@nightjar/shared/wallet'
import { type Client, fractionOf } from './client/client.ts'
import type { Config } from './config.ts'

export interface AccountsOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly client: Pick<Client, 'request' | 'follow' | 'ready' | 'distrust' | 'nameOf' | 'operatorOf'>
  /** See shared/accounts. */
  keyed(name: string): Uint8Array
  readonly settings: Config['accounts']
  /** Something was reported that the status shows. */
  onChange(): void
}

export interface DaemonAccounts {
  /** `order.group` is the caller's; what names accounts goes elsewhere. @throws NightjarError where there is no answer */
  request(order: Order): Promise<Outcome>
  readonly status: AccountsStatus
  /** Ends all watches. */
  stop(): void
}

/** Reports that the status shows of each sort, the newest ones. */
const reportsShown = 20
/** Accounts of one chain that are watched for one caller: its wallet may have as many as are watched at all. */
const watchable = 100

export function openAccounts(options: AccountsOptions): DaemonAccounts {
  const { crypto, clock, client, onChange } = options
  const settings = settingsFrom(options.settings)
  const lies: AccountsStatus['lies'] = []
  const context: AccountsContext = {
    clock,
    crypto,
    random: () => fractionOf(crypto),
    keyed: (name) => options.keyed(name),
    request: (order, onAnswered) => client.request(order, onAnswered),
    follow: (order, handler) => client.follow(order, handler),
    operatorOf: (gateway) => client.operatorOf(gateway),
    settings: () => settings,
    reports: {
      onLie({ group, chain, gateway, what, at }) {
        lies.push({ gateway: distrust(group, chain, gateway), what, at })
        if (lies.length > reportsShown) lies.shift()
        onChange()
      },
      onDisagreement({ chain, outvoted = [] }) {
        for (const { group, gateway } of outvoted) distrust(group, chain, gateway)
        onChange()
      },
      onLinking: onChange,
    },
  }
  const accounts = new Accounts(context)
  /** Of all callers: programs of one machine have no secrets from each other. */
  const own = new OwnAccounts()

  function distrust(group: string, chain: number, gateway: string): string {
    try {
      return client.distrust(group, chain, gateway)
    } catch (error) {
      // Nobody said which one it was, and its group has none left. Else it is a bug of ours.
      if (!(error instanceof NightjarError)) throw error
      return ''
    }
  }

  return {
    async request({ group, chain, call }) {
      if (!options.settings.apart) return client.request({ group, chain, call })
      await client.ready(group, chain)
      return accounts.request({ site: group, chain, call, own, watchable })
    },

    get status() {
      const { watched, cold, freshness, counts, linkings, disagreements } = accounts.status
      return {
        watched,
        cold,
        freshnessSeconds: freshness / second,
        ...counts,
        linking: linkings
          .slice(-reportsShown)
          .map(({ reason, accounts: count, at, isSent: sent }) => ({ reason, count, at, sent })),
        lies: [...lies],
        disputes: disagreements
          .slice(-reportsShown)
          .map(({ what, at, gateways }) => ({ what, at, gateways: gateways.map((id) => client.nameOf(id)) })),
      }
    },

    stop: () => accounts.stop(),
  }
}

function settingsFrom(config: Config['accounts']): AccountSettings {
  return {
    ...defaultSettings,
    linking: config.linking,
    freshness: config.freshness_seconds * second,
    coldSpread: config.cold_spread_seconds * second,
    compareCalls: config.compare_calls,
  }
}
