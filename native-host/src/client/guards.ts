/** Links to the pinned guards: one in use, one kept warm so that fail-over costs no dialling. */
import { command, makeCell, noCircuit } from '@nightjar/shared/cell'
import { CircuitTable } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute } from '@nightjar/shared/runtime'
import type { Dial } from '@nightjar/shared-node/link'
import type { RelayHealth } from './health.ts'

const padding = makeCell(noCircuit, command.padding, new Uint8Array(0))

const idleAfter = 5 * minute

export class GuardLinks {
  readonly #dial: Dial
  readonly #clock: Clock
  readonly #health: RelayHealth
  readonly #extraCa: string | undefined
  readonly #tables = new Map<string, Promise<CircuitTable>>()
  /** Links to guards that drain: what is on them goes on, and what is new takes another. */
  readonly #left = new Set<CircuitTable>()
  #stopped = false

  constructor(options: { dial: Dial; clock: Clock; health: RelayHealth; extraCa?: string | undefined }) {
    this.#dial = options.dial
    this.#clock = options.clock
    this.#health = options.health
    this.#extraCa = options.extraCa
  }

  /** The link to `guard`, dialled if there is none. @throws NightjarError `connect-failed` */
  linkTo(guard: Relay): Promise<CircuitTable> {
    if (this.#stopped) return Promise.reject(new NightjarError('cancelled'))
    const id = guard.id
    const known = this.#tables.get(id)
    if (known !== undefined) return known
    const forget = () => {
      if (this.#tables.get(id) === dialled) this.#tables.delete(id)
    }
    const dialled = this.#dialAny(guard, forget)
    this.#tables.set(id, dialled)
    return dialled
  }

  /** Keeps a link to `guard` open; a failure counts against it and is otherwise of no concern now. */
  warm(guard: Relay): void {
    if (this.#stopped) return
    this.linkTo(guard).then(
      (table) => table.link.send(padding),
      () => this.#health.failed(guard),
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const pending = [...this.#tables.values()]
    this.#tables.clear()
    for (const { link } of [...this.#left]) link.close('done')
    for (const result of await Promise.allSettled(pending)) {
      if (result.status === 'fulfilled') result.value.link.close('done')
    }
  }

  async #dialAny(guard: Relay, forget: () => void): Promise<CircuitTable> {
    const table: CircuitTable = new CircuitTable({
      onClosed: () => {
        this.#left.delete(table)
        forget()
      },
      onGoaway: (seconds) => {
        this.#health.drains(guard, seconds)
        this.#left.add(table)
        forget()
      },
    })
    let failure: unknown
    for (const { url, pin } of guard.addresses) {
      try {
        await this.#dial({ url, pin, table, clock: this.#clock, idleAfter, extraCa: this.#extraCa })
        if (this.#stopped) table.link.close('done')
        return table
      } catch (error) {
        failure = error
      }
    }
    forget()
    throw failure
  }
}
