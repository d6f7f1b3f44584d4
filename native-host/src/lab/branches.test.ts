import { type Following, keptFor } from '@nightjar/shared/requests'
import { minute, second } from '@nightjar/shared/runtime'
import { OwnAccounts } from '@nightjar/shared/wallet'
import { beforeEach, describe, expect, test } from 'vitest'
import { freshState } from '../state/store.ts'
import { chanceOf } from './chance.ts'
import { LabClock } from './clock.ts'
import { Path } from './path.ts'
import { drainSeconds } from './trunks.ts'
import type { GatewayRecord, MiddleRecord, Party, ProviderRecord, Records } from './views.ts'
import { chainId, makeWorld, type Outage, type World } from './world.ts'

const hours = 5
const account = `0x${'11'.repeat(20)}`
const params = [{ account, stride: 1, delay: 5 * second }]
const group = `account ${account}`
const watched = { chain: chainId, cells: 4, method: 'nightjar_watch', params }
const order = { group, chain: chainId, questionFor: () => watched }

let records: { [P in Party]: Records[P][] }
let clock: LabClock
let path: Path
let ends: string[]
/** When relays restart, by identity. Nobody does else. */
let outages: Map<string, readonly Outage[]>

beforeEach(() => {
  records = { gateway: [], provider: [], middle: [], chain: [], truth: [] }
  ends = []
  outages = new Map()
})

interface StartOptions {
  readonly isKeeping: boolean
  readonly hasInner: boolean
  readonly isProvoked: boolean
  readonly comesBack: boolean
  readonly seed: number
}

/** Whoever watches the account, and, where that is lost, stops and begins anew. @param sleepsPerDay of the machine */
async function start(sleepsPerDay: number, options: Partial<StartOptions> = {}): Promise<World> {
  const { isKeeping = true, hasInner = true, isProvoked = false, comesBack = true, seed = 1 } = options
  const world: World = { ...makeWorld(7, hours), outagesOf: (id) => outages.get(id) ?? [] }
  clock = new LabClock(world.start)
  const chance = chanceOf(seed)
  const views = { write: <P extends Party>(party: P, record: Records[P]) => void records[party].push(record) }
  const state = freshState((length) => Uint8Array.from({ length }, () => chance.index(256)))
  const own = new OwnAccounts()
  own.learn(account as `0x${string}`, 'wallet')
  const nextId = (
    (id) => () =>
      ++id
  )(0)
  const ways = { isKeeping, hasInner, isProvoked }
  path = new Path({ world, clock, chance, state, views, own, user: 0, sleepsPerDay, ...ways, nextId })
  const onEnd = (code: string) => {
    ends.push(code)
    following?.stop()
    const sleep = path.trunks.sleeps.find(({ from, to }) => clock.now() > from && clock.now() < to)
    if (comesBack) clock.after((sleep?.to ?? clock.now()) - clock.now() + 1 * minute, () => void follow())
  }
  let following: Following | undefined
  const follow = async () => {
    following = await path.follow(order, { onOutcome() {}, onEnd })
  }
  void follow()
  await clock.run(world.start + 1 * second)
  return world
}

/** In what is started next. */
function restart({ network }: World, name: string, from: number): void {
  const relay = network.relays.find((each) => each.name === name)
  outages.set(relay?.id ?? '', [{ from, to: from + 20 * second }])
  records = { gateway: [], provider: [], middle: [], chain: [], truth: [] }
}

interface Stood {
  readonly from: number
  readonly to: number
  readonly slots: readonly number[]
}

/** The branches at gateways, in order; those that have ended. */
function stood(): readonly Stood[] {
  const byBranch = Map.groupBy(records.gateway, ({ branch }) => branch)
  return [...byBranch.values()].flatMap((own) => {
    const timesOf = (event: GatewayRecord['event']) =>
      own.filter((each) => each.event === event).map(({ time }) => time)
    const [from = 0] = timesOf('open')
    const [to] = timesOf('close')
    return to === undefined ? [] : [{ from, to, slots: timesOf('slot') }]
  })
}

