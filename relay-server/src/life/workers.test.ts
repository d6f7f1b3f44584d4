/** The parent of workers that a test plays. Connections are real, on loopback. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock } from '@nightjar/shared/testing'
import type { LocalIpGate } from '@nightjar/shared-node/link'
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
  /** Whether it does what it is told, and says each second that it lives. */
  obeys = true
  /** What it says that it has counted. */
  counted = 5
  /** One order that it does not hear. */
  ignored: Order['order'] | undefined
  #isOver = false

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
    killed.push(this)
    this.end()
  }

  #live(): void {
    if (this.obeys) this.report({ report: 'alive' })
    if (!this.#isOver) clock.after(1 * second, () => this.#live())
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

let clock: FakeClock
/** By how much the parent's clock was set, or it stood still, while no timer ran. */
let ahead: number
let workers: FakeWorker[]
let killed: FakeWorker[]
let logged: string[]
let makeWorker: () => FakeWorker
let carrier: Carrier | undefined
const clients: Socket[] = []

beforeEach(() => {
  clock = new FakeClock()
  ahead = 0
  workers = []
  killed = []
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
const listen = { host: '127.0.0.1', port: 0, trusted_proxies: [] as string[] }
const config = { workers: 2, region: 'test', listen } as RelayConfig
const reloaded = { ...config, region: 'other' }

const sumIn = async ({ read }: Carrier, name: string) =>
  (await read()).families.find((family) => family.name === name)?.values[0]?.value

async function start(ipGate?: LocalIpGate): Promise<Carrier> {
  const note = (message: string) => void logged.push(message)
  carrier = await startWorkers({
    config,
    clock: {
      now: () => clock.now() + ahead,
      elapsed: () => clock.elapsed() + ahead,
      after: (delay, action) => clock.after(delay, action),
    },
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

  test('one that says nothing is shown as it was', async () => {
    const all = await start()
    await all.read()
    const [first, second_] = workers as [FakeWorker, FakeWorker]
    first.obeys = false
    second_.counted = 7
    const sum = sumIn(all, 'circuits')
    await clock.elapse(5 * second)
    expect(await sum).toBe(12)
  })

  test('what one has counted that is gone stays counted, and what it had does not', async () => {
    const all = await start()
    const [first, second_] = workers as [FakeWorker, FakeWorker]
    first.counted = 100
    expect([await sumIn(all, 'cells'), await sumIn(all, 'circuits')]).toEqual([105, 105])
    first.end()
    await clock.elapse(0)
    expect([await sumIn(all, 'cells'), await sumIn(all, 'circuits')]).toEqual([110, 10])
    second_.end()
    await clock.elapse(1 * second)
    expect([await sumIn(all, 'cells'), await sumIn(all, 'circuits')]).toEqual([115, 10])
  })

  test('one that hangs is ended, replaced and counted', async () => {
    const all = await start()
    await clock.elapse(60 * second)
    expect(killed).toEqual([])
    const [first] = workers as [FakeWorker]
    first.obeys = false
    await clock.elapse(9 * second)
    expect(killed).toEqual([])
    await clock.elapse(3 * second)
    expect([killed, workers.length]).toEqual([[first], 3])
    expect(logged).toContain('a worker hangs and is ended')
    expect(await sumIn(all, 'nightjar_workers_replaced_total')).toBe(1)
  })

  test('one that may hang gets no connections while another does not', async () => {
    const { port } = await start()
    const [first, second_] = workers as [FakeWorker, FakeWorker]
    first.obeys = false
    await clock.elapse(5 * second)
    for (let count = 0; count < 3; count++) await dial(port)
    expect([first.connections.length, second_.connections.length]).toEqual([0, 3])
    second_.obeys = false
    await clock.elapse(4 * second)
    for (let count = 0; count < 2; count++) await dial(port)
    expect([first.connections.length, second_.connections.length]).toEqual([1, 4])
  })

  test('none is ended because the parent itself stood still', async () => {
    await start()
    for (const worker of workers) worker.obeys = false
    await clock.elapse(5 * second)
    // Nobody ran, timers neither; then one of them fires.
    ahead = 60 * second
    await clock.elapse(1 * second)
    expect(killed).toEqual([])
  })

  test('one that never comes to serve keeps the relay from starting', async () => {
    makeWorker = () => Object.assign(new FakeWorker(), { obeys: false })
    const started = codeOfAsync(() => start())
    await clock.elapse(120 * second)
    expect([await started, killed.length]).toEqual(['internal', 2])
    carrier = undefined
  })

  test('all get a new configuration, and so do those that come later', async () => {
    const { reload } = await start()
    await reload(reloaded)
    workers[0]?.end()
    await clock.elapse(0)
    expect(workers.map((worker) => named(worker, 'reload').length)).toEqual([1, 1, 0])
    expect(workers[2]?.orders[0]).toMatchObject({ order: 'start', config: { region: 'other' } })
  })

  describe('a new configuration', () => {
    test('is not waited for where a worker is starting: it catches up before it serves', async () => {
      const { reload, port } = await start()
      makeWorker = () => Object.assign(new FakeWorker(), { greeting: { report: 'alive' } as const })
      workers[0]?.end()
      await clock.elapse(0)
      await reload(reloaded)
      const [, , starting] = workers as [FakeWorker, FakeWorker, FakeWorker]
      expect(named(starting, 'reload')).toEqual([])
      starting.report({ report: 'started' })
      await clock.elapse(0)
      expect(named(starting, 'reload')).toMatchObject([{ config: { region: 'other' } }])
      for (let count = 0; count < 2; count++) await dial(port)
      expect(starting.connections).toHaveLength(1)
    })

    test('reaches those that come to serve while others are asked', async () => {
      const { reload } = await start()
      const [first, second_] = workers as [FakeWorker, FakeWorker]
      second_.ignored = 'reload'
      makeWorker = () => Object.assign(new FakeWorker(), { greeting: { report: 'alive' } as const })
      first.end()
      await clock.elapse(0)
      const done = reload(reloaded)
      const [, , late] = workers as [FakeWorker, FakeWorker, FakeWorker]
      late.report({ report: 'started' })
      await clock.elapse(0)
      const { id } = named(second_, 'reload')[0] as { id: number }
      second_.report({ report: 'answered', id })
      await done
      expect(named(late, 'reload')).toMatchObject([{ config: { region: 'other' } }])
    })

    test('that one does not take in time is no refusal: that worker is replaced by one that begins with it', async () => {
      const { reload } = await start()
      const [first] = workers as [FakeWorker]
      first.ignored = 'reload'
      const done = reload(reloaded)
      await clock.elapse(31 * second)
      await done
      await clock.elapse(0)
      expect(killed).toEqual([first])
      expect(workers).toHaveLength(3)
      expect(workers[2]?.orders.findLast((order) => 'config' in order)).toMatchObject({ config: { region: 'other' } })
    })

    test('that one dies over is no refusal either', async () => {
      const { reload } = await start()
      const [first] = workers as [FakeWorker]
      first.ignored = 'reload'
      const done = reload(reloaded)
      first.end()
      await done
      await clock.elapse(0)
      expect(workers[2]?.orders.findLast((order) => 'config' in order)).toMatchObject({ config: { region: 'other' } })
    })

    test('that one refuses is refused, and those that come later have the old one', async () => {
      const { reload } = await start()
      const [first] = workers as [FakeWorker]
      first.ignored = 'reload'
      const refused = codeOfAsync(() => reload(reloaded))
      await clock.elapse(0)
      const { id } = named(first, 'reload')[0] as { id: number }
      first.report({ report: 'answered', id, error: { code: 'file-unusable' } })
      expect(await refused).toBe('file-unusable')
      first.end()
      await clock.elapse(0)
      expect(workers[2]?.orders[0]).toMatchObject({ order: 'start', config: { region: 'test' } })
    })
  })

  test('that do not leave are ended two seconds after their time, or after they were hurried', async () => {
    for (const isHurried of [false, true]) {
      killed = []
      workers = []
      const { stop } = await start()
      for (const worker of workers) worker.ignored = 'stop'
      const hurry = new AbortController()
      const stopped = stop({ seconds: 30, hurry: hurry.signal })
      await clock.elapse(isHurried ? 10 * second : 31 * second)
      if (isHurried) hurry.abort()
      expect(killed).toEqual([])
      await clock.elapse(2 * second)
      expect(killed).toEqual(workers)
      await stopped
      carrier = undefined
    }
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
  /** Counts what is open; of each address `most` may be. */
  class Gate implements LocalIpGate {
    readonly open: string[] = []
    readonly most: number
    constructor(most: number) {
      this.most = most
    }
    admit(address: string) {
      if (this.open.filter((each) => each === address).length >= this.most) return 'address-connections' as const
      this.open.push(address)
      return undefined
    }
    release(address: string) {
      this.open.splice(this.open.indexOf(address), 1)
    }
  }

  /** Resolves once the other side has closed it. */
  async function refused(port: number): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port })
    clients.push(socket)
    // By a reset, which may come before the connection stands.
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('close', resolve))
  }

  test('are counted before any worker gets the connection, and given back when it says so', async () => {
    const gate = new Gate(2)
    const all = await start(gate)
    await dial(all.port)
    await dial(all.port)
    await refused(all.port)
    expect(workers.map((worker) => named(worker, 'link').length)).toEqual([1, 1])
    expect(named(workers[0], 'link')).toEqual([{ order: 'link', address: '127.0.0.1' }])
    expect(await sumIn(all, 'nightjar_refused_total')).toBe(1)
    workers[0]?.report({ report: 'release', address: '127.0.0.1' })
    expect(gate.open).toEqual(['127.0.0.1'])
    await dial(all.port)
  })

  test('those of a worker that dies are given back, once', async () => {
    const gate = new Gate(2)
    const { port } = await start(gate)
    await dial(port)
    await dial(port)
    const [first] = workers as [FakeWorker]
    first.end()
    expect(gate.open).toEqual(['127.0.0.1'])
    first.report({ report: 'release', address: '127.0.0.1' })
    for (const connection of first.connections) connection.destroy()
    await clock.elapse(0)
    expect(gate.open).toEqual(['127.0.0.1'])
  })

  test('one whose connection could not be handed over is given back', async () => {
    const gate = new Gate(2)
    const { port } = await start(gate)
    await dial(port)
    const [connection] = workers.flatMap(({ connections }) => connections)
    const closed = once(connection as Socket, 'close')
    connection?.destroy()
    await closed
    expect(gate.open).toEqual([])
  })

  test('nobody uses up what there is for all', async () => {
    const gate = new Gate(0)
    const all = await start(gate)
    for (let count = 0; count < limits.acceptsAtOnce; count++) await refused(all.port)
    Object.assign(gate, { most: 1 })
    await dial(all.port)
    const reasons = (await all.read()).families.find(({ name }) => name === 'nightjar_refused_total')?.values
    expect(reasons?.map(({ labels }) => labels.reason)).toEqual(['address-connections'])
  })

  test('of clients behind proxies are counted once for all workers, when a worker asks', async () => {
    const gate = new Gate(1)
    await start(gate)
    const [first, second_] = workers as [FakeWorker, FakeWorker]
    first.report({ report: 'admit', id: 1, address: 'a' })
    second_.report({ report: 'admit', id: 1, address: 'a' })
    second_.report({ report: 'admit', id: 2, address: 'b' })
    await clock.elapse(0)
    expect(named(first, 'admitted')).toMatchObject([{ id: 1, refusal: undefined }])
    expect(named(second_, 'admitted')).toMatchObject([
      { id: 1, refusal: 'address-connections' },
      { id: 2, refusal: undefined },
    ])
    second_.end()
    expect(gate.open).toEqual(['a'])
    first.report({ report: 'release', address: 'a' })
    expect(gate.open).toEqual([])
  })
})
