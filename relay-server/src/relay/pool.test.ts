import type { CircuitTable } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { FakeClock, pattern, ScriptedLink, turn } from '@nightjar/shared/testing'
import type { Dial, DialOptions } from '@nightjar/shared-node/link'
import { beforeEach, describe, expect, test } from 'vitest'
import { LinkPool } from './pool.ts'
import { describeRelay } from './testing/memoryNetwork.ts'

const clock = new FakeClock()
const relay = describeRelay('middle', pattern(32), clock.now())
const other = describeRelay('gateway', pattern(32), clock.now())
const end = { onCell() {}, onLinkClosed() {} }

interface Call {
  readonly options: DialOptions
  /** The link comes up. */
  succeed(): ScriptedLink
  fail(): void
}

let calls: Call[]
let pool: LinkPool
beforeEach(() => {
  calls = []
  const dial: Dial = (options) =>
    new Promise((resolve, reject) => {
      const succeed = () => {
        const link = new ScriptedLink(options.table)
        options.table.attach(link)
        resolve(link)
        return link
      }
      calls.push({ options, succeed, fail: () => reject(new NightjarError('connect-failed')) })
    })
  pool = new LinkPool({ dial, clock, idleAfter: 1234, localAddress: '127.3.0.1', extraCa: 'PEM' })
})

/** A link to `to` that is up. */
async function linked(to: Relay = relay): Promise<{ table: CircuitTable; link: ScriptedLink }> {
  const pending = pool.linkTo(to)
  const link = (calls.at(-1) as Call).succeed()
  return { table: await pending, link }
}

test('a link is dialled once and shared, also while it is dialled', async () => {
  const [first, second] = [pool.linkTo(relay), pool.linkTo(relay)]
  expect(calls).toHaveLength(1)
  calls[0]?.succeed()
  expect(await first).toBe(await second)
  expect(await pool.linkTo(relay)).toBe(await first)
  expect(calls).toHaveLength(1)
  const { table } = await linked(other)
  expect(table).not.toBe(await first)
  expect(pool.size).toBe(2)
})

test('dialling is told address, pin and the rest', async () => {
  const pin = pattern(32)
  const pinned = { ...relay, addresses: [{ url: 'wss://relay.example.org/relay', pin }] }
  void pool.linkTo(pinned)
  expect(calls[0]?.options).toMatchObject({
    url: 'wss://relay.example.org/relay',
    pin,
    idleAfter: 1234,
    localAddress: '127.3.0.1',
    extraCa: 'PEM',
    clock,
  })
})

test('a failure goes to all who wait, and is forgotten', async () => {
  const waiting = [pool.linkTo(relay), pool.linkTo(relay)]
  calls[0]?.fail()
  for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'connect-failed' })
  expect(pool.size).toBe(0)
  await linked()
  expect(calls).toHaveLength(2)
})

test('further addresses are tried in their order', async () => {
  const two = { ...relay, addresses: [{ url: 'ws://127.0.0.1/a' }, { url: 'ws://127.0.0.1/b' }] }
  const pending = pool.linkTo(two)
  calls[0]?.fail()
  await turn()
  expect(calls.map(({ options }) => options.url)).toEqual(['ws://127.0.0.1/a', 'ws://127.0.0.1/b'])
  calls[1]?.succeed()
  expect((await pending).link.closed).toBe(false)
})

test('a link that is lost is dialled again', async () => {
  const { table, link } = await linked()
  link.lose()
  expect(pool.size).toBe(0)
  const again = await linked()
  expect(again.table).not.toBe(table)
  expect(pool.size).toBe(1)
})

describe('a link that no circuit uses', () => {
  test('is closed at the second look, one idle time after the first', async () => {
    const { link } = await linked()
    clock.advance(limits.linkIdle)
    expect(link.closed).toBe(false)
    clock.advance(limits.linkIdle)
    expect(link.closedWith).toBe('idle')
    expect(pool.size).toBe(0)
    expect(clock.pending).toBe(0)
  })

  test('stays while one uses it, and for a whole idle time after', async () => {
    const { table, link } = await linked()
    table.add(1, end)
    clock.advance(10 * limits.linkIdle)
    expect(link.closed).toBe(false)
    table.remove(1)
    clock.advance(limits.linkIdle)
    expect(link.closed).toBe(false)
    table.add(2, end)
    clock.advance(limits.linkIdle)
    table.remove(2)
    clock.advance(limits.linkIdle)
    expect(link.closed).toBe(false)
    clock.advance(limits.linkIdle)
    expect(link.closedWith).toBe('idle')
  })

  test('is looked at no more once it is lost', async () => {
    const { link } = await linked()
    link.lose()
    clock.advance(limits.linkIdle)
    expect(clock.pending).toBe(0)
  })
})

describe('close', () => {
  test('closes every link, and no new one is dialled', async () => {
    const first = await linked()
    const second = await linked(other)
    await pool.close()
    expect([first.link.closedWith, second.link.closedWith]).toEqual(['draining', 'draining'])
    await expect(pool.linkTo(relay)).rejects.toMatchObject({ code: 'draining' })
    expect(calls).toHaveLength(2)
  })

  test('waits for links that are being dialled, and closes them too', async () => {
    const pending = pool.linkTo(relay)
    const failing = pool.linkTo(other)
    failing.catch(() => undefined)
    let closed = false
    const closing = pool.close().then(() => {
      closed = true
    })
    await turn()
    expect(closed).toBe(false)
    const link = (calls[0] as Call).succeed()
    calls[1]?.fail()
    await closing
    expect(link.closedWith).toBe('draining')
    expect((await pending).link.closed).toBe(true)
    await expect(failing).rejects.toMatchObject({ code: 'connect-failed' })
    expect(pool.size).toBe(0)
  })
})
