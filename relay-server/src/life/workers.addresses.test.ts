/** What of each address is open, as the parent counts it for all its workers. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { limits } from '@nightjar/shared/limits'
import type { LocalIpGate } from '@nightjar/shared-node/link'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeWorker, named, sumIn, WorkerStage } from './testing/workerStage.ts'

let stage: WorkerStage
beforeEach(() => {
  stage = new WorkerStage()
})
afterEach(() => stage.end())

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
    stage.clients.push(socket)
    // By a reset, which may come before the connection stands.
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('close', resolve))
  }

  test('are counted before any worker gets the connection, and given back when it says so', async () => {
    const gate = new Gate(2)
    const all = await stage.start(gate)
    await stage.dial(all.port)
    await stage.dial(all.port)
    await refused(all.port)
    expect(stage.workers.map((worker) => named(worker, 'link').length)).toEqual([1, 1])
    expect(named(stage.workers[0], 'link')).toEqual([{ order: 'link', address: '127.0.0.1' }])
    expect(await sumIn(all, 'nightjar_refused_total')).toBe(1)
    stage.workers[0]?.report({ report: 'release', address: '127.0.0.1' })
    expect(gate.open).toEqual(['127.0.0.1'])
    await stage.dial(all.port)
  })

  test('those of a worker that dies are given back, once', async () => {
    const gate = new Gate(2)
    const { port } = await stage.start(gate)
    await stage.dial(port)
    await stage.dial(port)
    const [first] = stage.workers as [FakeWorker]
    first.end()
    expect(gate.open).toEqual(['127.0.0.1'])
    first.report({ report: 'release', address: '127.0.0.1' })
    for (const connection of first.connections) connection.destroy()
    await stage.clock.elapse(0)
    expect(gate.open).toEqual(['127.0.0.1'])
  })

  test('one whose connection could not be handed over is given back', async () => {
    const gate = new Gate(2)
    const { port } = await stage.start(gate)
    await stage.dial(port)
    const [connection] = stage.workers.flatMap(({ connections }) => connections)
    const closed = once(connection as Socket, 'close')
    connection?.destroy()
    await closed
    expect(gate.open).toEqual([])
  })

  test('nobody uses up what there is for all', async () => {
    const gate = new Gate(0)
    const all = await stage.start(gate)
    for (let count = 0; count < limits.acceptsAtOnce; count++) await refused(all.port)
    Object.assign(gate, { most: 1 })
    await stage.dial(all.port)
    const reasons = (await all.read()).families.find(({ name }) => name === 'nightjar_refused_total')?.values
    expect(reasons?.map(({ labels }) => labels.reason)).toEqual(['address-connections'])
  })

  test('of clients behind proxies are counted once for all workers, when a worker asks', async () => {
    const gate = new Gate(1)
    await stage.start(gate)
    const [first, second_] = stage.workers as [FakeWorker, FakeWorker]
    first.report({ report: 'admit', id: 1, address: 'a' })
    second_.report({ report: 'admit', id: 1, address: 'a' })
    second_.report({ report: 'admit', id: 2, address: 'b' })
    await stage.clock.elapse(0)
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
