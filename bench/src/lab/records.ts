/** What `nightjar-lab` writes (native-host/src/lab/views.ts): one file of JSON lines for each party, times in milliseconds. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface GatewayRecord {
  readonly gateway: string
  readonly branch: number
  readonly event: 'open' | 'close' | 'request' | 'watch' | 'unwatch' | 'slot'
  readonly time: number
  /** Of `open`: relays. */
  readonly from?: readonly string[]
  readonly accounts?: readonly string[]
  readonly method?: string
  readonly block?: number
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
  readonly trunk: number
  readonly branch: number
  readonly gateway: string
  readonly event: 'open' | 'left' | 'close' | 'exchange' | 'follow' | 'push'
  readonly up: number
  readonly down: number
  readonly time: number
}

export interface ChainRecord {
  readonly sender: string
  readonly block: number
  readonly time: number
}

export interface TruthRecord {
  readonly user: number
  readonly account?: string
  readonly branch?: number
  readonly trunk?: number
  readonly number?: number
}

export interface Recorded {
  readonly gateway: readonly GatewayRecord[]
  readonly provider: readonly ProviderRecord[]
  readonly middle: readonly MiddleRecord[]
  readonly chain: readonly ChainRecord[]
  /** For scoring alone. */
  readonly truth: readonly TruthRecord[]
}

export function readRecords(folder: string): Recorded {
  // Each file holds what its name says: both sides of this are the lab's own.
  const read = <T>(party: string) => [...linesOf(join(folder, `${party}.jsonl`))].map((line) => JSON.parse(line) as T)
  return {
    gateway: read<GatewayRecord>('gateway'),
    provider: read<ProviderRecord>('provider'),
    middle: read<MiddleRecord>('middle'),
    chain: read<ChainRecord>('chain'),
    truth: read<TruthRecord>('truth'),
  }
}

/** One by one: a whole file may be longer than a string can be. */
function* linesOf(file: string): Generator<string> {
  const bytes = readFileSync(file)
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf('\n', from)
    const to = end === -1 ? bytes.length : end
    if (to > from) yield bytes.toString('utf8', from, to)
    from = to + 1
  }
}
