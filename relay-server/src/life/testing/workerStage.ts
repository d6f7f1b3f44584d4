/** A parent whose workers a test plays. Connections are real, on loopback. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import type { LocalIpGate } from '@nightjar/shared-node/link'
import type { RelayConfig } from '../../config.ts'
import type { Carrier } from '../carrier.ts'
import type { Order, Report } from '../orders.ts'
import type { WorkerProcess } from '../workerProcess.ts'
import { startWorkers } from '../workers.ts'

export class FakeWorker implements WorkerProcess {
  readonly orders: Order[] = []
  readonly connections: Socket[] = []
  readonly #reports: ((report: Report) => void)[] = []
  readonly #ends: (() => void)[] = []
  /** What it says to its start. */
  greeting: Report = { report: 'started' }
  /** Whether it does what it is told, and says each second that it lives. */
  obeys = true
  /** What it says that it has counted. */
  counted = 5
  /** One order that it does not hear. */
  ignored: Order['order'] | undefined
  #isOver = false
  readonly #stage: Pick<WorkerStage, 'clock' | 'killed'>

  constructor(stage: Pick<WorkerStage, 'clock' | 'killed'>) {
    this.#stage = stage
  }

  send(order: Order, connection?: Socket): void {
    this.orders.push(order)
    if (connection !== undefined) this.connections.push(connection)
    if (!this.obeys || order.order === this.ignored) return
    if (order.order === 'start') {
      this.#live()
      this.report(this.greeting)
    }
    if ('config' in order && 'id' in order) this.report({ report: 'answered', id: order.id })
    if (order.order === 'reloadKeys') this.report({ report: 'answered', id: order.id })
    if (order.order === 'read') this.report({ report: 'answered', id: order.id, reading: reading(this.counted) })
    if (order.order === 'stop') this.end()
  }

  onReport(listener: (report: Report) => void): void {
    this.#reports.push(listener)
  }

  onEnd(listener: () => void): void {
    this.#ends.push(listener)
  }

  kill(): void {
    this.#stage.killed.push(this)
    this.end()
  }

  #live(): void {
    if (this.obeys) this.report({ report: 'alive' })
    if (!this.#isOver) this.#stage.clock.after(1 * second, () => this.#live())
  }

  report(report: Report): void {
    for (const listener of this.#reports) listener(report)
  }

  end(): void {
    this.#isOver = true
    for (const listener of this.#ends.splice(0)) listener()
  }
}

const reading = (value: number) => ({
  families: [
    { name: 'circuits', help: 'Circuits.', type: 'gauge', aggregator: 'sum', values: [{ value, labels: {} }] },
    { name: 'cells', help: 'Cells.', type: 'counter', aggregator: 'sum', values: [{ value, labels: {} }] },
  ],
  steps: {},
})

// As far as the parent reads it.
const listen = { host: '127.0.0.1', port: 0, trusted_proxies: [] as string[] }
const config = { workers: 2, region: 'test', listen } as RelayConfig
export const reloaded = { ...config, region: 'other' }

export class WorkerStage {
  readonly clock = new FakeClock()
  /** By how much the parent's clock was set, or it stood still, while no timer ran. */
  ahead = 0
  workers: FakeWorker[] = []
  killed: FakeWorker[] = []
  readonly logged: string[] = []
  makeWorker = () => new FakeWorker(this)
  carrier: Carrier | undefined
  readonly clients: Socket[] = []

  async start(ipGate?: LocalIpGate): Promise<Carrier> {
    const { clock } = this
    const note = (message: string) => void this.logged.push(message)
    this.carrier = await startWorkers({
      config,
      clock: {
        now: () => clock.now() + this.ahead,
        elapsed: () => clock.elapsed() + this.ahead,
        after: (delay, action) => clock.after(delay, action),
      },
      log: { debug: note, info: note, warn: note, error: note },
      ipGate,
      fork: () => {
        const worker = this.makeWorker()
        this.workers.push(worker)
        return worker
      },
    })
    return this.carrier
  }

  /** A connection, once a worker has it. */
  async dial(port: number): Promise<Socket> {
    const before = this.#connections().length
    const socket = connect({ host: '127.0.0.1', port })
    this.clients.push(socket)
    await once(socket, 'connect')
    while (this.#connections().length === before) await new Promise(setImmediate)
    return socket
  }

  async end(): Promise<void> {
    for (const client of this.clients.splice(0)) client.destroy()
    for (const connection of this.#connections()) connection.destroy()
    for (const worker of this.workers) worker.obeys = true
    await this.carrier?.stop({ seconds: 0, hurry: AbortSignal.abort() })
  }

  #connections(): Socket[] {
    return this.workers.flatMap(({ connections }) => connections)
  }
}

export const sumIn = async ({ read }: Carrier, name: string) =>
  (await read()).families.find((family) => family.name === name)?.values[0]?.value

export const named = (worker: FakeWorker | undefined, order: Order['order']) =>
  (worker?.orders ?? []).filter((each) => each.order === order)
