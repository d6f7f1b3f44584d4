/** What the popup tells of accounts: of sites, as this extension sees it, and of the wallet, as the daemon says. */

import type { Linking } from '@nightjar/shared/accounts'
import type { AccountsStatus } from '@nightjar/shared/bridge'
import type { AccountsView, Linked } from '../../messages/ui.ts'
import type { SiteAccountsStatus } from './siteAccounts.ts'

/** @param daemon what it says of the wallet's accounts; undefined while it is not there */
export function accountsView(
  sites: SiteAccountsStatus,
  freshness: number,
  daemon: AccountsStatus | undefined,
): AccountsView {
  const { counts } = sites
  const sum = (kind: keyof typeof counts) => counts[kind] + (daemon?.[kind] ?? 0)
  const disputes = sites.disagreements.length + (daemon?.disputes.length ?? 0)
  return {
    sites: { watched: sites.watched, cold: sites.cold, freshness },
    ...(daemon === undefined
      ? {}
      : { wallet: { watched: daemon.watched, cold: daemon.cold, freshness: daemon.freshnessSeconds } }),
    linked: linkedOf([...sites.linkings, ...(daemon?.linking ?? []).map(fromDaemon)]),
    answers: { verified: sum('verified'), compared: sum('compared'), unverified: sum('unverified') },
    disputes,
    lies: [...sites.lies, ...(daemon?.lies ?? [])].sort((a, b) => a.at - b.at),
  }
}

type Told = Omit<Linking, 'reason'> & { readonly reason: string }

function fromDaemon({ reason, count, at, sent }: AccountsStatus['linking'][0]): Told {
  return { reason, accounts: count, at, isSent: sent }
}

/** How often, by reason and by what became of it; what was sent first. */
function linkedOf(linkings: readonly Told[]): readonly Linked[] {
  const found = new Map<string, Linked>()
  for (const { reason, isSent } of linkings) {
    const key = `${reason} ${isSent}`
    found.set(key, { reason, isSent, count: (found.get(key)?.count ?? 0) + 1 })
  }
  return [...found.values()].sort((a, b) => Number(b.isSent) - Number(a.isSent) || b.count - a.count)
}
