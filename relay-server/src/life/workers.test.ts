import { second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeWorker, named, reloaded, sumIn, WorkerStage } from './testing/workerStage.ts'

let stage: WorkerStage
beforeEach(() => {
  stage = new WorkerStage()
})
afterEach(() => stage.end())

describe('workers', () => {
  test('get connections in turn, unread', async () => {
    const { port } = await stage.start()
    for (let count = 0; count < 4; count++) await stage.dial(port)
    expect(stage.workers.map(({ connections }) => connections.length)).toEqual([2, 2])
    expect(stage.workers[0]?.connections[0]?.isPaused()).toBe(true)
  })

  test('one that does not start keeps the relay from starting, and the others are ended', async () => {
    stage.makeWorker = () => {
      const worker = new FakeWorker(stage)
      if (stage.workers.length === 1)
        worker.greeting = { report: 'failed', error: { code: 'file-unusable', detail: 'key' } }
      return worker
    }
    expect(await codeOfAsync(() => stage.start())).toBe('file-unusable')
    stage.carrier = undefined
    await stage.clock.elapse(10 * second)
    expect(stage.workers).toHaveLength(2)
  })

  test('one that dies is replaced at once, the others go on, and it is counted', async () => {
    const { port, read } = await stage.start()
    stage.workers[0]?.end()
    await stage.clock.elapse(0)
    expect(stage.workers).toHaveLength(3)
    for (let count = 0; count < 4; count++) await stage.dial(port)
    expect(stage.workers.map(({ connections }) => connections.length)).toEqual([0, 2, 2])
    expect(stage.logged).toEqual(['a worker ended by itself and is replaced'])
    const replaced = (await read()).families.find(({ name }) => name === 'nightjar_workers_replaced_total')
    expect(replaced?.values[0]?.value).toBe(1)
  })

  test('those that die again and again are replaced ever more slowly', async () => {
    await stage.start()
    const born: number[] = []
    const began = stage.clock.now()
    stage.makeWorker = () => {
      const worker = new FakeWorker(stage)
      born.push(stage.clock.now() - began)
      stage.clock.after(0, () => worker.end())
      return worker
    }
    stage.workers[0]?.end()
    await stage.clock.elapse(10 * second)
    expect(born).toEqual([0, 100, 300, 700, 1500, 3100, 6300])
  })

  test('count as one relay', async () => {
    const { read, checks } = await stage.start()
    const circuits = (await read()).families.find(({ name }) => name === 'circuits')
    expect(circuits?.values[0]?.value).toBe(10)

    stage.workers[1]?.report({ report: 'checks', checks: [{ name: 'network document', ok: false, sentence: 'None.' }] })
    stage.workers[0]?.report({ report: 'checks', checks: [{ name: 'network document', ok: true, sentence: 'Valid.' }] })
    expect(checks()).toEqual([
      { name: 'workers', ok: true, sentence: 'Workers serve.' },
      { name: 'network document', ok: false, sentence: 'None.' },
    ])
  })

  test('one that says nothing is shown as it was', async () => {
    const all = await stage.start()
    await all.read()
    const [first, second_] = stage.workers as [FakeWorker, FakeWorker]
    first.obeys = false
    second_.counted = 7
    const sum = sumIn(all, 'circuits')
    await stage.clock.elapse(5 * second)
    expect(await sum).toBe(12)
  })

  test('what one has counted that is gone stays counted, and what it had does not', async () => {
    const all = await stage.start()
    const [first, second_] = stage.workers as [FakeWorker, FakeWorker]
    first.counted = 100
    expect([await sumIn(all, 'cells'), await sumIn(all, 'circuits')]).toEqual([105, 105])
    first.end()
    await stage.clock.elapse(0)
    expect([await sumIn(all, 'cells'), await sumIn(all, 'circuits')]).toEqual([110, 10])
    second_.end()
    await stage.clock.elapse(1 * second)
    expect([await sumIn(all, 'cells'), await sumIn(all, 'circuits')]).toEqual([115, 10])
  })

  test('one that hangs is ended, replaced and counted', async () => {
    const all = await stage.start()
    await stage.clock.elapse(60 * second)
    expect(stage.killed).toEqual([])
    const [first] = stage.workers as [FakeWorker]
    first.obeys = false
    await stage.clock.elapse(9 * second)
    expect(stage.killed).toEqual([])
    await stage.clock.elapse(3 * second)
    expect([stage.killed, stage.workers.length]).toEqual([[first], 3])
    expect(stage.logged).toContain('a worker hangs and is ended')
    expect(await sumIn(all, 'nightjar_workers_replaced_total')).toBe(1)
  })

  test('one that may hang gets no connections while another does not', async () => {
    const { port } = await stage.start()
    const [first, second_] = stage.workers as [FakeWorker, FakeWorker]
    first.obeys = false
    await stage.clock.elapse(5 * second)
    for (let count = 0; count < 3; count++) await stage.dial(port)
    expect([first.connections.length, second_.connections.length]).toEqual([0, 3])
    second_.obeys = false
    await stage.clock.elapse(4 * second)
    for (let count = 0; count < 2; count++) await stage.dial(port)
    expect([first.connections.length, second_.connections.length]).toEqual([1, 4])
  })

  test('none is ended because the parent itself stood still', async () => {
    await stage.start()
    for (const worker of stage.workers) worker.obeys = false
    await stage.clock.elapse(5 * second)
    // Nobody ran, timers neither; then one of them fires.
    stage.ahead = 60 * second
    await stage.clock.elapse(1 * second)
    expect(stage.killed).toEqual([])
  })

  test('one that never comes to serve keeps the relay from starting', async () => {
    stage.makeWorker = () => Object.assign(new FakeWorker(stage), { obeys: false })
    const started = codeOfAsync(() => stage.start())
    await stage.clock.elapse(120 * second)
    expect([await started, stage.killed.length]).toEqual(['internal', 2])
    stage.carrier = undefined
  })

  test('all get a new configuration, and so do those that come later', async () => {
    const { reload } = await stage.start()
    await reload(reloaded)
    stage.workers[0]?.end()
    await stage.clock.elapse(0)
    expect(stage.workers.map((worker) => named(worker, 'reload').length)).toEqual([1, 1, 0])
    expect(stage.workers[2]?.orders[0]).toMatchObject({ order: 'start', config: { region: 'other' } })
  })

  describe('a new configuration', () => {
    test('is not waited for where a worker is starting: it catches up before it serves', async () => {
      const { reload, port } = await stage.start()
      stage.makeWorker = () => Object.assign(new FakeWorker(stage), { greeting: { report: 'alive' } as const })
      stage.workers[0]?.end()
      await stage.clock.elapse(0)
      await reload(reloaded)
      const [, , starting] = stage.workers as [FakeWorker, FakeWorker, FakeWorker]
      expect(named(starting, 'reload')).toEqual([])
      starting.report({ report: 'started' })
      await stage.clock.elapse(0)
      expect(named(starting, 'reload')).toMatchObject([{ config: { region: 'other' } }])
      for (let count = 0; count < 2; count++) await stage.dial(port)
      expect(starting.connections).toHaveLength(1)
    })

    test('reaches those that come to serve while others are asked', async () => {
      const { reload } = await stage.start()
      const [first, second_] = stage.workers as [FakeWorker, FakeWorker]
      second_.ignored = 'reload'
      stage.makeWorker = () => Object.assign(new FakeWorker(stage), { greeting: { report: 'alive' } as const })
      first.end()
      await stage.clock.elapse(0)
      const done = reload(reloaded)
      const [, , late] = stage.workers as [FakeWorker, FakeWorker, FakeWorker]
      late.report({ report: 'started' })
      await stage.clock.elapse(0)
      const { id } = named(second_, 'reload')[0] as { id: number }
      second_.report({ report: 'answered', id })
      await done
      expect(named(late, 'reload')).toMatchObject([{ config: { region: 'other' } }])
    })

    test('that one does not take in time is no refusal: that worker is replaced by one that begins with it', async () => {
      const { reload } = await stage.start()
      const [first] = stage.workers as [FakeWorker]
      first.ignored = 'reload'
      const done = reload(reloaded)
      await stage.clock.elapse(31 * second)
      await done
      await stage.clock.elapse(0)
      expect(stage.killed).toEqual([first])
      expect(stage.workers).toHaveLength(3)
      expect(stage.workers[2]?.orders.findLast((order) => 'config' in order)).toMatchObject({
        config: { region: 'other' },
      })
    })

    test('that one dies over is no refusal either', async () => {
      const { reload } = await stage.start()
      const [first] = stage.workers as [FakeWorker]
      first.ignored = 'reload'
      const done = reload(reloaded)
      first.end()
      await done
      await stage.clock.elapse(0)
      expect(stage.workers[2]?.orders.findLast((order) => 'config' in order)).toMatchObject({
        config: { region: 'other' },
      })
    })

    test('that one refuses is refused, and those that come later have the old one', async () => {
      const { reload } = await stage.start()
      const [first] = stage.workers as [FakeWorker]
      first.ignored = 'reload'
      const refused = codeOfAsync(() => reload(reloaded))
      await stage.clock.elapse(0)
      const { id } = named(first, 'reload')[0] as { id: number }
      first.report({ report: 'answered', id, error: { code: 'file-unusable' } })
      expect(await refused).toBe('file-unusable')
      first.end()
      await stage.clock.elapse(0)
      expect(stage.workers[2]?.orders[0]).toMatchObject({ order: 'start', config: { region: 'test' } })
    })
  })

  test('that do not leave are ended two seconds after their time, or after they were hurried', async () => {
    for (const isHurried of [false, true]) {
      stage.killed = []
      stage.workers = []
      const { stop } = await stage.start()
      for (const worker of stage.workers) worker.ignored = 'stop'
      const hurry = new AbortController()
      const stopped = stop({ seconds: 30, hurry: hurry.signal })
      await stage.clock.elapse(isHurried ? 10 * second : 31 * second)
      if (isHurried) hurry.abort()
      expect(stage.killed).toEqual([])
      await stage.clock.elapse(2 * second)
      expect(stage.killed).toEqual(stage.workers)
      await stopped
      stage.carrier = undefined
    }
  })

  test('are told to leave, hurried, and not replaced then', async () => {
    const { stop } = await stage.start()
    for (const worker of stage.workers) worker.obeys = false
    const hurry = new AbortController()
    const stopped = stop({ seconds: 30, hurry: hurry.signal })
    expect(stage.workers.map((worker) => named(worker, 'stop'))).toEqual([
      [{ order: 'stop', seconds: 30 }],
      [{ order: 'stop', seconds: 30 }],
    ])
    hurry.abort()
    expect(stage.workers.map((worker) => named(worker, 'hurry').length)).toEqual([1, 1])
    for (const worker of stage.workers) worker.end()
    await stopped
    stage.carrier = undefined
    await stage.clock.elapse(60 * second)
    expect(stage.workers).toHaveLength(2)
  })
})
