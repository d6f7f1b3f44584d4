/** What this layer is handed: the private path, the world around it, the user's choices, and whom it tells of what happened. */
import type { Crypto } from '../crypto/index.ts'
import type { Follower, Following, FollowOrder, Order } from '../requests/index.ts'
import type { Outcome } from '../rpc/index.ts'
import { type Clock, minute, second } from '../runtime.ts'
import type { Address, LinkingReason } from '../wallet/index.ts'

export interface AccountsContext {
  readonly clock: Clock
  /** A number in [0, 1). It must not be one that others can foresee: it keeps accounts apart in time. */
  random(): number
  readonly crypto: Pick<Crypto, 'randomBytes'>
  /** 32 bytes: a keyed hash of `name`, under a key that nobody else has and that outlives restarts. */
  keyed(name: string): Uint8Array
  /**
   * The private path (shared/requests).
   * @param onAnswered told the identity of the gateway that answered, as far as it is known, before the answer is there
   * @throws NightjarError where there is no answer
   */
  request(order: Order, onAnswered?: (gateway: string) => void): Promise<Outcome>
  /**
   * Asks the group's own gateway, or the next one while that is passed over, for many answers.
   * @throws NightjarError where it cannot be followed now
   */
  follow(order: FollowOrder, follower: Follower): Promise<Following>
  /** Who runs the gateway of that identity, as the network document says; undefined where it knows none. */
  operatorOf(gateway: string): string | undefined
  settings(): AccountSettings
  readonly reports: Reports
}

export interface AccountSettings {
  /** What becomes of a call that names several accounts and cannot be taken apart. */
  readonly linking: 'refuse' | 'alone'
  /** How old a balance may be, in milliseconds: accounts are read at independent times within this. */
  readonly freshness: number
  /**
   * Within how many milliseconds watches begin: those of a wallet that was opened, and those that were lost together. And
   * what they cannot say (tokens, old blocks) is asked, each account by itself; at 0 all at once.
   */
  readonly coldSpread: number
  /**
   * Within how many milliseconds the parts of a call start that go out at once: where one account at most has to be asked for.
   * Two seconds hide the order of the parts and no more.
   */
  readonly spread: number
  /** Whether calls that name no account are asked of two gateways. */
  readonly compareCalls: boolean
}

export const defaultSettings: AccountSettings = {
  linking: 'refuse',
  freshness: 12 * second,
  coldSpread: 30 * minute,
  spread: 2 * second,
  compareCalls: true,
}

export interface Reports {
  /**
   * A gateway said what is proved false. It must not be used for this group any more: `follow` and `request` leave it out
   * from the return of this call on.
   */
  onLie(lie: LieReport): void
  /** Gateways contradict each other; who is right, at most their number says. */
  onDisagreement(disagreement: Disagreement): void
  onLinking(linking: Linking): void
}

export interface LieReport {
  readonly group: string
  /** '' where only the group is known: then the one that the group asks. */
  readonly gateway: string
  readonly chain: number
  /** What was false, as the words of shared/proofs. */
  readonly what: string
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  /** What was said, and what it was checked against. Names the account: for the user alone, never to be logged. */
  readonly evidence: unknown
}

export interface Disagreement {
  readonly chain: number
  readonly what: 'block' | 'watch' | 'call'
  readonly at: number
  /** Those that took part, as far as they are known. */
  readonly gateways: readonly string[]
  /** Those of them whom two other operators contradict. Like liars they must not be used for that group any more. */
  readonly outvoted?: readonly { readonly group: string; readonly gateway: string }[]
}

/** A call that named several accounts at once. Says how many, never which. */
export interface Linking {
  readonly reason: LinkingReason
  readonly accounts: number
  readonly at: number
  /** Or refused. */
  readonly isSent: boolean
}

/**
 * Cells of all that a watch pushes, whatever it watches: a proof of mainnet's depth fits (6 kB of JSON), and a receipt with nine
 * logs. One with more is refused as too large, and asked for like anything else.
 */
export const watchCells = 8

const account = 'account '

/** The isolation group of an account. */
export function accountGroup(address: Address): string {
  return `${account}${address}`
}

/** The group of one of the independent followers of a chain's heads. Each needs a gateway of another operator. */
export function headsGroup(index: number, chain: number): string {
  return `heads ${index} ${chain}`
}

/** What the gateway of a group has to be apart from, so that nobody confirms what he said himself. */
export type Independence =
  /** From the operators of share number `index` of `of` (shares.ts): those of the same family never come to the same one. */
  | { readonly kind: 'share'; readonly family: string; readonly index: number; readonly of: number }
  /** From the operator that `group` uses. */
  | { readonly kind: 'second'; readonly group: string }
  /** It asks once and is never met again: its gateway need not be remembered. */
  | { readonly kind: 'once' }
  | { readonly kind: 'none' }

const headsFollowers = 3
const again = ' again'
const once = 'once '

export function independenceOf(group: string): Independence {
  const [, index, chain] = /^heads (\d) (\d+)$/.exec(group) ?? []
  if (index !== undefined) return { kind: 'share', family: `heads ${chain}`, index: Number(index), of: headsFollowers }
  if (group.endsWith(again)) return { kind: 'second', group: group.slice(0, -again.length) }
  return { kind: group.startsWith(once) ? 'once' : 'none' }
}

/** A group that nothing else is in. @param name one that nobody has met */
export function onceGroup(name: string): string {
  return `${once}${name}`
}

/**
 * Whether the gateway of a group, which is told what an account does, must not see the middle of a trunk either: that is the
 * same for half of what a client asks, for weeks.
 */
export function hidesMiddle(group: string): boolean {
  return group.startsWith(account) || group.startsWith(once)
}

/** The group in which a site's calls are asked a second time. It needs another gateway than the site's. */
export function againGroup(site: string): string {
  return `${site}${again}`
}
