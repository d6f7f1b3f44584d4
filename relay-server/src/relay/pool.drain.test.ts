/** Links whose relay drains, or says so, or ends them: honest ones are served, and others cost few dials and few sockets. */
import { goawayCell } from '@nightjar/shared/cell'
import type { Relay } from '@nightjar/shared/directory'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, pattern, type ScriptedLink } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import type { Refusal } from '../limits/refusal.ts'
import { LinkPool, type Place } from './pool.ts'
import { describeRelay } from './testing/memoryNetwork.ts'
import { type ScriptedDial, scriptedDials } from './testing/scriptedDials.ts'

const clock = new FakeClock()
const idleAfter = 12 * second
const relay = describeRelay('middle', pattern(32), clock.now())
const other = describeRelay('gateway', pattern(32), clock.now())
const origin = { source: '198.51.100.1', circuit: {} }

let calls: ScriptedDial[]
let pool: LinkPool
let refused: Refusal[]
beforeEach(() => {
  refused = []
  const dials = scriptedDials()
  calls = dials.calls
  const onRefused = (refusal: Refusal) => void refused.push(refusal)
  pool = new LinkPool({ dial: dials.dial, clock, idleAfter, onRefused, prove: async () => 'a proof' })
})

/** A place on a link that is dialled for it. */
function placed(to: Relay = relay): Promise<Place> {
  const pending = pool.placeTo(to, origin)
  calls.at(-1)?.succeed()
  return pending
}

describe('a relay that drains', () => {
  /** GOAWAY on the link of `place`. */
  function drain({ table }: Place): void {
    table.onCell(goawayCell(30))
  }

  test('keeps its link while a circuit uses it, and what is new takes another', async () => {
    const [old, further] = [await placed(), await pool.placeTo(relay, origin)]
    drain(old)
    const next = await placed()
    expect(next.table).not.toBe(old.table)
    expect((await pool.placeTo(relay, origin)).table).toBe(next.table)
    old.leave()
    expect([old.table.link.closed, pool.size, calls.length]).toEqual([false, 2, 2])
    further.leave()
    expect([old.table.link.closed, next.table.link.closed, pool.size]).toEqual([true, false, 1])
  })

  test('that nobody uses is left at once', async () => {
    const place = await placed()
    place.leave()
    drain(place)
    expect([place.table.link.closed, pool.size]).toEqual([true, 0])
  })

  test('and ends is dialled again, where its links had stood', async () => {
    for (let restart = 0; restart < 3; restart++) {
      const place = await placed()
      await clock.elapse(limits.linkSteadyAfter)
      drain(place)
      ;(place.table.link as ScriptedLink).lose('draining')
      place.leave()
    }
    expect([calls.length, pool.size, refused]).toEqual([3, 0, []])
    await placed()
  })

  test('on one link after the other has no more than so many, however long circuits use them', async () => {
    const places: Place[] = []
    for (let count = 0; count < limits.openLinksPerRelay; count++) {
      places.push(await placed())
      await clock.elapse(limits.linkSteadyAfter)
      drain(places.at(-1) as Place)
    }
    await expect(pool.placeTo(relay, origin)).rejects.toMatchObject({ code: 'draining' })
    expect([calls.length, pool.size, refused]).toEqual([
      limits.openLinksPerRelay,
      limits.openLinksPerRelay,
      ['onward-links'],
    ])
    await placed(other)
    places[0]?.leave()
    await placed()
    await pool.close()
    expect(places.every(({ table }) => table.link.closed)).toBe(true)
  })
})

describe('links that stand for moments only', () => {
  /** Dials within a minute in which somebody asks every tenth of a second, and `spoil` meets each link. */
  async function dialsOfMinute(spoil: (place: Place) => void): Promise<number> {
    for (let passed = 0; passed < minute; passed += second / 10) {
      const before = calls.length
      const pending = pool.placeTo(relay, origin).catch(() => undefined)
      if (calls.length > before) calls.at(-1)?.succeed()
      const place = await pending
      if (place !== undefined) {
        spoil(place)
        place.leave()
      }
      await clock.elapse(second / 10)
    }
    return calls.length
  }

  test.each<[string, (place: Place) => void]>([
    ['says GOAWAY on each', ({ table }) => table.onCell(goawayCell(65_535))],
    ['closes each', ({ table }) => (table.link as ScriptedLink).lose()],
  ])('are dialled ever more rarely to a relay that %s', async (_, spoil) => {
    // At once, then after 1, 2, 4, 8 and 16 seconds.
    expect(await dialsOfMinute(spoil)).toBe(7)
    expect([pool.size, refused]).toEqual([0, Array(7).fill('short-link')])
  })

  test('say nothing where it is this side that closes them', async () => {
    const { table, leave } = await placed()
    leave()
    await clock.elapse(idleAfter)
    table.link.close('idle')
    await placed()
    await pool.close()
    expect(refused).toEqual([])
  })
})
