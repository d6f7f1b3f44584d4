/**
 * What went through the shield today, by entry of the host list: counts of connections, in memory only, which begin anew
 * with each local day.
 */
import type { ShieldStatus } from '@nightjar/shared/bridge'
import type { ErrorCode } from '@nightjar/shared/errors'
import type { Clock } from '@nightjar/shared/runtime'
import type { ListedHost } from '@nightjar/shared/shield'

const hostsTold = 200

interface Count {
  readonly host: ListedHost
  shielded: number
  blocked: number
  lastError?: ErrorCode
}

export class Usage {
  readonly #clock: Clock
  readonly #counts = new Map<string, Count>()
  #refused = 0
  #lastError: ErrorCode | null = null
  #day = ''

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A connection to `host` stands. */
  shielded(host: ListedHost): void {
    const count = this.#of(host)
    count.shielded += 1
    delete count.lastError
    this.#lastError = null
  }

  blocked(host: ListedHost): void {
    this.#of(host).blocked += 1
  }

  /** A connection to `host` was to be shielded, and does not stand. */
  failed(host: ListedHost, code: ErrorCode): void {
    this.#of(host).lastError = code
    this.#lastError = code
  }

  /** Something that is not on the list was asked for. */
  refused(): void {
    this.#turnDay()
    this.#refused += 1
  }

  get status(): Pick<ShieldStatus, 'refused' | 'today' | 'hosts' | 'lastError'> {
    this.#turnDay()
    const today: ShieldStatus['today'] = {}
    for (const { host, shielded, blocked } of this.#counts.values()) {
      today[host.category] ??= { shielded: 0, blocked: 0 }
      const sum = today[host.category] as { shielded: number; blocked: number }
      sum.shielded += shielded
      sum.blocked += blocked
    }
    const hosts = [...this.#counts.values()]
      .sort((a, b) => b.shielded + b.blocked - a.shielded - a.blocked)
      .slice(0, hostsTold)
      .map(({ host, ...count }) => ({ suffix: host.suffix, category: host.category, ...count }))
    return { refused: this.#refused, today, hosts, lastError: this.#lastError }
  }

  #of(host: ListedHost): Count {
    this.#turnDay()
    const known = this.#counts.get(host.suffix)
    if (known !== undefined) return known
    const count: Count = { host, shielded: 0, blocked: 0 }
    this.#counts.set(host.suffix, count)
    return count
  }

  #turnDay(): void {
    const day = new Date(this.#clock.now()).toDateString()
    if (day === this.#day) return
    this.#day = day
    this.#counts.clear()
    this.#refused = 0
  }
}
