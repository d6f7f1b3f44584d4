/**
 * `eth_newFilter` and its kin for one page, kept here and answered with private reads: a filter at a provider would
 * have to be asked of the same provider every time. Blocks that a reorganisation replaced are not reported again.
 */
import { hex } from '@nightjar/shared/bytes'
import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome, RpcError } from '@nightjar/shared/rpc'
import { type Clock, minute } from '@nightjar/shared/runtime'

export interface FiltersOptions {
  readonly clock: Clock
  randomBytes(length: number): Uint8Array
  read(chain: number, call: Call): Promise<Outcome>
}

interface Filter {
  readonly chain: number
  /** Undefined for a filter of blocks. */
  readonly logs: { readonly [key: string]: Json } | undefined
  /** The newest block that was looked at. */
  last: number
  usedAt: number
  /** Ends with the call before: of two at once, each log is to be in one answer only. */
  turn: Promise<unknown>
}

/** As nodes do: a filter that nobody asks for is forgotten. */
const lifetime = 5 * minute
const atMost = 100
/** Block hashes given by one call of a block filter, at most. */
const blocksAtOnce = 128

export class Filters {
  readonly #options: FiltersOptions
  readonly #filters = new Map<string, Filter>()

  constructor(options: FiltersOptions) {
    this.#options = options
  }

  /**
   * What the node refuses comes back as its own error: pages look into it, to ask for fewer blocks for example.
   * @throws NightjarError `bad-request`, `limit-reached`, and what keeps a read from being answered
   */
  async call(chain: number, call: Call): Promise<Outcome> {
    try {
      return { result: await this.#answer(chain, call) }
    } catch (thrown) {
      if (thrown instanceof Refused) return { error: thrown.error }
      throw thrown
    }
  }

  async #answer(chain: number, { method, params }: Call): Promise<Json> {
    const [first] = Array.isArray(params) ? (params as readonly Json[]) : []
    switch (method) {
      case 'eth_newFilter':
        return this.#add(chain, logFilter(first))
      case 'eth_newBlockFilter':
        return this.#add(chain, undefined)
      case 'eth_uninstallFilter':
        return this.#filters.delete(String(first))
      case 'eth_getFilterLogs':
        return this.#all(this.#find(first))
      default:
        return this.#nextChanges(this.#find(first))
    }
  }

  async #add(chain: number, logs: Filter['logs']): Promise<string> {
    const last = await this.#newest(chain)
    this.#expire()
    if (this.#filters.size >= atMost) throw new NightjarError('limit-reached', { detail: 'filters of one page' })
    const id = `0x${hex(this.#options.randomBytes(16))}`
    this.#filters.set(id, { chain, logs, last, usedAt: this.#options.clock.now(), turn: Promise.resolve() })
    return id
  }

  #expire(): void {
    const now = this.#options.clock.now()
    for (const [id, { usedAt }] of this.#filters) if (now - usedAt > lifetime) this.#filters.delete(id)
  }

  #find(id: Json | undefined): Filter {
    this.#expire()
    const filter = typeof id === 'string' ? this.#filters.get(id) : undefined
    if (filter === undefined) throw new NightjarError('bad-request', { detail: 'filter not found' })
    filter.usedAt = this.#options.clock.now()
    return filter
  }

  #nextChanges(filter: Filter): Promise<Json> {
    const changes = filter.turn.then(() => this.#changes(filter))
    filter.turn = changes.catch(() => undefined)
    return changes
  }

  async #changes(filter: Filter): Promise<Json> {
    const newest = await this.#newest(filter.chain)
    const from = filter.last + 1
    if (newest < from) return []
    const changes =
      filter.logs === undefined
        ? await this.#hashes(filter.chain, Math.max(from, newest - blocksAtOnce + 1), newest)
        : await this.#logsBetween(filter, from, newest)
    filter.last = newest
    return changes
  }

  /** New blocks that are within the filter's own range, where it has one in numbers. */
  async #logsBetween({ chain, logs }: Filter, from: number, to: number): Promise<Json> {
    const first = Math.max(from, blockNumber(logs?.fromBlock) ?? from)
    const last = Math.min(to, blockNumber(logs?.toBlock) ?? to)
    if (last < first) return []
    return this.#read(chain, 'eth_getLogs', [{ ...logs, fromBlock: quantity(first), toBlock: quantity(last) }])
  }

  #all({ chain, logs }: Filter): Promise<Json> {
    if (logs === undefined) throw new NightjarError('bad-request', { detail: 'a filter of blocks has no logs' })
    return this.#read(chain, 'eth_getLogs', [logs])
  }

  async #hashes(chain: number, from: number, to: number): Promise<Json> {
    const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index)
    const blocks = await Promise.all(
      numbers.map((number) => this.#read(chain, 'eth_getBlockByNumber', [quantity(number), false])),
    )
    return blocks.flatMap((block) => {
      const { hash } = (block ?? {}) as { readonly hash?: Json }
      return hash === undefined ? [] : [hash]
    })
  }

  async #newest(chain: number): Promise<number> {
    const number = blockNumber(await this.#read(chain, 'eth_blockNumber', []))
    if (number === undefined) throw new NightjarError('upstream-failed')
    return number
  }

  async #read(chain: number, method: string, params: readonly Json[]): Promise<Json> {
    const outcome = await this.#options.read(chain, { method, params })
    if ('error' in outcome) throw new Refused(outcome.error)
    return outcome.result
  }
}

/** What a node said instead of an answer. */
class Refused extends Error {
  readonly error: RpcError

  constructor(error: RpcError) {
    super('refused by the node')
    this.error = error
  }
}

function logFilter(value: Json | undefined): { readonly [key: string]: Json } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NightjarError('bad-request', { detail: 'filter' })
  }
  return value as { readonly [key: string]: Json }
}

/** Of a block given as a quantity; tags such as `latest` have none. */
function blockNumber(value: Json | undefined): number | undefined {
  return typeof value === 'string' && /^0x[0-9a-f]{1,13}$/i.test(value) ? Number(value) : undefined
}

function quantity(value: number): string {
  return `0x${value.toString(16)}`
}