const lengthOf = ({ from, to }: Stood) => to - from
const last = (times: readonly number[]) => times.at(-1) ?? Number.NaN
/** The relays that each branch came from. */
const origins = () => records.gateway.flatMap(({ from }) => (from === undefined ? [] : [from]))
const middles = () => new Set(records.middle.map(({ middle }) => middle))
const middleEvents = (event: MiddleRecord['event']) => records.middle.filter((each) => each.event === event)
const readsBetween = (from: number, to: number): readonly ProviderRecord[] =>
  records.provider.filter(({ time }) => time > from && time < to)

describe('on a machine that never sleeps, a branch on which something is watched', () => {
  beforeEach(async () => {
    const { end } = await start(0)
    await clock.run(end)
  })

  test('stands for one to two hours, and is told of until it ends', () => {
    expect(stood().length).toBeGreaterThan(1)
    for (const branch of stood()) {
      expect(lengthOf(branch)).toBeGreaterThan(keptFor.shortest)
      expect(lengthOf(branch)).toBeLessThan(keptFor.longest + 1 * second)
      expect(branch.to - last(branch.slots)).toBeLessThan(15 * second)
    }
  })

  test('has its successor beside it for some of its last 75 minutes, and both are told of one read', () => {
    for (const [index, next] of stood().slice(1).entries()) {
      const left = (stood()[index] as Stood).to - next.from
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThan(keptFor.overlap + 1 * second)
      const blocks = readsBetween(next.from + 1 * minute, next.from + left - 1 * minute).map(({ block }) => block)
      expect(blocks.length).toBe(new Set(blocks).size)
    }
    expect(ends).toEqual([])
  })
})

test('where none is kept, one stands for ten minutes, and none beside it', async () => {
  const { end } = await start(0, { isKeeping: false })
  await clock.run(end)
  expect(stood().length).toBeGreaterThan(20)
  expect(stood().every((branch) => Math.abs(lengthOf(branch) - 10 * minute) < 2.1 * minute)).toBe(true)
  const blocks = records.provider.map(({ block }) => block)
  expect(blocks.length).toBe(new Set(blocks).size)
})

describe('where the machine sleeps', () => {
  /** When it has lost its trunks first. */
  async function sleep(
    options = {},
  ): Promise<{ readonly world: World; readonly lostAt: number; readonly sleep: Outage }> {
    const world = await start(20, options)
    const [first] = [...path.trunks.sleeps].sort((a, b) => a.from - b.from)
    const { from, to } = first as Outage
    await clock.run(from + 31 * second)
    return { world, lostAt: clock.now() - world.start, sleep: { from, to } }
  }

  test('its gateway sees nothing of it, and its middle all', async () => {
    const { world, lostAt } = await sleep()
    expect(ends).toEqual(['link-lost'])
    expect(stood()).toEqual([])
    const left = middleEvents('left')
    expect(left.length).toBe(1)
    await clock.run(world.end)
    const [branch] = stood()
    expect(branch?.slots.filter((time) => time > lostAt).length).toBeGreaterThan(5)
    expect(lengthOf(branch as Stood)).toBeGreaterThan(keptFor.shortest)
    const dropped = middleEvents('push').filter(({ trunk, time }) => trunk === left[0]?.trunk && time > lostAt)
    expect(dropped.length).toBe(branch?.slots.filter((time) => time > lostAt).length)
  })

  test('and does not come back, its account is read for longer than its branch stands', async () => {
    const { world } = await sleep({ comesBack: false })
    await clock.run(world.end)
    expect(stood().length).toBe(1)
    expect(readsBetween((stood()[0] as Stood).to, world.end - world.start).length).toBeGreaterThan(5)
  })

  test('and none is kept, its gateway sees it at once', async () => {
    await sleep({ isKeeping: false })
    expect(stood().length).toBeGreaterThan(0)
    expect(middleEvents('left')).toEqual([])
  })

  test.each([
    ['middle, where there is no other one,', false],
    ['inner middle', true],
    ['gateway', true],
  ] as const)('a %s that drains has it end, a while before it restarts', async (role, hasInner) => {
    const { world, lostAt } = await sleep({ hasInner })
    const { gateway } = middleEvents('left')[0] as MiddleRecord
    const drained = role === 'gateway' ? gateway : (origins().at(-1)?.[0] ?? '')
    expect(stood()).toEqual([])
    // When relays restart is known from the start: here it all happens once more.
    const from = world.start + lostAt + 1 * minute
    restart(world, drained, from)
    await sleep({ hasInner })
    await clock.run(from)
    const [branch] = stood()
    expect(from - world.start - (branch?.to ?? 0)).toBeGreaterThan((drainSeconds / 2 - 1) * second)
    expect(branch?.to).toBeGreaterThan(lostAt)
  })

  test('nor does its end come with that of the trunk’s middle, which does not keep it alone', async () => {
    const { world, lostAt } = await sleep()
    const { middle } = middleEvents('left')[0] as MiddleRecord
    const from = world.start + lostAt + 1 * minute
    restart(world, middle, from)
    await sleep()
    await clock.run(from + 1 * minute)
    expect(stood()).toEqual([])
  })
})

