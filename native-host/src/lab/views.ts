/**
 * What each party sees, one record at a time. Times are milliseconds from the start of the simulation, on the party's own
 * clock, which is right. What a record does not have, its party does not see: no view names a user.
 */

/** Of a branch at a gateway: what is asked on it, and when it comes and goes. */
export interface GatewayRecord {
  readonly gateway: string
  readonly branch: number
  readonly event: 'open' | 'close' | 'request' | 'watch' | 'unwatch' | 'slot'
  readonly time: number
  /** Of `open`: the relays that the attempts to open it came from. It is modelled as standing over the first. */
  readonly from?: readonly string[]
  /** Those that the question names. */
  readonly accounts?: readonly string[]
  readonly method?: string
  /** Number of the block that is asked for. */
  readonly block?: number
  /** Cells of the question. */
  readonly cells?: number
  readonly error?: boolean
}

export interface ProviderRecord {
  readonly gateway: string
  readonly accounts: readonly string[]
  readonly method: string
  readonly block?: number
  readonly time: number
  readonly error?: boolean
}

export interface MiddleRecord {
  readonly middle: string
  /** One circuit of one entry's: an anonymous client for as long as it stands. */
  readonly trunk: number
  readonly branch: number
  /** Where the branch ends, as if the relay behind told: an upper bound of what a middle has where there is an inner one. */
  readonly gateway: string
  /** `left`: its circuit has ended, and the branch is kept. */
  readonly event: 'open' | 'left' | 'close' | 'exchange' | 'follow' | 'push'
  /** Cells towards the gateway, and back. */
  readonly up: number
  readonly down: number
  readonly time: number
}

/** Everybody's: who sent what in which block, and when it was first seen. */
export interface ChainRecord {
  readonly sender: string
  readonly block: number
  readonly time: number
}

/** What no party has: by which an attack is scored. */
export interface TruthRecord {
  readonly user: number
  readonly account?: string
  /** As its gateway numbers it; `trunk` and `number` as its middle does. */
  readonly branch?: number
  readonly trunk?: number
  readonly number?: number
}

export interface Records {
  readonly gateway: GatewayRecord
  readonly provider: ProviderRecord
  readonly middle: MiddleRecord
  readonly chain: ChainRecord
  readonly truth: TruthRecord
}

export type Party = keyof Records

export interface Views {
  write<P extends Party>(party: P, record: Records[P]): void
}
