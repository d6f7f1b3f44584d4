/**
 * The simulation behind `npm run lab -- linking`: many users, each with accounts, a wallet and a private path of its own,
 * and the views of all who could try to link their accounts.
 *
 * Users share nothing but the world, so they live one after the other, each on a clock of its own.
 */
import type { AccountSettings } from '@nightjar/shared/accounts'
import { hour } from '@nightjar/shared/runtime'
import { OwnAccounts } from '@nightjar/shared/wallet'
import { freshState } from '../state/store.ts'
import { type Chance, chanceOf } from './chance.ts'
import { LabClock } from './clock.ts'
import { Path } from './path.ts'
import { signerOf } from './signing.ts'
import { askWith, type Strategy } from './strategies.ts'
import { usualSleeps } from './trunks.ts'
import type { Views } from './views.ts'
import { usualSessions, Wallet } from './wallet.ts'
import { makeWorld, type World } from './world.ts'

const fewestAccounts = 2
const mostAccounts = 10
/** What is simulated before anybody looks, so that what is watched all the time is watched by then. */
const warmUp = 2 * hour
/** Of all, those whose machine has been on for long. The others start it within the time that is looked at. */
const onBefore = 2 / 3

export interface LinkingOptions {
  readonly users: number
  readonly hours: number
  readonly seed: number
  readonly strategy: Strategy
  readonly views: Views
  readonly settings?: Partial<AccountSettings>
  /** How often each user's wallet is opened. */
  readonly sessionsPerDay?: number
  /** How often each user's machine sleeps. */
  readonly sleepsPerDay?: number
  /** Branches on which something is watched are kept. */
  readonly isKeeping?: boolean
  /** Branches of accounts go over an inner middle. */
  readonly hasInner?: boolean
  /** Gateways have each client try both of its ways. */
  readonly isProvoked?: boolean
  onUser?(user: number): void
}

/** The same seed gives the same world, users, sessions and sends, whatever the strategy. */
export async function simulateLinking(options: LinkingOptions): Promise<void> {
  const world = makeWorld(options.seed, options.hours)
  let id = 0
  const nextId = () => ++id
  for (let user = 0; user < options.users; user++) {
    await live(options, world, user, nextId)
    options.onUser?.(user)
  }
}

async function live(options: LinkingOptions, world: World, user: number, nextId: () => number): Promise<void> {
  const { strategy, settings, sessionsPerDay = usualSessions, sleepsPerDay = usualSleeps } = options
  const { isKeeping = true, hasInner = true, isProvoked = false } = options
  const chance = chanceOf(options.seed).fork(user + 1)
  const views = later(options.views)
  const clock = new LabClock(world.start - warmUp)
  // Most have started their machines before anybody looks, and opened the wallet; the others do at some time.
  const wasThere = chance.next() < onBefore
  await clock.run(wasThere ? world.start - warmUp * chance.between(0.5, 1) : chance.between(world.start, world.end))
  const count = fewestAccounts + chance.index(mostAccounts - fewestAccounts + 1)
  const signers = Array.from({ length: count }, () => signerOf(keyFrom(chance)))
  const own = new OwnAccounts()
  for (const { address } of signers) {
    own.learn(address, 'wallet')
    views.write('truth', { user, account: address })
  }
  const state = freshState((length) => Uint8Array.from({ length }, () => chance.index(256)))
  const machine = { user, sleepsPerDay, isKeeping, hasInner, isProvoked, nextId }
  const path = new Path({ world, clock, chance: chance.fork(1), state, views, own, ...machine })
  const ask = askWith(strategy, { path, clock, chance: chance.fork(2), own, ...(settings ? { settings } : {}) })
  const learning: typeof ask = (call) => {
    own.learnFrom(call)
    return ask(call)
  }
  const { trunks } = path
  const wallet = new Wallet({ world, clock, chance: chance.fork(3), signers, trunks, sessionsPerDay, ask: learning })
  wallet.start(wasThere)
  await clock.run(world.end)
}

/** Nobody looked before the start. But where a branch that stands then has come from, its gateway knows. */
function later(views: Views): Views {
  return {
    write(party, record) {
      if (!('time' in record) || record.time >= 0 || 'from' in record) views.write(party, record)
    },
  }
}

function keyFrom(chance: Chance): bigint {
  return Array.from({ length: 31 }, () => chance.index(256)).reduce((key, byte) => key * 256n + BigInt(byte), 1n)
}
