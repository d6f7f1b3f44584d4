import type { CircuitTable } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import type { NightjarError } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, pattern, type ScriptedLink, turn } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import type { Refusal } from '../limits/refusal.ts'
import { LinkPool, type Place } from './pool.ts'
import { describeRelay } from './testing/memoryNetwork.ts'
import { type ScriptedDial, scriptedDials } from './testing/scriptedDials.ts'

const clock = new FakeClock()
const relay = describeRelay('middle', pattern(32), clock.now())
const other = describeRelay('gateway', pattern(32), clock.now())
/** Who asks for places. */
const origin = { source: '198.51.100.1', circuit: {} }
const end = { onCell() {}, onLinkClosed() {} }

let calls: ScriptedDial[]
let pool: LinkPool
let refused: Refusal[]
beforeEach(() => {
  refused = []
  const dials = scriptedDials()
  calls = dials.calls
  const onRefused = (refusal: Refusal) => void refused.push(refusal)
  pool = new LinkPool({
    dial: dials.dial,
    clock,
    idleAfter: 1234,
    onRefused,
    prove: async () => 'a proof',
    localAddress: '127.3.0.1',
    extraCa: 'PEM',
  })
})

/** The link on which there was a place; it is not left. */
async function linkTo(to: Relay): Promise<CircuitTable> {
  return (await pool.placeTo(to, origin)).table
}

/** A place on a link that is dialled for it. */
function placed(): Promise<Place> {
  const pending = pool.placeTo(relay, origin)
  calls.at(-1)?.succeed()
  return pending
}

/** A link to `to` that is up. */
async function linked(to: Relay = relay): Promise<{ table: CircuitTable; link: ScriptedLink }> {
  const pending = linkTo(to)
  const link = (calls.at(-1) as ScriptedDial).succeed()
  return { table: await pending, link }
}

test('a link is dialled once and shared, also while it is dialled', async () => {
  const [first, second] = [linkTo(relay), linkTo(relay)]
  expect(calls).toHaveLength(1)
  calls[0]?.succeed()
  expect(await first).toBe(await second)
  expect(await linkTo(relay)).toBe(await first)
  expect(calls).toHaveLength(1)
  const { table } = await linked(other)
  expect(table).not.toBe(await first)
  expect(pool.size).toBe(2)
})

test('dialling is told address, pin and the rest', async () => {
  const pin = pattern(32)
  const pinned = { ...relay, addresses: [{ url: 'wss://relay.example.org/relay', pin }] }
  void linkTo(pinned)
  expect(calls[0]?.options).toMatchObject({
    url: 'wss://relay.example.org/relay',
    pin,
    idleAfter: 1234,
    localAddress: '127.3.0.1',
    extraCa: 'PEM',
    clock,
  })
})

describe('a dial that failed', () => {
  test('is the failure of all who wait, and of who comes within a second, without another dial', async () => {
    const waiting = [linkTo(relay), linkTo(relay)]
    calls[0]?.fail()
    for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'connect-failed' })
    expect(pool.size).toBe(0)
    await clock.elapse(second - 1)
    for (let asked = 0; asked < 100; asked++)
      await expect(linkTo(relay)).rejects.toMatchObject({ code: 'connect-failed' })
    await linked(other)
    expect([calls.length, pool.size]).toEqual([2, 1])
    await clock.elapse(1)
    await linked()
    expect([calls.length, pool.size]).toEqual([3, 2])
  })

  test('says nothing about links that stand', async () => {
    const first = await placed()
    first.refused()
    const further = pool.placeTo(relay, origin)
    calls.at(-1)?.fail()
    await expect(further).rejects.toMatchObject({ code: 'connect-failed' })
    await clock.elapse(minute)
    expect((await pool.placeTo(relay, origin)).table).toBe(first.table)
  })
})

test('further addresses are tried in their order', async () => {
  const two = { ...relay, addresses: [{ url: 'ws://127.0.0.1/a' }, { url: 'ws://127.0.0.1/b' }] }
  const pending = linkTo(two)
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
    await expect(linkTo(relay)).rejects.toMatchObject({ code: 'draining' })
    expect(calls).toHaveLength(2)
  })

  test('waits for links that are being dialled, and closes them too', async () => {
    const pending = linkTo(relay)
    const failing = linkTo(other)
    failing.catch(() => undefined)
    let closed = false
    const closing = pool.close().then(() => {
      closed = true
    })
    await turn()
    expect(closed).toBe(false)
    const link = (calls[0] as ScriptedDial).succeed()
    calls[1]?.fail()
    await closing
    expect(link.closedWith).toBe('draining')
    expect((await pending).link.closed).toBe(true)
    await expect(failing).rejects.toMatchObject({ code: 'connect-failed' })
    expect(pool.size).toBe(0)
  })
})

