/** Links to other relays: dialled once, shared by all circuits that go there, closed when none does any more. */
import { CircuitTable } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Clock } from '@nightjar/shared/runtime'
import type { Dial, LinkRates } from '@nightjar/shared-node/link'

export interface PoolOptions {
  readonly dial: Dial
  readonly clock: Clock
  readonly idleAfter: number
  readonly localAddress?: string | undefined
  readonly extraCa?: string | undefined
  readonly rates?: LinkRates | undefined
}

export class LinkPool {
  readonly #options: PoolOptions
  readonly #tables = new Map<string, Promise<CircuitTable>>()
  /** Links to relays that drain: what is on them goes on, and what is new takes another. */
  readonly #left = new Set<CircuitTable>()
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#tables.size
  }

  /** The link to `relay`, dialled if there is none. @throws NightjarError `connect-failed` */
  linkTo(relay: Relay): Promise<CircuitTable> {
    if (this.#closed) return Promise.reject(new NightjarError('draining'))
    const id = relay.id
    const known = this.#tables.get(id)
    if (known !== undefined) return known
    const dialled = this.#dial(relay, () => {
      if (this.#tables.get(id) === dialled) this.#tables.delete(id)
    })
    this.#tables.set(id, dialled)
    return dialled
  }

  async close(): Promise<void> {
    this.#closed = true
    const pending = [...this.#tables.values()]
    this.#tables.clear()
    for (const { link } of [...this.#left]) link.close('draining')
    for (const result of await Promise.allSettled(pending)) {
      if (result.status === 'fulfilled') result.value.link.close('draining')
    }
  }

  async #dial(relay: Relay, forget: () => void): Promise<CircuitTable> {
    const table: CircuitTable = new CircuitTable({
      onClosed: () => {
        forget()
        this.#left.delete(table)
      },
      onGoaway: () => {
        forget()
        this.#left.add(table)
      },
    })
    try {
      await this.#dialAny(relay, table)
    } catch (error) {
      forget()
      throw error
    }
    if (this.#closed) table.link.close('draining')
    else this.#closeWhenUnused(table)
    return table
  }

  async #dialAny(relay: Relay, table: CircuitTable): Promise<void> {
    const { dial, clock, idleAfter, localAddress, extraCa, rates } = this.#options
    let failure: unknown
    for (const { url, pin } of relay.addresses) {
      try {
        await dial({ url, pin, table, clock, idleAfter, localAddress, extraCa, rates })
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  #closeWhenUnused(table: CircuitTable, wasUnused = false): void {
    this.#options.clock.after(limits.linkIdle, () => {
      if (table.link.closed) return
      if (table.size === 0 && wasUnused) return table.link.close('idle')
      this.#closeWhenUnused(table, table.size === 0)
    })
  }
}
