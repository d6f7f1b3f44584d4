/**
 * Three ways from the wallet's calls to the path.
 *
 * direct: as they are, on one branch: what the daemon did before accounts were kept apart.
 * split: taken apart, each part sent after a random delay; no watches. The product's recognition and taking apart.
 * watches: the product's `Accounts`, with its default settings or others.
 */

import { type AccountSettings, Accounts, accountGroup, defaultSettings } from '@nightjar/shared/accounts'
import { utf8 } from '@nightjar/shared/bytes'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import { pause } from '@nightjar/shared/runtime'
import { groupOf, type OwnAccounts, senderOf, takeApart } from '@nightjar/shared/wallet'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import type { Chance } from './chance.ts'
import type { LabClock } from './clock.ts'
import type { Path } from './path.ts'
import { chainId } from './world.ts'

export const strategies = ['direct', 'split', 'watches'] as const
export type Strategy = (typeof strategies)[number]

export interface StrategyOptions {
  readonly path: Path
  readonly clock: LabClock
  readonly chance: Chance
  readonly own: OwnAccounts
  readonly settings?: Partial<AccountSettings>
}

export type Ask = (call: Call) => Promise<Outcome>

/** The group of what names no account. */
const site = 'wallet'

export function askWith(strategy: Strategy, options: StrategyOptions): Ask {
  switch (strategy) {
    case 'direct':
      return (call) => options.path.request({ group: site, chain: chainId, call })
    case 'split':
      return splitting(options)
    case 'watches':
      return watching(options)
  }
}

function splitting({ path, clock, chance, own }: StrategyOptions): Ask {
  const { spread } = defaultSettings
  const send = (group: string, call: Call) => path.request({ group, chain: chainId, call })
  return async (call) => {
    own.learnFrom(call)
    const sender = call.method === 'eth_sendRawTransaction' ? senderOf(call) : undefined
    if (sender !== undefined) return send(accountGroup(sender), call)
    const group = groupOf(call, own)
    if (group.kind === 'none') return send(site, call)
    if (group.kind === 'account') return send(accountGroup(group.account), call)
    const apart = takeApart(call, own)
    if (apart.kind !== 'parts') throw new Error('a call of the lab that cannot be taken apart')
    const outcomes = apart.parts.map(async (part) => {
      await pause(clock, chance.next() * spread)
      return send(part.account === undefined ? site : accountGroup(part.account), part.call)
    })
    return apart.join(await Promise.all(outcomes))
  }
}

function watching({ path, clock, chance, own, settings }: StrategyOptions): Ask {
  const key = utf8(String(chance.next()))
  const accounts = new Accounts({
    clock,
    random: () => chance.next(),
    crypto: nativeCrypto,
    keyed: (name) => nativeCrypto.hash.hmac(key, utf8(name)),
    request: (order, onAnswered) => path.request(order, onAnswered),
    follow: (order, handler) => path.follow(order, handler),
    // Each of the lab's gateways has one of its own.
    operatorOf: (gateway) => gateway,
    settings: () => ({ ...defaultSettings, ...settings }),
    reports: { onLie() {}, onDisagreement() {}, onLinking() {} },
  })
  return (call) => accounts.request({ site, chain: chainId, call, own })
}
