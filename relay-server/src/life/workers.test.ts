/** The parent of workers that a test plays. Connections are real, on loopback. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { second } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock } from '@nightjar/shared/testing'
import type { IpGate } from '@nightjar/shared-node/link'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RelayConfig } from '../config.ts'
import type { Carrier } from './carrier.ts'
import type { Order, Report } from './orders.ts'
import type { WorkerProcess } from './workerProcess.ts'
import { startWorkers } from './workers.ts'

class FakeWorker implements WorkerProcess {
  readonly orders: Order[] = []
  readonly connections: Socket[] = []
  readonly #reports: ((report: Report) => void)[] = []
  readonly #ends: (() => void)[] = []
  /** What it says to its start. */
  greeting: Report = { report: 'started' }
  /** Whether it does what it is told. */
  obeys = true

  send(order: Order, connection?: Socket): void {
    this.orders.push(order)
    if (connection !== undefined) this.connections.push(connection)
    if (!this.obeys) return
    if (order.order === 'start') this.report(this.greeting)
    if ('config' in order && 'id' in order) this.report({ report: 'answered', id: order.id })
    if (order.order === 'reloadKeys') this.report({ report: 'answered', id: order.id })
    if (order.order === 'read') this.report({ report: 'answered', id: order.id, reading: reading(5) })
    if (order.order === 'stop') this.end()
  }

  onReport(listener: (report: Report) => void): void {
    this.#reports.push(listener)
  }

  onEnd(listener: () => void): void {
    this.#ends.push(listener)
  }

  kill(): void {
    this.end()
  }

  report(report: Report): void {
    for (const listener of this.#reports) listener(report)
  }

  end(): void {
    for (const listener of this.#ends.splice(0)) listener()
  }
}

const reading = (value: number) => ({
  families: [
    { name: 'circuits', help: 'Circuits.', type: 'gauge', aggregator: 'sum', values: [{ value, labels: {} }] },
  ],
  steps: {},
})

let clock: FakeClock
let workers: FakeWorker[]
let logged: string[]
let makeWorker: () => FakeWorker
let carrier: Carrier | undefined
const clients: Socket[] = []

beforeEach(() => {
  clock = new FakeClock()
  workers = []
  logged = []
  makeWorker = () => new FakeWorker()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  for (const connection of workers.flatMap(({ connections }) => connections)) connection.destroy()
  for (const worker of workers) worker.obeys = true
  await carrier?.stop({ seconds: 0, hurry: AbortSignal.abort() })
})

// As far as the parent reads it.
const config = { workers: 2, region: 'test', listen: { host: '127.0.0.1', port: 0 } } as RelayConfig

async function start(ipGate?: IpGate): Promise<Carrier> {
  const note = (message: string) => void logged.push(message)
  carrier = await startWorkers({
    config,
    clock,
    log: { debug: note, info: note, warn: note, error: note },
    ipGate,
    fork() {
      const worker = makeWorker()
      workers.push(worker)
      return worker
    },
  })
  return carrier
}

async function dial(port: number): Promise<Socket> {
  const before = workers.flatMap(({ connections }) => connections).length
  const socket = connect({ host: '127.0.0.1', port })
  clients.push(socket)
  await once(socket, 'connect')
  while (workers.flatMap(({ connections }) => connections).length === before) await new Promise(setImmediate)
  return socket
}

const named = (worker: FakeWorker | undefined, order: Order['order']) =>
  (worker?.orders ?? []).filter((each) => each.order === order)

describe('workers', () => {
  test('get connections in turn, unread', async () => {
    const { port } = await start()
    for (let count = 0; count < 4; count++) await dial(port)
    expect(workers.map(({ connections }) => connections.length)).toEqual([2, 2])
    expect(workers[0]?.connections[0]?.isPaused()).toBe(true)
  })

  test('one that does not start keeps the relay from starting, and the others are ended', async () => {
    makeWorker = () => {
      const worker = new FakeWorker()
      if (workers.length === 1) worker.greeting = { report: 'failed', error: { code: 'file-unusable', detail: 'key' } }
      return worker
    }
    expect(await codeOfAsync(() => start())).toBe('file-unusable')
    carrier = undefined
    await clock.elapse(10 * second)
    expect(workers).toHaveLength(2)
  })

  test('one that dies is replaced at once, the others go on, and it is counted', async () => {
    const { port, read } = await start()
    workers[0]?.end()
    await clock.elapse(0)
    expect(workers).toHaveLength(3)
    for (let count = 0; count < 4; count++) await dial(port)
    expect(workers.map(({ connections }) => connections.length)).toEqual([0, 2, 2])
    expect(logged).toEqual(['a worker ended by itself and is replaced'])
    const replaced = (await read()).families.find(({ name }) => name === 'nightjar_workers_replaced_total')
    expect(replaced?.values[0]?.value).toBe(1)
  })

  test('those that die again and again are replaced ever more slowly', async () => {
    await start()
    const born: number[] = []
    const began = clock.now()
    makeWorker = () => {
      const worker = new FakeWorker()
      born.push(clock.now() - began)
      clock.after(0, () => worker.end())
      return worker
    }
    workers[0]?.end()
    await clock.elapse(10 * second)
    expect(born).toEqual([0, 100, 300, 700, 1500, 3100, 6300])
  })

  test('count as one relay', async () => {
    const { read, checks } = await start()
    const circuits = (await read()).families.find(({ name }) => name === 'circuits')
    expect(circuits?.values[0]?.value).toBe(10)

    workers[1]?.report({ report: 'checks', checks: [{ name: 'network document', ok: false, sentence: 'None.' }] })
    workers[0]?.report({ report: 'checks', checks: [{ name: 'network document', ok: true, sentence: 'Valid.' }] })
    expect(checks()).toEqual([
      { name: 'workers', ok: true, sentence: 'Workers serve.' },
      { name: 'network document', ok: false, sentence: 'None.' },
    ])
  })

  test('one that says nothing is left out of the numbers', async () => {
    const { read } = await start()
    if (workers[0] !== undefined) workers[0].obeys = false
    const reading = read()
    await clock.elapse(5 * second)
    expect((await reading).families.find(({ name }) => name === 'circuits')?.values[0]?.value).toBe(5)
  })

  test('all get a new configuration, and so do those that come later', async () => {
    const { reload } = await start()
    await reload({ ...config, region: 'other' })
    workers[0]?.end()
    await clock.elapse(0)
    expect(workers.map((worker) => named(worker, 'reload').length)).toEqual([1, 1, 0])
    expect(workers[2]?.orders[0]).toMatchObject({ order: 'start', config: { region: 'other' } })
  })

  test('are told to leave, hurried, and not replaced then', async () => {
    const { stop } = await start()
    for (const worker of workers) worker.obeys = false
    const hurry = new AbortController()
    const stopped = stop({ seconds: 30, hurry: hurry.signal })
    expect(workers.map((worker) => named(worker, 'stop'))).toEqual([
      [{ order: 'stop', seconds: 30 }],
      [{ order: 'stop', seconds: 30 }],
    ])
    hurry.abort()
    expect(workers.map((worker) => named(worker, 'hurry').length)).toEqual([1, 1])
    for (const worker of workers) worker.end()
    await stopped
    carrier = undefined
    await clock.elapse(60 * second)
    expect(workers).toHaveLength(2)
  })
})

describe('addresses', () => {
  test('are counted once for all workers, and given back when one dies', async () => {
    const open: string[] = []
    const gate: IpGate = {
      admit(address) {
        if (open.length === 2) return 'address-connections'
        open.push(address)
        return undefined
      },
      release: (address) => void open.splice(open.indexOf(address), 1),
    }
    await start(gate)
    const [first, second_] = workers
    first?.report({ report: 'admit', id: 1, address: 'a' })
    second_?.report({ report: 'admit', id: 1, address: 'a' })
    second_?.report({ report: 'admit', id: 2, address: 'b' })
    await clock.elapse(0)
    expect(named(first, 'admitted')).toMatchObject([{ id: 1, refusal: undefined }])
    expect(named(second_, 'admitted')).toMatchObject([
      { refusal: undefined },
      { id: 2, refusal: 'address-connections' },
    ])
    second_?.end()
    expect(open).toEqual(['a'])
    first?.report({ report: 'release', address: 'a' })
    expect(open).toEqual([])
  })
})
