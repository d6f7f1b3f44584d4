import { expect, test } from 'vitest'
import { idleStatus } from '../testing/fixtures.ts'
import type { SiteAccountsStatus } from './siteAccounts.ts'
import { accountsView } from './view.ts'

const sites: SiteAccountsStatus = {
  watched: 2,
  cold: 1,
  counts: { verified: 10, compared: 20, unverified: 30, refuted: 1 },
  linkings: [
    { reason: 'multicall', accounts: 2, at: 1, isSent: false },
    { reason: 'multicall', accounts: 3, at: 2, isSent: false },
    { reason: 'transfer', accounts: 2, at: 3, isSent: true },
  ],
  disagreements: [{ chain: 1, what: 'call', at: 1, gateways: [] }],
  lies: [{ gateway: 'one', what: 'account', at: 5 }],
}

test('what sites and wallet came to is told together', () => {
  const daemon = {
    ...idleStatus.accounts,
    ...{ watched: 10, cold: 3, freshnessSeconds: 30, verified: 1, compared: 2, unverified: 3 },
    linking: [{ reason: 'multicall', count: 10, at: 9, sent: false }],
    disputes: [{ gateways: ['two'], what: 'block', at: 9 }],
    lies: [{ gateway: 'two', what: 'receipt', at: 4 }],
  }
  expect(accountsView(sites, 12, daemon)).toEqual({
    sites: { watched: 2, cold: 1, freshness: 12 },
    wallet: { watched: 10, cold: 3, freshness: 30 },
    // A call counts once, however many accounts it names.
    linked: [
      { reason: 'transfer', isSent: true, count: 1 },
      { reason: 'multicall', isSent: false, count: 3 },
    ],
    answers: { verified: 11, compared: 22, unverified: 33 },
    disputes: 2,
    lies: [
      { gateway: 'two', what: 'receipt', at: 4 },
      { gateway: 'one', what: 'account', at: 5 },
    ],
  })
})

test('without the daemon nothing is said of the wallet', () => {
  const view = accountsView(sites, 12, undefined)
  expect(view).not.toHaveProperty('wallet')
  expect(view.answers).toEqual({ verified: 10, compared: 20, unverified: 30 })
})