test.each(['gateway', 'relay before the gateway'] as const)(
  'a %s that drains has the branch leave, kept or not',
  async (role) => {
    const world = await start(0)
    const from = world.start + 20 * minute
    restart(world, (role === 'gateway' ? records.gateway[0]?.gateway : origins()[0]?.[0]) ?? '', from)
    await start(0)
    await clock.run(from)
    expect(lengthOf(stood()[0] as Stood)).toBeLessThan(20 * minute - (drainSeconds / 2 - 1) * second)
    expect(new Set(records.gateway.map((each) => each.gateway)).size).toBe(role === 'gateway' ? 2 : 1)
    expect(new Set(origins().flat()).size).toBe(role === 'gateway' ? 1 : 2)
    expect(ends).toEqual([])
  },
)

describe('a gateway sees a branch come', () => {
  /** Over some hours, in which the branch is renewed. */
  async function run(options: Partial<StartOptions>): Promise<void> {
    const { end } = await start(0, options)
    await clock.run(end)
    expect(origins().length).toBeGreaterThan(2)
  }

  test('from the middle of its trunk, where there is no inner one', async () => {
    await run({ hasInner: false })
    expect(new Set(origins().flat())).toEqual(middles())
  })

  test('from one inner middle, which no trunk goes over', async () => {
    await run({})
    const [inner = '', ...others] = new Set(origins().flat())
    expect(others).toEqual([])
    expect(path.trunks.pinned.map(({ name }) => name)).not.toContain(inner)
  })

  test('from the middles of both trunks, where it provokes that', async () => {
    await run({ hasInner: false, isProvoked: true })
    const pinned = path.trunks.pinned.slice(2, 4).map(({ name }) => name)
    for (const from of origins()) expect([...from].sort()).toEqual([...pinned].sort())
  })

  test('from two inner middles and no other, where it provokes that', async () => {
    await run({ isProvoked: true })
    expect(new Set(origins().flat()).size).toBe(2)
    expect(origins().every((from) => from.length === 2)).toBe(true)
    expect(
      origins()
        .flat()
        .some((name) => middles().has(name)),
    ).toBe(false)
  })

  test('from the middle of a trunk, where it is of no account', async () => {
    await start(0)
    records.gateway = []
    const question = { ...watched, method: 'nightjar_heads', params: [] }
    void path.follow({ group: 'heads 0 1', chain: 1, questionFor: () => question }, { onOutcome() {}, onEnd() {} })
    await clock.run(clock.now() + 1 * second)
    expect(origins().length).toBe(1)
    expect(
      origins()
        .flat()
        .every((name) => middles().has(name)),
    ).toBe(true)
  })
})