describe('places', () => {
  /** So many sources, each with all that it gets. */
  async function takeAll(count: number): Promise<Place[][]> {
    const all: Place[][] = []
    while (all.length < count) all.push(await takeShare(`source ${all.length}`))
    return all
  }

  async function takeShare(its: string): Promise<Place[]> {
    const places: Place[] = []
    for (;;) {
      const place = await placeOrNothing(its)
      if (place === undefined) return places
      places.push(place)
    }
  }

  /** For a circuit that has none yet, if none is given. */
  async function placeOrNothing(its: string, circuit: object = {}): Promise<Place | undefined> {
    const dialled = calls.length
    const pending = pool.placeTo(relay, { source: its, circuit }).catch((error: NightjarError) => error.code)
    if (calls.length > dialled) calls.at(-1)?.succeed()
    const place = await pending
    if (typeof place !== 'string') return place
    expect(place).toBe('busy')
    return undefined
  }

  test('one source gets its share of what is free, and others are served beside it', async () => {
    const greedy = await takeShare('one')
    const all = limits.linksPerRelay * limits.circuitsPerLink
    // An eighth of what it leaves.
    expect(greedy).toHaveLength(Math.ceil((all * limits.shareOfFree) / (1 + limits.shareOfFree)))
    expect(refused).toEqual(['onward-share'])
    expect(await placeOrNothing('other')).toBeDefined()
    greedy.pop()?.leave()
    greedy.pop()?.leave()
    expect(await placeOrNothing('one')).toBeDefined()
  })

  /** How many places each circuit of one entry gets that asks for as many as it may have branches, one after the other. */
  async function takeByCircuits(count: number): Promise<number[]> {
    const got: number[] = []
    while (got.length < count) {
      const circuit = {}
      let has = 0
      while (has < limits.branchesPerCircuit && (await placeOrNothing('entry', circuit)) !== undefined) has += 1
      got.push(has)
    }
    return got
  }

  test('of its source’s share one circuit gets all that it can use', async () => {
    expect(await takeByCircuits(1)).toEqual([limits.branchesPerCircuit])
  })

  test('hundreds of circuits of one entry that take what they get leave some to those who come later', async () => {
    const got = await takeByCircuits(100)
    expect([got[0], got.at(-1)]).toEqual([limits.branchesPerCircuit, 3])
    expect(await takeByCircuits(500)).not.toContain(0)
    expect(refused).toContain('onward-share')
    expect(await placeOrNothing('another entry')).toBeDefined()
  })

  test('however many take what they get, there is a place for the next, on a further link where the first are full', async () => {
    const all = await takeAll(40)
    const taken = all.flat()
    const tables = new Set(taken.map(({ table }) => table))
    expect(tables.size).toBe(limits.linksPerRelay)
    for (const table of tables) {
      expect(taken.filter((place) => place.table === table).length).toBeLessThanOrEqual(limits.circuitsPerLink)
    }
    expect(await takeShare('next')).not.toEqual([])
    expect(calls).toHaveLength(limits.linksPerRelay)
  })

  test('those that wait for a link to be dialled count', async () => {
    const each = limits.circuitsPerLink / 3
    const sources = ['a', 'b', 'c', 'd']
    const pending = sources.flatMap((its) =>
      Array.from({ length: each }, () => pool.placeTo(relay, { source: its, circuit: {} })),
    )
    expect(calls).toHaveLength(2)
    for (const call of calls) call.succeed()
    const places = await Promise.all(pending)
    const first = places.filter(({ table }) => table === places[0]?.table)
    expect(first).toHaveLength(limits.circuitsPerLink)
  })

  test('are free again after a failure, and the relay is forgotten with the last', async () => {
    const pending = pool.placeTo(relay, origin)
    calls[0]?.fail()
    await expect(pending).rejects.toMatchObject({ code: 'connect-failed' })
    await clock.elapse(limits.dialPause)
    const share = await takeShare('one')
    expect(share.length).toBeGreaterThan(1000)
    const [link] = new Set(share.map(({ table }) => table.link as ScriptedLink))
    link?.lose()
    for (const place of share) place.leave()
    expect([pool.size, await takeShare('one')]).toMatchObject([0, { length: share.length }])
  })

  test('a link that is given no more circuits counts as full for a minute: a further one is dialled', async () => {
    const pending = pool.placeTo(relay, origin)
    const first = (calls.at(-1) as ScriptedDial).succeed()
    const place = await pending
    place.refused()
    place.leave()
    const next = pool.placeTo(relay, origin)
    expect(calls).toHaveLength(2)
    calls.at(-1)?.succeed()
    expect((await next).table.link).not.toBe(first)
    await clock.elapse(minute)
    expect((await pool.placeTo(relay, origin)).table.link).toBe(first)
  })

  test('where all links are given no more, the one that was refused first is asked', async () => {
    const dialled: unknown[] = []
    for (let count = 0; count < limits.linksPerRelay; count++) {
      const pending = pool.placeTo(relay, origin)
      calls.at(-1)?.succeed()
      const place = await pending
      dialled.push(place.table.link)
      place.refused()
      await clock.elapse(second)
    }
    expect((await pool.placeTo(relay, origin)).table.link).toBe(dialled[0])
    expect(calls).toHaveLength(limits.linksPerRelay)
  })
})
