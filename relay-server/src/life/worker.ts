/** The life of a worker: it does what its parent orders (orders.ts), and ends with it. */
import type { Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import { second } from '@nightjar/shared/runtime'
import type { AddressRefusal, IpGate } from '@nightjar/shared-node/link'
import { createLog } from '@nightjar/shared-node/log'
import type { RelayConfig } from '../config.ts'
import { type LocalCarrier, type RelayContext, startRelay } from '../server.ts'
import { type Order, plainError, type Report } from './orders.ts'

/** How often it says that it lives, and looks at its checks. */
const beat = 1 * second

/** Never resolves: the process ends by its parent's order, or with its parent. */
export function runWorker(context: RelayContext): Promise<never> {
  const gate = new AskingGate((report) => tell(report))
  const hurry = new AbortController()
  let carrier: LocalCarrier | undefined
  let told = '[]'

  function tell(report: Report): void {
    process.send?.(report)
  }

  async function start(config: RelayConfig): Promise<void> {
    try {
      const log = createLog({ name: config.server_name, level: config.log.level })
      carrier = await startRelay(context, { config, log, handed: { ipGate: gate } })
      tellChecks()
      tell({ report: 'started' })
    } catch (error) {
      tell({ report: 'failed', error: plainError(error) })
      process.disconnect()
    }
  }

  function tellChecks(): void {
    const checks = carrier?.checks() ?? []
    if (JSON.stringify(checks) !== told) tell({ report: 'checks', checks })
    told = JSON.stringify(checks)
  }

  function tellAlive(): void {
    tell({ report: 'alive' })
    tellChecks()
    context.clock.after(beat, tellAlive)
  }

  async function answer(order: Extract<Order, { order: 'reload' | 'reloadKeys' | 'read' }>): Promise<void> {
    const { id } = order
    try {
      if (carrier === undefined) throw new NightjarError('internal', { detail: 'an order before the start' })
      if (order.order === 'read') return tell({ report: 'answered', id, reading: await carrier.read() })
      await (order.order === 'reload' ? carrier.reload(order.config) : carrier.reloadKeys())
      tell({ report: 'answered', id })
    } catch (error) {
      tell({ report: 'answered', id, error: plainError(error) })
    }
  }

  async function stop(seconds: number): Promise<void> {
    await carrier?.stop({ seconds, hurry: hurry.signal })
    process.exit(0)
  }

  process.on('message', (order: Order, connection?: Socket) => {
    switch (order.order) {
      case 'start':
        return void start(order.config)
      case 'link':
        if (connection !== undefined) return carrier?.take(connection, order.address)
        // The other side was gone before it got here.
        return order.address === undefined ? undefined : gate.release(order.address)
      case 'admitted':
        return gate.answered(order.id, order.refusal)
      case 'stop':
        return void stop(order.seconds)
      case 'hurry':
        return hurry.abort()
      default:
        return void answer(order)
    }
  })
  tellAlive()
  // Nobody would tell it anything any more.
  process.on('disconnect', () => process.exit(1))
  // What a terminal or a service manager sends to all processes of the relay is the parent's to act on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  return new Promise(() => {})
}

/** Addresses are counted by the parent, for all workers. */
class AskingGate implements IpGate {
  readonly #tell: (report: Report) => void
  readonly #waiting = new Map<number, (refusal: AddressRefusal | undefined) => void>()
  #lastId = 0

  constructor(tell: (report: Report) => void) {
    this.#tell = tell
  }

  admit(address: string): Promise<AddressRefusal | undefined> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#tell({ report: 'admit', id, address })
    })
  }

  release(address: string): void {
    this.#tell({ report: 'release', address })
  }

  answered(id: number, refusal: AddressRefusal | undefined): void {
    this.#waiting.get(id)?.(refusal)
    this.#waiting.delete(id)
  }
}
