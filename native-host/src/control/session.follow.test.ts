import { base64 } from '@nightjar/shared/bytes'
import { recordSize } from '@nightjar/shared/envelope'
import type { ErrorCode } from '@nightjar/shared/errors'
import type { SealedBranch } from '@nightjar/shared/requests'
import type { Outcome } from '@nightjar/shared/rpc'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import type { Followed } from '../client/testing/relay.ts'
import { TestBridge } from './testing/bridge.ts'
import { labels, question, startSession } from './testing/session.ts'

const heads = { chain: 1, cells: 4, method: 'eth_subscribe', params: ['newHeads'] }

/** Follows the heads at g0. */
async function follow(change: { cells?: number } = {}) {
  const started = await startSession()
  const { net, bridge, open } = started
  const branch = await open()
  const heard: (Outcome | ErrorCode)[] = []
  const handler = {
    onOutcome: (outcome: Outcome) => void heard.push(outcome),
    onEnd: (code: ErrorCode) => void heard.push(code),
  }
  const { stop } = branch.follow({ ...heads, ...change }, handler)
  const id = bridge.lastId
  await net.settle()
  const followed = net.named('g0').followed[0] as Followed
  const push = async (result: number) => {
    followed.push({ result })
    await net.settle()
  }
  const records = () => bridge.events.filter(({ event }) => event === 'record').length
  return { ...started, branch, heard, stop, id, followed, push, records }
}

describe('what is followed', () => {
  test('comes record by record, each of the size that was asked for, in their order', async () => {
    const { followed, push, heard, bridge, id } = await follow({ cells: 8 })
    expect(followed.question).toEqual({ ...heads, cells: 8 })
    for (const result of [1, 2, 3]) await push(result)
    expect(heard).toEqual([{ result: 1 }, { result: 2 }, { result: 3 }])
    expect(bridge.events).toMatchObject([{ request: id }, { request: id }, { request: id }])
    for (const each of bridge.events) expect(each).toMatchObject({ record: { length: recordSize(8) } })
    expect(bridge.answered).not.toContain(id)
  })

  test('goes on beside questions on the same branch, and beside what others follow', async () => {
    const { net, branch, push, heard, ask } = await follow()
    const others: Outcome[] = []
    branch.follow(heads, { onOutcome: (outcome) => void others.push(outcome), onEnd() {} })
    await net.settle()
    await push(1)
    expect(await ask(branch)).toEqual({ result: 'g0' })
    net.named('g0').followed[1]?.push({ result: 'other' })
    await push(2)
    expect(heard).toEqual([{ result: 1 }, { result: 2 }])
    expect(others).toEqual([{ result: 'other' }])
  })

  test('ends as the gateway ends it, and its request is answered then', async () => {
    const { net, followed, push, heard, bridge, id } = await follow()
    await push(1)
    followed.end()
    await net.settle()
    expect(heard).toEqual([{ result: 1 }, 'done'])
    expect(bridge.answered.at(-1)).toBe(id)
  })

  // Found here: nobody answered it, so that both sides remembered it for ever.
  test('ends when it is cancelled, at the gateway too; both requests are answered, and no record follows', async () => {
    const { net, stop, followed, push, heard, bridge, id, records } = await follow()
    await push(1)
    stop()
    await net.settle()
    expect(followed.endedWith).toBe('cancelled')
    expect(bridge.answered).toEqual(expect.arrayContaining([id, id + 1]))
    await push(2)
    expect(records()).toBe(1)
    expect(heard).toEqual([{ result: 1 }])
  })

  test('ends with its branch: as an error of its own, not among those that wait for one answer', async () => {
    const { net, branch, push, heard, bridge, id, hold, cutOff } = await follow()
    await push(1)
    hold()
    void branch.ask(question).catch(() => undefined)
    const asked = bridge.lastId
    await net.settle()
    await cutOff()
    expect(heard).toEqual([{ result: 1 }, 'overflow'])
    expect(bridge.events.at(-1)).toMatchObject({ event: 'branch-lost', code: 'overflow', requests: [asked] })
    expect(bridge.answered).toContain(id)
    expect(bridge.answered).not.toContain(asked)
  })

  test('ends when its branch retires, which does not wait for it', async () => {
    const { net, branch, heard, followed, client } = await follow()
    branch.retire()
    await net.settle()
    expect(heard).toEqual(['branch-retired'])
    expect(client.status().branches).toBe(0)
    followed.push({ result: 'late' })
    await net.settle()
    expect(heard).toHaveLength(1)
  })

  test('keeps its branch from being idle', async () => {
    const { clock, net, push, heard, client } = await follow()
    for (let result = 1; result <= 20; result++) {
      await clock.elapse(minute)
      await push(result)
    }
    await net.settle()
    expect(heard).toHaveLength(20)
    expect(client.status().branches).toBe(1)
  })

  test('counts as use from its beginning', async () => {
    const { clock, client, open } = await startSession()
    const branch: SealedBranch = await open()
    await clock.elapse(6 * minute - 1)
    branch.follow(heads, { onOutcome() {}, onEnd() {} })
    await clock.elapse(6 * minute - 1)
    expect(client.status().branches).toBe(1)
  })

  // Found by review: all that a browser followed was ended in the same second when it was closed.
  test('is lost with its session, which closes after the last answer, and not ended: at its gateway it lingers', async () => {
    const { net, branch, bridge, followed, hold } = await follow()
    const { release } = hold()
    void branch.ask(question).catch(() => undefined)
    await net.settle()
    bridge.session.close()
    await net.settle()
    expect(followed.endedWith).toBeUndefined()
    release()
    await net.settle()
    expect(followed.endedWith).toBe('link-lost')
  })
})

describe('is refused or passed over', () => {
  test.each([0, -4, 3, 512])('to follow in records of %i cells', async (cells) => {
    const { net, bridge, open } = await startSession()
    await open()
    const record = base64(new Uint8Array(recordSize(1)))
    expect(await codeOfAsync(() => net.run(bridge.ask('follow', { branch: 1, record, cells })))).toBe('bad-request')
    expect(net.named('g0').followed).toEqual([])
  })

  test('to cancel what is not followed, or is followed by others', async () => {
    const { net, context, bridge, id, push, heard } = await follow()
    expect(await net.run(bridge.ask('cancel', { request: 99 }))).toBeNull()
    expect(await net.run(new TestBridge(context).ask('cancel', { request: id }))).toBeNull()
    await push(1)
    expect(heard).toEqual([{ result: 1 }])
  })

  test('an answer that somebody forged: it ends, and the others go on', async () => {
    const { net, bridge, open, heard, push, id } = await follow()
    const other = await open(labels[1], 'g1')
    await push(1)
    // A session that lies: what it pushes is not what the gateway sealed.
    bridge.inject({ event: 'record', request: id, record: base64(new Uint8Array(recordSize(4))) })
    await net.settle()
    expect(heard).toEqual([{ result: 1 }, 'envelope-rejected'])
    await push(2)
    expect(heard).toHaveLength(2)
    expect(net.named('g0').followed[0]?.endedWith).toBe('cancelled')
    expect(await net.run(other.ask(question))).toEqual({ result: 'g1' })
  })
})
