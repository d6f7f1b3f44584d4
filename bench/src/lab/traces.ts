/**
 * What an attacker has of one account (or, at a middle, of one flow): when something was asked about it, when it was there
 * at all, when its branches were lost, which relays they came from. Sorted times, cut to a window.
 */
import type { GatewayRecord, MiddleRecord, ProviderRecord } from './records.ts'

/** How long a branch stands beside the next one, at most, while its client is there (docs/protocol.md, "Kept branches"). */
const longestOverlap = 75 * 60_000

export interface Trace {
  /** Whose it is for the attacker: an account, or a flow. */
  readonly name: string
  /** Times of what the wallet caused: all but pushes and slots. */
  readonly asked: readonly number[]
  /** All times. */
  readonly there: readonly number[]
  /** When its branches came and went. */
  readonly opened: readonly number[]
  readonly closed: readonly number[]
  /** When a branch came as none does where the client was there all the time. */
  readonly returned: readonly number[]
  readonly errors: readonly number[]
  /** Numbers of blocks that were asked for, by time of `asked`; NaN where none was named. */
  readonly blocks: readonly number[]
  /** Of questions that named others too. */
  readonly shared: readonly number[]
  /** How often each kind of question came. */
  readonly kinds: ReadonlyMap<string, number>
  /** Relays that its branches came from, also those that were opened before. */
  readonly origins: ReadonlySet<string>
}

interface Event {
  readonly time: number
  readonly sort: 'asked' | 'slot' | 'opened' | 'closed' | 'returned'
  readonly kind?: string
  readonly block?: number | undefined
  readonly isError?: boolean | undefined
  /** Which question it was, where it named several. */
  readonly question?: number | undefined
}

/** A branch, for as long as it is known to stand. */
interface Stood {
  readonly from: number
  readonly to: number
  readonly origins: readonly string[]
}

/** Everything about one name, in order. */
export interface Log {
  readonly events: readonly Event[]
  readonly stood: readonly Stood[]
}

export function logsOfGateways(records: readonly GatewayRecord[]): ReadonlyMap<string, Log> {
  const logs = new Map<string, Event[]>()
  const accountsOf = new Map<number, Set<string>>()
  for (const [question, { branch, event, time, accounts = [], method, block, cells, error }] of records.entries()) {
    const known = accountsOf.get(branch) ?? new Set()
    accountsOf.set(branch, known)
    for (const account of accounts) {
      known.add(account)
      const sort = event === 'slot' ? 'slot' : 'asked'
      const kind = `${event} ${method ?? ''} ${cells ?? ''}`
      add(logs, account, {
        ...{ time, sort, kind, isError: error },
        block: event === 'request' ? block : undefined,
        question: accounts.length > 1 ? question : undefined,
      })
    }
  }
  const stood = new Map<string, Map<number, Stood>>()
  for (const { branch, event, time, from: origins = [] } of records) {
    if (event !== 'open' && event !== 'close') continue
    const sort = event === 'open' ? 'opened' : 'closed'
    for (const account of accountsOf.get(branch) ?? []) {
      add(logs, account, { time, sort })
      const own = stood.get(account) ?? new Map<number, Stood>()
      stood.set(account, own)
      const known = own.get(branch) ?? { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY, origins: [] }
      own.set(branch, event === 'open' ? { ...known, from: time, origins } : { ...known, to: time })
    }
  }
  const branches = new Map([...stood].map(([account, own]) => [account, [...own.values()]]))
  for (const [account, own] of branches) {
    for (const time of returnsAmong(own)) add(logs, account, { time, sort: 'returned' })
  }
  return sorted(logs, branches)
}

/** When a branch came that renews none: the one before was over, or had more time left than it has when it is renewed. */
function returnsAmong(branches: readonly Stood[]): readonly number[] {
  return branches
    .toSorted((a, b) => a.from - b.from)
    .flatMap(({ from }, index) => {
      const before = branches[index - 1]
      if (before === undefined || before.to === Number.POSITIVE_INFINITY) return []
      const left = before.to - from
      return left < 0 || left > longestOverlap ? [from] : []
    })
}

export function logsOfProvider(records: readonly ProviderRecord[]): ReadonlyMap<string, Log> {
  const logs = new Map<string, Event[]>()
  for (const [question, { time, accounts, method, block, error }] of records.entries()) {
    // What watches read over and over says that the account is there, and its times are the gateway's.
    const isSlot = method === 'eth_getProof' || method === 'eth_getTransactionReceipt'
    for (const account of accounts) {
      add(logs, account, {
        ...{ time, sort: isSlot ? 'slot' : 'asked', kind: method, isError: error },
        block: isSlot ? undefined : block,
        question: accounts.length > 1 ? question : undefined,
      })
    }
  }
  return sorted(logs)
}

const sortsOfMiddle = {
  open: 'opened',
  left: 'closed',
  close: 'closed',
  push: 'slot',
  follow: 'asked',
  exchange: 'asked',
} as const

/** By flow: the branches of one trunk to one gateway. */
export function logsOfMiddle(records: readonly MiddleRecord[]): ReadonlyMap<string, Log> {
  const logs = new Map<string, Event[]>()
  for (const record of records) {
    const { event, time, up, down } = record
    add(logs, flowOf(record), { time, sort: sortsOfMiddle[event], kind: `${event} ${up} ${down}` })
  }
  return sorted(logs)
}

export function flowOf({ trunk, gateway }: Pick<MiddleRecord, 'trunk' | 'gateway'>): string {
  return `${trunk} ${gateway}`
}

/** What is in the window; undefined where nothing is. */
export function traceIn(name: string, { events: log, stood }: Log, from: number, to: number): Trace | undefined {
  const events = log.slice(firstAt(log, from), firstAt(log, to))
  const there = events.filter(({ sort }) => sort === 'asked' || sort === 'slot')
  if (there.length === 0) return undefined
  const asked = events.filter(({ sort }) => sort === 'asked')
  const timesOf = (some: readonly Event[]) => some.map(({ time }) => time)
  const kinds = new Map<string, number>()
  for (const { kind } of there) if (kind !== undefined) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  return {
    name,
    asked: timesOf(asked),
    there: timesOf(there),
    opened: timesOf(events.filter(({ sort }) => sort === 'opened')),
    closed: timesOf(events.filter(({ sort }) => sort === 'closed')),
    returned: timesOf(events.filter(({ sort }) => sort === 'returned')),
    errors: timesOf(events.filter(({ isError }) => isError)),
    blocks: asked.map(({ block }) => block ?? Number.NaN),
    shared: asked.flatMap(({ question }) => (question === undefined ? [] : [question])),
    kinds,
    origins: new Set(stood.filter((branch) => branch.from < to && branch.to >= from).flatMap(({ origins }) => origins)),
  }
}

function add(logs: Map<string, Event[]>, name: string, event: Event): void {
  const log = logs.get(name)
  if (log === undefined) logs.set(name, [event])
  else log.push(event)
}

function sorted(
  logs: ReadonlyMap<string, Event[]>,
  stood?: ReadonlyMap<string, readonly Stood[]>,
): ReadonlyMap<string, Log> {
  const entries = [...logs].map(([name, events]): [string, Log] => [
    name,
    { events: events.sort((a, b) => a.time - b.time), stood: stood?.get(name) ?? [] },
  ])
  return new Map(entries)
}

/** Index of the first event at or after `time`. */
function firstAt(log: readonly Event[], time: number): number {
  let low = 0
  let high = log.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((log[middle] as Event).time < time) low = middle + 1
    else high = middle
  }
  return low
}
