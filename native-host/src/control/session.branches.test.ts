/** How branches of a session end: lost, closed, or with it; and what their numbers are good for then. */
import { base64 } from '@nightjar/shared/bytes'
import { recordSize } from '@nightjar/shared/envelope'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { watch } from '../client/testing/branches.ts'
import { numberOf, TestBridge } from './testing/bridge.ts'
import { labels, question, startSession } from './testing/session.ts'

const [label] = labels

describe('a branch that is lost', () => {
  test('is told once, with exactly those that waited, which get no answer besides', async () => {
    const { net, bridge, open, ask, hold, cutOff } = await startSession()
    const [lost, other] = [await open(label), await open(labels[1], 'g1')]
    await ask(lost)
    const [held, heldToo] = [hold('g0'), hold('g1')]
    const waiting = Array.from({ length: 3 }, () => ({ asked: watch(lost.ask(question)), id: bridge.lastId }))
    const elsewhere = watch(other.ask(question))
    await net.settle()
    const before = [...bridge.answered]
    await cutOff('g0')
    const requests = waiting.map(({ id }) => id)
    expect(bridge.events).toEqual([{ event: 'branch-lost', branch: numberOf(lost), code: 'overflow', requests }])
    expect(waiting.map(({ asked }) => asked.code)).toEqual(['overflow', 'overflow', 'overflow'])
    expect(bridge.answered).toEqual(before)
    held.release()
    heldToo.release()
    await net.settle()
    expect(bridge.answered).toEqual([...before, bridge.lastId])
    expect(elsewhere.value).toEqual({ result: 'held' })
    expect(bridge.events).toHaveLength(1)
  })

  test('with its trunk is told too, and no gateway is to blame', async () => {
    const { net, bridge, client, open, hold, avoided } = await startSession()
    const branch = await open()
    hold()
    const asked = watch(branch.ask(question))
    await net.settle()
    for (const { middle } of client.status().trunks) net.named(middle.name).kill()
    await net.settle()
    expect(asked.code).toBe('link-lost')
    expect(bridge.events).toMatchObject([{ event: 'branch-lost', code: 'link-lost' }])
    expect(await avoided()).toBe(false)
  })

  // Found here: the close came in the same step as the answer, which was then told lost and given as well.
  test('a branch whose gateway drains takes nothing new, and what is under way is answered', async () => {
    const { net, clock, bridge, open, ask, hold, avoided } = await startSession()
    const branch = await open()
    const { release } = hold()
    const asked = watch(branch.ask(question))
    const id = bridge.lastId
    await net.settle()
    net.named('g0').drain(30)
    await net.settle()
    expect([bridge.events, await avoided()]).toEqual([[], true])
    await clock.elapse(15 * second)
    await net.settle()
    const left = { event: 'branch-lost', branch: numberOf(branch), code: 'branch-retired', requests: [] }
    expect(bridge.events).toEqual([left])
    expect(await ask(await open(label, 'g1'))).toEqual({ result: 'g1' })
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
    expect(bridge.answered).toContain(id)
    expect(bridge.events).toEqual([left, left])
  })

  test('is not told with the answer that it closed with', async () => {
    const { net, bridge, open, hold } = await startSession()
    const branch = await open()
    const { release } = hold()
    const asked = watch(branch.ask(question))
    const id = bridge.lastId
    await net.settle()
    branch.retire()
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
    expect(bridge.answered).toContain(id)
    const event = { event: 'branch-lost', branch: numberOf(branch), code: 'branch-retired', requests: [] }
    expect(bridge.events).toEqual([event])
  })

  test('takes those with it that wait for a place on it', async () => {
    const { net, bridge, open, hold, cutOff } = await startSession()
    const branch = await open()
    hold()
    const count = limits.streamsPerBranch + 20
    const asked = Array.from({ length: count }, () => watch(branch.ask(question)))
    await net.settle()
    await cutOff()
    expect(asked.filter(({ code }) => code === 'overflow')).toHaveLength(count)
    expect(bridge.events).toMatchObject([{ requests: { length: count } }])
  })
})

describe('a branch number', () => {
  const record = base64(new Uint8Array(recordSize(1)))

  test('that was never given, or is closed, is refused', async () => {
    const { net, bridge, open } = await startSession()
    const exchange = (branch: number) => codeOfAsync(() => net.run(bridge.ask('exchange', { branch, record })))
    expect(await exchange(1)).toBe('branch-retired')
    const branch = await open()
    expect(await exchange(numberOf(branch) + 1)).toBe('branch-retired')
    await net.run(bridge.ask('close', { branch: numberOf(branch), failed: false }))
    expect(await exchange(numberOf(branch))).toBe('branch-retired')
    const follow = bridge.ask('follow', { branch: numberOf(branch), record, cells: 4 })
    expect(await codeOfAsync(() => net.run(follow))).toBe('branch-retired')
    expect(await net.run(bridge.ask('close', { branch: 99, failed: true }))).toBeNull()
  })

  test('of a branch that still waits for its last answers takes nothing new', async () => {
    const { net, bridge, open, hold } = await startSession()
    const branch = await open()
    const { release } = hold()
    const asked = watch(branch.ask(question))
    await net.settle()
    await net.run(bridge.ask('close', { branch: numberOf(branch), failed: false }))
    expect(await codeOfAsync(() => net.run(branch.ask(question)))).toBe('branch-retired')
    expect(bridge.events).toEqual([])
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
  })

  test('belongs to its session: another one cannot use or close it', async () => {
    const { net, bridge, context, open, ask } = await startSession()
    const branch = await open()
    const other = new TestBridge(context)
    const stolen = other.ask('exchange', { branch: numberOf(branch), record })
    expect(await codeOfAsync(() => net.run(stolen))).toBe('branch-retired')
    await net.run(other.ask('close', { branch: numberOf(branch), failed: true }))
    expect(await ask(branch)).toEqual({ result: 'g0' })
    const theirs = await open(label, 'g0', other)
    await net.run(other.ask('close', { branch: numberOf(theirs), failed: false }))
    expect([other.events.length, bridge.events.length]).toEqual([1, 0])
  })
})

describe('a session that closes', () => {
  test('takes its branches with it, once what is under way has ended, and leaves those of others', async () => {
    const { net, bridge, client, context, open, ask, hold } = await startSession()
    const other = new TestBridge(context)
    await open()
    const busy = await open(labels[1], 'g1')
    const theirs = await open(label, 'g2', other)
    const { release } = hold('g1')
    const asked = watch(busy.ask(question))
    await net.settle()
    bridge.session.close()
    await net.settle()
    expect(client.status().branches).toBe(2)
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
    expect(client.status().branches).toBe(1)
    expect([net.named('g0').hops.size, net.named('g1').hops.size]).toEqual([0, 0])
    expect(await ask(theirs)).toEqual({ result: 'g2' })
  })

  test('leaves nothing behind that was being opened', async () => {
    const { net, bridge, client, open } = await startSession()
    const greet: TestBridge['greet'] = (group, gateway) => (hello) => {
      const greeted = bridge.greet(group, gateway)(hello)
      bridge.session.close()
      return greeted
    }
    expect(await codeOfAsync(() => open(label, 'g0', { greet }))).toBe('branch-retired')
    await net.settle()
    expect(client.status().branches).toBe(0)
    expect(net.named('g0').hops.size).toBe(0)
  })
})
